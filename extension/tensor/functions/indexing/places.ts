// Parses an index into the part of each dimension that it selects, as slices and index tensors.
import { kindOf, TensorError } from "../../core/errors.ts";
import type { HostArray } from "../../core/dtype.ts";
import { formatShape, range, type Shape } from "../../core/shape.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import { hasExecutor, valuesOf } from "../../planning/barrier.ts";
import { runtime } from "../../recording/runtime.ts";
import { tensor, type Nested } from "../creation/creation.ts";
import { stack } from "../shape/shape.ts";
import { Slice } from "../shape/slice.ts";
import { reshaped } from "../shape/views.ts";

/** Indices as nested lists: numbers gather, booleans mask. */
export type IndexList = number | boolean | Tensor | readonly IndexList[];

/**
 * One place of an index: a number, a slice (`"1:3"`, `":"` for all, or {@link slice}), `"..."`, `null` (a new dimension),
 * a list of numbers or int64 tensor (gathers), or booleans (a mask).
 */
export type IndexSpec = number | boolean | Slice | string | null | Tensor | readonly IndexList[];

/** A parsed {@link IndexSpec}. */
type Place = number | boolean | Slice | null | "..." | Tensor;

interface Basic {
  readonly begin: number[];
  readonly end: number[];
  readonly step: number[];
  /** Per dimension of the result, the input's dimension; -1 for a new one. */
  readonly origin: number[];
  readonly shape: number[];
}

export interface Parsed {
  readonly basic: Basic;
  /** 0-d integers that are not computed yet, by the dimension of the basic result in which they select. */
  readonly selects: readonly (readonly [dim: number, at: Tensor])[];
  /** Index tensors by the dimension that they index after slicing and selecting. */
  readonly tensors: ReadonlyMap<number, Tensor>;
}

/** Parses whole numbers, one for each of the first dimensions: by far the most calls are `x.index(i)` or `(i, j)`. */
function atNumbers(size: Shape, given: readonly IndexSpec[]): Parsed | undefined {
  for (const spec of given) if (typeof spec !== "number") return undefined;
  if (given.length > size.length) return undefined;
  const basic: Basic = { begin: [], end: [], step: [], origin: [], shape: [] };
  for (let d = 0; d < size.length; d++) {
    const n = size[d]!;
    const at = d < given.length ? position(given[d] as number, n, d) : 0;
    basic.begin.push(at);
    basic.end.push(d < given.length ? at + 1 : n);
    basic.step.push(1);
    if (d < given.length) continue;
    basic.origin.push(d);
    basic.shape.push(n);
  }
  return { basic, selects: NONE, tensors: NO_TENSORS };
}

const NONE: Parsed["selects"] = [];
const NO_TENSORS: Parsed["tensors"] = new Map();

export function parse(input: Tensor, given: readonly IndexSpec[]): Parsed {
  const simple = atNumbers(input.shape, given);
  if (simple !== undefined) return simple;
  const moves = input.value.data !== undefined && input.storage === undefined;
  const specs = given.map((spec) => normalized(spec, moves));
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

/** PyTorch's error for an invalid index. */
function noIndex(kind: string): never {
  throw new TensorError(
    "index",
    `only integers, slices (\`:\`), ellipsis (\`...\`), None and long or byte Variables are valid indices (got ${kind})`,
  );
}

function position(i: number, size: number, dim: number): number {
  if (!Number.isInteger(i)) noIndex("float");
  if (i < -size || i >= size) {
    throw new TensorError("index", `index ${i} is out of bounds for dimension ${dim} with size ${size}`);
  }
  return i < 0 ? i + size : i;
}

/** Returns the places that a 0-d condition selects of a new dimension of length 1; undefined for any other place. */
function condition(spec: Place): Tensor | undefined {
  if (spec instanceof Tensor) {
    if (spec.dtype !== "bool" || spec.ndim > 0) return undefined;
    return nonzeroIndices(reshaped(spec, [1]), "indexing with a mask")[0]!;
  }
  if (typeof spec !== "boolean") return undefined;
  return fromHost(new Int32Array(spec ? 1 : 0), [spec ? 1 : 0], "int64");
}

/**
 * Parses one place of an index.
 * @param moves whether the input is on the host: then a 0-d index becomes its number. Otherwise the number would be
 *   part of the graph, and each number would make another graph.
 */
export function normalized(spec: IndexSpec, moves = true): Place {
  if (spec instanceof Tensor) {
    if (spec.dtype === "float32") {
      throw new TensorError("index", "tensors used as indices must be long, int, byte or bool tensors");
    }
    const { data } = spec.value;
    // As in PyTorch, an integer without dimensions selects.
    const selects = moves && spec.ndim === 0 && spec.dtype === "int64" && data !== undefined;
    return selects && spec.storage === undefined ? data[0]! : spec;
  }
  if (Array.isArray(spec) || ArrayBuffer.isView(spec)) return indicesOf(spec as readonly IndexList[]);
  if (typeof spec === "string") return spec === "..." ? spec : sliceOf(spec);
  if (spec === null || spec instanceof Slice || typeof spec === "number" || typeof spec === "boolean")
    return spec;
  return noIndex(kindOf(spec));
}

/** Slices by their text, which loops parse again and again. */
const slices = new Map<string, Slice>();
/** Slices remembered. Safe bound: some kilobytes. */
const MOST_SLICES = 512;

function sliceOf(text: string): Slice {
  const known = slices.get(text);
  if (known !== undefined) return known;
  const parts = text.split(":").map((s) => s.trim());
  if (parts.length < 2 || parts.length > 3 || parts.some((s) => !/^([+-]?\d+)?$/.test(s))) {
    throw new TensorError("index", `'${text}' is no slice: expected 'start:stop:step', ':' or '...'`);
  }
  const [start, stop, step] = parts.map((s) => (s === "" ? null : Number(s)));
  const slice = new Slice(start, stop, step);
  if (slices.size === MOST_SLICES) slices.clear();
  slices.set(text, slice);
  return slice;
}

const flattened = (x: unknown): unknown[] =>
  Array.isArray(x) || ArrayBuffer.isView(x) ? Array.from(x as Iterable<unknown>).flatMap(flattened) : [x];

/** Converts a list to a tensor of indices or a mask. */
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

export function checkMask(mask: Tensor, size: Shape, dim: number): void {
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

/** The values of a tensor on which the shape of a result depends: computes them now. */
export function valuesNow(x: Tensor, what: string, help: string): HostArray {
  if (!hasExecutor() && x.value.data === undefined) {
    runtime.standIn?.(x.value, true);
    throw new TensorError(
      "preview",
      `${what} has a shape that depends on values, but the preview only looks at shapes`,
      help,
    );
  }
  return valuesOf(x.value);
}

/** Which numbers are not 0, as 0 and 1: a conversion takes a fifth of the time of a branch that can't be predicted. */
export function flagsOf(values: HostArray): Uint8Array {
  if (values instanceof Uint8Array) return values;
  const flags = new Uint8Array(values.length);
  for (let i = 0; i < flags.length; i++) flags[i] = Number(values[i] !== 0);
  return flags;
}

/** The places of ones among flags of 0 and 1. No branch depends on them: each place is written, and kept by a step. */
export function placesOf(flags: Uint8Array): Int32Array {
  let count = 0;
  // By index: iterating a typed array takes several times as long.
  for (let i = 0; i < flags.length; i++) count += flags[i]!;
  const places = new Int32Array(count);
  for (let i = 0, k = 0; k < count; i++) {
    places[k] = i;
    k += flags[i]!;
  }
  return places;
}

/** The places of the elements that are not 0, in row-major order. */
export const nonzeroPlaces = (x: Tensor, what: string): Int32Array =>
  placesOf(flagsOf(valuesNow(x, what, "torch.where and maskedFill keep the shape")));

/** Per dimension, the positions of the elements that are not 0, in row-major order. */
export function nonzeroIndices(x: Tensor, what: string): Tensor[] {
  const found = nonzeroPlaces(x, what);
  const count = found.length;
  // Each dimension, from the last, takes the remainder: integer divisions take half the time of `Math.floor` and `%`.
  const dims: Int32Array[] = [];
  for (let d = x.ndim - 1; d > 0; d--) {
    const size = x.shape[d]!;
    const places = new Int32Array(count);
    for (let k = 0; k < count; k++) {
      const rows = (found[k]! / size) | 0;
      places[k] = found[k]! - rows * size;
      found[k] = rows;
    }
    dims.unshift(places);
  }
  if (x.ndim > 0) dims.unshift(found);
  return dims.map((data) => fromHost(data, [count], "int64"));
}
