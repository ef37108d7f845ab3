import { createInterface } from "node:readline";
import * as v from "valibot";
import { killTree } from "../../processes/signals.ts";
import { CLI_JSON } from "../../protocol/cliJson.ts";
import { EngineError } from "../../protocol/errors.ts";
import { RunRecord } from "../../protocol/run.ts";
import { demandTrust } from "../trust.ts";
import { commandLine, ended } from "./commandLine.ts";
import type { EngineOptions } from "./process.ts";

const { ImportedRun, ImportFollowing, ImportReading, ImportProblem, ImportError } = CLI_JSON.import.lines;
const Line = v.union([ImportedRun, ImportFollowing, ImportReading, ImportProblem, ImportError]);

export interface ImportResult {
  runs: { directory: string; record: RunRecord; updated: boolean }[];
  /** Failures to read, in sentences that name files. */
  problems: string[];
}

export interface ImportOptions {
  engine: EngineOptions;
  signal: AbortSignal;
  onReading?: (path: string) => void;
}

/** Lines of problems that are kept. */
const MOST_PROBLEMS = 100;

/**
 * Imports runs of other tools into a folder's runs, through the command line: the files may be large or damaged.
 * @param paths absolute
 * @throws EngineError when nothing can be read; "cancelled"
 */
export async function importForeignRuns(
  folder: string,
  paths: readonly string[],
  { engine, signal, onReading = () => undefined }: ImportOptions,
): Promise<ImportResult> {
  const result: ImportResult = { runs: [], problems: [] };
  await runImport(engine, ["--folder", folder, "--", ...paths], signal, (line) => {
    if (line.event === "reading") onReading(line.path);
    else if (line.event === "imported")
      result.runs.push({ directory: line.directory, record: line.run, updated: line.updated });
    else if (line.event === "problem" && result.problems.length < MOST_PROBLEMS)
      result.problems.push(line.text);
  });
  return result;
}

/**
 * Updates the runs that a folder has imported from a path, and follows them while the other tool logs.
 * @param from absolute, as the record of a run has it
 * @throws EngineError when nothing can be read; "cancelled"
 */
export async function followForeignRuns(
  folder: string,
  from: string,
  { engine, signal, onRun, onFollowing }: FollowOptions,
): Promise<void> {
  await runImport(engine, ["--follow", "--update", "--folder", folder, "--", from], signal, (line) => {
    if (line.event === "imported")
      onRun({ directory: line.directory, record: line.run, appended: line.appended });
    else if (line.event === "following") onFollowing();
  });
}

export interface FollowOptions extends Omit<ImportOptions, "onReading"> {
  /** Called with each change of a run. */
  onRun: (run: ChangedRun) => void;
  /** Called when everything so far is imported, and there may be more. */
  onFollowing: () => void;
}

/** A run with new values. */
export interface ChangedRun {
  directory: string;
  record: RunRecord;
  /** Whether rows were only added to its curves. */
  appended: boolean;
}

async function runImport(
  engine: EngineOptions,
  args: readonly string[],
  signal: AbortSignal,
  onLine: (line: v.InferOutput<typeof Line>) => void,
): Promise<void> {
  demandTrust();
  const child = commandLine(engine, ["import", "--json", ...args]);
  const kill = (): void => void killTree(child);
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  let failure: string | undefined;
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = parsed(text);
      if (line?.event === "error") failure ??= line.error.message;
      else if (line !== undefined) onLine(line);
    });
  let errors = "";
  child.stderr?.on("data", (bytes: Buffer) => (errors = (errors + bytes.toString()).slice(-4096)));
  const code = await ended(child);
  signal.removeEventListener("abort", kill);
  if (signal.aborted) throw new EngineError({ code: "cancelled", message: "The import was cancelled." });
  if (code !== 0)
    throw new EngineError({
      code: "file",
      message: failure ?? (errors.trim() || "The runs can't be read."),
    });
}

function parsed(line: string): v.InferOutput<typeof Line> | undefined {
  try {
    const checked = v.safeParse(Line, JSON.parse(line));
    return checked.success ? checked.output : undefined;
  } catch {
    return undefined;
  }
}
