import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";

const LOOPBACK = "127.0.0.1";

/** Addresses on the loopback with free ports, for one worker each. */
export async function freeAddresses(count: number): Promise<string[]> {
  const servers = await Promise.all(Array.from({ length: count }, listening));
  const addresses = servers.map((server) => {
    const address = server.address();
    return `${LOOPBACK}:${typeof address === "object" && address !== null ? address.port : 0}`;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses;
}

function listening(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, LOOPBACK, () => resolve(server));
  });
}

/** Addresses by which others may reach this machine: TensorFlow's servers listen on all of them. */
export function outerAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all = []) =>
    all.flatMap(({ internal, address }) => (internal ? [] : [address])),
  );
}
