// LU decompositions with row exchanges: the last two dimensions, all others being a batch.
import { filled } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { numel, range, type Shape } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import {
  attr,
  scalar,
  type Loop,
  type Stepped,
  type TfBuilder,
  type TfRef,
} from "../../lowering/lowering.ts";
import {
  castNode,
  equalNode,
  gatherNode,
  INDEX,
  reshapeNode,
  T,
  transposeNode,
} from "../../lowering/nodes.ts";
import { apply } from "../../recording/apply.ts";
import { leading } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { add, eq, gt, le, sub, where } from "../elementwise/elementwise.ts";
import { call, constant } from "../expressions.ts";
import { indexAdd } from "../movement/indexing.ts";
import { cat, reshape } from "../movement/movement.ts";
import { slice } from "../movement/slicing.ts";
import { TensorFlowKernels } from "../recurrent/kernels.ts";
import { flipped, matrixOf, NO_ONNX, perMatrix, product } from "./matrices.ts";
import { factor } from "./matrixValues.ts";
import { triangularSolve } from "./triangular.ts";

/** The numbers of rows [n, 1], or of columns [1, n]. */
const numbers = (n: number, column: boolean): Tensor =>
  fromHost(
    filled(new Int32Array(n), (i) => i),
    column ? [1, n] : [n, 1],
    "int64",
  );

/** Elements below the diagonal (`below`), or the others; zeros elsewhere. */
function half(x: Tensor, below: boolean): Tensor {
  const [m, n] = matrixOf(x.shape);
  return call(where, call(below ? gt : le, numbers(m, false), numbers(n, true)), x, constant(0));
}

/** Rows and columns of matrices from one place up to another. */
function part(
  x: Tensor,
  [fromRow, fromColumn]: readonly number[],
  [toRow, toColumn]: readonly number[],
): Tensor {
  const lead = x.shape.slice(0, -2);
  const begin = [...lead.map(() => 0), fromRow!, fromColumn!];
  return apply(slice, [x], { begin, end: [...lead, toRow!, toColumn!], step: begin.map(() => 1) });
}

const solved = (a: Tensor, b: Tensor, lower: boolean): Tensor => apply(triangularSolve, [a, b], { lower });

/** Where the rows of matrices [..., m, n] go in an order [..., m]: row i becomes row order[i]. */
function placed(x: Tensor, order: Tensor): Tensor {
  const [m, n] = matrixOf(x.shape);
  const count = numel(x.shape.slice(0, -2));
  const first = fromHost(
    filled(new Int32Array(count), (b) => b * m),
    [count, 1],
    "int64",
  );
  const places = call(add, apply(reshape, [order], { shape: [count, m] }), first);
  const rows = [
    apply(reshape, [x], { shape: [count * m, n] }),
    apply(reshape, [places], { shape: [count * m] }),
  ];
  return apply(reshape, [apply(indexAdd, rows, { dim: 0, length: count * m })], { shape: x.shape });
}

const toWhole = (b: TfBuilder, x: TfRef): TfRef => castNode(b, x, "float32", "int64");
const chosen = (b: TfBuilder, inputs: readonly TfRef[], type = INDEX): TfRef =>
  b.node("SelectV2", inputs, { T: type });

/** The order of `rows` rows, for each matrix, after row k and row p [count, 1] changed places: [count, rows]. */
function exchange(b: TfBuilder, rows: number, k: TfRef, p: TfRef): TfRef {
  const own = b.constant(range(rows), [1, rows], "int64");
  const back = chosen(b, [equalNode(b, [own, p], "int64"), k, own]);
  return chosen(b, [equalNode(b, [own, k], "int64"), p, back]);
}

/** Repeats a step for the first rows, whose number k it is given beside its own rows of the sequences. */
function forEachRow(
  b: TfBuilder,
  loop: Pick<Loop<TfRef>, "steps" | "state" | "sequences" | "widths">,
  step: (b: TfBuilder, k: TfRef, state: TfRef, slices: readonly TfRef[]) => Stepped<TfRef>,
): Stepped<TfRef> {
  const rows = b.constant(range(loop.steps), [loop.steps, 1], "float32");
  const whole = { ...loop, batch: 1, backwards: false, fixed: [], sequences: [rows, ...loop.sequences] };
  return new TensorFlowKernels(b).loop(whole, ({ b: inner }, [state], [row, ...slices]) =>
    step(inner, toWhole(inner, reshapeNode(inner, row!, [])), state!, slices),
  );
}

/** {@link lu} in TensorFlow's nodes: its own kernel takes square matrices alone, and none that is singular. */
function eliminated(b: TfBuilder, a: TfRef, shape: Shape, pivots: Shape, pivot: boolean): TfRef[] {
  const [m, n] = matrixOf(shape);
  const [steps, count] = [pivots.at(-1)!, numel(shape.slice(0, -2))];
  if (steps === 0 || count === 0)
    return [b.node("Identity", [a], { T }), b.constant(new Int32Array(0), pivots, "int64")];
  const state = [reshapeNode(b, a, [count, m, n])];
  const widths = pivot ? [count] : [];
  const result = forEachRow(b, { steps, state, sequences: [], widths }, (inner, k, given) => {
    const node = (op: string, x: TfRef, y: TfRef, type = T): TfRef => inner.node(op, [x, y], { T: type });
    const float = (value: number): TfRef => scalar(inner, value, "float32");
    const numbered = (length: number, at: Shape): TfRef => inner.constant(range(length), at, "int64");
    const column = (x: TfRef): TfRef => gatherNode(inner, [x, k], 2, "float32");
    let [x, outputs] = [given, [] as TfRef[]];
    if (pivot) {
      const sizes = inner.node("Abs", [column(x)], { T });
      const from = inner.node("GreaterEqual", [numbered(m, [1, m]), k], { T: INDEX });
      const best = inner.node(
        "ArgMax",
        [chosen(inner, [from, sizes, float(-1)], T), scalar(inner, 1, "int64")],
        { T, Tidx: INDEX, output_type: INDEX },
      );
      const p = reshapeNode(inner, best, [count, 1], INDEX);
      x = gatherNode(inner, [x, exchange(inner, m, k, p)], 1, "float32", 1);
      const from1 = inner.node("AddV2", [best, scalar(inner, 1, "int64")], { T: INDEX });
      outputs = [reshapeNode(inner, castNode(inner, from1, "int64", "float32"), [1, count])];
    }
    const row = gatherNode(inner, [x, k], 1, "float32");
    const top = reshapeNode(inner, gatherNode(inner, [row, k], 1, "float32"), [count, 1]);
    // A column of zeros has nothing to eliminate.
    const divisor = chosen(inner, [equalNode(inner, [top, float(0)], "float32"), float(1), top], T);
    const factors = reshapeNode(inner, node("RealDiv", column(x), divisor), [count, m, 1]);
    const rest = node("Sub", x, node("Mul", factors, reshapeNode(inner, row, [count, 1, n])));
    const below = node("Greater", numbered(m, [m, 1]), k, INDEX);
    const own = equalNode(inner, [numbered(n, [1, n]), k], "int64");
    const right = node("Greater", numbered(n, [1, n]), k, INDEX);
    const both = (side: TfRef): TfRef => inner.node("LogicalAnd", [below, side], {});
    const next = chosen(inner, [both(right), rest, chosen(inner, [both(own), factors, x], T)], T);
    return { state: [next], outputs };
  });
  const exchanged = pivot
    ? toWhole(b, transposeNode(b, result.outputs[0]!, [1, 0]))
    : b.constant(
        filled(new Int32Array(count * steps), (i) => (i % steps) + 1),
        [count, steps],
        "int64",
      );
  return [reshapeNode(b, result.state[0]!, shape), reshapeNode(b, exchanged, pivots, INDEX)];
}

/** {@link pivotOrder} in TensorFlow's nodes. */
function exchangedOrder(b: TfBuilder, pivots: TfRef, shape: Shape, rows: number): TfRef {
  const [steps, count] = [shape.at(-1)!, numel(shape.slice(0, -1))];
  const first = b.constant(
    filled(new Float32Array(count * rows), (i) => i % rows),
    [count, rows],
    "float32",
  );
  let order = first;
  if (steps > 0 && count > 0) {
    const given = castNode(b, reshapeNode(b, pivots, [count, steps], INDEX), "int64", "float32");
    const sequences = [transposeNode(b, given, [1, 0])];
    order = forEachRow(b, { steps, state: [first], sequences, widths: [] }, (inner, k, now, [slice_]) => {
      const from0 = inner.node("Sub", [slice_!, scalar(inner, 1, "float32")], { T });
      const p = toWhole(inner, reshapeNode(inner, from0, [count, 1]));
      return { state: [gatherNode(inner, [now, exchange(inner, rows, k, p)], 1, "float32", 1)], outputs: [] };
    }).state[0]!;
  }
  return reshapeNode(b, toWhole(b, order), [...shape.slice(0, -1), rows], INDEX);
}

/**
 * L and U of PA = LU in one matrix [m, n], L without its diagonal of ones, and for each of min(m, n) rows the one, counted from 1,
 * that it was exchanged with. A pivot of 0 divides nothing.
 */
export const lu: Op<{ pivot: boolean }> = defineOp<{ pivot: boolean }>({
  name: "lu",
  gradName: "LinalgLuFactorExBackward0",
  infer: ([a]) => [
    { shape: a!.shape, dtype: "float32" },
    { shape: [...a!.shape.slice(0, -2), Math.min(...matrixOf(a!.shape))], dtype: "int64" },
  ],
  gradient({ grads: [grad], outputs: [factors, pivots], attributes: { pivot } }) {
    if (!grad) return [null];
    const [m, n] = matrixOf(factors!.shape);
    const k = Math.min(m, n);
    const unit = call(eq, numbers(m, false), numbers(k, true));
    const left = (x: Tensor): Tensor => part(x, [0, 0], [m, k]);
    const upper = (x: Tensor): Tensor => part(x, [0, 0], [k, n]);
    const square = (x: Tensor): Tensor => part(x, [0, 0], [k, k]);
    const lower = call(where, unit, constant(1), half(left(factors!), true));
    const [forLower, forUpper] = [half(left(grad), true), half(upper(grad), false)];
    // What L's gradient and U's change of a square: each half counts for the factor that is solved for.
    const byLower = product(lower, forLower, true);
    const byUpper = product(forUpper, half(upper(factors!), false), false, true);
    const isWide = m <= n;
    const inner = isWide
      ? flipped(solved(square(factors!), flipped(half(call(sub, byLower, byUpper), true)), false))
      : solved(flipped(square(lower)), half(call(sub, byUpper, byLower), false), false);
    const whole = isWide ? forUpper : forLower;
    const corner = call(add, inner, square(whole));
    const joined =
      m === n
        ? corner
        : apply(cat, [corner, part(whole, isWide ? [0, k] : [k, 0], matrixOf(whole.shape))], {
            dim: whole.ndim - (isWide ? 1 : 2),
          });
    const result = isWide
      ? solved(flipped(lower), joined, false)
      : flipped(solved(square(factors!), flipped(joined), false));
    return [pivot ? placed(result, apply(pivotOrder, [pivots!], { rows: m })) : result];
  },
  batch: leading,
  onnx: NO_ONNX,
  tensorflow(b, [a], { pivot }, { inputs, outputs }) {
    if (b.exact === true) return b.nodes("LuFactor", [a!], { pivot: attr.bool(pivot) }, 2);
    const [{ shape }, exchanged] = [inputs[0]!, outputs[1]!];
    return eliminated(b, a!, shape, exchanged.shape, pivot);
  },
  tfjs(k, inputs, { pivot }, signature) {
    const [m, n] = matrixOf(inputs[0]!.shape);
    const [factors, exchanged] = perMatrix(k, inputs, signature, ([a]) => {
      const { lu: both, exchanged: rows } = factor(a!, m, n, pivot);
      return [both, rows.map((row) => row + 1)];
    });
    return [factors!, k.cast(exchanged!, "int32")];
  },
  cost: ({ inputs: [a] }) => (numel(a!.shape) * Math.min(...matrixOf(a!.shape))) / 2,
});

/**
 * The order in which exchanges of rows leave `rows` of them.
 * @param pivots the row, counted from 1, that each of the first rows is exchanged with, one after the other
 */
export const pivotOrder: Op<{ rows: number }> = defineOp<{ rows: number }>({
  name: "pivotOrder",
  infer([pivots], { rows }) {
    const exchanges = pivots!.shape.at(-1)!;
    if (exchanges > rows)
      throw new TensorError("shape", `${rows} rows can't have ${exchanges} exchanges, but at most one each`);
    return { shape: [...pivots!.shape.slice(0, -1), rows], dtype: "int64" };
  },
  gradient: { none: "places have no gradient" },
  batch: leading,
  onnx: NO_ONNX,
  tensorflow(b, [pivots], { rows }, { inputs }) {
    const { shape } = inputs[0]!;
    if (b.exact === true) return b.node("PivotOrder", [pivots!], { rows: attr.int(rows) });
    return exchangedOrder(b, pivots!, shape, rows);
  },
  tfjs(k, [pivots], { rows }, { inputs }) {
    const { shape } = inputs[0]!;
    const exchanges = shape.at(-1)!;
    const given = pivots!.dataSync();
    const orders = filled(new Int32Array(numel(shape.slice(0, -1)) * rows), (i) => i % rows);
    given.forEach((pivot, i) => {
      if (pivot < 1 || pivot > rows)
        throw new Error(`the index value ${pivot - 1} is not in [0, ${rows - 1}]`);
      const from = Math.floor(i / exchanges) * rows;
      const [row, other] = [from + (i % exchanges), from + pivot - 1];
      [orders[row], orders[other]] = [orders[other]!, orders[row]!];
    });
    return k.tensor(orders, [...shape.slice(0, -1), rows], "int32");
  },
});
