// Trainings by several workers: all on this machine, or this process as one worker of a launcher.
import { InvalidArgumentError } from "commander";
import type { RunRequest } from "../../protocol/engine.ts";
import { launchedPlace } from "../../protocol/cluster.ts";
import { MOST_WORKERS } from "../../protocol/target.ts";
import { outerAddresses } from "../../supervisor/parallel/addresses.ts";
import { canIsolate, endWithParent, runIsolated } from "../../supervisor/parallel/isolation.ts";
import { spawnWorkers } from "../../supervisor/parallel/workerGroup.ts";
import { spawnRun, type RunEvents, type RunHandle } from "../../supervisor/runs/run.ts";
import { engineOptions, integer, positive, UsageError } from "../command.ts";

interface WorkerOptions {
  workers?: number;
  hosts?: string;
  on?: string;
  maxRestarts: number;
  openNetwork?: true;
}

/** Starts a run with its events. */
type Spawn = (events: RunEvents) => RunHandle;

/** Parses a whole number from 0, for an option. */
export function counted(text: string): number {
  const value = integer(text);
  if (value < 0) throw new InvalidArgumentError("Must be at least 0.");
  return value;
}

/** Parses a number of workers, for an option. Each is a process. */
export function workerCount(text: string): number {
  const value = positive(text);
  if (value > MOST_WORKERS) throw new InvalidArgumentError(`Must be at most ${MOST_WORKERS}.`);
  return value;
}

/** Seconds that workers of another launcher wait for each other: PyTorch's limit. */
const TIMEOUT = 1800;

/** How workers are started. */
export interface Launch {
  readonly spawn: (request: RunRequest) => Spawn;
  /** Whether another process is the first worker, which writes the run's directory. */
  readonly follows: boolean;
}

/**
 * Decides how the workers of a training are started; undefined for a single one. Returns an exit code if the command line
 * was run again in a namespace with only a loopback.
 * @throws UsageError if the workers can be reached from other machines and the user has not allowed that
 */
export async function workersOf(options: WorkerOptions): Promise<Launch | number | undefined> {
  const launched = launchedPlace(process.env);
  const { workers = 1, maxRestarts, openNetwork } = options;
  // Those of a cluster are started there.
  if (options.on !== undefined && launched === undefined) return undefined;
  const own = options.workers === undefined ? (options.hosts === undefined ? "" : "--hosts") : "--workers";
  if (launched !== undefined && own !== "")
    throw new UsageError(
      `${launched.launcher} has started this process as one of ${launched.size}: leave out ${own}.`,
    );
  if (launched === undefined && workers === 1) return undefined;
  endWithParent();
  if (openNetwork !== true && outerAddresses().length > 0) {
    if (launched === undefined && canIsolate()) return runIsolated();
    throw new UsageError(
      `Workers exchange gradients through TensorFlow's servers, which listen on all network interfaces (${outerAddresses().join(", ")}) without a password or encryption: anyone who reaches them can run code as you. If a firewall or a private network protects this machine, add --open-network.`,
    );
  }
  const engine = engineOptions();
  if (launched === undefined) {
    const group = { workers, maxRestarts };
    return { follows: false, spawn: (request) => (events) => spawnWorkers(request, events, engine, group) };
  }
  const { rank, size, addresses, master } = launched;
  const worker = {
    rank,
    size,
    timeout: TIMEOUT,
    ...(addresses === undefined ? {} : { addresses: [...addresses] }),
    ...(master === undefined ? {} : { master }),
  };
  return {
    follows: rank > 0,
    spawn: (request) => (events) => spawnRun({ ...request, worker }, events, engine),
  };
}
