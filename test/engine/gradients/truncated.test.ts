// Truncated backpropagation, and other reads of a step once the parameters have changed: PyTorch's numbers on both
// engines, whether graphs are compiled at first sight, at the second, or not at all.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { loadExecutor, type LoadedExecutor } from "../../../extension/executors/index.ts";
import { data, experiment, F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { DEFAULT_POLICY } from "../../../extension/tensor/recording/policy.ts";
import { changePolicy, withPolicy } from "../../../extension/tensor/recording/runtime.ts";
import { train, weightsOf } from "../../unit/engine/training.ts";
import { collectGarbage } from "../garbage.ts";
import { PROGRAMS, made, zeros } from "./truncatedPrograms.ts";

const EXPECTED = JSON.parse(
  readFileSync(new URL("../../fixtures/autograd/truncated.json", import.meta.url), "utf8"),
) as Record<string, number[]>;

/** Results of trainings on the first engine. */
const stateful: Record<string, number[]> = {};

const numbers = (tensors: readonly Tensor[]): number[] => tensors.flatMap((x) => [...x.toTypedArray()]);

const devices = (["native", "wasm"] as const).filter(
  (device) => device === "wasm" || nativeStatus().state === "installed",
);

describe.each(devices)("on %s", (device) => {
  let executor: LoadedExecutor;
  beforeAll(async () => {
    executor = await loadExecutor(device);
  });
  // A training leaves its own policy.
  beforeEach(() => changePolicy(DEFAULT_POLICY));
  afterAll(() => {
    changePolicy(DEFAULT_POLICY);
    setExecutor(undefined);
  });

  describe.each([
    ["compiled at the second sight", false],
    ["compiled at once", true],
  ])("%s", (_, compileAtOnce) => {
    it.each(Object.keys(EXPECTED))("%s", (name) => {
      changePolicy({ compileAtOnce });
      const got = numbers(PROGRAMS[name]!());
      const expected = EXPECTED[name]!;
      expect(got).toHaveLength(expected.length);
      got.forEach((x, i) =>
        expect(Math.abs(x - expected[i]!)).toBeLessThan(1e-5 + 1e-4 * Math.abs(expected[i]!)),
      );
    });
  });

  it.each(Object.keys(PROGRAMS))("op by op: %s", (name) => {
    torch.autograd.setDetectAnomaly(true);
    try {
      const got = numbers(PROGRAMS[name]!());
      got.forEach((x, i) => expect(x).toBeCloseTo(EXPECTED[name]![i]!, 4));
    } finally {
      torch.autograd.setDetectAnomaly(false);
    }
  });

  it.each(["a state is detached", "two states are detached", "a state is a property", "states in a map"])(
    "is one graph from the second step on: %s",
    (name) => {
      const before = executor.counters();
      withPolicy({ smallPlans: false }, () => PROGRAMS[name]!(20));
      const after = executor.counters();
      const again = device === "native" ? "compiledRuns" : "repeated";
      expect(after[again]! - before[again]!).toBeGreaterThanOrEqual(17);
    },
  );

  it.each([
    ["the trainer's step", false],
    ["a trainStep", true],
  ])("a state is carried through a training: %s", async (_, own) => {
    class Stateful extends nn.Module {
      cell = new nn.GRUCell(3, 4);
      fc = new nn.Linear(4, 2);
      h: Tensor | undefined;
      forward(x: Tensor): Tensor {
        this.h = this.cell(x, this.h?.detach());
        return this.fc(this.h);
      }
    }
    const seen: Tensor[] = [];
    const make = (): Stateful => new Stateful();
    const options = {
      model: make,
      data: () => new data.TensorDataset(torch.randn(40, 3), torch.randn(40, 2)),
      loss: new nn.MSELoss(),
      optimizer: (parameters: Tensor[]) => new optim.SGD(parameters, { lr: 0.1 }),
      epochs: 3,
      batchSize: 4,
    };
    const trained = await train(
      experiment(
        own
          ? {
              ...options,
              trainStep: ({ model, batch, loss, optimizer }) => {
                const [x, y] = batch as [Tensor, Tensor];
                const value = loss(model(x), y);
                optimizer.zeroGrad();
                value.backward();
                optimizer.step();
                seen.push(model.h!);
                return { loss: value };
              },
            }
          : options,
      ),
    );
    const { model } = trained.prepared;
    const got = [...weightsOf(trained.prepared), ...(model as Stateful).h!.toTypedArray(), ...numbers(seen)];
    const all = (stateful[String(own)] ??= got);
    expect(got.length).toBeGreaterThan(own ? 400 : 50);
    got.forEach((x, i) => expect(x).toBeCloseTo(all[i]!, 4));
  });

  it.each(["detach", "data", "clone"] as const)("gradients of all steps are kept by %s", (how) => {
    torch.manualSeed(1);
    const layer = new nn.Linear(3, 2);
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    const kept: Tensor[] = [];
    const now: Tensor[] = [];
    for (let i = 0; i < 10; i++) {
      optimizer.zeroGrad();
      layer(torch.ones(2, 3)).square().sum().backward();
      const { grad } = layer.weight;
      kept.push(how === "data" ? grad!.data : grad![how]());
      optimizer.step();
      now.push(torch.tensor(grad!.tolist()));
    }
    expect(kept.map((g) => g.tolist())).toEqual(now.map((g) => g.tolist()));
  });

  it("results in a distribution, an object of a class or a Set stay readable after the step", () => {
    const { Categorical, Independent, MixtureSameFamily, Normal } = torch.distributions;
    class Output {
      next: Output | undefined;
      readonly hidden: Tensor;
      readonly loss: Tensor;
      constructor(hidden: Tensor, loss: Tensor) {
        this.hidden = hidden;
        this.loss = loss;
      }
    }
    class Model extends nn.Module {
      fc = new nn.Linear(3, 4);
      last: Output | undefined;
      forward(x: Tensor): [InstanceType<typeof MixtureSameFamily>, Output, Set<Tensor>] {
        const h = this.fc(x);
        const output = new Output(h.tanh(), h.square().sum());
        output.next = output;
        this.last = new Output(h.sin(), h.cos());
        const parts = new Independent(new Normal(h.view(-1, 2, 2), h.exp().view(-1, 2, 2)), 1);
        return [
          new MixtureSameFamily(new Categorical({ logits: h.index(":", ":2") }), parts),
          output,
          new Set([h.neg()]),
        ];
      }
    }
    const model = new Model();
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const x = torch.ones(2, 3);
    for (let i = 0; i < 4; i++) {
      const h = x.matmul(model.fc.weight.t()).add(model.fc.bias!).detach();
      const weights = h.index(":", ":2").softmax(-1).unsqueeze(-1);
      const mean = weights.mul(h.view(-1, 2, 2)).sum(1);
      for (const value of [h, mean]) value.toTypedArray();
      const [mixture, output, negative] = model(x);
      mixture.logProb(torch.zeros(2, 2)).mean().sub(output.loss.mul(0.01)).backward();
      optimizer.step();
      optimizer.zeroGrad();
      expect(torch.allclose(mixture.mean, mean, { atol: 1e-6 })).toBe(true);
      expect(torch.allclose(output.next!.hidden, h.tanh(), { atol: 1e-6 })).toBe(true);
      expect(torch.allclose(model.last!.hidden, h.sin(), { atol: 1e-6 })).toBe(true);
      expect(torch.allclose([...negative][0]!, h.neg(), { atol: 1e-6 })).toBe(true);
    }
  });

  it("what only forward knows says how to keep it", () => {
    const kept: Tensor[] = [];
    class Hidden extends nn.Module {
      fc = new nn.Linear(3, 3);
      forward(x: Tensor): Tensor {
        const h = this.fc(x).tanh();
        kept.push(h);
        return h.square().sum();
      }
    }
    const model = new Hidden();
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    for (let i = 0; i < 3; i++) {
      model(torch.ones(2, 3)).backward();
      optimizer.step();
    }
    expect(() => kept[2]!.toTypedArray()).toThrow(
      "this value depends on parameters as they were before an update, and was not kept",
    );
    try {
      kept[2]!.toTypedArray();
    } catch (error) {
      expect((error as { hint?: string }).hint).toBe(
        "return it from forward, keep it as a property of the module (this.h = h), or take h.detach() there",
      );
    }
  });

  it("leaves nothing behind", () => {
    const model = made("GRU");
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    const [x, target] = [torch.randn(5, 2, 3), torch.randn(5, 2, 2)];
    let h: Tensor = zeros();
    const counts: number[] = [];
    const heap: number[] = [];
    for (let i = 0; i < 600; i++) {
      const [y, next] = model(x, h.detach());
      h = next as Tensor;
      optimizer.zeroGrad();
      F.mseLoss(y, target).backward();
      optimizer.step();
      if (i % 200 === 199) {
        collectGarbage();
        counts.push(executor.counters()["tensors"]!);
        heap.push(process.memoryUsage().heapUsed);
      }
    }
    expect(counts[2]).toBe(counts[1]);
    expect((heap[2]! - heap[1]!) / 2 ** 20).toBeLessThan(0.5);
  });
});
