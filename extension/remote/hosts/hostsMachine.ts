// Several machines whose workers train one model, as one machine. The first has the first worker, which writes the run.
// Workers live as long as their connections; when one of either is lost, all restart from the last saved state.
import { setTimeout as delay } from "node:timers/promises";
import { EngineError, toUserError, type UserError } from "../../protocol/errors.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import { isLive } from "../../protocol/run.ts";
import type { Target, WorkerHost } from "../../protocol/target.ts";
import { deferred, type Deferred } from "../../processes/deferred.ts";
import { SignsOfLife } from "../../processes/workers/signsOfLife.ts";
import {
  restartText,
  tooOften,
  watchWorkers,
  type GroupEnd,
  type WorkerEnd,
} from "../../processes/workers/watch.ts";
import { isCut, type Answered, type Heard, type Machine } from "../machine.ts";
import type { AgentCall } from "../messages.ts";
import { isLocal } from "../ssh.ts";
import { SshMachine } from "../sshMachine.ts";
import { Exchange, type HostLine } from "./exchange.ts";

/** Milliseconds to reach a lost host again, to wait before the first attempt, and at most between later ones. */
const RECONNECT_LIMIT = 120_000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;
/** Milliseconds that a host has to end its workers. */
const END_LIMIT = 10_000;
/** Milliseconds to wait for the record of a first worker that has failed. */
const RECORD_LIMIT = 3000;
/** The first worker's port where its machine has a network of its own; elsewhere, one of these that is free. */
const PORT = 20_000;
const PORTS = 10_000;
const PORT_TRIES = 5;
/** How often all may be restarted by default. */
const MOST_RESTARTS = 3;

export interface GroupOptions {
  maxRestarts?: number | undefined;
  /** Connects to a host by its number, and again when that connection was lost. */
  connect: (host: number, signal?: AbortSignal) => Promise<SshMachine>;
}

export interface SshGroupOptions {
  /** The folder of this version's programs. */
  dist: string;
  maxRestarts?: number | undefined;
  /** Whether other machines may reach workers on hosts that have no namespaces. */
  openNetwork?: boolean | undefined;
}

/** Start of the workers on one host. */
export interface HostStart {
  package?: string;
  request: RunRequest;
}

export interface GroupStart {
  run: string;
  id: string;
  /** Whether the run has trained before. */
  begun: boolean;
  /** By host. */
  starts: readonly HostStart[];
}

interface ConnectedHost extends HostLine {
  readonly target: WorkerHost;
  /** Replaced when the connection was lost. */
  machine: SshMachine;
}

/** One start of all workers. */
interface Attempt {
  exchange: Exchange;
  ends: Deferred<WorkerEnd>[];
  marks: (string | undefined)[];
}

export class HostsMachine implements Machine {
  readonly target: Target;
  readonly ended: Promise<EngineError>;
  listener: ((heard: Heard) => void) | undefined;
  readonly #options: GroupOptions;
  readonly #hosts: readonly ConnectedHost[];
  #end!: (reason: EngineError) => void;
  #closed = false;
  #isolated = true;
  #folders: readonly string[] = [];
  /** By host, where workers connect without tunnels. */
  #addresses: readonly string[] | undefined;
  #start: GroupStart | undefined;
  #attempt: Attempt | undefined;
  /** Whether the workers' fate is open, so that lost connections are this class's to restore. */
  #undecided = false;
  /** Settles at the next restart, or at the end. */
  #turn = deferred<void>();
  /** Whether the first worker's rows wait for its follower: it reads the files of an earlier attempt. */
  #muted = false;
  /** The final record of the first worker, and whether all of its rows have arrived. */
  #record: Heard | undefined;
  #heardAll = false;

  private constructor(target: Target, machines: readonly SshMachine[], options: GroupOptions) {
    this.target = target;
    this.#options = options;
    let rank = 0;
    this.#hosts = target.hosts!.map((host, i) => ({
      target: host,
      machine: machines[i]!,
      ranks: Array.from({ length: host.workers }, () => rank++),
    }));
    this.ended = new Promise((resolve) => (this.#end = resolve));
    for (const host of this.#hosts) this.#listen(host);
  }

  /** Connects to all hosts by ssh. @throws EngineError saying why one failed, and what to do */
  static connect(target: Target, options: SshGroupOptions, signal?: AbortSignal): Promise<HostsMachine> {
    const { dist, maxRestarts, openNetwork } = options;
    const connect = (index: number, one?: AbortSignal): Promise<SshMachine> => {
      const host = target.hosts![index]!;
      return SshMachine.connect(host, dist, one, {
        network: openNetwork === true ? "own-if-possible" : "own",
        compression: false,
        local: isLocal(host),
      });
    };
    return HostsMachine.over(target, { maxRestarts, connect }, signal);
  }

  /** Connects to all hosts. @throws EngineError of the first that failed */
  static async over(target: Target, options: GroupOptions, signal?: AbortSignal): Promise<HostsMachine> {
    const settled = await Promise.allSettled(target.hosts!.map((_, i) => options.connect(i, signal)));
    const machines = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const failed = settled.find((one) => one.status === "rejected");
    if (failed === undefined) return new HostsMachine(target, machines, options);
    for (const machine of machines) machine.close();
    throw failed.reason;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The connection to each host, and its folder for all files, once that is open. */
  get hosts(): readonly { machine: Machine; folder: string }[] {
    return this.#hosts.map(({ machine }, i) => ({ machine, folder: this.#folders[i]! }));
  }

  async call<K extends AgentCall>(method: K, params?: object, body?: Buffer): Promise<Answered<K>> {
    if (method === "open") return this.#open() as Promise<Answered<K>>;
    for (;;) {
      const next = this.#turn.promise;
      try {
        const answer = await this.#hosts[0]!.machine.call(method, params, body);
        if (method === "follow") this.#muted = false;
        return answer;
      } catch (error) {
        if (!this.#undecided || !isCut(toUserError(error).code)) throw error;
        await next;
      }
    }
  }

  /** Opens each host's own folder. @returns the first one's */
  async #open(): Promise<Answered<"open">> {
    const opened = await Promise.all(this.#hosts.map(openFolder));
    const odd = opened.findIndex(({ value }) => value.platform !== opened[0]!.value.platform);
    if (odd >= 0)
      throw new EngineError({
        code: "workers",
        message: `${this.#hosts[0]!.target.name} is ${opened[0]!.value.platform}, and ${this.#hosts[odd]!.target.name} is ${opened[odd]!.value.platform}: their results differ in the last digits, so they can't train one model.`,
        hint: "Name machines of one platform.",
      });
    this.#folders = opened.map(({ value }) => value.folder);
    const addresses = opened.map(({ value }) => value.address);
    if (addresses.every((address) => address !== undefined)) this.#addresses = addresses;
    this.#isolated = opened.every(({ value }) => value.isolated === true);
    return opened[0]!;
  }

  /** Starts the workers. They are watched until the training ends. @throws EngineError if they can't be started */
  async start(start: GroupStart): Promise<void> {
    this.#start = start;
    this.#undecided = true;
    try {
      this.#attempt = await this.#begin(false);
    } catch (error) {
      this.#undecided = false;
      throw error;
    }
    void this.#live(this.#attempt).catch((error: unknown) => this.#fail(toUserError(error)));
  }

  async #begin(again: boolean): Promise<Attempt> {
    for (let tries = 1; ; tries++)
      try {
        return await this.#beginAt(this.#isolated ? PORT : PORT + Math.floor(Math.random() * PORTS), again);
      } catch (error) {
        if (toUserError(error).code !== "port" || tries === PORT_TRIES) throw error;
      }
  }

  async #beginAt(port: number, again: boolean): Promise<Attempt> {
    const { starts, ...common } = this.#start!;
    const size = this.#hosts.reduce((sum, { ranks }) => sum + ranks.length, 0);
    const ports = Array.from({ length: size }, (_, rank) => port + rank);
    const attempt: Attempt = {
      exchange: new Exchange(this.#hosts),
      ends: ports.map(() => deferred()),
      marks: ports.map(() => undefined),
    };
    this.#attempt = attempt;
    this.#record = undefined;
    this.#heardAll = false;
    const addresses = this.#hosts.flatMap(({ ranks }, i) => ranks.map(() => this.#addresses?.[i] ?? ""));
    const all = this.#addresses === undefined ? { ...common, ports } : { ...common, ports, addresses };
    await Promise.all(
      this.#hosts.map(async ({ machine, ranks }, i) => {
        const own = this.#addresses?.[i];
        const sharing = own === undefined ? ranks.length : addresses.filter((one) => one === own).length;
        const { package: name, request } = starts[i]!;
        const started = again ? { ...request, resume: true } : request;
        await machine.call("startWorkers", { ...all, package: name, request: started, ranks, sharing });
      }),
    );
    return attempt;
  }

  async #live(first: Attempt): Promise<void> {
    const { maxRestarts = MOST_RESTARTS } = this.#options;
    let attempt = first;
    for (let restarts = 0; ; restarts++) {
      const end = await watchWorkers({
        ends: attempt.ends.map(({ promise }) => promise),
        marks: async () => Promise.resolve([...attempt.marks]),
        signs: new SignsOfLife(attempt.marks.map(() => undefined)),
        name: (rank) => this.#nameOf(rank),
      });
      if (this.#closed) return;
      if (end.kind !== "done") this.#muted = end.kind === "died";
      await this.#endWorkers();
      if (end.kind !== "died") return this.#decide(end);
      const name = this.#nameOf(end.rank);
      if (restarts >= maxRestarts) return this.#fail(tooOften(name, end.error, restarts));
      this.#say(restartText(name, end.error, restarts + 1, maxRestarts));
      attempt = await this.#again();
      this.#next();
      this.#pass({ event: "changed", data: null, body: NOTHING, length: 0 });
    }
  }

  /** Connects to lost hosts, and starts all workers from the last saved state. */
  async #again(): Promise<Attempt> {
    const until = performance.now() + RECONNECT_LIMIT;
    for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try {
        await Promise.all(
          this.#hosts.filter(({ machine }) => machine.closed).map((host) => this.#reconnect(host)),
        );
        return await this.#begin(true);
      } catch (error) {
        const cut = isCut(toUserError(error).code) || this.#hosts.some(({ machine }) => machine.closed);
        if (!cut || this.#closed || performance.now() > until) throw error;
        await this.#endWorkers();
        await delay(wait);
      }
    }
  }

  async #reconnect(host: ConnectedHost): Promise<void> {
    host.machine = await this.#options.connect(this.#hosts.indexOf(host));
    this.#listen(host);
    if (this.#closed) host.machine.close();
    const { value } = await openFolder(host);
    // The worker may be on another node now.
    if (value.address !== undefined)
      this.#addresses = this.#addresses?.with(this.#hosts.indexOf(host), value.address);
  }

  /** Ends all workers. A host that doesn't answer loses its connection, which ends its workers. */
  async #endWorkers(): Promise<void> {
    await Promise.all(
      this.#hosts.map(async ({ machine }) => {
        if (machine.closed) return;
        const late = new AbortController();
        const ended = machine.call("endWorkers").then(
          () => true,
          () => false,
        );
        const limit = delay(END_LIMIT, false, { signal: late.signal }).catch(() => false);
        if (!(await Promise.race([ended, limit]))) machine.close();
        late.abort();
      }),
    );
  }

  #listen(host: ConnectedHost): void {
    host.machine.listener = (heard) => this.#hear(host, heard);
    void this.#untilLost(host);
  }

  /** A lost connection is the end of its workers. */
  async #untilLost(host: ConnectedHost): Promise<void> {
    const { machine } = host;
    const reason = await machine.ended;
    if (host.machine !== machine) return;
    const error = { code: "killed", message: reason.message };
    for (const rank of host.ranks) this.#attempt?.ends[rank]?.resolve({ error });
    if (!this.#undecided && host === this.#hosts[0]) this.#finish(reason);
  }

  #hear(host: ConnectedHost, heard: Heard): void {
    const attempt = this.#attempt;
    const { event, data } = heard;
    const ends = (rank: number): Deferred<WorkerEnd> | undefined =>
      host.ranks.includes(rank) ? attempt?.ends[rank] : undefined;
    if (event === "tunnel") attempt?.exchange.pass(host, data, heard.body);
    else if (event === "listening") attempt?.exchange.listening(host, data);
    else if (event === "worker") ends(data.rank)?.resolve({ error: data.error });
    else if (event === "marks") {
      for (const { rank, mark } of data)
        if (host.ranks.includes(rank) && attempt !== undefined) attempt.marks[rank] = mark;
    }
    // Only the first worker writes the run.
    else if (host === this.#hosts[0] && !this.#muted) this.#follow(heard);
  }

  /** Passes on the first worker's rows. Its end counts once that of all is known. */
  #follow(heard: Heard): void {
    if (!this.#undecided) return this.#pass(heard);
    if (heard.event === "record" && !isLive(heard.data)) this.#record = heard;
    else if (heard.event === "ended") this.#heardAll = true;
    else if (heard.event !== "failed") this.#pass(heard);
  }

  /** Passes on the end of a training that has finished, was stopped, or failed by an error of its own. */
  async #decide(end: Exclude<GroupEnd, { kind: "died" }>): Promise<void> {
    if (end.kind === "failed") {
      for (let waited = 0; this.#record === undefined && waited < RECORD_LIMIT; waited += 100)
        await delay(100);
      if (end.rank > 0 || this.#record === undefined) return this.#fail(end.error);
    }
    this.#undecided = false;
    this.#next();
    if (this.#record !== undefined) this.#pass(this.#record);
    if (this.#heardAll) this.#pass({ event: "ended", data: null, body: NOTHING, length: 0 });
  }

  #fail(error: UserError): void {
    this.#undecided = false;
    this.#next();
    this.#pass({ event: "failed", data: error, body: NOTHING, length: 0 });
  }

  #next(): void {
    this.#turn.resolve();
    this.#turn = deferred<void>();
  }

  #nameOf(rank: number): string {
    return `Worker ${rank} on ${this.#hosts.find(({ ranks }) => ranks.includes(rank))!.machine.target.name}`;
  }

  #say(text: string): void {
    this.#pass({ event: "said", data: { level: "warning", text }, body: NOTHING, length: text.length });
  }

  #pass(heard: Heard): void {
    this.listener?.(heard);
  }

  #finish(reason: EngineError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#undecided = false;
    for (const { machine } of this.#hosts) machine.close();
    this.#next();
    this.#end(reason);
  }

  /** Closes the connections, which ends all workers. */
  close(): void {
    this.#finish(
      new EngineError({ code: "line", message: `The connections to ${this.target.name} are closed.` }),
    );
  }
}

const NOTHING = Buffer.alloc(0);

/** Opens a host's own folder. */
const openFolder = ({ target: { folder }, machine }: ConnectedHost): Promise<Answered<"open">> =>
  machine.call("open", folder === undefined ? {} : { folder });
