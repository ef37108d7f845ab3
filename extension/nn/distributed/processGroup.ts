// The group of processes that a program's own loop belongs to: PyTorch's torch.distributed.
import { launchedPlace } from "../../protocol/cluster.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { joinGroup, canJoin, type Communicator } from "../../tensor/distributed/communicator.ts";

/** Options of {@link initProcessGroup}. */
export interface ProcessGroupOptions {
  /** "env://" reads `RANK`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT`, `TF_CONFIG` or Slurm's variables; "tcp://host:port" names the place of rank 0. */
  initMethod?: string;
  /** How many processes there are. */
  worldSize?: number;
  /** The number of this one, from 0. */
  rank?: number;
  /** Seconds that a process waits for the others; 1800 by default. */
  timeout?: number;
}

const TIMEOUT = 1800;

let group: Communicator | undefined;

/** Returns the process group. @throws TensorError before {@link initProcessGroup} */
export function defaultGroup(): Communicator {
  if (group !== undefined) return group;
  throw new TensorError(
    "value",
    "Default process group has not been initialized, please make sure to call init_process_group.",
  );
}

/**
 * Joins the group of processes that run this program, and waits until all are there. A backend's name as the first argument is
 * ignored: the only one is TensorFlow's collectives over gRPC.
 *
 * The group's servers listen on all network interfaces, without a password or encryption.
 *
 * ```ts
 * await distributed.initProcessGroup({ initMethod: "tcp://127.0.0.1:29500", rank: 0, worldSize: 1 });
 * distributed.getWorldSize(); // 1
 * distributed.destroyProcessGroup();
 * ```
 * @throws TensorError "trying to initialize the default process group twice!"
 * @throws TensorError "Error initializing torch.distributed using env:// rendezvous: environment variable RANK expected, but not set"
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.init_process_group
 */
export async function initProcessGroup(
  backend?: string | ProcessGroupOptions | null,
  options?: ProcessGroupOptions,
): Promise<void> {
  if (group !== undefined)
    throw new TensorError("value", "trying to initialize the default process group twice!");
  const given = typeof backend === "object" && backend !== null ? backend : (options ?? {});
  const { initMethod = "env://", timeout = TIMEOUT } = given;
  const place = initMethod === "env://" ? fromEnvironment(given) : fromAddress(initMethod, given);
  if (place.size === 1) {
    group = alone();
    return;
  }
  if (!isAvailable())
    throw new TensorError(
      "value",
      "several processes train together on the native engine only, and this one runs on another backend",
      "install it with layerwise engine install",
    );
  group = await joinGroup({ ...place, timeout });
}

/** A rank in a group, and the address at which its processes meet. */
interface Place {
  readonly rank: number;
  readonly size: number;
  readonly master?: string | undefined;
  readonly addresses?: readonly string[] | undefined;
}

function fromEnvironment({ rank, worldSize }: ProcessGroupOptions): Place {
  const { env } = process;
  const launched = launchedPlace(env);
  if (launched !== undefined) return launched;
  for (const [name, own] of [
    ["RANK", rank],
    ["WORLD_SIZE", worldSize],
  ] as const) {
    if (own !== undefined || env[name] !== undefined) continue;
    throw new TensorError(
      "value",
      `Error initializing torch.distributed using env:// rendezvous: environment variable ${name} expected, but not set`,
    );
  }
  const place = { rank: rank ?? Number(env["RANK"]), size: worldSize ?? Number(env["WORLD_SIZE"]) };
  const host = env["MASTER_ADDR"] ?? "127.0.0.1";
  return checked({ ...place, master: `${host}:${env["MASTER_PORT"] ?? "29500"}` });
}

function fromAddress(method: string, { rank, worldSize }: ProcessGroupOptions): Place {
  const master = /^tcp:\/\/(.+:\d+)$/.exec(method)?.[1];
  if (master === undefined)
    throw new TensorError("value", `No rendezvous handler for ${method.split(":")[0]}://`);
  if (rank === undefined)
    throw new TensorError(
      "value",
      "Error initializing torch.distributed using tcp:// rendezvous: rank parameter missing",
    );
  if (worldSize === undefined)
    throw new TensorError(
      "value",
      "Error initializing torch.distributed using tcp:// rendezvous: world size parameter missing",
    );
  return checked({ rank, size: worldSize, master });
}

function checked(place: Place): Place {
  const { rank, size } = place;
  if (Number.isInteger(rank) && Number.isInteger(size) && rank >= 0 && rank < size) return place;
  throw new TensorError(
    "value",
    `rank (${rank}) must be a whole number from 0 and less than worldSize (${size})`,
  );
}

/** A group of one process, which works on any backend. */
function alone(): Communicator {
  let key = 0;
  return { rank: 0, size: 1, timeout: 0, nextKey: () => ++key, sum: (data) => data, gather: (data) => data };
}

/**
 * Leaves the group. Its server stays until the process ends.
 * @throws TensorError "Process group cannot be None"
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.destroy_process_group
 */
export function destroyProcessGroup(): void {
  if (group === undefined) throw new TensorError("value", "Process group cannot be None");
  group = undefined;
}

/**
 * Returns whether this process belongs to a group.
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.is_initialized
 */
export const isInitialized = (): boolean => group !== undefined;

/**
 * Returns whether this backend has groups: the native engine on processors.
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.is_available
 */
export const isAvailable = (): boolean => canJoin();

/**
 * Returns the number of this process, from 0.
 * @throws TensorError "Default process group has not been initialized, please make sure to call init_process_group."
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.get_rank
 */
export const getRank = (): number => defaultGroup().rank;

/**
 * Returns how many processes the group has.
 * @throws TensorError "Default process group has not been initialized, please make sure to call init_process_group."
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.get_world_size
 */
export const getWorldSize = (): number => defaultGroup().size;
