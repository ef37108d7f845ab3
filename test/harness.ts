/** The few lines of test runner that fit into an extension host, where no test framework's runner does. */
import { inspect } from "node:util";
import { patience } from "./patience.ts";

export interface Outcome {
  name: string;
  milliseconds: number;
  /** Message and stack of a test that failed. */
  error?: string;
  /** Why a test did not run to its end: something is missing here. */
  skipped?: string;
}

/** How many tests of a tier ended how. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

class Skipped extends Error {}

/** Ends a test whose prerequisites are missing: it counts as skipped, not as passed. */
export function skip(reason: string): never {
  throw new Skipped(reason);
}

/** Adds a test's measurements to its line. */
type Note = (text: string) => void;
type Body = (note: Note) => Promise<void> | void;

interface Test {
  name: string;
  body: Body;
  limit: number;
  row: string;
}

const tests: Test[] = [];

type Register = (name: string, body: Body, limit?: number) => void;

/** Registers a test. Past `limit` milliseconds, with {@link patience}, it has failed, and the next one runs. */
export const test: Register = (name, body, limit = 30_000) => {
  tests.push({ name, body, limit, row: name });
};

/** Registers tests that follow each other in one process, as those have to that share a window. */
export const row =
  (row: string): Register =>
  (name, body, limit = 30_000) => {
    tests.push({ name, body, limit, row });
  };

/** Whether this is `npm test`, which leaves out what takes long while something quicker covers the heart of it. */
export const QUICK = process.env["LAYERWISE_TEST_QUICK"] === "1";

/** Registers, as `register` does, what is left out if {@link QUICK}. */
export const slow = (register: Register): Register => (QUICK ? () => undefined : register);

export interface RunOptions {
  print: (line: string) => void;
  /** Called before the next test runs: the place for screenshots and logs. Answers what is to be said of them. */
  onFailure?: ((name: string) => Promise<string | void>) | undefined;
  /** Only tests whose name contains it. */
  only?: string | undefined;
  /** Of those, which. */
  which?: (name: string) => boolean;
  /** The row to run next, counted from 0, where other processes run some too; past the last one it is the end. */
  turn?: () => Promise<number>;
}

/** Runs what was registered, in order, and prints a line per test, with what went wrong below it. */
export async function runTests({
  only = "",
  which = () => true,
  turn,
  ...told
}: RunOptions): Promise<Outcome[]> {
  const rows = new Map<string, Test[]>();
  for (const test of tests) {
    if (!test.name.includes(only) || !which(test.name)) continue;
    rows.set(test.row, [...(rows.get(test.row) ?? []), test]);
  }
  const all = [...rows.values()];
  let own = 0;
  const next = turn ?? (async () => own++);
  const outcomes: Outcome[] = [];
  for (let row = await next(); row < all.length; row = await next())
    for (const test of all[row]!) outcomes.push(await runTest(test, told));
  return outcomes;
}

async function runTest(
  { name, body, limit }: Test,
  { print, onFailure }: Pick<RunOptions, "print" | "onFailure">,
): Promise<Outcome> {
  const started = performance.now();
  const notes: string[] = [];
  const thrown = await withLimit(() => body((text) => notes.push(text)), patience(limit));
  const milliseconds = Math.round(performance.now() - started);
  if (thrown instanceof Skipped) {
    print(`skipped ${name}: ${thrown.message}`);
    return { name, milliseconds, skipped: thrown.message };
  }
  const error = thrown === undefined ? undefined : textOf(thrown);
  const lines = [
    `${error === undefined ? "ok" : "FAILED"} ${[`${name} (${milliseconds} ms)`, ...notes].join("; ")}`,
  ];
  if (error !== undefined) {
    const more = await onFailure?.(name);
    lines.push(...[error, more ?? ""].filter(Boolean).map((text) => text.replaceAll(/^/gm, "    ")));
  }
  print(lines.join("\n"));
  return { name, milliseconds, ...(error === undefined ? {} : { error }) };
}

export function countsOf(outcomes: readonly Outcome[]): Counts {
  const failed = outcomes.filter(({ error }) => error !== undefined).length;
  const skipped = outcomes.filter((outcome) => outcome.skipped !== undefined).length;
  return { passed: outcomes.length - failed - skipped, failed, skipped };
}

/** Answers what the body threw; undefined when it returned. */
async function withLimit(body: () => Promise<void> | void, limit: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${limit} ms`)), limit);
  });
  try {
    await Promise.race([(async () => body())(), timeout]);
    return undefined;
  } catch (error) {
    return error ?? new Error(`threw ${String(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

const textOf = (thrown: unknown): string =>
  thrown instanceof Error ? (thrown.stack ?? thrown.message) : inspect(thrown);

type Falsy = false | 0 | "" | null | undefined;
const isTruthy = <T>(value: T): value is Exclude<T, Falsy> => Boolean(value);

/**
 * Polls until `probe` answers something truthy, with {@link patience}; `what` names it in the error. Errors of the probe
 * count as "not yet".
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  limit = 10_000,
): Promise<Exclude<T, Falsy>> {
  const milliseconds = patience(limit);
  const end = performance.now() + milliseconds;
  let reason = "";
  for (;;) {
    try {
      const found = await probe();
      if (isTruthy(found)) return found;
      reason = "";
    } catch (error) {
      reason = ` (${error instanceof Error ? error.message : String(error)})`;
    }
    if (performance.now() > end) throw new Error(`${what}: not within ${milliseconds} ms${reason}`);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}
