// Indexing: `x.index(0, "1:3", "...", null, mask)` is PyTorch's `x[0, 1:3, ..., None, mask]`.
import { apply } from "../../recording/apply.ts";
import { dataAtHand } from "../../recording/onHost.ts";
import { filled, promoteTypes, SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import * as elementwise from "../../ops/elementwise/elementwise.ts";
import { indexSelect as selectRows, rowsUpdate, indexAdd } from "../../ops/movement/indexing.ts";
import { permute } from "../../ops/movement/movement.ts";
import {
  broadcastShapes,
  formatShape,
  numel,
  range,
  sameShape,
  strides,
  type Shape,
} from "../../core/shape.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import { Value } from "../../recording/graph.ts";
import { asNumbers, composed, constant, named, type Operand } from "../pointwise/operands.ts";
import { operand } from "../pointwise/promotion.ts";
import { expand } from "../shape/shape.ts";
import { overwrite, reshaped, SelectView, SliceView } from "../shape/views.ts";
import { checkMask, normalized, parse, type IndexSpec, type Parsed } from "./places.ts";
import { call } from "../../ops/expressions.ts";

/** The part of a tensor at an index, as PyTorch's `x[…]`. A view when only numbers, slices, "..." and null are used, else a copy. */
export function index(input: Tensor, ...specs: IndexSpec[]): Tensor {
  const [mask] = specs;
  // The dimensions of a mask are one: its places need no index for each of them.
  if (mask instanceof Tensor && mask.dtype === "bool" && mask.ndim > 1 && mask.ndim <= input.ndim) {
    checkMask(mask, input.shape, 0);
    const joined = (x: Tensor): Tensor => reshaped(x, [mask.numel(), ...x.shape.slice(mask.ndim)]);
    return composed(() => named(index(joined(input), joined(mask), ...specs.slice(1)), "IndexBackward0"));
  }
  const parsed = parse(input, specs);
  const { tensors } = parsed;
  if (tensors.size === 0) return named(viewOf(input, parsed), gradientOf(specs));
  return composed(() => named(gathered(new Gathering(viewOf(input, parsed), tensors)), "IndexBackward0"));
}

/**
 * Writes `values`, broadcast to the shape of `x.index(...specs)`, into that part of the tensor.
 * With `accumulate` they are added, repeated places as often as they occur.
 * @throws TensorError "Index put requires the source and destination dtypes match, got Long for the destination and Float for the source."
 */
export function indexPut_(
  input: Tensor,
  specs: readonly IndexSpec[],
  values: Operand,
  options: boolean | { accumulate?: boolean } = false,
): Tensor {
  const accumulate = typeof options === "boolean" ? options : (options.accumulate ?? false);
  const { made } = Value;
  if (!Array.isArray(specs)) {
    throw new TensorError(
      "value",
      "index_put_(): argument 'indices' (position 1) must be a list",
      "write x.indexPut_([index], values)",
    );
  }
  const mask = specs.length === 1 ? normalized(specs[0] as IndexSpec) : undefined;
  const value = operand(values, input.dtype);
  const masked = mask instanceof Tensor && mask.dtype === "bool";
  const fills = masked && !accumulate && value.numel() === 1;
  if (masked && value.ndim === 0) {
    if (!fills) checkSource(input, values);
    // One value under a mask needs no count of the places: it stays lazy.
    checkMask(mask, input.shape, 0);
    const column = reshaped(mask, [...mask.shape, ...input.shape.slice(mask.ndim).map(() => 1)]);
    const next = accumulate ? composed(() => sum(input, value)) : value;
    const filled = composed(() => call(elementwise.where, column, next, input));
    return input.write(filled, made, Value.made, true);
  }
  const parsed = parse(input, specs);
  const { tensors } = parsed;
  if (tensors.size > 0 && !fills) checkSource(input, values);
  const part = viewOf(input, parsed);
  const next = composed(() => {
    if (tensors.size === 0) {
      const given = withoutLeadingOnes(value, part.ndim);
      const spread = sameShape(given.shape, part.shape)
        ? reshaped(given, part.shape)
        : expand(given, part.shape);
      return accumulate ? sum(part, spread) : spread;
    }
    const gathering = new Gathering(part, tensors);
    return put(gathering, withoutLeadingOnes(value, gathering.shape.length), accumulate);
  });
  const alike = tensors.size > 0 || !(values instanceof Tensor);
  // Where the new values, or what lies beside the part, come from the old ones, so do the gradients.
  if (tensors.size > 0 || accumulate || part.numel() < input.numel())
    part.write(next, made, Value.made, alike);
  else overwrite(part, next, alike, made);
  // No code has the part: where it is all of the tensor, the tensor alone holds the value, else nothing reads it.
  const [{ value: written }, { value: inPart }] = [input, part];
  if (written.made > made && inPart === written) written.holders = 1;
  else if (inPart.made > made) inPart.visible = false;
  return input;
}

/**
 * Values at the places of an index lose nothing, as those of a slice and one that fills a mask do. PyTorch converts none, but
 * TypeScript's `torch.tensor([1.0])` has whole numbers.
 */
function checkSource(input: Tensor, values: Operand): void {
  if (!(values instanceof Tensor) || promoteTypes(input.dtype, values.dtype) === input.dtype) return;
  throw new TensorError(
    "dtype",
    `Index put requires the source and destination dtypes match, got ${SCALAR_TYPE[input.dtype]} for the destination and ${SCALAR_TYPE[values.dtype]} for the source.`,
    "write values.to(x.dtype)",
  );
}

const sum = (x: Tensor, y: Tensor): Tensor => asNumbers(x, y, (a, b) => call(elementwise.add, a, b));

/** Values for a part of fewer dimensions: PyTorch's `x[0] = values` drops leading dimensions of size 1. */
function withoutLeadingOnes(values: Tensor, ndim: number): Tensor {
  let drop = 0;
  while (values.ndim - drop > ndim && values.shape[drop] === 1) drop++;
  return drop === 0 ? values : reshaped(values, values.shape.slice(drop));
}

/** A copy with values written at an index: `indexPut_` on a copy. */
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
        steps[i] === 1 ? positive : call(elementwise.mul, positive, constant(steps[i]!, "int64"));
      flat = flat === undefined ? scaled : call(elementwise.add, flat, scaled);
    });
    this.flat = reshaped(spreadTo(flat!, this.indexed), [numel(this.indexed)]);
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
  const data = t.storage === undefined ? dataAtHand(t.value) : undefined;
  if (data === undefined) {
    const negative = call(elementwise.lt, t, constant(0, "int64"));
    const above = call(elementwise.add, t, constant(size, "int64"));
    return call(elementwise.where, negative, above, t);
  }
  let negative = false;
  // By index: iterating a typed array takes several times as long.
  for (let k = 0; k < data.length; k++) {
    const i = data[k]!;
    if (i < 0) negative = true;
    if (i < -size || i >= size) {
      throw new TensorError("index", `index ${i} is out of bounds for dimension ${dim} with size ${size}`);
    }
  }
  if (!negative) return t;
  const positive = filled(new Int32Array(data.length), (k) => (data[k]! < 0 ? data[k]! + size : data[k]!));
  return fromHost(positive, t.shape, "int64");
}

/** Values broadcast to a shape, for an op that reads them. */
const spreadTo = (x: Tensor, shape: Shape): Tensor => (sameShape(x.shape, shape) ? x : expand(x, shape));

function gathered(g: Gathering): Tensor {
  const taken = apply(selectRows, [g.rows(), g.flat], { dim: 0 });
  const split = reshaped(taken, [...g.indexed, ...g.rest]);
  const order = g.resultOrder;
  return order.every((d, i) => d === i) ? split : apply(permute, [split], { order });
}

function put(g: Gathering, value: Tensor, accumulate: boolean): Tensor {
  const order = g.resultOrder;
  const spread = spreadTo(value, g.shape);
  const ordered = order.every((d, i) => d === i)
    ? spread
    : apply(permute, [spread], { order: order.map((_, d) => order.indexOf(d)) });
  const source = reshaped(ordered, [numel(g.indexed), ...g.rest]);
  const rows = g.rows();
  const next = accumulate
    ? asNumbers(rows, source, (x, y) =>
        call(elementwise.add, x, apply(indexAdd, [y, g.flat], { dim: 0, length: rows.shape[0]! })),
      )
    : call(rowsUpdate, rows, g.flat, source);
  return g.restored(next);
}
