import { randomInt } from "node:crypto";
import { basename } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Device } from "../../protocol/device.ts";
import { EngineError } from "../../protocol/errors.ts";
import {
  modeOf,
  type ExperimentDescription,
  type Mode,
  type PrunerName,
  type SearchName,
  type SearchSpace,
  type SweepRecord,
} from "../../protocol/sweeps/sweep.ts";
import type { RunPlace } from "../../protocol/target.ts";
import { sourceOfRun, type SourceOptions } from "../runs/sourceFile.ts";
import { gridSize } from "./samplers.ts";
import type { SweepSource } from "./sweep.ts";
import { makeSweepDirectory, type StoredSweep } from "./sweepDirectory.ts";
import type { Workers } from "./workers.ts";

/** Choices for a new sweep; the rest has defaults. */
export interface SweepChoices {
  trials?: number | undefined;
  parallel?: number | undefined;
  search?: SearchName | undefined;
  pruner?: PrunerName | undefined;
  metric?: string | undefined;
  mode?: Mode | undefined;
  epochs?: number | undefined;
  reductionFactor?: number | undefined;
  gracePeriod?: number | undefined;
  seed?: number | undefined;
}

/** Trials of a random search or TPE, unless a number is chosen. */
export const TRIALS = 20;
export const SEARCH: SearchName = "random";
export const PRUNER: PrunerName = "none";
export const REDUCTION_FACTOR = 4;
export const GRACE_PERIOD = 1;

/** A sweep that is ready to run. */
export interface Plan extends StoredSweep {
  source: SweepSource;
  /** Whether it has just been planned, so that nothing of it is on disk. */
  fresh: boolean;
}

/** Inputs of a plan. */
export interface PlanParts {
  workers: Pick<Workers, "describe">;
  device: Device;
  /** For trials on another machine: remembers it for the sweep of this id, and returns its entry in the record. */
  place?: ((id: string) => Promise<RunPlace>) | undefined;
}

/**
 * Plans a new sweep of an experiment, and makes its directory in a folder.
 * @throws EngineError if the file is broken, or has no sweep
 */
export async function newSweep(
  { file, exportName }: SweepSource,
  choices: SweepChoices,
  { workers, device, place, folder }: PlanParts & { folder: string },
): Promise<Plan> {
  const description = await workers.describe({ file, exportName, device: deviceHere(device, place) });
  const { space } = description;
  if (Object.keys(space).length === 0)
    throw new EngineError({
      code: "no-sweep",
      message: `The experiment ${description.exportName} has no sweep.`,
      position: { file, line: 1, column: 1 },
      hint: "Add hyperparameters, such as sweep: { lr: sweep.logUniform(1e-4, 1e-1) }, and take them in its functions.",
    });
  const source = { file, exportName: description.exportName };
  const { search = SEARCH, pruner = PRUNER, parallel = 1, epochs, seed = randomInt(2 ** 32) } = choices;
  const { reductionFactor = REDUCTION_FACTOR, gracePeriod = GRACE_PERIOD } = choices;
  const most = search === "grid" ? gridSize(space) : undefined;
  const trials = Math.min(choices.trials ?? most ?? TRIALS, most ?? Infinity);
  const word = basename(file).replace(/(\.nn)?\.[cm]?[jt]s$/, "");
  const directory = await makeSweepDirectory(folder, word);
  const id = basename(directory);
  const record: SweepRecord = {
    version: 1,
    id,
    state: "running",
    ...source,
    createdAt: new Date().toISOString(),
    space,
    ...objectiveOf(description, choices),
    search,
    pruner,
    reductionFactor,
    gracePeriod,
    seed,
    trials,
    parallel,
    device,
    ...(place === undefined ? {} : { on: await place(id) }),
    epochs: epochs ?? description.epochs,
    epochsGiven: epochs !== undefined,
    ...(description.seed === undefined ? {} : { trialSeed: description.seed }),
  };
  return { directory, record, trials: [], source, fresh: true };
}

/**
 * Plans the rest of a sweep.
 * @param choices that may differ from the first time
 * @throws EngineError if its file was moved, or its search space has changed
 */
export async function oldSweep(
  { directory, record, trials }: StoredSweep,
  choices: Pick<SweepChoices, "trials" | "parallel">,
  { workers, device, place, ...where }: PlanParts & SourceOptions,
): Promise<Plan> {
  const file = await sourceOfRun(directory, record, where);
  const source = { file, exportName: record.exportName };
  const { space } = await workers.describe({ ...source, device: deviceHere(device, place) });
  if (!isDeepStrictEqual(withoutDefaults(space), withoutDefaults(record.space)))
    throw new EngineError({
      code: "sweep",
      message: `The search space of ${basename(file)} has changed since the sweep ${record.id} began.`,
      hint: "Start a new sweep, or restore the file's sweep.",
    });
  const { parallel = record.parallel, trials: count = record.trials } = choices;
  return {
    directory,
    trials,
    source,
    fresh: false,
    record: {
      ...record,
      parallel,
      trials: Math.max(count, ...trials.map(({ number }) => number + 1)),
      device,
      ...(place === undefined ? {} : { on: await place(record.id) }),
    },
  };
}

/** The file's description needs no engine where the trials compute elsewhere. */
const deviceHere = (device: Device, place: PlanParts["place"]): Device =>
  place === undefined ? device : "cpu";

/** The objective: the one that is chosen, else the experiment's. */
function objectiveOf(
  { objective = {} }: ExperimentDescription,
  choices: SweepChoices,
): Pick<SweepRecord, "metric" | "mode"> {
  const metric = choices.metric ?? objective.metric;
  const stated = metric === objective.metric ? objective.mode : undefined;
  const mode = choices.mode ?? stated ?? (metric === undefined ? "min" : modeOf(metric));
  return { mode, ...(metric === undefined ? {} : { metric }) };
}

/** Compares without defaults, which may become the best trial's settings meanwhile. */
const withoutDefaults = (space: SearchSpace): object =>
  Object.fromEntries(Object.entries(space).map(([name, domain]) => [name, { ...domain, default: 0 }]));
