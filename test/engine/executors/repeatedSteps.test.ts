// Steps that repeat each other are recognized, taken over and computed together. Whatever a program does meanwhile, the
// numbers are those of wasm, which records and computes every step.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { loadExecutor, type LoadedExecutor } from "../../../extension/executors/index.ts";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { XLA_STEPS } from "../../../extension/executors/tuning.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { apply } from "../../../extension/tensor/recording/apply.ts";
import type { Value } from "../../../extension/tensor/recording/graph.ts";
import { attr } from "../../../extension/tensor/lowering/lowering.ts";
import { defineOp } from "../../../extension/tensor/recording/op.ts";
import {
  setExecutor,
  stepsTogether,
  pendingSteps,
  withoutGraph,
} from "../../../extension/tensor/planning/barrier.ts";
import { KERNELS_OVER, type TrainingGraphs } from "../../../extension/tensor/recording/policy.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { collectGarbage } from "../garbage.ts";
import { Trace } from "../../../extension/tensor/recording/trace.ts";
import { settled } from "../settled.ts";
import { adam, part, PROGRAMS, session, sgd } from "./repeatedPrograms.ts";

const native = nativeStatus().state === "installed";

/** Programs in which XLA's graph alternates with others, or gets other inputs than before: each compiles again. */
const FOR_XLA = [
  "the same step over and over",
  "weights written between steps",
  "batches of two sizes",
  "a learning rate that changes every step",
  "recurrent layers",
];

const WAYS = [
  ["one by one", false, false, undefined, Object.keys(PROGRAMS)],
  ["one by one, by the binding's kernels", false, true, undefined, Object.keys(PROGRAMS)],
  ["computed together", true, false, undefined, Object.keys(PROGRAMS)],
  ["compiled by XLA", true, false, settled, FOR_XLA],
] as const;

describe.skipIf(!native)("repeated steps", () => {
  let executor: LoadedExecutor;
  const expected = new Map<string, number[]>();

  beforeAll(async () => {
    await loadExecutor("wasm");
    for (const [name, program] of Object.entries(PROGRAMS)) expected.set(name, program());
    executor = await loadExecutor("native");
    changePolicy({ smallPlans: false });
  }, 120_000);
  afterAll(() => {
    changePolicy({ keepGradients: true, deferSteps: false, smallPlans: true, training: undefined });
    setExecutor(undefined);
  });

  for (const [how, waiting, smallPlans, training, programs] of WAYS) {
    describe(how, () => {
      it.each(programs)("%s", (name) => {
        const gradients = !waiting || name.startsWith("a gradient");
        changePolicy({ keepGradients: gradients, deferSteps: waiting, smallPlans, training: training?.() });
        const byXla = executor.counters()["byXla"]!;
        const numbers = PROGRAMS[name]!();
        const wanted = expected.get(name)!;
        expect(numbers).toHaveLength(wanted.length);
        if (training !== undefined) expect(executor.counters()["byXla"]).toBeGreaterThan(byXla);
        changePolicy({ smallPlans: false });
        numbers.forEach((value, i) => expect(Math.abs(value - wanted[i]!), `number ${i}`).toBeLessThan(2e-4));
      });
    });
  }

  it("many steps are one call, and leave no tensors behind", () => {
    changePolicy({ keepGradients: false, deferSteps: true });
    const { step } = session(sgd);
    const run = (): void => {
      for (const loss of Array.from({ length: 100 }, () => step())) loss.item();
    };
    run();
    const before = executor.counters();
    run();
    const after = executor.counters();
    expect(after["compiledRuns"]! - before["compiledRuns"]!).toBe(100);
    expect(after["calls"]! - before["calls"]!).toBeLessThan(60);
    expect(after["interpreted"]).toBe(before["interpreted"]);
    expect(after["tensors"]).toBe(before["tensors"]);
  });

  it("a call runs while the next steps are recorded", () => {
    changePolicy({ keepGradients: false, deferSteps: true });
    const { step } = session(sgd);
    const before = executor.counters();
    const losses = Array.from({ length: 500 }, () => step());
    const after = executor.counters();
    expect(after["overlapped"]! - before["overlapped"]!).toBeGreaterThan(1);
    // Reading one of a call that is done waits for no other.
    const waiting = pendingSteps();
    expect(waiting).toBeGreaterThan(0);
    expect(losses[10]!.item()).toBeGreaterThan(0);
    expect(pendingSteps()).toBe(waiting);
    expect(losses.at(-1)!.item()).toBeGreaterThan(0);
    expect(pendingSteps()).toBe(0);
  });

  it("what can't be fed refuses the steps of its call, not those before", () => {
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

  it("XLA computes steps, one or many a call, with the same numbers", () => {
    const run = (together: number): number[] => {
      changePolicy({ keepGradients: false, deferSteps: true, training: settled() });
      const { step, model } = session();
      const losses: number[] = [];
      for (let at = 0; at < 60; at += together)
        losses.push(...Array.from({ length: together }, () => step()).map((loss) => loss.item()));
      return [...losses, ...part(model, 3).weight.toTypedArray()];
    };
    const many = run(60);
    const before = executor.counters();
    for (const together of [1, 6]) expect(run(together)).toEqual(many);
    const after = executor.counters();
    // All but the first two, of which one makes the optimizer's state.
    expect(after["byXla"]! - before["byXla"]!).toBe(2 * 58);
  });

  it("XLA is at work before its steps come, and its turn comes as it would", () => {
    const binding = loadNative();
    const training: TrainingGraphs = {
      steady: { graph: "", steps: 0 },
      compiled: [],
      kernelWork: KERNELS_OVER,
    };
    changePolicy({ keepGradients: false, deferSteps: true, training });
    const { step } = session(sgd);
    const make = (count: number): void => {
      for (const loss of Array.from({ length: count }, () => step())) loss.item();
    };
    make(10);
    const before = executor.counters();
    training.steady = { ...training.steady, steps: XLA_STEPS / 2 };
    const sessions = binding.getNumOfSavedModels();
    make(1);
    expect(binding.getNumOfSavedModels()).toBe(sessions + 1);
    make(20);
    expect(executor.counters()["byXla"]).toBe(before["byXla"]);
    training.steady = { ...training.steady, steps: XLA_STEPS - 5 };
    make(10);
    expect(executor.counters()["byXla"]! - before["byXla"]!).toBe(5);
  });

  it("XLA's steps leave no tensors behind", () => {
    changePolicy({ keepGradients: false, deferSteps: true, training: settled() });
    const { step } = session(sgd);
    const run = (): number => {
      for (const loss of Array.from({ length: 50 }, () => step())) loss.item();
      return executor.counters()["tensors"]!;
    };
    expect(run()).toBe(run());
  });

  it("steps that XLA can't compile still run", () => {
    const copied = defineOp({
      name: "copied",
      layout: "elementwise",
      infer: ([x]) => x!,
      gradient: ({ grad }) => [grad],
      batch: { none: "a test's" },
      onnx: { none: "a test's" },
      tensorflow: (b, [x]) => b.node("DeepCopy", [x!], { T: attr.type("float32") }),
      tfjs: (k, [x]) => k.clone(x!),
    });
    const run = (training: ReturnType<typeof settled> | undefined): number[] => {
      changePolicy({ keepGradients: false, deferSteps: true, training });
      torch.manualSeed(2);
      const layer = new nn.Linear(3, 2);
      const optimizer = adam(layer);
      const x = torch.randn(4, 3);
      const losses = Array.from({ length: 30 }, () => {
        optimizer.zeroGrad();
        const loss = apply(copied, [layer(x)], {})
          .square()
          .mean();
        loss.backward();
        optimizer.step();
        return loss;
      });
      return losses.map((loss) => loss.item());
    };
    expect(run(settled())).toEqual(run(undefined));
    const said = executor.choices().filter(({ about }) => about === "XLA");
    expect(said.map(({ why }) => why)).toContain("it can't compile one of the ops");
  });

  it.each([
    ["fed as numbers of another type", (y: Tensor) => y.long(), true],
    ["fed in another shape", (y: Tensor) => y.long().reshape(2, 3).reshape(-1), true],
    ["computed in the step", (y: Tensor) => y.long().mul(1), false],
    ["divided", (y: Tensor) => y.long().remainder(torch.tensor(8)), false],
  ])("a wrong label is refused whatever computes: labels %s", (_, labels, suits) => {
    const run = (training: ReturnType<typeof settled> | undefined): void => {
      changePolicy({ keepGradients: false, deferSteps: true, training });
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
      const before = executor.counters()["byXla"]!;
      const good = Array.from({ length: 12 }, (__, i) => step(i % 4));
      expect(executor.counters()["byXla"]! - before > 0).toBe(training !== undefined && suits);
      const wrong = Array.from({ length: 3 }, () => step(0));
      expect(() => {
        wrong.push(step(7));
        wrong.at(-1)!.item();
      }).toThrow("Target 7 is out of bounds.");
      const checkedWhenFed = suits && training !== undefined;
      // Of steps that were computed by the same call, reading any says the same; those before are there.
      for (const loss of wrong.slice(0, 3)) {
        const said = ((): string => {
          try {
            return String(loss.item());
          } catch (error) {
            return String(error);
          }
        })();
        expect(said).toMatch(checkedWhenFed ? /^\d/ : /^\d|Target 7 is out of bounds\./);
      }
      if (checkedWhenFed) expect(good.every((loss) => Number.isFinite(loss.item()))).toBe(true);
    };
    run(undefined);
    run(settled());
  });

  it("NaN stays NaN in XLA", () => {
    changePolicy({ keepGradients: false, deferSteps: true, training: settled() });
    const layer = new nn.Linear(2, 4);
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    const before = executor.counters()["byXla"]!;
    const losses = [0.5, 0.5, 0.5, NaN, 0.5].map((value) => {
      optimizer.zeroGrad();
      const loss = F.relu(layer(torch.tensor([[value, 0.5]]))).sum();
      loss.backward();
      optimizer.step();
      return loss.item();
    });
    expect(losses.map(Number.isNaN)).toEqual([false, false, false, true, true]);
    expect(executor.counters()["byXla"]! - before).toBe(3);
  });

  it("a weight is read before and after its update", async () => {
    changePolicy({ keepGradients: false, deferSteps: false, training: undefined });
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
    changePolicy({ keepGradients: true, deferSteps: false, smallPlans: true, training: undefined });
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
