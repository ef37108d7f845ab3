import * as v from "valibot";

// Names of machines come from command lines, settings and files. Each has characters that neither ssh nor a shell
// takes for anything else: no leading "-", which begins an option, no space, quote, "%" or "$".
const HOST =
  /^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:[A-Za-z0-9.]{0,20}))$/;
const USER = /^[A-Za-z_][A-Za-z0-9._-]{0,62}\$?$/;
const PATH = /^\/[A-Za-z0-9._/+@-]{0,1000}$/;

const Reserved = v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(100_000)));

/** A machine that the user's own ssh reaches. */
const machine = {
  /** Shown to the user. */
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(300)),
  /** A name that ssh knows, or an address. */
  host: v.pipe(v.string(), v.regex(HOST, "expected the name or the address of a machine")),
  user: v.optional(v.pipe(v.string(), v.regex(USER, "expected a user's name"))),
  port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535))),
  /** Absolute path of Node there, where it isn't found by itself. */
  node: v.optional(
    v.pipe(v.string(), v.regex(PATH, "expected an absolute path of letters, digits and . _ / + @ -")),
  ),
  /** Absolute path of the folder there that files and runs go to. Default `~/.layerwise`; on a cluster, {@link RAY_FOLDER}. */
  folder: v.optional(
    v.pipe(v.string(), v.regex(PATH, "expected an absolute path of letters, digits and . _ / + @ -")),
  ),
};

/** Most workers of one training on hosts. */
export const MOST_WORKERS = 64;

/** One of the machines on which the workers of one training run. */
export const WorkerHost = v.object({
  ...machine,
  /** How many workers it has. */
  workers: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_WORKERS)),
});
export type WorkerHost = v.InferOutput<typeof WorkerHost>;

/** A machine that the user's own ssh reaches, several of them with workers of one training, or a Ray cluster. */
export const Target = v.object({
  ...machine,
  /**
   * "ray": a cluster, by the address of its dashboard. "hosts": several machines, the first of which is also this target's
   * `host`. By default, a machine for ssh.
   */
  kind: v.optional(v.picklist(["ray", "hosts"])),
  hosts: v.optional(v.pipe(v.array(WorkerHost), v.minLength(1), v.maxLength(MOST_WORKERS))),
  /**
   * CPUs and GPUs that Ray reserves for a run. By default none: the run is on the head node. Each worker of a group has as many,
   * by default one CPU.
   */
  cpus: Reserved,
  gpus: Reserved,
  /** Workers of one training on a Ray cluster, in a placement group. */
  workers: v.optional(v.pipe(v.number(), v.integer(), v.minValue(2), v.maxValue(MOST_WORKERS))),
});
export type Target = v.InferOutput<typeof Target>;

/** The folder of runs on a Ray cluster's nodes. Its path has to be known here, which a home folder's isn't. */
export const RAY_FOLDER = "/tmp/layerwise";

/** The port of a Ray dashboard. */
export const RAY_PORT = 8265;

/** The id of a run on its machine: the local one's and random digits. */
export const RemoteRunId = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,200}-[0-9a-f]{12}$/));

/** Of a run elsewhere: where. */
export const RunPlace = v.object({
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(300)),
  /** "ray": stop is the only control. "hosts": it ends with the process that follows it. */
  kind: v.optional(v.picklist(["ray", "hosts"])),
  run: RemoteRunId,
});
export type RunPlace = v.InferOutput<typeof RunPlace>;

/** Whether a run continues there when no process here follows it. */
export const outlivesFollower = (place: RunPlace | undefined): boolean =>
  place !== undefined && place.kind !== "hosts";

/** A token of a Ray cluster, valid in a header. */
export const AuthToken = v.pipe(
  v.string(),
  v.maxLength(4096),
  v.regex(/^[\x21-\x7e]+$/, "expected a token of letters, digits and signs, without spaces"),
);

/** Tokens of Ray clusters by the addresses of their dashboards, `host:port`. */
export const RayTokens = v.record(v.string(), AuthToken);
export type RayTokens = v.InferOutput<typeof RayTokens>;

/** The variable with the tokens of a command that the editor starts, as JSON. */
export const TOKENS_VARIABLE = "LAYERWISE_RAY_TOKENS";

/** Part of a request for a run elsewhere: its machine, and how to start or follow it. */
export const RunOn = v.object({
  /** By default, the machine on which an earlier command of this user started the run. */
  target: v.optional(Target),
  /** Another run, for the machine that it is on. */
  beside: v.optional(RunPlace),
  /** Follow it only; start nothing. */
  attach: v.optional(v.boolean()),
  /** Files and folders to send, beside those that the program names: paths relative to the project's folder. */
  send: v.optional(v.array(v.string())),
  /** Most bytes of the project's files. */
  sendLimit: v.optional(v.number()),
  /** Of workers on several hosts: how often all may be restarted, and whether other machines may reach them. */
  maxRestarts: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  openNetwork: v.optional(v.boolean()),
  /** Requests are not stored. */
  tokens: v.optional(RayTokens),
});
export type RunOn = v.InferOutput<typeof RunOn>;
