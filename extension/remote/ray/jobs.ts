// Client of Ray's Jobs REST API. It uses node:http: fetch sends Sec-Fetch-Mode, which Ray refuses as a browser's. Answers are
// not trusted: their size is limited, and they are validated.
import type { ClientRequest, IncomingMessage } from "node:http";
import * as v from "valibot";
import { EngineError } from "../../protocol/errors.ts";
import { RAY_PORT, type Target } from "../../protocol/target.ts";
import { plainLine } from "../../protocol/text/plain.ts";

/** Most bytes of an answer: a failed job's message has the last 20,000 characters of its log. */
const MOST = 2 ** 20;
/** Milliseconds without a byte after which the connection is given up. */
const SILENCE = 30_000;
/** Time limit of an answer in milliseconds, after the request is sent. */
const PATIENCE = 120_000;
/** Bytes of an upload that are written at once. */
const PART = 2 ** 18;
/** Most characters of a cluster's message that are shown. */
const SHOWN = 300;

/** The largest body that Ray's dashboard takes: DASHBOARD_CLIENT_MAX_SIZE of its constants. */
export const PACKAGE_LIMIT = 100 * 2 ** 20;

const Text = v.pipe(v.string(), v.maxLength(MOST));
const Version = v.object({ ray_version: v.pipe(v.string(), v.maxLength(100)) });
const Submitted = v.object({ submission_id: v.pipe(v.string(), v.maxLength(300)) });
const Job = v.object({
  status: v.picklist(["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]),
  message: v.nullish(Text),
});
export type Job = v.InferOutput<typeof Job>;

export const isOver = ({ status }: Job): boolean => status !== "PENDING" && status !== "RUNNING";

/** The name of a package in the cluster's store: Ray's prefix and the hash of its content. */
export const packageName = (hash: string): string => `_ray_pkg_${hash.slice(0, 40)}.zip`;

/** `host:port` of a cluster's dashboard, as in a URL. */
export const addressOf = ({ host, port = RAY_PORT }: Target): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`;

/** The body of a request that submits a job. */
export interface Submission {
  entrypoint: string;
  submission_id: string;
  metadata: Record<string, string>;
  runtime_env: {
    working_dir: string;
    py_modules: string[];
    env_vars: Record<string, string>;
    pip?: { packages: string[]; pip_check: boolean };
  };
  entrypoint_num_cpus?: number;
  entrypoint_num_gpus?: number;
}

interface Call {
  method?: "GET" | "PUT" | "POST";
  body?: Buffer;
  type?: string;
  signal?: AbortSignal | undefined;
  progress?: ((sent: number) => void) | undefined;
}

interface Answer {
  status: number;
  text: string;
}

export class Jobs {
  readonly target: Target;
  readonly #token: string | undefined;

  constructor(target: Target, token: string | undefined) {
    this.target = target;
    this.#token = token;
  }

  /** Headers of every request. */
  get headers(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }

  /** `host:port` of the dashboard. */
  get address(): string {
    return addressOf(this.target);
  }

  /** Ray's version there. @throws EngineError if no dashboard answers, or refuses this user */
  async version(signal?: AbortSignal): Promise<string> {
    const answer = await this.#call("/api/version", { signal });
    return plainLine(this.#checked(Version, this.#demand(answer)).ray_version);
  }

  /** Whether the cluster has a package. If so, Ray keeps it for ten more minutes. */
  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    const answer = await this.#call(`/api/packages/gcs/${name}`, { signal });
    if (answer.status === 404) return false;
    this.#demand(answer);
    return true;
  }

  async upload(
    name: string,
    bytes: Buffer,
    { signal, progress }: Pick<Call, "signal" | "progress">,
  ): Promise<void> {
    const type = "application/octet-stream";
    this.#demand(
      await this.#call(`/api/packages/gcs/${name}`, { method: "PUT", body: bytes, type, signal, progress }),
    );
  }

  /** @throws EngineError if the cluster doesn't take the job by that id */
  async submit(submission: Submission, signal?: AbortSignal): Promise<void> {
    const body = Buffer.from(JSON.stringify(submission));
    const answer = await this.#call("/api/jobs/", { method: "POST", body, type: "application/json", signal });
    const { submission_id: id } = this.#checked(Submitted, this.#demand(answer));
    if (id !== submission.submission_id) throw this.#none("it started another job");
  }

  /** The state of a job; undefined if the cluster doesn't have it. */
  async job(id: string, signal?: AbortSignal): Promise<Job | undefined> {
    const answer = await this.#call(`/api/jobs/${id}`, { signal });
    return answer.status === 404 ? undefined : this.#checked(Job, this.#demand(answer));
  }

  /** Has Ray send SIGTERM to a job. */
  async stop(id: string): Promise<void> {
    this.#demand(await this.#call(`/api/jobs/${id}/stop`, { method: "POST" }));
  }

  /** @throws EngineError unless the status is 200 */
  #demand({ status, text }: Answer): string {
    if (status === 200) return text;
    const { name } = this.target;
    const said = lastLine(text);
    if (status === 401 || status === 403)
      throw new EngineError({
        code: "ray-refused",
        message: `${name} refused the request: ${this.headers["authorization"] === undefined ? "it requires a token" : "it doesn't accept this token"} (HTTP ${status}).`,
        hint: 'Ray\'s own token goes into RAY_AUTH_TOKEN for the command line; VS Code asks for it in "Run on…".',
      });
    if (status >= 500 && said === "") throw this.#unreachable(`HTTP ${status}`);
    throw new EngineError({
      code: "ray",
      message: `${name} answered with HTTP ${status}${said === "" ? "" : `: ${said}`}.`,
      ...(status === 404 || status === 405
        ? { hint: `Is http://${this.address} the address of a Ray dashboard?` }
        : {}),
    });
  }

  #checked<T extends v.GenericSchema>(schema: T, text: string): v.InferOutput<T> {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw this.#none("its answer is not JSON");
    }
    const checked = v.safeParse(schema, value, { abortEarly: true });
    if (!checked.success) throw this.#none("its answer has the wrong form");
    return checked.output;
  }

  #none(problem: string): EngineError {
    return new EngineError({
      code: "remote-protocol",
      message: `${this.target.name} doesn't answer as a Ray dashboard: ${problem}.`,
      hint: `Is http://${this.address} its address?`,
    });
  }

  #unreachable(problem: string): EngineError {
    return new EngineError({
      code: "ray-unreachable",
      message: `There is no connection to ${this.target.name}: ${problem}.`,
      hint: `Does Ray's dashboard answer at http://${this.address}? Through a firewall, use a tunnel: ssh -L ${RAY_PORT}:localhost:${RAY_PORT} HEAD`,
    });
  }

  async #call(path: string, { method = "GET", body, type, signal, progress }: Call): Promise<Answer> {
    const { request: startRequest } = await import("node:http");
    const { host, port = RAY_PORT } = this.target;
    const about =
      body === undefined
        ? {}
        : { "content-length": String(body.length), ...(type === undefined ? {} : { "content-type": type }) };
    return new Promise<Answer>((resolve, reject) => {
      // Without keep-alive: the server may close an idle connection at any time.
      const request = startRequest({
        host,
        port,
        path,
        method,
        headers: { ...this.headers, ...about },
        agent: false,
        timeout: SILENCE,
        ...(signal === undefined ? {} : { signal }),
      });
      const fail = (error: Error): void => {
        request.destroy();
        if (signal?.aborted === true) reject(signal.reason as Error);
        else reject(error instanceof EngineError ? error : this.#unreachable(plainLine(error.message)));
      };
      request.once("timeout", () => fail(new Error("it doesn't answer")));
      request.on("error", fail);
      request.once("response", (response) => {
        this.#read(response).then(resolve, fail);
      });
      const wait = (): void => {
        const timer = setTimeout(() => fail(new Error("it doesn't answer")), PATIENCE);
        request.once("close", () => clearTimeout(timer));
      };
      void send(request, body, progress).then(wait, fail);
    });
  }

  async #read(response: IncomingMessage): Promise<Answer> {
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > MOST) throw this.#none("its answer is too long");
      parts.push(part);
    }
    return { status: response.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") };
  }
}

async function send(
  request: ClientRequest,
  body: Buffer = Buffer.alloc(0),
  progress?: (sent: number) => void,
): Promise<void> {
  for (let at = 0; at < body.length; at += PART) {
    if (request.destroyed) return;
    const part = body.subarray(at, at + PART);
    await new Promise<void>((resolve, reject) => {
      request.write(part, (error) => (error ? reject(error) : resolve()));
      request.once("close", resolve);
    });
    progress?.(at + part.length);
  }
  request.end();
}

/** The last line of a text, such as the error of a Python traceback. */
export function lastLine(text: string): string {
  const lines = text
    .slice(-20_000)
    .split(/\r?\n/)
    .map((line) => plainLine(line).trim());
  return (lines.findLast((line) => line !== "" && !line.startsWith("<")) ?? "")
    .slice(0, SHOWN)
    .replace(/\.$/, "");
}
