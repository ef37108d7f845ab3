// A tensor as a debugger shows it. Showing it doesn't change the program's own numbers.
import type { HostArray } from "./dtype.ts";
import { gradientName } from "./print.ts";
import { peek } from "../planning/peeking.ts";
import { numel, type Shape } from "./shape.ts";
import { Parameter, type Tensor } from "./tensor.ts";
import { windowOf, type Window, type WindowValues } from "../../protocol/tensorWindow.ts";

/** Rows of the last dimension that are shown one by one; more are shown as one long array. */
const MOST_ROWS = 4096;

/** Describes a tensor in one line: `Tensor float32 [32, 10]`. A single element's value follows once it is known. */
export function describeTensor(x: Tensor): string {
  const kind = x instanceof Parameter ? "Parameter" : "Tensor";
  const line = `${kind} ${x.dtype} [${x.shape.join(", ")}]`;
  // A debugger describes variables without side effects: no value is computed before the variable is expanded.
  const only = numel(x.shape) === 1 ? x.still?.data?.[0] : undefined;
  return only === undefined ? line : `${line} = ${only}`;
}

/** Properties that a debugger lists below a tensor. */
export interface TensorProperties {
  shape: Shape;
  dtype: string;
  requiresGrad: boolean;
  /** PyTorch's name of the function that the tensor is the result of. */
  gradFn?: string;
  grad?: Tensor;
  min?: number;
  max?: number;
  mean?: number;
  /** Of the whole population. */
  std?: number;
  zeros?: number;
  nan?: number;
  infinite?: number;
  /** Nested as the shape says. */
  values: unknown;
}

export function propertiesOf(x: Tensor): TensorProperties {
  const values = valuesOf(x);
  const gradFn = x.still === undefined ? undefined : gradientName(x);
  return {
    shape: x.shape,
    dtype: x.dtype,
    requiresGrad: x.edge !== undefined,
    ...(gradFn === undefined ? {} : { gradFn }),
    ...(x.ownGrad === null ? {} : { grad: x.ownGrad }),
    ...(values === undefined ? {} : statistics(values)),
    values: values === undefined ? "not computed here" : nested(values, x.shape),
  };
}

function valuesOf(x: Tensor): HostArray | undefined {
  const value = x.still;
  return value === undefined ? undefined : peek(value);
}

/** Statistics of the finite values, in double precision, and counts of those that are not finite. */
function statistics(values: HostArray): Partial<TensorProperties> {
  let [min, max, sum, squares, zeros, nan, infinite] = [Infinity, -Infinity, 0, 0, 0, 0, 0];
  for (const value of values) {
    if (Number.isNaN(value)) nan++;
    else if (!Number.isFinite(value)) infinite++;
    else {
      min = Math.min(min, value);
      max = Math.max(max, value);
      sum += value;
      if (value === 0) zeros++;
    }
  }
  const finite = values.length - nan - infinite;
  if (finite === 0) return { nan, infinite };
  const mean = sum / finite;
  for (const value of values) if (Number.isFinite(value)) squares += (value - mean) ** 2;
  return { min, max, mean, std: Math.sqrt(squares / finite), zeros, nan, infinite };
}

/** Arrays of arrays; the innermost are parts of `values`. */
function nested(values: HostArray, shape: Shape): unknown {
  const length = shape.at(-1);
  if (length === undefined) return values[0];
  if (values.length > MOST_ROWS * length) return values;
  let rows: unknown[] = Array.from({ length: values.length / Math.max(1, length) }, (_, i) =>
    values.subarray(i * length, (i + 1) * length),
  );
  for (const size of shape.slice(1, -1).toReversed())
    rows = Array.from({ length: rows.length / Math.max(1, size) }, (_, i) =>
      rows.slice(i * size, (i + 1) * size),
    );
  return shape.length === 1 ? rows[0] : rows;
}

/** Tensors in the editor's viewer, as they were when it was opened, by id. */
const viewed = new Map<number, { shape: Shape; values: HostArray }>();
/** Maximum number of tensors kept for the viewer: each may be large. */
const MOST_VIEWED = 8;
let views = 0;

/** Keeps a tensor's values for the viewer. Returns id, dtype and shape as JSON; no `id` if there are no values. */
export function openInViewer(x: Tensor): string {
  const { dtype, shape } = x;
  const values = valuesOf(x);
  if (values === undefined) return JSON.stringify({ dtype, shape });
  const id = ++views;
  viewed.set(id, { shape: [...shape], values: values.slice() });
  for (const old of viewed.keys()) if (viewed.size > MOST_VIEWED) viewed.delete(old);
  return JSON.stringify({ id, dtype, shape });
}

/** Requests of the editor to a paused program about tensors that {@link openInViewer} has kept. All return JSON. */
export const viewer = {
  window(id: number, window: Window): string {
    const { shape, values } = kept(id);
    const part: WindowValues = windowOf(shape, window, (from, count) => values.subarray(from, from + count));
    return JSON.stringify(part);
  },
  statistics(id: number): string {
    const { values } = kept(id);
    const {
      min = NaN,
      max = NaN,
      mean = NaN,
      std = NaN,
      zeros = 0,
      nan = 0,
      infinite = 0,
    } = statistics(values);
    return JSON.stringify({
      count: values.length - nan - infinite,
      min,
      max,
      mean,
      std,
      zeros,
      nans: nan,
      infinities: infinite,
      histogram: bins(values, min, max),
    });
  },
  close(id: number): string {
    return JSON.stringify(viewed.delete(id));
  },
};

function kept(id: number): { shape: Shape; values: HostArray } {
  const found = viewed.get(id);
  if (found === undefined) throw new RangeError("The values are no longer kept: view the tensor again.");
  return found;
}

const BINS = 20;

function bins(values: HostArray, min: number, max: number): number[] {
  const counts = Array.from({ length: BINS }, () => 0);
  const width = (max - min) / BINS;
  for (const value of values)
    if (Number.isFinite(value))
      counts[width > 0 ? Math.min(BINS - 1, Math.floor((value - min) / width)) : 0]!++;
  return counts;
}
