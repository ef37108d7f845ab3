// The contract of the compiled step: it runs, it agrees with the interpreter, it leaks nothing, and a value read later
// is the value of its own step.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadExecutor, type LoadedExecutor } from "../../../extension/executors/index.ts";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import type { NativeBinding } from "../../../extension/native/binding.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { LOOPS, supervised, TransformerClassifier, type Loop } from "./loops.ts";

const native = nativeStatus().state === "installed";
let executor: LoadedExecutor;

function counted<T>(body: () => T): { result: T; delta: (name: string) => number } {
  const before = executor.counters();
  const result = body();
  const after = executor.counters();
  return { result, delta: (name) => after[name]! - before[name]! };
}

/** Losses, and gradients of the last step and buffers, of a loop's first steps on the native engine, compiled or not. */
function trajectory(
  make: () => Loop,
  steps: number,
): { losses: number[]; gradients: number[][]; buffers: number[][] } {
  const loop = make();
  const losses = Array.from({ length: steps }, () => loop.step().item());
  const gradients = loop.model.parameters().map((p) => [...p.grad!.toTypedArray()]);
  const buffers = loop.model.buffers().map((b) => [...b.toTypedArray()]);
  return { losses, gradients, buffers };
}

describe.skipIf(!native)("the compiled step", () => {
  beforeAll(async () => {
    executor = await loadExecutor("native");
    changePolicy({ smallPlans: false });
  });
  afterAll(() => {
    changePolicy({ smallPlans: true });
    setExecutor(undefined);
  });

  it.each(Object.keys(LOOPS))("%s: compiled from the second step on, then nothing is interpreted", (name) => {
    const loop = LOOPS[name]!();
    // The first step of an optimizer with state makes that state: another graph than the later ones.
    for (let i = 0; i < 3; i++) loop.step().item();
    const { delta } = counted(() => {
      for (let i = 0; i < 10; i++) loop.step().item();
    });
    expect(delta("compiledRuns")).toBe(10);
    expect(delta("interpreted")).toBe(0);
    expect(delta("compiled")).toBe(0);
  });

  it.each(Object.keys(LOOPS))("%s: equal to op by op on wasm in loss and gradients", async (name) => {
    const compiled = trajectory(LOOPS[name]!, 6);
    await loadExecutor("wasm");
    const reference = trajectory(LOOPS[name]!, 6);
    executor = await loadExecutor("native");
    compiled.losses.forEach((l, i) => expect(l).toBeCloseTo(reference.losses[i]!, 5));
    compiled.gradients.forEach((g, i) => {
      const scale = Math.max(...reference.gradients[i]!.map(Math.abs));
      g.forEach((x, j) =>
        expect(Math.abs(x - reference.gradients[i]![j]!)).toBeLessThanOrEqual(1e-4 * scale + 1e-7),
      );
    });
    compiled.buffers.forEach((b, i) =>
      b.forEach((x, j) => expect(x).toBeCloseTo(reference.buffers[i]![j]!, 5)),
    );
  });

  // Loops whose steps are long: fewer of them say the same.
  const LONG = /transformer|decoder|BERT|many steps/;

  it.each(Object.keys(LOOPS))("%s: live tensors are flat over 1,000 steps, or 200 long ones", (name) => {
    const loop = LOOPS[name]!();
    for (let i = 0; i < 5; i++) loop.step().item();
    const { tensors } = executor.counters();
    for (let i = 0; i < (LONG.test(name) ? 200 : 1000); i++) loop.step().item();
    // The models of earlier tests may be collected meanwhile.
    expect(executor.counters()["tensors"]).toBeLessThanOrEqual(tensors!);
  });

  it("a loss read after later steps is the loss of its own step", () => {
    const a = LOOPS["MLP, SGD"]!();
    const late = Array.from({ length: 6 }, () => a.step());
    const b = LOOPS["MLP, SGD"]!();
    const inTime = Array.from({ length: 6 }, () => b.step().item());
    expect(late.map((l) => l.item())).toEqual(inTime);
  });

  it("running statistics are state of the compiled step, and evaluation uses them", () => {
    const loop = LOOPS["CNN with running statistics, SGD"]!();
    const counts = loop.model.namedBuffers().filter(([name]) => name.endsWith("num_batches_tracked"));
    for (let i = 0; i < 12; i++) loop.step();
    // Instance norm does not count, as in PyTorch.
    expect(counts.map(([, count]) => count.item())).toEqual([12, 0, 12]);
    const x = torch.randn(1, 2, 6, 6);
    const model = loop.model.eval() as nn.Sequential;
    const evaluated = (): number[] => torch.noGrad(() => [...model(x).toTypedArray()]);
    const first = evaluated();
    // Compiled from the second time on: equal up to rounding.
    for (let i = 0; i < 3; i++) evaluated().forEach((y, j) => expect(y).toBeCloseTo(first[j]!, 5));
    expect(counts[0]![1].item()).toBe(12);
  });

  it("outputs and what the loop derived from them survive the step", () => {
    torch.manualSeed(5);
    const model = new nn.Linear(3, 2);
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.5 });
    const x = torch.randn(4, 3);
    for (let i = 0; i < 4; i++) {
      const before = torch.noGrad(() => model(x)).toTypedArray();
      optimizer.zeroGrad();
      const output = model(x);
      const best = output.argmax(1);
      output.pow(2).mean().backward();
      optimizer.step();
      expect([...output.toTypedArray()]).toEqual([...before]);
      expect([...best.toTypedArray()]).toEqual([
        ...torch
          .tensor([...before])
          .view(4, 2)
          .argmax(1)
          .toTypedArray(),
      ]);
    }
  });

  it("a gradient that was read from its parameter after the step is there for good", () => {
    const read = (now: boolean): number[][] => {
      const loop = LOOPS["MLP, SGD"]!();
      const kept: Tensor[] = [];
      for (let i = 0; i < 8; i++) {
        loop.step();
        kept.push(loop.model.parameters()[0]!.grad!);
        if (now) kept.at(-1)!.toTypedArray();
      }
      return kept.map((g) => [...g.toTypedArray()]);
    };
    expect(read(false)).toEqual(read(true));
  });

  it("a learning rate that changes every step does not compile again", () => {
    torch.manualSeed(6);
    const model = new nn.Linear(6, 3);
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const loop = supervised(new nn.Sequential(model), optimizer, torch.randn(4, 6), torch.randint(0, 3, [4]));
    for (let i = 0; i < 3; i++) loop.step().item();
    const { delta } = counted(() => {
      for (let i = 0; i < 10; i++) {
        optimizer.paramGroups[0]!.lr = 0.1 / (i + 1);
        loop.step().item();
      }
    });
    expect(delta("compiled") + delta("recompiled")).toBe(0);
  });

  it("a number of the user's that changes is compiled as an input once, with its new value each time", () => {
    torch.manualSeed(7);
    const model = new nn.Linear(3, 1);
    const x = torch.randn(4, 3);
    const measure = (weight: number): number =>
      torch.noGrad(() => F.relu(model(x).mul(weight).add(1)).mean().item());
    const one = measure(0);
    expect(one).toBe(1);
    const { delta } = counted(() => {
      for (let i = 0; i < 8; i++) {
        const expected = torch.noGrad(() => model(x)).toTypedArray();
        const mean = [...expected].reduce((s, v) => s + Math.max(0, v * i + 1), 0) / 4;
        expect(measure(i)).toBeCloseTo(mean, 5);
      }
    });
    expect(delta("recompiled")).toBeLessThanOrEqual(2);
  });

  it("the last, smaller batch and evaluation in between share the parameters", () => {
    const make = (): number[] => {
      torch.manualSeed(8);
      const model = new nn.Sequential(new nn.Linear(5, 4), new nn.Tanh(), new nn.Linear(4, 2));
      const optimizer = new optim.SGD(model.parameters(), { lr: 0.2, momentum: 0.9 });
      const criterion = new nn.CrossEntropyLoss();
      const [x, y] = [torch.randn(10, 5), torch.randint(0, 2, [10])];
      const losses: number[] = [];
      for (let epoch = 0; epoch < 5; epoch++) {
        for (const [from, to] of [
          [0, 4],
          [4, 8],
          [8, 10],
        ] as const) {
          optimizer.zeroGrad();
          const loss = criterion(model(x.narrow(0, from, to - from)), y.narrow(0, from, to - from));
          loss.backward();
          optimizer.step();
          losses.push(loss.item());
        }
        losses.push(torch.noGrad(() => criterion(model(x), y)).item());
      }
      return losses;
    };
    const compiled = make();
    expect(compiled.at(-1)!).toBeLessThan(compiled[3]!);
    expect(make()).toEqual(compiled);
  });

  it("a model is read in two calls, whatever it was before", async () => {
    let calls = 0;
    const binding = loadNative();
    const runGraph: NativeBinding["runGraph"] = (...args) => {
      calls++;
      return binding.runGraph(...args);
    };
    // The binding is an instance of a native class: what isn't replaced is inherited, unbound from the copy.
    setExecutor(
      new TensorFlowExecutor(Object.create(binding, { runGraph: { value: runGraph } }) as NativeBinding),
    );
    try {
      torch.manualSeed(4);
      const model = new TransformerClassifier();
      const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
      const loop = supervised(model, optimizer, torch.randint(1, 20, [6, 5]), torch.randint(0, 3, [6]));
      for (let round = 0; round < 3; round++) {
        const before = [...model.parameters()].map((p) => p.toTypedArray().slice());
        for (let i = 0; i < 3; i++) loop.step();
        const from = calls;
        const read = [...model.parameters()].map((p) => p.toTypedArray());
        expect(calls - from).toBe(2);
        expect(read.every((values, i) => values.some((value, j) => value !== before[i]![j]))).toBe(true);
      }
    } finally {
      executor = await loadExecutor("native");
    }
  });

  it("a batch that can't be computed leaves the model as it was", () => {
    torch.manualSeed(9);
    const model = new nn.Linear(4, 3);
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const criterion = new nn.CrossEntropyLoss();
    const x = torch.randn(2, 4);
    const step = (targets: number[]): number => {
      optimizer.zeroGrad();
      const loss = criterion(model(x), torch.tensor(targets));
      loss.backward();
      optimizer.step();
      return loss.item();
    };
    for (let i = 0; i < 3; i++) step([0, 2]);
    const before = [...model.weight.toTypedArray()];
    expect(() => step([0, 3])).toThrow("Target 3 is out of bounds.");
    expect([...model.weight.toTypedArray()]).toEqual(before);
    expect(step([0, 2])).toBeGreaterThan(0);
  });
});
