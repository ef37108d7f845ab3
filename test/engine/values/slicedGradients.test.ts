// Gradients of a tensor that is read slice by slice: each is added where the slice was, in the kernels of small plans as in TensorFlow's.
import { describe, expect, test } from "vitest";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import type { NativeBinding } from "../../../extension/native/binding.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { hasNative, useEngine } from "../../engines.ts";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";

/** Uses of a [6, 5, 4] tensor, with whole numbers, so that no order of sums rounds. */
const USES: Record<string, (x: Tensor) => Tensor> = {
  "every step of a sequence": (x) => {
    let h = torch.zeros(6, 4);
    for (let t = 0; t < 5; t++)
      h = h.add(
        x
          .select(1, t)
          .square()
          .mul(t + 1),
      );
    return h;
  },
  "every step of a sequence, backwards, and the whole": (x) => {
    let h = x.sum(1);
    for (let t = 4; t >= 0; t--) h = h.add(x.select(1, t).mul(t));
    return h;
  },
  "windows that overlap": (x) => {
    let h = torch.zeros(6, 2, 4);
    for (let t = 0; t < 4; t++) h = h.add(x.narrow(1, t, 2).mul(t + 2));
    return h;
  },
  "columns, of the last dimension": (x) => {
    let h = torch.zeros(6, 5);
    for (let i = 0; i < 4; i++) h = h.add(x.select(2, i).mul(i - 2));
    return h;
  },
  "single elements": (x) =>
    x
      .index(0, 0, 0)
      .mul(x.index(5, 4, 3))
      .add(x.index(2, 3, 1)),
  "every second row, and rows of them": (x) => {
    const rows = x.index("::2");
    return rows
      .sum()
      .add(rows.index(1).mul(3).sum())
      .add(x.index("1::3", ":", "1:3").mul(2).sum());
  },
  "the same slice twice": (x) => x.narrow(0, 1, 2).add(x.narrow(0, 1, 2).mul(2)),
  "a slice of all": (x) => x.narrow(0, 0, 6).mul(2).add(x),
  "slices of slices": (x) => {
    const part = x.narrow(1, 1, 3);
    return part.select(1, 0).add(part.select(1, 2).mul(3)).add(x.select(1, 2));
  },
  "an empty slice": (x) =>
    x
      .narrow(0, 2, 0)
      .sum()
      .add(x.narrow(0, 1, 1).sum()),
  "a slice that goes through products": (x) =>
    x.select(0, 0).t().matmul(x.select(0, 1)).add(x.select(0, 2).index(":4")),
};

describe.skipIf(!hasNative)("the gradient of a tensor that is read as", () => {
  useEngine("native");

  test.each(Object.entries(USES))("%s", (_, use) => {
    const gradients = (): number[][] => {
      const start = torch.arange(120).remainder(7).sub(3).reshape(6, 5, 4).to(torch.float32).requiresGrad_();
      // An intermediate tensor keeps its gradient as well, in addition to the leaf.
      const x = start.mul(1);
      x.retainGrad();
      use(x).sum().backward();
      return [start.grad!, x.grad!].map((grad) => [...(grad.toTypedArray() as Float32Array)]);
    };
    const own = gradients();
    const library = withPolicy({ smallPlans: false }, gradients);
    expect(own).toEqual(library);
    expect(own[0]!.some((g) => g !== 0)).toBe(true);
  });
});

test.runIf(hasNative)("costs in proportion to the sequence, by the plans' own estimates", () => {
  const native = loadNative();
  let cost = 0;
  const openPlan: NativeBinding["openPlan"] = (code, threads, costs) => {
    const id = native.openPlan(code, threads, costs);
    cost = Math.max(cost, costs[0]!);
    return id;
  };
  const binding = Object.create(native, { openPlan: { value: openPlan } }) as NativeBinding;
  setExecutor(new TensorFlowExecutor(binding, 1));
  try {
    const [short, long] = [50, 200].map((steps) => {
      cost = 0;
      const x = torch.ones(4, steps, 64).requiresGrad_();
      let h = torch.zeros(4, 64);
      for (let t = 0; t < steps; t++) h = h.add(x.select(1, t));
      h.sum().backward();
      x.grad!.toTypedArray();
      return cost;
    }) as [number, number];
    expect(short).toBeGreaterThan(0);
    // Four times as long: sixteen times where each step writes the whole.
    expect(long).toBeLessThan(6 * short);
  } finally {
    setExecutor(undefined);
  }
});
