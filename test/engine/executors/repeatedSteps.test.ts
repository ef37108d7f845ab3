// Steps that repeat each other are recognized and taken over, and another thread computes them. Whatever a program does meanwhile,
// the numbers are those of wasm, which records and computes every step.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import type { Value } from "../../../extension/tensor/recording/graph.ts";
import {
  setExecutor,
  stepsTogether,
  pendingSteps,
  withoutGraph,
} from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { collectGarbage } from "../garbage.ts";
import { Trace } from "../../../extension/tensor/recording/trace.ts";
import { adam, part, PROGRAMS, session, sgd } from "./repeatedPrograms.ts";

const native = nativeStatus().state === "installed";

/** Whether steps are deferred, and whether the binding's kernels compute them. */
const WAYS = [
  ["one by one", false, false],
  ["one by one, by the binding's kernels", false, true],
  ["deferred", true, false],
] as const;

describe.skipIf(!native)("repeated steps", () => {
  /** As on a GPU: there, another thread computes small steps, too. */
  let executor: TensorFlowExecutor;
  const expected = new Map<string, number[]>();

  beforeAll(async () => {
    await loadExecutor("wasm");
    for (const [name, program] of Object.entries(PROGRAMS)) expected.set(name, program());
    await loadExecutor("native");
    executor = new TensorFlowExecutor(loadNative(), 1, true);
    changePolicy({ smallPlans: false });
  }, 120_000);
  afterAll(() => {
    changePolicy({ keepGradients: true, deferSteps: false, smallPlans: true });
    setExecutor(undefined);
  });

  for (const [how, deferSteps, smallPlans] of WAYS) {
    describe(how, () => {
      it.each(Object.keys(PROGRAMS))("%s", (name) => {
        const keepGradients = !deferSteps || name.startsWith("a gradient");
        const own = deferSteps ? executor : new TensorFlowExecutor(loadNative());
        setExecutor(own);
        changePolicy({ keepGradients, deferSteps, smallPlans });
        const before = own.counters.deferred;
        const numbers = PROGRAMS[name]!();
        setExecutor(executor);
        changePolicy({ smallPlans: false });
        const wanted = expected.get(name)!;
        expect(numbers).toHaveLength(wanted.length);
        numbers.forEach((value, i) => expect(Math.abs(value - wanted[i]!), `number ${i}`).toBeLessThan(2e-4));
        // Values that are kept for later reads are in the way.
        if (!keepGradients) expect(own.counters.deferred).toBeGreaterThan(before);
        else if (!deferSteps) expect(own.counters.deferred).toBe(0);
      });
    });
  }

  it("deferred steps leave no tensors behind", () => {
    changePolicy({ keepGradients: false, deferSteps: true });
    const { step } = session(sgd);
    const run = (): void => {
      for (const loss of Array.from({ length: 100 }, () => step())) loss.item();
    };
    run();
    const before = { ...executor.counters, tensors: executor.tensors };
    run();
    expect(executor.counters.deferred - before.deferred).toBe(100);
    expect(executor.counters.interpreted).toBe(before.interpreted);
    expect(executor.tensors).toBe(before.tensors);
  });

  it("a step is computed while the next one is recorded", () => {
    changePolicy({ keepGradients: false, deferSteps: true });
    const { model, step } = session(sgd);
    const losses = Array.from({ length: 20 }, () => step());
    expect(pendingSteps()).toBe(1);
    // Reading one that is done waits for no other.
    expect(losses[10]!.item()).toBeGreaterThan(0);
    expect(pendingSteps()).toBe(1);
    expect(losses.at(-1)!.item()).toBeGreaterThan(0);
    expect(pendingSteps()).toBe(0);
    step();
    expect(pendingSteps()).toBe(1);
    expect(part(model, 0).weight.toTypedArray().every(Number.isFinite)).toBe(true);
    expect(pendingSteps()).toBe(0);
  });

  it("what can't be fed refuses its step, not those before", () => {
    changePolicy({ keepGradients: false, deferSteps: true });
    const { model, optimizer, x } = session(sgd);
    const losses: Tensor[] = [];
    const wrong = "integers beyond ±2³¹ can be read but not computed with";
    expect(() => {
      for (let i = 0; i < 500; i++) {
        optimizer.zeroGrad();
        const loss = model(x)
          .add(torch.tensor([i === 250 ? 2 ** 40 : i % 7]).neg())
          .square()
          .mean();
        losses.push(loss);
        loss.backward();
        optimizer.step();
      }
    }).toThrow(wrong);
    expect(losses[10]!.item()).toBeGreaterThan(0);
    expect(losses[249]!.item()).toBeGreaterThan(0);
    expect(() => losses[250]!.item()).toThrow(wrong);
  });

  it("steps that wait hold on to no graph", async () => {
    changePolicy({ keepGradients: false, deferSteps: true });
    const { model, step } = session(sgd);
    for (let i = 0; i < 20; i++) step().item();
    const hidden: WeakRef<Value>[] = [];
    model
      .get(1)
      .registerForwardHook((_, __, output) => void hidden.push(new WeakRef((output as Tensor).value)));
    const losses = Array.from({ length: 40 }, () => withoutGraph(step()));
    // The target of a new weak reference lives until the event loop turns.
    await new Promise(setImmediate);
    collectGarbage();
    // Those of the call under way and of the next one stay: how many depends on the machine's load.
    expect(hidden.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(20);
    const values = losses.map((loss) => loss.item());
    expect(values.every(Number.isFinite)).toBe(true);
    expect(new Set(values).size).toBeGreaterThan(30);
  });

  it.each([
    ["computed in the step", (y: Tensor) => y.long().mul(1)],
    ["divided", (y: Tensor) => y.long().remainder(torch.tensor(8))],
  ])("a wrong label is refused at its step: labels %s", (_, labels) => {
    changePolicy({ keepGradients: false, deferSteps: true });
    torch.manualSeed(4);
    const layer = new nn.Linear(3, 4);
    const optimizer = adam(layer);
    const x = torch.randn(6, 3);
    const step = (last: number): Tensor => {
      optimizer.zeroGrad();
      const loss = F.crossEntropy(layer(x), labels(torch.tensor([0, 1, 2, 3, 0, last])));
      loss.backward();
      optimizer.step();
      return loss;
    };
    const before = executor.counters.deferred;
    const good = Array.from({ length: 12 }, (__, i) => step(i % 4));
    expect(executor.counters.deferred).toBeGreaterThan(before);
    const wrong = step(7);
    // Whatever waits for the step first says it, and then its value.
    for (let i = 0; i < 2; i++) expect(() => wrong.item()).toThrow("Target 7 is out of bounds.");
    expect(good.every((loss) => Number.isFinite(loss.item()))).toBe(true);
    const next = step(7);
    expect(() => step(0)).toThrow("Target 7 is out of bounds.");
    expect(() => next.item()).toThrow("Target 7 is out of bounds.");
  });

  it("is closed whether or not the step under way is refused", () => {
    const own = new TensorFlowExecutor(loadNative(), 1, true);
    setExecutor(own);
    changePolicy({ keepGradients: false, deferSteps: true });
    const layer = new nn.Linear(3, 4);
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    const x = torch.randn(2, 3);
    let loss = x;
    for (const label of [0, 0, 0, 7]) {
      optimizer.zeroGrad();
      loss = F.crossEntropy(layer(x), torch.tensor([1, label]).mul(1));
      loss.backward();
      optimizer.step();
    }
    expect(pendingSteps()).toBe(1);
    own.close();
    expect(() => loss.item()).toThrow("Target 7 is out of bounds.");
    setExecutor(executor);
  });

  it("a weight is read before and after its update", async () => {
    changePolicy({ keepGradients: false, deferSteps: false });
    const layer = new nn.Linear(2, 1, { bias: false });
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    const x = torch.tensor([[0.5, -2]]);
    for (let i = 0; i < 4; i++) {
      const moved = await stepsTogether(() => {
        optimizer.zeroGrad();
        const before = layer.weight.detach().mul(1);
        const loss = layer(x).mul(2).sum();
        loss.backward();
        optimizer.step();
        return layer.weight.detach().sub(before).toTypedArray();
      });
      expect(moved[0]).toBeCloseTo(-0.1, 6);
      expect(moved[1]).toBeCloseTo(0.4, 6);
    }
  });

  it("steps are recognized whatever the batches before them were, of which a value is left unread", () => {
    changePolicy({ keepGradients: true, deferSteps: false, smallPlans: true });
    const layer = new nn.Linear(3, 2);
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    const named = (lengths: readonly number[]): number => {
      const recognize = vi.spyOn(Trace.prototype, "recognize");
      try {
        for (const length of lengths) {
          const x = torch.randn(length, 3);
          optimizer.zeroGrad();
          const output = layer(x);
          const loss = output.square().mean();
          loss.backward();
          optimizer.step();
          expect(loss.item()).toBeGreaterThan(0);
          void output.detach().sub(x.index(":", ":2")).abs().sum();
        }
        return recognize.mock.results.filter(({ value }) => value === undefined).length;
      } finally {
        recognize.mockRestore();
      }
    };
    const sizes = [2, 3, 4, 5, 6];
    // Each twice: the second time, its graph is remembered.
    expect(named([...sizes, ...sizes])).toBeGreaterThan(0);
    // Then in other orders: the batch before isn't the one that it was.
    expect(named([6, 2, 5, 3, 4, 2, 6, 3, 5, 5, 4, 3])).toBe(0);
    changePolicy({ smallPlans: false });
  });

  it("a gradient that was not kept says so", () => {
    changePolicy({ keepGradients: false, deferSteps: false });
    const { model, step } = session(sgd);
    for (let i = 0; i < 6; i++) step();
    expect(() => part(model, 0).weight.grad!.toTypedArray()).toThrow(/step that is over|was not kept/);
  });
});
