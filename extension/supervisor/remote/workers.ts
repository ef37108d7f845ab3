// The workers of one training that are on this machine. They end with the line to the launcher.
import { isLive } from "../../protocol/run.ts";
import { rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { makeFolder } from "../../files/folders.ts";
import { RUN_CONTROLS, type ControlName } from "../../protocol/controls.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { Tunnel, WorkersRequest } from "../../remote/messages.ts";
import type { Teller } from "../../remote/wire.ts";
import { mark, startWorker } from "../parallel/worker.ts";
import { processOf } from "../runs/liveness.ts";
import { readRun } from "../runs/runDirectory.ts";
import type { RunEvents, RunHandle } from "../runs/run.ts";
import { JOB_FILE, PROJECT_FOLDER, type Job } from "./keeper.ts";
import { begun } from "./launch.ts";
import { demandFree, Tunnels } from "./tunnels.ts";

/** Milliseconds between two reports of the workers' heartbeats. */
const INTERVAL = 1000;
/** The folder of what all workers but the first write. */
const SCRATCH = "scratch";
/** Milliseconds that the first worker of a lost connection gets to end. */
const END_LIMIT = 5000;
const END_CHECK = 100;

export class HostWorkers {
  readonly #sent: WorkersRequest;
  readonly #line: Teller;
  /** Undefined where workers reach each other by their machines' addresses. */
  readonly #tunnels: Tunnels | undefined;
  readonly #ranks: readonly number[];
  readonly #handles: RunHandle[] = [];
  /** The heartbeat that an earlier first worker has left. */
  #before: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  /** Whether a worker has ended. */
  #failed = false;

  constructor(sent: WorkersRequest, line: Teller) {
    this.#sent = sent;
    this.#line = line;
    this.#ranks = sent.ranks;
    if (sent.addresses === undefined)
      this.#tunnels = new Tunnels(sent.ports, sent.ranks, (event, data, body) =>
        line.tell(event, data, body),
      );
  }

  /**
   * Starts the workers, and forwards their ends and heartbeats.
   * @param folder of the run @param directory of the first worker
   */
  async start(folder: string, directory: string, dist: string): Promise<void> {
    const { request: wanted, ranks, ports, begun: hasState, id } = this.#sent;
    const first = ranks.includes(0);
    await this.#tunnels?.demandFree();
    if (this.#tunnels === undefined) for (const rank of ranks) await demandFree(ports[rank]!);
    if (first) await demandEnded(directory);
    const there = await readRun(directory).catch(() => undefined);
    if (first && hasState && there === undefined)
      throw new EngineError({
        code: "remote-gone",
        message: `There is no saved state of run ${id} on this machine.`,
        hint: "A training resumes where its first host is the same as before.",
      });
    // A run without a record starts from the beginning.
    const resume = wanted.resume === true && there !== undefined;
    const request = { ...wanted, directory, resume, outlive: false };
    if (first) {
      await makeFolder(dirname(directory));
      // Who follows the run after its end finds it by this file.
      await writeFile(join(folder, JOB_FILE), JSON.stringify({ request, dist } satisfies Job), {
        mode: 0o600,
      });
    }
    const scratch = join(folder, SCRATCH, String(ranks[0]));
    await rm(scratch, { recursive: true, force: true });
    this.#before = await mark(directory);
    if (this.#ended) return;
    // As on the user's machine, the program's working folder is the project's.
    process.chdir(join(folder, PROJECT_FOLDER));
    this.#start({ ...this.#sent, request }, scratch, dist);
    const over = async (): Promise<boolean> => Promise.resolve(this.#failed || this.#ended);
    if (first) await begun(directory, there?.record, over);
  }

  #start({ request, ranks, ports, ...all }: WorkersRequest, scratch: string, dist: string): void {
    const addresses = ports.map((port, rank) => joined(all.addresses?.[rank] ?? "127.0.0.1", port));
    const tell = (event: string, data: unknown): void => void this.#line.tell(event, data);
    const events: RunEvents = {
      log: (level, text) => tell("said", { level, text }),
      progress: (progress) => tell("progress", progress),
      output: (stream, text) => tell("said", { level: stream === "stdout" ? "info" : "warning", text }),
    };
    for (const rank of ranks) {
      const worker = { rank, size: ports.length, addresses, timeout: 0 };
      const handle = startWorker(request, { worker, here: all.sharing, scratch }, events, { dist });
      this.#handles.push(handle);
      void this.#tellEnd(rank, handle);
    }
    void this.#tunnels?.announce();
    this.#timer = setInterval(() => void this.#tellMarks(), INTERVAL);
  }

  async #tellEnd(rank: number, { ended }: RunHandle): Promise<void> {
    const { error } = await ended;
    this.#failed = true;
    if (!this.#ended) await this.#line.tell("worker", { rank, ...(error === undefined ? {} : { error }) });
  }

  async #tellMarks(): Promise<void> {
    const marks = await Promise.all(this.#handles.map(({ request }) => mark(request.directory)));
    const given = marks.flatMap((one, i) =>
      one === undefined || one === this.#before ? [] : [{ rank: this.#ranks[i]!, mark: one }],
    );
    if (!this.#ended) await this.#line.tell("marks", given);
  }

  /** A worker of another machine listens. */
  listening(rank: number): void {
    void this.#tunnels?.open(rank).catch((error: unknown) => {
      const { message } = error as Error;
      void this.#line.tell("worker", { rank: this.#ranks[0], error: { code: "killed", message } });
    });
  }

  tunnel(part: Tunnel, bytes: Buffer): void {
    this.#tunnels?.take(part, bytes);
  }

  /** Calls a control of the first worker. */
  async control(name: string, args: readonly unknown[]): Promise<unknown> {
    const first = this.#ranks.includes(0) ? this.#handles[this.#ranks.indexOf(0)] : undefined;
    if (first === undefined || !Object.hasOwn(RUN_CONTROLS, name))
      throw new EngineError({ code: "internal", message: `internal: there is no control ${name}` });
    const control = first.control[name as ControlName] as (...all: unknown[]) => Promise<unknown>;
    return control(...args);
  }

  /** Ends all workers at once, with all that they have started. */
  async end(): Promise<void> {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#tunnels?.close();
    await Promise.all(this.#handles.map((handle) => handle.kill()));
  }
}

const joined = (host: string, port: number): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/** Waits until the first worker of an earlier connection has ended: it ends by itself, or is killed. */
async function demandEnded(directory: string): Promise<void> {
  for (let waited = 0; ; waited += END_CHECK) {
    const there = await readRun(directory).catch(() => undefined);
    if (there === undefined || !isLive(there.record)) return;
    if (waited >= END_LIMIT) await (await processOf(directory, there.record.id)).signal("SIGKILL");
    if (waited >= 2 * END_LIMIT)
      throw new EngineError({ code: "busy", message: `Run ${there.record.id} is still running there.` });
    await delay(END_CHECK);
  }
}
