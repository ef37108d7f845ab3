// That every way to compute a training step gives the same: the compiled graph, at once and on another thread, against the
// interpreter, in loss and gradients at equal weights.
import "../../../extension/engine/host/library.ts";
import { afterAll, describe, expect, it, vi } from "vitest";
import type { HostArray } from "../../../extension/tensor/core/dtype.ts";
import { prepare } from "../../../extension/engine/training/prepare.ts";
import { isOptimizer } from "../../../extension/engine/reporting/settings.ts";
import { TrainingStep } from "../../../extension/engine/training/trainingStep.ts";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import type { Experiment } from "../../../extension/nn/experiment/experiment.ts";
import type { Value } from "../../../extension/tensor/recording/graph.ts";
import { valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { DEFAULT_POLICY, type Policy } from "../../../extension/tensor/recording/policy.ts";
import { changePolicy, observe, runtime } from "../../../extension/tensor/recording/runtime.ts";
import { EXPERIMENTS, forExperiments, loadExperiment } from "../experiments.ts";

const STEPS = 7;
/** Of the loss, and of the largest gradient. */
const TOLERANCE = 1e-5;

interface Seen {
  /** By step: the loss, or what the experiment's own step gives. */
  losses: Record<string, number>[];
  /** By step and parameter. */
  gradients: HostArray[][];
}

/** The first steps of an experiment. Nothing is learned in them, so that the weights are the same however they are computed. */
async function steps(experiment: Experiment): Promise<Seen> {
  const prepared = await prepare(experiment, 0);
  prepared.model.train();
  const { optimizers } = prepared;
  let observed: Value[] = [];
  for (const optimizer of isOptimizer(optimizers) ? [optimizers] : Object.values(optimizers)) {
    for (const group of optimizer.paramGroups) group.lr = 0;
    const step = optimizer.step.bind(optimizer);
    const observing = (): void => {
      for (const { grad } of optimizer.paramGroups.flatMap(({ params }) => params)) {
        if (grad === null) continue;
        observe(grad.value);
        observed.push(grad.value);
      }
      step();
    };
    Object.assign(optimizer, { step: observing });
  }
  const step = new TrainingStep(prepared);
  const made: { read: () => Record<string, number>; gradients: Value[] }[] = [];
  while (made.length < STEPS)
    for (const batch of prepared.train.epoch()) {
      const place = { epoch: 1, step: made.length + 1, accumulated: 1, steps: true };
      const read = await step.run(batch, place);
      made.push({ read, gradients: observed });
      observed = [];
      if (made.length === STEPS) break;
    }
  return {
    losses: made.map(({ read }) => read()),
    gradients: made.map(({ gradients }) => gradients.map(valuesOf)),
  };
}

/** Has everything computed op by op. */
const looking = { node: () => undefined, done: () => undefined };

function expectAlike(seen: Seen, reference: Seen, how: string): void {
  reference.losses.forEach((losses, i) => {
    for (const [name, loss] of Object.entries(losses)) {
      const error = Math.abs(seen.losses[i]![name]! - loss) / Math.max(1, Math.abs(loss));
      expect(error, `${how}: ${name} of step ${i + 1}`).toBeLessThan(TOLERANCE);
    }
  });
  reference.gradients.forEach((wanted, i) => {
    expect(wanted.length).toBeGreaterThan(0);
    const found = seen.gradients[i]!;
    expect(found).toHaveLength(wanted.length);
    let [largest, error] = [0, 0];
    wanted.forEach((values, p) => {
      for (let n = 0; n < values.length; n++) {
        largest = Math.max(largest, Math.abs(values[n]!));
        error = Math.max(error, Math.abs(found[p]![n]! - values[n]!));
      }
    });
    expect(error / largest, `${how}: gradients of step ${i + 1}`).toBeLessThan(TOLERANCE);
  });
}

describe.skipIf(nativeStatus().state !== "installed")("loss and gradients, compiled and op by op:", () => {
  forExperiments();
  afterAll(() => {
    changePolicy(DEFAULT_POLICY);
  });

  it.for(EXPERIMENTS)("%s", async (file, { skip }) => {
    const experiment = await loadExperiment(file);
    if (experiment === undefined) return skip("no data");
    if (file.includes("bert")) vi.spyOn(console, "warn").mockImplementation(() => {});
    const run = async (
      changes: Partial<Policy>,
      inspector?: typeof looking,
    ): Promise<{ seen: Seen; counters: Record<string, number> }> => {
      const executor = await loadExecutor("native");
      changePolicy({ ...DEFAULT_POLICY, keepGradients: false, compileAtOnce: true, ...changes });
      runtime.inspector = inspector && (() => inspector);
      try {
        return { seen: await steps(experiment), counters: executor.counters() };
      } finally {
        runtime.inspector = undefined;
      }
    };
    const reference = await run({}, looking);
    expect(reference.counters["compiledRuns"]).toBe(0);
    const compiled = await run({});
    expect(compiled.counters["compiledRuns"]).toBeGreaterThanOrEqual(STEPS);
    expectAlike(compiled.seen, reference.seen, "compiled");
    expectAlike((await run({ deferSteps: true })).seen, reference.seen, "deferred");
  });
});
