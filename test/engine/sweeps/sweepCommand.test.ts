// `layerwise sweep`: trials, their runs, and what ends a sweep.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { experimentFile, jsonLines, readRows, readRun, useWorkspace } from "../workspace.ts";
import { findSweep, slowLosers, sweptFile } from "./sweepFiles.ts";

const workspace = useWorkspace();

const runOf = (name: string): string => workspace.file(`.layerwise/runs/${name}`);

function weights(directory: string): Record<string, string> {
  const { entries } = loadSafetensors(path.join(directory, "checkpoints", "final.safetensors"));
  return Object.fromEntries(entries.map(({ name, data }) => [name, Buffer.from(data).toString("hex")]));
}

/** Rows without measured times. */
const curve = (directory: string): object[] =>
  readRows(directory).map((row) => ({ ...row, time: 0, spent: undefined }));

describe("sweep", () => {
  test("trains random settings, each as a run of its own, and names the best", async () => {
    workspace.write("net.nn.ts", sweptFile());
    const { code, stdout, stderr } = await workspace.run([
      "sweep",
      "net.nn.ts",
      "--trials",
      "6",
      "--parallel",
      "2",
      "--seed",
      "3",
    ]);
    expect(stderr).toContain("6 trials by random search, seed 3, 2 at a time");
    expect(code).toBe(0);
    const { record, trials } = findSweep(workspace);
    expect(record).toMatchObject({
      state: "finished",
      mode: "min",
      seed: 3,
      trials: 6,
      trialSeed: 0,
      epochs: 4,
    });
    expect(trials.map(({ number, state }) => [number, state])).toEqual(
      [0, 1, 2, 3, 4, 5].map((number) => [number, "complete"]),
    );
    for (const { number, run, settings, value, epoch, metric } of trials) {
      const found = readRun(runOf(run));
      expect(found).toMatchObject({
        state: "finished",
        seed: 0,
        hyperparameters: settings,
        trial: { sweep: record.id, number },
        objective: { metric: "val_loss", mode: "min" },
        epoch: 4,
      });
      expect(found.settings).toMatchObject({ width: settings["width"] });
      const values = readRows(runOf(run))
        .filter(({ kind }) => kind === "epoch")
        .map(({ values: row }) => row["val_loss"]!);
      expect(metric).toBe("val_loss");
      expect(value).toBe(Math.min(...values));
      expect(values[epoch! - 1]).toBe(value);
    }
    const best = trials.toSorted((a, b) => a.value! - b.value!)[0]!;
    expect(stdout).toMatch(new RegExp(`trial +val_loss +epoch +settings\n +${best.number} `));
    expect(stdout).toContain("Importance (rank correlation with val_loss): ");
    expect(stderr).toContain(`layerwise train net.nn.ts --set lr=${best.settings["lr"]} --set width=`);
  });

  test("gives a trial the numbers of the same settings trained alone, bit for bit", async () => {
    workspace.write("net.nn.ts", sweptFile({ epochs: "3" }));
    await workspace.run(["sweep", "net.nn.ts", "--trials", "5", "--parallel", "1", "--seed", "1"]);
    for (const { run, settings, number } of findSweep(workspace).trials) {
      const set = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${String(value)}`]);
      const alone = `alone-${number}`;
      const { code } = await workspace.run(["train", "net.nn.ts", ...set, "--out", alone]);
      expect(code).toBe(0);
      expect(weights(workspace.file(alone))).toEqual(weights(runOf(run)));
      expect(curve(workspace.file(alone))).toEqual(curve(runOf(run)));
      expect(readRun(workspace.file(alone)).hyperparameters).toEqual(settings);
    }
  });

  test("visits a grid, with seeds of its own for an experiment without", async () => {
    workspace.write(
      "net.nn.ts",
      sweptFile({
        seed: "undefined",
        sweep: "{ lr: sweep.choice(0.1, 0.01), width: sweep.int(2, 4) }",
        model: "({ width }) => new nn.Sequential(new nn.Linear(4, width), new nn.Linear(width, 3))",
        epochs: "1",
      }),
    );
    const args = ["sweep", "net.nn.ts", "--search", "grid", "--json", "--seed", "5"];
    const first = await workspace.run(args);
    const { trials } = findSweep(workspace);
    expect(trials.map(({ settings }) => Object.values(settings))).toEqual(
      [0.1, 0.01].flatMap((lr) => [2, 3, 4].map((width) => [lr, width])),
    );
    const seeds = trials.map(({ run }) => readRun(runOf(run)).seed);
    expect(new Set(seeds).size).toBe(6);
    const lines = jsonLines(first.stdout);
    expect(lines[0]).toMatchObject({ event: "start", sweep: { search: "grid", trials: 6 } });
    expect(lines.filter(({ event, state }) => event === "trial" && state === "complete")).toHaveLength(6);
    const end = lines.at(-1)!;
    expect(end).toMatchObject({ event: "end", state: "finished", metric: "val_loss", mode: "min" });
    expect(fs.existsSync(String(end["weights"]))).toBe(true);
    // The same seed, the same sweep.
    await workspace.run(args);
    expect(findSweep(workspace).trials.map(({ value }) => value)).toEqual(trials.map(({ value }) => value));
  });

  test("optimizes the metric that the experiment or the command line names", async () => {
    workspace.write(
      "net.nn.ts",
      sweptFile({ objective: '{ metric: "val_accuracy" }', metrics: '["accuracy"]', epochs: "2" }),
    );
    await workspace.run(["sweep", "net.nn.ts", "--trials", "2"]);
    expect(findSweep(workspace).record).toMatchObject({ metric: "val_accuracy", mode: "max" });
    expect(findSweep(workspace).trials[0]).toMatchObject({ state: "complete", metric: "val_accuracy" });
    await workspace.run(["sweep", "net.nn.ts", "--trials", "1", "--metric", "loss"]);
    expect(findSweep(workspace).record).toMatchObject({ metric: "loss", mode: "min" });
    const missing = await workspace.run(["sweep", "net.nn.ts", "--trials", "4", "--metric", "val_f1"]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('The curves have no metric "val_f1".');
    expect(missing.stderr).toContain("They have loss, accuracy, val_loss, val_accuracy");
    expect(findSweep(workspace)).toMatchObject({ record: { state: "failed" }, trials: { length: 1 } });
  });

  test("prunes with ASHA: bad trials end early, the best trains to its end", async () => {
    // The rate decides: with 1e-9 nothing is learned.
    workspace.write(
      "net.nn.ts",
      experimentFile({
        sweep: "{ lr: sweep.choice(0.3, 1e-9, 1e-8, 1e-7, 1e-6) }",
        optimizer: "(parameters, { lr }) => new optim.SGD(parameters, { lr })",
        callbacks: slowLosers("onEpochEnd", 300),
        epochs: "20",
      }).replace("experiment, type", "experiment, sweep, type"),
    );
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
    expect(trials.map(({ state }) => state)).toEqual(["complete", "pruned", "pruned", "pruned", "pruned"]);
    expect(trials[0]!.rungs).toEqual({ 2: expect.any(Number), 8: expect.any(Number) });
    for (const { run, epoch } of trials.slice(1)) {
      expect(epoch).toBeLessThanOrEqual(2);
      expect(readRun(runOf(run))).toMatchObject({ state: "stopped" });
      expect(readRun(runOf(run)).epoch).toBeLessThan(12);
    }
  });

  test("records a trial that fails, and goes to the next", async () => {
    workspace.write(
      "net.nn.ts",
      sweptFile({
        sweep: "{ lr: sweep.choice(0.1, 1e30, 0.01), width: sweep.choice(4, 5) }",
        model: `({ width }) => {
          if (width === 5) throw new Error("no such width");
          return new nn.Sequential(new nn.Linear(4, width), new nn.Linear(width, 3));
        }`,
        optimizer: "(parameters, { lr }) => new optim.SGD(parameters, { lr })",
        epochs: "3",
      }),
    );
    const { code, stderr } = await workspace.run(["sweep", "net.nn.ts", "--search", "grid"]);
    expect(code).toBe(0);
    const { record, trials } = findSweep(workspace);
    expect(record.state).toBe("finished");
    expect(trials.map(({ state }) => state)).toEqual([
      "complete",
      "failed",
      "failed",
      "failed",
      "complete",
      "failed",
    ]);
    expect(trials[1]!.error).toBe("no such width");
    expect(trials[2]!.error).toContain("The loss is NaN in step");
    expect(stderr).toMatch(/trial 1 {2}failed .*no such width/);
    expect(readRun(runOf(trials[2]!.run))).toMatchObject({ state: "failed", error: { code: "non-finite" } });
  });

  test.each([
    ["a mistake at the top level", { seed: "oops" }, "net.nn.ts:4:9", "oops is not defined"],
    [
      "a model that no settings make",
      { model: "({ width }) => { throw new Error(`never ${width}`) }" },
      "net.nn.ts:11:33",
      "never",
    ],
    [
      "data that is missing",
      { data: '() => data.csv("missing.csv", { target: "x" })' },
      "net.nn.ts",
      "missing.csv",
    ],
  ])("ends at once for %s", async (_, options, place, message) => {
    workspace.write("net.nn.ts", sweptFile(options));
    const { code, stderr } = await workspace.run(["sweep", "net.nn.ts", "--trials", "30"]);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).toContain(place);
    expect(workspace.runs().length).toBeLessThanOrEqual(1);
  });

  test("says what a file without a sweep needs, and refuses what can't be searched", async () => {
    workspace.write("net.nn.ts", experimentFile());
    const none = await workspace.run(["sweep", "net.nn.ts"]);
    expect(none.code).toBe(1);
    expect(none.stderr).toContain("The experiment default has no sweep.");
    workspace.write("net.nn.ts", sweptFile());
    const grid = await workspace.run(["sweep", "net.nn.ts", "--search", "grid"]);
    expect(grid.stderr).toContain("A grid needs parameters with a finite number of values: lr has none.");
    const alone = await workspace.run(["train", "net.nn.ts", "--set", "depth=3"]);
    expect(alone.stderr).toContain("The experiment has no hyperparameter 'depth'");
    expect(fs.existsSync(workspace.file(".layerwise/sweeps"))).toBe(false);
  });

  test("evaluates and predicts with a trial's weights, whose settings make the model", async () => {
    workspace.write("net.nn.ts", sweptFile({ epochs: "1" }));
    await workspace.run(["sweep", "net.nn.ts", "--trials", "3", "--seed", "2"]);
    const trial = findSweep(workspace).trials.find(({ settings }) => settings["width"] !== 4)!;
    const checkpoint = path.join(runOf(trial.run), "checkpoints", "final.safetensors");
    const evaluated = await workspace.run(["evaluate", "net.nn.ts", "--checkpoint", checkpoint, "--json"]);
    expect(evaluated.code).toBe(0);
    const record = jsonLines(evaluated.stdout).at(-1)!;
    expect(record["metrics"]).toMatchObject({ loss: readRun(runOf(trial.run)).metrics["val_loss"] });
    const predicted = await workspace.run(["predict", "net.nn.ts", "--checkpoint", checkpoint]);
    expect(predicted.code).toBe(0);
  });
});
