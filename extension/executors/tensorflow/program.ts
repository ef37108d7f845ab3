import type { FinishedCall, NativeBinding } from "../../native/binding.ts";
import { allocate, type HostArray } from "../../tensor/core/dtype.ts";
import { internal } from "../../tensor/core/errors.ts";
import type { Storage, Value } from "../../tensor/recording/graph.ts";
import { leafData, type Plan } from "../../tensor/planning/barrier.ts";
import { numel } from "../../tensor/core/shape.ts";
import type { Context, Residences } from "./context.ts";
import type { Feed } from "./graph/blueprint.ts";
import { upload } from "../kernels/storages.ts";
import { remembered, sameInput, stacked, type Fed, type Input, type Stack } from "./feeding.ts";
import { DATA_TYPE } from "../dataTypes.ts";
import type { Graph, Variable } from "./graph/graphWriter.ts";
import type { LazyValues } from "../kernels/lazyValues.ts";
import type { Residence, VariableHolder } from "../kernels/storages.ts";

/** A call that has ended. */
export interface Ended {
  /** Duration of the call. */
  readonly milliseconds: number;
  /** Copies the fetched values to the host: those of all steps, one after the other. */
  readonly take: () => HostArray[];
}

/**
 * A plan compiled into one TensorFlow session: one call runs forward, backward and update of a step, or of many steps.
 * Storages that the plan writes are variables of the session; everything else is fed.
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
  /**
   * Steps that stacked inputs have room for, where that is fixed. Their arrays are reused every other call: a call may
   * still be using the last ones.
   */
  readonly #room: number | undefined;
  readonly #stacks: [HostArray[], HostArray[]] = [[], []];
  #running = false;
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
    this.#room = graph.room;
    this.#initFeeds = graph.variables.map((v) => v.initFeed).join();
    this.#initFetch = graph.initFetch;
    this.#feedNames = graph.feedNames.join();
    this.#fetchNames = graph.fetchNames.join();
    this.size = graph.nodes.length + graph.functions.reduce((sum, f) => sum + f.nodes.length, 0);
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

  /**
   * Returns the inputs of a call of this plan.
   * @param now whether the call is the next one: values on TensorFlow's side may be gone later
   */
  inputs(plan: Plan, now = false): Input[] {
    return this.feeds.map(({ leaf, kind }) => {
      const value = plan.leaves[leaf]!;
      const { producer } = value;
      if (producer.kind === "scalar")
        return value.dtype === "float32" ? Math.fround(producer.value) : producer.value;
      const current =
        kind === "state" && producer.kind === "state" && producer.version === producer.storage.version;
      return current || (now && this.#lazy.tensor(value) !== undefined) ? null : leafData(value);
    });
  }

  /** Runs one step in one call. Afterwards the plan's storages live here. Returns the tensors of its lazy values. */
  run(plan: Plan, inputs: readonly Input[]): number[] {
    this.enter();
    const ids = this.feeds.map((feed, i) => this.#feed(i, plan.leaves[feed.leaf]!, inputs[i]!));
    const outputs = this.#call(ids);
    plan.fetches.forEach((value, i) => (value.data = this.#take(outputs[i]!)));
    return outputs.slice(plan.fetches.length);
  }

  /**
   * Runs many steps of a plan in one call, on the variables as they are, even if storages have moved away meanwhile.
   * Returns the fetched values of all steps, one after the other.
   */
  runMany(plan: Plan, inputs: readonly (readonly Input[])[]): HostArray[] {
    const stack = this.stack(plan, inputs);
    try {
      return this.#taken(plan, this.#call(stack.ids));
    } finally {
      this.release(stack);
    }
  }

  /** Uploads the inputs of a call of many steps; {@link release} frees them. */
  stack(plan: Plan, inputs: readonly (readonly Input[])[]): Stack {
    const made = [this.#binding.createTensor([], DATA_TYPE.int64, Int32Array.of(inputs.length))];
    const ids = [made[0]!];
    this.feeds.forEach((feed, i) => {
      const value = plan.leaves[feed.leaf]!;
      if (!feed.stacked) {
        ids.push(this.#feed(i, value, inputs[0]![i]!));
        return;
      }
      const room = this.#room ?? inputs.length;
      const [free] = this.#stacks;
      const stack = stacked(
        inputs.map((each) => each[i]!),
        value,
        room,
        free[i],
      );
      if (this.#room !== undefined) free[i] = stack;
      const id = upload(this.#binding, stack, [room, ...value.shape], value.dtype);
      made.push(id);
      ids.push(id);
    });
    this.#stacks.reverse();
    return { ids, made };
  }

  release({ made }: Stack): void {
    for (const id of made) this.#binding.deleteTensor(id);
  }

  /**
   * Starts a call of many steps that runs while JavaScript continues.
   * @returns a function that waits for it; call it before any other method of the program
   */
  start(plan: Plan, { ids }: Stack): () => Ended {
    const finish = this.#start(ids);
    return () => {
      const { outputs, milliseconds } = finish();
      return { milliseconds, take: () => this.#taken(plan, this.#fetched(outputs)) };
    };
  }

  /** @param initial tensors that the variables get first */
  #start(ids: readonly number[], initial: readonly number[] = []): () => FinishedCall {
    this.#idle();
    const first = initial.length === 0 ? [] : [[initial, this.#initFeeds, this.#initFetch] as const];
    const names = [this.#feedNames, this.#fetchNames] as const;
    const call = this.#binding.startGraph(this.#session, ids, ...names, this.#alone, ...first);
    this.#running = true;
    return () => {
      this.#running = false;
      this.#dropHandles();
      return this.#binding.finishGraph(call);
    };
  }

  /**
   * Starts a call on zeros to have TensorFlow prepare the graph: one step, or a loop of no steps, for which XLA still
   * compiles everything.
   * @returns a function that waits for the call, and throws if it has failed
   */
  prepare(plan: Plan): () => void {
    const zeros = ({ shape, dtype }: Pick<Value, "shape" | "dtype">): number =>
      upload(this.#binding, allocate(dtype, numel(shape)), shape, dtype);
    const initial = this.#variables.map(({ storage }) => zeros(storage));
    const ids = this.#room === undefined ? [] : [zeros({ shape: [], dtype: "int64" })];
    for (const { leaf, stacked } of this.feeds) {
      const { shape, dtype } = plan.leaves[leaf]!;
      ids.push(zeros({ shape: stacked ? [this.#room!, ...shape] : shape, dtype }));
    }
    const finish = this.#start(ids, initial);
    this.release({ ids, made: [...initial, ...ids] });
    return () => {
      for (const id of finish().outputs) this.#binding.deleteTensor(id);
    };
  }

  #idle(): void {
    if (this.#running) internal("something is asked of a program whose call is under way");
  }

  /** Returns tensors of a step's lazy values, computed from the variables as they are. Drops its fetched values. */
  lazy(plan: Plan, inputs: readonly Input[]): number[] {
    const outputs = this.#call(
      this.feeds.map((feed, i) => this.#feed(i, plan.leaves[feed.leaf]!, inputs[i]!)),
    );
    for (const id of outputs.splice(0, plan.fetches.length)) this.#binding.deleteTensor(id);
    return outputs;
  }

  /** Returns tensors of all variables, which the caller must delete. Later writes don't change them. */
  values(): number[] {
    this.#idle();
    const names = this.#variables.map(({ read }) => read).join();
    return this.#binding.runGraph(this.#session, [], "", names, true);
  }

  /** Gives all variables the values of {@link values}. */
  restore(ids: readonly number[]): void {
    this.#idle();
    if (ids.length === 0) return;
    const done = this.#binding.runGraph(this.#session, ids, this.#initFeeds, this.#initFetch, true);
    for (const id of done) this.#binding.deleteTensor(id);
    this.#dropHandles();
  }

  /**
   * Returns a tensor with a variable's value, valid until the next write. From the second request on, as when a model
   * is saved, one call reads all variables: the first call for each takes TensorFlow some milliseconds.
   */
  handle(index: number): number {
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
    this.#idle();
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
    this.#idle();
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

  /** Brings the storages this program writes into its variables. */
  enter(): void {
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
    this.#idle();
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

  /** Whether all storages that the program writes live here. */
  get home(): boolean {
    return this.#variables.every(({ storage }, index) => this.#holds(storage, index));
  }

  #holds(storage: Storage, index: number): boolean {
    const at = storage.device as Residence | undefined;
    return at?.kind === "variable" && at.program === this && at.index === index;
  }

  /** Returns ids of the fetched values. Waits for the output that marks the end of all writes, and frees it. */
  #call(ids: readonly number[]): number[] {
    this.#idle();
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

  #taken({ fetches }: Plan, outputs: readonly number[]): HostArray[] {
    return fetches.map((_, i) => this.#take(outputs[i]!));
  }

  #take(id: number): HostArray {
    const data = this.#binding.tensorDataSync(id) as HostArray;
    this.#binding.deleteTensor(id);
    return data;
  }

  #feed(i: number, value: Value, data: Input): number {
    const { producer } = value;
    if (data === null)
      return producer.kind === "state"
        ? this.#residences.handle(producer.storage)
        : (this.#lazy.tensor(value) ?? internal("a value is to be used that is gone"));
    const fed = this.#fed[i]!;
    if (fed.id !== undefined && sameInput(fed.data, data)) return fed.id;
    if (fed.id !== undefined) this.#binding.deleteTensor(fed.id);
    fed.data = remembered(data);
    const array = typeof data === "number" ? allocate(value.dtype, 1).fill(data) : data;
    fed.id = upload(this.#binding, array, value.shape, value.dtype);
    return fed.id;
  }
}
