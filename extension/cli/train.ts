import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Command } from "commander";
import type { RunRequest } from "../protocol/engine.ts";
import { secondsOf } from "../protocol/runs/duration.ts";
import { isLive, type RunRecord } from "../protocol/run.ts";
import { isResumable, keptHint, resumeRequest } from "../supervisor/runs/resume.ts";
import type { RunOn } from "../protocol/target.ts";
import { checkpointPath, lastCheckpoint, readRecord } from "../supervisor/runs/runDirectory.ts";
import { outgrown } from "../supervisor/runs/runHistory.ts";
import type { RunOutcome } from "../supervisor/runs/run.ts";
import { sourceOfRun } from "../supervisor/runs/sourceFile.ts";
import {
  action,
  commonOptions,
  CommandFailure,
  examples,
  existingFile,
  parseTarget,
  positive,
  printErrors,
  targetDescription,
  UsageError,
  type CommonOptions,
} from "./command.ts";
import { createDisplay } from "./display.ts";
import { EXIT } from "./exit.ts";
import { isTerminal, printJson, printStderr } from "./output.ts";
import { duration, shortPath } from "./render.ts";
import { findRun, newDirectory } from "./findRun.ts";
import { setOption, type SetOptions } from "./settings.ts";
import {
  detachOption,
  groupOf,
  onOption,
  remoteOf,
  sendOptions,
  type RemoteOptions,
} from "./remote/options.ts";
import { followRun } from "./followRun.ts";
import { counted, workerCount, workersOf, type Launch } from "./parallel/workers.ts";
import { checkOption, checkTypes, type CheckOptions } from "./typeCheck.ts";

interface TrainOptions extends CommonOptions, CheckOptions, SetOptions, RemoteOptions {
  epochs?: number;
  out?: string;
  checkpoint?: string;
  resume?: string;
  progress: boolean;
  tensorboard?: true;
  watch?: true;
  explain?: true;
  rollback?: true;
  keptVersion?: true;
  forceUnlock?: true;
  outside?: true;
  workers?: number;
  maxRestarts: number;
  openNetwork?: true;
}

export function register(program: Command): void {
  const command = program
    .command("train")
    .description("train an experiment; its curves, log and weights go to a run directory")
    .argument("[file]", targetDescription)
    .option("--epochs <number>", "epochs to train (default: the experiment's)", positive)
    .option("--out <folder>", "run directory to create (default: .layerwise/runs/<time>-<name>)")
    .option("--checkpoint <file>", "weights to start from, a .safetensors file")
    .option("--resume <run>", "resume a run from its last saved state: its directory, or its name")
    .option("--rollback", "with --resume: go back to the last sound state with half the learning rate")
    .option(
      "--kept-version",
      "with --resume: with the sources as they were when the run began, which it has kept",
    )
    .option("--force-unlock", "with --resume: also from a process on another host or in a container")
    .option("--outside", "with --resume: also a run whose file is outside of the folder that holds the run")
    .option("--tensorboard", "write the curves for TensorBoard too, into the run directory")
    .option(
      "--watch",
      "look for probable mistakes in data, layers and losses, as the experiment's watch does",
    )
    .option(
      "--workers <number>",
      "processes that train one model together, each on its part of every batch; with --on ray://…, in a placement group",
      workerCount,
    )
    .option(
      "--hosts <names>",
      "machines that train one model together, by ssh: a,b or a:2,b (two workers on a); localhost is this one",
    )
    .option(
      "--max-restarts <number>",
      "with --workers or --hosts: how often all start again from the last saved state when one dies",
      counted,
      3,
    )
    .option(
      "--open-network",
      "let workers be reached from other machines: anyone who reaches them can run code here, without a password",
    )
    .option("--explain", "print what the engine chose for this model (compiled graphs, threads, …) and why")
    .option("--no-progress", "print lines only, also on a terminal");
  onOption(command);
  sendOptions(command);
  detachOption(command);
  setOption(command);
  commonOptions(command, ["seed", "device", "json"]);
  checkOption(command);
  examples(
    command,
    `
Examples:
  layerwise train digits.nn.ts                      the default export
  layerwise train gan.nn.ts#small --epochs 5        another experiment of the file
  layerwise train digits.nn.ts --seed 1 --device wasm
  layerwise train digits.nn.ts --set lr=0.003 --set width=64   hyperparameters of its sweep
  layerwise train --resume 20260131-142501-digits   go on after a stop or a crash, bit for bit
  layerwise train --resume .layerwise/runs/20260131-142501-digits --epochs 50
  layerwise train --resume 20260131-142501-digits --kept-version   after changes that its state doesn't fit
  layerwise train --resume 20260131-142501-digits --rollback   after a loss that was NaN: half the learning rate
  layerwise train digits.nn.ts --workers 2         two processes, each on half of every batch
  layerwise train digits.nn.ts --hosts gpu1,gpu2   on two machines that ssh reaches, each on half of every batch
  layerwise train digits.nn.ts --on ssh://me@gpu.example.org   on another machine; it may also be a name of ~/.ssh/config
  layerwise train digits.nn.ts --on ray://head.example.org:8265   as a job of a Ray cluster
  layerwise train digits.nn.ts --on ray://head.example.org:8265 --workers 4 --open-network   on four nodes
  layerwise train digits.nn.ts --json | jq 'select(.event == "epoch")'

Ctrl-C ends the training after the current step and keeps the model; a second one ends it at once.
With --json every line is an object whose "event" is start, epoch, progress, log, error or end.`,
  ).action(action(train));
}

async function train(argument: string | undefined, options: TrainOptions): Promise<number> {
  const json = options.json === true;
  if (options.hosts !== undefined) demandAlone(options);
  const workers = await workersOf(options);
  if (typeof workers === "number") return workers;
  if (workers?.follows === true) return follow(workers, argument, options);
  const on = await remoteOf(options);
  const request =
    options.resume === undefined
      ? await newRun(argument, options, on)
      : await resumedRun(argument, options.resume, options, on);
  if (options.explain === true) request.explain = true;
  if (options.watch === true) request.watch = true;
  const display = createDisplay({ json, bar: options.progress && !json && isTerminal("stderr") });
  const endCheck = options.check && request.version === undefined ? checkTypes(request.file) : undefined;
  try {
    const detach = options.detach === true;
    const spawn = workers?.spawn(request);
    const outcome = await followRun(request, display, { detach, ...(spawn === undefined ? {} : { spawn }) });
    return conclude(await withKept(outcome, request), request.directory, json);
  } finally {
    await endCheck?.();
  }
}

/** @throws UsageError for options that hosts don't go with */
function demandAlone({ workers, on, detach }: TrainOptions): void {
  if (workers !== undefined)
    throw new UsageError("--hosts names the workers: a:2 has two. Leave out --workers.");
  if (on !== undefined) throw new UsageError("--hosts trains on the hosts that it names: leave out --on.");
  if (detach !== undefined)
    throw new UsageError("Workers on several hosts end with this command: leave out --detach.");
}

/** Trains as a worker whose curves and weights the first worker writes: what this one writes is scratch. */
async function follow(
  { spawn }: Launch,
  argument: string | undefined,
  options: TrainOptions,
): Promise<number> {
  const scratch = await mkdtemp(path.join(tmpdir(), "layerwise-worker-"));
  try {
    const { resume, ...rest } = options;
    const out = path.join(scratch, "run");
    const file = resume === undefined ? argument : await sourceToResume(resume, rest.outside);
    const request = await newRun(file, { ...rest, out, progress: false }, undefined);
    const quiet = createDisplay({ json: options.json === true, bar: false });
    const { error } = await followRun(request, quiet, { spawn: spawn(request) });
    if (error !== undefined) throw new CommandFailure([error]);
    return 0;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The file and export of a run. */
async function sourceToResume(resume: string, outside = false): Promise<string> {
  const directory = await findRun(resume);
  const record = await readRecord(directory);
  return `${await sourceOfRun(directory, record, { outside })}#${record.exportName}`;
}

async function newRun(
  argument: string | undefined,
  options: TrainOptions,
  on: RunOn | undefined,
): Promise<RunRequest> {
  if (on === undefined && options.detach !== undefined) throw new UsageError("--detach needs --on.");
  if (options.rollback !== undefined) throw new UsageError("--rollback needs a run to --resume.");
  if (options.keptVersion !== undefined) throw new UsageError("--kept-version needs a run to --resume.");
  if (options.forceUnlock !== undefined) throw new UsageError("--force-unlock needs a run to --resume.");
  if (options.outside !== undefined) throw new UsageError("--outside needs a run to --resume.");
  if (argument === undefined) throw new UsageError("missing required argument 'file' (or --resume <run>)");
  const { file, exportName } = parseTarget(argument);
  const checkpoint = options.checkpoint === undefined ? undefined : existingFile(options.checkpoint);
  return {
    kind: "train",
    file,
    exportName: exportName ?? "default",
    directory: await newDirectory(file, options.out),
    device: options.device,
    outlive: false,
    ...(on === undefined ? {} : { on }),
    ...(options.tensorboard === undefined ? {} : { tensorboard: true }),
    ...(options.epochs === undefined ? {} : { epochs: options.epochs }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(options.set === undefined ? {} : { hyperparameters: options.set }),
  };
}

/** @throws UsageError, EngineError if there is no such run, or it can't be resumed */
async function resumedRun(
  argument: string | undefined,
  run: string,
  options: TrainOptions,
  on: RunOn | undefined,
): Promise<RunRequest> {
  const excluded = (["seed", "out", "checkpoint", "set"] as const).find(
    (name) => options[name] !== undefined,
  );
  if (argument !== undefined || excluded !== undefined)
    throw new UsageError(`--resume continues a run unchanged: leave out ${argument ?? `--${excluded}`}.`);
  const { device, epochs, tensorboard, rollback, keptVersion, forceUnlock, outside } = options;
  const directory = await findRun(run);
  // Of a run on hosts, those of its start are known.
  const hosts = on === undefined && (await readRecord(directory)).on?.kind === "hosts";
  return resumeRequest(directory, {
    ...(device === "auto" ? {} : { device }),
    ...(epochs === undefined ? {} : { epochs }),
    ...(tensorboard === undefined ? {} : { tensorboard }),
    ...(rollback === undefined ? {} : { rollback }),
    ...(keptVersion === undefined ? {} : { kept: true }),
    ...(forceUnlock === undefined ? {} : { forceUnlock }),
    ...(outside === undefined ? {} : { outside }),
    onWait: () => printStderr("The run's process is still there. Waiting a few seconds for its end."),
    ...(hosts ? { on: groupOf(options) } : on === undefined ? {} : { on }),
  });
}

/** Has the error of a run that was not resumed name the kept version, if its sources have changed. */
async function withKept(
  outcome: RunOutcome,
  { resume, version, directory, file }: RunRequest,
): Promise<RunOutcome> {
  const { error } = outcome;
  if (resume !== true || version !== undefined || error === undefined) return outcome;
  if (error.code === "killed" || error.code === "non-finite") return outcome;
  const changed = await outgrown(directory, file);
  if (changed.length === 0) return outcome;
  const kept = `Changed since the run began: ${changed.join(", ")}. ${keptHint(path.basename(directory))}`;
  const hint = error.hint === undefined ? kept : `${error.hint}\n${kept}`;
  return { ...outcome, error: { ...error, hint } };
}

/** Prints how a training ended and where its weights are; returns the exit code. */
export function conclude({ record, error }: RunOutcome, directory: string, json: boolean): number {
  if (record === undefined) throw new CommandFailure(error === undefined ? [] : [error]);
  const last = lastCheckpoint(record);
  const newest = last === undefined ? undefined : checkpointPath(directory, last);
  // The directory may have been deleted while it trained.
  const checkpoint = newest !== undefined && existsSync(newest) ? newest : undefined;
  if (json) {
    const { state, epoch, step, metrics, best } = record;
    printJson({ event: "end", state, epoch, step, metrics, best, directory, checkpoint, error });
  } else {
    if (error !== undefined) printErrors([error], false);
    else if (isLive(record)) printStderr(leftLine(record));
    else printStderr(outcomeLine(record));
    if (error !== undefined && record.state === "killed" && isResumable(record))
      printStderr(
        `Continue from its last saved state, which may be older: layerwise train --resume ${shortPath(directory)}`,
      );
    // A run that fails before its first step has weights of an earlier time.
    const saved = error === undefined ? "Saved" : "Newest weights:";
    if (checkpoint !== undefined) printStderr(`${saved} ${shortPath(checkpoint)}`);
  }
  if (error !== undefined) return EXIT.failure;
  if (record.state === "finished" || isLive(record)) return 0;
  return record.state === "stopped" ? EXIT.interrupted : EXIT.failure;
}

/** Of a run that continues on another machine. */
const leftLine = ({ id, on }: RunRecord): string =>
  `Running on ${on?.name ?? "another machine"}. Follow it with layerwise attach ${id}`;

function outcomeLine(record: RunRecord): string {
  const { state, epoch, epochs, executor } = record;
  const how = state === "finished" ? "Trained" : "Stopped after";
  const of = epoch === epochs ? "" : ` of ${epochs}`;
  const on = executor === undefined ? "" : ` on ${executor.version}`;
  return `${how} ${epoch}${of} epochs in ${duration(secondsOf(record))}${on}`;
}
