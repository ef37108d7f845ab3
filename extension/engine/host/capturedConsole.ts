import { Console } from "node:console";
import { Writable } from "node:stream";

export type LogLevel = "info" | "warning" | "error";

/**
 * Makes user code's `console` write to `write` instead of the process's streams: log, info, debug, table and dir as
 * "info", the rest as "error", but `warn` as "warning".
 */
export function captureConsole(write: (level: LogLevel, text: string) => void): void {
  const sink = (level: LogLevel): Writable =>
    new Writable({
      decodeStrings: false,
      write(chunk: unknown, _encoding, done) {
        write(level, String(chunk));
        done();
      },
    });
  const captured = new Console({ stdout: sink("info"), stderr: sink("error") });
  const warnings = new Console({ stdout: sink("warning"), stderr: sink("warning") });
  captured.warn = warnings.warn.bind(warnings);
  globalThis.console = captured;
}
