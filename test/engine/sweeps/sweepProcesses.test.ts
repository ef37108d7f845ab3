// Trials share processes, and compute what they would compute alone.
import path from "node:path";
import { describe, expect, test } from "vitest";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { slow } from "../../slow.ts";
import { readRows, readRun, useWorkspace } from "../workspace.ts";
import { findSweep, slowLosers, sweptFile } from "./sweepFiles.ts";

const workspace = useWorkspace();

const runOf = (name: string): string => workspace.file(`.layerwise/runs/${name}`);

function weights(directory: string): Record<string, string> {
  const { entries } = loadSafetensors(path.join(directory, "checkpoints", "final.safetensors"));
  return Object.fromEntries(entries.map(({ name, data }) => [name, Buffer.from(data).toString("hex")]));
}

const curve = (directory: string): object[] =>
  readRows(directory).map((row) => ({ ...row, time: 0, spent: undefined }));

/** Networks of several kinds, with all that draws numbers, keeps state or is compiled in a way of its own. */
const KINDS = `import { torch, nn, optim, data, experiment, sweep, type Tensor } from "layerwise";
class Net extends nn.Module {
  images = new nn.Sequential(new nn.Conv2d(1, 4, 3, { padding: 1 }), new nn.BatchNorm2d(4), new nn.ReLU(), new nn.MaxPool2d(2), new nn.Flatten(), new nn.Linear(64, 8));
  sequences = new nn.LSTM(8, 8, { batchFirst: true });
  attention = new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16, dropout: 0.1, batchFirst: true });
  dropout = new nn.Dropout(0.3);
  head = new nn.Linear(8, 3);
  constructor(readonly kind: "conv" | "lstm" | "attention") {
    super();
  }
  forward(x: Tensor): Tensor {
    const rows = x.squeeze(1);
    const features =
      this.kind === "conv" ? this.images(x) : this.kind === "lstm" ? this.sequences(rows)[0].mean(1) : this.attention(rows).mean(1);
    return this.head(this.dropout(features));
  }
}
const drawn = torch.rand(1).item();
export default experiment({
  seed: 3,
  sweep: { kind: sweep.choice("conv", "lstm", "attention"), lr: sweep.choice(0.01, 0.03) },
  model: ({ kind }) => new Net(kind),
  data: () => new data.TensorDataset(torch.randn(48, 1, 8, 8).add(drawn), torch.randint(0, 3, [48])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters, { lr }) => new optim.Adam(parameters, { lr }),
  lrScheduler: (optimizer) => ({ scheduler: new optim.lrScheduler.CosineAnnealingLR(optimizer, 20), interval: "step" }),
  metrics: ["accuracy"],
  batchSize: 8,
  validation: 0.25,
  epochs: 3,
});
`;

describe("a process that serves several trials", () => {
  for (const device of ["native", "wasm", "cpu"])
    test(
      `computes each of them bit for bit as a process of its own (${device})`,
      { timeout: 180_000, ...(device !== "native" && slow) },
      async () => {
        workspace.write("net.nn.ts", KINDS);
        const env = { LAYERWISE_DEVICE: device };
        const { code, stderr } = await workspace.run(["sweep", "net.nn.ts", "--search", "grid"], { env });
        expect(code, stderr).toBe(0);
        const { trials } = findSweep(workspace);
        expect(new Set(trials.map(({ run }) => readRun(runOf(run)).pid)).size).toBe(1);
        // Those that follow another kind, and the last.
        for (const number of [0, 2, 4, 5]) {
          const { run, settings } = trials[number]!;
          const set = Object.entries(settings).flatMap(([name, value]) => [
            "--set",
            `${name}=${String(value)}`,
          ]);
          const alone = await workspace.run(["train", "net.nn.ts", ...set, "--out", `alone-${number}`], {
            env,
          });
          expect(alone.code, alone.stderr).toBe(0);
          expect(curve(workspace.file(`alone-${number}`))).toEqual(curve(runOf(run)));
          expect(weights(workspace.file(`alone-${number}`))).toEqual(weights(runOf(run)));
        }
      },
    );

  test("also after trials that were ended in the middle of an epoch", async () => {
    const text = sweptFile({
      sweep: "{ lr: sweep.choice(0.3, 1e-9, 1e-8, 0.31), width: sweep.int(8, 8) }",
      model:
        "({ width }) => new nn.Sequential(new nn.Linear(4, width), new nn.Dropout(0.2), new nn.Linear(width, 3))",
      callbacks: slowLosers("onStepEnd", 100),
      optimizer: "(parameters, { lr }) => new optim.SGD(parameters, { lr })",
      objective: '{ metric: "loss" }',
      epochs: "9",
    });
    workspace.write("net.nn.ts", text);
    await workspace.run([
      "sweep",
      "net.nn.ts",
      "--search",
      "grid",
      "--pruner",
      "asha",
      "--grace-period",
      "2",
    ]);
    const { trials } = findSweep(workspace);
    expect(trials.slice(0, 3).map(({ state }) => state)).toEqual(["complete", "pruned", "pruned"]);
    const last = trials.at(-1)!;
    expect(new Set(trials.map(({ run }) => readRun(runOf(run)).pid)).size).toBe(1);
    await workspace.run(["train", "net.nn.ts", "--set", "lr=0.31", "--out", "alone"]);
    // It may have been ended too, so that its last row covers a part of an epoch, or lacks the validation.
    const rows = curve(runOf(last.run)).slice(0, last.state === "complete" ? undefined : -1);
    expect(rows.length).toBeGreaterThan(6);
    expect(curve(workspace.file("alone")).slice(0, rows.length)).toEqual(rows);
  });

  test.each([
    ["a timer", "setInterval(() => undefined, 1000);"],
    ["a global variable", "Object.assign(globalThis, { left: 1 });"],
    ["a listener", 'process.on("exit", () => undefined);'],
    ["a listener of an event without others", 'process.on("warning", () => undefined);'],
    ["an environment variable", 'process.env["LEFT"] = "1";'],
    ["another Math.random", "{ const { random } = Math; Math.random = () => random() / 2; }"],
    ["a method of all arrays", 'Reflect.set(Array.prototype, "last", () => undefined);'],
    [
      "a function of a module of Node",
      'import os from "node:os";\nReflect.set(os, "hostname", () => "another");',
    ],
  ])("is replaced when the file leaves %s", async (_, line) => {
    workspace.write(
      "net.nn.ts",
      sweptFile({ epochs: "1" }).replace("export default", `${line}\nexport default`),
    );
    const { code, stderr } = await workspace.run(["sweep", "net.nn.ts", "--trials", "2"]);
    expect(code, stderr).toBe(0);
    const { trials } = findSweep(workspace);
    expect(trials.map(({ state }) => state)).toEqual(["complete", "complete"]);
    expect(new Set(trials.map(({ run }) => readRun(runOf(run)).pid)).size).toBe(2);
  });
});
