// Tensors of more dimensions than an engine has kernels for.
import { expect, it } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

/** Of 10 dimensions, of which every other one has length 2. */
const deep = (first: number): Tensor =>
  torch.ones(Array.from({ length: 10 }, (_, d) => 1 + ((d + first) % 2)));

const CALLS: Record<string, () => Tensor> = {
  add: () => deep(0).add(deep(1)),
  maskedFill_: () => deep(0).maskedFill_(deep(0).gt(0), 2),
  expand: () => deep(0).expand(Array.from({ length: 10 }, () => 2)),
  flip: () => deep(0).flip(0),
};

onEachEngine(() => {
  it.each(Object.keys(CALLS))("%s computes them or says how many there may be", (name) => {
    let result: unknown;
    try {
      result = CALLS[name]!().sum().item();
    } catch (error) {
      expect(error).toMatchObject({
        code: "unsupported",
        message: expect.stringMatching(/up to \d dimensions/),
      });
      return;
    }
    expect(result).toBe({ add: 2048, maskedFill_: 64, expand: 1024, flip: 32 }[name]);
  });
});
