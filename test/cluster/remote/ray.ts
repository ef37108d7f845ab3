// A Ray cluster of one node. All of Ray listens on every interface, without a password: so it gets a network of its own that has
// only a loopback, and processes of its own, which end with the first of them.
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { cacheDirectory } from "../../../extension/native/cache.ts";
import { NODE_WHEEL } from "../../../extension/remote/ray/nodeWheel.ts";
import { familyOf } from "../../processes.ts";

const VERSION = "2.60.0";
const PORT = 28265;
const venv = path.join(cacheDirectory(), `ray-${VERSION}`);
const wheels = path.join(venv, "wheels");
const stamp = path.join(venv, ".ready");

/** A namespace with a loopback alone, and processes of its own. */
const ISOLATED = ["--map-root-user", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"];

/** Installs Ray into the user's cache folder, at the first use. @returns why the tests can't run here; undefined if they can */
export function prepareRay(): string | undefined {
  if (process.platform !== "linux") return "Ray's own network needs Linux";
  const tried = spawnSync("unshare", [...ISOLATED, "ip", "link", "set", "lo", "up"], { stdio: "ignore" });
  if (tried.status !== 0) return "there is no namespace with a network of its own (unshare --net --pid)";
  if (fs.existsSync(stamp)) return undefined;
  const python = path.join(venv, "bin/python");
  // As the cluster would fetch it for each job.
  const [node = ""] = NODE_WHEEL[0].split(" ");
  for (const [command, ...args] of [
    ["python3", "-m", "venv", "--clear", venv],
    [python, "-m", "pip", "install", "--quiet", `ray[default]==${VERSION}`],
    [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, node],
  ] as const) {
    const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
    if (status !== 0) return `Ray can't be installed: ${stderr?.trim().split("\n").at(-1) ?? command}`;
  }
  fs.writeFileSync(stamp, "");
  return undefined;
}

export class Ray {
  readonly token = "a-token-of-the-tests";
  #folder = "";
  #root: ChildProcess | undefined;
  #network = "";

  /** Of its dashboard. */
  readonly url = `ray://127.0.0.1:${PORT}`;

  /** The environment of commands that reach it. */
  get env(): Record<string, string> {
    return { LAYERWISE_TEST_NETWORK: this.#network, RAY_AUTH_TOKEN: this.token };
  }

  /** The folder of its runs. */
  get there(): string {
    return path.join(this.#folder, "there");
  }

  async start(): Promise<void> {
    // Short, since sockets lie below it.
    this.#folder = fs.mkdtempSync("/tmp/lw-ray-");
    const bin = path.join(venv, "bin");
    const options = {
      "node-ip-address": "127.0.0.1",
      port: "26379",
      "num-cpus": "2",
      "num-gpus": "0",
      memory: "2000000000",
      "object-store-memory": "100000000",
      "dashboard-host": "127.0.0.1",
      "dashboard-port": String(PORT),
      "temp-dir": path.join(this.#folder, "ray"),
    };
    const words = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const script = `ip link set lo up && "$0" start --head --disable-usage-stats "$@" && echo ready && exec sleep 100000`;
    const child = spawn("unshare", [...ISOLATED, "sh", "-c", script, path.join(bin, "ray"), ...words], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        PATH: `${bin}:${process.env["PATH"]}`,
        RAY_AUTH_MODE: "token",
        RAY_AUTH_TOKEN: this.token,
        RAY_USAGE_STATS_ENABLED: "0",
        // There is no network: pip finds what it has downloaded before.
        PIP_NO_INDEX: "1",
        PIP_FIND_LINKS: wheels,
      },
    });
    this.#root = child;
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (bytes: Buffer) => (said += bytes.toString()));
    for (let tries = 0; !said.includes("ready\n"); tries++) {
      if (tries > 900 || child.exitCode !== null) throw new Error(`Ray did not start:\n${said}`);
      await delay(100);
    }
    const inner = familyOf(child.pid!).find(({ parent }) => parent === child.pid);
    this.#network = String(inner!.pid);
  }

  /** Processes of its jobs. */
  workers(): unknown[] {
    return familyOf(this.#root!.pid!).filter(({ command }) => command.includes("remoteAgent.cjs"));
  }

  /** The run engines of its jobs, in the order in which they were started. */
  engines(): { pid: number }[] {
    return familyOf(this.#root!.pid!)
      .filter(({ command }) => command.includes("runEngine.js"))
      .sort((a, b) => a.pid - b.pid);
  }

  async stop(): Promise<void> {
    const child = this.#root;
    if (child !== undefined && child.exitCode === null) {
      const gone = new Promise((settle) => child.once("exit", settle));
      // The first process of the namespace ends with it, and with that one all others.
      child.kill("SIGKILL");
      await gone;
    }
    fs.rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10 });
  }
}
