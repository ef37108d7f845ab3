import { InvalidArgumentError, type Command } from "commander";
import * as v from "valibot";
import { LrFindResult } from "../protocol/engine.ts";
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
import { print, printJson } from "./output.ts";
import { table } from "./render.ts";
import { withTool } from "./tool.ts";

interface LrFindOptions extends CommonOptions {
  min: number;
  max: number;
  steps: number;
  earlyStop: number;
  checkpoint?: string;
}

export function register(program: Command): void {
  const command = program
    .command("lr-find")
    .description(
      "suggest a learning rate: train a few steps with growing rates and find where the loss falls fastest",
    )
    .argument("<file>", targetDescription)
    .option("--min <number>", "first rate", number, 1e-8)
    .option("--max <number>", "last rate", number, 1)
    .option("--steps <number>", "optimizer steps, each with a higher rate", positive, 100)
    .option("--early-stop <number>", "end when the loss is that many times the best; 0: never", number, 4)
    .option("--checkpoint <file>", "weights to start from, a .safetensors file");
  commonOptions(command, ["seed", "device", "json"]);
  examples(
    command,
    `
The suggestion is the rate at which the loss, smoothed, falls fastest; the first ten and the last are left out. Nothing
is saved, and the experiment doesn't change.

Examples:
  layerwise lr-find digits.nn.ts
  layerwise lr-find digits.nn.ts --min 1e-5 --max 10 --steps 200
  layerwise lr-find digits.nn.ts --json | jq .suggestion`,
  ).action(action(lrFind));
}

async function lrFind(argument: string, options: LrFindOptions): Promise<number> {
  const { file, exportName } = parseTarget(argument);
  const { min, max, steps, earlyStop, device, seed, checkpoint } = options;
  if (!(min > 0 && max > min)) throw new UsageError("--min must be above 0, and --max above --min.");
  const answer = await withTool((tool) =>
    tool.lrFind({
      file,
      exportName: exportName ?? "default",
      device,
      sweep: { minLr: min, maxLr: max, steps, earlyStopThreshold: earlyStop },
      ...(seed === undefined ? {} : { seed }),
      ...(checkpoint === undefined ? {} : { checkpoint: existingFile(checkpoint) }),
    }),
  );
  const result = v.parse(LrFindResult, answer);
  if (options.json === true) printJson(result);
  else print(lrFindLines(result).join("\n"));
  if (result.suggestion === undefined)
    throw new CliError("There are too few points to suggest a rate. Use more --steps.");
  return 0;
}

/** Most rows of the table. */
const MAX_ROWS = 20;

/** Describes a sweep: a curve in one line, a table, and the suggestion. */
export function lrFindLines({ points, suggestion, diverged }: LrFindResult): string[] {
  const losses = points.map(({ loss }) => loss);
  const first = points[0]?.lr ?? 0;
  const last = points.at(-1)?.lr ?? 0;
  const stride = Math.ceil(points.length / MAX_ROWS);
  const rows = points
    .filter(({ lr }, i) => i % stride === 0 || lr === suggestion)
    .map(({ lr, loss }) => [rateText(lr), loss.toFixed(4), lr === suggestion ? "<- steepest" : ""]);
  return [
    `Loss from lr ${rateText(first)} to ${rateText(last)}${diverged ? " (ended early: it diverged)" : ""}`,
    sparkline(losses),
    "",
    ...table([["lr", "loss", ""], ...rows], [true, true, false]),
    ...(suggestion === undefined ? [] : ["", `Suggested learning rate: ${rateText(suggestion)}`]),
  ];
}

const BARS = "▁▂▃▄▅▆▇█";

/** Draws a curve in one line of text. NaN and infinite values are gaps. */
export function sparkline(values: readonly number[]): string {
  const finite = values.filter(Number.isFinite);
  const least = Math.min(...finite);
  const range = Math.max(...finite) - least;
  return values
    .map((value) => {
      if (!Number.isFinite(value)) return " ";
      const height = range === 0 ? 0 : (value - least) / range;
      return BARS[Math.min(BARS.length - 1, Math.floor(height * BARS.length))];
    })
    .join("");
}

function rateText(rate: number): string {
  return rate.toExponential(2);
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError("Not a number of at least 0.");
  return value;
}
