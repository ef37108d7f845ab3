import type * as tfjs from "@tensorflow/tfjs-core";
import { allocate, type DType, type HostArray } from "../../tensor/core/dtype.ts";
import type { Storage, Value } from "../../tensor/recording/graph.ts";
import type { Tfjs } from "../../tensor/recording/op.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import { leafData, type Executor, type Inspector, type Plan } from "../../tensor/planning/barrier.ts";
import type { Choice } from "../choices.ts";
import { translated } from "../errors.ts";
import { LARGE_ELEMENTS, MAX_COMPILED_PLANS, MAX_SEEN_KEYS } from "../tuning.ts";
import { Recording } from "./recording.ts";
import { computable, copyOf, filled, Slot, upload, type Residence } from "./slots.ts";

/** Where a plan's fetched values are. */
interface Results {
  readonly fetches: readonly Slot[];
  readonly lazy: readonly Slot[];
  readonly written: readonly Slot[];
}

/** Recorded calls for plans of one key, to be repeated with other values. */
interface Program extends Results {
  /** Slots of leaves, with their positions among the plan's leaves. */
  readonly fed: readonly { readonly slot: Slot; readonly at: number }[];
  readonly calls: readonly (() => void)[];
}

// Outside the functions that use them: a closure there would hold everything in scope, such as the plan.
const readerOf = (array: HostArray) => (): HostArray => array.slice();
const tensorReader = (k: Tfjs, t: tfjs.Tensor, dtype: DType) => (): HostArray => copyOf(k, t, dtype);

/**
 * Runs plans on a tfjs backend (wasm, or cpu): the embedded default where TensorFlow is not installed. Small tensors stay
 * on the host, where loops compute them. The calls of a repeated plan are recorded, with the memory of their
 * loops.
 */
export class TfjsExecutor implements Executor {
  readonly counters = { interpreted: 0, interpretedNodes: 0, repeated: 0 };
  readonly #k: Tfjs;
  readonly #loops: boolean;
  readonly #programs = new Map<string, Program>();
  readonly #seen = new Set<string>();
  /** Tensors of lazy values, by their readers. A loop's array lasts until its plan runs again. */
  readonly #lazy = new Map<() => HostArray, tfjs.Tensor>();
  readonly #abandoned: Residence[] = [];
  readonly #registry = new FinalizationRegistry<Residence>((r) => this.#abandoned.push(r));

  /** @param loops whether loops compute small tensors; otherwise the backend's kernels compute everything */
  constructor(k: Tfjs, loops = true) {
    this.#k = k;
    this.#loops = loops;
  }

  compiled(key: string): boolean {
    return this.#programs.has(key);
  }

  run(plan: Plan, inspector?: Inspector): void {
    const program = inspector === undefined ? this.#programs.get(plan.key) : undefined;
    for (const { tensor } of this.#abandoned.splice(0)) tensor?.dispose();
    // Draws take their numbers in program order, before anything is computed from them.
    for (const value of plan.leaves) if (value.producer.kind === "random") leafData(value);
    try {
      this.#k.tidy(() =>
        program === undefined ? this.#interpret(plan, inspector) : this.#repeat(program, plan),
      );
    } catch (error) {
      throw translated(error);
    }
  }

  #interpret(plan: Plan, inspector: Inspector | undefined): void {
    this.counters.interpreted++;
    this.counters.interpretedNodes += plan.nodes.length;
    const recording = new Recording(this.#k, (slot, value) => this.#feed(slot, value), this.#loops);
    const { lowering } = recording;
    const look = (value: Value): HostArray => lowering.plain(value).copy(this.#k);
    inspector?.begin?.();
    for (const node of plan.nodes) {
      lowering.node(node);
      inspector?.node(node, look);
    }
    inspector?.done(look);
    const slots = (values: readonly Value[]): Slot[] => values.map((value) => lowering.plain(value));
    const results = {
      fetches: slots(plan.fetches),
      lazy: slots(plan.lazy),
      written: slots(plan.assigns.map(({ value }) => value)),
    };
    this.#finish(results, plan);
    if (inspector === undefined && this.#comesAgain(plan)) this.#remember(recording, results, plan);
  }

  #repeat(program: Program, plan: Plan): void {
    this.counters.repeated++;
    // The most recently used comes last.
    this.#programs.delete(plan.key);
    this.#programs.set(plan.key, program);
    for (const { slot, at } of program.fed) this.#feed(slot, plan.leaves[at]!);
    for (const call of program.calls) call();
    this.#finish(program, plan);
  }

  /** Whether a plan is expected to run again: it ran before, or belongs to a training. */
  #comesAgain({ key }: Plan): boolean {
    if (runtime.policy.compileAtOnce || this.#seen.has(key)) return true;
    if (this.#seen.size >= MAX_SEEN_KEYS) this.#seen.clear();
    this.#seen.add(key);
    return false;
  }

  #remember({ calls, fed }: Recording, results: Results, plan: Plan): void {
    const places = new Map(plan.leaves.map((value, at) => [value, at]));
    const found = fed.map(({ slot, value }) => ({ slot, at: places.get(value)! }));
    if (found.some(({ at }) => at === undefined)) return;
    this.#programs.set(plan.key, { calls, fed: found, ...results });
    if (this.#programs.size > MAX_COMPILED_PLANS) this.#programs.delete(this.#programs.keys().next().value!);
  }

  /** Hands results over to the plan's values and storages. */
  #finish({ fetches, lazy, written }: Results, plan: Plan): void {
    const k = this.#k;
    plan.fetches.forEach((value, i) => (value.data = fetches[i]!.copy(k)));
    const taken = new Set<object>();
    plan.lazy.forEach((value, i) => {
      // A value may be the gradient of several leaves.
      if (plan.lazy.indexOf(value) < i) return;
      const { array } = lazy[i]!;
      if (array !== undefined) {
        taken.add(array);
        // Another model's plan may have the same key and would overwrite the array before a step.
        value.read = readerOf(plan.assigns.length > 0 ? array : array.slice());
        return;
      }
      // It may have been kept before.
      this.release(value);
      const t = this.#take(lazy[i]!, taken).tensor!;
      value.read = tensorReader(k, t, value.dtype);
      this.#lazy.set(value.read, t);
    });
    // A new value may be read from a storage that is overwritten: take all values before placing any.
    const next = written.map((slot) => this.#take(slot, taken));
    plan.assigns.forEach(({ storage }, i) => {
      const slot = written[i]!;
      const { array } = next[i]!;
      const old = this.#place(storage, next[i]!);
      if (!slot.looped || array === undefined || slot.array !== array) return;
      // The storage has the loop's memory now, and the loop gets the storage's for the next time.
      const fits = old?.length === array.length && old.constructor === array.constructor;
      slot.array = fits ? old : allocate(slot.dtype, array.length);
    });
  }

  holds({ read }: Value): boolean {
    return read !== undefined && this.#lazy.has(read);
  }

  release({ read }: Value): void {
    if (read === undefined) return;
    this.#lazy.get(read)?.dispose();
    this.#lazy.delete(read);
  }

  /** Takes a value out of its plan: itself the first time, if the plan owns it alone; otherwise a copy. */
  #take({ array, tensor, own }: Slot, taken: Set<object>): Residence {
    const k = this.#k;
    const first = own && !(array && taken.has(array)) && !(tensor && taken.has(tensor));
    if (array) taken.add(array);
    if (tensor) taken.add(tensor);
    if (tensor === undefined) return { array: first ? array : array!.slice(), tensor };
    return {
      array: first && tensor.size <= LARGE_ELEMENTS ? array : undefined,
      tensor: k.keep(first ? tensor : k.clone(tensor)),
    };
  }

  choices(): Choice[] {
    const why = `the ${this.#k.getBackend()} backend has no compiled graphs: the native engine does`;
    return [{ graph: "", about: "graph", chosen: "op by op", why }];
  }

  read(storage: Storage): HostArray {
    const { array, tensor } = storage.device as Residence;
    return array === undefined ? copyOf(this.#k, tensor!, storage.dtype) : array.slice();
  }

  /** Live tensors of the backend, for tests of leaks. */
  get tensors(): number {
    return this.#k.memory().numTensors;
  }

  /** Stores a new value. Returns the old array. */
  #place(storage: Storage, { array, tensor }: Residence): HostArray | undefined {
    const residence = storage.device as Residence | undefined;
    if (residence === undefined) {
      storage.device = { array, tensor };
      this.#registry.register(storage, storage.device as Residence);
      return undefined;
    }
    const before = residence.array;
    residence.tensor?.dispose();
    residence.array = array;
    residence.tensor = tensor;
    return before;
  }

  /** Initial residence of a storage. */
  #initial(value: Value): Residence {
    const array = computable(leafData(value));
    if (array.length <= LARGE_ELEMENTS) return { array: array.slice(), tensor: undefined };
    return { array: undefined, tensor: this.#k.keep(upload(this.#k, array, value)) };
  }

  #feed(slot: Slot, value: Value): void {
    const leaf = value.producer;
    if (value.data === undefined) {
      if (leaf.kind === "fill") {
        // The same each time: kept in the slot, not as the value's data.
        slot.set(slot.array ?? filled(leaf.value, value), undefined);
        return;
      }
      if (leaf.kind === "state" && leaf.version === leaf.storage.version) {
        const { storage } = leaf;
        if (storage.device === undefined) this.#place(storage, this.#initial(value));
        const home = storage.device as Residence;
        slot.set(home.array, home.tensor, home);
        return;
      }
    }
    slot.set(computable(leafData(value)), undefined);
  }
}
