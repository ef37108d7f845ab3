import { randomInt } from "node:crypto";
import path from "node:path";
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
  type TrialRow,
} from "../../protocol/sweeps/sweep.ts";
import { sourceOfRun } from "../../supervisor/runs/sourceFile.ts";
import { gridSize } from "../../supervisor/sweeps/samplers.ts";
import type { SweepSource } from "../../supervisor/sweeps/sweep.ts";
import { makeSweepDirectory } from "../../supervisor/sweeps/sweepDirectory.ts";
import type { Workers } from "../../supervisor/sweeps/workers.ts";
import { parseTarget, UsageError, type CommonOptions } from "../command.ts";
import { shortPath } from "../render.ts";

export interface SweepOptions extends CommonOptions {
  trials?: number;
  parallel?: number;
  search?: SearchName;
  pruner?: PrunerName;
  metric?: string;
  mode?: Mode;
  epochs?: number;
  reductionFactor?: number;
  gracePeriod?: number;
  name?: string;
  resume?: string;
  forceUnlock?: true;
  outside?: true;
  progress: boolean;
}

/** Trials of a random search or TPE without `--trials`. */
export const TRIALS = 20;
export const SEARCH: SearchName = "random";
export const PRUNER: PrunerName = "none";
export const REDUCTION_FACTOR = 4;
export const GRACE_PERIOD = 1;

/** A sweep that is ready to run. */
export interface Plan {
  directory: string;
  record: SweepRecord;
  trials: TrialRow[];
  source: SweepSource;
}

/** Plans a new sweep, and makes its directory. @throws EngineError if the file is broken, or has no sweep */
export async function newSweep(
  argument: string | undefined,
  options: SweepOptions,
  workers: Workers,
): Promise<Plan> {
  if (argument === undefined) throw new UsageError("missing required argument 'file' (or --resume <sweep>)");
  const { file, exportName = options.name } = parseTarget(argument);
  const { device } = options;
  const description = await workers.describe({ file, exportName: exportName ?? "default", device });
  const { space } = description;
  if (Object.keys(space).length === 0)
    throw new EngineError({
      code: "no-sweep",
      message: `The experiment ${description.exportName} has no sweep.`,
      position: { file, line: 1, column: 1 },
      hint: "Add hyperparameters, such as sweep: { lr: sweep.logUniform(1e-4, 1e-1) }, and take them in its functions.",
    });
  const source = { file, exportName: description.exportName };
  const { search = SEARCH, pruner = PRUNER, parallel = 1, epochs } = options;
  const { reductionFactor = REDUCTION_FACTOR, gracePeriod = GRACE_PERIOD } = options;
  if (reductionFactor < 2) throw new UsageError("--reduction-factor must be at least 2.");
  const trials = options.trials ?? (search === "grid" ? gridSize(space) : TRIALS);
  const { seed = randomInt(2 ** 32) } = options;
  if (seed < 0) throw new UsageError("--seed must be at least 0.");
  const word = path.basename(file).replace(/(\.nn)?\.[cm]?[jt]s$/, "");
  const directory = await makeSweepDirectory(process.cwd(), word);
  const record: SweepRecord = {
    version: 1,
    id: path.basename(directory),
    state: "running",
    ...source,
    createdAt: new Date().toISOString(),
    space,
    ...objectiveOf(description, options),
    search,
    pruner,
    reductionFactor,
    gracePeriod,
    seed,
    trials,
    parallel,
    device,
    epochs: epochs ?? description.epochs,
    epochsGiven: epochs !== undefined,
    ...(description.seed === undefined ? {} : { trialSeed: description.seed }),
  };
  return { directory, record, trials: [], source };
}

/** The objective: that of the command line, else of the experiment. */
function objectiveOf(
  { objective = {} }: ExperimentDescription,
  options: SweepOptions,
): Pick<SweepRecord, "metric" | "mode"> {
  const metric = options.metric ?? objective.metric;
  const stated = metric === objective.metric ? objective.mode : undefined;
  const mode = options.mode ?? stated ?? (metric === undefined ? "min" : modeOf(metric));
  return { mode, ...(metric === undefined ? {} : { metric }) };
}

interface OldSweep {
  directory: string;
  record: SweepRecord;
  trials: TrialRow[];
  options: SweepOptions;
  device: Device;
  workers: Workers;
}

/** Plans the rest of a sweep. @throws EngineError if its file was moved, or its search space has changed */
export async function oldSweep({
  directory,
  record,
  trials,
  options,
  device,
  workers,
}: OldSweep): Promise<Plan> {
  const file = await sourceOfRun(directory, record, options.outside === true ? { outside: true } : {});
  const source = { file, exportName: record.exportName };
  const { space } = await workers.describe({ ...source, device });
  if (!isDeepStrictEqual(withoutDefaults(space), withoutDefaults(record.space)))
    throw new EngineError({
      code: "sweep",
      message: `The search space of ${shortPath(file)} has changed since the sweep ${record.id} began.`,
      hint: "Start a new sweep, or restore the file's sweep.",
    });
  const { parallel = record.parallel, trials: count = record.trials } = options;
  return {
    directory,
    trials,
    source,
    record: {
      ...record,
      parallel,
      trials: Math.max(count, ...trials.map(({ number }) => number + 1)),
      device,
    },
  };
}

/** Compares without defaults, which may become the best trial's settings meanwhile. */
const withoutDefaults = (space: SearchSpace): object =>
  Object.fromEntries(Object.entries(space).map(([name, domain]) => [name, { ...domain, default: 0 }]));
