// Shared functions of the tests of sweeps.
import fs from "node:fs";
import path from "node:path";
import * as v from "valibot";
import {
  SWEEP_FILE,
  SweepRecord,
  SWEEPS_FOLDER,
  TrialRow,
} from "../../../extension/protocol/sweeps/sweep.ts";
import { experimentFile, type Workspace } from "../workspace.ts";

/** A small experiment with a sweep of four hyperparameters; options replace its own. */
export function sweptFile(options: Readonly<Record<string, string>> = {}): string {
  return experimentFile({
    sweep:
      "{ lr: sweep.logUniform(1e-3, 1), width: sweep.choice(4, 8, 16), dropout: sweep.uniform(0, 0.5), layers: sweep.int(1, 3) }",
    model: `({ width, dropout, layers }) => new nn.Sequential(
      new nn.Linear(4, width), new nn.ReLU(), new nn.Dropout(dropout),
      ...Array.from({ length: layers }, () => new nn.Linear(width, width)), new nn.Linear(width, 3))`,
    optimizer: "(parameters, { lr }) => new optim.Adam(parameters, { lr })",
    validation: "0.25",
    epochs: "4",
    ...options,
  })
    .replace("optim, data, experiment,", "optim, data, experiment, sweep,")
    .replace(/export class Net[\s\S]*?\n}\n/, options["model"] === undefined ? "" : "$&");
}

/**
 * Callbacks of a sweep over rates, of which those below 0.1 lose: from the second epoch on, losers wait at each call of `hook`.
 * So a pruner's stop is there before their last epoch on a busy machine too, and winners are as quick as they can be.
 */
export const slowLosers = (hook: "onEpochEnd" | "onStepEnd", milliseconds: number): string =>
  `{ ${hook}: async ({ optimizer, epoch }) => {
    if (epoch >= 2 && optimizer.paramGroups[0].lr < 0.1) await new Promise((go) => setTimeout(go, ${milliseconds}));
  } }`;

export interface FoundSweep {
  directory: string;
  record: SweepRecord;
  /** The last row of each trial, by number. */
  trials: TrialRow[];
  /** All rows. */
  rows: TrialRow[];
}

/** The newest sweep of a workspace; undefined before it has its record. */
export function recordedSweep(workspace: Workspace): FoundSweep | undefined {
  const root = workspace.file(SWEEPS_FOLDER);
  const newest = fs.existsSync(root) ? fs.readdirSync(root).sort().at(-1) : undefined;
  const recorded = newest !== undefined && fs.existsSync(path.join(root, newest, SWEEP_FILE));
  return recorded ? findSweep(workspace) : undefined;
}

/** The newest sweep of a workspace. */
export function findSweep(workspace: Workspace): FoundSweep {
  const root = workspace.file(SWEEPS_FOLDER);
  const directory = path.join(root, fs.readdirSync(root).sort().at(-1)!);
  const record = v.parse(SweepRecord, JSON.parse(fs.readFileSync(path.join(directory, SWEEP_FILE), "utf8")));
  const file = path.join(directory, "trials.jsonl");
  const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
  const rows = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => v.parse(TrialRow, JSON.parse(line)));
  const trials = new Map(rows.map((row) => [row.number, row]));
  return { directory, record, rows, trials: [...trials.values()].sort((a, b) => a.number - b.number) };
}

/** The parts of the newest sweep's trials that don't depend on when and where they ran. */
export const outcomesOf = (workspace: Workspace): object[] =>
  findSweep(workspace).trials.map(({ number, state, error, settings, value, epoch, metric }) => ({
    number,
    state,
    error,
    settings,
    value,
    epoch,
    metric,
  }));
