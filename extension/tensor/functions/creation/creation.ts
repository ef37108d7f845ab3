// New tensors: from data, constant, in sequence.
import {
  allocate,
  demandComputable,
  promoteScalar,
  toHostArray,
  type DType,
  type HostArray,
} from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { fillValue } from "../../recording/graph.ts";
import { valuesOf } from "../../planning/barrier.ts";
import type { Shape } from "../../core/shape.ts";
import { demandMemory } from "../../core/memory.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import { castTo, composed, everywhere } from "../pointwise/operands.ts";
import {
  checkedSizes,
  checkOptions,
  sizesAndOptions,
  type SizesAndOptions,
  type TensorOptions,
} from "./options.ts";
import { copied } from "../shape/views.ts";

/** A number, a boolean, or nested arrays of them, all of one length at each depth. */
export type Nested = number | boolean | readonly Nested[];

type Typed =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Data of a new tensor: lists may have tensors of one element and typed arrays in them. */
type Listed = number | boolean | Typed | Tensor | readonly Listed[];

export type TensorData = Listed;

function finished(x: Tensor, options: TensorOptions | undefined): Tensor {
  checkOptions(options);
  return options?.requiresGrad === true ? x.requiresGrad_() : x;
}

/**
 * A tensor of given values. Without a dtype, booleans make bool, whole numbers int64, and any fraction float32.
 *
 * JavaScript cannot tell `1.0` from `1`: `torch.tensor([1.0, 2.0])` is int64. Say `{ dtype: torch.float32 }`, or use
 * `torch.FloatTensor`-like typed arrays (`new Float32Array([1, 2])`), where PyTorch would have seen floats.
 *
 * @throws TensorError "expected sequence of length 2 at dim 1 (got 1)"
 */
export function tensor(data: TensorData, options: TensorOptions = {}): Tensor {
  if (data instanceof Tensor) {
    const copy = composed(() => copied(castTo(new Tensor(data.value), options.dtype ?? data.dtype)));
    return finished(copy, options);
  }
  if (ArrayBuffer.isView(data)) {
    const [values, own] = typed(data);
    return finished(
      fromHost(host(values, options.dtype ?? own), [values.length], options.dtype ?? own),
      options,
    );
  }
  const { plain, floats } = plainOf(data);
  const shape = shapeOf(plain);
  const values: (number | boolean)[] = [];
  collect(plain, shape, 0, values);
  const dtype = options.dtype ?? (floats ? "float32" : inferred(values));
  return finished(fromHost(host(values.map(Number), dtype), shape, dtype), options);
}

/** As {@link tensor}, but returns a tensor of the right type itself. */
export function asTensor(data: TensorData, options: Omit<TensorOptions, "requiresGrad"> = {}): Tensor {
  checkOptions(options);
  return data instanceof Tensor ? castTo(data, options.dtype ?? data.dtype) : tensor(data, options);
}

function typed(data: Typed): [values: ArrayLike<number>, dtype: DType] {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return [Array.from(data as BigInt64Array, Number), "int64"];
  }
  return [data, data instanceof Float32Array || data instanceof Float64Array ? "float32" : "int64"];
}

/** Converts values to the array of a type. Integers beyond 32 bits stay exact, but no engine computes with them. */
function host(values: ArrayLike<number>, dtype: DType): HostArray {
  if (dtype === "int64") {
    for (let i = 0; i < values.length; i++) {
      const x = values[i]!;
      if (x >= 2 ** 31 || x < -(2 ** 31)) return Float64Array.from(values, Math.trunc);
    }
  }
  return toHostArray(values, dtype);
}

/**
 * Converts lists that may contain tensors of one element and typed arrays, such as those of a replay buffer, to lists
 * of numbers. Computes the tensors.
 */
function plainOf(data: Exclude<Listed, Tensor | Typed>): { plain: Nested; floats: boolean } {
  let floats = false;
  const of = (x: Listed): Nested => {
    if (x instanceof Tensor) {
      floats ||= x.dtype === "float32";
      if (x.numel() !== 1) {
        throw new TensorError("value", "only one element tensors can be converted to Python scalars");
      }
      return x.dtype === "bool" ? valuesOf(x.value)[0] !== 0 : Number(valuesOf(x.value)[0]);
    }
    if (ArrayBuffer.isView(x)) {
      const [values, dtype] = typed(x);
      floats ||= dtype === "float32";
      return Array.from(values);
    }
    if (typeof x !== "object") return x;
    return x.some((one) => typeof one === "object") ? x.map(of) : (x as Nested);
  };
  return { plain: of(data), floats };
}

function shapeOf(data: Nested): number[] {
  const shape: number[] = [];
  let at: Nested | undefined = data;
  while (Array.isArray(at)) {
    shape.push(at.length);
    at = (at as readonly Nested[])[0];
  }
  return shape;
}

function collect(data: Nested, shape: readonly number[], depth: number, out: (number | boolean)[]): void {
  if (depth === shape.length) {
    if (typeof data === "number" || typeof data === "boolean") {
      out.push(data);
      return;
    }
    throw new TensorError(
      "value",
      Array.isArray(data)
        ? `expected a number at dim ${depth}, but got a sequence of length ${data.length}`
        : `could not make a tensor of '${typeof data}'`,
    );
  }
  if (!Array.isArray(data)) {
    throw new TensorError(
      "value",
      `expected sequence of length ${shape[depth]} at dim ${depth} (got ${typeof data === "object" ? "an object" : String(data)})`,
    );
  }
  if (data.length !== shape[depth]) {
    throw new TensorError(
      "value",
      `expected sequence of length ${shape[depth]} at dim ${depth} (got ${data.length})`,
    );
  }
  for (const item of data as readonly Nested[]) collect(item, shape, depth + 1, out);
}

function inferred(values: readonly (number | boolean)[]): DType {
  if (values.length === 0) return "float32";
  if (values.every((x) => typeof x === "boolean")) return "bool";
  const isInteger = (x: number): boolean => Number.isInteger(x) && Math.abs(x) < 2 ** 63;
  return values.every((x) => typeof x === "boolean" || isInteger(x)) ? "int64" : "float32";
}

function filled(value: number, shape: Shape, dtype: DType, options: TensorOptions | undefined): Tensor {
  return finished(new Tensor(fillValue(value, shape, dtype)), options);
}

const filledWith =
  (name: string, value: number) =>
  (...args: SizesAndOptions): Tensor => {
    const { shape, options } = sizesAndOptions(args, name);
    return filled(value, shape, options?.dtype ?? "float32", options);
  };

/** Zeros: `zeros(2, 3)`, `zeros([2, 3], { dtype: torch.int64 })`. */
export const zeros = filledWith("zeros", 0);
/** Ones. */
export const ones = filledWith("ones", 1);
/** A tensor whose values don't matter: zeros here. */
export const empty = filledWith("empty", 0);

/** One value everywhere; its type as {@link tensor} infers it. */
export function full(size: readonly number[], value: number | boolean, options?: TensorOptions): Tensor {
  if (options?.dtype === undefined && typeof value === "number") demandComputable(value);
  const dtype = options?.dtype ?? promoteScalar("bool", value);
  const number = dtype === "bool" ? Number(Boolean(value)) : Number(value);
  return finished(everywhere(number, checkedSizes(size, "full"), dtype), options);
}

/** Zeros of the shape and type of another tensor. */
export function zerosLike(input: Tensor, options?: TensorOptions): Tensor {
  return filled(0, input.shape, options?.dtype ?? input.dtype, options);
}

/** Ones of the shape and type of another tensor. */
export function onesLike(input: Tensor, options?: TensorOptions): Tensor {
  return filled(1, input.shape, options?.dtype ?? input.dtype, options);
}

/** A tensor of the shape and type of another whose values don't matter: zeros here. */
export function emptyLike(input: Tensor, options?: TensorOptions): Tensor {
  return zerosLike(input, options);
}

/** One value everywhere, of the shape and type of another tensor. */
export function fullLike(input: Tensor, value: number | boolean, options?: TensorOptions): Tensor {
  return full(input.shape, value, { dtype: input.dtype, ...options });
}

/**
 * Ones on the diagonal of an [n, m] matrix, else zeros.
 * @throws TensorError "n must be greater or equal to 0, got -1"
 */
export function eye(n: number, m?: number | null, options?: TensorOptions): Tensor {
  const columns = m ?? n;
  for (const [name, size] of [["n", n] as const, ["m", columns] as const]) {
    if (!(size >= 0)) throw new TensorError("value", `${name} must be greater or equal to 0, got ${size}`);
  }
  demandMemory([n, columns]);
  const dtype = options?.dtype ?? "float32";
  const data = allocate(dtype, n * columns);
  for (let i = 0; i < Math.min(n, columns); i++) data[i * columns + i] = 1;
  return finished(fromHost(data, [n, columns], dtype), options);
}

/**
 * Numbers from `start` (0) up to but not including `end`, `step` (1) apart; int64 when all three are whole.
 * @throws TensorError "step must be nonzero"
 */
export function arange(end: number, options?: TensorOptions): Tensor;
export function arange(start: number, end: number, options?: TensorOptions): Tensor;
export function arange(start: number, end: number, step: number, options?: TensorOptions): Tensor;
export function arange(...given: (number | Tensor | TensorOptions | undefined)[]): Tensor {
  // The types refuse a tensor, but JavaScript doesn't: `lengths.max()` is a number in Python.
  const args = given.map((x) => (x instanceof Tensor || typeof x === "boolean" ? Number(x) : x));
  const numbers = args.filter((x) => typeof x === "number");
  const options = args.find((x) => typeof x === "object");
  const [start, end, step] =
    numbers.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1];
  if (step === 0) throw new TensorError("value", "step must be nonzero");
  if (step > 0 ? start > end : start < end) {
    throw new TensorError("value", "upper bound and lower bound inconsistent with step sign");
  }
  if (!Number.isFinite(start) || !Number.isFinite(end)) {
    const text = (x: number): string => String(x).replace("Infinity", "inf").replace("NaN", "nan");
    throw new TensorError("value", `unsupported range: ${text(start)} -> ${text(end)}`);
  }
  const dtype = options?.dtype ?? ([start, end, step].every(Number.isInteger) ? "int64" : "float32");
  const length = Math.ceil((end - start) / step);
  demandMemory([length]);
  // Most are whole and small: these take no conversion.
  const small = dtype === "int64" && Math.max(Math.abs(start), Math.abs(end)) < 2 ** 31;
  const values = small ? new Int32Array(length) : new Float64Array(length);
  // PyTorch counts with the numbers as given, and adds them up as integers.
  const [first, apart] = dtype === "int64" ? [Math.trunc(start), Math.trunc(step)] : [start, step];
  for (let i = 0; i < length; i++) values[i] = first + i * apart;
  const data = values instanceof Int32Array ? values : host(values, dtype);
  return finished(fromHost(data, [length], dtype), options);
}

/**
 * `steps` numbers from `start` to `end`, both included.
 * @throws TensorError "number of steps must be non-negative"
 */
export function linspace(start: number, end: number, steps: number, options?: TensorOptions): Tensor {
  if (!(steps >= 0)) throw new TensorError("value", "number of steps must be non-negative");
  const dtype = options?.dtype ?? "float32";
  const round = dtype === "float32" ? Math.fround : (x: number): number => x;
  demandMemory([steps]);
  if (dtype === "float32")
    return finished(
      fromHost(evenly(new Float32Array(steps), start, end, dtype, round), [steps], dtype),
      options,
    );
  const values = evenly(new Float64Array(steps), start, end, dtype, round);
  return finished(fromHost(host(values, dtype), [steps], dtype), options);
}

/**
 * Fills an array with numbers from one end, converted to the type, to the other; `round` rounds the step. A function called for each
 * number would take several times as long.
 */
function evenly<A extends Float32Array | Float64Array>(
  values: A,
  start: number,
  end: number,
  dtype: DType,
  round: (x: number) => number,
): A {
  const steps = values.length;
  const converted = dtype === "int64" ? Math.trunc : round;
  const [first, last] = [converted(start), converted(end)];
  const step = round(round(last - first) / Math.max(steps - 1, 1));
  // Counted from the nearer end, as PyTorch does, so that both ends are exact. PyTorch's products and sums are fused.
  const middle = steps === 1 ? 1 : Math.floor(steps / 2);
  for (let i = 0; i < middle; i++) values[i] = first + step * i;
  for (let i = middle; i < steps; i++) values[i] = last - step * (steps - 1 - i);
  return values;
}

/** `base` to the power of the `steps` numbers of {@link linspace}. */
export function logspace(
  start: number,
  end: number,
  steps: number,
  options: TensorOptions & { base?: number } = {},
): Tensor {
  const base = options.base ?? 10;
  const dtype = options.dtype ?? "float32";
  demandMemory([steps]);
  const powers = evenly(new Float32Array(steps), start, end, dtype, Math.fround);
  // In doubles, the exponential of a logarithm has more digits than a float, in a fifth of a power's time.
  if (base > 0 && base < Infinity) {
    const log = Math.log(base);
    for (let i = 0; i < steps; i++) powers[i] = Math.exp(powers[i]! * log);
  } else for (let i = 0; i < steps; i++) powers[i] = Math.pow(base, powers[i]!);
  const data = dtype === "float32" ? powers : host(powers, dtype);
  return finished(fromHost(data, [steps], dtype), options);
}

/**
 * Numbers from `start` to `end`, both included, in steps of `step`: floats, whatever the numbers.
 * @deprecated in PyTorch: {@link arange} leaves out its end.
 * @throws TensorError "upper bound and lower bound inconsistent with step sign"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.range.html
 */
export function range(start: number, end: number, step = 1, options?: TensorOptions): Tensor {
  if (step === 0) throw new TensorError("value", "step must be nonzero");
  if (step > 0 ? start > end : start < end)
    throw new TensorError("value", "upper bound and lower bound inconsistent with step sign");
  const dtype = options?.dtype ?? "float32";
  const length = Math.floor((end - start) / step) + 1;
  // Most are whole and small: these take no conversion.
  const small = dtype === "int64" && Math.max(Math.abs(start), Math.abs(end)) < 2 ** 31;
  const values = small ? new Int32Array(length) : new Float64Array(length);
  for (let i = 0; i < length; i++) values[i] = start + i * step;
  const data = values instanceof Int32Array ? values : host(values, dtype);
  return finished(fromHost(data, [length], dtype), options);
}

/** A number as a tensor without dimensions: a float unless `dtype` says otherwise. */
export const scalarTensor = (s: number | boolean, options?: TensorOptions): Tensor =>
  full([], s, { dtype: "float32", ...options });
