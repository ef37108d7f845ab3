// How views read from and write to the tensor that they share memory with.
import { filled } from "../../core/dtype.ts";
import { apply } from "../../recording/apply.ts";
import { dataValue, Value } from "../../recording/graph.ts";
import { eq, logicalAnd, logicalOr, ne, where } from "../../ops/elementwise/elementwise.ts";
import { gatherLast } from "../../ops/movement/elements.ts";
import { indexSelect, rowsUpdate } from "../../ops/movement/indexing.ts";
import { cast, expand, identity, permute, reshape } from "../../ops/movement/movement.ts";
import { slice, sliceUpdate } from "../../ops/movement/slicing.ts";
import { argmax } from "../../ops/reduction/reduction.ts";
import { observe } from "../../recording/runtime.ts";
import { scope } from "../../recording/scope.ts";
import { ofFunction, versionOf } from "../../recording/version.ts";
import { range, sameShape, strides, type Shape } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import type { View } from "../../core/view.ts";
import { constant, onlyResult } from "../pointwise/operands.ts";
import { call } from "../../ops/expressions.ts";

abstract class BasicView implements View<Tensor> {
  readonly gradients = scope.gradients;
  readonly detached: boolean = false;
  readonly base: Tensor;

  constructor(base: Tensor) {
    this.base = base;
  }

  protected abstract read(base: Tensor): Tensor;
  protected abstract written(base: Tensor, view: Tensor): Tensor;
  abstract strides(base: readonly number[]): readonly number[];

  forward(base: Tensor): Tensor {
    return onlyResult(() => this.read(base));
  }

  scatter(base: Tensor, view: Tensor): Tensor {
    return onlyResult(() => this.written(base, view));
  }

  /** The tensor that this view describes. */
  make(): Tensor {
    return this.forward(this.base).share(this);
  }
}

/** The elements of x in another shape, as another tensor: without an op if nothing changes and no gradient passes. */
const inShape = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) && x.edge === undefined ? new Tensor(x.value) : apply(reshape, [x], { shape });

/** x in another shape. If PyTorch shares memory there, writes to x are refused where a gradient needs the result. */
export function reshaped(x: Tensor, shape: Shape): Tensor {
  const result = inShape(x, shape);
  const steps = x.viewStrides();
  if (steps === undefined || viewStrides(x.shape, steps, shape) !== undefined)
    result.value.version ??= versionOf(x.value);
  return result;
}

/** The same elements in the same order under another shape, whose memory steps are `steps`. */
export class ReshapeView extends BasicView {
  private readonly shape: Shape;
  private readonly steps: (base: readonly number[]) => readonly number[];

  constructor(base: Tensor, shape: Shape, steps: (base: readonly number[]) => readonly number[]) {
    super(base);
    this.shape = shape;
    this.steps = steps;
  }

  protected read(base: Tensor): Tensor {
    return reshaped(base, this.shape);
  }

  protected written(base: Tensor, view: Tensor): Tensor {
    return inShape(view, base.shape);
  }

  strides(base: readonly number[]): readonly number[] {
    return this.steps(base);
  }
}

/** Dimensions in another order. */
export class PermuteView extends BasicView {
  private readonly order: readonly number[];

  constructor(base: Tensor, order: readonly number[]) {
    super(base);
    this.order = order;
  }

  protected read(base: Tensor): Tensor {
    return apply(permute, [base], { order: this.order });
  }

  protected written(_: Tensor, view: Tensor): Tensor {
    return apply(permute, [view], { order: this.order.map((_, i) => this.order.indexOf(i)) });
  }

  strides(base: readonly number[]): readonly number[] {
    return this.order.map((d) => base[d]!);
  }
}

/** Dimensions of length 1 repeated: a write to one place of the view changes many. */
export class ExpandView extends BasicView {
  readonly repeats = true;
  private readonly shape: Shape;

  constructor(base: Tensor, shape: Shape) {
    super(base);
    this.shape = shape;
  }

  protected read(base: Tensor): Tensor {
    return apply(expand, [base], { shape: this.shape });
  }

  protected written(base: Tensor, view: Tensor): Tensor {
    const repeated = range(this.shape.length).filter((d) => this.repeated(d));
    // The base is repeated zero times: nothing of it is written.
    if (view.numel() < base.numel()) return inShape(base, base.shape);
    if (repeated.length === 0 || view.numel() === 0) return inShape(view, base.shape);
    // Of the places that share one element of the base, take the first that differs from it: it was written to.
    const order = [...range(this.shape.length).filter((d) => !repeated.includes(d)), ...repeated];
    const rows = inShape(apply(permute, [view], { order }), [base.numel(), view.numel() / base.numel()]);
    const old = inShape(base, [base.numel(), 1]);
    const number = call(logicalOr, call(eq, rows, rows), call(eq, old, old));
    const written = call(logicalAnd, call(ne, rows, old), number);
    const at = apply(argmax, [apply(cast, [written], { dtype: "float32" })], { dim: 1 });
    return inShape(call(gatherLast, rows, inShape(at, old.shape)), base.shape);
  }

  private repeated(dim: number): boolean {
    const own = dim - (this.shape.length - this.base.ndim);
    return own < 0 || (this.base.shape[own] === 1 && this.shape[dim] !== 1);
  }

  strides(base: readonly number[]): readonly number[] {
    const lead = this.shape.length - base.length;
    return this.shape.map((_, d) => (this.repeated(d) ? 0 : base[d - lead]!));
  }
}

/** A regular part of every dimension, some of which may then be dropped and others inserted. */
export class SliceView extends BasicView {
  private readonly part: { begin: readonly number[]; end: readonly number[]; step: readonly number[] };
  /** Per dimension of the view, the base's dimension that it is a part of; -1 for inserted ones. */
  private readonly origin: readonly number[];
  private readonly shape: Shape;
  private readonly whole: boolean;

  constructor(
    base: Tensor,
    part: { begin: readonly number[]; end: readonly number[]; step: readonly number[] },
    origin: readonly number[],
    shape: Shape,
  ) {
    super(base);
    this.part = part;
    this.origin = origin;
    this.shape = shape;
    this.whole = part.step.every((s, d) => s === 1 && part.begin[d] === 0 && part.end[d]! >= base.shape[d]!);
  }

  protected read(base: Tensor): Tensor {
    if (this.whole) return reshaped(base, this.shape);
    const part = apply(slice, [base], this.part);
    // Without a gradient, a tensor of the same value would be a second one that holds it.
    return part.edge === undefined && sameShape(part.shape, this.shape) ? part : reshaped(part, this.shape);
  }

  protected written(base: Tensor, view: Tensor): Tensor {
    if (this.whole) return inShape(view, base.shape);
    const { begin, end, step } = this.part;
    const sliced = begin.map((b, d) => Math.max(0, Math.ceil((end[d]! - b) / step[d]!)));
    return apply(sliceUpdate, [base, inShape(view, sliced)], this.part);
  }

  strides(base: readonly number[]): readonly number[] {
    return this.origin.map((d, i) => {
      if (d >= 0) return base[d]! * this.part.step[d]!;
      // A new dimension steps over all of the one that follows it.
      const next = this.origin.find((from, k) => k > i && from >= 0);
      return next === undefined ? 1 : this.base.shape[next]! * base[next]!;
    });
  }
}

/** One index of a dimension, by an index tensor that is not computed yet. */
export class SelectView extends BasicView {
  private readonly dim: number;
  /** The place, counted from the front, as a vector. */
  private readonly at: Tensor;

  constructor(base: Tensor, dim: number, at: Tensor) {
    super(base);
    this.dim = dim;
    this.at = at;
  }

  protected read(base: Tensor): Tensor {
    const { dim } = this;
    const shape = base.shape.toSpliced(dim, 1);
    return apply(reshape, [apply(indexSelect, [base, this.at], { dim })], { shape });
  }

  protected written(base: Tensor, view: Tensor): Tensor {
    const order = base.shape.map((_, d) => (d === 0 ? this.dim : d <= this.dim ? d - 1 : d));
    const back = order.map((_, d) => order.indexOf(d));
    const rows = this.dim === 0 ? base : apply(permute, [base], { order });
    const next = call(rowsUpdate, rows, this.at, inShape(view, [1, ...view.shape]));
    return this.dim === 0 ? next : apply(permute, [next], { order: back });
  }

  strides(base: readonly number[]): readonly number[] {
    return base.toSpliced(this.dim, 1);
  }
}

/** Elements at fixed places of the base's memory, `steps` apart. If a place occurs twice, the view is read-only. */
export class GatheredView extends BasicView {
  private readonly places: Int32Array;
  private readonly shape: Shape;
  private readonly steps: readonly number[];
  readonly overlaps: boolean;

  constructor(
    base: Tensor,
    places: Int32Array,
    shape: Shape,
    { steps = strides(shape), overlaps = false }: { steps?: readonly number[]; overlaps?: boolean } = {},
  ) {
    super(base);
    this.places = places;
    this.shape = shape;
    this.steps = steps;
    this.overlaps = overlaps;
  }

  private get index(): Tensor {
    return ofFunction(new Tensor(dataValue(this.places, [this.places.length], "int64")));
  }

  protected read(base: Tensor): Tensor {
    const flat = reshaped(base, [base.numel()]);
    return reshaped(apply(indexSelect, [flat, this.index], { dim: 0 }), this.shape);
  }

  protected written(base: Tensor, view: Tensor): Tensor {
    const flat = inShape(base, [base.numel()]);
    const values = inShape(view, [this.places.length]);
    return inShape(call(rowsUpdate, flat, this.index, values), base.shape);
  }

  strides(): readonly number[] {
    return this.steps;
  }
}

/** Windows along a dimension, as a new last dimension: read-only if they overlap. */
export class UnfoldView extends BasicView {
  private readonly dim: number;
  private readonly windows: number;
  private readonly size: number;
  private readonly step: number;
  readonly overlaps: boolean;

  constructor(base: Tensor, dim: number, size: number, step: number) {
    super(base);
    this.dim = dim;
    this.windows = Math.floor((base.shape[dim]! - size) / step) + 1;
    this.size = size;
    this.step = step;
    this.overlaps = size > step && this.windows > 1;
  }

  private get places(): Tensor {
    const { windows, size, step } = this;
    const places = filled(new Int32Array(windows * size), (i) => Math.floor(i / size) * step + (i % size));
    return ofFunction(new Tensor(dataValue(places, [places.length], "int64")));
  }

  protected read(base: Tensor): Tensor {
    const { dim, windows, size } = this;
    const taken = apply(indexSelect, [base, this.places], { dim });
    const split = reshaped(taken, base.shape.toSpliced(dim, 1, windows, size));
    const order = range(split.ndim);
    order.push(...order.splice(dim + 1, 1));
    return apply(permute, [split], { order });
  }

  protected written(base: Tensor, view: Tensor): Tensor {
    const { dim, windows, size } = this;
    // The dimension first: places count along it.
    const rest = range(base.ndim).filter((d) => d !== dim);
    const first = [dim, ...rest];
    const turned = apply(permute, [view], { order: [dim, base.ndim, ...rest] });
    const values = inShape(turned, [windows * size, ...rest.map((d) => base.shape[d]!)]);
    const next = call(rowsUpdate, apply(permute, [base], { order: first }), this.places, values);
    return apply(permute, [next], { order: first.map((_, d) => first.indexOf(d)) });
  }

  strides(base: readonly number[]): readonly number[] {
    return [...base.with(this.dim, base[this.dim]! * this.step), base[this.dim]!];
  }
}

/** All of a tensor, without its gradient. */
export class DetachedView extends BasicView {
  override readonly detached = true;
  readonly whole = true;

  protected read(base: Tensor): Tensor {
    return new Tensor(base.value);
  }

  protected written(_: Tensor, view: Tensor): Tensor {
    return view;
  }

  strides(base: readonly number[]): readonly number[] {
    return base;
  }
}

/** The view behind `data`: `backward()` ignores writes through it and uses the values from before. */
export class DataView extends DetachedView {
  readonly uncounted = true;
}

/**
 * PyTorch's rule for viewing a tensor of given memory steps under another shape without moving its elements. Returns
 * the steps of the new shape; undefined where it can't be viewed.
 */
export function viewStrides(shape: Shape, steps: readonly number[], target: Shape): number[] | undefined {
  const out = target.map(() => 1);
  if (shape.length === 0) return out;
  let at = target.length - 1;
  let chunk = steps[steps.length - 1]!;
  let size = 1;
  let seen = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    size *= shape[d]!;
    if (d > 0 && (shape[d - 1] === 1 || steps[d - 1] === size * chunk)) continue;
    while (at >= 0 && (seen < size || target[at] === 1)) {
      out[at] = seen * chunk;
      seen *= target[at--]!;
    }
    if (seen !== size) return undefined;
    if (d > 0) {
      chunk = steps[d - 1]!;
      size = 1;
      seen = 1;
    }
  }
  return at === -1 ? out : undefined;
}

/** A copy: later writes to either do not reach the other. */
export function copied(x: Tensor): Tensor {
  const { value } = x;
  const leaf = value.producer;
  // A computed, drawn or filled value can't change: the copy only stops sharing memory.
  const own = x.edge === undefined ? value.copied() : undefined;
  if (own !== undefined) return new Tensor(own);
  const copy = call(identity, x);
  // A user's copy of a parameter or of a gradient: the next step replaces these, so it is computed with that step.
  if (scope.depth === 0 && (leaf.kind === "state" || (leaf.kind === "node" && !value.visible))) {
    observe(copy.value);
  }
  return copy;
}

/**
 * Writes values that don't depend on the tensor's old ones. Where gradients are recorded, the tensor stays in its graph
 * and passes zeros back.
 * @param alike whether an expanded tensor may be written to: see `Tensor.write`
 * @param made how many values there were before `next` was computed
 */
export function overwrite(input: Tensor, next: Tensor, alike = false, made = Value.made): Tensor {
  const write = (x: Tensor): Tensor => input.write(x, made, Value.made, alike);
  if (!scope.gradients || !input.requiresGrad || input.isLeaf) return write(next);
  return write(call(where, constant(0, "bool"), input, next));
}
