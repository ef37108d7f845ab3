import type { FinishedCall, NativeBinding } from "../../native/binding.ts";
import { allocate, type HostArray } from "../../tensor/core/dtype.ts";
import type { Storage, Value } from "../../tensor/recording/graph.ts";
import { leafData, type Plan } from "../../tensor/planning/barrier.ts";
import { numel } from "../../tensor/core/shape.ts";
import type { Context, Residences } from "./context.ts";
import type { Feed } from "./graph/blueprint.ts";
import { upload } from "../kernels/storages.ts";
import { translated } from "../errors.ts";
import { remembered, sameInput, type Fed } from "./feeding.ts";
import type { Graph, Variable } from "./graph/graphWriter.ts";
import type { LazyValues } from "../kernels/lazyValues.ts";
import type { Residence, VariableHolder } from "../kernels/storages.ts";

/** A step that another thread computes while JavaScript continues. */
interface Deferred {
  readonly finish: () => FinishedCall;
  /** Its fetched values, once it is done. */
  fetched?: readonly HostArray[];
  /** Why there are none. */
  refused?: Error;
}

/**
 * A plan compiled into one TensorFlow session: one call runs forward, backward and update of a step. Storages that the plan
 * writes are variables of the session; everything else is fed. What needs a step that is under way waits for it.
 */
export class Program implements VariableHolder {
  /** TensorFlow nodes of the graph. */
  readonly size: number;
  readonly feeds: readonly Feed[];
  readonly #binding: NativeBinding;
  readonly #residences: Residences;
  readonly #lazy: LazyValues;
  readonly #alone: boolean;
  readonly #session: number;
  readonly #fed: readonly Fed[];
  readonly #variables: readonly Variable[];
  readonly #initFeeds: string;
  readonly #initFetch: string;
  readonly #feedNames: string;
  readonly #fetchNames: string;
  readonly #constants: ReadonlyMap<number, number>;
  #deferred: Deferred | undefined;
  /** A call on zeros, for which TensorFlow prepares the graph; the first use of the graph waits for it. */
  #preparing: (() => FinishedCall) | undefined;
  /** Whether a variable was read since the last step. */
  #asked = false;

  /**
   * @param alone whether its ops run one after the other on the calling thread, where more threads would gain little
   * @param session the graph's session, which this program owns from now on
   */
  constructor(
    { binding, residences, lazy }: Pick<Context, "binding" | "residences" | "lazy">,
    graph: Graph,
    alone: boolean,
    session: number,
  ) {
    this.#binding = binding;
    this.#residences = residences;
    this.#lazy = lazy;
    this.#alone = alone;
    this.feeds = graph.feeds;
    this.#fed = graph.feeds.map(() => ({ data: null, id: undefined }));
    this.#variables = graph.variables;
    this.#constants = graph.constants;
    this.#initFeeds = graph.variables.map((v) => v.initFeed).join();
    this.#initFetch = graph.initFetch;
    this.#feedNames = graph.feedNames.join();
    this.#fetchNames = graph.fetchNames.join();
    this.size = graph.nodes.length;
    this.#session = session;
  }

  /** Leaves whose numbers differ from the compiled ones; undefined when none does. */
  mismatch(plan: Plan): readonly number[] | undefined {
    let changed: number[] | undefined;
    for (const [leaf, value] of this.#constants) {
      const now = plan.leaves[leaf]!.producer;
      if (now.kind === "scalar" && !Object.is(now.value, value)) (changed ??= []).push(leaf);
    }
    return changed;
  }

  /** Runs a step. Afterwards the plan's storages live here. Returns the tensors of its lazy values. */
  run(plan: Plan): number[] {
    const outputs = this.#call(this.#enter(plan));
    plan.fetches.forEach((value, i) => (value.data = this.#take(outputs[i]!)));
    return outputs.slice(plan.fetches.length);
  }

  /**
   * Starts a step that another thread computes while JavaScript continues.
   * @throws TensorError if the step under way is refused
   */
  start(plan: Plan): void {
    const step: Deferred = { finish: this.#start(this.#enter(plan)) };
    this.#deferred = step;
    // The reader doesn't hold the step's graph.
    plan.fetches.forEach((value, i) => {
      value.read = () => {
        if (step === this.#deferred) this.finish();
        if (step.refused !== undefined) throw step.refused;
        return step.fetched![i]!;
      };
    });
  }

  /** Whether a step is under way. */
  get pending(): boolean {
    return this.#deferred !== undefined;
  }

  /**
   * Waits for the step under way, if there is one.
   * @throws TensorError if it is refused
   */
  finish(): void {
    this.#prepared();
    const step = this.#deferred;
    if (step === undefined) return;
    this.#deferred = undefined;
    try {
      step.fetched = this.#fetched(step.finish().outputs).map((id) => this.#take(id));
    } catch (error) {
      throw (step.refused = translated(error) as Error);
    } finally {
      this.#dropHandles();
    }
  }

  /** @param initial tensors that the variables get first */
  #start(ids: readonly number[], initial: readonly number[] = []): () => FinishedCall {
    const first = initial.length === 0 ? [] : [[initial, this.#initFeeds, this.#initFetch] as const];
    const names = [this.#feedNames, this.#fetchNames] as const;
    const call = this.#binding.startGraph(this.#session, ids, ...names, this.#alone, ...first);
    return () => this.#binding.finishGraph(call);
  }

  /** Has TensorFlow prepare the graph on another thread: it computes a step on zeros. */
  prepare(plan: Plan): void {
    const zeros = ({ shape, dtype }: Pick<Value, "shape" | "dtype">): number =>
      upload(this.#binding, allocate(dtype, numel(shape)), shape, dtype);
    const initial = this.#variables.map(({ storage }) => zeros(storage));
    const ids = this.feeds.map(({ leaf }) => zeros(plan.leaves[leaf]!));
    this.#preparing = this.#start(ids, initial);
    for (const id of [...initial, ...ids]) this.#binding.deleteTensor(id);
  }

  #prepared(): void {
    const finish = this.#preparing;
    this.#preparing = undefined;
    try {
      for (const id of finish?.().outputs ?? []) this.#binding.deleteTensor(id);
    } catch {
      // An op may refuse the zeros, such as a division.
    }
  }

  /**
   * Returns a tensor with a variable's value, valid until the next write. Waits for the step under way. From the second request on,
   * as when a model is saved, one call reads all variables: the first call for each takes TensorFlow some milliseconds.
   */
  handle(index: number): number {
    this.finish();
    const all = this.#asked;
    this.#asked = true;
    try {
      this.#bring(all ? this.#variables.map((_, i) => i) : [index]);
    } catch (error) {
      // A failed step may leave one variable without a value: the others can still be read.
      if (!all) throw error;
      this.#bring([index]);
    }
    return this.#residence(index)!.handle!;
  }

  /** Notes tensors of variables, as far as their storages are here. */
  #bring(indices: readonly number[]): void {
    const all = indices.flatMap((index) => {
      const at = this.#residence(index);
      return at === undefined || at.handle !== undefined ? [] : [{ at, name: this.#variables[index]!.read }];
    });
    const names = all.map(({ name }) => name).join();
    const made = this.#binding.runGraph(this.#session, [], "", names, true);
    all.forEach(({ at }, i) => (at.handle = made[i]!));
  }

  /** Residence of a variable's storage, while it is here. */
  #residence(index: number): Extract<Residence, { kind: "variable" }> | undefined {
    const { storage } = this.#variables[index]!;
    return this.#holds(storage, index)
      ? (storage.device as Extract<Residence, { kind: "variable" }>)
      : undefined;
  }

  /** Moves every variable out and closes the session. */
  close(): void {
    try {
      this.finish();
    } catch {
      // What reads a value of the step is told.
    }
    this.#asked = true;
    for (const [index, { storage }] of this.#variables.entries()) {
      const at = this.#residence(index);
      if (at !== undefined) {
        const id = at.handle ?? this.handle(index);
        storage.device = { kind: "handle", id } satisfies Residence;
      }
    }
    for (const { id } of this.#fed) if (id !== undefined) this.#binding.deleteTensor(id);
    this.#binding.deleteSavedModel(this.#session);
  }

  /** Waits for the step under way and brings the storages that the plan writes into the variables. Returns the plan's inputs. */
  #enter(plan: Plan): number[] {
    this.finish();
    this.#moveIn();
    return this.feeds.map(({ leaf, kind }, i) => this.#feed(i, plan.leaves[leaf]!, kind));
  }

  #moveIn(): void {
    this.#asked = false;
    // A handle would share the variable's memory and force the update to copy it.
    this.#dropHandles();
    const moved: Variable[] = [];
    const ids: number[] = [];
    for (let index = 0; index < this.#variables.length; index++) {
      const variable = this.#variables[index]!;
      const { storage } = variable;
      if (this.#residence(index) !== undefined) continue;
      if (storage.device === undefined && storage.host === undefined) {
        // This call writes it for the first time.
        storage.device = { kind: "variable", program: this, index, handle: undefined } satisfies Residence;
        continue;
      }
      moved.push(variable);
      ids.push(this.#residences.handle(storage));
    }
    if (moved.length === 0) return;
    const done = this.#binding.runGraph(
      this.#session,
      ids,
      moved.map((v) => v.initFeed).join(),
      // At the beginning all variables move in: one fetch initialises them all.
      moved.length === this.#variables.length ? this.#initFetch : moved.map((v) => v.initFetch).join(),
      this.#alone,
    );
    for (const id of done) this.#binding.deleteTensor(id);
    for (const variable of moved) {
      const { storage } = variable;
      const before = storage.device as Residence | undefined;
      const stale = before?.kind === "handle" ? before.id : before?.handle;
      if (stale !== undefined) this.#binding.deleteTensor(stale);
      this.#residences.left(storage);
      const index = this.#variables.indexOf(variable);
      storage.device = { kind: "variable", program: this, index, handle: undefined } satisfies Residence;
    }
  }

  #holds(storage: Storage, index: number): boolean {
    const at = storage.device as Residence | undefined;
    return at?.kind === "variable" && at.program === this && at.index === index;
  }

  /** Returns ids of the fetched values. Waits for the output that marks the end of all writes, and frees it. */
  #call(ids: readonly number[]): number[] {
    try {
      return this.#fetched(
        this.#binding.runGraph(this.#session, ids, this.#feedNames, this.#fetchNames, this.#alone),
      );
    } finally {
      this.#dropHandles();
    }
  }

  /** Frees tensors of variables after a call that may have written them. An input of the call itself may have been one. */
  #dropHandles(): void {
    for (let index = 0; index < this.#variables.length; index++) {
      const at = this.#residence(index);
      if (at?.handle === undefined) continue;
      this.#binding.deleteTensor(at.handle);
      at.handle = undefined;
    }
  }

  #fetched(outputs: number[]): number[] {
    if (this.#variables.length > 0) this.#binding.deleteTensor(outputs.pop()!);
    return outputs;
  }

  #take(id: number): HostArray {
    const data = this.#binding.tensorDataSync(id) as HostArray;
    this.#binding.deleteTensor(id);
    return data;
  }

  /** Returns the tensor of an input. Numbers and arrays that stay the same are uploaded once. */
  #feed(i: number, value: Value, kind: Feed["kind"]): number {
    const { producer, dtype } = value;
    if (kind === "state" && producer.kind === "state" && producer.version === producer.storage.version)
      return this.#residences.handle(producer.storage);
    if (producer.kind !== "scalar") {
      const tensor = this.#lazy.tensor(value);
      if (tensor !== undefined) return tensor;
    }
    const data =
      producer.kind !== "scalar"
        ? leafData(value)
        : dtype === "float32"
          ? Math.fround(producer.value)
          : producer.value;
    const fed = this.#fed[i]!;
    if (fed.id !== undefined && sameInput(fed.data, data)) return fed.id;
    if (fed.id !== undefined) this.#binding.deleteTensor(fed.id);
    fed.data = remembered(data);
    const array = typeof data === "number" ? allocate(dtype, 1).fill(data) : data;
    fed.id = upload(this.#binding, array, value.shape, dtype);
    return fed.id;
  }
}
