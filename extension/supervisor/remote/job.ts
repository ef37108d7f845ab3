// Runs a training as a job of a Ray cluster. Nothing can be sent to a job, so it writes all events of the run to its log.
import { writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as v from "valibot";
import { EngineError, toUserError } from "../../protocol/errors.ts";
import { isLive, RUNS_FOLDER } from "../../protocol/run.ts";
import { JOB_VARIABLE, RayJob } from "../../remote/messages.ts";
import { JobLog } from "../../remote/ray/jobLog.ts";
import { readRun } from "../runs/runDirectory.ts";
import { Follower } from "./follower.ts";
import { trainInGroup } from "./jobGroup.ts";
import { PROJECT_FOLDER } from "./keeper.ts";
import { launch } from "./launch.ts";
import { filesOf, NOTHING, Stop, EventLog } from "./eventLog.ts";
import { prepareEngine, unpack } from "./unpack.ts";

/** Milliseconds without an event after which a heartbeat is sent. */
const BEAT = 20_000;
/** Time limit in milliseconds of the keeper's exit after the run's end. */
const KEEPER_LIMIT = 10_000;

/** Runs to the end of the training. Its rows, log and weights are in the job's log then. */
export async function job(): Promise<void> {
  let told = 0;
  const log = new JobLog((text) => {
    told = performance.now();
    write(Buffer.from(text));
  });
  setInterval(() => {
    if (performance.now() - told > BEAT) void log.tell("line", "");
  }, BEAT / 4).unref();
  const stop = new Stop();
  process.on("SIGTERM", () => stop.now());
  try {
    const text = process.env[JOB_VARIABLE] ?? "";
    Reflect.deleteProperty(process.env, JOB_VARIABLE);
    await run(v.parse(RayJob, JSON.parse(text)), log, stop);
  } catch (error) {
    await log.tell("failed", toUserError(error));
  }
  process.exit(0);
}

/** Appends to the job's log: its standard output is a file. */
function write(bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(1, bytes, done);
}

async function run(what: RayJob, log: JobLog, stop: Stop): Promise<void> {
  const { id, request, begun } = what;
  if (what.group !== undefined) return trainInGroup(what, what.group, log, stop);
  // Ray unpacks Layerwise itself into the working folder.
  const dist = resolve("dist");
  const folder = await unpack(what);
  process.chdir(folder);
  const directory = join(folder, PROJECT_FOLDER, ...RUNS_FOLDER.split("/"), id);
  const there = await readRun(directory).catch(() => undefined);
  if (there !== undefined && isLive(there.record))
    throw new EngineError({ code: "busy", message: `Run ${id} is still running on the cluster.` });
  if (there === undefined && begun)
    throw new EngineError({
      code: "remote-gone",
      message: `The node of this job has no saved state of run ${id}: ${folder} is empty.`,
      hint: 'Name a folder that all nodes share as the target\'s "folder" to resume runs on any of them.',
    });
  // Ray signals the installer too.
  await prepareEngine(what, dist, (level, text) => void log.tell("said", { level, text }));
  stop.throwIfWanted();
  const resume = request.resume === true && there !== undefined;
  const job = { request: { ...request, directory, resume, outlive: true }, dist };
  const keeper = await launch(job, folder, there?.record);
  const ended = new Promise((settle) => keeper.once("exit", settle));
  const over = keeper.exitCode !== null || keeper.signalCode !== null;
  await follow(folder, directory, new EventLog(log, filesOf(directory)), stop);
  // If this process ended first, the keeper could become a zombie, and Ray would wait for it.
  if (!over) await Promise.race([ended, delay(KEEPER_LIMIT, undefined, { ref: false })]);
}

/** Follows the run from its first row to its end. */
async function follow(folder: string, directory: string, told: EventLog, stop: Stop): Promise<void> {
  do {
    told.changed = false;
    const follower = new Follower(folder, directory, told);
    stop.by(() => void follower.control("stop", []).catch(() => undefined));
    await follower.skip(NOTHING);
    await follower.follow();
  } while (told.changed);
}
