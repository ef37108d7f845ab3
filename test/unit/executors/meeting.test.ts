import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { meet } from "../../../extension/executors/tensorflow/group/meeting.ts";
import { freePort } from "../../freePort.ts";

const PATIENCE = 8000;

/** Connects as soon as somebody listens. */
async function reach(port: number): Promise<Socket> {
  for (;;) {
    const socket = connect({ host: "127.0.0.1", port });
    try {
      await once(socket, "connect");
      return socket;
    } catch {
      await delay(20);
    }
  }
}

it("workers meet although a port probe resets its connection", async () => {
  const port = await freePort();
  const master = `127.0.0.1:${port}`;
  const first = meet(0, 2, master, PATIENCE);
  const probe = await reach(port);
  probe.write("GET");
  await delay(50);
  probe.resetAndDestroy();
  await delay(50);
  const addresses = await meet(1, 2, master, PATIENCE);
  expect(addresses).toHaveLength(2);
  expect(await first).toEqual(addresses);
});

it("a worker meets a first one that is restarted", async () => {
  const port = await freePort();
  const server = createServer((socket) => {
    socket.once("data", () => {
      socket.resetAndDestroy();
      server.close();
    });
  }).listen(port, "127.0.0.1");
  await once(server, "listening");
  const second = meet(1, 2, `127.0.0.1:${port}`, PATIENCE);
  await once(server, "close");
  const first = await meet(0, 2, `127.0.0.1:${port}`, PATIENCE);
  expect(await second).toEqual(first);
});

it("a worker that ended before all had connected may connect again", async () => {
  const port = await freePort();
  const master = `127.0.0.1:${port}`;
  const first = meet(0, 3, master, PATIENCE);
  const before = await reach(port);
  before.write("layerwise 1 9\n");
  await delay(50);
  before.destroy();
  await delay(50);
  const [second, third] = await Promise.all([meet(1, 3, master, PATIENCE), meet(2, 3, master, PATIENCE)]);
  expect(second).toHaveLength(3);
  expect(second[1]).not.toBe("127.0.0.1:9");
  expect(third).toEqual(second);
  expect(await first).toEqual(second);
});
