// Ray's Jobs API as its dashboard has it, in this process and on the loopback: packages, jobs, their logs.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { WebSocketServer, type WebSocket } from "ws";
import { fromBufferPromise } from "yauzl";
import type { Submission } from "../extension/remote/ray/jobs.ts";
import type { Target } from "../extension/protocol/target.ts";
import { familyOf } from "./processes.ts";

type Status = "PENDING" | "RUNNING" | "STOPPED" | "SUCCEEDED" | "FAILED";

export interface FakeJob {
  submission: Submission;
  status: Status;
  message: string;
  log: string;
  tails: Set<WebSocket>;
  child?: ChildProcess;
}

/** Characters of a message of a log: Ray cuts it anywhere. */
const PIECE = 20_000;

export class FakeRay {
  readonly packages = new Map<string, Buffer>();
  readonly jobs = new Map<string, FakeJob>();
  readonly requests: { method: string; path: string; headers: IncomingMessage["headers"] }[] = [];
  /** Token that requests must carry; by default none. */
  token: string | undefined;
  /** Answers a request in place of the API, unless it returns false. */
  instead: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** Called for each job that is submitted. By default it waits. */
  submitted: ((job: FakeJob, id: string) => void) | undefined;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #sockets = new WebSocketServer({ noServer: true });

  async start(): Promise<void> {
    this.#server.on("upgrade", (request: IncomingMessage, socket, head: Buffer) => {
      const job = this.jobs.get(/^\/api\/jobs\/([^/]+)\/logs\/tail$/.exec(request.url ?? "")?.[1] ?? "");
      if (!this.#allowed(request) || job === undefined)
        return void socket.end(
          `HTTP/1.1 ${job === undefined ? "404 Not Found" : "401 Unauthorized"}\r\n\r\n`,
        );
      this.#sockets.handleUpgrade(request, socket, head, (tail) => {
        job.tails.add(tail);
        send(tail, job.log);
        if (job.status !== "PENDING" && job.status !== "RUNNING") tail.close();
      });
    });
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ray://127.0.0.1:${this.port}`;
  }

  get target(): Target {
    return { name: "cluster", kind: "ray", host: "127.0.0.1", port: this.port };
  }

  /** A job that nothing has submitted. */
  add(id: string, status: Status = "RUNNING"): FakeJob {
    const submission = { entrypoint: "", submission_id: id } as Submission;
    const job: FakeJob = { submission, status, message: "", log: "", tails: new Set() };
    this.jobs.set(id, job);
    return job;
  }

  /** Appends to a job's log. */
  write(job: FakeJob, text: string): void {
    job.log += text;
    for (const tail of job.tails) send(tail, text);
  }

  end(job: FakeJob, status: Status, message = ""): void {
    Object.assign(job, { status, message });
    for (const tail of job.tails) tail.close();
    job.tails.clear();
  }

  /** Cuts all lines, as when a network goes. */
  cut(): void {
    for (const job of this.jobs.values()) {
      for (const tail of job.tails) tail.terminate();
      job.tails.clear();
    }
  }

  async stop(): Promise<void> {
    this.cut();
    for (const { child } of this.jobs.values()) if (child?.pid !== undefined) signalAll(child.pid, "SIGKILL");
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** Runs the jobs that are submitted, in folders below one: packages are unpacked there, as Ray does. */
  execute(folder: string, env: NodeJS.ProcessEnv = {}): void {
    this.submitted = (job, id) => void this.#execute(job, path.join(folder, id), env);
  }

  async #execute(job: FakeJob, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
    const { entrypoint, runtime_env: wanted } = job.submission;
    const unpack = async (uri: string): Promise<string> => {
      const name = uri.slice("gcs://".length);
      const to = path.join(folder, path.basename(name, ".zip"));
      await unzip(this.packages.get(name)!, to);
      return to;
    };
    const cwd = await unpack(wanted.working_dir);
    const modules: string[] = [];
    for (const uri of wanted.py_modules) modules.push(await unpack(uri));
    // A file, as Ray has it: not a pipe, which may be full.
    const file = path.join(folder, "log.txt");
    const log = fs.openSync(file, "a+");
    const child = spawn(entrypoint, {
      cwd,
      shell: "/bin/sh",
      stdio: ["ignore", log, log],
      env: { ...process.env, ...wanted.env_vars, PYTHONPATH: modules.join(":"), ...env },
    });
    job.child = child;
    job.status = "RUNNING";
    this.write(job, `Running entrypoint for job: ${entrypoint}\n`);
    const buffer = Buffer.alloc(2 ** 20);
    let at = 0;
    const read = (): void => {
      for (let count = -1; count !== 0; at += count) {
        count = fs.readSync(log, buffer, 0, buffer.length, at);
        if (count > 0) this.write(job, buffer.toString("latin1", 0, count));
      }
    };
    const timer = setInterval(read, 50);
    const [code] = (await once(child, "close")) as [number | null];
    clearInterval(timer);
    read();
    fs.closeSync(log);
    if (job.status === "RUNNING")
      this.end(job, code === 0 ? "SUCCEEDED" : "FAILED", code === 0 ? "" : `exit code ${code}`);
    else this.end(job, job.status);
  }

  #allowed(request: IncomingMessage): boolean {
    return this.token === undefined || request.headers.authorization === `Bearer ${this.token}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    this.requests.push({ method, path: url, headers });
    if (this.instead?.(request, response) === true) return;
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const [status, text] = this.#route(method, url, Buffer.concat(parts), request);
    response.writeHead(status, { "content-type": text.startsWith("{") ? "application/json" : "text/plain" });
    response.end(text);
  }

  #route(method: string, url: string, body: Buffer, request: IncomingMessage): [number, string] {
    // As Ray takes a browser for an attack.
    if (request.headers["sec-fetch-mode"] !== undefined)
      return [405, "Method not allowed for browser traffic."];
    if (!this.#allowed(request)) return [401, "Unauthorized: Missing authentication token"];
    const json = (value: object): [number, string] => [200, JSON.stringify(value)];
    if (url === "/api/version")
      return json({ version: "4", ray_version: "2.60.0", ray_commit: "x", session_name: "s" });
    const name = /^\/api\/packages\/gcs\/(_ray_pkg_[0-9a-f]{40}\.zip)$/.exec(url)?.[1];
    if (name !== undefined) {
      if (method === "PUT") this.packages.set(name, body);
      return this.packages.has(name) ? [200, ""] : [404, `Package gcs://${name} does not exist`];
    }
    if (url === "/api/jobs/" && method === "POST") {
      const submission = JSON.parse(body.toString("utf8")) as Submission;
      const id = submission.submission_id;
      if (this.jobs.has(id)) return [400, `ValueError: Job with submission_id ${id} already exists.`];
      const job = this.add(id, "PENDING");
      job.submission = submission;
      this.submitted?.(job, id);
      return json({ job_id: id, submission_id: id });
    }
    const [, id = "", action = ""] = /^\/api\/jobs\/([^/]+)(\/stop)?$/.exec(url) ?? [];
    const job = this.jobs.get(id);
    if (job === undefined) return [404, `Job ${id} does not exist`];
    if (action === "/stop") {
      if (job.child?.pid === undefined) this.end(job, "STOPPED");
      else {
        job.status = "STOPPED";
        signalAll(job.child.pid, "SIGTERM");
      }
      return json({ stopped: true });
    }
    return json({ type: "SUBMISSION", submission_id: id, status: job.status, message: job.message });
  }
}

/** As Ray does: the entry point's process, and all that it has started. */
function signalAll(root: number, signal: NodeJS.Signals): void {
  for (const { pid } of familyOf(root))
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself.
    }
}

function send(tail: WebSocket, text: string): void {
  for (let at = 0; at < text.length; at += PIECE) tail.send(text.slice(at, at + PIECE));
}

/** Unpacks a zip with a reader of others. */
export async function unzip(bytes: Buffer, folder: string): Promise<void> {
  fs.mkdirSync(folder, { recursive: true });
  const zip = await fromBufferPromise(bytes, { lazyEntries: true });
  for await (const entry of zip.eachEntry()) {
    const parts: Buffer[] = [];
    for await (const part of await zip.openReadStreamPromise(entry)) parts.push(part as Buffer);
    const file = path.join(folder, entry.fileName);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, Buffer.concat(parts));
  }
}
