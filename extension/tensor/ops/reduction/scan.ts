import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import { attr, scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { castNode, INDEX } from "../../lowering/nodes.ts";
import { ints, number } from "../../lowering/onnx.ts";
import { defineOp, type Meta, type Op, type Tfjs } from "../../recording/op.ts";
import { mul, where } from "../elementwise/elementwise.ts";
import { numel, range } from "../../core/shape.ts";
import { scatterLast } from "../movement/indexing.ts";
import { permute, reshape, sum } from "../movement/movement.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { call, constant, zeros } from "../expressions.ts";

interface Scan {
  readonly dim: number;
  /** From the last element to the first. */
  readonly reverse: boolean;
}

/** The kernel of that name along a dimension: floats in double precision, as PyTorch does it. */
function scanned(
  b: TfBuilder,
  kernel: "Cumsum" | "Cumprod",
  x: TfRef,
  dim: number,
  reverse: boolean,
  { dtype }: Meta,
): TfRef {
  const exact = dtype === "float32" && b.portable !== true && b.exact !== true;
  const values = exact ? castNode(b, x, "float32", "double") : x;
  const result = b.node(kernel, [values, scalar(b, dim, "int64")], {
    T: attr.type(exact ? "double" : dtype),
    Tidx: INDEX,
    exclusive: attr.bool(false),
    reverse: attr.bool(reverse),
  });
  return exact ? castNode(b, result, "double", "float32") : result;
}

/** The same on the host: `next` of what there is so far and an element. */
function scannedOnHost(
  k: Tfjs,
  x: tfjs.Tensor,
  dim: number,
  reverse: boolean,
  first: number,
  next: (total: number, value: number) => number,
): tfjs.Tensor {
  const values = x.dataSync<"float32">();
  const count = x.shape[dim]!;
  const step = numel(x.shape.slice(dim + 1));
  const results = new Float32Array(values.length);
  for (let block = 0; block < values.length; block += count * step)
    for (let column = 0; column < step; column++) {
      let total = first;
      for (let i = 0; i < count; i++) {
        const at = block + column + (reverse ? count - 1 - i : i) * step;
        results[at] = total = next(total, values[at]!);
      }
    }
  return k.tensor(results, x.shape, "float32");
}

/** Running sum along a dimension. */
export const cumsum: Op<Scan> = defineOp<Scan>({
  name: "cumsum",
  infer: ([x]) => x!,
  gradient: ({ grad, attributes: { dim, reverse } }) => [apply(cumsum, [grad], { dim, reverse: !reverse })],
  onnx: (b, [x], { dim, reverse }) =>
    b.node("CumSum", [x!, number(b, dim, "int64")], { reverse: attr.int(Number(reverse)) }),
  tensorflow: (b, [x], { dim, reverse }, { outputs }) => scanned(b, "Cumsum", x!, dim, reverse, outputs[0]!),
  tfjs: (k, [x], { dim, reverse }) =>
    x!.dtype === "float32"
      ? scannedOnHost(k, x!, dim, reverse, 0, (sum, value) => sum + value)
      : k.cumsum(x!, dim, false, reverse),
});

/** Running product along a dimension. */
export const cumprod: Op<{ dim: number }> = defineOp<{ dim: number }>({
  name: "cumprod",
  infer: ([x]) => x!,
  gradient({ grad, inputs: [x], attributes: { dim } }) {
    // Of element j, the products of all others up to each i ≥ j: right where elements are 0, too.
    const n = x!.shape[dim]!;
    const order = range(x!.ndim).filter((d) => d !== dim);
    order.push(dim);
    const back = order.map((_, d) => order.indexOf(d));
    const last = order.length - 1;
    const lead = order.slice(0, -1).map((d) => x!.shape[d]!);
    const rows = (t: Tensor): Tensor =>
      apply(reshape, [apply(permute, [t], { order })], { shape: [...lead, 1, n] });
    const square = (keep: (row: number, column: number) => boolean): Tensor =>
      fromHost(
        Uint8Array.from({ length: n * n }, (_, i) => Number(keep(Math.floor(i / n), i % n))),
        [n, n],
        "bool",
      );
    const others = call(
      where,
      square((r, c) => r === c),
      constant(1),
      rows(x!),
    );
    const products = apply(cumprod, [others], { dim: last + 1 });
    const later = call(
      where,
      square((r, c) => c >= r),
      products,
      constant(0),
    );
    const total = apply(sum, [call(mul, later, rows(grad))], { dims: [last + 1], keepdim: false });
    return [apply(permute, [total], { order: back })];
  },
  onnx: { none: "ONNX has no running product" },
  tensorflow: (b, [x], { dim }, { outputs }) => scanned(b, "Cumprod", x!, dim, false, outputs[0]!),
  tfjs: (k, [x], { dim }) =>
    x!.dtype === "float32"
      ? scannedOnHost(k, x!, dim, false, 1, (product, value) => product * value)
      : k.cumprod(x!, dim),
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
    return [apply(scatterLast, [zeros(x!.shape), index!, grad], { mode: "add" })];
  },
  onnx: (b, [x], { k }) => b.nodes("TopK", [x!, ints(b, [k])], { axis: attr.int(-1) }, 2),
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
