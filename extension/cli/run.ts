import type { Command } from "commander";
import * as v from "valibot";
import { ScriptResult } from "../protocol/engine.ts";
import { action, commonOptions, examples, parseTarget, UsageError, type CommonOptions } from "./command.ts";
import { printStderr } from "./output.ts";
import { withTool } from "./tool.ts";
import { checkOption, checkTypes, type CheckOptions } from "./typeCheck.ts";

export function register(program: Command): void {
  const command = program
    .command("run")
    .description("run a file as a program, such as a training loop written out")
    .argument("<file>", "a .nn.ts file, whose top-level code runs")
    .argument("[args...]", "arguments of the program, after --");
  commonOptions(command, ["seed", "device"]);
  checkOption(command);
  examples(
    command,
    `
Examples:
  layerwise run tutorial.nn.ts
  layerwise run tutorial.nn.ts --device wasm
  layerwise run tutorial.nn.ts -- --epochs 3 --lr 0.01

The arguments after -- are the program's: process.argv.slice(2) is ["--epochs", "3", "--lr", "0.01"].

The program reads the command's standard input. The exit code is the program's own (process.exit, process.exitCode).
Ctrl-C sends it SIGINT, which ends it unless it has a handler; a second Ctrl-C ends it at once.`,
  ).action(action(run));
}

async function run(
  argument: string,
  args: readonly string[],
  { device, seed, check }: CommonOptions & CheckOptions,
): Promise<number> {
  const { file, exportName } = parseTarget(argument);
  if (exportName !== undefined)
    throw new UsageError("run takes a whole file: leave out the # and the name after it.");
  const endCheck = check ? checkTypes(file) : undefined;
  try {
    const result = await withTool(
      (tool) => tool.script({ file, device, args: [...args], ...(seed === undefined ? {} : { seed }) }),
      { interrupts: true, inheritInput: true },
    );
    const { code, experiments } = v.parse(ScriptResult, result);
    if (experiments.length > 0) printStderr(nothingRun(file, experiments));
    return code;
  } finally {
    await endCheck?.();
  }
}

/** What to do with a file that is no program. */
function nothingRun(file: string, [first, ...others]: readonly string[]): string {
  const target = first === "default" ? file : `${file}#${first}`;
  const what = others.length === 0 ? "an experiment" : "experiments";
  return `The file printed nothing. It defines ${what}, which "run" doesn't train: layerwise train ${target}`;
}
