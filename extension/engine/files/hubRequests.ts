// Requests to a hub. The server isn't trusted: answers are limited in length and must come at some speed.
import { HubApiError } from "@huggingface/hub";
import { withoutSecrets } from "../../protocol/text/secrets.ts";
import type { Hub, Pace } from "./hubCache.ts";

/** A model that can't be fetched, in words for users. Its message becomes a part of a run's record. */
export class HubError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(withoutSecrets(message), options);
  }
}

const PACE: Pace = { milliseconds: 60_000, bytes: 60 * 1024 };

/** Most bytes of all answers that describe a model: lists of files have pages, and a server may never end them. */
const MAX_DESCRIPTION = 2 ** 26;
const MAX_PAGES = 200;
/** Most bytes of an error's text. */
const MAX_ERROR = 2 ** 16;

/** An open answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** @throws HubError when it is longer than allowed, or too slow */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Requests for one model. */
export class HubRequests {
  readonly #hub: Hub;
  readonly #signal: AbortSignal | undefined;
  #pages = 0;
  #left = MAX_DESCRIPTION;

  constructor(hub: Hub, signal: AbortSignal | undefined) {
    this.#hub = hub;
    this.#signal = signal;
  }

  /** A `fetch` for the hub's library, which reads descriptions of a model, such as its list of files. */
  readonly describe: typeof fetch = async (input, init) => {
    if (++this.#pages > MAX_PAGES) throw new HubError(`${this.#hub.endpoint} never ends its list of files.`);
    const url = new URL(input instanceof Request ? input.url : input);
    const answer = await this.#open(url, new Headers(init?.headers), this.#left, "its list of files");
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body) {
      this.#left -= chunk.length;
      chunks.push(chunk);
    }
    const { status, headers } = answer;
    return new Response([204, 304].includes(status) ? null : Buffer.concat(chunks), { status, headers });
  };

  /**
   * Opens a file.
   * @param size as the hub has declared it: more is not accepted
   * @throws HubApiError for a status that is no success; HubError for a file that is longer, or too slow
   */
  async file(path: string, start: number, size: number, shown: string): Promise<Answer> {
    const url = new URL(`${this.#hub.endpoint}/${path}`);
    const headers = new Headers(start > 0 ? { range: `bytes=${start}-${size - 1}` } : {});
    const { token } = this.#hub;
    // Sizes count the bytes that are sent, so they must not be compressed.
    headers.set("accept-encoding", "identity");
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    const answer = await this.#open(url, headers, size, shown);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw new HubApiError(url.href, answer.status, undefined, await messageOf(answer));
  }

  async #open(url: URL, headers: Headers, limit: number, shown: string): Promise<Answer> {
    const { endpoint, pace = PACE } = this.#hub;
    this.#checkAddress(url);
    // The token is for the endpoint alone, wherever it redirects.
    if (url.origin !== new URL(endpoint).origin) headers.delete("authorization");
    const watch = new Watch(pace, `${endpoint} sends ${shown} too slowly: `, this.#signal);
    let response: Response;
    try {
      response = await fetch(url, { headers, signal: watch.signal });
      this.#checkAddress(new URL(response.url));
    } catch (error) {
      watch.end();
      throw watch.reason ?? error;
    }
    const tooLong = (bytes: string): HubError =>
      new HubError(
        `${endpoint} sends ${bytes} bytes for ${shown}; the limit is ${limit.toLocaleString("en-US")}.`,
      );
    const most = response.ok ? limit : MAX_ERROR;
    const length = Number(response.headers.get("content-length") ?? 0);
    if (length > most) {
      watch.abort(tooLong(length.toLocaleString("en-US")));
      throw watch.reason!;
    }
    return {
      status: response.status,
      headers: response.headers,
      body: bodyOf(response, most, tooLong, watch),
    };
  }

  /** @throws HubError for an address that gives up the endpoint's encryption */
  #checkAddress({ protocol, href }: URL): void {
    const secure = new URL(this.#hub.endpoint).protocol === "https:";
    if (protocol === "https:" || (protocol === "http:" && !secure)) return;
    throw new HubError(`${this.#hub.endpoint} leads to ${href.slice(0, 100)}, which is not encrypted.`);
  }
}

async function* bodyOf(
  response: Response,
  limit: number,
  tooLong: (bytes: string) => HubError,
  watch: Watch,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  try {
    for await (const chunk of response.body ?? []) {
      sent += chunk.length;
      watch.count(chunk.length);
      if (sent > limit) watch.abort(tooLong(`more than ${limit.toLocaleString("en-US")}`));
      if (watch.reason !== undefined) throw watch.reason;
      yield chunk;
    }
  } catch (error) {
    throw watch.reason ?? error;
  } finally {
    watch.end();
  }
}

/** Aborts a request whose answer is too slow, or that the caller cancels. */
class Watch {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  readonly #cancel = (): void => this.#controller.abort(this.#signal?.reason);
  #bytes = 0;
  /** Why it was given up. */
  reason: HubError | undefined;

  constructor({ milliseconds, bytes }: Pace, slow: string, signal: AbortSignal | undefined) {
    this.#signal = signal;
    if (signal?.aborted === true) this.#cancel();
    signal?.addEventListener("abort", this.#cancel);
    this.#timer = setInterval(() => {
      if (this.#bytes < bytes)
        this.abort(
          new HubError(
            `${slow}${this.#bytes} bytes in ${milliseconds / 1000} s. What has arrived is kept for the next time.`,
          ),
        );
      this.#bytes = 0;
    }, milliseconds);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  count(bytes: number): void {
    this.#bytes += bytes;
  }

  abort(reason: HubError): void {
    this.reason ??= reason;
    this.end();
    this.#controller.abort(reason);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#signal?.removeEventListener("abort", this.#cancel);
  }
}

/** The error message in a server's answer, else its status. */
async function messageOf({ body, status }: Answer): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  try {
    const { error } = JSON.parse(Buffer.concat(chunks).toString()) as { error?: unknown };
    if (typeof error === "string") return error;
  } catch {
    // No JSON: the status says enough.
  }
  return `status ${status}`;
}
