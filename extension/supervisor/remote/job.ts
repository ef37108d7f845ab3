// Runs a training as a job of a Ray cluster. Nothing can be sent to a job, so it writes all events of the run to its log.
import { spawn } from "node:child_process";
import { copyFile, lstat, mkdir, readdir, rm } from "node:fs/promises";
import { writeSync } from "node:fs";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import * as v from "valibot";
import { openRegular } from "../../files/regular.ts";
import { inside } from "../../files/inside.ts";
import { runPath } from "../../files/runFiles.ts";
import { EngineError, toUserError } from "../../protocol/errors.ts";
import { RUNS_FOLDER } from "../../protocol/run.ts";
import { CHUNK, JOB_VARIABLE, RayJob, type FollowRequest } from "../../remote/messages.ts";
import { JobLog } from "../../remote/ray/jobLog.ts";
import { Counted } from "../../remote/rows.ts";
import type { Teller } from "../../remote/wire.ts";
import { isLive, readRun } from "../runs/runDirectory.ts";
import { Follower } from "./follower.ts";
import { PROJECT_FOLDER } from "./keeper.ts";
import { launch } from "./launch.ts";
import { hashOfFile } from "./store.ts";

/** Milliseconds between two records or two reports of progress: the log keeps them all. */
const INTERVAL = 2000;
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

/** Ray's SIGTERM, which may arrive at any time. */
class Stop {
  #wanted = false;
  #end: (() => void) | undefined;

  now(): void {
    this.#wanted = true;
    this.#end?.();
  }

  /** Sets the action of the signal; runs it at once if the signal has arrived. */
  by(end: () => void): void {
    this.#end = end;
    if (this.#wanted) end();
  }

  /** @throws EngineError if the signal has arrived */
  throwIfWanted(): void {
    if (this.#wanted)
      throw new EngineError({ code: "job-stopped", message: "The job was stopped before the run began." });
  }
}

/** Appends to the job's log: its standard output is a file. */
function write(bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(1, bytes, done);
}

async function run(
  { run: name, id, folder: root, packages, request, begun }: RayJob,
  log: JobLog,
  stop: Stop,
): Promise<void> {
  // Ray unpacks Layerwise itself into the working folder.
  const dist = resolve("dist");
  await ownFolder(root);
  const folder = join(root, "runs", name);
  await mkdir(join(folder, PROJECT_FOLDER), { recursive: true, mode: 0o700 });
  for (const one of packages) await lay(unpacked(one), folder);
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
  const { device } = request;
  // Ray signals the installer too.
  const installed =
    device === "wasm" || device === "cpu" || (await installEngine(dist, device === "gpu", log));
  stop.throwIfWanted();
  if (!installed)
    await log.tell("said", { level: "warning", text: "TensorFlow could not be installed on the node." });
  const resume = request.resume === true && there !== undefined;
  const what = { request: { ...request, directory, resume, outlive: true }, dist };
  const keeper = await launch(what, folder, there?.record);
  const ended = new Promise((settle) => keeper.once("exit", settle));
  const over = keeper.exitCode !== null || keeper.signalCode !== null;
  await follow(folder, directory, new Told(log, directory), stop);
  // If this process ended first, the keeper could become a zombie, and Ray would wait for it.
  if (!over) await Promise.race([ended, delay(KEEPER_LIMIT, undefined, { ref: false })]);
}

/** Follows the run from its first row to its end. */
async function follow(folder: string, directory: string, told: Told, stop: Stop): Promise<void> {
  do {
    told.changed = false;
    const follower = new Follower(folder, directory, told);
    stop.by(() => void follower.control("stop", []).catch(() => undefined));
    await follower.skip(NOTHING);
    await follower.follow();
  } while (told.changed);
}

/** Writes the events of a run to the log, and its checkpoints before its end. */
class Told implements Teller {
  /** Whether the run has replaced its files, so that it has to be followed again. */
  changed = false;
  readonly #log: JobLog;
  readonly #directory: string;
  readonly #last = new Map<string, number>();
  #state = "";
  #due: unknown;

  constructor(log: JobLog, directory: string) {
    this.#log = log;
    this.#directory = directory;
  }

  get closed(): boolean {
    return this.#log.closed;
  }

  async tell(event: string, data: unknown, body?: Buffer): Promise<void> {
    if (event === "progress" && this.#isEarly(event)) return;
    if (event === "record") {
      const { state } = data as { state: string };
      if (state === this.#state && this.#isEarly(event)) return void (this.#due = data);
      this.#state = state;
      this.#last.set(event, performance.now());
      this.#due = undefined;
    }
    if (event === "changed") this.changed = true;
    if (event === "ended") {
      if (this.#due !== undefined) await this.#log.tell("record", this.#due);
      await this.#files();
    }
    await this.#log.tell(event, data, body);
  }

  #isEarly(event: string): boolean {
    const now = performance.now();
    if (now - (this.#last.get(event) ?? -INTERVAL) < INTERVAL) return true;
    this.#last.set(event, now);
    return false;
  }

  /** Writes the weights. A file that can't be read is skipped with a warning. */
  async #files(): Promise<void> {
    const { record } = await readRun(this.#directory);
    for (const { file } of record.checkpoints)
      try {
        await this.#file(file);
      } catch (error) {
        const { message } = toUserError(error);
        await this.#log.tell("said", {
          level: "warning",
          text: `${file} stays on the cluster: ${message}\n`,
        });
      }
  }

  async #file(file: string): Promise<void> {
    const path = await runPath(this.#directory, file);
    const handle = await openRegular(path);
    try {
      const { size } = await handle.stat();
      const hash = await hashOfFile(path);
      for (let offset = 0; offset === 0 || offset < size;) {
        const buffer = Buffer.alloc(Math.min(CHUNK, size - offset));
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
        if (bytesRead < buffer.length) throw new Error("it is shorter by now");
        await this.#log.tell("file", { file, size, hash, offset }, buffer);
        offset += Math.max(1, bytesRead);
      }
    } finally {
      await handle.close();
    }
  }
}

const none = new Counted().have;
const NOTHING: FollowRequest = { metrics: none, layers: none, findings: none, log: none };

/** Makes the folder of runs. Its default name is public, so another user may have made it. */
async function ownFolder(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  const stats = await lstat(folder);
  const own = stats.isDirectory() && (process.getuid === undefined || stats.uid === process.getuid());
  if (own && (stats.mode & 0o022) === 0) return;
  throw new EngineError({
    code: "remote-disk",
    message: `${folder} on the cluster is another user's, or others can write in it.`,
    hint: 'Name another folder as the target\'s "folder".',
  });
}

/** The folder into which Ray has unpacked a package: it is on PYTHONPATH. */
function unpacked(name: string): string {
  const folders = (process.env["PYTHONPATH"] ?? "").split(delimiter);
  const found = folders.find((one) => basename(one) === basename(name, ".zip"));
  if (found !== undefined) return found;
  throw new EngineError({ code: "remote-files", message: `Ray has not unpacked ${name}.` });
}

/** Copies the files of a package: jobs with the same package share Ray's folder. */
async function lay(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const target = await inside(to, entry.name);
    if (entry.isDirectory()) {
      await mkdir(target, { recursive: true, mode: 0o700 });
      await lay(join(from, entry.name), target);
    } else if (entry.isFile()) {
      await rm(target, { force: true });
      await copyFile(join(from, entry.name), target);
    }
  }
}

/** Installs the native engine for this user of the node, if it is missing. Without it, WebAssembly computes. */
async function installEngine(dist: string, gpu: boolean, log: JobLog): Promise<boolean> {
  const args = [join(dist, "cli.js"), "engine", "install", ...(gpu ? ["--gpu"] : [])];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const listen = async (stream: typeof child.stdout, level: "info" | "warning"): Promise<void> => {
    for await (const line of createInterface({ input: stream })) {
      if (!/already installed/.test(line)) await log.tell("said", { level, text: line.slice(0, 2000) });
    }
  };
  const code = await new Promise<number | null>((settle) => {
    child.once("error", () => settle(null));
    void Promise.all([listen(child.stdout, "info"), listen(child.stderr, "warning")]);
    child.once("close", settle);
  });
  return code === 0;
}
