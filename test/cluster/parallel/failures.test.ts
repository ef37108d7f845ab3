import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { useFolder } from "../../folders.ts";
import { familyOf, processes } from "../../processes.ts";
import { start, unable, weightsOf, type Training, type Weights } from "./training.ts";

/** Longest time in milliseconds that a disturbed training may take beyond an undisturbed one: it must not hang. */
const HANG = 30_000;
/** Workers are disturbed after a printed line of one of these epochs of 120: near the end one may have done its part. */
const EPOCHS = 96;
/** How often workers are disturbed: in the tier, and in the long test by `LAYERWISE_DISTURBANCES=20`. */
const TIMES = Number(process.env["LAYERWISE_DISTURBANCES"] ?? 3);

const folder = useFolder("all");

/** mulberry32: the same moments in each run of the test. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The processes of the workers, in the order in which they were started. */
const workersOf = ({ child }: Training): number[] =>
  familyOf(child.pid!)
    .filter(({ command }) => command.includes("runEngine.js"))
    .map(({ pid }) => pid)
    .sort((a, b) => a - b);

async function workersRunning(training: Training, count: number): Promise<number[]> {
  for (;;) {
    const found = workersOf(training);
    if (found.length === count) return found;
    await delay(100);
  }
}

describe.skipIf(unable !== undefined)(`workers that die${unable === undefined ? "" : ` (${unable})`}`, () => {
  let undisturbed: Weights;
  let took = 0;

  beforeAll(async () => {
    const began = performance.now();
    const training = start(path.join(folder, "undisturbed"), "long", "--workers", "2");
    const { code, text } = await training.ended;
    expect(code, text).toBe(0);
    took = performance.now() - began;
    undisturbed = weightsOf(training)[0]!;
  }, 300_000);

  const next = random(20);
  for (let i = 0; i < TIMES; i++) {
    const signal = next() < 0.5 ? "SIGKILL" : "SIGSTOP";
    const [moment, victim] = [next(), next()];
    it(`are replaced after ${signal} at moment ${moment.toFixed(3)}`, { timeout: 300_000 }, async () => {
      const training = start(path.join(folder, String(i)), "long", "--workers", "2", "--max-restarts", "3");
      await training.epoch(Math.ceil(moment * EPOCHS));
      const pids = workersOf(training);
      const all = familyOf(training.child.pid!).map(({ pid }) => pid);
      const pid = pids[Math.floor(victim * pids.length)];
      expect(pids, "workers").toHaveLength(2);
      process.kill(pid!, signal);
      const hung = setTimeout(() => training.child.kill("SIGKILL"), 2 * took + HANG);
      const { code, text } = await training.ended;
      clearTimeout(hung);
      expect(code, text).toBe(0);
      expect(text).toContain("start again");
      for (const one of weightsOf(training)) expect(one, "bit for bit").toEqual(undisturbed);
      const left = new Set(processes().map((one) => one.pid));
      expect(
        all.filter((one) => left.has(one)),
        "orphans",
      ).toEqual([]);
    });
  }

  it("leave no process behind when their launcher is killed", { timeout: 60_000 }, async () => {
    const training = start(path.join(folder, "orphans"), "long", "--workers", "2");
    await workersRunning(training, 2);
    await delay(3000);
    const family = familyOf(training.child.pid!);
    training.child.kill("SIGKILL");
    const until = performance.now() + 15_000;
    const alive = (): number[] => {
      const now = new Set(processes().map(({ pid }) => pid));
      return family.map(({ pid }) => pid).filter((pid) => now.has(pid));
    };
    while (alive().length > 0 && performance.now() < until) await delay(200);
    expect(alive()).toEqual([]);
  });
});
