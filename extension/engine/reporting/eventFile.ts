import fs from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { eventRecord, fileVersion } from "../../formats/tensorboard.ts";
import type { MetricRow, RunRecord } from "../../protocol/run.ts";
import { markdownText } from "../../protocol/text/markdown.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import { AppendFile } from "../../files/append.ts";

const PREFIX = "events.out.tfevents.";

/**
 * The name of an event file, as TensorFlow and PyTorch write it.
 * @param time seconds since 1970
 * @param count files that this process had before
 */
export const eventFileName = (time: number, count = 0): string =>
  `${PREFIX}${String(Math.floor(time)).padStart(10, "0")}.${hostname()}.${process.pid}.${count}`;

const cell = (text: string): string => markdownText(plainLine(text));

/** Whether a run directory has files for TensorBoard. */
export function hasEventFiles(directory: string): boolean {
  return fs.readdirSync(directory).some((name) => name.startsWith(PREFIX));
}

/**
 * A run's curves for TensorBoard (`tensorboard --logdir .layerwise/runs`): what `metrics.jsonl` has, as scalars under
 * "step/" and "epoch/", and the run's settings and events as texts.
 */
export class EventFile {
  readonly #file: AppendFile;
  readonly #began: number;

  /**
   * @param began when the run's time 0 was, in seconds since 1970
   * @param resumedAt the step from which the run continues: rows of later steps in older files are obsolete
   */
  constructor(directory: string, { began, resumedAt }: { began: number; resumedAt?: number | undefined }) {
    const now = Date.now() / 1000;
    this.#file = new AppendFile(path.join(directory, eventFileName(now)));
    this.#began = began;
    this.#file.push(fileVersion(now));
    if (resumedAt !== undefined)
      this.#file.push(eventRecord({ wallTime: now, step: resumedAt + 1, restart: true }));
  }

  /** The run's settings, as a table. */
  describe({ model, exportName, settings, seed }: RunRecord): void {
    const rows = Object.entries({ model, experiment: exportName, ...settings, seed: seed ?? "" });
    const table = rows.map(([name, value]) => `| ${cell(name)} | ${cell(String(value))} |`);
    const text = ["| setting | value |", "| --- | --- |", ...table].join("\n");
    this.#file.push(
      eventRecord({ wallTime: Date.now() / 1000, step: 0, values: [{ tag: "settings", text }] }),
    );
  }

  append(rows: readonly MetricRow[]): void {
    for (const { kind, step, time, values, text } of rows) {
      const wallTime = this.#began + time;
      if (kind === "event") {
        if (text !== undefined)
          this.#file.push(
            eventRecord({ wallTime, step, values: [{ tag: "events", text: markdownText(text) }] }),
          );
        continue;
      }
      const scalars = Object.entries(values).map(([name, value]) => ({
        tag: `${kind}/${name}`,
        scalar: value,
      }));
      this.#file.push(eventRecord({ wallTime, step, values: scalars }));
    }
  }

  /** @throws the file system's error; nothing is lost by it */
  flush(): void {
    this.#file.flush();
  }

  close(): void {
    this.#file.close();
  }
}
