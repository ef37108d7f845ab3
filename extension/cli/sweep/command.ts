import path from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import { rootOfRun } from "../../files/runFiles.ts";
import { NativeError } from "../../native/errors.ts";
import { ensureOptuna } from "../../native/install/optuna.ts";
import { EngineError } from "../../protocol/errors.ts";
import {
  MOST_PARALLEL,
  MOST_TRIALS,
  PRUNERS,
  SEARCHES,
  SWEEP_FILE,
  type SweepRecord,
  type TrialRow,
} from "../../protocol/sweeps/sweep.ts";
import {
  bestFirst,
  checkpointPath,
  exists,
  readRecord,
  runsRoot,
} from "../../supervisor/runs/runDirectory.ts";
import { openSweep, type OpenSweep } from "../../supervisor/sweeps/openSweep.ts";
import {
  GRACE_PERIOD,
  newSweep,
  oldSweep,
  PRUNER,
  REDUCTION_FACTOR,
  SEARCH,
  TRIALS,
} from "../../supervisor/sweeps/plan.ts";
import { bestTrial, type Sweep, type SweepSource } from "../../supervisor/sweeps/sweep.ts";
import { readSweep, sweepsRoot } from "../../supervisor/sweeps/sweepDirectory.ts";
import { Workers } from "../../supervisor/sweeps/workers.ts";
import {
  action,
  CommandFailure,
  commonOptions,
  engineOptions,
  examples,
  parseTarget,
  positive,
  printErrors,
  targetDescription,
  UsageError,
} from "../command.ts";
import { EXIT, interruptSignal } from "../exit.ts";
import { printJson, printStderr } from "../output.ts";
import { shortPath } from "../render.ts";
import { onOption, sendOptions } from "../remote/options.ts";
import { quoted, setOptions } from "../settings.ts";
import { printSummary, summaryLines, SweepDisplay } from "./display.ts";
import { machineOf, placing, sourceOf, type SweepOptions } from "./options.ts";

export function register(program: Command): void {
  const command = program
    .command("sweep")
    .description("train an experiment with many settings of its sweep, and find the best")
    .argument("[file]", `${targetDescription}; or "resume"`)
    .argument("[sweep]", `after "resume": the sweep's name, or its directory`)
    .option("--trials <number>", `trials to train (default: ${TRIALS}; all of a grid)`, atMost(MOST_TRIALS))
    .option("--parallel <number>", "trials at a time (default: 1)", atMost(MOST_PARALLEL))
    .addOption(
      new Option("--search <name>", `how settings are chosen (default: ${SEARCH})`).choices(SEARCHES),
    )
    .addOption(
      new Option("--pruner <name>", `what ends bad trials early (default: ${PRUNER})`).choices(PRUNERS),
    )
    .option(
      "--metric <name>",
      "what to optimize (default: the experiment's objective, else val_loss or loss)",
    )
    .addOption(
      new Option("--mode <mode>", "whether smaller or larger values are better").choices(["min", "max"]),
    )
    .option("--epochs <number>", "epochs of a trial (default: the experiment's)", positive)
    .option(
      "--reduction-factor <number>",
      `of asha and hyperband: one trial in so many trains on (default: ${REDUCTION_FACTOR})`,
      atMost(1000),
    )
    .option(
      "--grace-period <number>",
      `epochs that a trial trains before it can be pruned (default: ${GRACE_PERIOD})`,
      atMost(MOST_TRIALS),
    )
    .option("--name <export>", "the experiment, as after # in the file's name")
    .option("--resume <sweep>", "continue a sweep that was stopped or killed: its name, or its directory")
    .option("--force-unlock", "with --resume: also from a process on another host or in a container")
    .option("--outside", "with --resume: also if the file is outside of the folder that holds the sweep")
    .option("--no-progress", "print lines only, also on a terminal");
  onOption(command);
  sendOptions(command);
  commonOptions(command, ["seed", "device", "json"]);
  examples(
    command,
    `
Each trial is a run of its own, in .layerwise/runs; the sweep is in .layerwise/sweeps. --seed is that of the search.
Search "tpe" and pruners "median" and "hyperband" are Optuna's, which is installed into the user's cache the first time
(needs Python 3 with pip, or uv). All others need no Python.

Examples:
  layerwise sweep digits.nn.ts --trials 40 --parallel 2
  layerwise sweep digits.nn.ts --search grid
  layerwise sweep digits.nn.ts --trials 100 --pruner asha --metric val_accuracy
  layerwise sweep digits.nn.ts --search tpe --pruner median
  layerwise sweep digits.nn.ts --parallel 4 --on ray://head.example.org   each trial is a job of the cluster
  layerwise sweep resume 20260131-142501-digits     after Ctrl-C or a crash; finished trials are kept
  layerwise sweep digits.nn.ts --json | jq 'select(.event == "trial" and .state == "complete") | .value'

Ctrl-C ends the running trials after their current step, to be resumed; a second one ends them at once.
With --json every line is an object whose "event" is install, start, trial, log, error or end.`,
  ).action(action(sweep));
}

function atMost(most: number): (text: string) => number {
  return (text) => {
    const value = positive(text);
    if (value > most) throw new InvalidArgumentError(`Must be at most ${most}.`);
    return value;
  };
}

async function sweep(
  argument: string | undefined,
  more: string | undefined,
  options: SweepOptions,
): Promise<number> {
  const resumed = resumedSweep(argument, more, options);
  const json = options.json === true;
  const display = new SweepDisplay({ json, bar: options.progress });
  const engine = engineOptions();
  const stored = resumed === undefined ? undefined : await readSweep(await findSweep(resumed));
  const device = stored !== undefined && options.device === "auto" ? stored.record.device : options.device;
  const on = await machineOf(options, stored?.record);
  const workers = new Workers(engine, on === undefined ? device : undefined);
  const interrupted = interruptSignal();
  let opened: OpenSweep | undefined;
  try {
    workers.prepare(Math.min(options.parallel ?? stored?.record.parallel ?? 1, MOST_PREPARED));
    const place = placing(on, stored?.record.on);
    const plan =
      stored === undefined
        ? await newSweep(sourceOf(argument, options), options, {
            folder: process.cwd(),
            workers,
            device,
            place,
          })
        : await oldSweep(stored, options, { workers, device, place, outside: options.outside === true });
    const { directory, record: planned, source } = plan;
    opened = await openSweep(plan, {
      workers,
      engine,
      on,
      events: display.events,
      force: options.forceUnlock === true,
      python: () => installOptuna(json, interrupted),
    });
    const { sweep: running, before, size } = opened;
    display.start(planned, before, size, directory);
    const endKill = endOnInterrupt(running, display, { interrupted, elsewhere: on !== undefined });
    const record = await running.run().finally(endKill);
    display.end();
    return await conclude(record, running.trials, { directory, source, json, send: options.send });
  } catch (error) {
    if (interrupted.aborted) return EXIT.interrupted;
    throw error;
  } finally {
    display.end();
    await workers.dispose();
    opened?.close();
  }
}

/** Most processes that are started before the first trials. */
const MOST_PREPARED = 16;

/** Options that a resumed sweep keeps. */
const FIXED = [
  "search",
  "pruner",
  "metric",
  "mode",
  "epochs",
  "reductionFactor",
  "gracePeriod",
  "name",
  "seed",
] as const;

const flagOf = (option: string): string =>
  `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The sweep that is to be resumed; undefined for a new one. */
function resumedSweep(
  argument: string | undefined,
  more: string | undefined,
  options: SweepOptions,
): string | undefined {
  const byWord = argument === "resume" && more !== undefined ? more : undefined;
  const name = options.resume ?? byWord;
  if (name === undefined) {
    if (argument === "resume" && !hasFile(argument)) throw new UsageError("missing the sweep to resume");
    if (more !== undefined) throw new UsageError(`unexpected argument ${more}`);
    for (const flag of ["forceUnlock", "outside"] as const)
      if (options[flag] !== undefined) throw new UsageError(`${flagOf(flag)} needs a sweep to --resume.`);
    return undefined;
  }
  const excluded = FIXED.find((one) => options[one] !== undefined);
  if (byWord === undefined && argument !== undefined)
    throw new UsageError(`--resume continues a sweep unchanged: leave out ${argument}.`);
  if (excluded !== undefined)
    throw new UsageError(`--resume continues a sweep unchanged: leave out ${flagOf(excluded)}.`);
  return name;
}

function hasFile(name: string): boolean {
  try {
    parseTarget(name);
    return true;
  } catch {
    return false;
  }
}

/** @throws UsageError when there is no such sweep */
async function findSweep(name: string): Promise<string> {
  for (const directory of [path.resolve(name), path.join(sweepsRoot(process.cwd()), name)])
    if (await exists(path.join(directory, SWEEP_FILE))) return directory;
  throw new UsageError(`There is no sweep ${name} in ${shortPath(sweepsRoot(process.cwd()))}.`);
}

async function installOptuna(json: boolean, signal: AbortSignal): Promise<string> {
  try {
    const onProgress = (text: string): void =>
      json ? printJson({ event: "install", text }) : printStderr(text);
    return await ensureOptuna({ signal, onProgress });
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    const { code, message, detail } = error;
    const hint = detail?.trim().split("\n").slice(-3).join("\n");
    throw new EngineError({ code, message, ...(hint === undefined ? {} : { hint }) });
  }
}

/** Stops the sweep at the first interruption, and kills its trials when the second one ends this process. */
function endOnInterrupt(
  running: Sweep,
  display: SweepDisplay,
  { interrupted, elsewhere }: { interrupted: AbortSignal; elsewhere: boolean },
): () => void {
  const stop = (): void => {
    const again = elsewhere ? "Ctrl-C again doesn't wait for them." : "Ctrl-C again ends them at once.";
    display.above(`Stopping after the trials' current steps. ${again}`);
    running.stop();
  };
  const kill = (): void => running.killNow();
  if (interrupted.aborted) stop();
  interrupted.addEventListener("abort", stop, { once: true });
  process.once("exit", kill);
  return () => {
    interrupted.removeEventListener("abort", stop);
    process.removeListener("exit", kill);
  };
}

interface Conclusion {
  directory: string;
  source: SweepSource;
  json: boolean;
  /** Paths that were sent to another machine: the record doesn't name them, since it may come from a stranger. */
  send: readonly string[] | undefined;
}

/** Prints how the sweep ended; returns the exit code. */
async function conclude(
  record: SweepRecord,
  trials: readonly TrialRow[],
  { directory, source, json, send = [] }: Conclusion,
): Promise<number> {
  const { best, weights } = await bestWeights(record, trials, directory);
  if (json) {
    const { state, error, metric = best?.metric, mode } = record;
    printJson({ event: "end", state, directory, metric, mode, best, weights, error });
  } else {
    printSummary(summaryLines(record, trials));
    if (best !== undefined) {
      const target =
        shortPath(source.file) + (source.exportName === "default" ? "" : `#${source.exportName}`);
      printStderr(`Train with the best settings: layerwise train ${target} ${setOptions(best.settings)}`);
      if (weights !== undefined) printStderr(`Weights of trial ${best.number}: ${shortPath(weights)}`);
    }
    const words = [record.id, ...send.map((one) => `--send ${quoted(one)}`)];
    if (record.state === "stopped") printStderr(`Continue with: layerwise sweep resume ${words.join(" ")}`);
  }
  if (record.error !== undefined) {
    if (!json) printErrors([record.error], false);
    return EXIT.failure;
  }
  if (record.state === "stopped") return EXIT.interrupted;
  if (best !== undefined) return 0;
  throw new CommandFailure([{ code: "sweep", message: "No trial is complete." }]);
}

async function bestWeights(
  record: SweepRecord,
  trials: readonly TrialRow[],
  directory: string,
): Promise<{ best: TrialRow | undefined; weights: string | undefined }> {
  const best = bestTrial(record, trials);
  if (best === undefined) return { best, weights: undefined };
  const run = path.join(runsRoot(rootOfRun(directory)), best.run);
  const checkpoint = await readRecord(run).then(
    (found) => bestFirst(found)[0],
    () => undefined,
  );
  return { best, weights: checkpoint === undefined ? undefined : checkpointPath(run, checkpoint) };
}
