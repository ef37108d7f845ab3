// Ops on images that lie with their channels last give what they give of the same numbers as their shape says.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { F, nn, optim, torch } from "../../../extension/nn/index.ts";
import type { Tensor } from "../../../extension/tensor/core/tensor.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";

const [N, C, H, W] = [2, 3, 4, 5];

/** All of images `x`, some with others `y` of the same shape that don't lie so. */
const FUNCTIONS: Record<string, (x: Tensor, y: Tensor) => Tensor> = {
  "joins channels": (x, y) => torch.cat([x, x, y], 1),
  "joins rows": (x) => torch.cat([x, x], 2),
  "slices channels and columns": (x) => x.index(":", "1:", ":", "::2"),
  "writes a part": (x, y) => torch.cat([x.index(":", ":1"), y.index(":", "1:")], 1),
  pads: (x) => F.pad(x, [1, 2, 0, 1, 1, 0]),
  reflects: (x) => F.pad(x, [1, 2, 2, 1], "reflect"),
  flips: (x) => x.flip(1, 3),
  "means of channels": (x) => x.mean([2, 3]),
  "means that keep dimensions": (x) => x.mean([1, 3], { keepdim: true }),
  "sums of one dimension": (x) => x.sum(3),
  "sums of samples": (x) => x.sum(0),
  "sums of samples and rows": (x) => x.sum([0, 2]),
  "maxima of channels": (x) => x.amax(1),
  "shapes that leave channels": (x) => x.reshape(N, C, H * W).mul(2),
  "shapes that don't": (x) => x.reshape(N, C * H, W).mul(2),
  flattens: (x) => x.flatten(1),
  "channels last": (x) => x.permute(0, 2, 3, 1).add(1),
  "another order": (x) => x.permute(3, 1, 0, 2),
  "there and back": (x) => x.permute(0, 2, 3, 1).mul(3).permute(0, 3, 1, 2).add(x),
  "sequences in another order": (x) => x.flatten(2).transpose(1, 2).softmax(-1),
  "a factor for each channel": (x) => x.mul(torch.arange(C).float().view(C, 1, 1)),
  "a factor for each column": (x) => x.mul(torch.arange(W).float()),
  "weights of squeezed images": (x) => x.mul(x.mean([2, 3], { keepdim: true }).sigmoid()),
  "images that lie otherwise": (x, y) => x.sub(y).mul(y),
  "expands squeezed images": (x) => x.mean([2, 3], { keepdim: true }).expand(N, C, H, W).mul(x),
  "picks of sequences": (x) => x.flatten(2).index(":", ":", [0, 3, 3]),
};

type Run = <T>(body: () => T) => T;

class Net extends nn.Module {
  first: nn.Conv2d;
  norm: nn.GroupNorm;
  last: nn.Conv2d;

  constructor(width: number) {
    super();
    this.first = new nn.Conv2d(2, width, 3, { padding: 1 });
    this.norm = new nn.GroupNorm(2, width);
    this.last = new nn.Conv2d(width, C, 3);
  }

  forward(x: Tensor): Tensor {
    const hidden = this.first(x);
    return this.last(this.norm(hidden).relu()).add(hidden.tanh().mean()).square().mean();
  }
}

const distance = (a: Tensor, b: Tensor): number => a.sub(b).abs().max().item();

describe.each(["native", "kernels", "wasm"] as const)("on %s,", (device) => {
  const missing = device !== "wasm" && nativeStatus().state !== "installed";
  beforeAll(async () => {
    if (!missing) await loadExecutor(device);
  });
  afterAll(() => setExecutor(undefined));

  test.skipIf(missing).each(Object.keys(FUNCTIONS))("%s", (name) => {
    torch.manualSeed(0);
    const [images, filters, others] = [
      torch.randn(N, 2, H, W),
      torch.randn(C, 2, 3, 3),
      torch.randn(N, C, H, W),
    ];
    const convolved = (): Tensor => F.conv2d(images, filters, { padding: 1 });
    const plain = torch.tensor(convolved().tolist() as number[][]).requiresGrad_();
    const expected = FUNCTIONS[name]!(plain, others);
    const weights = torch.randn(...expected.shape);
    expected.mul(weights).sum().backward();
    const found = convolved().requiresGrad_();
    const y = FUNCTIONS[name]!(found, others);
    const [slope] = torch.autograd.grad(y.mul(weights).sum(), [found]);
    expect([...y.shape]).toEqual([...expected.shape]);
    expect(distance(y, expected)).toBeLessThan(1e-5);
    expect(distance(slope!, plain.grad!)).toBeLessThan(1e-5);
  });

  /**
   * Losses, gradients of the images and weights of steps that read their loss before its gradient, so that a second plan needs images
   * of the first.
   */
  function steps(width: number, forward: Run, backward: Run, laterForward = forward): number[][] {
    torch.manualSeed(0);
    const model = new Net(width);
    const images = new nn.Parameter(torch.randn(N, 2, 6, 7));
    const optimizer = new optim.SGD([images, ...model.parameters()], { lr: 0.1 });
    const read: number[][] = [];
    // The first ones show which values are needed again.
    for (let step = 0; step < 8; step++) {
      optimizer.zeroGrad();
      const loss = model(images);
      read.push([(step < 4 ? forward : laterForward)(() => loss.item())]);
      loss.backward();
      backward(() => optimizer.step());
      read.push((images.grad!.tolist() as number[][][][]).flat(3));
      for (const x of model.parameters()) read.push(x.flatten().tolist() as number[]);
    }
    return read;
  }

  const library: Run = (body) => withPolicy({ smallPlans: false }, body);
  const own: Run = (body) => body();

  test.skipIf(missing).each([
    ["the binding's kernels, then TensorFlow's for losses", 6, own],
    ["TensorFlow's kernels for gradients", 8, library],
  ] as const)("images that a read loss leaves for its gradient: %s", (_, width, backward) => {
    // TensorFlow's kernels alone come last: a plan that was compiled stays so.
    const found = steps(width, own, backward, library);
    const expected = steps(width, library, library);
    found.forEach((values, part) =>
      values.forEach((x, i) => expect(Math.abs(x - expected[part]![i]!)).toBeLessThan(1e-5)),
    );
  });
});
