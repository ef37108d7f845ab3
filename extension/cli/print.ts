import type { Command } from "commander";
import { action, commonOptions, examples, parseTarget, printErrors, targetDescription } from "./command.ts";
import { EXIT } from "./exit.ts";
import { print as show, printJson } from "./output.ts";
import { inspectFile, requireModels, selectModels, formLine } from "./inspectModels.ts";

export function register(program: Command): void {
  const command = program
    .command("print")
    .description("print the models of a file as PyTorch's print(model) does")
    .argument("<file>", targetDescription.replace("default: the default export", "default: all models"));
  commonOptions(command, ["json"]);
  examples(
    command,
    `
Examples:
  layerwise print simplenn.nn.ts
  layerwise print gan.nn.ts#Generator`,
  ).action(action(print));
}

async function print(argument: string, { json }: { json?: boolean }): Promise<number> {
  const target = parseTarget(argument);
  const models = selectModels(await inspectFile(target.file), target);
  requireModels(models, target.file);
  let failed = false;
  for (const model of models) {
    const { name, experiments, text, error } = model;
    // A class that can't be built by itself has no text, but an error.
    if (text === "" && error !== undefined) {
      failed = true;
      printErrors([error], json === true);
    } else if (json === true) printJson({ model: name, experiments, text });
    else show(`${formLine(model)}${text}`);
  }
  return failed ? EXIT.failure : 0;
}
