import path from "node:path";
import type { ForeignRun } from "../../protocol/history/foreignRun.ts";
import { pixelsOf, MAX_PICTURE_PIXELS } from "../../protocol/pictures.ts";
import { Collector } from "./collector.ts";
import {
  readEvent,
  sessionParameters,
  tensorHistogram,
  type ForeignEvent,
  type SummaryValue,
} from "./eventMessages.ts";
import { bytesOf } from "./folders.ts";
import { ForeignError, MOST_PROBLEMS, timeOf } from "./limits.ts";
import { readRecords, type RecordsRead } from "./tfRecords.ts";

/** Whether a file's name is that of an event file of TensorBoard. */
export const isEventFile = (name: string): boolean => name.includes("tfevents");

const HPARAMS = "_hparams_/session_start_info";

/**
 * A run of TensorBoard: the event files of one folder, in the order of their names, which begin with their times. Each
 * reading continues where the last one stopped.
 */
export class EventFiles {
  readonly #folder: string;
  readonly #root: string;
  #run = new EventRun();
  /** How far each file was read. */
  #ends = new Map<string, number>();

  /** @param root the folder that was chosen: the run's name is the way from there */
  constructor(folder: string, root: string) {
    this.#folder = folder;
    this.#root = root;
  }

  /** @throws ForeignError when no file can be read */
  read(names: readonly string[]): ForeignRun {
    const files = names.map((name) => path.join(this.#folder, name));
    // Rewritten: what was read of it is obsolete.
    if ([...this.#ends].some(([file, end]) => bytesOf(file) < end)) {
      this.#run = new EventRun();
      this.#ends = new Map();
    }
    const problems: string[] = [];
    let failed = 0;
    for (const file of files)
      try {
        const { end, problem } = this.#run.read(file, this.#ends.get(file) ?? 0);
        this.#ends.set(file, end);
        if (problem !== undefined) problems.push(problem);
      } catch (error) {
        failed++;
        problems.push(error instanceof Error ? error.message : String(error));
      }
    const { found, times } = this.#run;
    const run = found.run({
      tool: "tensorboard",
      path: this.#folder,
      id: "",
      name: path.relative(this.#root, this.#folder).split(path.sep).join("/") || path.basename(this.#folder),
      group: "",
      state: "finished",
      ...times,
    });
    const result = { ...run, problems: [...new Set([...run.problems, ...problems])].slice(0, MOST_PROBLEMS) };
    if (failed === files.length || (found.empty && result.problems.length > 0))
      throw new ForeignError(this.#folder, result.problems[0] ?? "no event file can be read");
    return result;
  }
}

class EventRun {
  readonly found = new Collector();
  readonly #plugins = new Map<string, string>();
  #began = Number.POSITIVE_INFINITY;
  #ended = 0;

  get times(): Pick<ForeignRun, "began" | "ended"> {
    return this.#ended === 0 ? {} : { began: this.#began, ended: this.#ended };
  }

  read(file: string, from: number): RecordsRead {
    return readRecords(file, from, (bytes) => {
      let event: ForeignEvent;
      try {
        event = readEvent(bytes);
      } catch {
        this.found.problem(`${file}: a record is no event of TensorBoard.`);
        return;
      }
      this.#add(event);
    });
  }

  #add({ wallTime, step, values, restart }: ForeignEvent): void {
    if (restart) this.found.cut(step);
    const time = timeOf(wallTime);
    if (time === undefined) return;
    for (const value of values) {
      this.#began = Math.min(this.#began, time);
      this.#ended = Math.max(this.#ended, time);
      this.#value(value, step, time);
    }
  }

  #value(value: SummaryValue, step: number, time: number): void {
    const { tag, scalar, histogram, image, tensor, pluginContent } = value;
    if (value.plugin !== undefined && this.#plugins.size < 10_000) this.#plugins.set(tag, value.plugin);
    if (tag === HPARAMS && pluginContent !== undefined) return this.#parameters(pluginContent);
    if (scalar !== undefined) return this.found.value(tag, step, time, scalar);
    if (histogram !== undefined) return this.found.histogram({ name: tag, step, ...histogram });
    if (image !== undefined) return this.#picture(tag, step, image);
    if (tensor === undefined) return;
    const plugin = this.#plugins.get(tag);
    if (plugin === "images") return this.#picture(tag, step, tensor.strings[2]);
    if (plugin === "histograms") {
      const read = tensorHistogram(tensor);
      if (read !== undefined) this.found.histogram({ name: tag, step, ...read });
    } else if (plugin === "scalars" && tensor.numbers.length === 1)
      this.found.value(tag, step, time, tensor.numbers[0]!);
  }

  #parameters(content: Uint8Array): void {
    try {
      for (const [name, value] of sessionParameters(content)) this.found.parameter(name, value);
    } catch {
      this.found.problem("The hyperparameters of TensorBoard's session can't be read.");
    }
  }

  /** PNG files only: the panels decode nothing else of a stranger's. */
  #picture(name: string, step: number, png: Uint8Array | undefined): void {
    const pixels = png === undefined ? undefined : pixelsOf(png);
    if (png === undefined || pixels === undefined || pixels === 0 || pixels > MAX_PICTURE_PIXELS) return;
    this.found.picture({ name, step, png: png.slice() });
  }
}
