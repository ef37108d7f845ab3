import { apply } from "../apply.ts";
import { TensorError } from "../errors.ts";
import { attr, scalar } from "../lowering.ts";
import { defineOp, type Op } from "../op.ts";
import { scatterLast } from "./indexing.ts";
import { fillValue } from "../graph.ts";
import { Tensor } from "../tensor.ts";

interface Scan {
  readonly dim: number;
  /** From the last element to the first. */
  readonly reverse: boolean;
}

/** Running sum along a dimension. */
export const cumsum: Op<Scan> = defineOp<Scan>({
  name: "cumsum",
  infer: ([x]) => x!,
  gradient: ({ grad, attributes: { dim, reverse } }) => [apply(cumsum, [grad], { dim, reverse: !reverse })],
  tensorflow: (b, [x], { dim, reverse }, { outputs }) =>
    b.node("Cumsum", [x!, scalar(b, dim, "int64")], {
      T: attr.type(outputs[0]!.dtype),
      Tidx: attr.type("int64"),
      exclusive: attr.bool(false),
      reverse: attr.bool(reverse),
    }),
  tfjs: (k, [x], { dim, reverse }) => k.cumsum(x!, dim, false, reverse),
});

/** Running product along a dimension. */
export const cumprod: Op<{ dim: number }> = defineOp<{ dim: number }>({
  name: "cumprod",
  infer: ([x]) => x!,
  gradient: { none: "use the exponential of a cumsum of logarithms" },
  tensorflow: (b, [x], { dim }, { outputs }) =>
    b.node("Cumprod", [x!, scalar(b, dim, "int64")], {
      T: attr.type(outputs[0]!.dtype),
      Tidx: attr.type("int64"),
      exclusive: attr.bool(false),
      reverse: attr.bool(false),
    }),
  tfjs: (k, [x], { dim }) => k.cumprod(x!, dim),
});

/**
 * The k largest elements of the last dimension, largest first, and their indices; of equal ones the first comes first.
 * @throws TensorError "selected index k out of range"
 */
export const topk: Op<{ k: number }> = defineOp<{ k: number }>({
  name: "topk",
  infer([x], { k }) {
    const n = x!.shape[x!.shape.length - 1]!;
    if (!Number.isInteger(k) || k < 0 || k > n)
      throw new TensorError("value", "selected index k out of range");
    const shape = [...x!.shape.slice(0, -1), k];
    return [
      { shape, dtype: x!.dtype },
      { shape, dtype: "int64" },
    ];
  },
  gradient({ grads: [grad], inputs: [x], outputs: [, index] }) {
    if (!grad) return [null];
    const zeros = new Tensor(fillValue(0, x!.shape, "float32"));
    return [apply(scatterLast, [zeros, index!, grad], { mode: "add" })];
  },
  tensorflow: (b, [x], { k }, { inputs }) =>
    b.nodes(
      "TopKV2",
      [x!, scalar(b, k, "int64")],
      { T: attr.type(inputs[0]!.dtype), sorted: attr.bool(true) },
      2,
    ),
  tfjs(k, [x], { k: count }) {
    const { values, indices } = k.topk(x!, count, true);
    return [values, indices];
  },
});
