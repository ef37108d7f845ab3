// Choice among the four ways to run a plan in a program's own loop, and its changes.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { MAX_SMALL_PLAN_BYTES } from "../../../extension/executors/tuning.ts";
import type { NativeBinding } from "../../../extension/native/binding.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor, valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";
import { Trace } from "../../../extension/tensor/recording/trace.ts";

const available = nativeStatus().state === "installed";

describe.skipIf(!available)("plans of a program's own loop", () => {
  let executor: TensorFlowExecutor;
  beforeAll(() => {
    executor = new TensorFlowExecutor(loadNative(), 2);
    setExecutor(executor);
  });
  afterAll(() => setExecutor(undefined));

  /** Losses of steps in which so many small ops follow a layer, whose output may be processed first. */
  function losses(
    steps: number,
    ops: number,
    layer: nn.Linear,
    x: Tensor,
    then = (y: Tensor) => y,
  ): number[] {
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    // A number that changes with each step.
    const scheduler = new optim.lrScheduler.ExponentialLR(optimizer, { gamma: 0.99 });
    return Array.from({ length: steps }, () => {
      optimizer.zeroGrad();
      let y: Tensor = then(layer(x)).mean(0);
      for (let i = 0; i < ops; i++) y = y.tanh();
      const loss = y.square().sum();
      loss.backward();
      optimizer.step();
      scheduler.step();
      return loss.item();
    });
  }

  /** Angles of many numbers, which TensorFlow computes faster. */
  function angles(): number[] {
    torch.manualSeed(1);
    const x = torch.randn(256, 4).mul(0.1);
    return losses(60, 60, new nn.Linear(4, 512), x, (y) => y.asin().mul(0.5).asin().mul(0.5).asin());
  }

  test("a kernel slower than TensorFlow's: small kernels at first, compiled once that has paid", () => {
    const { counters } = executor;
    const before = { ...counters };
    const all = angles();
    const [small, runs] = [counters.small - before.small, counters.compiledRuns - before.compiledRuns];
    expect(counters.interpreted).toBe(before.interpreted);
    expect(counters.compiled - before.compiled).toBe(1);
    expect(counters.recompiled).toBe(before.recompiled);
    expect(small).toBeGreaterThan(5);
    expect(runs).toBeGreaterThan(5);
    expect(small + runs).toBe(60);
    const compiled = withPolicy({ smallPlans: false }, angles);
    all.forEach((loss, i) => expect(loss).toBeCloseTo(compiled[i]!, 5));
  });

  test("products of large matrices: small kernels at first and ever after", () => {
    const { counters } = executor;
    const before = { ...counters };
    losses(8, 2, new nn.Linear(512, 512), torch.randn(512, 512));
    expect(counters.small - before.small).toBe(8);
    expect(counters.interpreted).toBe(before.interpreted);
    expect(counters.compiled).toBe(before.compiled);
  });

  /** How many plans `body` reads, and how many it runs. */
  function plansOf(body: () => void): { read: number; run: number } {
    const binding = loadNative();
    let read = 0;
    const openPlan: NativeBinding["openPlan"] = (...args) => {
      read++;
      return binding.openPlan(...args);
    };
    const watched = new TensorFlowExecutor(Object.create(binding, { openPlan: { value: openPlan } }), 2);
    setExecutor(watched);
    try {
      body();
    } finally {
      setExecutor(executor);
    }
    expect(watched.counters.interpreted).toBe(0);
    return { read, run: watched.counters.small };
  }

  test("plans that are kept have a bounded size", () => {
    const binding = loadNative();
    const open = new Map<number, number>();
    const watched = new TensorFlowExecutor(
      Object.create(binding, {
        openPlan: {
          value: (code: Int32Array, threads: number, costs: Float64Array): number => {
            const id = binding.openPlan(code, threads, costs);
            open.set(id, costs[2]!);
            return id;
          },
        },
        closePlan: {
          value: (id: number): void => {
            open.delete(id);
            binding.closePlan(id);
          },
        },
      }),
      2,
    );
    setExecutor(watched);
    try {
      for (let length = 9000; length < 9050; length++) {
        let [x, random] = [torch.ones(2), length];
        // Ops that don't repeat: the graph is not cut into pieces.
        for (let i = 0; i < length; i++) {
          random = (random * 48_271) % 2_147_483_647;
          x = random % 2 === 0 ? x.sin() : x.cos();
        }
        expect(x.sum().item()).toBeGreaterThan(0);
      }
      expect(open.size).toBeGreaterThan(30);
      expect([...open.values()].reduce((a, b) => a + b)).toBeLessThanOrEqual(MAX_SMALL_PLAN_BYTES);
    } finally {
      setExecutor(executor);
    }
  });

  test.each([0, 1, 2])("backward() is taken over, also where kernels refuse a plan: %i times", (refused) => {
    const binding = loadNative();
    let left = 0;
    const runPlan: NativeBinding["runPlan"] = (...given) => --left < 0 && binding.runPlan(...given);
    const refusing = new TensorFlowExecutor(Object.create(binding, { runPlan: { value: runPlan } }), 2);
    const program = (): number[] => {
      torch.manualSeed(2);
      const layer = new nn.Linear(3, 4);
      const optimizer = new optim.Adam(layer.parameters(), { lr: 0.1 });
      const x = torch.randn(5, 3);
      return Array.from({ length: 16 }, (_, i) => {
        optimizer.zeroGrad();
        const loss = layer(x).tanh().square().sum();
        loss.backward();
        left = i === 12 ? refused : 0;
        optimizer.step();
        return loss.item() + (i % 4 === 0 ? layer.weight.grad!.sum().item() : 0);
      });
    };
    const repeated = vi.spyOn(Trace.prototype, "repeatBackward");
    setExecutor(refusing);
    try {
      const numbers = program();
      const takenOver = repeated.mock.results.filter(({ value }) => value !== undefined).length;
      expect(takenOver).toBeGreaterThan(8);
      expect(refusing.counters.interpreted).toBe(refused > 1 ? 1 : 0);
      withPolicy({ repeatBackward: false }, program).forEach((value, i) =>
        expect(numbers[i]).toBeCloseTo(value, 5),
      );
    } finally {
      repeated.mockRestore();
      setExecutor(executor);
      refusing.close();
    }
  });

  test("a position that changes is an input of one plan", () => {
    const w = new nn.Parameter(
      torch
        .tensor([...Array(12).keys()])
        .float()
        .view(3, 4),
    );
    const columns: unknown[] = [];
    const plans = plansOf(() => {
      for (let i = 0; i < 4; i++) columns.push(w.index(":", torch.tensor(i)).mul(2).tolist());
    });
    expect(columns).toEqual([0, 1, 2, 3].map((i) => [2 * i, 2 * i + 8, 2 * i + 16]));
    // Two at most: the first may compute pending values of the test before.
    expect(plans.read).toBeLessThan(3);
    expect(plans.run).toBe(4);
  });

  test("rows of a result that was read are taken from it on the host", () => {
    const w = new nn.Parameter(
      torch
        .tensor([
          [1, 2],
          [3, 4],
          [5, 6],
        ])
        .float(),
    );
    let rows: unknown[] = [];
    const plans = plansOf(() => {
      const doubled = [...w.detach().mul(2)];
      rows = doubled.map((row) => row.tolist());
    });
    expect(rows).toEqual([
      [2, 4],
      [6, 8],
      [10, 12],
    ]);
    expect(plans.run).toBeLessThanOrEqual(2);
  });

  test("outputs of one forward are computed together, however much lies between", () => {
    class Heads extends nn.Module {
      body = new nn.Linear(2, 3);
      value = new nn.Linear(3, 1);

      forward(x: Tensor): [Tensor, Tensor] {
        const h = this.body(x).relu();
        return [h.softmax(-1), this.value(h).tanh().squeeze(1)];
      }
    }
    const model = new Heads();
    const plans = plansOf(() =>
      torch.noGrad(() => {
        const [policy, value] = model(torch.ones(1, 2));
        expect(policy.sum().item()).toBeCloseTo(1, 5);
        expect(Math.abs(value.item())).toBeLessThan(1);
      }),
    );
    expect(plans.run).toBe(1);
  });

  test("a result and its reshapes share an array, and a write to a copy changes neither", () => {
    const x = torch
      .arange(0, 300 * 200)
      .reshape(300, 200)
      .float();
    const expected = Array.from({ length: 300 * 200 }, (_, i) => i + 1);
    const y = x.add(1);
    const flat = y.reshape(-1).reshape(200, 300);
    const [negative, negativeFlat] = [y.neg(), y.neg().flatten()];
    const changed = flat.clone();
    changed.mul_(0);
    const target = torch.zeros(300, 200).copy_(negative);
    expect(flat.sum().item()).toBeCloseTo((60_000 * 60_001) / 2, -4);
    expect(valuesOf(flat.value)).toBe(valuesOf(y.value));
    expect(valuesOf(target.value)).toBe(valuesOf(negative.value));
    expect(Array.from(valuesOf(y.value))).toEqual(expected);
    expect(Array.from(valuesOf(negative.value))).toEqual(expected.map((value) => -value));
    expect(Array.from(valuesOf(negativeFlat.value))).toEqual(expected.map((value) => -value));
    expect(changed.abs().max().item()).toBe(0);
    y.add_(1);
    expect(flat.index(0, 0).item()).toBe(2);
    expect(Array.from(valuesOf(changed.value)).every((value) => value === 0)).toBe(true);
  });

  test("a sequence that grows by a drawn token stays on the host", () => {
    torch.manualSeed(3);
    const w = new nn.Parameter(torch.randn(5, 5));
    let tokens = torch.tensor([[0, 1, 2]]);
    const plans = plansOf(() =>
      torch.noGrad(() => {
        for (let i = 0; i < 6; i++) {
          const probs = w.index(tokens.index(0, "-2:")).mean(0, true).softmax(-1);
          tokens = torch.cat([tokens, torch.multinomial(probs, 1)], 1);
        }
      }),
    );
    expect(tokens.shape).toEqual(torch.Size([1, 9]));
    expect(plans).toEqual({ read: 1, run: 6 });
  });

  test("a replay buffer that is written row after row has one plan", () => {
    const w = new nn.Parameter(torch.ones(3));
    const [states, rewards, flags] = [
      torch.zeros(8, 3),
      torch.zeros(8, 1),
      torch.zeros([8], { dtype: torch.bool }),
    ];
    const sums: number[] = [];
    const plans = plansOf(() => {
      for (let i = 0; i < 12; i++) {
        states.indexPut_([i % 8], torch.tensor([i, 0.5, 1]));
        rewards.index(i % 8).fill_(i / 4);
        flags.indexPut_([i % 8], i % 3 === 0);
        const rows = torch.tensor([0, 3, 7]);
        const weight = rewards.index(rows).mul(flags.index(rows).float().unsqueeze(1));
        sums.push(torch.noGrad(() => states.index(rows).mul(w).mul(weight).sum().item()));
      }
    });
    const row = (at: number, i: number): number => {
      const last = i < at ? -1 : at + 8 * Math.floor((i - at) / 8);
      return last % 3 === 0 ? (last + 1.5) * (last / 4) : 0;
    };
    expect(sums).toEqual(sums.map((_, i) => row(0, i) + row(3, i) + row(7, i)));
    expect(states.index(":2").tolist()).toEqual([
      [8, 0.5, 1],
      [9, 0.5, 1],
    ]);
    // The first may compute pending values of the test before.
    expect(plans.read).toBeLessThan(3);
    expect(plans.run).toBe(12);
  });

  test("numbers written to columns, which lie apart, count as what they are", () => {
    const x = torch.tensor([
      [1, 2],
      [3, 4],
    ]);
    const halves = x.float();
    const copy = x.clone();
    x.indexPut_([":", 1], 7.9);
    halves.indexPut_([":", 1], 7.5);
    expect([x, halves, copy].map((one) => one.tolist())).toEqual([
      [
        [1, 7],
        [3, 7],
      ],
      [
        [1, 7.5],
        [3, 7.5],
      ],
      [
        [1, 2],
        [3, 4],
      ],
    ]);
  });

  test("zeros that a gradient is added to are no array", () => {
    const binding = Object.create(loadNative()) as NativeBinding;
    let zeros = 0;
    Object.defineProperty(binding, "runPlan", {
      value: (...[id, leaves, ...rest]: Parameters<NativeBinding["runPlan"]>): boolean => {
        for (const leaf of leaves) if (typeof leaf !== "number" && leaf.every((x) => x === 0)) zeros++;
        return loadNative().runPlan(id, leaves, ...rest);
      },
    });
    setExecutor(new TensorFlowExecutor(binding, 2));
    const x = torch.randn(30, 40).requiresGrad_();
    const [values] = x.topk(3);
    values.sum().backward();
    expect(x.grad!.sum().item()).toBe(90);
    setExecutor(executor);
    expect(zeros).toBe(0);
  });

  test("a buffer that data takes the place of in each step leaves no tensors behind", () => {
    const layer = new nn.BatchNorm1d(3, { affine: false });
    layer.eval();
    const step = (i: number): number => {
      torch.noGrad(() => layer.runningMean!.copy_(torch.tensor([i, 1.5, 2])));
      return layer(torch.zeros(1, 3)).sum().item();
    };
    expect(step(1)).toBeCloseTo(-4.5, 3);
    const before = executor.tensors;
    for (let i = 0; i < 20; i++) expect(step(i)).toBeCloseTo(-3.5 - i, 3);
    expect(executor.tensors).toBe(before);
  });

  test.skipIf(process.platform === "win32")(
    "a plan's memory is there for its next run, and is given back when plans no longer need as much",
    async () => {
      const MEGABYTE = 2 ** 20;
      const layers = Array.from({ length: 6 }, () => [new nn.Linear(256, 256), new nn.GELU()]).flat();
      const model = new nn.Sequential(...layers);
      const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
      const [many, few] = [torch.randn(8192, 256), torch.randn(8, 256)];
      const step = (x: Tensor): void => {
        optimizer.zeroGrad();
        model(x).square().mean().backward();
        optimizer.step();
      };
      const pages = (): number => process.resourceUsage().minorPageFault;
      const { small } = executor.counters;
      for (let i = 0; i < 3; i++) step(many);
      expect(executor.counters.small - small).toBe(3);
      const [before, large] = [pages(), process.memoryUsage.rss() / MEGABYTE];
      for (let i = 0; i < 5; i++) step(many);
      // Pages of a forward's 13 values; gradients and their inputs take as much again.
      const values = (13 * 4 * many.numel()) / 4096;
      expect((pages() - before) / 5).toBeLessThan(values / 4);
      const given = (): number => large - process.memoryUsage.rss() / MEGABYTE;
      for (const end = Date.now() + 6000; given() <= 60 && Date.now() < end; await delay(50)) step(few);
      expect(given()).toBeGreaterThan(60);
    },
  );
});
