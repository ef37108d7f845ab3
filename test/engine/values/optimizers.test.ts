// The contract of every optimizer, enumerated from the exports: its step is compiled once whatever its rate and
// momentum do, it agrees with the interpreter, it leaks nothing, and its state can be saved and restored.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadExecutor, type LoadedExecutor } from "../../../extension/executors/index.ts";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";

const native = nativeStatus().state === "installed";
let executor: LoadedExecutor;

/** By exported name: one line for each way through the update. */
const VARIANTS: Record<string, ((parameters: Tensor[]) => optim.Optimizer)[]> = {
  Adadelta: [
    (p) => new optim.Adadelta(p),
    (p) => new optim.Adadelta(p, 0.5, { weightDecay: 0.01, maximize: true }),
  ],
  Adafactor: [
    (p) => new optim.Adafactor(p),
    (p) => new optim.Adafactor(p, 0.1, { weightDecay: 0.01, d: 1.5, maximize: true }),
  ],
  Adagrad: [
    (p) => new optim.Adagrad(p),
    (p) => new optim.Adagrad(p, 0.1, { lrDecay: 0.1, weightDecay: 0.01, initialAccumulatorValue: 0.5 }),
  ],
  Adam: [
    (p) => new optim.Adam(p),
    (p) => new optim.Adam(p, 0.01, { amsgrad: true, weightDecay: 0.01, maximize: true }),
  ],
  AdamW: [(p) => new optim.AdamW(p, 0.01), (p) => new optim.AdamW(p, 0.01, { amsgrad: true })],
  Adamax: [(p) => new optim.Adamax(p, 0.01, { weightDecay: 0.01 })],
  ASGD: [
    (p) => new optim.ASGD(p, 0.1),
    (p) => new optim.ASGD(p, 0.1, { t0: 2, lambd: 0.01, weightDecay: 0.01 }),
  ],
  // Matrices alone: the biases stay.
  Muon: [
    (p) => new optim.Muon(p.filter(({ ndim }) => ndim === 2)),
    (p) =>
      new optim.Muon(
        p.filter(({ ndim }) => ndim === 2),
        0.02,
        { nesterov: false, adjustLrFn: "match_rms_adamw" },
      ),
  ],
  NAdam: [
    (p) => new optim.NAdam(p),
    (p) => new optim.NAdam(p, 0.01, { weightDecay: 0.01, decoupledWeightDecay: true }),
  ],
  RAdam: [
    (p) => new optim.RAdam(p, 0.01),
    (p) => new optim.RAdam(p, 0.01, { weightDecay: 0.01, decoupledWeightDecay: true }),
  ],
  RMSprop: [
    (p) => new optim.RMSprop(p),
    (p) => new optim.RMSprop(p, 0.001, { momentum: 0.9, centered: true, alpha: 0.9, weightDecay: 0.01 }),
  ],
  Rprop: [(p) => new optim.Rprop(p)],
  SGD: [
    (p) => new optim.SGD(p, 0.1),
    (p) => new optim.SGD(p, 0.1, { momentum: 0.9, dampening: 0.5 }),
    (p) => new optim.SGD(p, 0.1, { momentum: 0.9, nesterov: true, weightDecay: 0.01 }),
  ],
  SparseAdam: [
    (p) => new optim.SparseAdam(tablesOf(p), 0.01),
    (p) => new optim.SparseAdam(tablesOf(p), 0.01, { betas: [0.5, 0.9], maximize: true }),
  ],
};

/** The matrices, as what a sparse embedding has looked up. */
function tablesOf(parameters: readonly Tensor[]): Tensor[] {
  const tables = parameters.filter(({ ndim }) => ndim === 2);
  for (const table of tables) F.embedding(torch.tensor([0]), table, { sparse: true });
  return tables;
}

const CASES = Object.entries(VARIANTS).flatMap(([name, variants]) =>
  variants.map((make, i): [string, (parameters: Tensor[]) => optim.Optimizer] => [`${name} ${i}`, make]),
);

interface Loop {
  model: nn.Module;
  optimizer: optim.Optimizer;
  step(): number;
}

function loopOf(make: (parameters: Tensor[]) => optim.Optimizer): Loop {
  torch.manualSeed(1);
  const model = new nn.Sequential(new nn.Linear(6, 5), new nn.Tanh(), new nn.Linear(5, 3));
  const [x, y] = [torch.randn(8, 6), torch.randint(0, 3, [8])];
  const optimizer = make([...model.parameters()]);
  const criterion = new nn.CrossEntropyLoss();
  const step = (): number => {
    optimizer.zeroGrad();
    const loss = criterion(model(x), y);
    loss.backward();
    optimizer.step();
    return loss.item();
  };
  return { model, optimizer, step };
}

const losses = (loop: Loop, steps: number): number[] => Array.from({ length: steps }, () => loop.step());

function weights({ model }: Loop): number[] {
  return model.parameters().flatMap((p) => [...p.toTypedArray()].map(Number));
}

function expectClose(got: readonly number[], expected: readonly number[], digits: number): void {
  expect(got).toHaveLength(expected.length);
  got.forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, digits));
}

it("every exported optimizer has its cases here", () => {
  const exported = Object.entries(optim)
    .filter(([, value]) => typeof value === "function" && value.prototype instanceof optim.Optimizer)
    .map(([name]) => name)
    // Its step is a closure called many times: see test/unit/nn/optim/schedules.test.ts.
    .filter((name) => name !== "LBFGS");
  expect(Object.keys(VARIANTS).sort()).toEqual(exported.sort());
});

describe.skipIf(!native)("optimizers on the native engine", () => {
  beforeAll(async () => {
    executor = await loadExecutor("native");
    changePolicy({ smallPlans: false });
  });
  afterAll(() => {
    changePolicy({ smallPlans: true });
    setExecutor(undefined);
  });

  it.each(CASES)("%s: compiled, and flat over 200 steps with rate and momentum moving", (_, make) => {
    const loop = loopOf(make);
    const cycled = "momentum" in loop.optimizer.defaults || "betas" in loop.optimizer.defaults;
    const schedule = new optim.lrScheduler.OneCycleLR(loop.optimizer, 0.01, {
      totalSteps: 300,
      cycleMomentum: cycled,
    });
    const advance = (steps: number): void => {
      for (let i = 0; i < steps; i++) {
        loop.step();
        schedule.step();
      }
    };
    // RAdam's step has its final form from step 6 on.
    advance(9);
    const before = executor.counters();
    advance(200);
    const after = executor.counters();
    expect(after["compiledRuns"]! - before["compiledRuns"]!).toBe(200);
    for (const name of ["compiled", "recompiled", "interpreted", "tensors"])
      expect([name, after[name]]).toEqual([name, before[name]]);
  });

  it.each(CASES)("%s: compiled equals op by op on wasm", async (_, make) => {
    const compiled = loopOf(make);
    const got = losses(compiled, 10);
    const gotWeights = weights(compiled);
    await loadExecutor("wasm");
    const reference = loopOf(make);
    const expected = losses(reference, 10);
    const expectedWeights = weights(reference);
    executor = await loadExecutor("native");
    expectClose(got, expected, 5);
    expectClose(gotWeights, expectedWeights, 4);
  });

  it.each(CASES)("%s: continues from a saved state", (_, make) => {
    const loop = loopOf(make);
    losses(loop, 7);
    const again = loopOf(make);
    again.model.loadStateDict(loop.model.stateDict());
    again.optimizer.loadStateDict(loop.optimizer.stateDict());
    expect(again.optimizer.toString()).toBe(loop.optimizer.toString());
    expectClose(losses(again, 5), losses(loop, 5), 6);
    expectClose(weights(again), weights(loop), 6);
  });

  it.each(CASES.filter(([name]) => !/^(?:Muon|SparseAdam)/.test(name)))(
    "%s: a 0-d parameter has a state of its own kind",
    (_, make) => {
      const p = new nn.Parameter(torch.tensor(0.5));
      const run = (optimizer: optim.Optimizer): void => {
        p.grad = torch.tensor(0.25);
        optimizer.step();
      };
      const first = make([p]);
      run(first);
      const second = make([p]);
      second.loadStateDict(first.stateDict());
      run(second);
      expect(Number.isFinite(p.item())).toBe(true);
      const step = second.stateDict().state["0"]?.["step"];
      if (step !== undefined) expect((step as Tensor).item()).toBe(2);
    },
  );
});

it.each(["wasm", "cpu"] as const)(
  "on %s, a small parameter is stepped by a loop as a large one is by kernels, bit for bit",
  async (device) => {
    await loadExecutor(device);
    torch.manualSeed(4);
    const [small, more] = [1000, 100_000];
    const start = torch.randn(more);
    const gradients = Array.from({ length: 4 }, () => torch.randn(more));
    const stepped = (length: number): number[] => {
      const p = new nn.Parameter(start.narrow(0, 0, length).clone());
      const optimizer = new optim.AdamW([p], { lr: 0.01, weightDecay: 0.1 });
      for (const gradient of gradients) {
        p.grad = gradient.narrow(0, 0, length);
        optimizer.step();
      }
      return [...p.toTypedArray()];
    };
    expect(stepped(small)).toEqual(stepped(more).slice(0, small));
    setExecutor(undefined);
  },
);
