// Steps that are read one by one are speculated where their inputs are known. Whatever a program does between two of
// them, every number is the same as without speculation.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { loadExecutor, type LoadedExecutor } from "../../../extension/executors/index.ts";
import { XLA_STEPS } from "../../../extension/executors/tuning.ts";
import { data, experiment, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { Value } from "../../../extension/tensor/recording/graph.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import {
  DEFAULT_POLICY,
  KERNELS_OVER,
  type Lookahead,
  type TrainingGraphs,
} from "../../../extension/tensor/recording/policy.ts";
import { changePolicy, runtime } from "../../../extension/tensor/recording/runtime.ts";
import { train, weightsOf } from "../../unit/engine/training.ts";
import { compileFromTheStart } from "../compiling.ts";

compileFromTheStart();

const native = nativeStatus().state === "installed";

type Batch = readonly [Tensor, Tensor];

/** A list of batches, of which all that follow are known. */
class Known implements Lookahead {
  readonly predictable = true;
  private at = 0;
  private readonly batches: readonly Batch[];
  constructor(batches: readonly Batch[]) {
    this.batches = batches;
  }
  private values(at: number) {
    return this.batches[at]!.map(({ value }) => value);
  }
  get current() {
    return this.values(this.at - 1);
  }
  next(most: number) {
    return this.batches.slice(this.at, this.at + most).map((_, i) => this.values(this.at + i));
  }
  since = 0;
  take(): Batch {
    this.since = Value.made;
    return this.batches[this.at++]!;
  }
}

interface Loop {
  model: nn.Sequential;
  optimizer: optim.Adam;
  /** Runs a step with a batch, the next one by default. Returns its loss. */
  step: (batch?: Batch) => number;
  batches: readonly Batch[];
}

const STEPS = 120;

function loop(speculation: boolean): Loop {
  torch.manualSeed(5);
  const model = new nn.Sequential(new nn.Linear(6, 8), new nn.Tanh(), new nn.Linear(8, 3));
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.05 });
  const criterion = new nn.CrossEntropyLoss();
  const batches = Array.from({ length: STEPS }, (_, i): Batch => [
    torch.randn(i === STEPS - 9 ? 4 : 10, 6),
    torch.randint(0, 3, [i === STEPS - 9 ? 4 : 10]),
  ]);
  for (const batch of batches) for (const tensor of batch) tensor.toTypedArray();
  const known = new Known(batches);
  changePolicy({ lookahead: speculation ? known : undefined });
  return {
    model,
    optimizer,
    batches,
    step(batch) {
      const next = known.take();
      const [x, y] = batch ?? next;
      optimizer.zeroGrad();
      const loss = criterion(model(x), y);
      loss.backward();
      optimizer.step();
      return loss.item();
    },
  };
}

const part = (model: nn.Sequential, index: number): nn.Linear => model.get(index) as nn.Linear;
const times = (count: number, body: (i: number) => number): number[] =>
  Array.from({ length: count }, (_, i) => body(i));

/** Possible actions of a program between two steps. Each returns all numbers that it has read. */
const PROGRAMS: Record<string, (loop: Loop) => number[]> = {
  nothing: ({ step }) => times(STEPS, () => step()),
  "read a weight now and then": ({ step, model }) =>
    times(STEPS, (i) => step() + (i % 13 === 7 ? part(model, 0).weight.sum().item() : 0)),
  "read a gradient now and then": ({ step, model }) =>
    times(STEPS, (i) => step() + (i % 13 === 7 ? part(model, 0).weight.grad!.sum().item() : 0)),
  "read a weight, then a gradient": ({ step, model }) =>
    times(STEPS, (i) => {
      const loss = step();
      if (i % 17 !== 7) return loss;
      return loss + part(model, 2).bias!.sum().item() + part(model, 0).weight.grad!.sum().item();
    }),
  "read a gradient of every step": ({ step, model }) =>
    times(STEPS, () => step() + part(model, 2).bias!.grad!.abs().sum().item()),
  "read a gradient after a weight was replaced": ({ step, model }) =>
    times(STEPS, (i) => {
      const loss = step();
      if (i % 29 !== 11) return loss;
      torch.noGrad(() => part(model, 2).weight.copy_(torch.full([3, 8], 0.25)));
      return loss + part(model, 0).weight.grad!.sum().item();
    }),
  "write a weight": ({ step, model }) =>
    times(STEPS, (i) => {
      if (i % 19 === 11) torch.noGrad(() => part(model, 2).weight.mul_(0.5));
      return step();
    }),
  "replace all weights": ({ step, model }) => {
    const kept = new Map([...model.stateDict()].map(([name, tensor]) => [name, tensor.clone()]));
    return times(STEPS, (i) => {
      if (i % 37 === 20) model.loadStateDict(kept);
      return step();
    });
  },
  "replace one weight": ({ step, model }) =>
    times(STEPS, (i) => {
      if (i % 31 === 20) torch.noGrad(() => part(model, 0).bias!.copy_(torch.ones(8)));
      return step();
    }),
  "change the learning rate": ({ step, optimizer }) =>
    times(STEPS, (i) => {
      if (i % 23 === 9) optimizer.paramGroups[0]!.lr *= 0.7;
      return step();
    }),
  "change a number of the loss": ({ step, model }) =>
    times(STEPS, (i) => {
      model.get(1).train(i % 2 === 0);
      return step();
    }),
  "train on another batch than the next": ({ step, batches }) =>
    times(STEPS, (i) => step(i % 21 === 13 ? batches[0] : undefined)),
  evaluate: ({ step, model, batches }) =>
    times(STEPS, (i) => {
      const loss = step();
      return i % 20 === 9 ? loss + torch.noGrad(() => model(batches[0]![0]).sum().item()) : loss;
    }),
  "save the optimizer": ({ step, optimizer }) =>
    times(STEPS, (i) => {
      const loss = step();
      if (i % 27 !== 16) return loss;
      return loss + (optimizer.stateDict().state["0"]!["exp_avg"] as Tensor).sum().item();
    }),
  "freeze a layer": ({ step, model }) =>
    times(STEPS, (i) => {
      if (i === 40) model.get(0).requiresGrad_(false);
      if (i === 70) model.get(0).requiresGrad_(true);
      return step();
    }),
};

const far = (): TrainingGraphs => ({
  steady: { graph: "", steps: 0 },
  compiled: [],
  kernelWork: KERNELS_OVER,
});

describe.skipIf(!native)("speculation", () => {
  let executor: LoadedExecutor;
  // An executor compiles a limited number of graphs at first sight.
  beforeEach(async () => {
    executor = await loadExecutor("native");
  });
  afterAll(() => {
    changePolicy(DEFAULT_POLICY);
    setExecutor(undefined);
  });

  const run = (program: (loop: Loop) => number[], speculation: boolean): number[] => {
    changePolicy({ keepGradients: true, deferSteps: false, compileAtOnce: true, training: far() });
    const own = loop(speculation);
    return [
      ...program(own),
      ...[...own.model.stateDict().values()].flatMap((tensor) => [...tensor.toTypedArray()]),
    ];
  };

  it.each(Object.entries(PROGRAMS))("%s", (name, program) => {
    const expected = run(program, false);
    const before = executor.counters()["speculated"]!;
    expect(run(program, true)).toEqual(expected);
    const speculated = executor.counters()["speculated"]! - before;
    if (name !== "read a gradient of every step") expect(speculated).toBeGreaterThan(STEPS / 4);
  });

  it("takes few calls and leaves no tensors behind", () => {
    const before = executor.counters();
    run(PROGRAMS["nothing"]!, true);
    const after = executor.counters();
    expect(after["calls"]! - before["calls"]!).toBeLessThan(STEPS / 3);
    const tensors: number[] = [];
    run(({ step, model }) => {
      return times(STEPS, (i) => {
        const loss = step();
        if (i % 10 === 5 && i > 60 && i < 110) tensors.push(executor.counters()["tensors"]!);
        return i % 10 === 3 ? loss + part(model, 0).weight.grad!.sum().item() : loss;
      });
    }, true);
    expect(new Set(tensors).size).toBe(1);
  });

  it("stays out where a step makes a tensor of its own", () => {
    const program = ({ step, batches }: Loop): number[] =>
      times(STEPS, (i) => step([batches[i]![0].mul(torch.tensor([1 + 0.01 * i])), batches[i]![1]]));
    const before = executor.counters()["speculated"]!;
    expect(run(program, true)).toEqual(run(program, false));
    expect(executor.counters()["speculated"]).toBe(before);
  });

  it("reports a batch that can't be computed only at its own step", () => {
    changePolicy({ keepGradients: true, deferSteps: false, compileAtOnce: true, training: far() });
    const trained = (broken: boolean): number[] => {
      const { step, batches, model } = loop(true);
      const bad = batches[60]![1];
      if (broken) bad.value.data!.fill(7);
      const losses = times(60, () => step());
      if (broken) expect(() => step()).toThrow(/[Tt]arget|label|out of/);
      return [...losses, ...part(model, 2).weight.toTypedArray()];
    };
    expect(trained(true)).toEqual(trained(false));
  });

  // XLA compiles after a fixed number of steps, whatever is read in between, observed or not.
  it("gives the same numbers with XLA", () => {
    const trained = (look: (model: nn.Sequential) => Tensor | undefined): number[] => {
      changePolicy({ keepGradients: true, deferSteps: false, compileAtOnce: true, training: far() });
      const { model, step } = loop(true);
      return times(STEPS, (i) => {
        // The graph's name is counted as soon as it is known; the rest of the way is taken at once.
        const { training } = runtime.policy;
        if (i === 20) training!.steady = { ...training!.steady, steps: 2 * XLA_STEPS };
        const loss = step();
        if (i % 9 === 4) look(model)?.toTypedArray();
        return loss;
      });
    };
    const before = executor.counters()["byXla"]!;
    const plain = trained(() => undefined);
    expect(executor.counters()["byXla"]! - before).toBeGreaterThan(STEPS / 2);
    expect(trained((model) => part(model, 0).weight)).toEqual(plain);
    expect(trained((model) => part(model, 0).weight.grad!)).toEqual(plain);
  });

  describe("a training", () => {
    const made = (callbacks: object, seen: number[]) =>
      experiment({
        seed: 3,
        model: () => new nn.Sequential(new nn.Linear(4, 5), new nn.ReLU(), new nn.Linear(5, 3)),
        data: () => new data.TensorDataset(torch.randn(500, 4), torch.randint(0, 3, [500])),
        loss: new nn.CrossEntropyLoss(),
        optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.02 }),
        batchSize: 8,
        shuffle: true,
        epochs: 3,
        callbacks: {
          onStepEnd({ metrics }) {
            seen.push(metrics["loss"]!);
          },
          ...callbacks,
        },
      });

    it("whose callback reads each loss equals one without callback", async () => {
      const seen: number[] = [];
      const { options } = made({}, seen);
      const before = executor.counters()["speculated"]!;
      const looked = await train(experiment({ ...options }));
      const speculated = executor.counters()["speculated"]! - before;
      expect(speculated).toBeGreaterThan(seen.length / 2);
      const { callbacks: _, ...plain } = options;
      const alone = await train(experiment(plain));
      expect(seen).toHaveLength(3 * 63);
      expect(seen).toEqual(
        alone.rows.flatMap(({ kind, values }) => (kind === "step" ? [values["loss"]] : [])),
      );
      expect(weightsOf(looked.prepared)).toEqual(weightsOf(alone.prepared));
    });

    it("whose callback changes weights equals one whose weights are saved at that time", async () => {
      const run = async (read: boolean): Promise<number[]> => {
        const { options } = made(
          {
            onStepEnd({ model, step }: { model: nn.Sequential; step: number }) {
              if (step % 20 !== 13) return;
              const { weight } = part(model, 0);
              torch.noGrad(() => weight.mul_(0.9));
              if (read) weight.toTypedArray();
            },
          },
          [],
        );
        return weightsOf((await train(experiment(options))).prepared);
      };
      expect(await run(true)).toEqual(await run(false));
    });

    it("whose callback draws numbers and changes weights equals one without speculation", async () => {
      const run = async (kind: "fixed" | "own"): Promise<number[]> => {
        const seen: number[] = [];
        const { options } = made(
          {
            onStepEnd({
              model,
              step,
              metrics,
            }: {
              model: nn.Sequential;
              step: number;
              metrics: Record<string, number>;
            }) {
              seen.push(metrics["loss"]!, torch.rand(1).item());
              if (step % 40 === 13) torch.noGrad(() => part(model, 0).weight.mul_(0.9));
            },
          },
          seen,
        );
        // A set of one's own is read when it is its turn.
        class Own extends data.TensorDataset {
          override getBatch(indices: readonly number[]): Tensor[] {
            return super.getBatch(indices);
          }
        }
        const source = () =>
          kind === "own"
            ? new Own(torch.randn(500, 4), torch.randint(0, 3, [500]))
            : new data.TensorDataset(torch.randn(500, 4), torch.randint(0, 3, [500]));
        const { prepared } = await train(experiment({ ...options, data: source }));
        return [...seen, ...weightsOf(prepared)];
      };
      const before = executor.counters()["speculated"]!;
      const own = await run("own");
      expect(executor.counters()["speculated"]).toBe(before);
      expect(await run("fixed")).toEqual(own);
      expect(executor.counters()["speculated"]! - before).toBeGreaterThan(100);
    });
  });
});
