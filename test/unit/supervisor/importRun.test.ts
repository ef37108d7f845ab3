import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { writePng } from "../../../extension/formats/images/png.ts";
import type { ForeignRun } from "../../../extension/protocol/history/foreignRun.ts";
import { LayerRow } from "../../../extension/protocol/run.ts";
import { listPictures } from "../../../extension/supervisor/runs/evaluationFiles.ts";
import { rebinned } from "../../../extension/supervisor/runs/importedLayers.ts";
import { importedNames } from "../../../extension/supervisor/runs/importedRows.ts";
import { importRun, knownImports } from "../../../extension/supervisor/runs/importRun.ts";
import { LayerHistory } from "../../../extension/supervisor/runs/layerHistory.ts";
import { readRows } from "../../../extension/supervisor/runs/metrics.ts";
import { isResumable } from "../../../extension/supervisor/runs/resume.ts";
import { listRuns, readRecord } from "../../../extension/supervisor/runs/runDirectory.ts";
import { readLabels } from "../../../extension/supervisor/runs/runLabels.ts";
import { sourceOfRun } from "../../../extension/supervisor/runs/sourceFile.ts";
import * as v from "valibot";

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(tmpdir(), "layerwise-import-"));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

function png(): Uint8Array {
  const file = path.join(folder, "a.png");
  writePng(file, { width: 2, height: 2, data: new Uint8Array(12).fill(255) });
  return fs.readFileSync(file);
}

const foreign = (more: Partial<ForeignRun> = {}): ForeignRun => ({
  tool: "mlflow",
  path: path.join(folder, "mlruns/1/abc"),
  id: "abc",
  name: "baseline",
  group: "digits",
  state: "failed",
  began: 1000,
  ended: 1010,
  parameters: new Map([["model/lr", 0.5]]),
  notes: new Map([["team", "vision"]]),
  series: [
    { name: "train_loss", steps: [0, 1, 5], times: [1000, 1001, 1005], values: [3, 2, Number.NaN] },
    { name: "val_loss", steps: [1], times: [1002], values: [2.5] },
    { name: "epoch", steps: [0, 5], times: [1000, 1005], values: [0.25, 1.25] },
  ],
  histograms: [],
  pictures: [],
  problems: ["a: the file ends within a record."],
  ...more,
});

const imported = async (run: ForeignRun): ReturnType<typeof importRun> =>
  importRun(folder, run, await knownImports(folder));

describe("a run of another tool", () => {
  test("becomes a run directory whose curves and record every reader has", async () => {
    const { directory, record, updated } = await imported(foreign());
    expect(updated).toBe(false);
    expect(await readRecord(directory)).toEqual(record);
    expect(record).toMatchObject({
      state: "failed",
      model: "digits",
      exportName: "baseline",
      file: path.join(folder, "mlruns/1/abc"),
      createdAt: "1970-01-01T00:16:40.000Z",
      epoch: 1,
      step: 5,
      imported: { tool: "mlflow", id: "abc" },
      hyperparameters: { model_lr: 0.5 },
      settings: { tool: "MLflow", "model/lr": 0.5, team: "vision" },
    });
    expect(await readRows(directory, 100)).toEqual([
      { kind: "step", step: 0, epoch: 0.25, time: 0, values: { loss: 3 } },
      { kind: "step", step: 1, epoch: 0.25, time: 1, values: { loss: 2, val_loss: 2.5 } },
      { kind: "step", step: 5, epoch: 1.25, time: 5, values: { loss: Number.NaN } },
    ]);
    expect(fs.readFileSync(path.join(directory, "log.txt"), "utf8")).toBe(
      "a: the file ends within a record.\n",
    );
  });

  test("is brought up to date by another import, and keeps its labels", async () => {
    const { directory } = await imported(foreign());
    expect(await readLabels(directory)).toMatchObject({ name: "digits (baseline)" });
    fs.writeFileSync(path.join(directory, "labels.json"), JSON.stringify({ name: "mine" }));
    const series = [{ name: "train_loss", steps: [9], times: [1009], values: [1] }];
    expect(await imported(foreign({ series, state: "finished" }))).toMatchObject({
      directory,
      updated: true,
    });
    expect((await readRecord(directory)).metrics).toEqual({ loss: 1 });
    expect(await listRuns(folder)).toHaveLength(1);
    expect(fs.readFileSync(path.join(directory, "labels.json"), "utf8")).toContain("mine");
    // Of another id at the same path it is another run.
    await imported(foreign({ id: "def" }));
    expect(await listRuns(folder)).toHaveLength(2);
  });

  test("that grows has rows added to its file, and is written whole where earlier ones have changed", async () => {
    const known = await knownImports(folder);
    const write = async (series: ForeignRun["series"]): ReturnType<typeof importRun> =>
      importRun(folder, foreign({ series }), known);
    const one = (name: string, ...points: [step: number, value: number][]): ForeignRun["series"][number] => ({
      name,
      steps: points.map(([step]) => step),
      times: points.map(([step]) => 1000 + step),
      values: points.map(([, value]) => value),
    });
    const epoch = one("epoch", [0, 0.25], [1, 0.5]);
    const { directory, appended } = await write([one("loss", [0, 3], [1, 2]), epoch]);
    expect(appended).toBe(false);
    const file = path.join(directory, "metrics.jsonl");
    const before = fs.statSync(file).ino;
    const more = [one("loss", [0, 3], [1, 2], [2, 1]), epoch, one("val_loss", [1, 5])];
    const added = await write(more);
    expect(added).toMatchObject({ updated: true, appended: true, record: { step: 2, epoch: 0 } });
    expect(added.record.metrics).toEqual({ loss: 1, val_loss: 5 });
    expect(fs.statSync(file).ino).toBe(before);
    expect(await readRows(directory, 100)).toEqual([
      { kind: "step", step: 0, epoch: 0.25, time: 0, values: { loss: 3 } },
      { kind: "step", step: 1, epoch: 0.5, time: 1, values: { loss: 2 } },
      { kind: "step", step: 1, epoch: 0.5, time: 1, values: { val_loss: 5 } },
      { kind: "step", step: 2, epoch: 0.5, time: 2, values: { loss: 1 } },
    ]);
    // A value before the end, a training that went back, and a metric whose name here another one has by its own.
    const late = [...more, one("accuracy", [0, 0.5])];
    const back = [one("train_loss", [0, 3], [1, 9]), epoch];
    const shared = [one("loss", [2, 4]), ...back];
    for (const [series, last] of [
      [late, { loss: 1, val_loss: 5, accuracy: 0.5 }],
      [back, { loss: 9 }],
      [shared, { train_loss: 9, loss: 4 }],
    ] as const) {
      const written = await write(series);
      expect(written).toMatchObject({ appended: false, record: { metrics: last } });
    }
    expect((await readRows(directory, 100)).map(({ step, values }) => [step, values])).toEqual([
      [0, { train_loss: 3 }],
      [1, { train_loss: 9 }],
      [2, { loss: 4 }],
    ]);
  });

  test("has no code to run", async () => {
    const { directory, record } = await imported(foreign());
    expect(isResumable(record)).toBe(false);
    await expect(sourceOfRun(directory, record)).rejects.toThrow(
      /was imported from MLflow: it has curves, but no code/,
    );
  });

  test("that lies elsewhere is found by the run's own file", async () => {
    const { directory, record } = await imported(foreign({ path: "/elsewhere/trackio/a.db" }));
    expect(record.file).toBe(path.join(directory, "run.json"));
  });

  test("keeps rows with thousands of metrics readable", async () => {
    const series = Array.from({ length: 1000 }, (_, i) => ({
      name: `${"m".repeat(190)}${i}`,
      steps: [1],
      times: [1001],
      values: [i],
    }));
    const { directory } = await imported(foreign({ series }));
    const rows = await readRows(directory, 10_000);
    expect(Object.keys(Object.assign({}, ...rows.map(({ values }) => values)) as object)).toHaveLength(1000);
  });

  test("shows its histograms as layers, and its pictures", async () => {
    const edges = [-1, 0, 1];
    const histograms = ["fc1.weight", "fc1.weight.grad", "gradients/fc1.weight"].map((name, i) => ({
      name,
      step: i < 2 ? 3 : 4,
      edges,
      counts: [2, 6],
    }));
    const pictures = [{ name: "../../samples first", step: 3, png: png() }];
    const { directory } = await imported(foreign({ histograms, pictures }));
    const columns = await new LayerHistory(directory).columns({ generation: 0, kept: 0 });
    expect(columns!.steps).toEqual([3, 4]);
    const rows = fs.readFileSync(path.join(directory, "layers.jsonl"), "utf8").trim().split("\n");
    const [first, second] = rows.map((row) => v.parse(LayerRow, JSON.parse(row)));
    expect(Object.keys(first!.layers)).toEqual(["fc1.weight"]);
    expect(Object.keys(first!.layers["fc1.weight"]!).sort()).toEqual(["gradients", "weights"]);
    expect(Object.keys(second!.layers["fc1.weight"]!)).toEqual(["gradients"]);
    expect(await listPictures(directory)).toEqual([
      {
        file: "step-00000003-.._.._samples_first.png",
        name: ".._.._samples_first",
        at: 3,
        unit: "step",
      },
    ]);
  });
});

describe("names of metrics", () => {
  test.each([
    ["train_loss", "loss"],
    ["train/loss", "loss"],
    ["eval/loss", "val_loss"],
    ["val_accuracy", "val_accuracy"],
    ["validation/accuracy", "val_accuracy"],
    ["training_time", "time"],
    ["trainer/global_step", "trainer/global_step"],
    ["evaluate", "evaluate"],
  ])("%s becomes %s", (given, name) => {
    expect(importedNames([given]).get(given)).toBe(name);
  });

  test("stay the tool's where two would be the same", () => {
    const names = importedNames(["train/loss", "loss", "val/loss", "eval/loss"]);
    expect([...names.values()]).toEqual(["train/loss", "loss", "val/loss", "eval/loss"]);
  });
});

describe("histograms", () => {
  test("keep their count and mean in bins of equal width", () => {
    const { low, high, mean, counts } = rebinned({
      name: "",
      step: 0,
      edges: [-1e308, 0, 1, 3, 1e308],
      counts: [0, 4, 8, 0],
    })!;
    expect([low, high, mean]).toEqual([0, 3, (4 * 0.5 + 8 * 2) / 12]);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeCloseTo(12);
    expect(counts[0]).toBeCloseTo(4 * (3 / 32));
  });

  test("of one value have one bin", () => {
    expect(rebinned({ name: "", step: 0, edges: [2, 2], counts: [5] })).toMatchObject({ low: 2, high: 2 });
  });

  test.each([
    [[0, Number.NaN], [1]],
    [[0, 1], [0]],
    [[1, 0], [1]],
    [[-1.7e308, 1.7e308], [1]],
  ])("of edges %j and counts %j are none", (edges, counts) => {
    expect(rebinned({ name: "", step: 0, edges, counts })).toBeUndefined();
  });
});
