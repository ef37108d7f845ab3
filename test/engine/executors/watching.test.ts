// Effects of watching the layers on a training: none where it is off, and none in the steps between two checks.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { data, experiment, nn, optim, torch, type ExperimentOptions } from "../../../extension/nn/index.ts";
import { setExecutor, type Plan } from "../../../extension/tensor/planning/barrier.ts";
import { runtime } from "../../../extension/tensor/recording/runtime.ts";
import { Trace } from "../../../extension/tensor/recording/trace.ts";
import { train, weightsOf } from "../../unit/engine/training.ts";

const [STEPS, EVERY] = [120, 20];

/** A plan's key without the storages of this training. */
const structureOf = ({ key }: Plan): string => key.split(" ")[0]!;

/** Trains; answers the plan of each step, all other plans, and how many steps took over a `backward()`. */
async function observed(options: Partial<ExperimentOptions>, pictured = false) {
  const plans: Plan[] = [];
  const run = vi.spyOn(runtime.executor!, "run");
  const repeated = vi.spyOn(Trace.prototype, "repeatBackward");
  try {
    const trained = await train(
      experiment({
        // The second has pictures of its layers.
        model: () =>
          pictured
            ? new nn.Sequential(new nn.Conv2d(1, 4, 3), new nn.ReLU(), new nn.Flatten(), new nn.Linear(16, 3))
            : new nn.Sequential(new nn.Linear(6, 16), new nn.ReLU(), new nn.Linear(16, 3)),
        data: () =>
          new data.TensorDataset(
            pictured ? torch.randn(64, 1, 4, 4) : torch.randn(64, 6),
            torch.randint(0, 3, [64]),
          ),
        loss: new nn.CrossEntropyLoss(),
        optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
        batchSize: 16,
        epochs: STEPS / 4,
        maxSteps: STEPS,
        checkpoints: false,
        ...options,
      }),
    );
    for (const [plan] of run.mock.calls) plans.push(plan);
    const takenOver = repeated.mock.results.filter(({ value }) => value !== undefined).length;
    const updates = plans.filter(({ assigns }) => assigns.length > 0);
    return {
      steps: updates.map(structureOf),
      others: plans.filter(({ assigns }) => assigns.length === 0).map(structureOf),
      takenOver,
      weights: weightsOf(trained.prepared),
    };
  } finally {
    run.mockRestore();
    repeated.mockRestore();
  }
}

describe.skipIf(nativeStatus().state !== "installed")("watching", () => {
  beforeAll(async () => {
    await loadExecutor("native");
  });
  afterAll(() => setExecutor(undefined));

  it("costs nothing where it is off: the same plans in the same order, none of them for it", async () => {
    // Afterwards the library's memory of earlier graphs is the same for all.
    await observed({});
    const [absent, off] = [await observed({}), await observed({ watch: false })];
    expect(absent.steps).toHaveLength(STEPS);
    expect(off).toEqual(absent);
    // One graph for all steps, which every one but those that teach it takes over.
    expect(new Set(off.steps).size).toBe(1);
    expect(off.takenOver).toBeGreaterThan(0.9 * STEPS);
  });

  it.each([
    ["", false],
    [", and of their pictures", true],
  ])("leaves the plans and backward() of steps between two checks%s as they are", async (_, pictured) => {
    const off = await observed({ watch: false }, pictured);
    const watched = await observed({ watch: { logFreq: EVERY } }, pictured);
    expect(watched.weights).toEqual(off.weights);
    expect(watched.steps).toHaveLength(STEPS);
    const other = watched.steps.flatMap((key, i) => (key === off.steps[i] ? [] : [i + 1]));
    expect(other).toEqual(Array.from({ length: STEPS / EVERY }, (_, i) => (i + 1) * EVERY));
    expect(watched.others.length).toBeGreaterThan(off.others.length);
    expect(watched.takenOver).toBeGreaterThanOrEqual(off.takenOver - (3 * STEPS) / EVERY);
  });
});
