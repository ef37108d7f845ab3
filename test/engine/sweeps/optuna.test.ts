// Sweeps that Optuna searches and prunes. Its environment is installed into the user's cache the first time.
import fs from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { ensureOptuna } from "../../../extension/native/install/optuna.ts";
import { NativeError } from "../../../extension/native/errors.ts";
import { cacheDirectory, thisHost } from "../../../extension/native/cache.ts";
import { experimentFile, readRun, useWorkspace } from "../workspace.ts";
import { findSweep, slowLosers, sweptFile } from "./sweepFiles.ts";

const workspace = useWorkspace();

/** Why there is no Optuna here. */
let missing: string | undefined;
beforeAll(async () => {
  try {
    await ensureOptuna();
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    missing = error.message;
  }
}, 600_000);

/** A metric that follows from the settings alone: its minimum is at lr 0.01, width 32. */
const KNOWN = experimentFile({
  sweep: "{ lr: sweep.logUniform(1e-5, 1), width: sweep.choice(8, 16, 32, 64), n: sweep.int(1, 9) }",
  model:
    "({ lr, width }) => Object.assign(new Net(), { cost: Math.log10(lr / 0.01) ** 2 + Math.abs(Math.log2(width / 32)) })",
  optimizer: "(parameters) => new optim.SGD(parameters, { lr: 0 })",
  validationStep: "({ model }) => ({ cost: (model as unknown as { cost: number }).cost })",
  objective: '{ metric: "val_cost" }',
  validation: "0.5",
  epochs: "2",
}).replace("experiment, type", "experiment, sweep, type");

describe("Optuna", () => {
  test("searches by TPE, better than at random, and the same with the same seed", async ({ skip }) => {
    skip(missing !== undefined, missing);
    workspace.write("net.nn.ts", KNOWN);
    const args = ["sweep", "net.nn.ts", "--trials", "30", "--seed", "2"];
    const found = await workspace.run([...args, "--search", "tpe"]);
    expect(found.code, found.stderr).toBe(0);
    const { directory, trials, record } = findSweep(workspace);
    expect(record).toMatchObject({ search: "tpe", state: "finished" });
    expect(trials).toHaveLength(30);
    const mean = (values: readonly number[]): number =>
      values.reduce((sum, one) => sum + one, 0) / values.length;
    const late = mean(trials.slice(15).map(({ value }) => value!));
    await workspace.run(args);
    const random = mean(
      findSweep(workspace)
        .trials.slice(15)
        .map(({ value }) => value!),
    );
    expect(late).toBeLessThan(random / 2);
    await workspace.run([...args, "--search", "tpe"]);
    expect(findSweep(workspace).trials.map(({ settings }) => settings)).toEqual(
      trials.map(({ settings }) => settings),
    );
    // Optuna's own journal, for its own tools.
    const journal = fs.readFileSync(path.join(directory, "optuna.log"), "utf8").trim().split("\n");
    expect(journal.length).toBeGreaterThan(30 * 4);
    for (const line of journal) JSON.parse(line);
  }, 240_000);

  test.for(["median", "hyperband"])("prunes by %s", async (pruner, { skip }) => {
    skip(missing !== undefined, missing);
    const text = sweptFile({
      sweep: "{ lr: sweep.choice(0.3, 0.29, 0.28, 0.27, 0.26, 1e-9, 1e-8, 1e-7) }",
      model: "() => new nn.Linear(4, 3)",
      optimizer: "(parameters, { lr }) => new optim.SGD(parameters, { lr })",
      callbacks: slowLosers("onEpochEnd", 300),
      objective: '{ metric: "loss" }',
      epochs: "12",
    });
    workspace.write("net.nn.ts", text);
    const { code, stderr } = await workspace.run([
      "sweep",
      "net.nn.ts",
      "--search",
      "grid",
      "--pruner",
      pruner,
    ]);
    expect(code, stderr).toBe(0);
    const { trials } = findSweep(workspace);
    expect(trials[0]!.state).toBe("complete");
    const pruned = trials.filter(({ state }) => state === "pruned");
    expect(pruned.length).toBeGreaterThanOrEqual(1);
    for (const { settings } of pruned) expect(settings["lr"]).toBeLessThan(0.3);
    // The others may have trained their last epoch when the stop arrives: only these wait for it.
    for (const { run } of pruned.filter((trial) => Number(trial.settings["lr"]) < 0.1))
      expect(readRun(workspace.file(`.layerwise/runs/${run}`)).epoch).toBeLessThan(12);
  });

  test("continues its study after a kill", async ({ skip }) => {
    skip(missing !== undefined, missing);
    workspace.write(
      "net.nn.ts",
      KNOWN.replace(
        "epochs: 2,",
        "epochs: 8,\n  callbacks: { onEpochEnd: () => new Promise((resolve) => setTimeout(resolve, 30)) },",
      ),
    );
    const command = workspace.start([
      "sweep",
      "net.nn.ts",
      "--trials",
      "12",
      "--search",
      "tpe",
      "--pruner",
      "median",
      "--parallel",
      "2",
    ]);
    await command.printed("trial  4");
    command.child.kill("SIGKILL");
    await command.ended;
    const before = findSweep(workspace);
    const resumed = await workspace.run(["sweep", "resume", before.record.id]);
    expect(resumed.code, resumed.stderr).toBe(0);
    const { trials } = findSweep(workspace);
    expect(trials.map(({ number }) => number)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    for (const { number, state, settings } of before.trials) {
      expect(trials[number]!.settings).toEqual(settings);
      if (state === "complete") expect(trials[number]!.value).toBe(before.trials[number]!.value);
    }
    expect(trials.every(({ state }) => state === "complete" || state === "pruned")).toBe(true);
  }, 120_000);

  test("says what it needs where there is neither Python nor uv", async () => {
    const cache = workspace.file("cache");
    const host = { ...thisHost(), env: { PATH: workspace.file("empty"), LAYERWISE_CACHE: cache } };
    expect(cacheDirectory(host)).toBe(cache);
    await expect(ensureOptuna({ host })).rejects.toThrow(
      /needs Optuna, which needs Python 3 with pip, or uv: Python 3 is not on PATH\. .*--search random with --pruner asha/,
    );
  });
});
