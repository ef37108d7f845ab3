import type { Command } from "commander";
import { resumeRequest } from "../../supervisor/runs/resume.ts";
import { readRecord } from "../../supervisor/runs/runDirectory.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import { action, commonOptions, examples, UsageError } from "../command.ts";
import { createDisplay } from "../display.ts";
import { findRun } from "../findRun.ts";
import { followRun } from "../followRun.ts";
import { isTerminal } from "../output.ts";
import { namedTarget, onOption } from "./options.ts";
import { concludeEvaluation } from "../evaluate.ts";
import { conclude } from "../train.ts";

interface AttachOptions {
  on?: string;
  progress: boolean;
  json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command("attach")
    .description("follow a run on another machine again, to its end; its checkpoints come here")
    .argument("<run>", "the run's name, or its directory")
    .option("--no-progress", "print lines only, also on a terminal");
  onOption(command);
  commonOptions(command, ["json"]);
  examples(
    command,
    `
Examples:
  layerwise attach 20260131-142501-digits
  layerwise runs --stop 20260131-142501-digits      stops it, while it is followed

Ctrl-C ends the training after the current step, as if it were here.`,
  ).action(action(attach));
}

async function attach(run: string, options: AttachOptions): Promise<number> {
  const directory = await findRun(run);
  const record = await readRecord(directory);
  if (record.on === undefined) throw new UsageError(`${plainLine(record.id)} is not on another machine.`);
  const target = options.on === undefined ? {} : { target: await namedTarget(options.on) };
  // Attaching runs no code of the file here, so it may be outside of the run's folder.
  const request = await resumeRequest(directory, { on: { ...target, attach: true }, outside: true });
  const json = options.json === true;
  const display = createDisplay({ json, bar: options.progress && !json && isTerminal("stderr") });
  const outcome = await followRun(request, display);
  if (record.kind === "train") return conclude(outcome, directory, json);
  return concludeEvaluation(outcome, { directory, checkpoint: request.checkpoint ?? "", json });
}
