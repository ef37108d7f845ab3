import { createInterface } from "node:readline";
import * as v from "valibot";
import { WeightStatistics } from "../../protocol/tensorValues.ts";
import { commandLine, ended } from "./commandLine.ts";
import { EngineError } from "../../protocol/errors.ts";
import { killTree } from "../../processes/signals.ts";
import type { EngineOptions } from "./process.ts";

/**
 * Computes statistics of a file's tensors through the command line. Aborting `signal` cancels it.
 * @throws EngineError saying what is wrong with the file
 */
export async function weightStatistics(
  file: string,
  options: EngineOptions,
  signal: AbortSignal,
): Promise<WeightStatistics[]> {
  const child = commandLine(options, ["inspect", file, "--json"]);
  const kill = (): void => void killTree(child);
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  const tensors: WeightStatistics[] = [];
  let problem: string | undefined;
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on("line", (line) => {
      const value = parsed(line);
      const tensor = v.safeParse(WeightStatistics, value);
      if (tensor.success) tensors.push(tensor.output);
      else problem ??= v.is(Failure, value) ? value.error.message : undefined;
    });
  let errors = "";
  child.stderr?.on("data", (bytes: Buffer) => (errors = (errors + bytes.toString()).slice(-4096)));
  const code = await ended(child);
  signal.removeEventListener("abort", kill);
  if (signal.aborted)
    throw new EngineError({ code: "cancelled", message: "Reading the weights was cancelled." });
  if (code === 0) return tensors;
  throw new EngineError({ code: "file", message: problem ?? (errors.trim() || `${file} can't be read.`) });
}

const Failure = v.object({ error: v.object({ message: v.string() }) });

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
