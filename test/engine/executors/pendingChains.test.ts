// What a program leaves to be computed stays bounded: writes to part after part of a tensor, and gradients that steps outlive.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import type { Node, Value } from "../../../extension/tensor/recording/graph.ts";
import { runtime } from "../../../extension/tensor/recording/runtime.ts";

const available = nativeStatus().state === "installed";
const MEGABYTE = 2 ** 20;

describe.skipIf(!available)("what waits to be computed", () => {
  let executor: TensorFlowExecutor;
  beforeAll(() => {
    executor = new TensorFlowExecutor(loadNative(), 2);
    setExecutor(executor);
  });
  afterAll(() => setExecutor(undefined));

  const COUNT = 600;
  const part = (value: number): Tensor => torch.full([3, 32, 32], value);
  const WRITES: Record<string, (images: Tensor, i: number) => void> = {
    indexPut_: (images, i) => images.indexPut_([i], part(i)),
    "index().copy_": (images, i) => images.index(i).copy_(part(i)),
    "index().add_": (images, i) => images.index(i).add_(part(i)),
    "index().fill_": (images, i) => images.index(i).fill_(i),
    "select().mul_": (images, i) => images.select(0, i).add_(1).mul_(i),
    "narrow().copy_": (images, i) => images.narrow(0, i, 1).copy_(part(i)),
    "rows by numbers": (images, i) => images.indexPut_([torch.tensor([i])], part(i)),
    "view().index()": (images, i) => images.view(COUNT, -1).index(i).fill_(i),
    "chunks of a row": (images, i) =>
      images
        .index(i)
        .chunk(3)
        .forEach((one) => one.fill_(i)),
  };

  // Each tensor has 7 MB. A copy for each write would take 4.4 GB; 1 GB may wait, and is computed in as much again.
  test.each(Object.keys(WRITES))("writing to part after part by %s takes no memory for each", (name) => {
    const images = torch.zeros(COUNT, 3, 32, 32);
    const before = process.memoryUsage().rss;
    for (let i = 0; i < COUNT; i++) WRITES[name]!(images, i);
    expect(images.index(":", 2, 5, 7).tolist()).toEqual(Array.from({ length: COUNT }, (_, i) => i));
    expect((process.memoryUsage().rss - before) / MEGABYTE).toBeLessThan(2500);
  });

  test("a forward and its gradients are computed as a whole, however large", () => {
    const net = new nn.Linear(8, 8);
    const x = torch.ones(2, 8);
    const hidden = net(x);
    const own = hidden.mul(2).add(x);
    own.sum().backward();
    expect([hidden, own, net.weight.grad!].map(({ value }) => value.pendingBytes)).toEqual([0, 0, 0]);
    expect(torch.rand(2, 8).mul(2).add(1).value.pendingBytes).toBe(2 * 64);
  });

  test("new parameters in each step don't pile up with their gradients", () => {
    torch.manualSeed(0);
    const net = new nn.Linear(1, 1);
    const optimizer = new optim.Adam(net.parameters(), { lr: 1e-3 });
    let theta = new nn.Parameter(torch.ones(4));
    let most = 0;
    for (let step = 0; step < 60; step++) {
      const first = theta.square().sum();
      first.backward({ retainGraph: true });
      first.item();
      const slope = theta.grad!.view(4, 1).detach();
      const second = theta.add(net(slope).view(4));
      optimizer.zeroGrad();
      first.add(second.square().sum()).backward();
      optimizer.step();
      theta = new nn.Parameter(second.detach().clone());
      most = Math.max(most, runtime.gradients.graded.size);
    }
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThan(20);
  });

  /** Number of nodes that a value holds. */
  const held = ({ value }: Tensor): number => {
    const nodes = new Set<Node>();
    const visit = ({ producer }: Value): void => {
      if (producer.kind !== "node" || nodes.has(producer)) return;
      nodes.add(producer);
      producer.inputs.forEach(visit);
    };
    visit(value);
    return nodes.size;
  };

  const STEPS = 24;
  const AVERAGES: Record<string, (average: Tensor, weight: Tensor) => Tensor> = {
    "by operators": (average, weight) => average.mul(0.9).add(weight.data.mul(0.1)).clone(),
    "by lerp": (average, weight) => average.lerp(weight.data, 0.1),
    "in place": (average, weight) => average.mul_(0.9).add_(weight.detach(), { alpha: 0.1 }),
    "without gradients": (average, weight) =>
      torch.noGrad(() => average.mul(0.9).add(weight, { alpha: 0.1 })),
  };

  // The products of the larger batch suffice for the program to compute some values before its steps.
  test.each(Object.keys(AVERAGES).flatMap((how) => [2, 128].map((batch) => [how, batch] as const)))(
    "averages of weights, made %s, don't hold all steps with batches of %i",
    (how, batch) => {
      torch.manualSeed(0);
      const net = new nn.Sequential(new nn.Linear(256, 256), new nn.ReLU(), new nn.Linear(256, 256));
      const optimizer = new optim.SGD(net.parameters(), { lr: 0.1 });
      let average = net[0].weight.data.clone();
      const expected = Float64Array.from(average.toTypedArray());
      const sizes: number[] = [];
      for (let step = 0; step < STEPS; step++) {
        const loss = net(torch.randn(batch, 256)).square().mean();
        optimizer.zeroGrad();
        loss.backward();
        loss.item();
        optimizer.step();
        average = AVERAGES[how]!(average, net[0].weight);
        sizes.push(held(average));
        const now = net[0].weight.toTypedArray();
        expected.forEach((x, i) => (expected[i] = 0.9 * x + 0.1 * now[i]!));
      }
      expect(Math.max(...sizes.slice(-8))).toBeLessThanOrEqual(Math.max(...sizes.slice(0, 8)));
      average.toTypedArray().forEach((x, i) => expect(Math.abs(x - expected[i]!)).toBeLessThan(1e-6));
    },
  );

  test("gradients that outlive steps stay what they were", () => {
    const kept: nn.Parameter[] = [];
    const other = new nn.Parameter(torch.ones(3));
    const optimizer = new optim.SGD([other], { lr: 0.1 });
    for (let step = 0; step < 30; step++) {
      const own = new nn.Parameter(torch.full([2], step).float());
      own.square().sum().backward();
      kept.push(own);
      optimizer.zeroGrad();
      other.square().sum().backward();
      optimizer.step();
      other.sum().item();
    }
    expect(kept.map(({ grad }) => grad!.tolist())).toEqual(
      Array.from({ length: 30 }, (_, step) => [2 * step, 2 * step]),
    );
  });
});
