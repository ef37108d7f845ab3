// The gradient of a tensor that was split is one concatenation in a compiled step, with the interpreter's numbers.
import { describe, expect, test } from "vitest";
import { shardPlan } from "../../../extension/executors/tensorflow/sharding/shardedPlan.ts";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import type { Plan } from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";

type Use = (x: Tensor) => Tensor;
/** Uses of a [4, 6, 9] tensor, and how many concatenations and sums of slices its gradient has. */
const USES: Record<string, [use: Use, cats: number, unslices: number]> = {
  "all parts": [
    (x) => {
      const [a, b, c] = x.split(3, { dim: 2 }) as [Tensor, Tensor, Tensor];
      return a.mul(b).add(c.square());
    },
    1,
    0,
  ],
  "parts in another order, with a gap": [(x) => x.narrow(2, 6, 3).mul(x.narrow(2, 0, 3)), 1, 0],
  "parts and the whole": [
    (x) =>
      x
        .narrow(1, 0, 2)
        .mul(x.narrow(1, 2, 4).narrow(1, 1, 2))
        .sum()
        .add(x.sum()),
    1,
    1,
  ],
  "parts that overlap": [(x) => x.narrow(2, 0, 5).mul(x.narrow(2, 4, 5)), 0, 2],
  "parts of two dimensions": [
    (x) =>
      x
        .narrow(1, 0, 3)
        .sum()
        .mul(x.narrow(2, 0, 3).sum()),
    0,
    2,
  ],
  "a single part": [(x) => x.narrow(0, 1, 2).square(), 0, 1],
};

describe.skipIf(nativeStatus().state !== "installed")("the gradient of", () => {
  test.each(Object.entries(USES))("%s", (_, [use, cats, unslices]) => {
    const executor = new TensorFlowExecutor(loadNative());
    const plans: Plan[] = [];
    const run = executor.run.bind(executor);
    executor.run = (plan, inspector) => {
      plans.push(plan);
      run(plan, inspector);
    };
    setExecutor(executor);
    changePolicy({ smallPlans: false });
    try {
      torch.manualSeed(2);
      const layer = new nn.Linear(9, 9);
      const optimizer = new optim.SGD(layer.parameters(), { lr: 0 });
      const x = torch.randn(4, 6, 9);
      const gradients = Array.from({ length: 3 }, () => {
        optimizer.zeroGrad();
        use(layer(x)).sum().backward();
        optimizer.step();
        return [...(layer.weight.grad!.toTypedArray() as Float32Array)];
      });
      expect(executor.counters.compiled).toBeGreaterThan(0);
      // The first step was computed op by op.
      gradients[0]!.forEach((g, i) => expect(gradients[2]![i]).toBeCloseTo(g, 4));
      const step = plans.find((plan) => plan.assigns.length > 0)!;
      const ops = shardPlan(step, 1).plan.nodes.map(({ op }) => op.name);
      expect(ops.filter((name) => name === "cat")).toHaveLength(cats);
      expect(ops.filter((name) => name === "unslice")).toHaveLength(unslices);
    } finally {
      changePolicy({ smallPlans: true });
      setExecutor(undefined);
    }
  });
});
