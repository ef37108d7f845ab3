import { filled, MAX_FLOAT } from "../../core/dtype.ts";
import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import { attr, scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { castNode, gatherNode, INDEX } from "../../lowering/nodes.ts";
import { ints, number } from "../../lowering/onnx.ts";
import { along, rowwise } from "../../recording/batchRules.ts";
import { defineOp, type Meta, type Op, type Tfjs } from "../../recording/op.ts";
import { div, eq, logicalAnd, mul, where } from "../elementwise/elementwise.ts";
import { numel, range } from "../../core/shape.ts";
import { scatterLast } from "../movement/elements.ts";
import { asFloat } from "../movement/indexing.ts";
import { permute, reshape, sum } from "../movement/movement.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { scope } from "../../recording/scope.ts";
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
  batch: along,
  onnx: (b, [x], { dim, reverse }) =>
    b.node("CumSum", [x!, number(b, dim, "int64")], { reverse: attr.int(Number(reverse)) }),
  tensorflow: (b, [x], { dim, reverse }, { outputs }) => scanned(b, "Cumsum", x!, dim, reverse, outputs[0]!),
  tfjs: (k, [x], { dim, reverse }) =>
    x!.dtype === "float32"
      ? scannedOnHost(k, x!, dim, reverse, 0, (sum, value) => sum + value)
      : k.cumsum(x!, dim, false, reverse),
});

/** The gradient of a running product whose own derivatives are right where elements are 0, too: in n² products of n elements. */
function differentiableGradient(x: Tensor, grad: Tensor, dim: number): Tensor {
  // Of element j, the products of all others up to each i ≥ j.
  const n = x.shape[dim]!;
  const order = range(x.ndim).filter((d) => d !== dim);
  order.push(dim);
  const back = order.map((_, d) => order.indexOf(d));
  const last = order.length - 1;
  const lead = order.slice(0, -1).map((d) => x.shape[d]!);
  const rows = (t: Tensor): Tensor =>
    apply(reshape, [apply(permute, [t], { order })], { shape: [...lead, 1, n] });
  const square = (keep: (row: number, column: number) => boolean): Tensor =>
    fromHost(
      filled(new Uint8Array(n * n), (i) => Number(keep(Math.floor(i / n), i % n))),
      [n, n],
      "bool",
    );
  const others = call(
    where,
    square((r, c) => r === c),
    constant(1),
    rows(x),
  );
  const products = apply(cumprod, [others], { dim: last + 1 });
  const later = call(
    where,
    square((r, c) => c >= r),
    products,
    constant(0),
  );
  const total = apply(sum, [call(mul, later, rows(grad))], { dims: [last + 1], keepdim: false });
  return apply(permute, [total], { order: back });
}

/** Running product along a dimension. */
export const cumprod: Op<{ dim: number }> = defineOp<{ dim: number }>({
  name: "cumprod",
  infer: ([x]) => x!,
  gradient({ grad, inputs: [x], outputs: [y], attributes: { dim } }) {
    // As in PyTorch, which takes the slow formula only for second derivatives.
    if (scope.gradients) return [differentiableGradient(x!, grad, dim)];
    const later = (product: Tensor): Tensor =>
      apply(cumsum, [call(mul, grad, product)], { dim, reverse: true });
    const [none, one] = [constant(0), constant(1)];
    // All products from a zero on are 0, so the first zero is left out of those of its own gradient, and later gradients are 0.
    const zero = call(eq, x!, none);
    const found = apply(cumsum, [asFloat(zero)], { dim, reverse: false });
    const first = call(logicalAnd, zero, call(eq, found, one));
    const others = later(apply(cumprod, [call(where, first, one, x!)], { dim }));
    const before = call(div, later(y!), call(where, zero, one, x!));
    return [call(where, call(eq, found, none), before, call(where, first, others, none))];
  },
  batch: along,
  onnx: { none: "ONNX has no running product" },
  tensorflow: (b, [x], { dim }, { outputs }) => scanned(b, "Cumprod", x!, dim, false, outputs[0]!),
  tfjs: (k, [x], { dim }) =>
    x!.dtype === "float32"
      ? scannedOnHost(k, x!, dim, false, 1, (product, value) => product * value)
      : k.cumprod(x!, dim),
});

interface TopK {
  readonly k: number;
  /** The largest elements, largest first, or the smallest, smallest first. */
  readonly largest: boolean;
}

/**
 * The k largest or smallest elements of the last dimension in order, and their indices. Of equal ones the first comes
 * first, and NaN counts as larger than any number. Kernels know no order of NaN, so they sort keys without it: Infinity
 * in place of NaN, and the largest finite number in place of Infinity.
 * @throws TensorError "selected index k out of range"
 */
export const topk: Op<TopK> = defineOp<TopK>({
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
  batch: rowwise,
  onnx: (b, [x], { k, largest }) =>
    b.nodes("TopK", [x!, ints(b, [k])], { axis: attr.int(-1), largest: attr.int(Number(largest)) }, 2),
  tensorflow(b, [x], { k, largest }, { inputs }) {
    const { shape, dtype } = inputs[0]!;
    const float = dtype === "float32";
    const type = { T: attr.type(dtype) };
    const finite = float ? b.node("Minimum", [x!, scalar(b, MAX_FLOAT, dtype)], type) : x!;
    const ordered = float
      ? b.node("SelectV2", [b.node("IsNan", [x!], type), scalar(b, Infinity, dtype), finite], type)
      : x!;
    const keys = largest ? ordered : b.node("Neg", [ordered], type);
    const [top, places] = b.nodes(
      "TopKV2",
      [keys, scalar(b, k, "int64")],
      { ...type, sorted: attr.bool(true) },
      2,
    );
    if (!float) return [largest ? top! : b.node("Neg", [top!], type), places!];
    const rank = shape.length - 1;
    return [gatherNode(b, [x!, places!], rank, dtype, rank), places!];
  },
  tfjs(k, [x], { k: count, largest }) {
    const float = x!.dtype === "float32";
    const ordered = float ? k.where(k.isNaN(x!), k.scalar(Infinity), k.minimum(x!, k.scalar(MAX_FLOAT))) : x!;
    const { values, indices } = k.topk(largest ? ordered : k.neg(ordered), count, true);
    if (!float) return [largest ? values : k.neg(values), indices];
    const [numbers, n] = [x!.dataSync<"float32">(), x!.shape.at(-1)!];
    const picked = Float32Array.from(
      indices.dataSync<"int32">(),
      (at, i) => numbers[Math.floor(i / count) * n + at]!,
    );
    return [k.tensor(picked, values.shape, "float32"), indices];
  },
});
