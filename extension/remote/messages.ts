import * as v from "valibot";
import { UserError } from "../protocol/errors.ts";
import { Progress, RunRequest } from "../protocol/engine.ts";
import { PictureRow } from "../protocol/layers/pictures.ts";
import { CHECKPOINTS_FOLDER, EVALUATION_FILES, LayerRow, MetricRow, RunRecord } from "../protocol/run.ts";
import { Finding } from "../protocol/findings.ts";
import { FolderName, NAME } from "../protocol/names.ts";
import { MOST_WORKERS, RemoteRunId } from "../protocol/target.ts";

// Messages between this machine and that of a run. Both sides validate what they receive: neither trusts the other.

/** Version of the messages. Both sides have the same, since this side sends the agent. */
export const MARK = "layerwise-agent-1";

/** Exit codes of the command that starts the agent. */
export const NO_NODE = 41;
export const NO_AGENT = 42;
export const NO_NAMESPACE = 43;

/** Most bytes of a file in one message. */
export const CHUNK = 2 ** 20;

/** Most bytes of a log that are sent. */
export const LOG_LIMIT = 64 * 2 ** 20;

export const Sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

/** A path below a folder, with "/" between names: never absolute, never upwards. */
export const RelativePath = v.pipe(
  v.string(),
  v.maxLength(4096),
  v.check(
    (path) =>
      !path.includes("\\") &&
      !path.includes("\0") &&
      path.split("/").every((name) => name !== "" && name !== "." && name !== ".."),
    "expected a path inside of the folder",
  ),
);

export const SentFile = v.object({ path: RelativePath, hash: Sha256 });
export type SentFile = v.InferOutput<typeof SentFile>;

const Size = v.pipe(v.number(), v.integer(), v.minValue(0));

/** A file that is fetched from a run's directory: a checkpoint, or a file of an evaluation. */
export const FetchedFile = v.union([
  v.pipe(v.string(), v.regex(new RegExp(`^${CHECKPOINTS_FOLDER}/${NAME}$`))),
  v.picklist(EVALUATION_FILES),
]);

export type FetchedFile = v.InferOutput<typeof FetchedFile>;

/** Error code for a file that the run doesn't have. */
export const NO_FILE = "remote-no-file";

/** Files of rows that are followed, with the schema of a row. */
export const ROWS = {
  metrics: MetricRow,
  layers: LayerRow,
  "layer-pictures": PictureRow,
  findings: Finding,
} as const;
export type RowsName = keyof typeof ROWS;
export const ROW_NAMES = Object.keys(ROWS) as RowsName[];
/** All files that are followed. */
export type FollowedName = RowsName | "log";
const FOLLOWED: readonly FollowedName[] = [...ROW_NAMES, "log"];

/** The same for each file that is followed. */
export const ofFollowed = <T>(each: (name: FollowedName) => T): Record<FollowedName, T> =>
  Object.fromEntries(FOLLOWED.map((name) => [name, each(name)])) as Record<FollowedName, T>;

/** How much of a file is there already: its rows, or the bytes of the log, and their hash. */
export const Have = v.object({ count: v.pipe(v.number(), v.integer(), v.minValue(0)), hash: Sha256 });
export type Have = v.InferOutput<typeof Have>;

export const FollowRequest = v.object(ofFollowed(() => Have));
export type FollowRequest = v.InferOutput<typeof FollowRequest>;
/** By file: whether the part that is there already is the file's beginning. */
export const Kept = v.object(ofFollowed(() => v.boolean()));
export type Kept = v.InferOutput<typeof Kept>;

const Rank = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_WORKERS - 1));

/** A part of a connection between workers of two machines. Its bytes are the message's body. */
export const Tunnel = v.object({
  /** The connection's name: a rank of the machine that has opened it, and a number. */
  stream: v.pipe(v.string(), v.regex(/^\d{1,3}\.\d{1,12}$/)),
  /** With the first part: the worker to connect to. */
  to: v.optional(Rank),
  /** With the last part. */
  done: v.optional(v.boolean()),
});
export type Tunnel = v.InferOutput<typeof Tunnel>;

/** The workers of a training that a machine starts. */
export const WorkersRequest = v.object({
  run: RemoteRunId,
  id: FolderName,
  /** Layerwise's package there; by default the agent's own. */
  package: v.optional(Sha256),
  request: RunRequest,
  /** Whether the run has trained before, so that its state must be on the first worker's machine. */
  begun: v.boolean(),
  /** Of those on this machine. */
  ranks: v.pipe(v.array(Rank), v.minLength(1), v.maxLength(MOST_WORKERS)),
  /** How many workers share the machine. */
  sharing: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** The address of each worker's machine, by rank; undefined where all have tunnels. */
  addresses: v.optional(v.pipe(v.array(v.pipe(v.string(), v.ip())), v.maxLength(MOST_WORKERS))),
  /** The port of each worker on its machine's loopback, by rank. On all other machines, it is forwarded to that one. */
  ports: v.pipe(
    v.array(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
    v.minLength(1),
    v.maxLength(MOST_WORKERS),
  ),
});
export type WorkersRequest = v.InferOutput<typeof WorkersRequest>;

/** Events that this side sends to the agent of workers. */
export const ORDERS = { listening: Rank, tunnel: Tunnel } as const;

/** Schemas of the agent's answers, by call. */
export const ANSWERS = {
  open: v.object({
    node: v.pipe(v.string(), v.maxLength(100)),
    platform: v.pipe(v.string(), v.maxLength(100)),
    /** Absolute path of the folder for all files. */
    folder: v.pipe(v.string(), v.maxLength(4096), v.regex(/^\/[^\0]*$/)),
    /** Whether the agent has a network of its own with only a loopback. Workers are asked for it. */
    isolated: v.optional(v.boolean()),
    /** Address at which others reach the machine's workers; undefined where that takes tunnels. */
    address: v.optional(v.pipe(v.string(), v.ip())),
  }),
  missing: v.array(Sha256),
  put: v.null(),
  layPackage: v.null(),
  layRun: v.null(),
  /** "running": it was running already. "finished": it ended while nothing followed it, and needs no other start. */
  start: v.picklist(["started", "running", "finished"]),
  /** The workers of one training that are on this machine: all are started, or all are ended. */
  startWorkers: v.null(),
  endWorkers: v.null(),
  follow: Kept,
  go: v.null(),
  record: RunRecord,
  control: v.unknown(),
  openFile: v.object({ size: Size, hash: Sha256 }),
  readFile: v.null(),
  engine: v.pipe(v.number(), v.integer()),
  forget: v.null(),
} as const;
export type AgentCall = keyof typeof ANSWERS;
export type AgentAnswer<K extends AgentCall> = v.InferOutput<(typeof ANSWERS)[K]>;

/** Events that the agent sends while a run is followed. */
export const EVENTS = {
  rows: v.object({ file: v.picklist(ROW_NAMES), rows: v.pipe(v.array(v.unknown()), v.maxLength(10_000)) }),
  log: v.null(),
  record: RunRecord,
  said: v.object({ level: v.picklist(["info", "warning", "error"]), text: v.string() }),
  progress: Progress,
  /** The files were replaced: follow again. */
  changed: v.null(),
  ended: v.null(),
  failed: UserError,
  /** A part of a file, in order. Only jobs send it: their files can't be requested. */
  file: v.object({ file: FetchedFile, size: Size, hash: Sha256, offset: Size }),
  /** A line that a program there has printed. */
  line: v.pipe(v.string(), v.maxLength(2 ** 16)),
  /** A worker has ended; without an error if it has finished or was stopped. */
  worker: v.object({ rank: Rank, error: v.optional(UserError) }),
  /** The workers' heartbeats: texts that change with each. */
  marks: v.pipe(
    v.array(v.object({ rank: Rank, mark: v.pipe(v.string(), v.maxLength(300)) })),
    v.maxLength(MOST_WORKERS),
  ),
  /** A worker's server accepts connections. */
  listening: Rank,
  tunnel: Tunnel,
} as const;
export type AgentEvent = keyof typeof EVENTS;
export type AgentEvents = { [K in AgentEvent]: v.InferOutput<(typeof EVENTS)[K]> };

/** The environment variable with the request of a Ray job. */
export const JOB_VARIABLE = "LAYERWISE_JOB";

/** The name of a package in a Ray cluster's store: Ray's prefix and the hash of its content. */
export const PackageName = v.pipe(v.string(), v.regex(/^_ray_pkg_[0-9a-f]{40}\.zip$/));

/** The request of a Ray job. */
export const RayJob = v.object({
  run: RemoteRunId,
  id: FolderName,
  /** Absolute path of the folder there that runs are in. */
  folder: v.pipe(v.string(), v.regex(/^\/[^\0]*$/)),
  /** Packages with the run's files. */
  packages: v.array(PackageName),
  request: RunRequest,
  /** Whether the run has trained before, so that its state must be there. */
  begun: v.boolean(),
  /** Train by workers in a placement group. */
  group: v.optional(
    v.object({
      workers: v.pipe(v.number(), v.integer(), v.minValue(2), v.maxValue(MOST_WORKERS)),
      maxRestarts: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
      /** Resources reserved for each worker. */
      cpus: v.number(),
      gpus: v.number(),
    }),
  ),
});
export type RayJob = v.InferOutput<typeof RayJob>;
