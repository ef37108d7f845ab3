import os from "node:os";

/**
 * How many times its bound a wait may take. Machines differ in more than {@link load} sees, such as in how long a process
 * takes to start: on one that isn't known, only what is several times too slow is a fault.
 */
const SLACK = process.env["LAYERWISE_TEST_STRICT"] === "1" ? 1 : 4;

/** Response-time limits in milliseconds: on two cores, with VS Code and its browser beside. */
export const BOUNDS = {
  /** From a key to hints and diagnostics, of 95 in 100. */
  typing: SLACK * 300,
  /**
   * Until a file's parameters, hints and diagnostics are known: from its editor on, in the middle of the examples; from
   * the request to open it, with a process to start; and from its editor on, of BERT-base.
   */
  warmPreview: SLACK * 150,
  coldPreview: SLACK * 1000,
  largePreview: SLACK * 500,
  /**
   * From the moment at which VS Code has given a panel its page and files until its diagram is drawn, by a browser without
   * a graphics card: running the view's script, VS Code's handing over what was sent to it, drawing. Before that moment
   * all is VS Code's, and the model is built and laid out meanwhile; `coldPreview` is a process more.
   */
  drawing: SLACK * 150,
  /** Until a panel shows very much: a run of a hundred thousand points, another order of a hundred classes. */
  largeDrawing: SLACK * 500,
  /** From the click on Train to the first point of the curve. */
  firstPoint: SLACK * 1500,
  activation: SLACK * 50,
  /** The time of a kernel of the binding, as a part of the time of TensorFlow's. */
  kernel: 1.5,
  /** The longest time for which the extension host may compute during a training. */
  hostBlocked: 10,
  /** Of a panel, at 60 frames a second. */
  frame: 16,
} as const;

/** The middle one of measured times, or the one that `share` of them don't exceed. */
export function quantile(times: readonly number[], share = 0.5): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Share of the machine that others may use while something is measured; milliseconds between looks at it, and of waiting. */
const BUSY = 0.3;
const LOOK = 300;
const PATIENCE = 6000;

/** Waits until the machine has little else to do, as long as that makes sense. */
export async function rest(): Promise<void> {
  const end = performance.now() + PATIENCE;
  const times = (): { busy: number; all: number } => {
    const cores = os.cpus().map((core) => core.times);
    const idle = cores.reduce((sum, core) => sum + core.idle, 0);
    const all = cores.reduce((sum, core) => sum + Object.values(core).reduce((a, b) => a + b), 0);
    return { busy: all - idle, all };
  };
  for (let before = times(); performance.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    const now = times();
    if (now.busy - before.busy < BUSY * (now.all - before.all)) return;
    before = now;
  }
}

/** Work like an editor's: objects, strings, memory. */
const ROWS = Array.from({ length: 5000 }, (_, i) => ({
  id: i,
  name: `layer${i}.weight`,
  shape: [i % 7, i % 11, i % 13],
  values: [i / 3, i / 7],
}));
/** Milliseconds that it takes on the machine that the bounds are for; how often it is done, and a difference that is none. */
const REFERENCE = 20;
const TURNS = 5;
const NONE = 1.25;

/**
 * How many times as long as on the machine of the bounds things take here and now: it may be a slower one, or others may
 * want its processors and its memory too.
 */
export function load(): number {
  const times = Array.from({ length: TURNS }, () => {
    const began = performance.now();
    for (let turn = 0; turn < 2; turn++) JSON.parse(JSON.stringify(ROWS));
    return performance.now() - began;
  });
  const ratio = quantile(times) / REFERENCE;
  return ratio < NONE ? 1 : ratio;
}

export interface Measured<T> {
  all: T[];
  good: boolean;
  /** For a test's line: empty when the machine was as it should be. */
  remark: string;
}

/**
 * Measures until the measurements are good, at most so many times, each when the machine has come to rest. Where it
 * doesn't, or is slow, what is measured takes as many times as long as anything there: `good` is told how many, so that
 * a bound stays one.
 */
export async function measured<T>(
  most: number,
  measure: () => Promise<T>,
  good: (all: readonly T[], load: number) => boolean,
): Promise<Measured<T>> {
  const all: T[] = [];
  const loads: number[] = [];
  let met = false;
  while (all.length < most && !met) {
    await rest();
    const before = load();
    all.push(await measure());
    loads.push((before + load()) / 2);
    met = good(all, quantile(loads));
  }
  const typical = quantile(loads);
  return {
    all,
    good: met,
    remark: typical === 1 ? "" : ` (where anything takes ${typical.toFixed(1)} times as long)`,
  };
}

/**
 * Starts a clock of this process's processor time, in milliseconds: on a busy machine, the time that others have the
 * processor doesn't count.
 */
export function processorClock(): () => number {
  const start = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
}
