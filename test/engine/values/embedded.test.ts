// The embedded engine: what it remembers of a step and does again, by loops where tensors are small, against kernels alone.
import * as k from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { TfjsExecutor } from "../../../extension/executors/tfjs/executor.ts";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { useEngine } from "../../engines.ts";

class Recurrent extends nn.Module {
  rnn = new nn.GRU(4, 6, { batchFirst: true });
  fc = new nn.Linear(6, 3);

  forward(x: Tensor): Tensor {
    return this.fc(this.rnn(x)[0].select(1, -1));
  }
}

class Images extends nn.Module {
  // A bias before the norm has no gradient but rounding.
  conv = new nn.Conv2d(2, 3, 3, { padding: 1, bias: false });
  norm = new nn.BatchNorm2d(3);
  fc = new nn.Linear(3 * 3 * 3, 3);

  forward(x: Tensor): Tensor {
    return this.fc(F.maxPool2d(torch.tanh(this.norm(this.conv(x))), 2).flatten(1));
  }
}

/** Some layers are small and some are not: values go to and fro between loops and kernels. */
const MODELS: Record<string, { model: () => nn.Module; input: readonly number[] }> = {
  "a small network": {
    model: () =>
      new nn.Sequential(new nn.Linear(5, 4), new nn.ReLU(), new nn.Dropout(0.3), new nn.Linear(4, 3)),
    input: [5],
  },
  "a wide network": {
    model: () =>
      new nn.Sequential(new nn.Linear(150, 200), new nn.Tanh(), new nn.LayerNorm(200), new nn.Linear(200, 3)),
    input: [150],
  },
  "a recurrent network": { model: () => new Recurrent(), input: [7, 4] },
  "a convolutional network": { model: () => new Images(), input: [2, 6, 6] },
};

interface Trained {
  readonly losses: readonly number[];
  readonly gradients: readonly number[];
  readonly weights: readonly number[];
}

/** Trains with batches of two sizes, as at the end of an epoch, and evaluates in between. */
function train(
  { model, input }: (typeof MODELS)[string],
  between: (step: number) => void = () => {},
): Trained {
  torch.manualSeed(3);
  const net = model() as nn.Module & ((x: Tensor) => Tensor);
  const optimizer = new optim.AdamW(net.parameters(), { lr: 0.01 });
  const batches = [8, 8, 5].map((n) => [torch.randn([n, ...input]), torch.randint(0, 3, [n])] as const);
  const losses: number[] = [];
  for (let step = 0; step < 15; step++) {
    const [x, y] = batches[step % 3]!;
    optimizer.zeroGrad();
    const loss = F.crossEntropy(net(x), y);
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
    if (step % 3 === 2) {
      net.eval();
      losses.push(torch.noGrad(() => F.crossEntropy(net(x), y).item()));
      net.train();
    }
    between(step);
  }
  const numbers = (tensors: readonly Tensor[]): number[] => tensors.flatMap((t) => [...t.toTypedArray()]);
  const parameters = [...net.parameters()];
  return { losses, gradients: numbers(parameters.map((p) => p.grad!)), weights: numbers(parameters) };
}

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  const largest = expected.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const furthest = expected.reduce((max, x, i) => Math.max(max, Math.abs(x - actual[i]!)), 0);
  expect(actual.length).toBe(expected.length);
  expect(furthest / largest).toBeLessThan(tolerance);
}

describe.each(["wasm", "cpu"] as const)("%s", (device) => {
  useEngine(device);

  it.each(Object.entries(MODELS))("%s: steps done again are those of kernels", (_, one) => {
    setExecutor(new TfjsExecutor(k, false));
    const kernels = train(one);
    const executor = new TfjsExecutor(k);
    setExecutor(executor);
    const tensors: number[] = [];
    const own = train(one, () => tensors.push(executor.tensors));
    expect(executor.counters.repeated).toBeGreaterThan(8);
    expectClose(own.losses, kernels.losses, 1e-4);
    expectClose(own.gradients, kernels.gradients, 1e-3);
    expect(tensors[14]).toBe(tensors[8]);
    // Bit for bit, whether the process has seen the graph or not: a training may resume in another one.
    const again = train(one);
    setExecutor(new TfjsExecutor(k));
    expect(train(one)).toEqual(again);
    expect(again.weights).toEqual(own.weights);
  });

  it.each([10, 100_000])("what two tensors of %i numbers exchange is what the other one had", (size) => {
    setExecutor(new TfjsExecutor(k));
    const [a, b] = [new nn.Parameter(torch.full([size], 1.5)), new nn.Parameter(torch.full([size], 2.5))];
    const optimizer = new optim.SGD([a, b], { lr: 1 });
    for (let round = 0; round < 5; round++) {
      torch.noGrad(() => {
        const before = a.mul(1);
        a.copy_(b);
        b.copy_(before);
      });
      a.grad = b.grad = torch.zeros([size]);
      optimizer.step();
      const [first, second] = round % 2 === 0 ? [2.5, 1.5] : [1.5, 2.5];
      expect([a.toTypedArray()[size - 1], b.toTypedArray()[size - 1]]).toEqual([first, second]);
    }
  });

  it("gradients stay readable until the next step, and what was read stays what it was", () => {
    setExecutor(new TfjsExecutor(k));
    const p = new nn.Parameter(torch.tensor([1.5, 2.5]));
    const optimizer = new optim.SGD([p], { lr: 0.25 });
    const seen: Float32Array[] = [];
    for (let step = 1; step <= 5; step++) {
      optimizer.zeroGrad();
      p.mul(step).square().sum().backward();
      optimizer.step();
      seen.push(p.grad!.toTypedArray() as Float32Array, p.toTypedArray() as Float32Array);
    }
    let now = [1.5, 2.5];
    for (let step = 1; step <= 5; step++) {
      const gradient = now.map((x) => 2 * step * step * x);
      expect([...seen[2 * step - 2]!]).toEqual(gradient);
      now = now.map((x, i) => x - 0.25 * gradient[i]!);
      expect([...seen[2 * step - 1]!]).toEqual(now);
    }
  });
});
