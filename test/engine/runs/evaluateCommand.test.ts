// `layerwise evaluate` and `layerwise predict`.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { examples, experimentFile, jsonLines, readRun, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

const example = (name: string): string => path.join(examples, name);

describe("evaluate and predict", () => {
  test("predict takes rows of the table that the model was trained on, with its categories", async () => {
    const rows = Array.from({ length: 40 }, (_, i) => `${["flat", "château"][i % 2]},${i},${i % 2}`);
    workspace.write("houses.csv", `kind,size,price\n${rows.join("\n")}\n`);
    const file = workspace.write(
      "houses.nn.ts",
      `import { data, experiment, nn, optim } from "layerwise";
export default experiment({
  model: () => new nn.Linear(3, 1),
  data: () => data.csv("houses.csv", { normalize: "standard" }),
  loss: new nn.MSELoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.05 }),
  epochs: 2,
});
`,
    );
    expect((await workspace.run(["train", file])).code).toBe(0);
    const predict = (input: string, ...more: string[]): ReturnType<typeof workspace.run> =>
      workspace.run(["predict", file, "--input", "-", ...more], { input });
    const given = jsonLines((await predict("price,kind,size\n0,flat,2\n1,château,3\n", "--json")).stdout);
    const held = jsonLines((await predict("size,kind\n2,flat\n", "--json")).stdout);
    expect(given).toHaveLength(2);
    expect(held).toEqual(given.slice(0, 1));
    expect((await predict("size,kind\n2,castle\n")).stderr).toContain(
      'Row 1: "castle" is none of the categories of column "kind": château, flat.',
    );
    const other = await predict("area,kind\n2,flat\n");
    expect(other.stderr).toContain('Row 1: expected a number in column kind, got "flat".');
    expect(other.stderr).toContain("Texts are taken where the first line names the columns");
  });

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
