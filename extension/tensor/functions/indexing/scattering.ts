// Values put at the places of an index: what the functions of gathering.ts and placing.ts share.
import { apply } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import { formatShape, normalizeDim, sameShape, type Shape } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import * as elementwise from "../../ops/elementwise/elementwise.ts";
import { call } from "../../ops/expressions.ts";
import { scatterLast, type ScatterMode } from "../../ops/movement/elements.ts";
import { indexAdd } from "../../ops/movement/indexing.ts";
import { slice, sliceUpdate } from "../../ops/movement/slicing.ts";
import { asNumbers, composed, inRange, named, requireType, scalarOf } from "../pointwise/operands.ts";
import { turned } from "../shape/along.ts";
import { expand } from "../shape/shape.ts";
import { copied, reshaped } from "../shape/views.ts";

export function checkIndex(name: string, shape: Shape, dim: number, indices: Tensor, what: string): void {
  requireType(indices, "int64", `${name}(): Expected dtype int32/int64 for index`);
  // Without places, PyTorch takes any shape.
  if (indices.numel() === 0) return;
  if (Math.max(indices.ndim, 1) !== Math.max(shape.length, 1)) {
    throw new TensorError("shape", "Index tensor must have the same number of dimensions as input tensor");
  }
  const wrong = indices.shape.findIndex((n, d) => d !== dim && n > (shape[d] ?? 1));
  if (wrong >= 0) {
    throw new TensorError(
      "shape",
      `Size does not match at dimension ${wrong} expected index ${formatShape(indices.shape)} to be no larger than ${what} ${formatShape(shape)} apart from dimension ${dim}`,
    );
  }
  const size = shape[dim] ?? 1;
  inRange(indices, size, (i) => `index ${i} is out of bounds for dimension ${dim} with size ${size}`);
}

/** Checks what `scatter` and its relatives put at places, as PyTorch does. */
export function checkScattered(
  input: Tensor,
  dim: number,
  indices: Tensor,
  source: Tensor | number | boolean,
): void {
  requireType(indices, "int64", "scatter(): Expected dtype int32/int64 for index");
  const src = source instanceof Tensor ? source : undefined;
  if (src !== undefined && src.dtype !== input.dtype)
    throw new TensorError("dtype", "scatter(): Expected self.dtype to be equal to src.dtype");
  if (indices.numel() === 0) return;
  for (const [name, x] of [["self", input] as const, ["src", src] as const]) {
    if (x === undefined || Math.max(x.ndim, 1) === Math.max(indices.ndim, 1)) continue;
    throw new TensorError("shape", `Index tensor must have the same number of dimensions as ${name} tensor`);
  }
  const fits = indices.shape.every(
    (n, d) => (d === dim || n <= (input.shape[d] ?? 1)) && (src === undefined || n <= (src.shape[d] ?? 1)),
  );
  if (!fits) {
    const rest = src === undefined ? "" : ` and to be no larger size than src ${formatShape(src.shape)}`;
    throw new TensorError(
      "shape",
      `Expected index ${formatShape(indices.shape)} to be no larger than self ${formatShape(input.shape)} apart from dimension ${dim}${rest}`,
    );
  }
  const size = input.shape[dim] ?? 1;
  inRange(indices, size, (i) => `index ${i} is out of bounds for dimension ${dim} with size ${size}`);
}

/** A scalar as a vector of one element: kernels of places take no tensor without dimensions. */
export function vector(x: Tensor): Tensor {
  return x.ndim === 0 ? reshaped(x, [1]) : x;
}

/** The part of a tensor from the origin to `end`. */
export function corner(x: Tensor, end: Shape): Tensor {
  if (sameShape(x.shape, end)) return x;
  return apply(slice, [x], { begin: end.map(() => 0), end, step: end.map(() => 1) });
}

/**
 * The index of whole rows: of one that was expanded to the other dimensions, as pooling over the nodes of graphs does it.
 * Undefined for any other.
 */
function sharedIndex(indices: Tensor, dim: number): Tensor | undefined {
  const { producer } = indices.value;
  if (indices.ndim < 2 || producer.kind !== "node" || producer.op.name !== "expand") return undefined;
  const from = producer.inputs[0]!;
  const lead = indices.ndim - from.shape.length;
  const varies = from.shape.flatMap((n, d) => (n === 1 ? [] : [d + lead]));
  if (varies.length !== 1 || varies[0] !== dim) return undefined;
  return reshaped(new Tensor(from), [indices.shape[dim]!]);
}

/** The size of an index in all dimensions but `dim`, where it is the input's. */
export function reach(input: Tensor, dim: number, indices: Tensor): number[] {
  return input.shape.map((n, d) => (d === dim ? n : indices.shape[d]!));
}

/**
 * A copy in which the places that {@link gather} would read are combined with the values of `source`.
 * @param before what the input was, where it counts for the gradient of an extreme
 */
export function scattered(
  input: Tensor,
  dim: number,
  indices: Tensor,
  source: Tensor | number | boolean,
  mode: ScatterMode,
  before?: Tensor,
): Tensor {
  const at = normalizeDim(dim, input.ndim);
  checkScattered(input, at, indices, source);
  if (indices.numel() === 0) return copied(input);
  if (input.dtype === "bool" && mode !== "update") {
    const values = source instanceof Tensor ? source : expand(scalarOf(source, "bool"), indices.shape);
    return composed(() => asNumbers(input, values, (x, y) => scattered(x, dim, indices, y, mode)));
  }
  return composed(() => {
    const shared = mode === "add" && source instanceof Tensor ? sharedIndex(indices, at) : undefined;
    if (shared !== undefined && sameShape(reach(input, at, indices), input.shape)) {
      const values = corner(source as Tensor, indices.shape);
      const rows = apply(indexAdd, [values, shared], { dim: at, length: input.shape[at]! });
      return named(call(elementwise.add, input, rows), "ScatterAddBackward0");
    }
    const values =
      source instanceof Tensor ? source : expand(scalarOf(Number(source), input.dtype), indices.shape);
    if (input.ndim === 0 || indices.ndim === 0 || values.ndim === 0) {
      const result = scattered(
        vector(input),
        at,
        vector(indices),
        vector(values),
        mode,
        before && vector(before),
      );
      return named(
        reshaped(result, input.shape),
        mode === "add" ? "ScatterAddBackward0" : "ScatterBackward0",
      );
    }
    const region = reach(input, at, indices);
    const rows = turned(corner(input, region), at);
    const added = turned(corner(values, indices.shape), at);
    const given = [rows, turned(indices, at), added];
    if (before !== undefined) given.push(turned(corner(before, region), at));
    const result = turned(apply(scatterLast, given, { mode }), at, true);
    const whole = sameShape(region, input.shape)
      ? result
      : apply(sliceUpdate, [input, result], {
          begin: region.map(() => 0),
          end: region,
          step: region.map(() => 1),
        });
    return named(whole, mode === "add" ? "ScatterAddBackward0" : "ScatterBackward0");
  });
}
