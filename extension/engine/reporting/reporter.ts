import type { Progress, RunEngineEvents } from "../../protocol/engine.ts";
import type { Finding } from "../../protocol/findings.ts";
import type { PictureRow } from "../../protocol/layers/pictures.ts";
import type { LayerRow, MetricRow, RunRecord } from "../../protocol/run.ts";
import { plainText } from "../../protocol/text/plain.ts";
import type { LogLevel } from "../host/capturedConsole.ts";
import type { Send } from "../host/ipc.ts";
import type { RunDirectory } from "./runDirectory.ts";

/** Milliseconds between two flushes: views need no more. */
const INTERVAL = 100;
/** Longest log text kept between two flushes, in characters: a print in every step of a fast loop must not flood. */
const LOG_LIMIT = 200_000;

/** A pending report; the queue keeps their order. */
type Entry = { rows: MetricRow[]; onDisk: number } | { level: LogLevel; text: string };

/** Entries between two flushes whose order is kept: alternating prints and epochs must not flood. */
const ORDER_LIMIT = 20;

/** Collects the reports of a run and flushes them to the disk and the parent at most ten times a second. */
export class Reporter {
  readonly #send: Send<RunEngineEvents>;
  #directory: RunDirectory | undefined;
  #queue: Entry[] = [];
  #recordDue = false;
  #progress: Progress | undefined;
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
    const last = this.#queue.at(-1);
    // An epoch's line keeps its place among the printed lines; steps have none.
    const inPlace = row.kind === "epoch" && this.#queue.length < ORDER_LIMIT;
    const rows = inPlace ? last : this.#queue.findLast((entry) => "rows" in entry);
    if (rows !== undefined && "rows" in rows) rows.rows.push(row);
    else this.#queue.push({ rows: [row], onDisk: 0 });
  }

  layers(row: LayerRow): void {
    this.#directory?.appendLayers(row);
  }

  pictures(row: PictureRow): void {
    this.#directory?.appendPictures(row);
  }

  finding(finding: Finding): void {
    this.#directory?.appendFinding(finding);
  }

  progress(progress: Progress): void {
    this.#progress = progress;
    if (progress.seconds !== undefined) this.#directory?.update({ seconds: progress.seconds });
  }

  /** Output of user code, line ends included. */
  printed(level: LogLevel, text: string): void {
    this.#logged += text.length;
    if (this.#logged <= LOG_LIMIT) this.#log(level, text);
    else if (this.#logged - text.length <= LOG_LIMIT)
      this.#log("warning", "… (output left out: too much at once)\n");
  }

  /** A line of the engine itself. It may quote files, so hidden characters are escaped. */
  log(level: LogLevel, text: string): void {
    this.#log(level, `${plainText(text)}\n`);
  }

  /** Lines that only the run's log has, after what was printed before them. */
  note(text: string): void {
    this.flush();
    this.#directory?.appendLog(text);
  }

  #log(level: LogLevel, text: string): void {
    const inPlace = this.#queue.length < ORDER_LIMIT;
    const last = inPlace
      ? this.#queue.at(-1)
      : this.#queue.findLast((entry) => "level" in entry && entry.level === level);
    if (last !== undefined && "level" in last && last.level === level) last.text += text;
    else this.#queue.push({ level, text });
  }

  /** Warns once a run. */
  warnOnce(text: string): void {
    if (this.#warned.has(text)) return;
    this.#warned.add(text);
    this.log("warning", text);
  }

  /** As `warnOnce`, while code keeps the event loop from turning, and with it the timer that flushes. */
  warnAtOnce(text: string): void {
    this.warnOnce(text);
    this.flush();
  }

  record(record: RunRecord): void {
    this.#send("record", record);
  }

  /** Sends the record with the next flush: it may change as often as a step. */
  recordChanged(): void {
    this.#recordDue = true;
  }

  /** Flushes when the last flush is long enough ago. */
  flushIfDue(): void {
    if (performance.now() - this.#flushed >= INTERVAL) this.flush();
  }

  /** Writes the curves to disk without a message: the state that is saved next must not be ahead of them. */
  rowsToDisk(): void {
    for (const entry of this.#queue) if ("rows" in entry) this.#toDisk(entry);
    this.#directory?.flush();
  }

  #toDisk(entry: Extract<Entry, { rows: MetricRow[] }>): void {
    this.#directory?.appendMetrics(entry.rows.slice(entry.onDisk));
    entry.onDisk = entry.rows.length;
  }

  flush(): void {
    this.#flushed = performance.now();
    this.#logged = 0;
    for (const entry of this.#queue.splice(0)) {
      if ("rows" in entry) {
        this.#toDisk(entry);
        this.#send("metrics", entry.rows);
      } else {
        const { level, text } = entry;
        this.#directory?.appendLog(text);
        this.#send("log", level, text.endsWith("\n") ? text.slice(0, -1) : text);
      }
    }
    if (this.#recordDue && this.#directory !== undefined) {
      this.#recordDue = false;
      this.#send("record", this.#directory.record);
    }
    if (this.#progress !== undefined) {
      this.#send("progress", this.#progress);
      this.#progress = undefined;
    }
    this.#directory?.flush();
  }
}
