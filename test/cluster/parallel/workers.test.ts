import path from "node:path";
import { describe, expect, it } from "vitest";
import { useFolder } from "../../folders.ts";
import { distance, start, unable, weightsOf, type Weights } from "./training.ts";

const folder = useFolder("all");

async function trained(model: string, workers: number): Promise<Weights[]> {
  const options = workers === 1 ? [] : ["--workers", String(workers)];
  const training = start(path.join(folder, `${model}-${workers}`), model, ...options);
  const { code, text } = await training.ended;
  expect(code, text).toBe(0);
  return weightsOf(training);
}

describe.skipIf(unable !== undefined)(`several workers${unable === undefined ? "" : ` (${unable})`}`, () => {
  for (const model of ["sgd", "adam", "clipped", "ignoring", "cnn", "lstm", "transformer", "saving"])
    it(`train ${model} as one process trains it`, { timeout: 300_000 }, async () => {
      const [alone] = await trained(model, 1);
      for (const workers of [2, 4]) {
        const replicas = await trained(model, workers);
        expect(replicas).toHaveLength(workers);
        for (const one of replicas) expect(one, "bit for bit").toEqual(replicas[0]);
        expect(distance(replicas[0]!, alone!)).toBeLessThan(1e-6);
      }
    });

  it("stay equal when callbacks draw random numbers at saves by time", { timeout: 300_000 }, async () => {
    const [first, second] = await trained("timed", 2);
    expect(second, "bit for bit").toEqual(first);
  });

  it("end with the user's error, and are not started again", { timeout: 60_000 }, async () => {
    const { code, text } = await start(path.join(folder, "faulty"), "faulty", "--workers", "2").ended;
    expect(code).toBe(1);
    expect(text).toContain("No such model");
    expect(text).not.toContain("start again");
  });
});
