// Costs of a training on the native engine: its number of graphs a step, and that it leaves nothing behind.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { loadExecutor, type LoadedExecutor } from "../../../extension/executors/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import {
  data,
  experiment,
  nn,
  optim,
  torch,
  type Experiment,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { scope } from "../../../extension/tensor/recording/scope.ts";
import { train, weightsOf } from "../../unit/engine/training.ts";
import { collectGarbage } from "../garbage.ts";
import { compileFromTheStart } from "../compiling.ts";

compileFromTheStart();

let executor: LoadedExecutor;

/** Counters after each batch of a training. */
async function counters(make: (callbacks: ExperimentOptions["callbacks"]) => Experiment) {
  const after: Record<string, number>[] = [];
  await train(make({ onBatchEnd: () => void after.push(executor.counters()) }));
  return after;
}

/** How a counter grew from one batch to the next. */
const growth = (after: readonly Record<string, number>[], name: string): number[] =>
  after.slice(1).map((one, i) => one[name]! - after[i]![name]!);

class Gan extends nn.Module {
  generator = new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 6));
  discriminator = new nn.Sequential(new nn.Linear(6, 8), new nn.LeakyReLU(0.2), new nn.Linear(8, 1));
  forward(z: Tensor): Tensor {
    return this.generator(z);
  }
}

const gan = (callbacks: ExperimentOptions["callbacks"], readsWithin = false): Experiment =>
  experiment({
    model: () => new Gan(),
    data: () => new data.TensorDataset(torch.randn(32, 6)),
    loss: new nn.BCEWithLogitsLoss(),
    optimizer: (_, model) => ({
      d: new optim.Adam(model.discriminator.parameters(), { lr: 0.01 }),
      g: new optim.Adam(model.generator.parameters(), { lr: 0.01 }),
    }),
    batchSize: 8,
    epochs: 5,
    callbacks: callbacks ?? {},
    trainStep: ({ model, batch: [real], loss, optimizer }) => {
      const z = torch.randn(8, 4);
      const [ones, zeros] = [torch.ones(8, 1), torch.zeros(8, 1)];
      optimizer.d.zeroGrad();
      const fake = model(z);
      const d = loss(model.discriminator(real!), ones).add(loss(model.discriminator(fake.detach()), zeros));
      d.backward();
      optimizer.d.step();
      if (readsWithin) d.item();
      optimizer.g.zeroGrad();
      const g = loss(model.discriminator(fake), ones);
      g.backward();
      optimizer.g.step();
      return { loss: d.add(g), d, g };
    },
  });

class Net extends nn.Module {
  fc = new nn.Linear(6, 3);
  forward(x: Tensor): Tensor {
    return this.fc(x);
  }
}

/** Nodes that each step of a training records. */
async function recorded(metrics: ExperimentOptions["metrics"]): Promise<number[]> {
  const counts: number[] = [];
  let nodes = 0;
  scope.onNode = () => void nodes++;
  try {
    await train(
      experiment({
        model: () => new Net(),
        data: () => new data.TensorDataset(torch.randn(64, 6), torch.randint(0, 3, [64])),
        loss: new nn.CrossEntropyLoss(),
        optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
        batchSize: 8,
        epochs: 2,
        metrics: metrics ?? [],
        callbacks: { onBatchEnd: () => void (counts.push(nodes), (nodes = 0)) },
      }),
    );
  } finally {
    scope.onNode = undefined;
  }
  return counts;
}

const accumulating = (callbacks: ExperimentOptions["callbacks"]): Experiment =>
  experiment({
    model: () => new Net(),
    data: () => new data.TensorDataset(torch.randn(64, 6), torch.randint(0, 3, [64])),
    loss: new nn.CrossEntropyLoss(),
    optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
    batchSize: 8,
    accumulateGradBatches: 4,
    gradientClipVal: 0.5,
    epochs: 4,
    callbacks: callbacks ?? {},
  });

describe.skipIf(nativeStatus().state !== "installed")("training on the native engine", () => {
  beforeAll(async () => {
    executor = await loadExecutor("native");
  });
  afterAll(() => setExecutor(undefined));

  it("both steps of a GAN are one graph", async () => {
    const after = (await counters((callbacks) => gan(callbacks))).slice(-10);
    expect(growth(after, "compiledRuns")).toEqual(Array.from({ length: 9 }, () => 1));
    expect(growth(after, "interpreted")).toEqual(Array.from({ length: 9 }, () => 0));
    expect(new Set(after.map(({ tensors }) => tensors)).size).toBe(1);
  });

  it("and as many as are needed when its code reads a value in between; the numbers are the same", async () => {
    const after = (await counters((callbacks) => gan(callbacks, true))).slice(-5);
    expect(growth(after, "compiledRuns")).toEqual([2, 2, 2, 2]);
    const [together, apart] = [await train(gan(undefined)), await train(gan(undefined, true))];
    const expected = weightsOf(apart.prepared);
    weightsOf(together.prepared).forEach((weight, i) => expect(weight).toBeCloseTo(expected[i]!, 5));
  });

  it.each([[[]], [["accuracy"] as const]])(
    "a step like the last records no backward, metrics %j",
    async (metrics) => {
      const counts = await recorded(metrics);
      const known = counts.slice(4, 8);
      expect(new Set(known).size).toBe(1);
      expect(known[0]).toBeLessThan(counts[0]! * 0.8);
    },
  );

  it("accumulated batches are computed one by one, by few graphs, and leave nothing behind", async () => {
    const after = (await counters(accumulating)).slice(-16);
    expect(growth(after, "compiledRuns")).toEqual(Array.from({ length: 15 }, () => 1));
    expect(growth(after, "compiled")).toEqual(Array.from({ length: 15 }, () => 0));
    const atSteps = after.filter((_, i) => i % 4 === 3).map(({ tensors }) => tensors);
    expect(new Set(atSteps).size).toBe(1);
  });

  const long = (changes: Partial<ExperimentOptions>): Experiment =>
    experiment({
      model: () => new Net(),
      data: () => new data.TensorDataset(torch.randn(800, 6), torch.randint(0, 3, [800])),
      loss: new nn.CrossEntropyLoss(),
      optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
      batchSize: 8,
      shuffle: true,
      checkpoints: false,
      epochs: 1,
      ...changes,
    });

  it.each(["waiting for each other", "one by one"])("memory is flat over 3,000 steps, %s", async (how) => {
    const used: number[] = [];
    const tensors: number[] = [];
    const onEpochEnd = ({ epoch }: { epoch: number }): void => {
      if (epoch % 10 !== 0) return;
      collectGarbage();
      used.push(process.memoryUsage().heapUsed / 2 ** 20);
      tensors.push(executor.counters()["tensors"]!);
    };
    const callbacks = how === "one by one" ? { onEpochEnd, onStepEnd: () => {} } : { onEpochEnd };
    const { rows } = await train(long({ epochs: 40, callbacks }));
    expect(rows.at(-1)!.step).toBe(4000);
    expect(new Set(tensors).size).toBe(1);
    // Size of the curves of 3,000 steps, which the test keeps.
    const kept = 3000 * 400 * 2 ** -20;
    expect(used[3]! - used[0]!).toBeLessThan(kept + 0.5);
  });

  it.each([1, 3])(
    "deferred steps report the same rows as those that are observed: %i batches a step",
    async (batches) => {
      const told = async (callbacks: ExperimentOptions["callbacks"]) => {
        const before = executor.counters();
        // So large that another thread is worth waking.
        const changes = {
          model: () =>
            new nn.Sequential(new nn.Linear(6, 1024), new nn.Linear(1024, 1024), new nn.Linear(1024, 3)),
        };
        const options = { ...changes, accumulateGradBatches: batches, metrics: ["accuracy"] as const };
        const { rows } = await train(long({ ...options, callbacks: callbacks ?? {} }));
        const deferred = executor.counters()["deferred"]! - before["deferred"]!;
        return { deferred, rows: rows.map((row) => ({ ...row, time: 0, spent: undefined })) };
      };
      const [waiting, looked] = [await told(undefined), await told({ onStepEnd: () => {} })];
      if (batches === 1) expect(waiting.deferred).toBeGreaterThan(1);
      expect(looked.deferred).toBe(0);
      expect(waiting.rows).toHaveLength(looked.rows.length);
      waiting.rows.forEach(({ values, ...row }, i) => {
        const { values: others, ...other } = looked.rows[i]!;
        expect(row).toEqual(other);
        expect(Object.keys(values)).toEqual(Object.keys(others));
        for (const name in values) expect(values[name], `${name} of row ${i}`).toBeCloseTo(others[name]!, 3);
      });
    },
  );

  it("no step clears a set: those that outlive it are replaced (see Runtime)", async () => {
    const cleared: string[] = [];
    const clears = [Set.prototype, Map.prototype].map((prototype) => {
      const original = prototype.clear;
      return vi.spyOn(prototype, "clear").mockImplementation(function (
        this: Set<unknown> & Map<unknown, unknown>,
      ) {
        // Not those of the test's own tools, which clear theirs from time to time.
        const { stack = "" } = new Error("cleared");
        if (stack.includes("/extension/")) cleared.push(stack);
        original.call(this);
      });
    });
    try {
      let before = 0;
      const onStepEnd = ({ step }: { step: number }): void => {
        if (step === 20) before = cleared.length;
      };
      await train(long({ maxSteps: 100, callbacks: { onStepEnd } }));
      expect(cleared.slice(before)).toEqual([]);
    } finally {
      for (const clear of clears) clear.mockRestore();
    }
  });
});
