// Answers the calls of one connection, on the machine of the runs.
import { spawn } from "node:child_process";
import { rm, type FileHandle } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import * as v from "valibot";
import { makeFolder } from "../../files/folders.ts";
import { isMissing } from "../../files/fileError.ts";
import { openRegular } from "../../files/regular.ts";
import { runPath } from "../../files/runFiles.ts";
import { EngineError } from "../../protocol/errors.ts";
import { RunRequest } from "../../protocol/engine.ts";
import { ISOLATED } from "../../remote/bootstrap.ts";
import {
  CHUNK,
  FetchedFile,
  FollowRequest,
  NO_FILE,
  ORDERS,
  SentFile,
  Sha256,
  WorkersRequest,
  type AgentAnswer,
} from "../../remote/messages.ts";
import { RemoteRunId } from "../../protocol/target.ts";
import { FolderName } from "../../protocol/names.ts";
import { isLive, RUNS_FOLDER, type RunRecord } from "../../protocol/run.ts";
import { Peer, type Parcel } from "../../remote/wire.ts";
import { readRun } from "../runs/runDirectory.ts";
import { Follower } from "./follower.ts";
import { ControlCall, JOB_FILE, PROJECT_FOLDER } from "./keeper.ts";
import { launch } from "./launch.ts";
import { ownFolder } from "./ownFolder.ts";
import { hashOfFile, isThere, Store } from "./store.ts";
import { HostWorkers } from "./workers.ts";

/** Milliseconds without a heartbeat after which the other side has ended: it gives one every 5 seconds. */
const SILENCE = 90_000;
/** The same for workers: those of other machines wait for them. */
const WORKERS_SILENCE = 20_000;
const CHECK = 2000;

const Run = v.object({ run: RemoteRunId, id: FolderName });
const Whole = v.pipe(v.number(), v.integer(), v.minValue(0));

type Method = (params: unknown, body: Buffer) => Promise<Parcel | undefined>;

/** An agent's connection, and what it has beside that. */
export interface AgentOptions {
  input: Readable;
  output: Writable;
  /** The folder of programs, where they were not sent over the connection. */
  dist?: string;
  /** This machine's address for workers of others, where they connect without tunnels. */
  address?: string;
  /** Runs before the first answer; it may report what it does. */
  prepare?: (say: (level: "info" | "warning", text: string) => void) => Promise<void>;
}

export class Agent {
  #folder = "";
  #store: Store | undefined;
  #follower: Follower | undefined;
  #workers: HostWorkers | undefined;
  #file: FileHandle | undefined;
  /** The run of this connection, once the other side has named it. */
  #run: { folder: string; directory: string } | undefined;
  readonly #line: Peer;
  #heard = performance.now();

  readonly #options: Omit<AgentOptions, "input" | "output">;

  constructor({ input, output, ...options }: AgentOptions) {
    this.#options = options;
    this.#line = new Peer(input, output, {
      answer: (method, params, body) => this.#answer(method, params, body),
      event: (event, data, body) => this.#event(event, data, body),
      closed: () => void this.#exit(0),
    });
    setInterval(() => {
      const limit = this.#workers === undefined ? SILENCE : WORKERS_SILENCE;
      if (performance.now() - this.#heard > limit) void this.#exit(0);
    }, CHECK).unref();
  }

  #event(event: string, data: unknown, body: Buffer): void {
    this.#heard = performance.now();
    if (event === "tunnel") this.#workers?.tunnel(v.parse(ORDERS.tunnel, data), body);
    else if (event === "listening") this.#workers?.listening(v.parse(ORDERS.listening, data));
  }

  /** Ends this process, and removes incomplete files. */
  async #exit(code: number): Promise<void> {
    // Workers that lose the launcher lose the others too.
    await this.#workers?.end().catch(() => undefined);
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
          message: `The disk of ${hostname()} is full.`,
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
      const { folder: named = join(homedir(), ".layerwise") } = v.parse(
        v.object({ folder: v.optional(v.string()) }),
        params,
      );
      const folder = await ownFolder(named);
      this.#folder = folder;
      this.#store = new Store(folder);
      await this.#store.sweep();
      const { address, prepare } = this.#options;
      await prepare?.((level, text) => void this.#line.tell("said", { level, text }));
      const isolated = process.env[ISOLATED] !== undefined;
      const platform = `${process.platform}-${process.arch}`;
      const facts = { node: process.version, platform, folder, isolated };
      return { value: { ...facts, ...(address === undefined ? {} : { address }) } };
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
    startWorkers: async (params) => {
      const sent = v.parse(WorkersRequest, params);
      await this.#workers?.end();
      await this.#choose(sent.run, sent.id);
      const { folder, directory } = this.#chosen();
      // From now on, it gets what the other hosts send.
      const workers = new HostWorkers(sent, this.#line);
      this.#workers = workers;
      await workers.start(folder, directory, this.#distOf(sent.package));
      return undefined;
    },
    endWorkers: async () => {
      await this.#workers?.end();
      return undefined;
    },
    follow: async (params) => {
      const parsed = v.parse(v.object({ ...Run.entries, have: FollowRequest }), params);
      await this.#choose(parsed.run, parsed.id);
      const { folder, directory } = this.#chosen();
      if (!(await isThere(join(folder, JOB_FILE))))
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
      if (this.#workers !== undefined) return { value: (await this.#workers.control(name, args)) ?? null };
      if (this.#follower === undefined) throw notFollowed();
      return { value: (await this.#follower.control(name, args)) ?? null };
    },
    openFile: async (params) => {
      const { file } = v.parse(v.object({ file: FetchedFile }), params);
      const path = await runPath(this.#chosen().directory, file);
      await this.#file?.close();
      this.#file = undefined;
      this.#file = await openRegular(path).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
        throw new EngineError({ code: NO_FILE, message: `The run has no ${file}.` });
      });
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

  /** The folder of a version's programs. */
  #distOf(name: string | undefined): string {
    if (name === undefined) return this.#options.dist ?? "";
    return join(this.#folder, "packages", name, "dist");
  }

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
    await makeFolder(join(folder, PROJECT_FOLDER), 0o700);
    // The keeper's socket is named relative to it.
    process.chdir(folder);
    this.#run = { folder, directory: join(folder, PROJECT_FOLDER, ...RUNS_FOLDER.split("/"), id) };
  }

  /** Starts the run, unless it is running, in a process that outlives this connection. */
  async #start(name: string, request: RunRequest): Promise<AgentAnswer<"start">> {
    const { folder, directory } = this.#chosen();
    const there = await readRun(directory).catch(() => undefined);
    if (there !== undefined && isLive(there.record)) return "running";
    if (request.resume === true && there?.record.state === "finished" && !isExtended(request, there.record))
      return "finished";
    // A run without a record starts from the beginning.
    const resume = request.resume === true && there !== undefined;
    const dist = this.#distOf(name);
    await launch({ request: { ...request, directory, resume, outlive: true }, dist }, folder, there?.record);
    return "started";
  }

  /** Runs a command of the native engine, and forwards its output. @returns its exit code */
  async #engine(name: string, args: readonly string[]): Promise<number> {
    const cli = join(this.#distOf(name), "cli.js");
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

/** Whether a request is for more epochs than a run had. */
const isExtended = ({ epochs = 0 }: RunRequest, record: RunRecord): boolean => epochs > record.epochs;

const notFollowed = (): EngineError =>
  new EngineError({ code: "internal", message: "internal: no run has been named" });
