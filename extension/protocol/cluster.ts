// Reads the environment that launchers set for the processes they start: torchrun, TensorFlow's TF_CONFIG, Slurm.
import * as v from "valibot";

/** A process's place among those that were started together. */
export interface LaunchedPlace {
  readonly rank: number;
  readonly size: number;
  /** "host:port" of each, by rank; undefined where they tell each other at the meeting point. */
  readonly addresses?: readonly string[];
  /** "host:port" where the first process can be met. */
  readonly master?: string;
  /** The launcher whose variables were read. */
  readonly launcher: "torchrun" | "TF_CONFIG" | "Slurm";
}

type Environment = Readonly<Record<string, string | undefined>>;

/** torchrun's default port. */
const PORT = 29_500;

/**
 * The place that a launcher has given this process; undefined where none has, or it is alone.
 * @throws Error for a place that is incomplete
 */
export function launchedPlace(env: Environment): LaunchedPlace | undefined {
  const place = ofTorchrun(env) ?? ofTensorFlow(env) ?? ofSlurm(env);
  return place === undefined || place.size < 2 ? undefined : place;
}

/** A whole number from 0 of a variable. */
function number(env: Environment, name: string): number {
  const text = env[name] ?? "";
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${name}: expected a number, got "${text}".`);
  return Number(text);
}

function checked(place: LaunchedPlace, rank: string, size: string): LaunchedPlace {
  if (place.rank >= place.size)
    throw new Error(`${rank} (${place.rank}) must be less than ${size} (${place.size}).`);
  return place;
}

function ofTorchrun(env: Environment): LaunchedPlace | undefined {
  if (env["WORLD_SIZE"] === undefined || env["RANK"] === undefined) return undefined;
  const host = env["MASTER_ADDR"];
  if (host === undefined)
    throw new Error("WORLD_SIZE and RANK are set, and MASTER_ADDR is not: it has to say where rank 0 is.");
  const port = env["MASTER_PORT"] === undefined ? PORT : number(env, "MASTER_PORT");
  // torchrun's own agent listens on the port itself.
  const taken = env["TORCHELASTIC_USE_AGENT_STORE"] === "True" ? 1 : 0;
  const place = {
    rank: number(env, "RANK"),
    size: number(env, "WORLD_SIZE"),
    master: `${host}:${port + taken}`,
  };
  return checked({ ...place, launcher: "torchrun" }, "RANK", "WORLD_SIZE");
}

const TfConfig = v.object({
  cluster: v.object({
    chief: v.optional(v.array(v.string())),
    worker: v.optional(v.array(v.string())),
  }),
  task: v.object({
    type: v.string(),
    index: v.pipe(v.union([v.number(), v.pipe(v.string(), v.transform(Number))]), v.integer(), v.minValue(0)),
  }),
});

function ofTensorFlow(env: Environment): LaunchedPlace | undefined {
  const text = env["TF_CONFIG"];
  if (text === undefined || text === "") return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error("TF_CONFIG: expected JSON.");
  }
  const { success, output, issues } = v.safeParse(TfConfig, parsed);
  if (!success) throw new Error(`TF_CONFIG: ${v.getDotPath(issues[0]) ?? "it"}: ${issues[0].message}`);
  const { chief = [], worker = [] } = output.cluster;
  const { type, index } = output.task;
  if (type !== "chief" && type !== "worker")
    throw new Error(`TF_CONFIG: a task of type "${type}" takes no part in a training by collectives.`);
  const addresses = [...chief, ...worker];
  const rank = type === "chief" ? index : chief.length + index;
  return checked(
    { rank, size: addresses.length, addresses, launcher: "TF_CONFIG" },
    "the task's index",
    "the number of tasks",
  );
}

function ofSlurm(env: Environment): LaunchedPlace | undefined {
  // `srun` sets them; a batch script's own process has no SLURM_STEP_ID.
  if (env["SLURM_PROCID"] === undefined || env["SLURM_STEP_ID"] === undefined) return undefined;
  if (env["SLURM_NTASKS"] === undefined) return undefined;
  const nodes = env["SLURM_STEP_NODELIST"] ?? env["SLURM_JOB_NODELIST"] ?? "";
  const host = firstHost(nodes);
  if (host === undefined) throw new Error(`SLURM_STEP_NODELIST: expected names of nodes, got "${nodes}".`);
  // A job's own port, so that two jobs of a node don't meet.
  const port = 20_000 + (number(env, "SLURM_JOB_ID") % 10_000);
  const place = {
    rank: number(env, "SLURM_PROCID"),
    size: number(env, "SLURM_NTASKS"),
    master: `${host}:${port}`,
  };
  return checked({ ...place, launcher: "Slurm" }, "SLURM_PROCID", "SLURM_NTASKS");
}

/** The first of Slurm's list of hosts: "gpu[003-006,010],login1" begins with gpu003. */
export function firstHost(list: string): string | undefined {
  const match = /^([\w.-]+)(?:\[([\w-]+)[^\]]*\])?([\w.-]*)/.exec(list.trim());
  if (match === null) return undefined;
  const [, before, range, after] = match;
  return range === undefined ? `${before}` : `${before}${range.split("-")[0]}${after}`;
}
