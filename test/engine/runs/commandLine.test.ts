import fs from "node:fs";
import path from "node:path";
import { describe, expect, test, vi } from "vitest";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { isAlive } from "../../../extension/processes/identity.ts";
import { examples, experimentFile, jsonLines, readRows, readRun, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

const example = (name: string): string => path.join(examples, name);

/**
 * PyTorch 2.15.0 prints this: torch.manual_seed(0); SimpleNN(10, 5, 2); X = torch.randn(100, 10);
 * y = torch.randint(0, 2, (100,)); Adam of lr 0.001; 100 epochs of the whole set; then torch.randn(5, 10).
 */
const PYTORCH_LINES = [
  "Epoch [10/100], Loss: 0.7862",
  "Epoch [20/100], Loss: 0.7672",
  "Epoch [30/100], Loss: 0.7513",
  "Epoch [40/100], Loss: 0.7383",
  "Epoch [50/100], Loss: 0.7277",
  "Epoch [60/100], Loss: 0.7191",
  "Epoch [70/100], Loss: 0.7119",
  "Epoch [80/100], Loss: 0.7058",
  "Epoch [90/100], Loss: 0.7005",
  "Epoch [100/100], Loss: 0.6956",
];
const PYTORCH_TEXT = `SimpleNN(
  (fc1): Linear(in_features=10, out_features=5, bias=True)
  (relu): ReLU()
  (fc2): Linear(in_features=5, out_features=2, bias=True)
)`;

describe("run", () => {
  test("the tutorial prints what PyTorch prints, saves and loads", async () => {
    const result = await workspace.run(["run", example("tutorial.nn.ts")]);
    expect(result.stderr).toBe("");
    expect(result.stdout.trimEnd().split("\n")).toEqual([
      ...PYTORCH_TEXT.split("\n"),
      ...PYTORCH_LINES,
      "Predicted labels: tensor([0, 0, 1, 1, 1])",
      "<All keys matched successfully>",
      "Reloaded labels:  tensor([0, 0, 1, 1, 1])",
    ]);
    expect(result.code).toBe(0);
    const { entries } = loadSafetensors(workspace.file("simple_nn.safetensors"));
    expect(entries.map(({ name }) => name).sort()).toEqual([
      "fc1.bias",
      "fc1.weight",
      "fc2.bias",
      "fc2.weight",
    ]);
  });

  test("waits for timers and promises, and exits as the program says", async () => {
    const file = workspace.write(
      "program.nn.ts",
      `import { print } from "layerwise";
setTimeout(() => { print("later"); process.exitCode = 7; }, 50);
print("first");`,
    );
    expect(await workspace.run(["run", file])).toMatchObject({ stdout: "first\nlater\n", code: 7 });
    const exits = workspace.write("exits.nn.ts", "console.log('here'); process.exit(3);");
    expect(await workspace.run(["run", exits])).toMatchObject({ stdout: "here\n", code: 3 });
  });

  test("what follows -- are the program's arguments", async () => {
    const file = workspace.write(
      "arguments.nn.ts",
      "console.log(JSON.stringify(process.argv.slice(2)), process.argv[1]?.endsWith('arguments.nn.ts'));",
    );
    const own = ["--epochs", "3", "--lr=0.01", "--device", "tpu"];
    const result = await workspace.run(["run", file, "--seed", "1", "--", ...own]);
    expect(result).toMatchObject({ stdout: `${JSON.stringify(own)} true\n`, code: 0 });
    expect((await workspace.run(["run", file])).stdout).toBe("[] true\n");
    expect((await workspace.run(["run", file, "--epochs", "3"])).stderr).toContain(
      "unknown option '--epochs'",
    );
    expect((await workspace.run(["run", "--help"])).stdout).toContain("-- --epochs 3");
  });

  test("Ctrl-C ends it", async () => {
    const file = workspace.write("endless.nn.ts", 'console.log("pid", process.pid); for (;;);');
    const command = workspace.start(["run", file]);
    await command.printed("pid ");
    command.child.kill("SIGINT");
    const { code, stdout } = await command.ended;
    expect(code).toBe(130);
    await vi.waitFor(async () => expect(await isAlive(Number(stdout.slice(4)))).toBe(false));
  });

  test("--seed comes before the first line", async () => {
    const file = workspace.write(
      "seed.nn.ts",
      'import { torch, print } from "layerwise"; print(torch.rand(2));',
    );
    // torch.manual_seed(7); print(torch.rand(2))
    expect((await workspace.run(["run", file, "--seed", "7"])).stdout).toBe("tensor([0.5349, 0.1988])\n");
  });
});

describe("train", () => {
  test("prints PyTorch's losses, and keeps all of the run in its directory", async () => {
    const result = await workspace.run(["train", example("simplenn.nn.ts")]);
    expect(result.stdout.trimEnd().split("\n")).toEqual(PYTORCH_LINES);
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

describe("evaluate and predict", () => {
  test("use the best weights of the newest training, on the samples it held out", async () => {
    const file = example("iris.nn.ts");
    expect(await workspace.run(["evaluate", file])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/There is no trained model of .*iris\.nn\.ts in \.layerwise\/runs/),
    });
    await workspace.run(["train", file, "--epochs", "40", "--seed", "3"]);
    const trained = readRun(workspace.runs()[0]!);
    const best = trained.checkpoints.find(({ kind }) => kind === "best")!;

    const evaluated = await workspace.run(["evaluate", file, "--json"]);
    expect(evaluated.code).toBe(0);
    const result = jsonLines(evaluated.stdout).find(({ event }) => event === "evaluated")!;
    expect(result).toMatchObject({ samples: 30, classes: ["setosa", "versicolor", "virginica"] });
    const confusion = result["confusion"] as number[][];
    expect(confusion.flat().reduce((sum, count) => sum + count, 0)).toBe(30);
    // The same split again, by the seed in the weights' file.
    expect((result["metrics"] as Record<string, number>)["loss"]).toBeCloseTo(best.metrics["val_loss"]!, 6);

    const evaluation = workspace.runs().find((directory) => readRun(directory).kind === "evaluate")!;
    expect(readRun(evaluation)).toMatchObject({
      state: "finished",
      settings: { checkpoint: path.join(workspace.runs()[0]!, best.file) },
    });
    expect(JSON.parse(fs.readFileSync(path.join(evaluation, "evaluation.json"), "utf8"))).toMatchObject({
      samples: 30,
      confusion,
    });

    const held = await workspace.run(["predict", file, "--count", "4", "--json"]);
    expect(held.code).toBe(0);
    const predictions = jsonLines(held.stdout);
    expect(predictions).toHaveLength(4);
    expect(predictions[0]).toMatchObject({ label: expect.any(Number), target: [expect.any(Number)] });

    workspace.write("flowers.csv", "a,b,c,d\n5.1,3.5,1.4,0.2\n6.7,3.1,5.6,2.4\n");
    const rows = await workspace.run(["predict", file, "--input", "flowers.csv"]);
    expect(rows.stdout).toMatch(/^0: setosa \(0\) .*\n1: virginica \(2\) /);
    const piped = await workspace.run(["predict", file, "--input", "-", "--json"], {
      input: "[[5.1, 3.5, 1.4, 0.2]]",
    });
    expect(jsonLines(piped.stdout)).toMatchObject([{ label: 0, className: "setosa" }]);
    expect(
      await workspace.run(["predict", file, "--input", "-"], { input: "[[5.1, 3.5, 1.4]]" }),
    ).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Row 1 has 3 values, expected 4: a sample's shape is [4]."),
    });
  });

  test("weights that don't fit or are damaged are refused", async () => {
    const file = example("iris.nn.ts");
    workspace.write("bad.safetensors", "not a file of tensors");
    expect(await workspace.run(["predict", file, "--checkpoint", "bad.safetensors"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("The weights can't be read:"),
    });
    await workspace.run(["run", example("tutorial.nn.ts")]);
    const misfit = await workspace.run(["evaluate", file, "--checkpoint", "simple_nn.safetensors"]);
    expect(misfit.code).toBe(1);
    expect(misfit.stderr).toContain('Missing key(s) in state_dict: "layers.0.weight"');
  });

  test("of weights that are damaged, the next best are taken, and that is told", async () => {
    const file = workspace.write(
      "net.nn.ts",
      experimentFile({ epochs: "3", checkpoints: '{ monitor: "loss", everyNTrainSteps: 4 }' }),
    );
    expect((await workspace.run(["train", file, "--out", ".layerwise/runs/one"])).code).toBe(0);
    const names = readRun(workspace.file(".layerwise/runs/one")).checkpoints.map((one) => one.file);
    expect(names.length).toBeGreaterThan(1);
    const damage = (name: string): void =>
      fs.truncateSync(workspace.file(`.layerwise/runs/one/${name}`), 100);
    const best = names.find((name) => name.includes("best"))!;
    damage(best);
    const { code, stderr } = await workspace.run(["evaluate", file]);
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(
        /^The weights can't be read: .*best.*\.safetensors \(100 bytes\): .*\nUsing .* instead\.\nEvaluating .*final/,
      ),
    ]);
    names.forEach(damage);
    const none = await workspace.run(["evaluate", file]);
    expect(none.code).toBe(1);
    expect(none.stderr.match(/The weights can't be read/g)).toHaveLength(names.length);
  });
});

describe("a table of one's own", () => {
  const model = experimentFile(
    {
      data: '() => data.csv("flowers.csv", { target: "species", normalize: "standard", missing: "mean" })',
      validation: "0.25",
      batchSize: "8",
      epochs: "30",
      metrics: '["accuracy", "f1"]',
      optimizer: "(parameters) => new optim.Adam(parameters, { lr: 0.05 })",
    },
    "",
  );
  const rows = Array.from({ length: 60 }, (_, i) => {
    const kind = i % 3;
    return `${kind * 100 + (i % 7)},${kind - i / 100},${i === 5 ? "" : i % 5},${kind * 2},${"abc"[kind]}`;
  });

  test("is found beside the model, scaled by its training part, and so are rows to predict", async () => {
    fs.mkdirSync(workspace.file("models"));
    const file = workspace.write("models/net.nn.ts", model);
    workspace.write("models/flowers.csv", `size,shade,spots,age,species\n${rows.join("\n")}\n`);
    const trained = await workspace.run(["train", file]);
    expect(trained).toMatchObject({ code: 0, stderr: expect.stringContaining("Trained 30 epochs") });
    const record = readRun(workspace.runs()[0]!);
    expect(record.metrics["val_accuracy"]).toBe(1);
    expect(record.metrics["val_f1"]).toBe(1);
    const predicted = await workspace.run(["predict", file, "--input", "-", "--json"], {
      input: "[[203, 1.8, 2, 4], [1, 0, 2, 0]]",
    });
    expect(jsonLines(predicted.stdout)).toMatchObject([{ className: "c" }, { className: "a" }]);
    expect((await workspace.run(["summary", file])).stdout).toContain("[8, 4]");
  });

  test("a wrong cell is told with its place", async () => {
    const file = workspace.write("net.nn.ts", model);
    workspace.write("flowers.csv", "size,shade,spots,age,species\n1,2,3,4,a\n5,6,7,8\n");
    const result = await workspace.run(["train", file]);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(
      `${workspace.file("flowers.csv")}:3:7: expected 5 cells (size, shade, spots, age, species), got 4`,
    );
    expect(result.stderr).toContain("net.nn.ts:");
  });
});

describe("lr-find", () => {
  test("prints the curve and suggests a rate; nothing is saved", async () => {
    const file = workspace.write("net.nn.ts", experimentFile());
    const result = await workspace.run(["lr-find", file, "--min", "1e-4", "--steps", "40"]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toMatch(/^Loss from lr 1\.00e-4 to 1\.00e\+0\n[▁-█]{40}\n/);
    expect(result.stdout).toMatch(/ <- steepest\n[^]*\nSuggested learning rate: \d\.\d\de-\d\n$/);
    expect(workspace.runs()).toEqual([]);
    const [answer] = jsonLines(
      (await workspace.run(["lr-find", file, "--min", "1e-4", "--steps", "40", "--json"])).stdout,
    );
    expect(answer).toMatchObject({ diverged: false, suggestion: expect.any(Number) });
    expect(answer!["points"]).toHaveLength(40);
    expect(await workspace.run(["lr-find", file, "--steps", "5"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("There are too few points to suggest a rate"),
    });
    expect((await workspace.run(["lr-find", file, "--max", "1e-9"])).code).toBe(2);
  });
});

describe("print, summary, runs and usage", () => {
  test("print is PyTorch's print(model)", async () => {
    const result = await workspace.run(["print", example("simplenn.nn.ts")]);
    expect(result).toMatchObject({ code: 0, stdout: `${PYTORCH_TEXT}\n`, stderr: "" });
    expect((await workspace.run(["print", `${example("simplenn.nn.ts")}#default`])).stdout).toBe(
      `${PYTORCH_TEXT}\n`,
    );
  });

  test("every class has its own name, in the build too", async () => {
    const names = ["BertModel", "Embedding", "Transformer"];
    const file = workspace.write(
      "names.nn.ts",
      `import { nn } from "layerwise";
      class Own extends nn.Module {
        static make() { return new Own(); }
        table = nn.Embedding.fromPretrained(new nn.Embedding(2, 3).weight);
        bert = new nn.BertModel({ numHiddenLayers: 0 });
        forward() {}
      }
      console.log(String(Own.make()).split("(")[0], ${names.map((name) => `nn.${name}.name`).join(", ")});
      console.log(String(new Own().table), String(new Own().bert).split("(")[0]);`,
    );
    const result = await workspace.run(["run", file]);
    expect(result.stdout).toContain(`Own ${names.join(" ")}\nEmbedding(2, 3) BertModel\n`);
  });

  test("summary has shapes and counts of every layer", async () => {
    const result = await workspace.run(["summary", example("simplenn.nn.ts")]);
    expect(result.code).toBe(0);
    const line =
      "├─Linear: 1-1                            [100, 10]            [100, 5]             55                   5,500";
    expect(result.stdout.split("\n")).toContain(line);
    expect(result.stdout).toContain("Total params: 67\n");
    const digits = await workspace.run([
      "summary",
      example("digits.nn.ts"),
      "--columns",
      "kernel_size,trainable",
      "--width",
      "12",
      "--rows",
      "var_names",
      "--weights",
    ]);
    expect(digits.stdout).toContain(`
├─Conv2d (conv1)                         [3, 3]       True
│    └─weight                            [1, 16, 3, 3]
│    └─bias                              [16]
├─ReLU (relu)                            --           --
`);
  });

  test("runs lists what was run, and says what was killed", async () => {
    expect((await workspace.run(["runs"])).stdout).toBe("There are no runs in .layerwise/runs.\n");
    await workspace.run(["train", example("simplenn.nn.ts"), "--epochs", "2"]);
    const result = await workspace.run(["runs"]);
    expect(result.stdout).toMatch(
      /^run +kind +state +model .*\n\S+-simplenn +train +finished +SimpleNN +2\/2 +Loss: 0\.80\d\d +final\n$/,
    );
    expect(jsonLines((await workspace.run(["runs", "--json"])).stdout)).toMatchObject([
      { state: "finished", epoch: 2 },
    ]);
  });

  test("predict takes several inputs one after the other, and prints several outputs", async () => {
    const file = workspace.write(
      "both.nn.ts",
      `import { data, experiment, nn, optim, torch, type Tensor } from "layerwise";
class Both extends nn.Module {
  fc = new nn.Linear(2, 1);
  forward(x: Tensor, y: Tensor): [Tensor, Tensor] {
    return [x.mul(10), y.add(this.fc(x).mul(0))];
  }
}
export default experiment({
  model: () => new Both(),
  data: () => new data.TensorDataset(torch.zeros(4, 2), torch.zeros(4, 1), torch.zeros(4, 1)),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  validation: 0.5,
  batchSize: 2,
  epochs: 1,
  trainStep: ({ model, batch, optimizer }) => {
    const [, y] = model.forward(batch[0]!, batch[1]!);
    optimizer.zeroGrad();
    const loss = y.sum();
    loss.backward();
    optimizer.step();
    return loss;
  },
  validationStep: ({ model, batch }) => ({ size: model.forward(batch[0]!, batch[1]!)[1].sum() }),
});
`,
    );
    expect((await workspace.run(["train", file])).stdout).toContain("Val Size: 0.0000");
    expect((await workspace.run(["evaluate", file])).stdout).toContain("2 samples, Size: 0.0000");
    const rows = await workspace.run(["predict", file, "--input", "-", "--json"], {
      input: "[[1, 2, 3], [[4, 5], [6]]]",
    });
    expect(jsonLines(rows.stdout)).toEqual([{ output: [10, 20, 3] }, { output: [40, 50, 6] }]);
    const wrong = await workspace.run(["predict", file, "--input", "-"], { input: "[[1, 2]]" });
    expect(wrong.stderr).toContain(
      "Row 1 has 2 values, expected 3: a sample's inputs are [2], [1], one after the other.",
    );
    expect(jsonLines((await workspace.run(["predict", file, "--json", "--count", "1"])).stdout)).toEqual([
      { output: [0, 0, 0] },
    ]);
  });

  test("runs tells the exports of one file apart", async () => {
    const text = experimentFile({ epochs: "1" });
    const start = text.indexOf("export default ");
    const file = workspace.write(
      "net.nn.ts",
      `${text.replace("export default ", "export const small = ")}\n${text.slice(start).replace("export default ", "export const large = ")}`,
    );
    await workspace.run(["train", `${file}#small`]);
    await workspace.run(["train", `${file}#large`]);
    const models = (await workspace.run(["runs"])).stdout
      .split("\n")
      .map((line) => /Net \(\w+\)/.exec(line)?.[0]);
    expect(new Set(models.filter(Boolean))).toEqual(new Set(["Net (large)", "Net (small)"]));
  });

  test("a wrong command line is exit code 2", async () => {
    const file = example("simplenn.nn.ts");
    for (const args of [
      ["train"],
      ["train", "missing.nn.ts"],
      ["train", file, "--epochs", "0"],
      ["train", file, "--epochs", "many"],
      ["train", file, "--device", "gpu"],
      ["train", file, "--nonsense"],
      ["print", `${file}#Nobody`],
      ["predict", file, "--input", "missing.csv"],
      ["conjure"],
    ]) {
      const { code, stderr } = await workspace.run(args);
      expect([args.join(" "), code]).toEqual([args.join(" "), 2]);
      expect(stderr).not.toBe("");
    }
    expect((await workspace.run(["train", "missing.nn.ts"])).stderr).toContain(
      "There is no file missing.nn.ts.",
    );
  });

  test("help has examples, and the exit codes", async () => {
    for (const name of ["train", "evaluate", "lr-find", "summary", "print", "run", "runs"]) {
      const { code, stdout } = await workspace.run([name, "--help"]);
      expect(code).toBe(0);
      expect(stdout).toContain(`Examples:\n  layerwise ${name}`);
    }
    expect((await workspace.run(["--help"])).stdout).toMatch(/Exit codes: 0 .*1 .*2 .*130/);
  });
});
