// Valid files of every format, and what is changed of them.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { deflateSync, gzipSync } from "node:zlib";
import { openSource } from "../../extension/formats/byteSource.ts";
import { encodePng } from "../../extension/formats/images/png.ts";
import { Budget } from "../../extension/formats/pth/pthError.ts";
import { record } from "../../extension/formats/tensorboard.ts";
import { ZipReader } from "../../extension/formats/zip/zipReader.ts";
import { inRoot } from "../../scripts/project.mjs";
import { craft } from "./archive.ts";
import { anyPickle, type Draws, mutated, mutatedJson, repairedPng } from "./mutations.ts";
import type { Reader } from "./readerProcess.ts";

/** A folder's files by their names; the readers are given the first one. */
export interface Case {
  readers: readonly Reader[];
  files: Readonly<Record<string, Uint8Array>>;
}

const FOLDERS = ["test/fixtures/golden/files/data", "test/fixtures/formats"].map((one) => inRoot(one));
const ONNX = inRoot("test/fixtures/onnx");
const BERT = inRoot("test/fixtures/golden/files/data/bert_tiny");

const FOREIGN = inRoot("test/fixtures/foreign");
const EVENTS = "events.out.tfevents.1700000000.host.1.0";

/** The data of an event file's records. */
function recordsOf(file: Buffer): Uint8Array[] {
  const records: Uint8Array[] = [];
  for (let at = 0; at < file.length;) {
    const size = Number(file.readBigUInt64LE(at));
    records.push(file.subarray(at + 12, at + 12 + size));
    at += size + 16;
  }
  return records;
}

const read = (folder: string, name: string): Buffer => readFileSync(path.join(folder, name));
const originals = (ending: string): Buffer[] =>
  FOLDERS.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(ending))
      .map((name) => read(folder, name)),
  );

interface Archive {
  pickle: Buffer;
  storages: Record<string, Uint8Array>;
}

/** The parts of valid archives: with their pickles changed, what a checksum would keep from being read is read. */
function archives(files: readonly Buffer[]): Archive[] {
  const fail = (): never => {
    throw new Error("no valid archive");
  };
  return files.flatMap((file): Archive[] => {
    try {
      const zip = new ZipReader(openSource(file, ""), fail, new Budget(2 ** 26, fail));
      const parts = [...zip.records.values()].map((record) => [record.name, zip.read(record)] as const);
      const pickle = parts.find(([name]) => name.endsWith("/data.pkl"))![1];
      const storages = parts.flatMap(([name, bytes]) => {
        const key = /\/data\/(\w+)$/.exec(name)?.[1];
        return key === undefined ? [] : [[key, bytes] as const];
      });
      return [{ pickle: Buffer.from(pickle.subarray(2)), storages: Object.fromEntries(storages) }];
    } catch {
      return [];
    }
  });
}

function png(interlaced: boolean): Buffer {
  const data = Uint8Array.from({ length: 4 * 12 * 9 }, (_, i) => (i * 37) % 256);
  const file = encodePng({ width: 12, height: 9, data });
  // The data no longer fit, which the decoder has to notice.
  if (interlaced) file[28] = 1;
  return repairedPng(file);
}

function idx(...shape: number[]): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head.set([0, 0, 8, shape.length]);
  shape.forEach((size, i) => head.writeUInt32BE(size, 4 + 4 * i));
  const size = shape.reduce((product, one) => product * one, 1);
  return Buffer.concat([head, Buffer.alloc(size, 7)]);
}

const TENSORS = ["tensors", "load", "weights"] as const;

/** Draws a case of each kind. */
export function corpus(): Readonly<Record<string, (draws: Draws) => Case>> {
  const [pths, safetensors] = [originals(".pth"), originals(".safetensors")];
  const models = readdirSync(ONNX)
    .filter((name) => name.endsWith(".onnx"))
    .map((name) => read(ONNX, name));
  const external = read(ONNX, "external.onnx.data");
  const whole = archives(pths);
  const bert = Object.fromEntries(readdirSync(BERT).map((name) => [name, read(BERT, name)]));
  const index = JSON.stringify({
    metadata: { total_size: 1 },
    weight_map: { a: "a.safetensors", b: "b.safetensors" },
  });
  const shard = safetensors.find(({ length }) => length === 572) ?? safetensors[0]!;
  const csv = Buffer.from('name,"a ""b""",c\n1,2.5,"x\ny"\n\n# no\n3, 4 ,5\n');
  const table = csv;
  const events = readFileSync(path.join(FOREIGN, "tensorboard", EVENTS));
  const databases = [
    ["mlflow-sql/mlflow.db"],
    ["trackio/digits.db"],
    ["trackio-live/live.db", "trackio-live/live.db-wal"],
  ].map((names) => names.map((name) => readFileSync(path.join(FOREIGN, name))));
  const metas = readdirSync(path.join(FOREIGN, "mlruns"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith("meta.yaml"))
    .map((name) => readFileSync(path.join(FOREIGN, "mlruns", name)));
  return {
    "files of torch.save": (draws) => ({
      readers: [...TENSORS, "pth"],
      files: { "m.pth": mutated(draws, draws.pick(pths)) },
    }),
    "pickles of torch.save": (draws) => {
      const { pickle, storages } = draws.pick(whole);
      const deflate = draws.below(2) === 0;
      return {
        readers: [...TENSORS, "pth"],
        files: { "m.pth": craft(mutated(draws, pickle), storages, { deflate }) },
      };
    },
    "programs of pickles": (draws) => ({
      readers: [...TENSORS, "pth"],
      files: { "m.pth": craft(anyPickle(draws), draws.pick(whole).storages) },
    }),
    "safetensors files": (draws) => ({
      readers: TENSORS,
      files: { "m.safetensors": mutated(draws, draws.pick(safetensors)) },
    }),
    "safetensors headers": (draws) => {
      const file = draws.pick(safetensors);
      const length = file.length < 8 ? 0 : Math.min(file.length - 8, Number(file.readBigUInt64LE(0)));
      const head = mutated(draws, file.subarray(8, 8 + length));
      const size = Buffer.alloc(8);
      size.writeBigUInt64LE(BigInt(head.length));
      return {
        readers: TENSORS,
        files: { "m.safetensors": Buffer.concat([size, head, file.subarray(8 + length)]) },
      };
    },
    "ONNX models": (draws) => ({
      readers: ["onnx", "tensors"],
      files: { "m.onnx": mutated(draws, draws.pick(models)), "external.onnx.data": external },
    }),
    "indices of shards": (draws) => ({
      readers: TENSORS,
      files: {
        "m.safetensors.index.json": Buffer.from(mutatedJson(draws, index)),
        "a.safetensors": shard,
        "b.safetensors": mutated(draws, shard),
      },
    }),
    configurations: (draws) => ({
      readers: ["bert", "distilbert", "tokenizer"],
      files: {
        "config.json": Buffer.from(mutatedJson(draws, bert["config.json"]!.toString())),
        ...without(bert, "config.json"),
      },
    }),
    vocabularies: (draws) => ({
      readers: ["tokenizer"],
      files: {
        "tokenizer_config.json": Buffer.from(
          mutatedJson(
            draws,
            '{"do_lower_case": true, "model_max_length": 512, "unk_token": {"content": "[UNK]"}}',
          ),
        ),
        "vocab.txt": draws.below(2) === 0 ? bert["vocab.txt"]! : mutated(draws, bert["vocab.txt"]!),
      },
    }),
    "event files": (draws) => ({
      readers: ["runs"],
      files: { "events.out.tfevents.1": mutated(draws, events) },
    }),
    "events in whole records": (draws) => ({
      readers: ["runs"],
      files: {
        "events.out.tfevents.1": Buffer.concat(
          recordsOf(events).map((one) =>
            record(draws.below(4) === 0 ? mutated(draws, Buffer.from(one)) : one),
          ),
        ),
      },
    }),
    "databases of runs": (draws) => {
      const [database, log] = draws.pick(databases);
      return {
        readers: ["runs"],
        files: {
          "a.db": mutated(draws, database!),
          ...(log === undefined ? {} : { "a.db-wal": draws.below(2) === 0 ? log : mutated(draws, log) }),
        },
      };
    },
    "records of MLflow": (draws) => ({
      readers: ["runs"],
      files: { "meta.yaml": mutated(draws, draws.pick(metas)) },
    }),
    pictures: (draws) => {
      const picture = png(draws.below(2) === 0);
      const header = 33;
      const file =
        draws.below(2) === 0
          ? mutated(draws, picture)
          : Buffer.concat([mutated(draws, picture.subarray(0, header)), picture.subarray(header)]);
      return { readers: ["png"], files: { "a.png": draws.below(3) === 0 ? file : repairedPng(file) } };
    },
    tables: (draws) => ({ readers: ["csv", "text"], files: { "a.csv": mutated(draws, table) } }),
    "idx files": (draws) => {
      const file = mutated(draws, idx(3, 4, 5));
      const packed = draws.below(2) === 0;
      return packed
        ? { readers: ["idx"], files: { "a.gz": mutated(draws, gzipSync(file)) } }
        : { readers: ["idx"], files: { "a.idx": file } };
    },
    "compressed files": (draws) => ({
      readers: ["text"],
      files: { "a.gz": draws.below(2) === 0 ? mutated(draws, gzipSync(csv)) : deflateSync(csv) },
    }),
  };
}

function without<T>(files: Readonly<Record<string, T>>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(files).filter(([one]) => one !== name));
}
