// Reads files in a process of its own, which its parent may kill. It reports how each reading ended.
import path from "node:path";
import process from "node:process";
import { diskFiles, userFolder } from "../../extension/engine/files/dataFiles.ts";
import { OnnxView } from "../../extension/engine/files/onnxView.ts";
import { cachedModel, hubOf } from "../../extension/engine/files/hubCache.ts";
import { loadFile, loadTensors } from "../../extension/engine/files/tensorFiles.ts";
import { FILES } from "../../extension/engine/host/userFiles.ts";
import { loadExecutor } from "../../extension/executors/index.ts";
import { openOnnx } from "../../extension/formats/onnx/onnxFile.ts";
import { openPth, PthTensor, readPth, type PthValue } from "../../extension/formats/pth/pth.ts";
import { comparisonSteps } from "../../extension/formats/comparison.ts";
import { ParquetReader } from "../../extension/formats/parquet.ts";
import { decodeSample } from "../../extension/formats/sampleFiles.ts";
import { tarSamples } from "../../extension/formats/tarSamples.ts";
import { lastOf, statisticsOf } from "../../extension/formats/statistics.ts";
import { ForeignReader } from "../../extension/formats/foreign/findRuns.ts";
import { openTensors } from "../../extension/formats/tensorSource.ts";
import { setDataFiles } from "../../extension/nn/data/access.ts";
import { parseIdx } from "../../extension/nn/data/idx.ts";
import { data, nn } from "../../extension/nn/index.ts";
import { setTensorFiles } from "../../extension/nn/files.ts";
import { setWarningSink } from "../../extension/nn/warnings.ts";
import { load } from "../bounds.ts";

function visit(value: PthValue): void {
  if (value instanceof PthTensor) value.data();
  else if (value instanceof Map || Array.isArray(value))
    for (const one of value.values() as Iterable<PthValue>) visit(one);
}

/** As a reading thread's errors, which are sent to a thread that names the file. */
async function naming(file: string, read: () => void | Promise<void>): Promise<void> {
  try {
    await read();
  } catch (error) {
    const { name, message } = error as Error;
    throw Object.assign(new Error(`${file}: ${message}`), { name });
  }
}

/** Each reads all that a file has. */
const READERS = {
  /** As an inspection does. */
  tensors(file: string) {
    const source = openTensors(file);
    try {
      for (const tensor of source.tensors) statisticsOf(tensor);
      lastOf(comparisonSteps(source, source));
    } finally {
      source.close();
    }
  },
  /** As the editor of ONNX models does. */
  onnx(file: string) {
    const open = openOnnx(file);
    try {
      const view = new OnnxView(open);
      JSON.stringify(view.model);
      for (const { id } of view.model.flow.nodes.slice(0, 1000)) view.node(id);
    } finally {
      open.close();
    }
  },
  /** As `torch.load` does. */
  load: (file: string) => void loadFile(file),
  /** As an evaluation does. */
  weights: (file: string) => void loadTensors(file),
  pth(file: string) {
    visit(readPth(file));
    const open = openPth(file);
    try {
      visit(open.value);
    } finally {
      open.close();
    }
  },
  png: (file: string) => void diskFiles.image(file),
  csv(file: string) {
    const { error } = diskFiles.csv(file, {});
    if (error !== undefined) throw error;
  },
  text: (file: string) => void diskFiles.text(file),
  /** As a thread that reads data. */
  parquet: (file: string) =>
    naming(file, () => {
      const reader = new ParquetReader(file);
      try {
        const names = reader.facts.columns.map(({ name, kind }) => ({
          name,
          as: kind === "text" ? ("text" as const) : ("number" as const),
        }));
        reader.facts.groups.forEach(({ rows }, group) => reader.read(group, names, rows, () => undefined));
      } finally {
        reader.close();
      }
    }),
  tar: (file: string) =>
    naming(file, async () => {
      for await (const sample of tarSamples(file, () => undefined)) decodeSample(file, sample, undefined, 3);
    }),
  idx: (file: string) => void parseIdx(file, diskFiles.bytes(file)),
  images: (file: string) => {
    const set = new data.ImageFolder(path.dirname(file));
    for (let i = 0; i < Math.min(10, set.length); i++) set.get(i);
  },
  /** Of a folder of Hugging Face, in which the file is. */
  bert: (file: string) => void nn.BertModel.fromPretrained(path.dirname(file)),
  distilbert: (file: string) => void nn.DistilBertModel.fromPretrained(path.dirname(file)),
  /** Of other tools: all that is found in the file's folder. */
  runs: (file: string) => new ForeignReader(path.dirname(file)).read(),
  tokenizer: (file: string) => void nn.BertTokenizer.fromPretrained(path.dirname(file))("some text"),
  /** The file is in refs/main's place. */
  cache: (file: string) =>
    void cachedModel(hubOf({ HF_HUB_CACHE: path.resolve(file, "../../..") }), "someone/tiny"),
} satisfies Record<string, (file: string) => unknown>;

export type Reader = keyof typeof READERS;

export interface Request {
  reader: Reader;
  file: string;
}

/** How a reading ended, unless the process did. */
export interface Report {
  /** Undefined when all was read. */
  error?: { name: string; message: string };
  /** Of the processor: other processes may have taken the rest. */
  milliseconds: number;
  /** How many times as long anything takes here and now as on the machine that limits are for: see bounds.ts. */
  slowness: number;
  /** The largest size that the process ever had. */
  peak: number;
}

/** Milliseconds of a reading that a limit may end: the machine's speed is measured after it. */
const LONG = 3000;

await loadExecutor("cpu");
setTensorFiles(FILES);
setDataFiles(diskFiles);
setWarningSink(() => undefined);
async function answer({ reader, file }: Request): Promise<void> {
  userFolder.path = path.dirname(file);
  const start = process.cpuUsage();
  let error: Report["error"];
  try {
    await READERS[reader](file);
  } catch (thrown) {
    const { name, message } = thrown instanceof Error ? thrown : { name: "", message: String(thrown) };
    error = { name, message };
  }
  const { user, system } = process.cpuUsage(start);
  const milliseconds = (user + system) / 1000;
  const peak = process.resourceUsage().maxRSS / 1024;
  // Only of a reading that some limit may end.
  const slowness = milliseconds < LONG ? 1 : load();
  process.send!({ ...(error === undefined ? {} : { error }), milliseconds, slowness, peak } satisfies Report);
}

process.on("message", (request: Request) => void answer(request));
process.on("disconnect", () => process.exit(0));
process.send!("ready");
