import type { HostArray } from "../core/dtype.ts";
import type { Node, Storage, Value } from "../recording/graph.ts";

/** What a barrier must compute. */
export interface Request {
  /** Values that are read now. */
  readonly requested: readonly Value[];
  /** New values of storages, written after everything was read. */
  readonly assigns: readonly { readonly storage: Storage; readonly value: Value }[];
  /** Values that may be read until the next step: gradients. */
  readonly lazy: readonly Value[];
  /** Values that the user may hold: computed with a write, or where what is requested makes most of them. */
  readonly held: readonly Value[];
}

/** A pending graph, ready to run: what has to be computed, from what, and where the results go. */
export interface Plan extends Request {
  /** Names the graph in all processes: equal for graphs that differ only in the values of their inputs and scalars. */
  readonly graph: string;
  /** The same with the storages that are written: those belong to a compiled plan. */
  readonly key: string;
  /** Each after its inputs. */
  readonly nodes: readonly Node[];
  /** Every leaf the nodes read, in the order of first use. `data` of inputs is set; states are read from their storage. */
  readonly leaves: readonly Value[];
  /** Values to bring to the host. */
  readonly fetches: readonly Value[];
}

/** Computes plans. Implementations: see ../../executors. */
export interface Executor {
  /**
   * Sets `data` of every fetch and `read` of every lazy value, and moves the storages on. Synchronous: one call is
   * kept short by the caller.
   */
  run(plan: Plan, inspector?: Inspector): void;
  /** How many of the last steps are deferred and not computed yet: see `Policy`. */
  readonly pendingSteps?: number;
  /** Live tensors of its library, by its own count. */
  readonly tensors?: number;
  /** Whether a plan of this key is run without looking at its nodes. */
  compiled?(key: string): boolean;
  /** The current value of a storage the executor has written, copied to the host. */
  read(storage: Storage): HostArray;
  /** Whether plans take values that are kept for them without a copy, so that it pays to keep them: see savedValues.ts. */
  readonly saves?: boolean;
  /** Whether a lazy value stays readable until it is released. The others are there until the next step. */
  holds?(value: Value): boolean;
  /** Forgets a lazy value, if it is held, or one that is saved. */
  release?(value: Value): void;
}

/** Sees every value of a plan that is computed op by op, before anything is written. */
export interface Inspector {
  /** What is fed is there: the first node is computed next. */
  begin?(): void;
  node(node: Node, read: (value: Value) => HostArray): void;
  /** All nodes were computed. What it throws keeps the plan from writing. */
  done(read: (value: Value) => HostArray): void;
}
