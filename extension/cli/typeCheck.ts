// Reports type errors of a file while it runs. They never make the run fail or its output late.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { deferred } from "../processes/deferred.ts";
import { signalChild } from "../processes/signals.ts";
import { interruptSignal } from "./exit.ts";
import { printStderr } from "./output.ts";
import { shortPath } from "./render.ts";

/** How long a command whose program has ended waits for the check: a short program ends before it. */
const LONGEST_WAIT_MS = 20_000;

/** How many errors are shown. */
const SHOWN = 10;

export interface CheckOptions {
  /** False for `--no-check`. */
  check: boolean;
}

export function checkOption(command: Command): void {
  command.option("--no-check", "don't look for type errors while the file runs (or set LAYERWISE_NO_CHECK)");
}

/** Finds TypeScript's compiler: in the file's folder, else in this package. */
function compiler(file: string): string | undefined {
  for (const from of [file, fileURLToPath(import.meta.url)]) {
    try {
      const manifest = createRequire(from).resolve("typescript/package.json");
      return path.join(path.dirname(manifest), "bin", "tsc");
    } catch {
      // Not installed there.
    }
  }
  return undefined;
}

/** The configuration that an editor would use: strict, with the types of `layerwise` that this program ships. */
const configuration = (file: string): object => ({
  compilerOptions: {
    target: "es2022",
    module: "preserve",
    moduleResolution: "bundler",
    lib: ["es2023", "dom"],
    ...nodeTypes(file),
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    paths: { layerwise: [fileURLToPath(new URL("./types/index.d.ts", import.meta.url))] },
  },
  files: [file],
});

/** Node's types, of the file's project or of this package: programs read files and arguments. */
function nodeTypes(file: string): object {
  for (const from of [file, fileURLToPath(import.meta.url)]) {
    try {
      const manifest = createRequire(from).resolve("@types/node/package.json");
      return { types: ["node"], typeRoots: [path.dirname(path.dirname(manifest))] };
    } catch {
      // Not installed there.
    }
  }
  return { types: [] };
}

/** "Cannot find name 'node:fs'. Do you need to install type definitions for node?", which the user needs only for an editor. */
const NEEDS_NODE_TYPES =
  /Cannot find (?:name|module|namespace) '(?:node:[^']*|process|Buffer|NodeJS|require|__dirname)'/;

/**
 * Why no overload fits: the reason that most of the overloads give, of several the last. TypeScript itself says only "No overload
 * matches this call." in its first line.
 */
function reason(details: readonly string[]): string | undefined {
  const reasons = details.flatMap((line) => /^ {4}(\S.*)$/.exec(line)?.[1] ?? []);
  const count = (one: string): number => reasons.filter((other) => other === one).length;
  return reasons.reduceRight<string | undefined>(
    (best, one) => (best === undefined || count(one) > count(best) ? one : best),
    undefined,
  );
}

/** Extracts the errors in the user's own files from TypeScript's output, one line each. */
export function readErrors(output: string, folder: string): string[] {
  const lines = output.split(/\r?\n/);
  return lines.flatMap((line, i) => {
    const match = /^(.+?)\((\d+),\d+\): error TS\d+: (.*)$/.exec(line);
    if (match === null) return [];
    const [, name, row, text] = match as unknown as [string, string, string, string];
    const file = path.resolve(folder, name);
    const foreign = file.endsWith(".d.ts") || file.includes(`${path.sep}node_modules${path.sep}`);
    if (foreign || NEEDS_NODE_TYPES.test(text)) return [];
    const end = lines.findIndex((later, j) => j > i && !later.startsWith(" "));
    const why = text.startsWith("No overload")
      ? reason(lines.slice(i + 1, end < 0 ? undefined : end))
      : undefined;
    return [`${shortPath(file)}:${row}: ${why === undefined ? text : `${text} ${why}`}`];
  });
}

/**
 * Checks a file's types in a separate process, and prints errors as a warning when they are found.
 * @returns A function that ends the check: after a moment, or at once if the user interrupts the command
 */
export function checkTypes(file: string): () => Promise<void> {
  const tsc = process.env["LAYERWISE_NO_CHECK"] === undefined ? compiler(file) : undefined;
  if (tsc === undefined) return () => Promise.resolve();
  const folder = path.dirname(path.resolve(file));
  const scratch = mkdtempSync(path.join(os.tmpdir(), "layerwise-check-"));
  const config = path.join(scratch, "tsconfig.json");
  writeFileSync(config, JSON.stringify(configuration(path.resolve(file))));
  const child = spawn(process.execPath, [tsc, "-p", config, "--pretty", "false"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  yieldTo(child);
  let output = "";
  let over = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const ended = deferred<void>();
  const end = (): void => {
    if (over) return;
    over = true;
    ended.resolve();
    signalChild(child, "SIGTERM");
    rmSync(scratch, { recursive: true, force: true });
  };
  child.on("error", end);
  child.on("close", () => {
    if (!over) warn(file, readErrors(output, folder));
    end();
  });
  process.once("exit", end);
  return async () => {
    const interrupted = interruptSignal();
    interrupted.addEventListener("abort", end, { once: true });
    const timer = setTimeout(end, interrupted.aborted ? 0 : LONGEST_WAIT_MS);
    await ended.promise;
    clearTimeout(timer);
  };
}

/** Lowers the check's priority, so that the run is faster, and lets this process exit before it. */
function yieldTo(child: ChildProcess): void {
  child.unref();
  (child.stdout as unknown as { unref(): void }).unref();
  try {
    if (child.pid !== undefined) os.setPriority(child.pid, os.constants.priority.PRIORITY_LOW);
  } catch {
    // The platform has no priorities.
  }
}

function warn(file: string, errors: readonly string[]): void {
  if (errors.length === 0) return;
  const lines = errors.slice(0, SHOWN).map((error) => `  ${error}`);
  const more = errors.length > SHOWN ? [`  and ${errors.length - SHOWN} more`] : [];
  const found = errors.length === 1 ? "1 type error" : `${errors.length} type errors`;
  const head = `Warning: ${found} in ${shortPath(file)} (--no-check hides this)`;
  printStderr([head, ...lines, ...more].join("\n"));
}
