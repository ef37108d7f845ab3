import fs from "node:fs";
import type { Command } from "commander";
import * as v from "valibot";
import { demandPortable } from "../files/inside.ts";
import { writeAtomic } from "../files/writeAtomic.ts";
import { Prediction } from "../protocol/engine.ts";
import { jsonText, plainLine } from "../protocol/text/plain.ts";
import {
  action,
  commonOptions,
  examples,
  existingFile,
  parseTarget,
  positive,
  targetDescription,
  UsageError,
  type CommonOptions,
} from "./command.ts";
import { CliError } from "./exit.ts";
import { parseRows } from "./inputRows.ts";
import { writeStdout, printStderr } from "./output.ts";
import { shortPath } from "./render.ts";
import { findCheckpoint } from "./findRun.ts";
import { withTool } from "./tool.ts";

interface PredictOptions extends CommonOptions {
  checkpoint?: string;
  input?: string;
  count?: number;
  out?: string;
}

export function register(program: Command): void {
  const command = program
    .command("predict")
    .description("print a trained model's predictions for given rows, or for held-out samples")
    .argument("<file>", targetDescription)
    .option("--checkpoint <file>", "weights, a .safetensors file (default: the best of the newest training)")
    .option("--input <file>", "rows as .csv or .json, - for standard input (default: held-out samples)")
    .option("--count <number>", "how many held-out samples (default: 10)", positive)
    .option("--out <file>", "write there instead of to standard output");
  commonOptions(command, ["seed", "device", "json"]);
  examples(
    command,
    `
A row holds one sample's values in order: 64 numbers for an 8x8 image. A first line of names is skipped;
of a model trained on a table (data.csv), it says which columns are there, in any order.

Examples:
  layerwise predict iris.nn.ts --input flowers.csv
  echo '[[5.1, 3.5, 1.4, 0.2]]' | layerwise predict iris.nn.ts --input -
  layerwise predict digits.nn.ts --count 20 --json`,
  ).action(action(predict));
}

async function predict(argument: string, options: PredictOptions): Promise<number> {
  const target = parseTarget(argument);
  const { input, device, seed } = options;
  if (input !== undefined && options.count !== undefined)
    throw new UsageError("--count is the number of held-out samples, so it can't be used with --input.");
  const given = input === undefined ? undefined : parseRows(readInput(input), input);
  const checkpoint =
    options.checkpoint === undefined ? await findCheckpoint(target) : existingFile(options.checkpoint);
  printStderr(`Predicting with ${shortPath(checkpoint)}`);
  const answer = await withTool((tool) =>
    tool.predict({
      file: target.file,
      exportName: target.exportName ?? "default",
      device,
      checkpoint,
      ...(seed === undefined ? {} : { seed }),
      ...(given ?? { count: options.count ?? 10 }),
    }),
  );
  const predictions = v.parse(v.array(Prediction), answer);
  const line = options.json === true ? (one: Prediction) => jsonText(one) : describePrediction;
  const text = predictions.map((one, i) => `${line(one, i)}\n`).join("");
  if (options.out === undefined) writeStdout(text);
  else writeOutput(options.out, text);
  return 0;
}

function readInput(input: string): string {
  return fs.readFileSync(input === "-" ? 0 : existingFile(input), "utf8");
}

function writeOutput(file: string, text: string): void {
  try {
    demandPortable(file);
    writeAtomic(file, [Buffer.from(text)]);
  } catch (error) {
    throw new CliError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** `3: versicolor (1), actual setosa (0), output 0.12 3.40 -1.05`. */
function describePrediction({ output, label, className, target }: Prediction, index: number): string {
  const numbers = output.map((value) => value?.toFixed(4) ?? "nan").join(" ");
  if (label === undefined)
    return `${index}: ${numbers}${target === undefined ? "" : `  (target ${target.map((x) => x.toFixed(4)).join(" ")})`}`;
  const name = className === undefined ? String(label) : `${plainLine(className)} (${label})`;
  const actual = target?.[0];
  const verdict = actual === undefined ? "" : actual === label ? "  right" : `  wrong, it is ${actual}`;
  return `${index}: ${name}${verdict}  ${numbers}`;
}
