import type { FinishedCall, NativeBinding } from "../../native/binding.ts";
import { allocate, type HostArray } from "../../tensor/core/dtype.ts";
import { internal } from "../../tensor/core/errors.ts";
import type { Storage, Value } from "../../tensor/recording/graph.ts";
import { leafData, type Plan } from "../../tensor/planning/barrier.ts";
import { numel } from "../../tensor/core/shape.ts";
import type { Context, Residences } from "./context.ts";
import type { Feed } from "./graph/blueprint.ts";
import { upload } from "./eagerBuilder.ts";
import { remembered, sameInput, stacked, type Input, type Remembered } from "./feeding.ts";
import { DATA_TYPE } from "./graph/graphDef.ts";
import type { Graph, Variable } from "./graph/graphWriter.ts";
import type { LazyValues } from "./lazyValues.ts";

/** Where a storage's value is: a tensor of the library, or a variable of a program. */
export type Residence =
  | { readonly kind: "handle"; id: number }
  | {
      readonly kind: "variable";
      readonly program: Program;
      readonly index: number;
      handle: number | undefined;
    };

/** What a call of many steps is fed. */
export interface Stack {
  readonly ids: readonly number[];
  /** Those of them that were made for it. */
  readonly made: readonly number[];
}

/** A call that has ended. */
export interface Ended {
  /** How long it ran. */
  readonly milliseconds: number;
  /** Takes in what it fetches, the values of all steps one after the other. */
  readonly take: () => HostArray[];
}

/** What a call was last fed for one leaf, used again while the same is fed. */
interface Fed {
  data: Remembered;
  id: number | undefined;
}

/**
 * A plan compiled into one TensorFlow session: forward, backward and update of a step are one call, or of many steps.
 * Storages the plan writes are variables of the session; everything else is fed.
 */
export class Program {
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
   * Steps that what is stacked has room for, where that is fixed. Its arrays are filled again every other time: a call
   * may be under way with the last ones.
   */
  readonly #room: number | undefined;
  readonly #stacks: [HostArray[], HostArray[]] = [[], []];
  #running = false;
  /** Whether a variable was read since the last step. */
  #asked = false;

  /**
   * @param alone whether its ops run one after the other, on the thread that calls: where others would not help much
   * @param session the graph's, which is this program's from now on
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

  /** Leaves whose numbers are not the compiled ones; undefined when all are. */
  mismatch(plan: Plan): readonly number[] | undefined {
    let changed: number[] | undefined;
    for (const [leaf, value] of this.#constants) {
      const now = plan.leaves[leaf]!.producer;
      if (now.kind === "scalar" && !Object.is(now.value, value)) (changed ??= []).push(leaf);
    }
    return changed;
  }

  /**
   * What a call of this plan feeds.
   * @param now whether the call is the next one: values that are on TensorFlow's side may be gone later
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

  /** One call of one step. Afterwards the plan's storages live here. Answers the tensors of the plan's lazy values. */
  run(plan: Plan, inputs: readonly Input[]): number[] {
    this.enter();
    const ids = this.feeds.map((feed, i) => this.#feed(i, plan.leaves[feed.leaf]!, inputs[i]!));
    const outputs = this.#call(ids);
    plan.fetches.forEach((value, i) => (value.data = this.#take(outputs[i]!)));
    return outputs.slice(plan.fetches.length);
  }

  /**
   * One call of many steps of a plan, with the variables as they are, whatever became of the storages meanwhile.
   * Answers what it fetches, the values of all steps one after the other.
   */
  runMany(plan: Plan, inputs: readonly (readonly Input[])[]): HostArray[] {
    const stack = this.stack(plan, inputs);
    try {
      return this.#taken(plan, this.#call(stack.ids));
    } finally {
      this.release(stack);
    }
  }

  /** What a call of many steps is fed; to be released. */
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
   * @returns a function that waits for it; call it before anything else of the program
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
      return this.#binding.finishGraph(call);
    };
  }

  /**
   * Starts a call for its preparations alone, with zeros: of one step, or of none of many, for which XLA compiles all that it
   * takes. Answers what waits for it, and throws when the call has failed.
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

  /** Tensors of a step's lazy values from the variables as they are: nothing else is wanted of it. */
  lazy(plan: Plan, inputs: readonly Input[]): number[] {
    const outputs = this.#call(
      this.feeds.map((feed, i) => this.#feed(i, plan.leaves[feed.leaf]!, inputs[i]!)),
    );
    for (const id of outputs.splice(0, plan.fetches.length)) this.#binding.deleteTensor(id);
    return outputs;
  }

  /** Tensors of all variables as they are; the caller's to delete. A variable that is written meanwhile moves away. */
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
  }

  /**
   * A tensor with a variable's value, for as long as nothing is written. Where one was asked for already, as when a model is
   * saved, all are read in the same call: the first call for each takes TensorFlow some milliseconds.
   */
  handle(index: number): number {
    const all = this.#asked;
    this.#asked = true;
    try {
      this.#bring(all ? this.#variables.map((_, i) => i) : [index]);
    } catch (error) {
      // A step that failed may leave a variable without a value: it is no business of the others.
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

  /** Where a variable's storage is, while it is here. */
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
    const moved: Variable[] = [];
    const ids: number[] = [];
    for (let index = 0; index < this.#variables.length; index++) {
      const variable = this.#variables[index]!;
      const { storage } = variable;
      const at = this.#residence(index);
      if (at !== undefined) {
        // A handle would share the variable's memory and force the update to copy it.
        if (at.handle !== undefined) this.#binding.deleteTensor(at.handle);
        at.handle = undefined;
        continue;
      }
      if (storage.device === undefined && storage.host === undefined) {
        // Written for the first time by this very call.
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
      // At the beginning all of them are: one number says so, instead of one for each.
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

  /** Whether all storages it writes live here. */
  get home(): boolean {
    return this.#variables.every(({ storage }, index) => this.#holds(storage, index));
  }

  #holds(storage: Storage, index: number): boolean {
    const at = storage.device as Residence | undefined;
    return at?.kind === "variable" && at.program === this && at.index === index;
  }

  /** Ids of the fetched values; what says that everything is written is waited for and let go. */
  #call(ids: readonly number[]): number[] {
    this.#idle();
    return this.#fetched(
      this.#binding.runGraph(this.#session, ids, this.#feedNames, this.#fetchNames, this.#alone),
    );
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
