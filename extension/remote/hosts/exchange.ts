// Passes the bytes of connections between workers from one machine to another. No port is opened here.
import type { Tunnel } from "../messages.ts";
import type { SshMachine } from "../sshMachine.ts";

/** Most bytes that wait for a machine. HTTP/2's windows keep gRPC far below. */
const MOST_WAITING = 512 * 2 ** 20;
/** Most connections: each worker has a few to each other one. */
const MOST_STREAMS = 65_536;

/** A machine with its workers. */
export interface HostLine {
  readonly machine: SshMachine;
  readonly ranks: readonly number[];
}

export class Exchange {
  readonly #hosts: readonly HostLine[];
  /** The machines of each connection, and how many of them have ended it. */
  readonly #streams = new Map<string, { ends: readonly [HostLine, HostLine]; done: Set<HostLine> }>();
  /** Ranks whose servers accept connections. */
  readonly #listening = new Set<number>();

  constructor(hosts: readonly HostLine[]) {
    this.#hosts = hosts;
  }

  /** Tells all other machines that a worker's server accepts connections. */
  listening(from: HostLine, rank: number): void {
    if (!from.ranks.includes(rank) || this.#listening.has(rank)) return;
    this.#listening.add(rank);
    for (const host of this.#hosts) if (host !== from) void host.machine.tell("listening", rank);
  }

  /** Passes on a part of a connection. Each machine takes part in its own connections only. */
  pass(from: HostLine, part: Tunnel, bytes: Buffer): void {
    const { stream, to, done } = part;
    if (to !== undefined && !this.#open(from, stream, to)) return;
    const found = this.#streams.get(stream);
    if (found === undefined || !found.ends.includes(from) || found.done.has(from)) return;
    const [a, b] = found.ends;
    const { machine } = from === a ? b : a;
    if (machine.waiting > MOST_WAITING) return from.machine.refuse("it sends more than other workers take");
    void machine.tell("tunnel", part, bytes);
    if (done !== true) return;
    found.done.add(from);
    if (found.done.size === 2) this.#streams.delete(stream);
  }

  #open(from: HostLine, stream: string, to: number): boolean {
    const target = this.#hosts.find(({ ranks }) => ranks.includes(to));
    const own = stream.startsWith(`${from.ranks[0]}.`);
    if (target === undefined || target === from || !own || this.#streams.has(stream)) return false;
    if (this.#streams.size >= MOST_STREAMS) return false;
    this.#streams.set(stream, { ends: [from, target], done: new Set() });
    return true;
  }
}
