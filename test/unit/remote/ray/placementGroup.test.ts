// The driver of a placement group is another program here: Ray itself is in the cluster tier.
import fs from "node:fs";
import { connect, type Socket } from "node:net";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { RayJob } from "../../../../extension/remote/messages.ts";
import { PlacementGroup } from "../../../../extension/supervisor/remote/placementGroup.ts";
import { Stop } from "../../../../extension/supervisor/remote/eventLog.ts";
import { useFolder } from "../../../folders.ts";
import { PATIENT } from "../../../patience.ts";

const folder = useFolder();
const group = { workers: 2, cpus: 1, gpus: 0 };
const job: RayJob = {
  run: "net-0123456789ab",
  id: "net",
  folder: "/tmp/layerwise",
  packages: [],
  request: {
    kind: "train",
    file: "/a.nn.ts",
    exportName: "default",
    directory: "net",
    device: "auto",
    outlive: true,
  },
  begun: false,
  group,
};

/** Puts a shell's script in place of Python. */
function driver(script: string): void {
  fs.writeFileSync(path.join(folder, "python"), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
}

const READY = `echo 'output of Ray'; echo '{"ready": "127.0.0.1"}'`;

interface Order {
  start: number;
  env: Record<string, string>;
}

async function orders(): Promise<Order[]> {
  const file = path.join(folder, "orders");
  await vi.waitFor(() => expect(fs.statSync(file).size).toBeGreaterThan(0), PATIENT);
  return fs
    .readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Order);
}

/** Says something to the job's port, and reports whether the connection was closed. */
async function greeting(port: number, text: string): Promise<{ socket: Socket; closed: Promise<void> }> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.resume();
  socket.write(text);
  return { socket, closed };
}

describe.skipIf(process.platform === "win32")("a placement group", () => {
  beforeEach(() => vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`));
  afterEach(() => vi.unstubAllEnvs());

  test("takes the connection of a worker that knows the job's secret, and of no other", async () => {
    driver(`${READY}; cat > ${folder}/orders`);
    const made = await PlacementGroup.create(job, group, () => undefined, new Stop());
    const connecting = made.connect(1);
    const [order] = await orders();
    expect(order).toMatchObject({ start: 1 });
    const { port, hello } = JSON.parse(order!.env["LAYERWISE_JOIN"]!) as { port: number; hello: string };
    const [token] = hello.split(" ");
    for (const text of [
      "GET / HTTP/1.1\r\n",
      `${"0".repeat(64)} 1\n`,
      `${token} 0\n`,
      `${token!.slice(1)} 1\n`,
      "x".repeat(1000),
    ])
      await (
        await greeting(port, text)
      ).closed;
    const { socket } = await greeting(port, `${hello}\n`);
    const machine = await connecting;
    expect(machine.target.name).toBe("127.0.0.1");
    // The secret is good for one connection.
    await (
      await greeting(port, `${hello}\n`)
    ).closed;
    socket.destroy();
    expect((await machine.ended).cause.code).toBe("line");
    await made.close();
  });

  test("reports a worker that could not be started, with what it said", async () => {
    driver(`${READY}; read line; echo '{"ended": 0, "said": "exit code 1: no space left"}'; cat > /dev/null`);
    const made = await PlacementGroup.create(job, group, () => undefined, new Stop());
    await expect(made.connect(0)).rejects.toMatchObject({
      cause: { message: "Worker 0 could not be started.", hint: "exit code 1: no space left" },
    });
    await made.close();
  });

  test("says what the cluster has no room for, and why there is none", async () => {
    const said: string[] = [];
    driver(`echo '{"waiting": "4 CPUs"}'; echo 'ConnectionError: no cluster' >&2; exit 1`);
    const making = PlacementGroup.create(job, group, (_, text) => void said.push(text), new Stop());
    await expect(making).rejects.toMatchObject({
      cause: { code: "ray", hint: "ConnectionError: no cluster" },
    });
    expect(said).toEqual(["The cluster has no room yet for 2 workers with 4 CPUs each."]);
  });

  test("is given up when the job is stopped", async () => {
    driver("exec sleep 100");
    const stop = new Stop();
    const making = PlacementGroup.create(job, group, () => undefined, stop);
    stop.now();
    await expect(making).rejects.toMatchObject({ cause: { code: "job-stopped" } });
  });
});
