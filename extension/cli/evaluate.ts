import type { Command } from "commander";
import {
  action,
  commonOptions,
  CommandFailure,
  examples,
  existingFile,
  parseTarget,
  targetDescription,
  type CommonOptions,
} from "./command.ts";
import { createDisplay } from "./display.ts";
import { EXIT } from "./exit.ts";
import { printJson, printStderr } from "./output.ts";
import { shortPath } from "./render.ts";
import { findCheckpoint, newDirectory } from "./findRun.ts";
import { followRun, type Followed } from "./followRun.ts";
import { onOption, remoteOf, sendOptions, type RemoteOptions } from "./remote/options.ts";

interface EvaluateOptions extends CommonOptions, RemoteOptions {
  checkpoint?: string;
  out?: string;
}

export function register(program: Command): void {
  const command = program
    .command("evaluate")
    .description("measure a trained model on held-out data: metrics, and for classes the confusion matrix")
    .argument("<file>", targetDescription)
    .option("--checkpoint <file>", "weights, a .safetensors file (default: the best of the newest training)")
    .option("--out <folder>", "run directory to create (default: .layerwise/runs/<time>-<name>)");
  onOption(command);
  sendOptions(command);
  commonOptions(command, ["seed", "device", "json"]);
  examples(
    command,
    `
The data is the experiment's test set, else its validation set, else its training set. A random split is repeated with the
training's seed, which the weights file records.

Examples:
  layerwise evaluate digits.nn.ts
  layerwise evaluate digits.nn.ts --checkpoint runs/a/checkpoints/best.safetensors
  layerwise evaluate digits.nn.ts --on gpu         on another machine; the result comes here
  layerwise evaluate digits.nn.ts --json | jq 'select(.event == "evaluated").metrics'`,
  ).action(action(evaluate));
}

async function evaluate(argument: string, options: EvaluateOptions): Promise<number> {
  const target = parseTarget(argument);
  const json = options.json === true;
  const checkpoint =
    options.checkpoint === undefined ? await findCheckpoint(target) : existingFile(options.checkpoint);
  if (!json) printStderr(`Evaluating ${shortPath(checkpoint)}`);
  const on = await remoteOf(options);
  const directory = await newDirectory(target.file, options.out);
  const outcome = await followRun(
    {
      kind: "evaluate",
      file: target.file,
      exportName: target.exportName ?? "default",
      directory,
      device: options.device,
      checkpoint,
      outlive: false,
      ...(on === undefined ? {} : { on }),
      ...(options.seed === undefined ? {} : { seed: options.seed }),
    },
    createDisplay({ json, bar: false }),
  );
  return concludeEvaluation(outcome, { directory, checkpoint, json });
}

/** Reports how an evaluation ended; returns the exit code. */
export function concludeEvaluation(
  { record, error, evaluation }: Followed,
  { directory, checkpoint, json }: { directory: string; checkpoint: string; json: boolean },
): number {
  if (json && record !== undefined)
    printJson({ event: "end", state: record.state, metrics: record.metrics, directory, checkpoint, error });
  if (error !== undefined) throw new CommandFailure([error]);
  if (record?.state === "stopped") return EXIT.interrupted;
  return evaluation === undefined ? EXIT.failure : 0;
}
