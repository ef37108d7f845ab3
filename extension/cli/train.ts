import type { Command } from "commander";
import type { RunRecord } from "../protocol/run.ts";
import { checkpointPath, lastCheckpoint } from "../supervisor/runDirectory.ts";
import type { RunOutcome } from "../supervisor/run.ts";
import {
  action,
  commonOptions,
  CommandFailure,
  examples,
  existingFile,
  parseTarget,
  positive,
  printErrors,
  printJson,
  targetDescription,
  type CommonOptions,
} from "./command.ts";
import { createDisplay } from "./display.ts";
import { EXIT } from "./exit.ts";
import { duration, shortPath } from "./render.ts";
import { follow, newDirectory } from "./runCommand.ts";

interface TrainOptions extends CommonOptions {
  epochs?: number;
  out?: string;
  checkpoint?: string;
  progress: boolean;
}

export function register(program: Command): void {
  const command = program
    .command("train")
    .description("train an experiment; its curves, log and weights go to a run directory")
    .argument("<file>", targetDescription)
    .option("--epochs <number>", "epochs to train (default: the experiment's)", positive)
    .option("--out <folder>", "run directory to create (default: .layerwise/runs/<time>-<name>)")
    .option("--checkpoint <file>", "weights to start from, a .safetensors file")
    .option("--no-progress", "print lines only, also on a terminal");
  commonOptions(command, ["seed", "device", "json"]);
  examples(
    command,
    `
Examples:
  layerwise train digits.nn.ts                      the default export
  layerwise train gan.nn.ts#small --epochs 5        another experiment of the file
  layerwise train digits.nn.ts --seed 1 --device wasm
  layerwise train digits.nn.ts --json | jq 'select(.event == "epoch")'

Ctrl-C ends the training after the current step and keeps the model; a second one ends it at once.
With --json every line is an object whose "event" is start, epoch, progress, log, error or end.`,
  ).action(action(train));
}

async function train(argument: string, options: TrainOptions): Promise<number> {
  const { file, exportName } = parseTarget(argument);
  const json = options.json === true;
  const directory = await newDirectory(file, options.out);
  const outcome = await follow(
    {
      kind: "train",
      file,
      exportName: exportName ?? "default",
      directory,
      device: options.device,
      outlive: false,
      ...(options.epochs === undefined ? {} : { epochs: options.epochs }),
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      ...(options.checkpoint === undefined ? {} : { checkpoint: existingFile(options.checkpoint) }),
    },
    createDisplay({ json, bar: options.progress && !json && process.stderr.isTTY }),
  );
  return conclude(outcome, directory, json);
}

/** Prints how a training ended and where its weights are; answers the exit code. */
function conclude({ record, error }: RunOutcome, directory: string, json: boolean): number {
  if (record === undefined) throw new CommandFailure(error === undefined ? [] : [error]);
  const last = lastCheckpoint(record);
  const checkpoint = last === undefined ? undefined : checkpointPath(directory, last);
  if (json) {
    const { state, epoch, step, metrics, best } = record;
    printJson({ event: "end", state, epoch, step, metrics, best, directory, checkpoint, error });
  } else {
    if (error !== undefined) printErrors([error], false);
    else process.stderr.write(`${outcomeLine(record)}\n`);
    if (checkpoint !== undefined) process.stderr.write(`Saved ${shortPath(checkpoint)}\n`);
  }
  if (record.state === "finished") return 0;
  return record.state === "stopped" ? EXIT.interrupted : EXIT.failure;
}

function outcomeLine({ state, epoch, epochs, createdAt, endedAt, executor }: RunRecord): string {
  const seconds = (Date.parse(endedAt ?? createdAt) - Date.parse(createdAt)) / 1000;
  const how = state === "finished" ? "Trained" : "Stopped after";
  const of = epoch === epochs ? "" : ` of ${epochs}`;
  const on = executor === undefined ? "" : ` on ${executor.version}`;
  return `${how} ${epoch}${of} epochs in ${duration(seconds)}${on}`;
}
