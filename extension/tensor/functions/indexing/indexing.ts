// Indexing: `x.index(0, "1:3", "...", null, mask)` is PyTorch's `x[0, 1:3, ..., None, mask]`.
import { apply } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import * as elementwise from "../../ops/elementwise/elementwise.ts";
import { indexSelect as selectRows, rowsUpdate, indexAdd } from "../../ops/movement/indexing.ts";
import { permute } from "../../ops/movement/movement.ts";
import { hasExecutor, valuesOf } from "../../planning/runtime.ts";
import { broadcastShapes, formatShape, numel, range, strides, type Shape } from "../../core/shape.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import { tensor, type Nested } from "../creation/creation.ts";
import { asTensor, castTo, composed, constant, named, type Operand } from "../pointwise/operands.ts";
import { expand, stack } from "../shape/shape.ts";
import { Slice } from "../shape/slice.ts";
import { overwrite, reshaped, SelectView, SliceView } from "../shape/views.ts";

/** Indices as nested lists: numbers gather, booleans mask. */
export type IndexList = number | boolean | Tensor | readonly IndexList[];

/**
 * One place of an index: a number, a slice (`"1:3"`, `":"` for all, or {@link slice}), `"..."`, `null` (a new dimension),
 * a list of numbers or int64 tensor (gathers), or booleans (a mask).
 */
export type IndexSpec = number | boolean | Slice | string | null | Tensor | readonly IndexList[];

/** What an {@link IndexSpec} stands for. */
type Place = number | boolean | Slice | null | "..." | Tensor;

interface Basic {
  readonly begin: number[];
  readonly end: number[];
  readonly step: number[];
  /** Of each dimension of the result, the input's dimension, or -1 for a new one. */
  readonly origin: number[];
  readonly shape: number[];
}

interface Parsed {
  readonly basic: Basic;
  /** Integers without dimensions that are still to be computed, by the dimension of the basic result where they select. */
  readonly selects: readonly (readonly [dim: number, at: Tensor])[];
  /** Index tensors by the dimension that they index of what is selected. */
  readonly tensors: ReadonlyMap<number, Tensor>;
}

/** The part of a tensor at an index, as PyTorch's `x[…]`. A view when only numbers, slices, "..." and null are used, else a copy. */
export function index(input: Tensor, ...specs: IndexSpec[]): Tensor {
  const parsed = parse(input, specs);
  const { tensors } = parsed;
  if (tensors.size === 0) return named(viewOf(input, parsed), gradientOf(specs));
  return composed(() => named(gathered(new Gathering(viewOf(input, parsed), tensors)), "IndexBackward0"));
}

/**
 * Writes `values`, broadcast to the shape of `x.index(...specs)`, into that part of the tensor.
 * With `accumulate` they are added, repeated places as often as they occur.
 */
export function indexPut_(
  input: Tensor,
  specs: readonly IndexSpec[],
  values: Operand,
  options: boolean | { accumulate?: boolean } = false,
): Tensor {
  const accumulate = typeof options === "boolean" ? options : (options.accumulate ?? false);
  if (!Array.isArray(specs)) {
    throw new TensorError(
      "value",
      "index_put_(): argument 'indices' (position 1) must be a list",
      "write x.indexPut_([index], values)",
    );
  }
  const mask = specs.length === 1 ? normalized(specs[0] as IndexSpec) : undefined;
  const value = castTo(asTensor(values), input.dtype);
  if (mask instanceof Tensor && mask.dtype === "bool" && value.ndim === 0) {
    // One value under a mask needs no count of the places: it stays lazy.
    checkMask(mask, input.shape, 0);
    const column = reshaped(mask, [...mask.shape, ...input.shape.slice(mask.ndim).map(() => 1)]);
    const next = accumulate ? composed(() => apply(elementwise.add, [input, value], {})) : value;
    return input.write(composed(() => apply(elementwise.where, [column, next, input], {})));
  }
  const parsed = parse(input, specs);
  const { tensors } = parsed;
  const part = viewOf(input, parsed);
  const next = composed(() => {
    if (tensors.size === 0) {
      const spread = expand(withoutLeadingOnes(value, part.ndim), part.shape);
      return accumulate ? apply(elementwise.add, [part, spread], {}) : spread;
    }
    const gathering = new Gathering(part, tensors);
    return put(gathering, withoutLeadingOnes(value, gathering.shape.length), accumulate);
  });
  overwrite(part, next);
  return input;
}

/** Values for a part of fewer dimensions: PyTorch's `x[0] = values` drops leading dimensions of size 1. */
function withoutLeadingOnes(values: Tensor, ndim: number): Tensor {
  let drop = 0;
  while (values.ndim - drop > ndim && values.shape[drop] === 1) drop++;
  return drop === 0 ? values : reshaped(values, values.shape.slice(drop));
}

/** A copy with values written at an index: {@link indexPut_} on a copy. */
export function indexPut(
  input: Tensor,
  specs: readonly IndexSpec[],
  values: Operand,
  options: boolean | { accumulate?: boolean } = false,
): Tensor {
  return indexPut_(reshaped(input, input.shape), specs, values, options);
}

function gradientOf(specs: readonly IndexSpec[]): string {
  const last = specs.findLast((s) => s !== "...");
  if (typeof last === "number" || last instanceof Tensor) return "SelectBackward0";
  return last === null ? "UnsqueezeBackward0" : "SliceBackward0";
}

function viewOf(input: Tensor, { basic, selects }: Parsed): Tensor {
  const { begin, end, step, origin, shape } = basic;
  const sliced = new SliceView(input, { begin, end, step }, origin, shape).make();
  if (selects.length === 0) return sliced;
  return composed(() =>
    selects.reduceRight((x, [dim, at], i) => {
      const place = reshaped(wrapped(new Tensor(at.value), x.shape[dim]!, i), [1]);
      return new SelectView(x, dim, place).make();
    }, sliced),
  );
}

function parse(input: Tensor, given: readonly IndexSpec[]): Parsed {
  const specs = given.map(normalized);
  const used = specs.reduce<number>((n, s) => n + dimensionsOf(s), 0);
  if (used > input.ndim) {
    throw new TensorError("index", `too many indices for tensor of dimension ${input.ndim}`);
  }
  if (specs.filter((s) => s === "...").length > 1) {
    throw new TensorError("index", "an index can only have a single ellipsis ('...')");
  }
  const at = specs.indexOf("...");
  const fill = range(input.ndim - used).map(() => new Slice());
  const full = at < 0 ? [...specs, ...fill] : [...specs.slice(0, at), ...fill, ...specs.slice(at + 1)];
  return place(input.shape, full as Exclude<Place, "...">[]);
}

/** How many of the input's dimensions a place indexes. */
function dimensionsOf(place: Place): number {
  if (place instanceof Tensor) return place.dtype === "bool" ? place.ndim : 1;
  return typeof place === "number" || place instanceof Slice ? 1 : 0;
}

function place(size: Shape, specs: readonly Exclude<Place, "...">[]): Parsed {
  const basic: Basic = { begin: [], end: [], step: [], origin: [], shape: [] };
  const selects: [number, Tensor][] = [];
  const indexed: [number, Tensor][] = [];
  let dim = 0;
  const take = (begin: number, end: number, step: number): void => {
    basic.begin.push(begin);
    basic.end.push(end);
    basic.step.push(step);
    dim++;
  };
  const keep = (length: number): void => {
    basic.origin.push(dim);
    basic.shape.push(length);
  };
  for (const spec of specs) {
    const flag = condition(spec);
    if (spec === null || flag !== undefined) {
      if (flag !== undefined) indexed.push([basic.shape.length, flag]);
      basic.origin.push(-1);
      basic.shape.push(1);
    } else if (typeof spec === "number") {
      const i = position(spec, size[dim]!, dim);
      take(i, i + 1, 1);
    } else if (spec instanceof Tensor) {
      // The mask's own dimensions, or one for indices.
      for (const part of spec.dtype === "bool" ? maskIndices(spec, size, dim) : [spec]) {
        const selecting = part === spec && spec.ndim === 0;
        (selecting ? selects : indexed).push([basic.shape.length, part]);
        const n = size[dim]!;
        keep(n);
        take(0, n, 1);
      }
    } else {
      const [begin, end, step] = (spec as Slice).bounds(size[dim]!);
      keep(Math.ceil((end - begin) / step));
      take(begin, end, step);
    }
  }
  const tensors = new Map(
    indexed.map(([at, part]) => [at - selects.filter(([dropped]) => dropped < at).length, part]),
  );
  return { basic, selects, tensors };
}

function position(i: number, size: number, dim: number): number {
  if (!Number.isInteger(i)) {
    throw new TensorError(
      "index",
      "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got float)",
    );
  }
  if (i < -size || i >= size) {
    throw new TensorError("index", `index ${i} is out of bounds for dimension ${dim} with size ${size}`);
  }
  return i < 0 ? i + size : i;
}

/** For a condition without dimensions, the places that it selects of a new dimension of length 1. */
function condition(spec: Place): Tensor | undefined {
  if (spec instanceof Tensor) {
    if (spec.dtype !== "bool" || spec.ndim > 0) return undefined;
    return nonzeroIndices(reshaped(spec, [1]), "indexing with a mask")[0]!;
  }
  if (typeof spec !== "boolean") return undefined;
  return fromHost(new Int32Array(spec ? 1 : 0), [spec ? 1 : 0], "int64");
}

function normalized(spec: IndexSpec): Place {
  if (spec instanceof Tensor) {
    if (spec.dtype === "float32") {
      throw new TensorError("index", "tensors used as indices must be long, int, byte or bool tensors");
    }
    const { data } = spec.value;
    // As in PyTorch, an integer without dimensions selects.
    const selects = spec.ndim === 0 && spec.dtype === "int64" && data !== undefined;
    return selects && spec.storage === undefined ? data[0]! : spec;
  }
  if (Array.isArray(spec) || ArrayBuffer.isView(spec)) return indicesOf(spec as readonly IndexList[]);
  if (typeof spec !== "string") return spec as number | boolean | Slice | null;
  if (spec === "...") return spec;
  const parts = spec.split(":").map((s) => s.trim());
  if (parts.length < 2 || parts.length > 3 || parts.some((s) => !/^([+-]?\d+)?$/.test(s))) {
    throw new TensorError("index", `'${spec}' is no slice: expected 'start:stop:step', ':' or '...'`);
  }
  const [start, stop, step] = parts.map((s) => (s === "" ? null : Number(s)));
  return new Slice(start, stop, step);
}

const flattened = (x: unknown): unknown[] =>
  Array.isArray(x) || ArrayBuffer.isView(x) ? Array.from(x as Iterable<unknown>).flatMap(flattened) : [x];

/** A list as the tensor of indices or the mask that it stands for. */
function indicesOf(list: readonly IndexList[]): Tensor {
  const flat = flattened(list);
  if (flat.some((x) => x === null || x === undefined)) {
    throw new TensorError(
      "index",
      "a list as an index gathers its elements, and null is none",
      'write a slice as "1:" or slice(1, null)',
    );
  }
  if (flat.length === 0)
    return fromHost(new Int32Array(0), tensor(Array.from(list) as Nested).shape, "int64");
  if (flat.some((x) => x instanceof Tensor)) {
    const values = list.map((x) => (x instanceof Tensor ? x : tensor(x as Nested)));
    const made = stack(values);
    if (made.dtype !== "float32") return made;
    throw new TensorError("index", "tensors used as indices must be long, int, byte or bool tensors");
  }
  const mask = flat.every((x) => typeof x === "boolean");
  return tensor(Array.from(list) as Nested, { dtype: mask ? "bool" : "int64" });
}

function checkMask(mask: Tensor, size: Shape, dim: number): void {
  mask.shape.forEach((n, d) => {
    if (n !== size[dim + d]) {
      throw new TensorError(
        "index",
        `The shape of the mask ${formatShape(mask.shape)} at index ${d} does not match the shape of the indexed tensor ${formatShape(size)} at index ${dim + d}`,
      );
    }
  });
}

/** The places where a mask holds, one index per dimension of the mask: reads the mask now. */
function maskIndices(mask: Tensor, size: Shape, dim: number): Tensor[] {
  checkMask(mask, size, dim);
  return nonzeroIndices(mask, "indexing with a mask");
}

/** Per dimension, the positions of the elements that are not 0, in row-major order. */
export function nonzeroIndices(x: Tensor, what: string): Tensor[] {
  if (!hasExecutor() && x.value.data === undefined) {
    throw new TensorError(
      "preview",
      `${what} has a shape that depends on values, but the preview only looks at shapes`,
      "torch.where and maskedFill keep the shape",
    );
  }
  const values = valuesOf(x.value);
  let count = 0;
  for (const v of values) if (v !== 0) count++;
  const steps = strides(x.shape);
  const out = x.shape.map(() => new Int32Array(count));
  for (let i = 0, k = 0; i < values.length; i++) {
    if (values[i] === 0) continue;
    for (let d = 0, rest = i; d < out.length; d++) {
      const step = steps[d]!;
      const at = Math.floor(rest / step);
      out[d]![k] = at;
      rest -= at * step;
    }
    k++;
  }
  return out.map((data) => fromHost(data, [count], "int64"));
}

/** Index tensors, broadcast together and made one index into rows, the indexed dimensions being joined in front. */
class Gathering {
  readonly source: Tensor;
  /** The source's dimensions with the indexed ones first. */
  readonly order: readonly number[];
  readonly rest: Shape;
  /** Common shape of the index tensors. */
  readonly indexed: Shape;
  /** Where that shape stands in the result: in place of adjacent indexed dimensions, else in front. */
  readonly at: number;
  /** Sizes of the indexed dimensions. */
  readonly sizes: readonly number[];
  readonly flat: Tensor;

  constructor(source: Tensor, tensors: ReadonlyMap<number, Tensor>) {
    this.source = source;
    const dims = [...tensors.keys()];
    const others = source.shape.map((_, d) => d).filter((d) => !tensors.has(d));
    const adjacent = dims.every((d, i) => i === 0 || d === dims[i - 1]! + 1);
    this.order = [...dims, ...others];
    this.rest = others.map((d) => source.shape[d]!);
    this.at = adjacent ? dims[0]! : 0;
    this.sizes = dims.map((d) => source.shape[d]!);
    const indices = [...tensors.values()];
    this.indexed = common(indices);
    const steps = strides(this.sizes);
    let flat: Tensor | undefined;
    indices.forEach((t, i) => {
      const positive = wrapped(t, this.sizes[i]!, i);
      const scaled =
        steps[i] === 1 ? positive : apply(elementwise.mul, [positive, constant(steps[i]!, "int64")], {});
      flat = flat === undefined ? scaled : apply(elementwise.add, [flat, scaled], {});
    });
    this.flat = reshaped(expand(flat!, this.indexed), [numel(this.indexed)]);
  }

  /** The source with the indexed dimensions joined in front: [rows, ...rest]. */
  rows(): Tensor {
    const moved = this.order.every((d, i) => d === i)
      ? this.source
      : apply(permute, [this.source], { order: this.order });
    return reshaped(moved, [numel(this.sizes), ...this.rest]);
  }

  /** {@link rows} back in the source's shape. */
  restored(rows: Tensor): Tensor {
    const split = reshaped(rows, [...this.sizes, ...this.rest]);
    if (this.order.every((d, i) => d === i)) return split;
    return apply(permute, [split], { order: this.order.map((_, d) => this.order.indexOf(d)) });
  }

  get shape(): number[] {
    return this.rest.toSpliced(this.at, 0, ...this.indexed);
  }

  /** From [...indexed, ...rest] to {@link shape}, or the order that does so. */
  get resultOrder(): number[] {
    const n = this.indexed.length;
    const restDims = this.rest.map((_, d) => n + d);
    return restDims.toSpliced(this.at, 0, ...range(n));
  }
}

function common(indices: readonly Tensor[]): Shape {
  try {
    return indices.map((t) => t.shape).reduce(broadcastShapes);
  } catch {
    const shapes = indices.map((t) => formatShape(t.shape)).join(", ");
    throw new TensorError(
      "index",
      `shape mismatch: indexing tensors could not be broadcast together with shapes ${shapes}`,
    );
  }
}

/** An index with negative positions counted from the end; `dim` counts indices, as PyTorch does. Values that are there are checked now, others when computed. */
function wrapped(t: Tensor, size: number, dim: number): Tensor {
  const { data } = t.value;
  if (data === undefined || t.storage !== undefined) {
    const negative = apply(elementwise.lt, [t, constant(0, "int64")], {});
    const above = apply(elementwise.add, [t, constant(size, "int64")], {});
    return apply(elementwise.where, [negative, above, t], {});
  }
  let negative = false;
  for (const i of data) {
    if (i < 0) negative = true;
    if (i < -size || i >= size) {
      throw new TensorError("index", `index ${i} is out of bounds for dimension ${dim} with size ${size}`);
    }
  }
  if (!negative) return t;
  const positive = Int32Array.from(data, (i) => (i < 0 ? i + size : i));
  return fromHost(positive, t.shape, "int64");
}

function gathered(g: Gathering): Tensor {
  const taken = apply(selectRows, [g.rows(), g.flat], { dim: 0 });
  const split = reshaped(taken, [...g.indexed, ...g.rest]);
  const order = g.resultOrder;
  return order.every((d, i) => d === i) ? split : apply(permute, [split], { order });
}

function put(g: Gathering, value: Tensor, accumulate: boolean): Tensor {
  const order = g.resultOrder;
  const spread = expand(value, g.shape);
  const ordered = order.every((d, i) => d === i)
    ? spread
    : apply(permute, [spread], { order: order.map((_, d) => order.indexOf(d)) });
  const source = reshaped(ordered, [numel(g.indexed), ...g.rest]);
  const rows = g.rows();
  const next = accumulate
    ? apply(
        elementwise.add,
        [rows, apply(indexAdd, [source, g.flat], { dim: 0, length: rows.shape[0]! })],
        {},
      )
    : apply(rowsUpdate, [rows, g.flat, source], {});
  return g.restored(next);
}
