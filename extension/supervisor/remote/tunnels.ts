// Connects the workers of this machine with those of others through the line to the launcher, which passes the bytes on.
// On each machine, every worker has the same address: a port of the loopback, on which it or its tunnel listens.
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Tunnel } from "../../remote/messages.ts";
import { EngineError } from "../../protocol/errors.ts";

const LOOPBACK = "127.0.0.1";
/** Milliseconds between two attempts to reach a worker that starts. */
const PAUSE = 50;

type Tell = (event: "tunnel" | "listening", data: unknown, body?: Buffer) => Promise<void>;

export class Tunnels {
  readonly #ports: readonly number[];
  readonly #own: ReadonlySet<number>;
  readonly #tell: Tell;
  readonly #servers: Server[] = [];
  readonly #sockets = new Map<string, Socket>();
  readonly #name: string;
  #count = 0;
  #closed = false;

  /** @param ports of all workers, by rank @param own The ranks of this machine */
  constructor(ports: readonly number[], own: readonly number[], tell: Tell) {
    this.#ports = ports;
    this.#own = new Set(own);
    this.#name = String(own[0]);
    this.#tell = tell;
  }

  /** @throws EngineError "port" if another program has one of the ports */
  async demandFree(): Promise<void> {
    for (const port of this.#ports) await demandFree(port, LOOPBACK);
  }

  /** Reports each worker of this machine once its server accepts connections. */
  async announce(): Promise<void> {
    await Promise.all([...this.#own].map((rank) => this.#announce(rank)));
  }

  async #announce(rank: number): Promise<void> {
    while (!this.#closed) {
      if (await answers(this.#ports[rank]!)) return this.#tell("listening", rank);
      await delay(PAUSE);
    }
  }

  /** Takes connections for a worker of another machine. It listens there, as the connecting process expects. */
  async open(rank: number): Promise<void> {
    const port = this.#ports[rank];
    if (port === undefined || this.#own.has(rank) || this.#closed) return;
    const server = await listen(
      port,
      (socket) => {
        const stream = `${this.#name}.${++this.#count}`;
        void this.#pass(stream, socket, rank);
      },
      LOOPBACK,
    );
    if (this.#closed) await close(server);
    else this.#servers.push(server);
  }

  /** Takes a part of a connection from another machine. */
  take({ stream, to, done }: Tunnel, bytes: Buffer): void {
    if (to !== undefined) {
      const port = this.#ports[to];
      if (port === undefined || !this.#own.has(to) || this.#closed || this.#sockets.has(stream)) return;
      void this.#pass(stream, connect(port, LOOPBACK));
    }
    const socket = this.#sockets.get(stream);
    if (bytes.length > 0) socket?.write(bytes);
    if (done === true) socket?.end();
  }

  /** Sends what arrives, and waits while the line takes no more. */
  async #pass(stream: string, socket: Socket, to?: number): Promise<void> {
    this.#sockets.set(stream, socket);
    socket.setNoDelay(true);
    if (to !== undefined) await this.#tell("tunnel", { stream, to });
    try {
      for await (const bytes of socket) await this.#tell("tunnel", { stream }, bytes as Buffer);
    } catch {
      // It was reset: the other end learns that it is closed.
    }
    this.#sockets.delete(stream);
    await this.#tell("tunnel", { stream, done: true });
  }

  close(): void {
    this.#closed = true;
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets.values()) socket.destroy();
  }
}

/** @throws EngineError "port" if another program listens at a port; by default at any of this machine's addresses */
export async function demandFree(port: number, host?: string): Promise<void> {
  await close(await listen(port, () => undefined, host));
}

function listen(port: number, take: (socket: Socket) => void, host?: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(take);
    server.once("error", () =>
      reject(new EngineError({ code: "port", message: `Another program uses port ${port} there.` })),
    );
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => resolve(server));
  });
}

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, LOOPBACK);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
