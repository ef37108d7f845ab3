import { apply } from "../../recording/apply.ts";
import { promoteScalar, SCALAR_TYPE, type DType } from "../../core/dtype.ts";
import { kindOf, TensorError } from "../../core/errors.ts";
import { fillValue, scalarValue, Value } from "../../recording/graph.ts";
import { cast } from "../../ops/movement/movement.ts";
import { checkedDType } from "../../platform/checkedDType.ts";
import { dataOfLeaf } from "../../recording/leaves.ts";
import { hidden, scope } from "../../recording/scope.ts";
import { normalizeDim, numel, type Shape } from "../../core/shape.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import { MAX_COPIED_ELEMENTS } from "../../tuning.ts";

/** Operand of an elementwise function: numbers and booleans are PyTorch's Python scalars. */
export type Operand = Tensor | number | boolean;

/** One dimension or several; negative ones count from the end. */
export type Dims = number | readonly number[];

/** Sizes one by one or as one list: `(2, 3)` or `([2, 3])`. */
export type Sizes = number[] | [readonly number[]];

export function sizesOf(args: Sizes): readonly number[] {
  return typeof args[0] === "object" ? args[0] : (args as number[]);
}

/** Tensors one by one or as one list. */
export type TensorList = readonly Tensor[] | readonly [readonly Tensor[]];

export function listOf(args: TensorList): readonly Tensor[] {
  return Array.isArray(args[0]) ? (args[0] as readonly Tensor[]) : (args as readonly Tensor[]);
}

/** x itself, or converted to another type. */
export function castTo(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  const { data } = x.value;
  // Integers beyond 32 bits are on the host; no engine computes with them.
  if (data instanceof Float64Array && dtype === "float32" && x.storage === undefined)
    return fromHost(Float32Array.from(data), x.shape, "float32");
  return apply(cast, [x], { dtype: checkedDType(dtype) });
}

/** Combines x and y by `combine`, a sum or product: bools as the numbers 0 and 1. */
export function asNumbers(x: Tensor, y: Tensor, combine: (x: Tensor, y: Tensor) => Tensor): Tensor {
  if (x.dtype !== "bool") return combine(x, y);
  return castTo(combine(castTo(x, "int64"), castTo(y, "int64")), "bool");
}

/** The number as a 0-d tensor that a compiled graph takes as input. */
export function scalarOf(value: number | boolean, dtype: DType): Tensor {
  if (typeof value !== "number" && typeof value !== "boolean") noScalar(value);
  return new Tensor(scalarValue(Number(value), dtype));
}

/**
 * The number everywhere. The next iteration may have another one: as data, it is an input of the same plan. Large tensors are left to
 * the executor.
 */
export function everywhere(value: number, shape: Shape, dtype: DType): Tensor {
  const fill = fillValue(value, shape, dtype);
  return numel(shape) > MAX_COPIED_ELEMENTS ? new Tensor(fill) : fromHost(dataOfLeaf(fill), shape, dtype);
}

/** Throws for values that the types exclude: as a number they would be NaN. */
function noScalar(x: unknown): never {
  throw new TensorError("value", `expected Tensor, number or boolean, but got ${kindOf(x)}`);
}

/** A number of the function itself, not of the user's data: a constant of a compiled graph. */
export function constant(value: number, dtype: DType = "float32"): Tensor {
  return new Tensor(fillValue(value, [], dtype));
}

/** Converts a scalar to a tensor: integers to int64, other numbers to float32, booleans to bool. */
export function asTensor(x: Operand): Tensor {
  if (x instanceof Tensor) return x;
  return scalarOf(x, promoteScalar("bool", x));
}

/** Converts integers and booleans to float32, in which PyTorch computes their roots, exponentials and means. */
export function toFloat(x: Tensor): Tensor {
  return castTo(x, "float32");
}

/**
 * Runs a function made of several ops: only its result is visible to the user; intermediate values are not kept.
 */
export function composed(body: () => Tensor): Tensor {
  if (scope.depth > 0) return body();
  const result = hidden(body);
  result.value.visible = true;
  return result;
}

/**
 * Runs the ops of a view. What is in between is not visible: a program that writes to part after part of a tensor would hold all of
 * its former values.
 */
export function onlyResult(ops: () => Tensor): Tensor {
  const { made } = Value;
  const result = ops();
  if (scope.depth === 0) hideInputs(result.value, made);
  return result;
}

/** Hides values that were made since: those that a value is made of. */
function hideInputs({ producer }: Value, since: number): void {
  if (producer.kind !== "node") return;
  for (const input of producer.inputs) {
    if (input.made <= since || !input.visible) continue;
    input.visible = false;
    hideInputs(input, since);
  }
}

/** {@link composed} for functions of several results; null stands for a missing one. */
export function composedAll<T extends readonly (Tensor | null)[]>(body: () => T): T {
  if (scope.depth > 0) return body();
  const results = hidden(body);
  for (const x of results) if (x !== null) x.value.visible = true;
  return results;
}

/** Sets PyTorch's name for the gradient of the function that made a tensor, which printing shows. */
export function named(x: Tensor, gradient: string, ...saved: readonly (Tensor | null | undefined)[]): Tensor {
  const { edge } = x;
  if (edge?.node !== undefined) {
    x.edge = { node: edge.node, index: edge.index, name: gradient, leaf: undefined };
    if (saved.length > 0) saving(x, ...saved);
  }
  return x;
}

/** Notes values that PyTorch's gradient of a composed function needs: `backward()` throws if they were written to. */
export function saving<T extends Tensor>(x: T, ...needed: readonly (Tensor | null | undefined)[]): T {
  const node = x.edge?.node;
  if (node === undefined) return x;
  const saved = node.saved === undefined ? [] : [...node.saved];
  for (const one of needed) if (one != null) saved.push(one.value);
  node.saved = saved;
  return x;
}

/** Dimensions counted from the front, in the order given. */
export function orderedDims(dims: readonly number[], rank: number): number[] {
  const out = dims.map((d) => normalizeDim(d, rank));
  out.forEach((d, i) => {
    if (out.indexOf(d) !== i)
      throw new TensorError("value", `dim ${d} appears multiple times in the list of dims`);
  });
  return out;
}

/** @throws TensorError when x has another type */
export function requireType(x: Tensor, dtype: DType, message: string): void {
  if (x.dtype !== dtype) throw new TensorError("dtype", message);
}

/** @throws TensorError for more than two dimensions */
export function requireMatrix(name: string, { ndim }: Tensor): void {
  if (ndim <= 2) return;
  throw new TensorError("shape", `${name} expects a tensor with <= 2 dimensions, but self is ${ndim}D`);
}

/** PyTorch's `"name" not implemented for 'Long'`. */
export function notImplemented(kernel: string, dtype: DType): never {
  throw new TensorError("dtype", `"${kernel}" not implemented for '${SCALAR_TYPE[dtype]}'`);
}

/** PyTorch's name of a type in messages that spell it out: `long int`. */
export const C_TYPE: Record<DType, string> = {
  float32: "float",
  int64: "long int",
  bool: "bool",
  complex64: "c10::complex<float>",
};

/**
 * Checks indices whose values are known already; others are checked when they are computed.
 * @param least the lowest valid index; -size where negative ones count from the end
 */
export function inRange(
  indices: Tensor,
  size: number,
  message: (index: number, position: number) => string,
  least = 0,
): void {
  const { data } = indices.value;
  if (data === undefined || indices.storage !== undefined) return;
  // A function called for each takes 9 times as long.
  for (let at = 0; at < data.length; at++) {
    const i = data[at]!;
    if (i < least || i >= size) throw new TensorError("index", message(i, at));
  }
}
