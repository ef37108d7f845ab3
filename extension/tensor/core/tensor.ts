import type { DType, HostArray } from "./dtype.ts";
import { dataValue, stateValue, Storage, takePlace, Value } from "../recording/graph.ts";
import type { GradientEdge, GraphTensor } from "../recording/graph.ts";
import { keepOverwritten } from "../recording/leaves.ts";
import { overwritten, versionOf } from "../recording/version.ts";
import { runtime } from "../recording/runtime.ts";
import { scope, withGradients } from "../recording/scope.ts";
import { numel, sameShape, strides, type Shape } from "./shape.ts";
import { isSize, sizeOf } from "./size.ts";
import type { Memory, View } from "./view.ts";
import * as writing from "./writeChecks.ts";

/**
 * A multi-dimensional array whose value is computed when it is needed: PyTorch's tensor, with the methods of `torch.Tensor` in
 * camelCase.
 */
export class Tensor implements GraphTensor {
  /** @internal Where this tensor's gradient goes; undefined when nothing before it requires one. */
  edge: GradientEdge | undefined;
  /** @internal Set for parameters, buffers and optimizer state: values that live from step to step. */
  storage: Storage | undefined;
  /** @internal Counts writes, so that views know when to follow. */
  writes = 0;
  /** @internal Follows this tensor to another place in the graph: set for one that retains its gradient. */
  moved: (() => void) | undefined;
  private gradient: Tensor | null = null;
  private current: Value;
  private shared: View<Tensor> | undefined;
  private steps: readonly number[] | undefined;
  /** Made with the first view of this tensor. */
  private memory: Memory<Tensor> | undefined;
  /** Memory of the base that this view is of. */
  private viewed: Memory<Tensor> | undefined;
  private seen = 0;
  private wantsGrad = false;

  /** @internal Users make tensors with `torch.tensor`, `torch.zeros`, …. */
  constructor(value: Value, edge?: GradientEdge) {
    (this.current = value).holders++;
    this.edge = edge;
    scope.sample?.own(this);
  }

  /** The accumulated gradient of a leaf that requires one; null before the first `backward()`. */
  get grad(): Tensor | null {
    const { gradient } = this;
    if (gradient !== null && scope.hidden === 0) runtime.gradients.take(gradient);
    return gradient;
  }

  /** @throws TensorError "attempting to assign a gradient of size '[3]' to a tensor of size '[2]'. …" */
  set grad(next: Tensor | null) {
    if (next !== null) writing.checkGradient(this, next, next instanceof Tensor);
    this.gradient = next;
  }

  /** @internal `grad` for the library, which doesn't hold it beyond the step. */
  get ownGrad(): Tensor | null {
    return this.gradient;
  }

  get shape(): Shape {
    const { current } = this;
    return isSize(current.shape) ? current.shape : (current.shape = sizeOf(current.shape));
  }

  get dtype(): DType {
    return this.current.dtype;
  }

  /** Number of dimensions. */
  get ndim(): number {
    return this.shape.length;
  }

  /** The shape, or the length of one dimension: `x.size()`, `x.size(-1)`. */
  size(): Shape;
  size(dim: number): number;
  size(dim?: number): Shape | number {
    if (dim === undefined) return this.shape;
    return this.shape[dim < 0 ? dim + this.ndim : dim] ?? writing.outOfRange(dim, this.ndim);
  }

  /** Number of elements. */
  numel(): number {
    return numel(this.shape);
  }

  dim(): number {
    return this.ndim;
  }

  get isLeaf(): boolean {
    return this.gradientEdge()?.node === undefined;
  }

  get requiresGrad(): boolean {
    return this.gradientEdge() !== undefined;
  }

  set requiresGrad(on: boolean) {
    this.requiresGrad_(on);
  }

  /** Whether `backward()` keeps the gradient of this tensor though it is no leaf: see `retainGrad`. */
  get retainsGrad(): boolean {
    return this.moved !== undefined;
  }

  /**
   * Asks for `.grad` to be filled by `backward()`, or no longer. Only leaves can be changed.
   * @throws TensorError "only Tensors of floating point dtype can require gradients"
   */
  requiresGrad_(requiresGrad: boolean | { requiresGrad?: boolean } = true): this {
    const on = typeof requiresGrad === "object" ? (requiresGrad.requiresGrad ?? true) : requiresGrad;
    if (!this.isLeaf) return on ? this : writing.noLeaf();
    if (on) writing.checkWantsGradient(this);
    this.wantsGrad = on;
    this.edge = on ? { leaf: this } : undefined;
    return this;
  }

  /** @internal The value now: follows the base when this is a view of something that was written to. */
  get value(): Value {
    const view = this.currentView();
    if (view !== undefined && view.base.currentWrites() !== this.seen) {
      const again = withGradients(view.gradients, () => view.forward(view.base));
      this.current = again.current;
      this.linkVersion(view);
      if (view.computed !== true) this.edge = this.wantsGrad ? { leaf: this } : again.edge;
      this.seen = view.base.writes;
      this.writes++;
      this.moved?.();
    }
    return this.current;
  }

  /** @internal Whether this tensor shares the memory of another one, through which gradients pass. */
  get isView(): boolean {
    return this.shared?.detached === false;
  }

  /** @internal The tensor whose memory this one shares through `detach()`, or itself: a state is detached at each step. */
  get undetached(): Tensor {
    const view = this.currentView();
    return view?.detached === true && this.edge === undefined ? view.base : this;
  }

  /**
   * @internal A tensor without a graph that has this one's memory: this one, or what it is a view of from here on. A detached
   * tensor shares memory with that, or else it would hold on to the graph, and each step of a program to the one before.
   * @param alias describes a view of all of a tensor, without gradient
   */
  memoryWithoutGraph(alias: (base: Tensor) => View<Tensor>): Tensor {
    if (this.gradientEdge()?.node === undefined || this.storage !== undefined) return this;
    const view = this.currentView();
    if (view?.detached === true) return view.base.memoryWithoutGraph(alias);
    const holder = new Tensor(this.value);
    if (view === undefined) {
      holder.steps = this.steps;
      this.share(Object.assign(alias(holder), { computed: true }));
      return holder;
    }
    const base = view.base.memoryWithoutGraph(alias);
    const same = Object.create(Object.getPrototypeOf(view) as object) as View<Tensor>;
    return holder.share(Object.assign(same, view, { base, gradients: false }));
  }

  /** @internal The stored value, without following a base: undefined when that was written to since. */
  get still(): Value | undefined {
    const view = this.currentView();
    const stale = view !== undefined && (view.base.still === undefined || view.base.writes !== this.seen);
    return stale ? undefined : this.current;
  }

  /** @internal Lets go of the graph that its value comes from. */
  dropGraph(): void {
    this.current = this.current.withoutGraph(false);
  }

  /** @internal Makes this tensor share memory with `view.base`. */
  share(view: View<Tensor>): this {
    this.shared = view;
    this.viewed = view.base.memory ??= {};
    this.seen = view.base.currentWrites();
    this.linkVersion(view);
    return this;
  }

  /** A view's value is from the same state of memory as its base's. */
  private linkVersion({ uncounted, base }: View<Tensor>): void {
    if (uncounted !== true) this.current.version = versionOf(base.current);
  }

  /**
   * @internal Takes over the memory of another tensor: what assigning `data` does. Views of this tensor keep the old
   * memory; edge and gradient stay.
   * @param former makes a tensor of the value that this one has now
   * @param alias describes a view of all of a tensor, without gradient
   * @throws TensorError "data set to a tensor that requires gradients must be floating point or complex dtype"
   */
  takeData(other: Tensor, former: (current: Value) => Tensor, alias: (base: Tensor) => View<Tensor>): void {
    let source = other;
    while (source.shared?.whole === true) source = source.currentView()!.base;
    if (source === this) return;
    if (this.requiresGrad) writing.checkData(other);
    const { value } = source;
    if (this.memory !== undefined) {
      this.memory.owner = Object.assign(former(this.value), { edge: this.edge, writes: this.writes });
      this.memory = undefined;
    }
    this.shared = this.viewed = this.steps = undefined;
    const { storage } = this;
    if (storage !== undefined && storage.dtype === value.dtype && sameShape(storage.shape, value.shape)) {
      this.replace(value, this.edge);
    } else {
      runtime.pendingWrites.delete(this);
      this.storage = undefined;
      (this.current = value).holders++;
      this.writes++;
      if (storage !== undefined) this.persist();
    }
    // The one that lives from step to step holds the memory, the other is a view of it.
    if (storage === undefined || source.storage !== undefined || source.shared !== undefined)
      this.share(alias(source));
    else if (source.edge === undefined || source.edge.leaf === this) source.share(alias(this));
  }

  /** @internal Makes this tensor a view of what it was, which its other views follow from here on: see inPlaceViews.ts. */
  turnInto(view: (former: Tensor) => Tensor): void {
    const { value, edge, memory, shared, viewed, steps, seen, writes } = this;
    if (scope.gradients && this.sharesLeaf()) writing.leafWritten(shared !== undefined);
    const former = Object.assign(new Tensor(value, edge), { shared, viewed, steps, seen, writes });
    if (memory !== undefined) memory.owner = former;
    const next = view(former);
    Object.assign(this, { shared: next.shared, viewed: next.viewed, steps: next.steps, memory: undefined });
    this.seen = next.seen;
    this.replace(next.current, next.edge);
  }

  /** @internal The view that this tensor is, if it is one; its base is the tensor that has the memory now. */
  currentView(): View<Tensor> | undefined {
    const view = this.shared;
    const base = this.viewed?.owner;
    if (base === undefined) return view;
    this.viewed = base.memory ??= {};
    const moved = Object.create(Object.getPrototypeOf(view) as object) as View<Tensor>;
    return (this.shared = Object.assign(moved, view, { base }));
  }

  /**
   * @internal Writes in place: this tensor, its base and all views of it have the new value from here on.
   * @param made how many values there were before `next` was computed: no code has a newer one
   * @param since how many there were when the function began that writes: nodes from before may not use the old value in
   * `backward()`; null where they may
   * @param alike whether places that are one in memory are given one value, so that an expanded tensor may be written to
   * @throws TensorError when a leaf that requires a gradient would be changed while gradients are recorded
   */
  write(next: Tensor, made = Value.made, since: number | null = made, alike = false): this {
    const view = this.currentView();
    writing.checkWrite(this, next, view, alike);
    // Follow the base now: what is written must not be taken for stale later.
    void this.value;
    if (scope.gradients && this.sharesLeaf()) writing.leafWritten(view !== undefined);
    const [{ value }, { current }] = [next, this];
    const from = view?.uncounted === true ? null : since;
    this.replace(value, scope.gradients ? next.edge : this.edge);
    if (value.made > made) value.holders = 1;
    if (view === undefined) {
      overwritten(current, this.current, from);
    } else {
      const [{ base }, before] = [view, Value.made];
      const scatter = (): unknown => base.write(view.scatter(base, this), before, from, true);
      withGradients(scope.gradients && !view.detached, scatter);
      this.linkVersion(view);
      // As in PyTorch, the gradient that a view retains is that of what it reads from its base from here on.
      if (this.moved === undefined && view.repeats !== true) this.seen = base.writes;
    }
    return this;
  }

  /** @internal Gives this tensor a value and where its gradient goes; the storage follows at the next barrier. */
  replace(value: Value, edge: GradientEdge | undefined): void {
    const storage = this.storage;
    this.writes++;
    this.edge = this.wantsGrad ? { leaf: this } : edge;
    this.moved?.();
    if (storage === undefined) {
      takePlace(value, this.current);
      this.current = value;
      runtime.gradients.wrote(this);
    } else if (value.producer.kind === "node") {
      this.current = value;
      runtime.pendingWrites.add(this);
    } else {
      // A leaf replaces the stored value as a whole: nothing to compute, and a random initial value that no code
      // will see now is skipped instead of drawn.
      if (storage.settled !== undefined) keepOverwritten(storage.settled);
      const before = this.current.producer;
      if (
        this.current.data === undefined &&
        before.kind === "state" &&
        before.initial?.producer.kind === "random" &&
        storage.version === before.version
      ) {
        before.initial.producer.draw.abandon();
      }
      storage.version++;
      storage.host = undefined;
      storage.device = undefined;
      this.current = storage.settled = stateValue(storage, value);
      runtime.pendingWrites.delete(this);
    }
  }

  /** @internal Turns this tensor into one that lives from step to step: a parameter, buffer or optimizer state. */
  persist(): this {
    if (this.storage === undefined) {
      const { current } = this;
      this.storage = new Storage(current.shape, current.dtype);
      if (current.producer.kind === "node" && current.data === undefined) {
        // Computed at the next barrier, like a write: nothing may be computed while a step is under way.
        this.storage.settled = current;
        runtime.pendingWrites.add(this);
      } else {
        this.current = this.storage.settled = stateValue(this.storage, current);
        this.current.version = current.version;
      }
    }
    return this;
  }

  /** @internal The storage holds the value of the last barrier: read it from there. */
  settled(storage: Storage): void {
    this.writes++;
    const { version } = this.current;
    this.current = storage.settled = stateValue(storage);
    this.current.version = version;
  }

  /** @internal Forgets a write that could not be computed; an initial value stays pending. */
  revert(): void {
    const before = this.storage?.settled;
    if (before !== undefined) this.current = before;
    this.writes++;
    if (before?.producer.kind !== "node") runtime.pendingWrites.delete(this);
  }

  /** @internal Says how PyTorch lays out a result that it leaves transposed. */
  laidOut(steps: readonly number[] | undefined): this {
    this.steps = steps;
    return this;
  }

  /** @internal Steps of each dimension in PyTorch's memory, in elements; undefined when row-major and not a view. */
  viewStrides(): readonly number[] | undefined {
    return (
      this.steps ?? this.shared?.strides(this.shared.base.viewStrides() ?? strides(this.shared.base.shape))
    );
  }

  /** Whether a write would change a leaf that wants a gradient. */
  private sharesLeaf(): boolean {
    return this.wantsGrad || (this.shared?.detached === false && this.shared.base.sharesLeaf());
  }

  private gradientEdge(): GradientEdge | undefined {
    if (this.shared !== undefined) void this.value;
    return this.edge;
  }

  private currentWrites(): number {
    void this.value;
    return this.writes;
  }
}

/** The tensor that the graph knows as one. */
export const tensorOf = (known: GraphTensor): Tensor => known as Tensor;

/** A tensor of values that are already there. The array is not copied. */
export function fromHost(data: HostArray, shape: Shape, dtype: DType): Tensor {
  return new Tensor(dataValue(data, shape, dtype));
}

/** A learnable tensor: what modules register and optimizers update. */
export class Parameter extends Tensor {
  /** @throws TensorError "Parameter(): argument 'data' must be Tensor, not undefined" */
  constructor(data: Tensor, requiresGrad?: boolean | { requiresGrad?: boolean });
  /** By name; `requiresGrad` is true by default. */
  constructor(named: { data: Tensor; requiresGrad?: boolean });
  constructor(
    data: Tensor | { data: Tensor; requiresGrad?: boolean },
    requiresGrad: boolean | { requiresGrad?: boolean } = true,
  ) {
    super(writing.learnable(data instanceof Tensor ? data : writing.dataOf(data)).value);
    this.persist();
    this.requiresGrad_(data instanceof Tensor ? requiresGrad : data);
  }
}
