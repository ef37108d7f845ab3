// The binding's products and convolutions may take little longer than TensorFlow's, on whatever processor this is: what a compiler
// makes of a line of a kernel has halved their speed before.
import { beforeAll, describe, expect, it } from "vitest";
import { F, torch, type Tensor } from "../../../extension/nn/index.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";
import { BOUNDS, rest } from "../../bounds.ts";
import { hasNative, useEngine } from "../../engines.ts";

const KERNELS: Record<string, () => () => Tensor> = {
  "a product": () => {
    const [a, b] = [torch.randn(768, 768), torch.randn(768, 768)];
    return () => a.matmul(b);
  },
  "a linear layer": () => {
    const [x, w] = [torch.randn(2048, 256), torch.randn(512, 256)];
    return () => F.linear(x, w);
  },
  "a weight's gradient": () => {
    const [x, dy] = [torch.randn(2048, 256), torch.randn(2048, 512)];
    return () => dy.t().matmul(x);
  },
  "a convolution": () => {
    const [x, w] = [torch.randn(8, 64, 32, 32), torch.randn(64, 64, 3, 3)];
    return () => F.conv2d(x, w, { padding: 1 });
  },
};

describe.runIf(hasNative)("the time that the binding takes for", () => {
  useEngine("native");
  beforeAll(rest);

  it.each(Object.entries(KERNELS))("%s", (_, make) => {
    const compute = make();
    const milliseconds = (smallPlans: boolean): number => {
      const started = performance.now();
      withPolicy({ smallPlans }, () => compute().sum().item());
      return performance.now() - started;
    };
    const times = { own: Infinity, library: Infinity };
    for (let i = 0; i < 20; i++) {
      times.own = Math.min(times.own, milliseconds(true));
      times.library = Math.min(times.library, milliseconds(false));
    }
    expect(times.own).toBeLessThan(BOUNDS.kernel * times.library);
  });
});
