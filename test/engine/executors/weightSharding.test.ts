// Large weights that are sharded, one shard a core, give the numbers of whole ones.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";

const STEPS = 40;

class Dense extends nn.Module {
  first = new nn.Linear(512, 512);
  second = new nn.Linear(512, 256);
  head = new nn.Linear(256, 3);

  forward(x: Tensor): Tensor {
    return this.head(torch.tanh(this.second(torch.tanh(this.first(x)))));
  }
}

interface Trained {
  losses: number[];
  gradient: Float32Array;
  weights: Float32Array;
  /** The choices reported about weights. */
  said: string[];
}

const first = (model: Dense): Tensor => model.first.weight;

/** @param each what is done after each step */
function trained(
  cores: number,
  optimizerOf: (model: Dense) => optim.Optimizer,
  each: (model: Dense, step: number, x: Tensor) => void = () => undefined,
): Trained {
  const executor = new TensorFlowExecutor(loadNative(), cores);
  setExecutor(executor);
  torch.manualSeed(5);
  const model = new Dense();
  const [x, y] = [torch.randn(64, 512), torch.randint(0, 3, [64])];
  const optimizer = optimizerOf(model);
  const losses = Array.from({ length: STEPS }, (_, step) => {
    optimizer.zeroGrad();
    const loss = new nn.CrossEntropyLoss()(model.forward(x), y);
    loss.backward();
    optimizer.step();
    each(model, step, x);
    return loss;
  });
  return {
    losses: losses.map((loss) => loss.item()),
    gradient: first(model).grad!.toTypedArray() as Float32Array,
    weights: first(model).toTypedArray() as Float32Array,
    said: executor.choices().flatMap(({ about, chosen }) => (about === "weights" ? [chosen] : [])),
  };
}

const furthest = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);

function alike(two: Trained, one: Trained): void {
  expect(one.said).toEqual([]);
  two.losses.forEach((loss, i) => expect(loss).toBeCloseTo(one.losses[i]!, 5));
  expect(furthest(two.gradient, one.gradient)).toBeLessThan(1e-5);
  expect(furthest(two.weights, one.weights)).toBeLessThan(2e-5);
}

describe.skipIf(nativeStatus().state !== "installed")("sharded weights", () => {
  beforeAll(() => {
    loadNative();
    // Graphs are compiled at the second sight, whatever they cost.
    changePolicy({ smallPlans: false });
  });
  afterAll(() => {
    changePolicy({ smallPlans: true });
    setExecutor(undefined);
  });

  const adam = (model: Dense): optim.Optimizer => new optim.Adam(model.parameters(), { lr: 1e-3 });

  test.each<[string, Parameters<typeof trained>[1], Parameters<typeof trained>[2]?]>([
    ["Adam", adam],
    ["AdamW", (model) => new optim.AdamW(model.parameters(), { lr: 1e-3 })],
    [
      "a β₂ that TensorFlow's kernel is too coarse for",
      (model) => new optim.Adam(model.parameters(), { lr: 1e-3, betas: [0.9, 0.99999] }),
    ],
    ["SGD", (model) => new optim.SGD(model.parameters(), { lr: 0.05 })],
    ["each loss is read", adam, (model) => void model.forward(torch.ones(64, 512)).sum().item()],
    [
      "weights are read now and then",
      adam,
      (model, step) => step % 7 === 3 && void first(model).toTypedArray(),
    ],
    [
      "weights are replaced on the way",
      adam,
      (model, step) => {
        if (step === 20) torch.noGrad(() => first(model).mul_(0.5));
      },
    ],
    [
      "gradients are read now and then",
      adam,
      (model, step) => step % 9 === 4 && void first(model).grad!.toTypedArray(),
    ],
  ])("%s", (_, optimizer, each) => {
    const [one, two] = [trained(1, optimizer, each), trained(2, optimizer, each)];
    expect(two.said).toContain("2 in shards");
    alike(two, one);
  });

  test("are shared by four cores where four equal shards fit", () => {
    const [one, four] = [trained(1, adam), trained(4, adam)];
    expect(four.said.length).toBeGreaterThan(0);
    alike(four, one);
  });

  test("stay whole where another op uses them", () => {
    const decayed = (model: Dense): optim.Optimizer =>
      new optim.Adam(model.parameters(), { lr: 1e-3, weightDecay: 0.1 });
    const [one, two] = [trained(1, decayed), trained(2, decayed)];
    expect(two.said).toEqual([]);
    alike(two, one);
  });

  test("are read as updated within a step: a generator meets the updated discriminator", () => {
    const run = (cores: number): { losses: number[]; said: string[] } => {
      const executor = new TensorFlowExecutor(loadNative(), cores);
      setExecutor(executor);
      torch.manualSeed(6);
      const generator = new nn.Linear(256, 512);
      const discriminator = new nn.Sequential(
        new nn.Linear(512, 256),
        new nn.LeakyReLU(0.2),
        new nn.Linear(256, 1),
      );
      const [g, d] = [generator, discriminator].map((m) => new optim.Adam(m.parameters(), { lr: 1e-3 }));
      const criterion = new nn.BCEWithLogitsLoss();
      const [real, z] = [torch.randn(64, 512), torch.randn(64, 256)];
      const losses = Array.from({ length: STEPS }, () => {
        const fake = generator.forward(z);
        d!.zeroGrad();
        criterion(discriminator.forward(real), torch.ones(64, 1))
          .add(criterion(discriminator.forward(fake.detach()), torch.zeros(64, 1)))
          .backward();
        d!.step();
        g!.zeroGrad();
        const loss = criterion(discriminator.forward(fake), torch.ones(64, 1));
        loss.backward();
        g!.step();
        return loss;
      });
      const said = executor.choices().flatMap(({ about, chosen }) => (about === "weights" ? [chosen] : []));
      return { losses: losses.map((loss) => loss.item()), said };
    };
    const [one, two] = [run(1), run(2)];
    expect(two.said.length).toBeGreaterThan(0);
    two.losses.forEach((loss, i) => expect(loss).toBeCloseTo(one.losses[i]!, 4));
  });
});
