import path from "node:path";
import { expect, it, vi } from "vitest";
import { useFolder } from "../../folders.ts";
import { patience, PATIENT } from "../../patience.ts";
import { slow } from "../../slow.ts";
import { describeUnless } from "../../unless.ts";
import { familyOf, processes, type Process } from "../../processes.ts";
import { progressed, restarted, start, unable, weightsOf, type Training, type Weights } from "./training.ts";

/** Workers are disturbed after a printed line of one of these epochs of 120: near the end one may have done its part. */
const EPOCHS = 96;
/** How often workers are disturbed: in the tier, and in the long test by `LAYERWISE_DISTURBANCES=20`. */
const TIMES = Number(process.env["LAYERWISE_DISTURBANCES"] ?? 3);
/** Networks that are trained, in turns. */
const MODELS = ["long", "longLstm"];

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

/** Collects the processes of a training while it runs: also those that lose their parent, or are replaced. */
function census({ child, ended }: Training): Map<number, string> {
  const met = new Map<number, string>();
  const look = (): void => {
    for (const { pid, command } of familyOf(child.pid!)) met.set(pid, command);
  };
  look();
  const timer = setInterval(look, 500);
  void ended.then(() => clearInterval(timer));
  return met;
}

/** Those of the processes that still run. */
const left = (met: ReadonlyMap<number, string>): Process[] =>
  processes().filter(({ pid, command }) => met.get(pid) === command);

describeUnless(unable, "workers that die", () => {
  const undisturbed = new Map<string, Promise<Weights>>();

  /** The weights of a training that nothing disturbs. */
  async function expected(model: string): Promise<Weights> {
    const training = start(path.join(folder, model), model, "--workers", "2");
    const { code, text } = await training.ended;
    expect(code, text).toBe(0);
    return weightsOf(training)[0]!;
  }

  const next = random(20);
  for (let i = 0; i < TIMES; i++) {
    const signal = next() < 0.5 ? "SIGKILL" : "SIGSTOP";
    const [moment, victim] = [next(), next()];
    const model = MODELS[i % MODELS.length]!;
    const name = `are replaced after ${signal} at moment ${moment.toFixed(3)} of ${model}`;
    it.concurrent(name, { timeout: 600_000, ...(i > 0 && slow) }, async () => {
      if (!undisturbed.has(model)) undisturbed.set(model, expected(model));
      const training = start(path.join(folder, String(i)), model, "--workers", "2", "--max-restarts", "3");
      await training.epoch(Math.ceil(moment * EPOCHS));
      const met = census(training);
      const pids = workersOf(training);
      expect(pids, "workers").toHaveLength(2);
      process.kill(pids[Math.floor(victim * pids.length)]!, signal);
      await restarted(training, "start again");
      const { code, text } = await progressed(training);
      expect(code, text).toBe(0);
      expect(text).toContain("start again");
      const weights = await undisturbed.get(model);
      for (const one of weightsOf(training)) expect(one, "bit for bit").toEqual(weights);
      expect(met.size, "processes met").toBeGreaterThan(4);
      await vi.waitFor(() => expect(left(met), "orphans").toEqual([]), PATIENT);
    });
  }

  it.concurrent("leave no process behind when their launcher is killed", async () => {
    const training = start(path.join(folder, "orphans"), "long", "--workers", "2");
    await training.epoch(1);
    expect(workersOf(training), "workers").toHaveLength(2);
    const met = census(training);
    training.child.kill("SIGKILL");
    await vi.waitFor(() => expect(left(met)).toEqual([]), { ...PATIENT, timeout: patience(15_000) });
  });
});
