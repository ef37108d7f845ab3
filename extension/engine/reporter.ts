import type { Progress, RunEngineEvents } from "../protocol/engine.ts";
import type { MetricRow, RunRecord } from "../protocol/run.ts";
import type { LogLevel } from "./capturedConsole.ts";
import type { Send } from "./ipc.ts";
import type { RunDirectory } from "./runDirectory.ts";

/** Milliseconds between two messages of a kind: views need no more. */
const INTERVAL = 100;
/** Longest log text kept between two flushes, in characters: a print in every step of a fast loop must not flood. */
const LOG_LIMIT = 200_000;

/** Collects what a run has to say, and tells it to the disk and the parent ten times a second at most. */
export class Reporter {
  readonly #send: Send<RunEngineEvents>;
  #directory: RunDirectory | undefined;
  #rows: MetricRow[] = [];
  #progress: Progress | undefined;
  #logs: { level: LogLevel; text: string }[] = [];
  #logged = 0;
  #flushed = 0;
  readonly #warned = new Set<string>();

  constructor(send: Send<RunEngineEvents>) {
    this.#send = send;
  }

  /** From now on, everything goes to the disk too. */
  attach(directory: RunDirectory): void {
    this.#directory = directory;
  }

  row(row: MetricRow): void {
    this.#rows.push(row);
  }

  progress(progress: Progress): void {
    this.#progress = progress;
  }

  /** What user code printed, line ends included. */
  printed(level: LogLevel, text: string): void {
    this.#logged += text.length;
    if (this.#logged > LOG_LIMIT) {
      if (this.#logged - text.length <= LOG_LIMIT)
        this.#logs.push({ level: "warning", text: "… (output left out: too much at once)\n" });
      return;
    }
    const last = this.#logs.at(-1);
    if (last?.level === level) last.text += text;
    else this.#logs.push({ level, text });
  }

  /** What the engine itself says, in one line. */
  log(level: LogLevel, text: string): void {
    this.#logs.push({ level, text: `${text}\n` });
  }

  /** Says something once a run. */
  warnOnce(text: string): void {
    if (this.#warned.has(text)) return;
    this.#warned.add(text);
    this.log("warning", text);
  }

  record(record: RunRecord): void {
    this.#send("record", record);
  }

  /** Tells what has been collected, when the last time is long enough ago. */
  flushIfDue(): void {
    if (performance.now() - this.#flushed >= INTERVAL) this.flush();
  }

  flush(): void {
    this.#flushed = performance.now();
    this.#logged = 0;
    for (const { level, text } of this.#logs.splice(0)) {
      this.#directory?.appendLog(text);
      this.#send("log", level, text.endsWith("\n") ? text.slice(0, -1) : text);
    }
    if (this.#rows.length > 0) {
      const rows = this.#rows.splice(0);
      this.#directory?.appendMetrics(rows);
      this.#send("metrics", rows);
    }
    if (this.#progress !== undefined) {
      this.#send("progress", this.#progress);
      this.#progress = undefined;
    }
    this.#directory?.flush();
  }
}
