/** The few lines of test runner that fit into an extension host, where no test framework's runner does. */

export interface Outcome {
  name: string;
  milliseconds: number;
  /** Message and stack; absent when the test passed. */
  error?: string;
}

/** What a test measured, for its line. */
type Note = (text: string) => void;
type Body = (note: Note) => Promise<void> | void;

interface Test {
  name: string;
  body: Body;
  limit: number;
}

const tests: Test[] = [];

/** Registers a test. Past `limit` milliseconds it has failed, and the next one runs. */
export function test(name: string, body: Body, limit = 30_000): void {
  tests.push({ name, body, limit });
}

export interface RunOptions {
  print: (line: string) => void;
  /** Called before the next test runs: the place for screenshots and logs. */
  onFailure?: (name: string) => Promise<void>;
  /** Only tests whose name contains it. */
  only?: string | undefined;
  /** Of those, which: by name and place. */
  which?: (name: string, index: number) => boolean;
}

/** A real VS Code on a shared machine misses a turn now and then: one more try, and the log says that it was needed. */
const TRIES = 2;

/** Runs what was registered, in order, and prints a line per try. */
export async function runTests({
  print,
  onFailure,
  only = "",
  which = () => true,
}: RunOptions): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const wanted = tests.filter((test) => test.name.includes(only)).filter(({ name }, i) => which(name, i));
  for (const { name, body, limit } of wanted) {
    for (let attempt = 1; ; attempt++) {
      const started = performance.now();
      const notes: string[] = [];
      const error = await withLimit(() => body((text) => notes.push(text)), limit);
      const milliseconds = Math.round(performance.now() - started);
      const again = error !== undefined && attempt < TRIES;
      const result = error === undefined ? "ok" : again ? "FAILED, will be tried again:" : "FAILED";
      print(`${result} ${[`${name} (${milliseconds} ms)`, ...notes].join("; ")}`);
      if (error !== undefined) {
        print(error.replaceAll(/^/gm, "    "));
        await onFailure?.(name);
      }
      if (again) continue;
      outcomes.push({ name, milliseconds, ...(error === undefined ? {} : { error }) });
      break;
    }
  }
  return outcomes;
}

/** The closing line of a tier. */
export function totals(outcomes: readonly Outcome[]): string {
  const failed = outcomes.filter((outcome) => outcome.error !== undefined).length;
  return `${outcomes.length - failed} passed, ${failed} failed`;
}

async function withLimit(body: () => Promise<void> | void, limit: number): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${limit} ms`)), limit);
  });
  try {
    await Promise.race([(async () => body())(), timeout]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  } finally {
    clearTimeout(timer);
  }
}

type Falsy = false | 0 | "" | null | undefined;
const isTruthy = <T>(value: T): value is Exclude<T, Falsy> => Boolean(value);

/** Polls until `probe` answers something truthy; `what` names it in the error. Errors of the probe count as "not yet". */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  limit = 10_000,
): Promise<Exclude<T, Falsy>> {
  const end = performance.now() + limit;
  let reason = "";
  for (;;) {
    try {
      const found = await probe();
      if (isTruthy(found)) return found;
      reason = "";
    } catch (error) {
      reason = ` (${error instanceof Error ? error.message : String(error)})`;
    }
    if (performance.now() > end) throw new Error(`${what}: not within ${limit} ms${reason}`);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}
