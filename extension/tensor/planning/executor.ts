import type { HostArray } from "../core/dtype.ts";
import type { Node, Storage, Value } from "../recording/graph.ts";

/** Values that a barrier must compute. */
export interface Request {
  /** Values that are read now. */
  readonly requested: readonly Value[];
  /** New values of storages, written after everything was read. */
  readonly assigns: readonly { readonly storage: Storage; readonly value: Value }[];
  /** Values that may be read until the next step: gradients. */
  readonly lazy: readonly Value[];
  /** Values that the user may hold: computed with a write, or where `requested` computes most of their inputs. */
  readonly held: readonly Value[];
}

/** A pending graph, ready to run: its nodes, their inputs, and where the results go. */
export interface Plan extends Request {
  /** Names the graph in all processes: equal for graphs that differ only in the values of their inputs and scalars. */
  readonly graph: string;
  /** The graph with the storages that it writes: those belong to a compiled plan. */
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
   * Sets `data` of every fetch and `read` of every lazy value, and updates the storages. Synchronous: the caller keeps
   * calls short.
   */
  run(plan: Plan, inspector?: Inspector): void;
  /** How many of the last steps are deferred and not computed yet: see `Policy`. */
  readonly pendingSteps?: number;
  /** Number of live tensors of its library. */
  readonly tensors?: number;
  /** Whether a plan of this key is run without looking at its nodes. */
  compiled?(key: string): boolean;
  /** The current value of a storage the executor has written, copied to the host. */
  read(storage: Storage): HostArray;
  /** Whether plans take kept values without a copy, so that keeping them pays: see savedValues.ts. */
  readonly saves?: boolean;
  /** Whether a lazy value stays readable until it is released. Others last until the next step. */
  holds?(value: Value): boolean;
  /** Forgets a lazy value, if it is held, or one that is saved. */
  release?(value: Value): void;
}

/** Sees every value of a plan that is computed op by op, before anything is written. */
export interface Inspector {
  /** Called once inputs are fed, before the first node is computed. */
  begin?(): void;
  node(node: Node, read: (value: Value) => HostArray): void;
  /** Called after all nodes were computed. If it throws, the plan writes nothing. */
  done(read: (value: Value) => HostArray): void;
}

/** A plan can't be run without the nodes of a `backward()` that was taken over. */
export class IncompletePlan extends Error {}

/** Whether nodes of a `backward()` that was taken over are missing. */
export const isIncomplete = ({ nodes }: Plan): boolean =>
  nodes.some((node: Node | undefined) => node === undefined);
