// The log of a job as it grows. Ray sends it over a WebSocket, from its beginning, and looks for more once a second.
import { WebSocket } from "ws";
import { EngineError } from "../../protocol/errors.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import type { Jobs } from "./jobs.ts";

/** Milliseconds to connect, and of silence after which the system asks whether the line is there. */
const CONNECT = 15_000;
const KEEP_ALIVE = 20_000;
/** Most bytes of a message: ten lines of a log. */
const MOST = 4 * 2 ** 20;

export interface Tail {
  pause(): void;
  resume(): void;
  /** Takes the line for cut. */
  cut(): void;
  /** Ends it; nothing is called any more. */
  close(): void;
}

export interface TailListener {
  /** Takes text; false if more should wait for `resume`. */
  text(text: string): boolean;
  /** The log has ended or the line was cut; or there is a known reason. */
  ended(problem: EngineError | undefined): void;
}

/** Follows the log of a job. */
export function tailLog(jobs: Jobs, job: string, listener: TailListener): Tail {
  const { name } = jobs.target;
  const socket = new WebSocket(`ws://${jobs.address}/api/jobs/${job}/logs/tail`, {
    headers: jobs.headers,
    followRedirects: false,
    perMessageDeflate: false,
    handshakeTimeout: CONNECT,
    maxPayload: MOST,
  });
  let closed = false;
  const end = (problem: EngineError | undefined): void => {
    if (closed) return;
    close();
    listener.ended(problem);
  };
  const close = (): void => {
    closed = true;
    socket.terminate();
  };
  // Ray's server reads nothing of a tail, so it answers no ping.
  socket.on("upgrade", (response) => response.socket.setKeepAlive(true, KEEP_ALIVE));
  socket.on("message", (data: Buffer, binary) => {
    if (closed || binary) return;
    if (!listener.text(data.toString("utf8")) && !closed) socket.pause();
  });
  socket.on("unexpected-response", (_, response) => {
    const { statusCode: status } = response;
    response.resume();
    end(
      new EngineError({
        code: status === 401 || status === 403 ? "ray-refused" : "line",
        message: `${name} doesn't show the job's log (HTTP ${status}).`,
      }),
    );
  });
  // Behind an error comes "close"; one that says that a message is too large is the cluster's fault.
  socket.on("error", (error: Error & { code?: string }) => {
    const broken = error.code?.startsWith("WS_ERR_") === true;
    end(
      new EngineError({
        code: broken ? "remote-protocol" : "line",
        message: `The line to ${name} was cut: ${plainLine(error.message)}.`,
      }),
    );
  });
  // Proxies close it with any code: whether the log has ended, the job's state says.
  socket.on("close", () => end(undefined));
  return {
    pause: () => socket.pause(),
    resume: () => {
      if (!closed) socket.resume();
    },
    cut: () => socket.terminate(),
    close,
  };
}
