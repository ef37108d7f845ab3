import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SampleView } from "../../../extension/protocol/evaluation.ts";
import type { AblationProgress } from "../../../extension/protocol/interventions.ts";
import { runsRoot } from "../../../extension/supervisor/runs/runDirectory.ts";
import {
  listPictures,
  readEvaluation,
  runOfCheckpoint,
} from "../../../extension/supervisor/runs/evaluationFiles.ts";
import {
  ModelSession,
  type ModelSessionOptions,
} from "../../../extension/supervisor/engines/modelSession.ts";
import { readRun, dist, useWorkspace } from "../workspace.ts";
import { patience } from "../../patience.ts";

const MODEL = `import { torch, nn, optim, data, experiment, F, type Tensor } from "layerwise";
export class Net extends nn.Module {
  conv = new nn.Conv2d(1, 4, 3, { padding: 1 });
  dropout = new nn.Dropout(0.5);
  fc = new nn.Linear(4 * 64, 10);
  forward(x: Tensor): Tensor {
    return this.fc(this.dropout(F.relu(this.conv(x)).flatten(1)));
  }
}
export default experiment({
  seed: 3,
  model: () => new Net(),
  data: () => data.digits(),
  validation: 0.2,
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
  callbacks: {
    onEpochEnd({ epoch }) {
      data.saveImage(torch.rand([1, 4, 4]), "out/drawn.png");
    },
  },
  batchSize: 64,
  epochs: 2,
});
`;

/** The model by itself: its weights from the file, one drawn image, and autograd. */
const OWN_FORWARD = (weights: string): string => `import { torch, print } from "layerwise";
import { Net } from "./net.nn.ts";
const model = new Net();
model.loadStateDict(torch.load(${JSON.stringify(weights)}));
model.eval();
const x = torch.arange(64).div(63).view(1, 1, 8, 8).requiresGrad_();
const scores = model(x);
scores.select(1, scores.argmax(1).item()).sum().backward();
console.log(JSON.stringify([torch.softmax(scores, 1).flatten().tolist(), x.grad!.abs().flatten().tolist()]));
`;

const workspace = useWorkspace("all");
let training = "";
let evaluation = "";
const sessions: ModelSession[] = [];

beforeAll(async () => {
  workspace.write("net.nn.ts", MODEL);
  expect((await workspace.run(["train", "net.nn.ts"])).code).toBe(0);
  expect((await workspace.run(["evaluate", "net.nn.ts"])).code).toBe(0);
  [training, evaluation] = workspace.runs() as [string, string];
});

afterAll(async () => {
  await Promise.all(sessions.map((session) => session.dispose()));
});

const checkpoint = (): string => String(readRun(evaluation).settings["checkpoint"]);

function open(options: ModelSessionOptions = {}): ModelSession {
  const request = {
    file: workspace.file("net.nn.ts"),
    exportName: "default",
    device: "cpu" as const,
    checkpoint: checkpoint(),
    directory: evaluation,
  };
  const session = new ModelSession(request, () => ({ dist }), options);
  sessions.push(session);
  return session;
}

test("what the session says of a drawing is what the model's own forward and autograd say", async () => {
  const session = open();
  const pixels = Array.from({ length: 64 }, (_, i) => i / 63);
  const answer = await session.ask({ kind: "image", pixels }, true);
  workspace.write("own.ts", OWN_FORWARD(checkpoint()));
  const own = await workspace.run(["run", "own.ts"]);
  expect(own.stderr).toBe("");
  const [chances, gradient] = JSON.parse(own.stdout) as [number[], number[]];
  answer!.probabilities!.forEach((chance, i) => expect(chance).toBeCloseTo(chances[i]!, 5));
  expect(answer!.sample.predicted).toBe(chances.indexOf(Math.max(...chances)));
  expect(answer!.sample.actual).toBeUndefined();
  const alpha = await opacity(answer!.saliency!);
  const largest = Math.max(...gradient);
  const expected = gradient.map((value) => (255 * value) / largest);
  expect(alpha).toHaveLength(64);
  alpha.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1.01));
  expect(answer!.features).toMatchObject({ layer: "conv", channels: 4, width: 8, height: 8 });
  expect(answer!.features!.maps).toHaveLength(4);
});

/** The same model, with one channel of its convolution zeroed by a hook. */
const HOOKED = (weights: string): string => `import { torch, type Tensor } from "layerwise";
import { Net } from "./net.nn.ts";
const model = new Net();
model.loadStateDict(torch.load(${JSON.stringify(weights)}));
model.eval();
const pixels = torch.arange(64).div(63).view(1, 1, 8, 8);
const all = [-1, 0, 1, 2, 3].map((off) => {
  const hook = model.conv.registerForwardHook((_module, _input, output: Tensor) =>
    output.mul(torch.arange(4).ne(off).float().view(1, 4, 1, 1)),
  );
  const chances = torch.softmax(model(pixels), 1).flatten().tolist();
  hook.remove();
  return chances;
});
console.log(JSON.stringify(all));
`;

test("a channel switched off changes what a hook of one's own changes, and the ranking sorts by it", async () => {
  const told: AblationProgress[] = [];
  const session = open({ onRanking: (progress) => told.push(progress) });
  const pixels = Array.from({ length: 64 }, (_, i) => i / 63);
  const subject = { kind: "image" as const, pixels };
  workspace.write("hooked.ts", HOOKED(checkpoint()));
  const own = await workspace.run(["run", "hooked.ts"]);
  expect(own.stderr).toBe("");
  const [whole, ...without] = JSON.parse(own.stdout) as number[][];
  const conv = { layer: "conv", part: "output" as const };
  for (const [unit, chances] of without.entries()) {
    const answer = await session.intervene({
      subject,
      interventions: [{ ...conv, unit, by: { mode: "zero" } }],
      of: conv,
    });
    expect(answer!.layers.map(({ layer, kind }) => [layer, kind])).toEqual([
      ["conv", "channel"],
      ["dropout", "unit"],
      ["fc", "unit"],
    ]);
    expect(answer!.units!.maps).toHaveLength(4);
    answer!.before.probabilities!.forEach((chance, i) => expect(chance).toBeCloseTo(whole![i]!, 5));
    answer!.after.probabilities!.forEach((chance, i) => expect(chance).toBeCloseTo(chances[i]!, 5));
  }
  const best = whole!.indexOf(Math.max(...whole!));
  const ranking = await session.rankUnits({ ...conv, scope: { kind: "subject", subject }, mode: "zero" });
  expect(ranking).toMatchObject({ kind: "channel", ablated: 4, samples: 1, alone: false });
  expect(ranking!.loss).toBeUndefined();
  for (const { unit, probability } of ranking!.ranked)
    expect(probability).toBeCloseTo(without[unit]![best]! - whole![best]!, 5);
  const wide = await session.rankUnits({
    layer: "dropout",
    part: "output",
    scope: { kind: "class", actual: 3 },
    mode: "mean",
  });
  expect(wide).toMatchObject({ units: 256, ablated: 256, samples: wide!.of });
  expect(wide!.ranked).toHaveLength(128);
  expect(told.length).toBeGreaterThan(0);
  for (const { done, of } of told) expect(done).toBeLessThanOrEqual(of);
});

/** A program that prints the output of the same model's convolution. */
const ACTIVATION = (weights: string): string => `import { torch, type Tensor } from "layerwise";
import { Net } from "./net.nn.ts";
const model = new Net();
model.loadStateDict(torch.load(${JSON.stringify(weights)}));
model.eval();
model.conv.registerForwardHook((_module, _input, output: Tensor) =>
  console.log(JSON.stringify([output.shape, output.flatten().tolist()])),
);
model(torch.arange(64).div(63).view(1, 1, 8, 8));
`;

test("what a layer gives is kept for the viewer, the last eight of them", async () => {
  const session = open();
  const subject = { kind: "image" as const, pixels: Array.from({ length: 64 }, (_, i) => i / 63) };
  const query = { subject, layer: "conv", part: "output" as const, of: "output" as const };
  workspace.write("activation.ts", ACTIVATION(checkpoint()));
  const own = await workspace.run(["run", "activation.ts"]);
  const [shape, values] = JSON.parse(own.stdout) as [number[], number[]];
  const opened = await session.openActivation(query);
  expect(opened).toMatchObject({ dtype: "float32", shape });
  const window = { rowAxis: 2, columnAxis: 3, at: [0, 3, 0, 0], row: 0, rows: 8, column: 0, columns: 8 };
  const seen = await session.window(opened!.id, window);
  seen!.values.forEach((value, i) => expect(value).toBeCloseTo(values[3 * 64 + i]!, 5));
  expect(await session.statistics(opened!.id)).toMatchObject({ count: values.length, nans: 0 });
  for (let i = 0; i < 8; i++) await session.openActivation(query);
  await expect(session.window(opened!.id, window)).rejects.toMatchObject({ cause: { code: "index" } });
  await expect(session.openActivation({ ...query, layer: "none" })).rejects.toThrow(/no module "none"/);
  await expect(session.openActivation({ ...query, of: "attention" })).rejects.toThrow(/no attention/);
});

test("a ranking that is stopped has no answer, and the model stays loaded", async () => {
  const stop: { run?: () => Promise<void> } = {};
  const session = open({ onRanking: () => void stop.run?.() });
  expect((await session.ask({ kind: "sample", index: 0 }, false))?.sample.index).toBe(0);
  const { pid } = session;
  stop.run = () => session.stopRanking();
  const query = {
    layer: "dropout",
    part: "output" as const,
    scope: { kind: "set" as const },
    mode: "zero" as const,
  };
  expect(await session.rankUnits(query)).toBeUndefined();
  expect((await session.ask({ kind: "sample", index: 1 }, false))?.sample.index).toBe(1);
  expect(session.pid).toBe(pid);
  await expect(session.rankUnits({ ...query, layer: "relu" })).rejects.toThrow('Net has no module "relu".');
});

async function opacity(saliency: { kind: string; png?: string }): Promise<number[]> {
  const { PNG } = await import("pngjs");
  const { data } = PNG.sync.read(Buffer.from(saliency.png!, "base64"));
  return Array.from(data).filter((_, i) => i % 4 === 3);
}

/** Expects equal samples, up to the rounding of their numbers, which depends on the batch size. */
function expectAlike(found: readonly SampleView[], wanted: readonly SampleView[]): void {
  expect(found.map(({ index, actual, predicted }) => [index, actual, predicted])).toEqual(
    wanted.map(({ index, actual, predicted }) => [index, actual, predicted]),
  );
  found.forEach(({ loss, confidence, inputs }, i) => {
    expect(loss).toBeCloseTo(wanted[i]!.loss!, 5);
    expect(confidence).toBeCloseTo(wanted[i]!.confidence!, 5);
    expect(inputs).toEqual(wanted[i]!.inputs);
  });
}

test("a cell's samples are those that the matrix counts, page by page", async () => {
  const { result, report } = await readEvaluation(evaluation);
  const confusion = result!.confusion!;
  expect(report).toMatchObject({ version: 1, task: "classification", split: "validation", listed: 359 });
  expect(report!.input).toMatchObject({ kind: "image", channels: 1, height: 8, width: 8 });
  const session = open();
  const actual = confusion.findIndex((row, i) => row.some((count, j) => i !== j && count > 0));
  const predicted = confusion[actual]!.findIndex((count, j) => j !== actual && count > 0);
  const page = await session.samples({ order: "hardest", actual, predicted, offset: 0, count: 48 });
  expect(page!.total).toBe(confusion[actual]![predicted]);
  for (const sample of page!.samples) expect(sample).toMatchObject({ actual, predicted });
  const rest = await session.samples({ order: "hardest", actual, predicted, offset: page!.total, count: 48 });
  expect(rest).toEqual({ total: page!.total, samples: [] });
  const wrong = await session.samples({ order: "hardest", wrong: true, offset: 0, count: 12 });
  const right = confusion.reduce((sum, row, i) => sum + row[i]!, 0);
  expect(wrong!.total).toBe(359 - right);
  const losses = wrong!.samples.map(({ loss }) => loss!);
  expect(losses).toEqual(losses.toSorted((a, b) => b - a));
  // The kept figures of each sample equal the model's present ones, in batches of another size.
  const now = (await session.samples({ order: "hardest", offset: 0, count: 12 }))!.samples;
  expectAlike(report!.hardest.slice(0, 12), now);
  const { index } = wrong!.samples[0]!;
  const { sample } = (await session.ask({ kind: "sample", index }, false))!;
  expectAlike([sample], wrong!.samples.slice(0, 1));
});

test("only the newest question waits, a cancelled one has no answer, and the next starts again", async () => {
  const states: string[] = [];
  const session: ModelSession = open({ idle: 300, onChange: () => states.push(session.state) });
  const ask = (index: number) => session.ask({ kind: "sample", index }, false);
  const [first, second, third] = await Promise.all([ask(0), ask(1), ask(2)]);
  expect(first?.sample.index).toBe(0);
  expect(second).toBeUndefined();
  expect(third?.sample.index).toBe(2);
  await expect(ask(100_000)).rejects.toThrow("There is no sample 100000.");
  const pid = session.pid!;
  const cancelled = ask(3);
  await session.cancel();
  expect(await cancelled).toBeUndefined();
  expect((await ask(4))?.sample.index).toBe(4);
  expect(session.pid).not.toBe(pid);
  await expect.poll(() => session.state, { timeout: patience(5000) }).toBe("closed");
  expect(states.filter((state) => state === "ready")).toHaveLength(2);
});

test("a question that takes too long ends the process, and says so", async () => {
  const session = open({ limit: 1 });
  await expect(session.ask({ kind: "sample", index: 0 }, true)).rejects.toThrow("did not answer within 0 s");
});

test("a drawing of another size, and an input of another kind, are refused in words", async () => {
  const session = open();
  await expect(session.ask({ kind: "image", pixels: [0, 1] }, false)).rejects.toThrow(
    "Got 2 pixels, expected 8 × 8.",
  );
  await expect(session.ask({ kind: "text", text: "seven" }, false)).rejects.toThrow(
    "Got a text, which is no input of this model.",
  );
});

test("pictures that a training draws are kept by their epoch", async () => {
  expect(runOfCheckpoint(checkpoint())).toBe(training);
  expect(path.dirname(training)).toBe(runsRoot(workspace.folder));
  expect(await listPictures(training)).toEqual([
    { file: "epoch-00001-drawn.png", name: "drawn", at: 1, unit: "epoch" },
    { file: "epoch-00002-drawn.png", name: "drawn", at: 2, unit: "epoch" },
  ]);
  expect(fs.existsSync(workspace.file("out/drawn.png"))).toBe(true);
});
