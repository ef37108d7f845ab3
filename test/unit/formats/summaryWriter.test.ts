import fs from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { nn, torch } from "layerwise";
import { flushOpenEvents } from "../../../extension/engine/files/userEvents.ts";
import { FILES } from "../../../extension/engine/host/userFiles.ts";
import {
  readEvent,
  sessionParameters,
  type ForeignEvent,
} from "../../../extension/formats/foreign/eventMessages.ts";
import { ForeignReader } from "../../../extension/formats/foreign/findRuns.ts";
import { readRecords } from "../../../extension/formats/foreign/tfRecords.ts";
import { decodePng } from "../../../extension/formats/images/png.ts";
import { setTensorFiles } from "../../../extension/nn/files.ts";
import { setWarningSink } from "../../../extension/nn/warnings.ts";
import { useEngine } from "../../engines.ts";
import { useFolder } from "../../folders.ts";
import { useTensorFiles } from "../../tensorFiles.ts";

const { SummaryWriter } = torch.utils.tensorboard;
const BY_PYTORCH = fileURLToPath(new URL("../../fixtures/summaryWriter/run", import.meta.url));

useEngine("cpu");
useTensorFiles();
const folder = useFolder();
let run: string;
beforeEach(() => {
  run = path.join(folder, "run");
});

/** The event file of each folder below one, by the folders' names. */
const filesOf = (root: string): Map<string, string> =>
  new Map(
    fs
      .readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((name) => name.includes("tfevents"))
      .sort()
      .map((name) => [path.dirname(name), path.join(root, name)]),
  );

function eventsOf(file: string): ForeignEvent[] {
  const events: ForeignEvent[] = [];
  const { problem } = readRecords(file, 0, (bytes) => void events.push(readEvent(bytes.slice())));
  expect(problem).toBeUndefined();
  return events;
}

/** Events of the only file of a folder, without the record that every file begins with. */
function eventsIn(directory: string): ForeignEvent[] {
  const [name] = fs.readdirSync(directory).filter((one) => one.includes("tfevents"));
  return eventsOf(path.join(directory, name!)).slice(1);
}

const scalarsIn = (directory: string): [string, number, number | undefined][] =>
  eventsIn(directory).flatMap(({ step, values }) =>
    values.map(({ tag, scalar }) => [tag, step, scalar] as [string, number, number | undefined]),
  );

/** An event as plain data: pictures as pixels, and hyperparameters, which Protobuf doesn't order, by their names. */
const plain = ({ step, restart, values }: ForeignEvent): object => ({
  step,
  restart,
  values: values.map(({ image, pluginContent, ...value }) => ({
    ...value,
    image: image && decodePng(image),
    content: value.tag.endsWith("start_info") ? sessionParameters(pluginContent!) : pluginContent,
  })),
});

test("writes what PyTorch's SummaryWriter writes", () => {
  const writer = new SummaryWriter(run, { purgeStep: 3 });
  writer.addScalar("loss", 0.5, 3);
  writer.addScalar("loss", torch.tensor([0.25]), 4, 1700000000.5);
  writer.addScalar("without step", true);
  writer.addScalar("new", 0.1, 5, { newStyle: true });
  writer.addScalar("double", 0.1, { globalStep: 5, newStyle: true, doublePrecision: true });
  writer.addScalars("a/b", { train: 1, val: torch.tensor(2) }, 7);
  writer.addText("note", "**bold** – ü", 8);
  const values = torch.arange(-20, 21).div(7);
  writer.addHistogram("default", values, 1);
  writer.addHistogram("counted", values, 2, { bins: 5 });
  writer.addHistogram("edges", values, 3, [-1, 0, 0.5, 1]);
  writer.addHistogram("merged", values, { globalStep: 4, bins: 12, maxBins: 5 });
  writer.addHistogram("equal", torch.zeros(3), 5);
  writer.addHistogram("equal counted", torch.ones(3), 5, 4);
  const facts = { min: 0, max: 2, num: 3, sum: 4, sumSquares: 6, globalStep: 6 };
  writer.addHistogramRaw("raw", { ...facts, bucketLimits: [1, 2], bucketCounts: torch.tensor([1, 2]) });
  const ramp = torch.arange(24).div(20).sub(0.1);
  writer.addImage("chw", ramp.reshape(3, 2, 4), 1);
  writer.addImage("hwc", ramp.reshape(2, 4, 3), 2, { dataformats: "HWC" });
  writer.addImage("wh", ramp.reshape(6, 4), 3, { dataformats: "WH" });
  writer.addImage("grey", ramp.reshape(1, 6, 4), 4);
  writer.addImage("opacity", ramp.reshape(4, 2, 3), 5);
  writer.addImage("bytes", torch.arange(24).mul(10).reshape(3, 2, 4), 6);
  writer.addImages("grid", torch.arange(120).div(120).reshape(10, 3, 2, 2), 7);
  writer.addImages("grey grid", ramp.reshape(2, 3, 4, 1), 8, { dataformats: "NHWC" });
  writer.addHparams(
    { lr: 0.1, optimizer: "SGD", layers: 3, none: null },
    { "hparam/accuracy": 0.9 },
    { hparamDomainDiscrete: { optimizer: ["SGD", "Adam"] }, runName: "trial", globalStep: 9 },
  );
  writer.close();

  const [ours, theirs] = [filesOf(run), filesOf(BY_PYTORCH)];
  expect([...ours.keys()]).toEqual([...theirs.keys()]);
  for (const [name, file] of theirs) {
    const expected = eventsOf(file);
    // PyTorch writes the record of the version a second time before it purges.
    if (name === ".") expected.splice(1, 1);
    const found = eventsOf(ours.get(name)!);
    expect(found).toHaveLength(expected.length);
    found.forEach((event, i) => {
      const wanted = expected[i]!;
      const [histogram, other] = [event, wanted].map(({ values: [value] }) => value?.histogram);
      // NumPy adds in another order.
      if (other !== undefined) {
        expect(histogram!.mean).toBeCloseTo(other.mean!, 12);
        expect(histogram!.std).toBeCloseTo(other.std!, 6);
        Object.assign(histogram!, { mean: other.mean, std: other.std });
      }
      expect(plain(event)).toEqual(plain(wanted));
    });
  }
  expect(eventsIn(run)[2]!.wallTime).toBe(1700000000.5);
});

test("the editor imports a run with its curves, pictures and hyperparameters", async () => {
  const writer = new SummaryWriter(run);
  for (let step = 0; step < 25; step++) writer.addScalar("Loss/train", 1 / (step + 1), step);
  writer.addScalars("accuracy", { train: 0.5, val: 0.25 }, 24);
  writer.addHistogram("fc.weight", torch.arange(10), 24);
  writer.addImage("samples", torch.ones(3, 4, 4), 24);
  writer.addHparams({ lr: 0.1, amsgrad: true }, { "hparam/loss": 0.5 }, { runName: "trial" });
  writer.close();
  const { runs, problems } = await new ForeignReader(folder).read();
  expect(problems).toEqual([]);
  const byName = new Map(runs.map((one) => [one.name, one]));
  expect([...byName.keys()].sort()).toEqual(["run", "run/accuracy_train", "run/accuracy_val", "run/trial"]);
  const [curve] = byName.get("run")!.series;
  expect(curve!.steps).toEqual(Array.from({ length: 25 }, (_, step) => step));
  expect(byName.get("run")!.histograms.map(({ name }) => name)).toEqual(["fc.weight"]);
  expect(byName.get("run")!.pictures.map(({ name }) => name)).toEqual(["samples"]);
  expect(Object.fromEntries(byName.get("run/trial")!.parameters)).toEqual({ lr: 0.1, amsgrad: true });
});

describe("files", () => {
  test("have PyTorch's names, in a folder of the working directory", () => {
    const before = process.cwd();
    process.chdir(folder);
    onTestFinished(() => process.chdir(before));
    vi.useFakeTimers({ now: new Date(2026, 4, 4, 22, 14, 54), toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    const writer = new SummaryWriter({ comment: "_lr0.1", filenameSuffix: ".mine" });
    const name = `May04_22-14-54_${hostname()}_lr0.1`;
    expect([writer.logDir, writer.getLogdir()]).toEqual([`runs/${name}`, `runs/${name}`]);
    const [file] = fs.readdirSync(path.join(folder, "runs", name));
    const time = new Date(2026, 4, 4, 22, 14, 54).getTime() / 1000;
    expect(file).toMatch(/^events\.out\.tfevents\.\d{10}\..+\.\d+\.\d+\.mine$/);
    expect(file!.startsWith(`events.out.tfevents.${time}.${hostname()}.${process.pid}.`)).toBe(true);
    expect(fs.readdirSync(folder)).toEqual(["runs"]);
    writer.close();
    expect(() => new SummaryWriter(5 as never)).toThrow(
      "SummaryWriter(): expected logDir to be a string, got number",
    );
  });

  test("get each event at once", () => {
    const writer = new SummaryWriter(run);
    for (let step = 1; step <= 3; step++) {
      writer.addScalar("a", step, step);
      expect(scalarsIn(run)).toHaveLength(step);
    }
    writer.close();
  });

  test("with a queue get events when enough of them wait, after a time, by flush and close, and when the process ends", () => {
    const writer = new SummaryWriter(run, { maxQueue: 3 });
    writer.addScalar("a", 1, 1);
    writer.addScalar("a", 2, 2);
    expect(scalarsIn(run)).toEqual([]);
    writer.addScalar("a", 3, 3);
    expect(scalarsIn(run)).toHaveLength(3);
    writer.addScalar("a", 4, 4);
    writer.flush();
    expect(scalarsIn(run)).toHaveLength(4);
    writer.addScalar("a", 5, 5);
    flushOpenEvents();
    expect(scalarsIn(run)).toHaveLength(5);
    writer.addScalar("a", 6, 6);
    writer.close();
    expect(scalarsIn(run)).toHaveLength(6);
    const eager = new SummaryWriter(path.join(folder, "eager"), { maxQueue: 10, flushSecs: 0 });
    eager.addScalar("a", 1, 1);
    expect(scalarsIn(path.join(folder, "eager"))).toEqual([["a", 1, 1]]);
    eager.close();
  });

  test("get waiting events by a timer, which keeps no process running", async () => {
    const writer = new SummaryWriter(run, { maxQueue: 10, flushSecs: 0.05 });
    writer.addScalar("a", 1, 1);
    await vi.waitFor(() => expect(scalarsIn(run)).toHaveLength(1), { timeout: 5000 });
    writer.close();
  });

  test("are new ones after close", () => {
    const writer = new SummaryWriter(run);
    writer.close();
    writer.close();
    writer.addScalar("a", 1, 1);
    writer.close();
    expect(fs.readdirSync(run)).toHaveLength(2);
  });

  test("that can't be written are an error that names them", () => {
    fs.writeFileSync(run, "a file where the folder should be");
    expect(() => new SummaryWriter(run)).toThrow(`SummaryWriter: events can't be written to ${run}: EEXIST`);
    fs.rmSync(run);
    const writer = new SummaryWriter(run, { maxQueue: 2 });
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    const write = vi.spyOn(fs, "writeSync").mockImplementation(() => {
      throw full;
    });
    onTestFinished(() => write.mockRestore());
    writer.addScalar("a", 1, 1);
    expect(() => writer.addScalar("a", 2, 2)).toThrow(
      /events can't be written to .*tfevents.*: ENOSPC: no space left/,
    );
    write.mockRestore();
    // There is space again: nothing is lost.
    writer.addScalar("a", 3, 3);
    writer.close();
    expect(scalarsIn(run)).toEqual([
      ["a", 1, 1],
      ["a", 2, 2],
      ["a", 3, 3],
    ]);
  });

  test("are not at hand everywhere, and a preview writes none and reads no tensor", () => {
    const before = setTensorFiles(undefined);
    onTestFinished(() => void setTensorFiles(before));
    expect(() => new SummaryWriter(run)).toThrow("SummaryWriter(): files are not at hand here");
    setTensorFiles({ ...FILES, openEvents: () => undefined });
    const writer = new SummaryWriter(run);
    const loss = torch.ones(1);
    const item = vi.spyOn(loss, "value", "get");
    writer.addScalar("loss", loss, 1);
    writer.addScalars("losses", { loss }, 1);
    writer.addHparams({ lr: loss }, { loss });
    writer.addGraph(new nn.Linear(1, 1), loss);
    writer.close();
    expect(item).not.toHaveBeenCalled();
    expect(fs.readdirSync(folder)).toEqual([]);
  });
});

describe("arguments", () => {
  test("that are wrong are errors that name them", () => {
    const writer = new SummaryWriter(run);
    const image = torch.ones(2, 4, 4);
    expect(() => writer.addScalar("a", "b" as never)).toThrow(
      "add_scalar(): expected scalarValue to be a number or a tensor, got string",
    );
    expect(() => writer.addScalar("a", torch.ones(3))).toThrow("a Tensor with 3 elements");
    expect(() => writer.addScalar(1 as never, 1)).toThrow(
      "add_scalar(): expected tag to be a string, got number",
    );
    expect(() => writer.addScalar("a", 1, Number.NaN)).toThrow(
      "expected globalStep to be a whole number, got NaN",
    );
    expect(() => writer.addScalar({ tag: "a" } as never)).toThrow("scalarValue");
    expect(() => writer.addScalars("a", [1] as never)).toThrow(
      "expected tagScalarDict to be an object, got list",
    );
    expect(() => writer.addImage("a", image)).toThrow(
      "add_image(): expected an image of 1 or 3 channels, got 2",
    );
    expect(() => writer.addImage("a", image.sum(0))).toThrow(
      "size of input tensor and input format are different. tensor shape: (4, 4), input_format: CHW",
    );
    expect(() => writer.addImage("a", image, { dataformats: "CHX" })).toThrow(
      'expected dataformats with the letters of "CHW", got "CHX"',
    );
    expect(() => writer.addHistogram("a", torch.ones(0))).toThrow("The input has no element.");
    expect(() => writer.addHistogram("a", image, { bins: "auto" as never })).toThrow(
      'a list of edges, got "auto"',
    );
    expect(() => writer.addHistogram("a", image, { bins: [2, 3] })).toThrow(
      "none of the 32 values is in a bucket",
    );
    expect(() => writer.addHparams({ lr: {} as never }, {})).toThrow(
      "value should be one of int, float, str, bool, or torch.Tensor",
    );
    writer.close();
    expect(eventsIn(run)).toEqual([]);
  });

  test("addGraph warns that it writes nothing", () => {
    const warnings: string[] = [];
    const before = setWarningSink((text) => void warnings.push(text));
    onTestFinished(() => void setWarningSink(before));
    const writer = new SummaryWriter(run);
    writer.addGraph(new nn.Linear(2, 1), torch.ones(1, 2));
    writer.close();
    expect(warnings).toEqual([expect.stringContaining("writes no graph")]);
  });
});
