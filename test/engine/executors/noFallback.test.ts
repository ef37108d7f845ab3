// That models of all kinds train compiled, validation included: nothing of them is computed op by op.
import "../../../extension/engine/host/library.ts";
import { describe, expect, it, vi } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { Experiment } from "../../../extension/nn/experiment/experiment.ts";
import { train } from "../../unit/engine/training.ts";
import { EXPERIMENTS, forExperiments, loadExperiment } from "../experiments.ts";
import { compileFromTheStart } from "../compiling.ts";

compileFromTheStart();

const STEPS = 12;
/** Batches of the validation, before the training and after the last step. */
const VALIDATED = 2;

describe.skipIf(nativeStatus().state !== "installed")("compiled, without a fallback:", () => {
  forExperiments();

  it.for(EXPERIMENTS)("%s", async (file, { skip }) => {
    const executor = await loadExecutor("native");
    const experiment = await loadExperiment(file);
    if (experiment === undefined) return skip("no data");
    // The head of a BERT that is fine-tuned is new, which is said.
    if (file.includes("bert")) vi.spyOn(console, "warn").mockImplementation(() => {});
    let before: Record<string, number> = {};
    const { state } = await train(
      new Experiment({
        ...experiment.options,
        epochs: STEPS,
        maxSteps: STEPS,
        limitValBatches: VALIDATED,
        checkpoints: false,
        callbacks: { onTrainStart: () => void (before = executor.counters()) },
      }),
    );
    const after = executor.counters();
    const grown = (name: string): number => after[name]! - before[name]!;
    expect(state.step).toBe(STEPS);
    expect(grown("compiledRuns")).toBeGreaterThanOrEqual(STEPS);
    // Its metric reads what the model gives, and has three ops: too few for a graph.
    const small = file.includes("temperature") ? STEPS + VALIDATED : 0;
    expect(grown("small")).toBe(small);
    expect(grown("interpreted")).toBe(0);
    expect(after["fellBack"]).toBe(0);
  });
});
