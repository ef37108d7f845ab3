import { createInterface } from "node:readline";
import * as v from "valibot";
import { InstallLine, NativeReport, type InstallProgress } from "../../protocol/native.ts";
import type { ExecutorInfo } from "../../protocol/run.ts";
import { commandLine, ended } from "./commandLine.ts";
import { EngineError } from "../../protocol/errors.ts";
import { killTree, signalChild } from "../../processes/signals.ts";
import type { EngineOptions } from "./process.ts";

/** Milliseconds an installation has to end after it was cancelled, before it is killed. */
const CANCEL_LIMIT = 5000;

/** Which backend runs would get, asked of the command line: nothing native is ever loaded here. */
export async function nativeReport(options: EngineOptions): Promise<NativeReport> {
  const child = commandLine(options, ["engine", "status", "--json"]);
  let output = "";
  let errors = "";
  child.stdout?.on("data", (bytes: Buffer) => (output += bytes.toString()));
  child.stderr?.on("data", (bytes: Buffer) => (errors += bytes.toString()));
  const timer = setTimeout(() => void killTree(child), 30_000);
  await ended(child).finally(() => clearTimeout(timer));
  try {
    return v.parse(NativeReport, JSON.parse(output));
  } catch {
    const message = `The command line could not tell the engine's status: ${errors.trim() || output.trim()}`;
    throw new EngineError({ code: "engine", message });
  }
}

/** The report as the backend that a run would name. */
export function executorOf(report: NativeReport): ExecutorInfo {
  const names = {
    tensorflow: `TensorFlow ${report.version === undefined ? "" : `${report.version} `}with Layerwise's own kernels`,
    kernels: "Layerwise's own kernels",
    wasm: "WebAssembly",
    cpu: "JavaScript",
  };
  return {
    backend: report.backend,
    version: names[report.backend],
    ...(report.reason === undefined ? {} : { reason: report.reason }),
  };
}

export type InstallResult = Exclude<InstallLine, { type: "progress" }>;

/**
 * Installs the native engine through the command line, with its progress and resuming. Aborting `signal`
 * cancels it: first politely, which keeps the download, then by force.
 */
export async function installNative(
  options: EngineOptions,
  signal: AbortSignal,
  onProgress: (progress: InstallProgress) => void,
): Promise<InstallResult> {
  const child = commandLine(options, ["engine", "install", "--json"]);
  let result: InstallResult | undefined;
  let errors = "";
  child.stderr?.on("data", (bytes: Buffer) => {
    errors = (errors + bytes.toString()).slice(-4096);
  });
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = parseLine(text);
      if (line?.type === "progress") onProgress(line);
      else result = line ?? result;
    });
  let timer: NodeJS.Timeout | undefined;
  const cancel = (): void => {
    signalChild(child, "SIGINT");
    timer = setTimeout(() => void killTree(child), CANCEL_LIMIT);
  };
  signal.addEventListener("abort", cancel);
  if (signal.aborted) cancel();
  const code = await ended(child);
  clearTimeout(timer);
  signal.removeEventListener("abort", cancel);
  if (result !== undefined) return result;
  if (signal.aborted) return { type: "cancelled" };
  const message = errors.trim() || `The installation ended without a result (exit code ${code}).`;
  return { type: "failed", code: "internal", message };
}

function parseLine(text: string): InstallLine | undefined {
  try {
    const line = v.safeParse(InstallLine, JSON.parse(text));
    return line.success ? line.output : undefined;
  } catch {
    return undefined;
  }
}
