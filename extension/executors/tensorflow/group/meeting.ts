// Rendezvous: processes that know only the address of the first one learn the addresses of all.
import { createServer, connect, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

/** Milliseconds between two attempts to reach the first process. */
const PAUSE = 100;
/** Most characters of a message. */
const LIMIT = 4096;

/** Splits "host:port", where an IPv6 address has brackets. */
export function hostAndPort(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
}

const joined = (host: string, port: number): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/**
 * Exchanges addresses through the first process, which listens at `master` until all have connected.
 * @param patience Time limit in milliseconds for the others to connect
 * @returns "host:port" of each process, by rank; this one's port is free
 */
export async function meet(rank: number, size: number, master: string, patience: number): Promise<string[]> {
  const at = hostAndPort(master);
  const port = await freePort();
  const limit = AbortSignal.timeout(patience);
  return rank === 0 ? receive(size, at, port, limit) : introduce(rank, at, port, limit);
}

async function receive(
  size: number,
  { host, port }: { host: string; port: number },
  own: number,
  limit: AbortSignal,
): Promise<string[]> {
  const found = new Map<number, { address: string; socket: Socket }>();
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      void firstLine(socket).then((line) => {
        const rank = Number(/^layerwise (\d+) \d+$/.exec(line)?.[1]);
        const theirs = Number(/(\d+)$/.exec(line)?.[1]);
        if (!(rank > 0 && rank < size) || found.has(rank)) return void socket.destroy();
        const from = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
        found.set(rank, { address: joined(from, theirs), socket });
        // It ended before all had connected: its replacement may still connect.
        socket.once("close", () => found.delete(rank));
        if (found.size < size - 1) return undefined;
        const addresses = Array.from({ length: size }, (_, i) => found.get(i)?.address ?? joined(host, own));
        for (const one of found.values()) one.socket.end(`${JSON.stringify(addresses)}\n`);
        server.close();
        resolve(addresses);
        return undefined;
      });
    });
    server.once("error", reject);
    limit.addEventListener("abort", () => {
      server.close();
      const missing = Array.from({ length: size - 1 }, (_, i) => i + 1).filter((rank) => !found.has(rank));
      reject(
        new Error(
          `Workers ${missing.join(", ")} of ${size} didn't connect to ${joined(host, port)} in time.`,
        ),
      );
    });
    server.listen(port, host);
  });
}

async function introduce(
  rank: number,
  { host, port }: { host: string; port: number },
  own: number,
  limit: AbortSignal,
): Promise<string[]> {
  for (;;) {
    try {
      const socket = connect({ host, port });
      await new Promise((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("error", reject);
      });
      socket.write(`layerwise ${rank} ${own}\n`);
      const addresses: unknown = JSON.parse(await firstLine(socket));
      if (Array.isArray(addresses) && addresses.every((one) => typeof one === "string")) return addresses;
    } catch {
      // The first process isn't there yet.
    }
    if (limit.aborted) throw new Error(`Worker 0 doesn't answer at ${joined(host, port)}.`);
    await delay(PAUSE);
  }
}

function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let size = 0;
    socket.on("data", (bytes: Buffer) => {
      if ((size += bytes.length) > LIMIT * 16) socket.destroy();
    });
    const lines = createInterface({ input: socket });
    lines.once("line", resolve);
    // It also emits the socket's errors: a reset means the same as a close.
    lines.on("error", () => resolve(""));
    lines.once("close", () => resolve(""));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer();
    server.once("error", reject);
    server.listen(0, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
