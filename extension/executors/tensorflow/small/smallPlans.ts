import type { NativeBinding, TensorData } from "../../../native/binding.ts";
import { allocate, type HostArray } from "../../../tensor/core/dtype.ts";
import { leafData, type Plan } from "../../../tensor/planning/barrier.ts";
import type { Value } from "../../../tensor/recording/graph.ts";
import { numel } from "../../../tensor/core/shape.ts";
import { Lowering } from "../../nhwc.ts";
import { MAX_SMALL_ELEMENTS, MAX_SMALL_NANOSECONDS, MAX_SMALL_PLANS } from "../../tuning.ts";
import { tensorflowBackend } from "../backend.ts";
import type { StorageMemory } from "../storages.ts";
import { PlanWriter, UnsupportedError } from "./planWriter.ts";

/** Not a plan of the binding: TensorFlow runs it. */
const REFUSED = -1;

/**
 * Runs plans of small tensors with the binding's own kernels, in one call on this thread. TensorFlow takes 2 to 20 µs for each
 * op, and more for a session, whatever the size of the tensors.
 */
export class SmallPlans {
  readonly #binding: NativeBinding;
  readonly #storages: StorageMemory;
  /** The binding's ids by key of a plan; the most recently used comes last. */
  readonly #ids = new Map<string, number>();

  readonly #lazyTensor: (value: Value) => number | undefined;

  /** @param lazyTensor the tensor of a value that is read later */
  constructor(
    binding: NativeBinding,
    storages: StorageMemory,
    lazyTensor: (value: Value) => number | undefined,
  ) {
    this.#binding = binding;
    this.#storages = storages;
    this.#lazyTensor = lazyTensor;
  }

  takes(plan: Plan): boolean {
    return this.#open(plan) !== REFUSED;
  }

  /** @returns the tensors of the plan's lazy values; undefined for a plan that TensorFlow has to run */
  run(plan: Plan): number[] | undefined {
    const id = this.#open(plan);
    if (id === REFUSED) return undefined;
    const leaves: (number | TensorData)[] = [];
    for (const value of plan.leaves) {
      const leaf = this.#leaf(value);
      // 64-bit integers.
      if (leaf instanceof Float64Array) return undefined;
      leaves.push(leaf);
    }
    const fetched = plan.fetches.map(({ dtype, shape }) => allocate(dtype, numel(shape)));
    const made = new Int32Array(plan.assigns.length + plan.lazy.length);
    // TensorFlow says what is wrong with an input.
    if (!this.#binding.runPlan(id, leaves, fetched, made)) return undefined;
    plan.fetches.forEach((value, i) => (value.data = fetched[i]!));
    plan.assigns.forEach(({ storage }, i) => this.#storages.replace(storage, made[i]!));
    return [...made.subarray(plan.assigns.length)];
  }

  #leaf(value: Value): number | HostArray {
    const leaf = value.producer;
    if (leaf.kind === "state" && leaf.version === leaf.storage.version)
      return this.#storages.handle(leaf.storage);
    return this.#lazyTensor(value) ?? leafData(value);
  }

  #open(plan: Plan): number {
    const { key } = plan;
    let id = this.#ids.get(key);
    if (id === undefined) id = fits(plan) ? this.#write(plan) : REFUSED;
    else this.#ids.delete(key);
    this.#ids.set(key, id);
    if (this.#ids.size > MAX_SMALL_PLANS) {
      const [oldest, unused] = this.#ids.entries().next().value!;
      this.#ids.delete(oldest);
      if (unused !== REFUSED) this.#binding.closePlan(unused);
    }
    return id;
  }

  #write(plan: Plan): number {
    try {
      const writer = new PlanWriter(plan.leaves);
      const places = new Map(plan.leaves.map((value, i) => [value, i]));
      const lowering = new Lowering(
        tensorflowBackend(writer, (value) => {
          const place = places.get(value);
          if (place === undefined) throw new UnsupportedError("leaf");
          return writer.leaf(place);
        }),
      );
      for (const node of plan.nodes) lowering.node(node);
      const outputs = [...plan.fetches, ...plan.assigns.map(({ value }) => value), ...plan.lazy];
      const code = writer.finish(outputs.map((value) => lowering.plain(value)));
      return Math.max(REFUSED, this.#binding.openPlan(code, MAX_SMALL_NANOSECONDS));
    } catch (error) {
      if (error instanceof UnsupportedError) return REFUSED;
      throw error;
    }
  }
}

/** Whether it is worth while to find out how long a plan takes. */
function fits({ nodes }: Plan): boolean {
  let elements = 0;
  for (const { outputs } of nodes) for (const { shape } of outputs) elements += numel(shape);
  return elements <= MAX_SMALL_ELEMENTS;
}
