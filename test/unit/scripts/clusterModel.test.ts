// The cost model of docs/scaling.md: its formulas against a simulation, and against measured exchanges.
import { describe, expect, it } from "vitest";
import {
  exchange,
  expectedMaximum,
  fittedLine,
  saveInterval,
  speedUp,
  step,
  useful,
} from "../../../scripts/bench/cluster/model.mjs";
import { simulate } from "../../../scripts/bench/cluster/simulation.mjs";

const LINE = { latency: 50e-6, secondsPerByte: 1 / 1e9 };
const TRAINING = { compute: 2, fixed: 0.002, bytes: 100e6, exchanges: 3, jitter: 0.05 };
const NEVER = { perWorkerHour: 0, restart: 0, save: 0 };

describe("the cost model", () => {
  it.each([1, 2, 4, 16, 64, 256])("gives the simulation's step within 3 %, with %i workers", (workers) => {
    const steps = workers > 32 ? 20 : 400;
    const { seconds } = simulate(workers, TRAINING, LINE, NEVER, { steps, seed: 1 });
    expect(step(workers, TRAINING, LINE) / (seconds / steps)).toBeGreaterThan(0.97);
    expect(step(workers, TRAINING, LINE) / (seconds / steps)).toBeLessThan(1.03);
  });

  it.each([
    [0.01, 16],
    [0.1, 16],
    [0.001, 1000],
    [0.01, 1000],
  ])(
    "gives the share of useful time within 4 points: %d deaths an hour and worker, %i workers",
    (rate, workers) => {
      const failures = { perWorkerHour: rate, restart: 60, save: 20 };
      // Steps of 10 s, however many workers: only failures matter.
      const training = { compute: 0, fixed: 10, bytes: 0, exchanges: 1, jitter: 0 };
      const steps = 20_000;
      const { seconds } = simulate(
        1,
        training,
        LINE,
        { ...failures, perWorkerHour: rate * workers },
        { steps, seed: 3 },
      );
      expect(Math.abs(useful(workers, failures) - (10 * steps) / seconds)).toBeLessThan(0.04);
    },
  );

  it("finds the line that measured exchanges were made by", () => {
    const measured = [2, 4].flatMap((workers) =>
      [1e3, 1e6, 16e6].map((bytes) => ({ workers, bytes, seconds: exchange(workers, bytes, LINE) })),
    );
    const line = fittedLine(measured);
    expect(line.latency).toBeCloseTo(LINE.latency, 9);
    expect(line.secondsPerByte * 1e9).toBeCloseTo(LINE.secondsPerByte * 1e9, 6);
  });

  it("passes every byte on twice but for a worker's own part, and nothing with one worker", () => {
    expect(exchange(1, 1e9, LINE)).toBe(0);
    expect(exchange(4, 1e9, { latency: 0, secondsPerByte: 1e-9 })).toBeCloseTo(1.5, 12);
  });

  it("knows the expected largest of normal draws", () => {
    // Harter, Expected Values of Normal Order Statistics (1961).
    for (const [count, value] of [
      [2, 0.5642],
      [10, 1.5388],
      [100, 2.5076],
      [400, 2.9682],
    ] as const)
      expect(Math.abs(expectedMaximum(count) / value - 1)).toBeLessThan(0.05);
  });

  it("saves more often the more workers there are, and is never faster than their number", () => {
    const failures = { perWorkerHour: 0.001, restart: 30, save: 5 };
    expect(saveInterval(400, failures)).toBeCloseTo(saveInterval(100, failures) / 2, 9);
    for (const workers of [2, 8, 64])
      expect(speedUp(workers, TRAINING, LINE, failures)).toBeLessThan(workers);
  });
});
