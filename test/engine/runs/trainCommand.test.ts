// `layerwise train`: losses, options, what ends a training.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { examples, experimentFile, jsonLines, readRows, readRun, useWorkspace } from "../workspace.ts";
import { TUTORIAL_LINES } from "../../models.ts";

const workspace = useWorkspace();

const example = (name: string): string => path.join(examples, name);

describe("train", () => {
  test("prints PyTorch's losses, and keeps all of the run in its directory", async () => {
    const result = await workspace.run(["train", example("simplenn.nn.ts")]);
    expect(result.stdout.trimEnd().split("\n")).toEqual(TUTORIAL_LINES);
    expect(result.code).toBe(0);
    const [directory] = workspace.runs();
    expect(result.stderr).toContain(
      `Saved ${path.relative(workspace.folder, directory!)}/checkpoints/final.safetensors`,
    );
    const record = readRun(directory!);
    expect(record).toMatchObject({
      state: "finished",
      kind: "train",
      exportName: "default",
      model: "SimpleNN",
      seed: 0,
      epochs: 100,
      epoch: 100,
      step: 100,
      stepsPerEpoch: 1,
      executor: { backend: "cpu" },
      parameters: { total: 67, trainable: 67 },
      settings: { loss: "CrossEntropyLoss()", optimizer: "Adam, lr 0.001", batchSize: 100, samples: 100 },
    });
    expect(record.checkpoints.map(({ kind, epoch }) => [kind, epoch])).toEqual([["final", 100]]);
    const rows = readRows(directory!);
    expect(rows.filter(({ kind }) => kind === "epoch").map(({ epoch }) => epoch)).toEqual(
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    expect(rows.at(-1)?.values["loss"]).toBeCloseTo(0.6956, 4);
    expect(fs.readdirSync(path.join(directory!, "checkpoints"))).toEqual([
      "final.safetensors",
      "training.pth",
    ]);
    const { entries, metadata } = loadSafetensors(path.join(directory!, "checkpoints/final.safetensors"));
    expect(entries.map(({ name, shape }) => [name, shape])).toContainEqual(["fc1.weight", [5, 10]]);
    expect(metadata.get("seed")).toBe("0");
    expect(fs.readFileSync(path.join(directory!, "log.txt"), "utf8")).toMatch(/^Running on tfjs/);
  });

  test("trains a model of lazy modules; the record counts its parameters once they are known", async () => {
    const text = experimentFile({ validation: "0.25" }).replaceAll(
      /new nn\.Linear\(\d+, /g,
      "new nn.LazyLinear(",
    );
    expect(text).toContain("LazyLinear");
    const lazy = await workspace.run(["train", workspace.write("lazy.nn.ts", text), "--epochs", "2"]);
    const usual = await workspace.run([
      "train",
      workspace.write("usual.nn.ts", experimentFile({ validation: "0.25" })),
      "--epochs",
      "2",
    ]);
    expect([lazy.code, usual.code]).toEqual([0, 0]);
    const [first, second] = workspace.runs().map(readRun);
    expect(first!.parameters).toEqual(second!.parameters);
    expect(first!.parameters!.total).toBeGreaterThan(0);
  });

  test("--epochs, --seed, --out and --json", async () => {
    const file = workspace.write("net.nn.ts", experimentFile({ validation: "0.25" }));
    const result = await workspace.run([
      "train",
      file,
      "--epochs",
      "3",
      "--seed",
      "5",
      "--out",
      "here",
      "--json",
    ]);
    expect(result.code).toBe(0);
    const lines = jsonLines(result.stdout);
    expect(lines[0]).toMatchObject({ event: "start", run: { seed: 5, epochs: 3, stepsPerEpoch: 3 } });
    expect(lines.filter(({ event }) => event === "epoch").map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect(lines.at(-1)).toMatchObject({
      event: "end",
      state: "finished",
      epoch: 3,
      step: 9,
      directory: workspace.file("here"),
      checkpoint: workspace.file("here/checkpoints/final.safetensors"),
    });
    const record = readRun(workspace.file("here"));
    expect(record.best?.metric).toBe("val_loss");
    expect(record.checkpoints.map(({ kind }) => kind).sort()).toEqual(["best", "final"]);
    expect(record.settings).toMatchObject({ samples: 24, validationSamples: 8 });
  });

  test("equal seeds give equal runs, another seed another", async () => {
    const file = workspace.write("net.nn.ts", experimentFile({ epochs: "2", shuffle: "true" }));
    const losses: (number | undefined)[] = [];
    for (const [i, seed] of ["1", "1", "2"].entries()) {
      await workspace.run(["train", file, "--seed", seed, "--out", `run${i}`]);
      losses.push(readRun(workspace.file(`run${i}`)).metrics["loss"]);
    }
    expect(losses[0]).toBe(losses[1]);
    expect(losses[2]).not.toBe(losses[0]);
  });

  test("a step of one's own with several optimizers, callbacks that stop, and what the code prints", async () => {
    const file = workspace.write(
      "own.nn.ts",
      experimentFile({
        optimizer:
          "(_, model) => ({ a: new optim.SGD([model.fc.weight], { lr: 0.1 }), b: new optim.SGD([model.fc.bias], { lr: 0.2 }) })",
        trainStep: `({ model, batch: [x, y], loss, optimizer }) => {
    optimizer.a.zeroGrad(); optimizer.b.zeroGrad();
    const value = loss(model(x!), y!);
    value.backward();
    optimizer.a.step(); optimizer.b.step();
    return { loss: value, twice: value.item() * 2 };
  }`,
        callbacks: `{
    onTrainStart: () => console.log("begins"),
    onEpochEnd: async ({ epoch, metrics, stop }) => { if (epoch === 4) stop("enough: " + (metrics.twice! / metrics.loss!).toFixed(3)); },
    onTrainEnd: ({ step }) => console.warn("ends after", step),
  }`,
      }),
    );
    const result = await workspace.run(["train", file]);
    expect(result.code).toBe(0);
    expect(result.stdout).toMatch(/^begins\nEpoch \[1\/100000\], Loss: \d\.\d{4}, Twice: \d\.\d{4}\n/);
    expect(result.stderr).toContain("ends after 16\n");
    const directory = workspace.runs()[0]!;
    expect(readRun(directory)).toMatchObject({ state: "finished", epoch: 4, step: 16 });
    const log = fs.readFileSync(path.join(directory, "log.txt"), "utf8");
    expect(log).toContain("begins\n");
    expect(log).toContain("enough: 2.000");
  });

  test("early stopping, a schedule and what its steps saw", async () => {
    const file = workspace.write(
      "early.nn.ts",
      experimentFile({
        validation: "0.25",
        optimizer: "(parameters) => new optim.SGD(parameters, { lr: 0 })",
        lrScheduler: "(optimizer) => new optim.lrScheduler.ExponentialLR(optimizer, 0.5)",
        earlyStopping: "{ patience: 2 }",
        checkpoints: '{ monitor: "val_accuracy", mode: "max" }',
      }),
    );
    const result = await workspace.run(["train", file]);
    expect(result).toMatchObject({ code: 0 });
    expect(result.stdout).toMatch(
      /\nEnded after epoch 3 by early stopping: val_loss has not improved in the last 2/,
    );
    const record = readRun(workspace.runs()[0]!);
    expect(record).toMatchObject({ state: "finished", epoch: 3, best: { metric: "val_accuracy", epoch: 1 } });
    expect(record.settings["earlyStopping"]).toBe('{"patience":2}');
  });

  test("a loss that diverges ends the run where it comes from, or is told once", async () => {
    const diverging = (options: Record<string, string>): string =>
      workspace.write(
        "nan.nn.ts",
        experimentFile({
          epochs: "5",
          loss: "new nn.MSELoss()",
          data: "() => new data.TensorDataset(torch.randn(32, 4), torch.randn(32, 3))",
          optimizer: "(parameters) => new optim.SGD(parameters, { lr: 1e30 })",
          ...options,
        }),
      );
    const ended = await workspace.run(["train", diverging({})]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(
      /nan\.nn\.ts:\d+:\d+ error: The loss is infinite in step 2 \(epoch 1\)\. Function .square. returned inf/,
    );
    expect(ended.stderr).toContain("hint: values have grown without bound: try a smaller learning rate");
    expect(readRun(workspace.runs()[0]!)).toMatchObject({ state: "failed", error: { code: "non-finite" } });
    const events = readRows(workspace.runs()[0]!).filter(({ kind }) => kind === "event");
    expect(events.map(({ text }) => text)).toEqual([
      expect.stringContaining("The loss is infinite in step 2"),
    ]);

    const result = await workspace.run(["train", diverging({ terminateOnNan: "false" })]);
    expect(result.code).toBe(0);
    expect(result.stderr.match(/The loss is (NaN|infinite)/g)).toHaveLength(1);
    expect(result.stdout).toContain("Epoch [5/5], Loss: nan");
    expect(readRun(workspace.runs()[1]!).metrics["loss"]).toBeNaN();
  });

  test("a rolled-back divergence resumes from the last sound state at a lower rate", async () => {
    const file = workspace.write(
      "steep.nn.ts",
      experimentFile({
        epochs: "70",
        batchSize: "32",
        loss: "new nn.MSELoss()",
        data: "() => new data.TensorDataset(torch.randn(32, 4), torch.randn(32, 3))",
        optimizer: "(parameters) => new optim.SGD(parameters, { lr: 3 })",
        checkpoints: "{ everyNTrainSteps: 10 }",
      }),
    );
    expect((await workspace.run(["train", file])).code).toBe(1);
    const [directory] = workspace.runs();
    expect(readRun(directory!)).toMatchObject({ state: "failed", error: { code: "non-finite" } });
    const result = await workspace.run(["train", "--resume", directory!, "--rollback"]);
    expect([result.code, result.stdout]).toEqual([
      0,
      expect.stringMatching(/Back to step \d+, with the learning rate × 0\.5\./),
    ]);
    expect(readRun(directory!)).toMatchObject({ state: "finished", epoch: 70 });
    const back = readRows(directory!).find(({ rollback }) => rollback !== undefined);
    expect(back).toMatchObject({ kind: "event", values: { lr: 1.5 } });
    expect(await workspace.run(["train", file, "--rollback"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--rollback needs a run to --resume.") as string,
    });
  });
});
