// Follows the log of a job over a WebSocket. Ray sends it from its beginning, and reads new lines once a second.
import type { WebSocket } from "ws";
import { EngineError } from "../../protocol/errors.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import type { Jobs } from "./jobs.ts";

/** Time limit of connecting, and the delay of TCP's keep-alive, in milliseconds. */
const CONNECT = 15_000;
const KEEP_ALIVE = 20_000;
/** Most bytes of a message: ten lines of a log. */
const MOST = 4 * 2 ** 20;

export interface Tail {
  pause(): void;
  resume(): void;
  /** Closes a connection that seems lost. */
  cut(): void;
  /** Closes the connection; the listener is not called again. */
  close(): void;
}

export interface TailListener {
  /** Takes text; false if more should wait for `resume`. */
  text(text: string): boolean;
  /** The log has ended or the connection was lost; with a reason if it is known. */
  ended(problem: EngineError | undefined): void;
}

/** Follows the log of a job. */
export function tailLog(jobs: Jobs, job: string, listener: TailListener): Tail {
  const { name } = jobs.target;
  let socket: WebSocket | undefined;
  let closed = false;
  const end = (problem: EngineError | undefined): void => {
    if (closed) return;
    close();
    listener.ended(problem);
  };
  const close = (): void => {
    closed = true;
    socket?.terminate();
  };
  const lost = (error: Error & { code?: string }): void => {
    // Codes of ws itself mean that the cluster broke the WebSocket protocol, such as by a message that is too large.
    const broken = error.code?.startsWith("WS_ERR_") === true;
    end(
      new EngineError({
        code: broken ? "remote-protocol" : "line",
        message: `The connection to ${name} was lost: ${plainLine(error.message)}.`,
      }),
    );
  };
  const connect = async (): Promise<void> => {
    // With node:http, it takes 15 ms to load, in each process that might use it.
    const { WebSocket } = await import("ws");
    if (closed) return;
    const opened = new WebSocket(`ws://${jobs.address}/api/jobs/${job}/logs/tail`, {
      headers: jobs.headers,
      followRedirects: false,
      perMessageDeflate: false,
      handshakeTimeout: CONNECT,
      maxPayload: MOST,
    });
    socket = opened;
    // Ray's server doesn't read from this socket, so pings get no answer.
    opened.on("upgrade", (response) => response.socket.setKeepAlive(true, KEEP_ALIVE));
    opened.on("message", (data: Buffer, binary) => {
      if (closed || binary) return;
      if (!listener.text(data.toString("utf8")) && !closed) opened.pause();
    });
    opened.on("unexpected-response", (_, response) => {
      const { statusCode: status } = response;
      response.resume();
      end(
        new EngineError({
          code: status === 401 || status === 403 ? "ray-refused" : "line",
          message: `${name} refused to send the job's log (HTTP ${status}).`,
        }),
      );
    });
    opened.on("error", lost);
    // Proxies close it with any code. The job's state says whether the log has ended.
    opened.on("close", () => end(undefined));
  };
  void connect().catch(lost);
  return {
    pause: () => socket?.pause(),
    resume: () => {
      if (!closed) socket?.resume();
    },
    cut: () => socket?.terminate(),
    close,
  };
}
