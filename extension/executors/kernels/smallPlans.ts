import type { NativeBinding, TensorData } from "../../native/binding.ts";
import { allocate, type DType, type HostArray } from "../../tensor/core/dtype.ts";
import { leafData } from "../../tensor/planning/barrier.ts";
import { IncompletePlan, isIncomplete, type Plan } from "../../tensor/planning/executor.ts";
import { isFill, type Value } from "../../tensor/recording/graph.ts";
import { demandMemory } from "../../tensor/core/memory.ts";
import { numel } from "../../tensor/core/shape.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import { scalar, type TfBuilder, type TfRef } from "../../tensor/lowering/lowering.ts";
import { fillNode } from "../../tensor/lowering/nodes.ts";
import { Lowering, moved } from "../nhwc.ts";
import {
  COMPILING_NANOSECONDS,
  MAX_SMALL_PLAN_BYTES,
  MAX_SMALL_PLANS,
  MIN_LIBRARY_GAIN,
  SHARED_BYTES,
  UNCLEARED_BYTES,
} from "../tuning.ts";
import { tensorflowBackend } from "../backend.ts";
import type { Kept } from "./lazyValues.ts";
import type { StorageMemory } from "./storages.ts";
import { PlanWriter, UnsupportedError } from "./planWriter.ts";
import { QueuedRuns } from "./queuedRuns.ts";

/** Allocates arrays for values, small ones in one buffer: allocating each takes longer than computing its values. */
function arraysOf(values: readonly Value[]): (Float32Array | Int32Array | Uint8Array)[] {
  let bytes = 0;
  for (const { shape } of values) {
    demandMemory(shape);
    bytes += 4 * numel(shape);
  }
  const shared = values.length > 1 && bytes <= SHARED_BYTES ? new ArrayBuffer(bytes) : undefined;
  let at = 0;
  return values.map(({ shape, dtype }) => {
    const size = numel(shape);
    if (shared !== undefined) return view(dtype, shared, (at += 4 * size) - 4 * size, size);
    // Kernels write all of it, and clearing a large array takes as long as a simple op on it.
    if (4 * size >= UNCLEARED_BYTES) return view(dtype, Buffer.allocUnsafeSlow(4 * size).buffer, 0, size);
    return allocate(dtype, size);
  });
}

function view(dtype: DType, buffer: ArrayBuffer, start: number, size: number) {
  if (dtype === "float32") return new Float32Array(buffer, start, size);
  return dtype === "int64" ? new Int32Array(buffer, start, size) : new Uint8Array(buffer, start, size);
}

/**
 * Numbers the arrays that a plan's fetched values need. Values that are copied or reshaped from the same one have the same elements
 * in the same order, so they share an array: `target.copy_(mean)` has the values of the mean.
 */
function shareArrays({ nodes, fetches }: Plan): number[] {
  const equal = new Map<Value, Value>();
  const sourceOf = (value: Value): Value => equal.get(value) ?? value;
  for (const { op, inputs, outputs } of nodes)
    if (op.name === "reshape" || op.name === "identity") equal.set(outputs[0]!, sourceOf(inputs[0]!));
  const numbers = new Map<Value, number>();
  return fetches.map((value) => {
    const source = sourceOf(value);
    const number = numbers.get(source) ?? numbers.size;
    numbers.set(source, number);
    return number;
  });
}

/** The first value of each array, in the order of their numbers. */
function distinct(fetches: readonly Value[], arrays: readonly number[]): Value[] {
  let next = 0;
  return fetches.filter((_, i) => arrays[i] === next && ++next > 0);
}

/** A fill, written in the plan's code: an array of its numbers would be large, and takes long to fill. */
function filledNode(b: TfBuilder, { producer, shape, dtype }: Value): TfRef {
  if (producer.kind !== "fill") throw new UnsupportedError(producer.kind);
  return shape.length === 0 ? scalar(b, producer.value, dtype) : fillNode(b, shape, producer.value, dtype);
}

/** Of a run, by the binding's estimate. */
interface Estimate {
  readonly milliseconds: number;
  /** Milliseconds that TensorFlow would save, where it is much faster; else 0. */
  readonly savings: number;
}

/** A plan opened in the binding. */
interface Opened extends Estimate {
  readonly key: string;
  readonly id: number;
  readonly bytes: number;
  /** For each leaf, whether a run takes its values: those of a fill are in the plan's code. */
  readonly takes: readonly boolean[];
  /** For each fetched value, which of the arrays that the plan writes it has: see {@link shareArrays}. */
  readonly arrays: readonly number[];
  /** For each lazy value, whether its channels come last in memory. */
  readonly images: readonly boolean[];
  /** Runs left here before it runs compiled. */
  runs: number;
  /** Number of remaining runs at which TensorFlow is loaded for that. */
  readonly loadedAt: number;
  /** Number of remaining runs at which it is compiled. */
  readonly preparedAt: number;
  /** Numbers of the user's code in its last run, by leaf; `varied` has the leaves whose number has changed. */
  readonly numbers: Map<number, number>;
  readonly varied: Set<number>;
}

/** Runs the plans that take too long here. */
interface Successor {
  /** Compiles a plan in the background, while it still runs here. */
  prepare(plan: Plan, varied: ReadonlySet<number>): void;
  /** Notes that a plan will not run here again. */
  expect(key: string): void;
}

/**
 * Runs plans with the binding's own kernels, in one call. TensorFlow takes 2 to 20 µs for each op, and more for a session,
 * whatever the size of the tensors.
 */
export class SmallPlans {
  readonly #binding: NativeBinding;
  readonly #storages: StorageMemory;
  /** By {@link #keyOf}, undefined for those that TensorFlow runs; the most recently used comes last. */
  readonly #opened = new Map<string, Opened | undefined>();
  /** Of the plans opened. */
  #bytes = 0;
  readonly #kept: (value: Value) => Readonly<Kept> | undefined;
  readonly #successor: Successor | undefined;
  readonly #threads: number;
  readonly #queue: QueuedRuns;

  /**
   * @param threads maximum number of threads of an op
   * @param kept returns the tensor of a lazy value
   * @param successor default: none, so all plans stay here
   */
  constructor(
    binding: NativeBinding,
    storages: StorageMemory,
    threads: number,
    kept: (value: Value) => Readonly<Kept> | undefined,
    successor?: Successor,
  ) {
    this.#binding = binding;
    this.#storages = storages;
    this.#kept = kept;
    this.#successor = successor;
    this.#threads = threads;
    this.#queue = new QueuedRuns(binding);
  }

  /**
   * What a plan takes here by the binding's estimate; undefined for one that it can't run.
   * @throws IncompletePlan
   */
  estimate(plan: Plan): Estimate | undefined {
    if (isIncomplete(plan) && !this.#opened.has(this.#keyOf(plan))) throw new IncompletePlan();
    return this.#open(plan);
  }

  takes(plan: Plan): boolean {
    return this.#open(plan) !== undefined;
  }

  /** Whether a plan of this key is open, and will stay here: it runs without looking at its nodes. */
  has(key: string): boolean {
    return this.#opened.get(key)?.runs === Infinity;
  }

  /** @returns the tensors of the plan's lazy values, as they lie; undefined for a plan that TensorFlow has to run */
  run(plan: Plan): { ids: number[]; images: readonly boolean[] } | undefined {
    const opened = this.#open(plan);
    if (opened === undefined) return undefined;
    const leaves: (number | TensorData)[] = [];
    for (let i = 0; i < plan.leaves.length; i++) {
      if (!opened.takes[i]!) continue;
      const leaf = this.#leaf(plan.leaves[i]!);
      // 64-bit integers.
      if (leaf instanceof Float64Array) return undefined;
      leaves.push(leaf);
    }
    const fetched = arraysOf(distinct(plan.fetches, opened.arrays));
    const made = new Int32Array(plan.assigns.length + plan.lazy.length);
    const queued = this.#waits(plan)
      ? this.#queue.add(opened.id, opened.milliseconds, leaves, fetched, made)
      : 0;
    // Refused, as for a wrong input: TensorFlow's error says why.
    if (queued === 0 && !this.#binding.runPlan(opened.id, leaves, fetched, made)) return undefined;
    // What computes a training's step must not depend on how often a process has run it: a resumed one starts from 0.
    if (opened.runs < Infinity && !runtime.policy.compileAtOnce) this.#count(plan, opened);
    plan.fetches.forEach((value, i) => {
      const data = fetched[opened.arrays[i]!]!;
      if (queued === 0) value.data = data;
      else
        value.read = () => {
          this.#queue.finish(queued);
          return data;
        };
    });
    plan.assigns.forEach(({ storage }, i) => this.#storages.replace(storage, made[i]!));
    return { ids: [...made.subarray(plan.assigns.length)], images: opened.images };
  }

  /** Whether no code reads the values of a step before the next one. */
  #waits({ assigns }: Plan): boolean {
    return runtime.policy.deferSteps && assigns.length > 0;
  }

  /** Steps that are not computed yet. */
  get pending(): number {
    return this.#queue.pending;
  }

  /** Frees all plans. */
  close(): void {
    for (const opened of this.#opened.values()) this.#closePlan(opened);
    this.#opened.clear();
  }

  #count(plan: Plan, opened: Opened): void {
    const { numbers, varied } = opened;
    plan.leaves.forEach(({ producer }, i) => {
      if (producer.kind !== "scalar") return;
      if (!Object.is(numbers.get(i) ?? producer.value, producer.value)) varied.add(i);
      numbers.set(i, producer.value);
    });
    opened.runs--;
    if (opened.runs === opened.loadedAt) this.#binding.prepareTensorFlow();
    if (opened.runs === opened.preparedAt) this.#successor?.prepare(plan, varied);
    if (opened.runs > 0) return;
    this.#closePlan(opened);
    this.#opened.set(opened.key, undefined);
    this.#successor?.expect(plan.key);
  }

  #leaf(value: Value): number | HostArray {
    const leaf = value.producer;
    if (leaf.kind === "state" && leaf.version === leaf.storage.version)
      return this.#storages.handle(leaf.storage);
    return this.#kept(value)?.id ?? leafData(value);
  }

  /** Leaves whose channels come last need other code. */
  #keyOf({ key, leaves }: Plan): string {
    let layouts = "";
    for (let i = 0; i < leaves.length; i++) if (this.#kept(leaves[i]!)?.images === true) layouts += ` ${i}`;
    return key + layouts;
  }

  #open(plan: Plan): Opened | undefined {
    const key = this.#keyOf(plan);
    const all = this.#opened;
    const known = all.get(key);
    if (known === undefined && isIncomplete(plan)) return undefined;
    const opened = known === undefined && !all.has(key) ? this.#write(plan, key) : known;
    all.delete(key);
    all.set(key, opened);
    while (all.size > MAX_SMALL_PLANS || (this.#bytes > MAX_SMALL_PLAN_BYTES && all.size > 1)) {
      const [oldest, unused] = all.entries().next().value!;
      all.delete(oldest);
      this.#closePlan(unused);
    }
    return opened;
  }

  #closePlan(opened: Opened | undefined): void {
    if (opened === undefined) return;
    this.#binding.closePlan(opened.id);
    this.#bytes -= opened.bytes;
  }

  #write(plan: Plan, key: string): Opened | undefined {
    try {
      const takes = plan.leaves.map((value) => !isFill(value));
      const taken = plan.leaves.filter((_, i) => takes[i]!);
      const asImages = taken.map((value) => this.#kept(value)?.images === true);
      const shapes = taken.map(({ shape, dtype }, i) => ({
        dtype,
        shape: asImages[i]! ? moved(shape) : shape,
      }));
      const writer = new PlanWriter(shapes);
      const places = new Map(taken.map((value, i) => [value, i]));
      const lowering = new Lowering(
        tensorflowBackend(writer, (value) => {
          const place = places.get(value);
          if (place !== undefined) return writer.leaf(place);
          if (!isFill(value)) throw new UnsupportedError("leaf");
          return filledNode(writer, value);
        }),
      );
      taken.forEach((value, i) => {
        if (asImages[i]!) lowering.defineImages(value, writer.leaf(i));
      });
      for (const node of plan.nodes) lowering.node(node);
      const arrays = shareArrays(plan);
      const read = [...distinct(plan.fetches, arrays), ...plan.assigns.map(({ value }) => value)];
      const outputs = read.map((value) => lowering.plain(value));
      // What another plan will read stays as it lies: mostly what a gradient needs of the images.
      const lazy = plan.lazy.map((value) => lowering.asItLies(value));
      const code = writer.finish([...outputs, ...lazy.map(({ ref }) => ref)]);
      const images = lazy.map((one) => one.images);
      return this.#read(code, writer.count, { key, takes, arrays, images });
    } catch (error) {
      if (error instanceof UnsupportedError) return undefined;
      throw error;
    }
  }

  /**
   * Opens a plan of `ops` ops. A plan that TensorFlow would compute much faster runs here until the loss equals the time of
   * compiling: lengths that never repeat are never compiled. Compiling starts at half of these runs, in the background, and loading
   * TensorFlow at a quarter.
   */
  #read(
    code: Int32Array,
    ops: number,
    written: Pick<Opened, "key" | "takes" | "arrays" | "images">,
  ): Opened | undefined {
    const costs = new Float64Array(3);
    const id = this.#binding.openPlan(code, this.#threads, costs);
    if (id < 0) return undefined;
    const [own, library, bytes] = costs as unknown as [number, number, number];
    const gain = own - MIN_LIBRARY_GAIN * library;
    const runs =
      gain > 0 && this.#successor !== undefined ? Math.ceil((ops * COMPILING_NANOSECONDS) / gain) : Infinity;
    this.#bytes += bytes;
    return {
      ...written,
      id,
      bytes,
      milliseconds: own / 1e6,
      savings: Math.max(0, gain) / 1e6,
      runs,
      loadedAt: Math.floor(0.75 * runs),
      preparedAt: Math.floor(runs / 2),
      numbers: new Map(),
      varied: new Set(),
    };
  }
}
