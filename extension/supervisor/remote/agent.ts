// Answers the calls of one connection, on the machine of the runs.
import { spawn } from "node:child_process";
import { mkdir, rm, type FileHandle } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { openRegular } from "../../files/regular.ts";
import { runPath } from "../../files/runFiles.ts";
import { EngineError } from "../../protocol/errors.ts";
import { RunRequest } from "../../protocol/engine.ts";
import { CheckpointFile, CHUNK, FollowRequest, SentFile, Sha256 } from "../../remote/messages.ts";
import { RemoteRunId } from "../../protocol/target.ts";
import { FolderName } from "../../protocol/names.ts";
import { RUNS_FOLDER } from "../../protocol/run.ts";
import { Peer, type Parcel } from "../../remote/wire.ts";
import { isLive, readRun } from "../runs/runDirectory.ts";
import { Follower } from "./follower.ts";
import { ControlCall, JOB_FILE, PROJECT_FOLDER } from "./keeper.ts";
import { launch } from "./launch.ts";
import { hashOfFile, isThere, Store } from "./store.ts";

/** Milliseconds without a heartbeat after which the other side has ended: it gives one every 20 seconds. */
const SILENCE = 90_000;

const Run = v.object({ run: RemoteRunId, id: FolderName });
const Whole = v.pipe(v.number(), v.integer(), v.minValue(0));

type Method = (params: unknown, body: Buffer) => Promise<Parcel | undefined>;

export class Agent {
  #folder = "";
  #store: Store | undefined;
  #follower: Follower | undefined;
  #file: FileHandle | undefined;
  /** The run of this connection, once the other side has named it. */
  #run: { folder: string; directory: string } | undefined;
  readonly #line: Peer;
  #heard = performance.now();

  constructor() {
    this.#line = new Peer(process.stdin, process.stdout, {
      answer: (method, params, body) => this.#answer(method, params, body),
      event: () => (this.#heard = performance.now()),
      closed: () => void this.#exit(0),
    });
    setInterval(() => {
      if (performance.now() - this.#heard > SILENCE) void this.#exit(0);
    }, 10_000).unref();
  }

  /** Ends this process, and removes incomplete files. */
  async #exit(code: number): Promise<void> {
    await this.#store?.close().catch(() => undefined);
    process.exit(code);
  }

  async #answer(method: string, params: unknown, body: Buffer): Promise<Parcel | undefined> {
    this.#heard = performance.now();
    if (!Object.hasOwn(this.#methods, method))
      throw new EngineError({ code: "internal", message: `internal: the agent has no method ${method}` });
    try {
      return await this.#methods[method]!(params, body);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOSPC" || code === "EDQUOT")
        throw new EngineError({
          code: "remote-disk",
          message: "The disk there is full.",
          hint: `Free space in ${this.#folder}, or set another "folder" for the machine.`,
        });
      if (code === "EACCES" || code === "EROFS" || code === "EPERM")
        throw new EngineError({
          code: "remote-disk",
          message: `The folder there can't be written: ${(error as Error).message}.`,
          hint: 'Set another "folder" for the machine.',
        });
      throw error;
    }
  }

  readonly #methods: Readonly<Record<string, Method>> = {
    open: async (params) => {
      const { folder = join(homedir(), ".layerwise") } = v.parse(
        v.object({ folder: v.optional(v.string()) }),
        params,
      );
      await mkdir(folder, { recursive: true, mode: 0o700 });
      this.#folder = folder;
      this.#store = new Store(folder);
      await this.#store.sweep();
      return { value: { node: process.version, platform: `${process.platform}-${process.arch}`, folder } };
    },
    missing: async (params) => {
      const { hashes } = v.parse(v.object({ hashes: v.array(Sha256) }), params);
      return { value: await this.#opened().missing(hashes) };
    },
    put: async (params, body) => {
      const { hash, offset, last } = v.parse(
        v.object({ hash: Sha256, offset: Whole, last: v.boolean() }),
        params,
      );
      await this.#opened().put(hash, offset, last, body);
      return undefined;
    },
    layPackage: async (params) => {
      const { id, files } = v.parse(v.object({ id: Sha256, files: v.array(SentFile) }), params);
      await this.#opened().layPackage(id, files);
      return undefined;
    },
    layRun: async (params) => {
      const { run, id, files } = v.parse(v.object({ ...Run.entries, files: v.array(SentFile) }), params);
      await this.#choose(run, id);
      await this.#opened().layRun(this.#chosen().folder, files);
      return undefined;
    },
    start: async (params) => {
      const { package: name, request } = v.parse(v.object({ package: Sha256, request: RunRequest }), params);
      return { value: await this.#start(name, request) };
    },
    follow: async (params) => {
      const parsed = v.parse(v.object({ ...Run.entries, have: FollowRequest }), params);
      await this.#choose(parsed.run, parsed.id);
      const { folder, directory } = this.#chosen();
      if (!(await isThere(JOB_FILE)))
        throw new EngineError({
          code: "remote-gone",
          message: `There is no run ${parsed.id} on this machine any more.`,
        });
      await this.#follower?.stop();
      this.#follower = new Follower(folder, directory, this.#line);
      return { value: await this.#follower.skip(parsed.have) };
    },
    go: async () => {
      void this.#follower?.follow().catch((error: unknown) => {
        process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
        void this.#exit(1);
      });
      return Promise.resolve(undefined);
    },
    record: async () => ({ value: (await readRun(this.#chosen().directory)).record }),
    control: async (params) => {
      const { name, args } = v.parse(ControlCall, params);
      if (this.#follower === undefined) throw notFollowed();
      return { value: (await this.#follower.control(name, args)) ?? null };
    },
    openFile: async (params) => {
      const { file } = v.parse(v.object({ file: CheckpointFile }), params);
      const path = await runPath(this.#chosen().directory, file);
      await this.#file?.close();
      this.#file = await openRegular(path);
      const { size } = await this.#file.stat();
      return {
        value: { size, hash: await hashOfFile(`/dev/fd/${this.#file.fd}`).catch(() => hashOfFile(path)) },
      };
    },
    readFile: async (params) => {
      const { offset } = v.parse(v.object({ offset: Whole }), params);
      if (this.#file === undefined) throw notFollowed();
      const buffer = Buffer.alloc(CHUNK);
      const { bytesRead } = await this.#file.read(buffer, 0, CHUNK, offset);
      return { value: null, body: buffer.subarray(0, bytesRead) };
    },
    engine: async (params) => {
      const { package: name, args } = v.parse(
        v.object({ package: Sha256, args: v.picklist(["install", "install --gpu", "status", "doctor"]) }),
        params,
      );
      return { value: await this.#engine(name, args.split(" ")) };
    },
    forget: async (params) => {
      const { run, id } = v.parse(Run, params);
      await this.#choose(run, id);
      const { folder, directory } = this.#chosen();
      const there = await readRun(directory).catch(() => undefined);
      if (there !== undefined && isLive(there.record))
        throw new EngineError({ code: "busy", message: `Run ${id} is still running there. Stop it first.` });
      process.chdir(this.#folder);
      this.#run = undefined;
      await rm(folder, { recursive: true, force: true });
      return undefined;
    },
  };

  #opened(): Store {
    if (this.#store === undefined)
      throw new EngineError({ code: "internal", message: "internal: the folder has not been opened" });
    return this.#store;
  }

  #chosen(): { folder: string; directory: string } {
    if (this.#run === undefined) throw notFollowed();
    return this.#run;
  }

  async #choose(run: string, id: string): Promise<void> {
    this.#opened();
    const folder = join(this.#folder, "runs", run);
    await mkdir(join(folder, PROJECT_FOLDER), { recursive: true, mode: 0o700 });
    // The keeper's socket is named relative to it.
    process.chdir(folder);
    this.#run = { folder, directory: join(folder, PROJECT_FOLDER, ...RUNS_FOLDER.split("/"), id) };
  }

  /** Starts the run, unless it is running, in a process that outlives this connection. */
  async #start(name: string, request: RunRequest): Promise<"started" | "running"> {
    const { folder, directory } = this.#chosen();
    const there = await readRun(directory).catch(() => undefined);
    if (there !== undefined && isLive(there.record)) return "running";
    // A run without a record starts from the beginning.
    const resume = request.resume === true && there !== undefined;
    const dist = join(this.#folder, "packages", name, "dist");
    await launch({ request: { ...request, directory, resume, outlive: true }, dist }, folder, there?.record);
    return "started";
  }

  /** Runs a command of the native engine, and forwards its output. @returns its exit code */
  async #engine(name: string, args: readonly string[]): Promise<number> {
    const cli = join(this.#folder, "packages", name, "dist", "cli.js");
    const child = spawn(process.execPath, [cli, "engine", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let rest = "";
    const pass = (bytes: Buffer): void => {
      const lines = (rest + bytes.toString("utf8")).split("\n");
      rest = (lines.pop() ?? "").slice(0, 1000);
      for (const line of lines) void this.#line.tell("line", line.slice(0, 2 ** 12));
    };
    child.stdout.on("data", pass);
    child.stderr.on("data", pass);
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? 1));
    });
  }
}

const notFollowed = (): EngineError =>
  new EngineError({ code: "internal", message: "internal: no run has been named" });
