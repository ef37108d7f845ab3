import { expect, it, vi } from "vitest";
import { QueuedRuns } from "../../../extension/executors/kernels/queuedRuns.ts";
import { MAX_QUEUED_MS, MAX_QUEUED_STEPS } from "../../../extension/executors/tuning.ts";
import type { NativeBinding } from "../../../extension/native/binding.ts";

/** A binding whose runs end when they are waited for, up to the first that fails. */
function queue({ fails = Infinity, refuses = false } = {}) {
  let added = 0;
  let ended = 0;
  const finishPlan = vi.fn((run: number) => {
    ended = Math.min(Math.max(ended, run), fails - 1);
    return run < fails;
  });
  const binding = {
    queuePlan: () => (refuses ? 0 : ++added),
    finishedPlans: () => ended,
    finishPlan,
  };
  const runs = new QueuedRuns(binding as unknown as NativeBinding);
  const add = (milliseconds: number): number => runs.add(1, milliseconds, [], [], new Int32Array());
  return { runs, add, finishPlan };
}

it("a run is waited for once", () => {
  const { runs, add, finishPlan } = queue();
  const [first, second] = [add(1), add(1)];
  expect(runs.pending).toBe(2);
  runs.finish(second);
  runs.finish(first);
  expect(finishPlan).toHaveBeenCalledOnce();
  expect(runs.pending).toBe(0);
});

it("no more is queued than a pause can wait for, and no more runs than that hold their inputs", () => {
  for (const milliseconds of [0, 0.1, 1, 10, 100]) {
    const { runs, add } = queue();
    let most = 0;
    for (let i = 0; i < 2 * MAX_QUEUED_STEPS; i++) {
      add(milliseconds);
      most = Math.max(most, runs.pending);
    }
    const expected = Math.min(MAX_QUEUED_STEPS, Math.max(2, Math.floor(MAX_QUEUED_MS / milliseconds)));
    expect(Math.abs(most - expected)).toBeLessThanOrEqual(1);
  }
});

it("a run that has to be computed at once isn't waited for", () => {
  const { runs, add } = queue({ refuses: true });
  expect(add(1)).toBe(0);
  expect(runs.pending).toBe(0);
});

it("no value is read of a run without memory, or of one after it", () => {
  const { runs, add } = queue({ fails: 2 });
  const numbers = [add(1), add(1), add(1)];
  const message = "not enough memory for the values of a step";
  expect(() => runs.finish(numbers[2]!)).toThrow(message);
  expect(() => runs.finish(numbers[1]!)).toThrow(message);
  expect(() => runs.finish(numbers[0]!)).not.toThrow();
  expect(runs.pending).toBe(2);
});
