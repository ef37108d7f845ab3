// The interface between tensors and the group of processes that this one belongs to. Executors implement the exchanges.
import type { HostArray } from "../core/dtype.ts";

/** Where the processes of a group are. */
export interface Cluster {
  /** This process's number, from 0. */
  readonly rank: number;
  /** How many processes there are. */
  readonly size: number;
  /** "host:port" of each process, by rank; undefined if they are learned from the first one. */
  readonly addresses?: readonly string[] | undefined;
  /** "host:port" of the first process, from which the others learn all addresses. */
  readonly master?: string | undefined;
  /** Seconds that an exchange waits for the other processes; 0 for no limit. */
  readonly timeout: number;
}

/** Exchanges between the processes of a group. All processes make the same calls in the same order. */
export interface Communicator {
  readonly rank: number;
  readonly size: number;
  readonly timeout: number;
  /** A name for the next exchange that a graph has. */
  nextKey(): number;
  /** Sums over all processes, element by element: of float32 or int64. */
  sum<T extends HostArray>(data: T): T;
  /** The array of each process, in the order of their ranks, one after the other: of float32 or int64. */
  gather<T extends HostArray>(data: T): T;
}

let join: ((cluster: Cluster) => Promise<Communicator>) | undefined;

/** Sets the function that joins a group; undefined for a backend without groups. */
export function joinBy(open: typeof join): void {
  join = open;
}

/** Whether this process's backend has groups. */
export const canJoin = (): boolean => join !== undefined;

/**
 * Joins a group, once all its processes answer.
 * @throws Error when one of them doesn't, or the backend has no groups
 */
export async function joinGroup(cluster: Cluster): Promise<Communicator> {
  if (join === undefined)
    throw new Error(
      "Several processes train together on the native engine only: this one runs on another backend. Install it with layerwise engine install.",
    );
  return join(cluster);
}
