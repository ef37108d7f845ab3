// MLflow's file store: https://mlflow.org/docs/latest/ml/tracking/backend-stores
import path from "node:path";
import { isMissing } from "../../files/fileError.ts";
import { demandSize, readRegularSync } from "../../files/regular.ts";
import { parseDocument } from "yaml";
import { ownValue } from "../../protocol/data/own.ts";
import type { ForeignRun } from "../../protocol/history/foreignRun.ts";
import { openSource } from "../byteSource.ts";
import { Collector } from "./collector.ts";
import { bytesOf, FolderReader } from "./folders.ts";
import { ForeignError, LONGEST_NAME, MOST_PROBLEMS, problemOf, timeOf } from "./limits.ts";

export const META_FILE = "meta.yaml";
/** Real ones have a kilobyte or two, and the time of reading one grows with its square. */
const MOST_META = 16 * 1024;
const MOST_METRIC = 64 * 2 ** 20;
const MOST_TEXT = 64 * 1024;

/** The facts of `meta.yaml`, of a run or an experiment. */
export type Meta = ReadonlyMap<string, string | number>;

/** @throws ForeignError when it can't be read; the file system's error when it is missing */
export function readMeta(folder: string): Meta {
  const file = path.join(folder, META_FILE);
  const text = readRegularSync(file, { limit: MOST_META }).toString("utf8");
  // Its keys are plain: aliases and tags, with which a small file grows, aren't resolved.
  // Comparing each key with all others, and finding the line of each error, would take seconds.
  const document = parseDocument(text, {
    schema: "core",
    merge: false,
    customTags: [],
    logLevel: "silent",
    uniqueKeys: false,
    prettyErrors: false,
  });
  if (document.errors.length > 0)
    throw new ForeignError(
      file,
      `not valid YAML: ${document.errors[0]!.message.split("\n")[0]!.slice(0, LONGEST_NAME)}`,
    );
  let facts: unknown;
  try {
    facts = document.toJS({ maxAliasCount: 0 });
  } catch {
    throw new ForeignError(file, "not valid YAML: it has aliases");
  }
  if (typeof facts !== "object" || facts === null || Array.isArray(facts))
    throw new ForeignError(file, "not a record of MLflow");
  const entries = Object.entries(facts).filter(
    (entry): entry is [string, string | number] =>
      typeof entry[1] === "string" || typeof entry[1] === "number",
  );
  return new Map(entries);
}

/** Kind of a folder by its `meta.yaml`; undefined if it is neither. */
export function kindOfMeta(meta: Meta): "run" | "experiment" | undefined {
  if (meta.has("run_id") || meta.has("run_uuid")) return "run";
  return meta.has("experiment_id") ? "experiment" : undefined;
}

/** `RunStatus` of MLflow's service.proto. */
const STATES: Readonly<Record<string, ForeignRun["state"]>> = { 3: "finished", 4: "failed", 5: "stopped" };
const STATE_NAMES: Readonly<Record<string, string>> = { FINISHED: "3", FAILED: "4", KILLED: "5" };

/** The state of a run by its number or its name; runs that have no end in their record are "stopped". */
export const stateOf = (status: unknown): ForeignRun["state"] =>
  ownValue(STATES, ownValue(STATE_NAMES, String(status)) ?? String(status)) ?? "stopped";

/** Tags of MLflow itself that say where a run comes from. */
const SHOWN_TAGS: Readonly<Record<string, string>> = {
  "mlflow.source.name": "source",
  "mlflow.source.git.commit": "commit",
  "mlflow.note.content": "note",
};

/** Adds a tag, unless it is one of MLflow's own bookkeeping. */
export function addTag(found: Collector, name: string, value: string): void {
  const shown = ownValue(SHOWN_TAGS, name) ?? (name.startsWith("mlflow.") ? undefined : name);
  if (shown !== undefined) found.note(shown, value);
}

/** "nan", "inf" and "-inf" are Python's words. */
export function numberOf(text: string): number | undefined {
  const words: Readonly<Record<string, number>> = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  const word = ownValue(words, text.toLowerCase());
  if (word !== undefined) return word;
  const value = Number(text);
  return text === "" || Number.isNaN(value) ? undefined : value;
}

type NamedFile = { name: string; file: string };

/** The files of a run, as one listing of its folders finds them. */
export interface RunFiles {
  metrics: NamedFile[];
  params: NamedFile[];
  tags: NamedFile[];
  all: string[];
}

/** Looks for the files of a run. */
export function runFiles(folder: string, reader: FolderReader): RunFiles {
  const [metrics, params, tags] = (["metrics", "params", "tags"] as const).map((below) =>
    filesIn(folder, below, reader),
  ) as [NamedFile[], NamedFile[], NamedFile[]];
  const all = [...metrics, ...params, ...tags].map(({ file }) => file);
  return { metrics, params, tags, all: [path.join(folder, META_FILE), ...all] };
}

/** A run of MLflow's file store. Each reading continues where the last one stopped. */
export class MlflowRun {
  readonly #folder: string;
  #found = new Collector();
  /** How far each metric was read, and how many of its lines are no values. */
  #metrics = new Map<string, { end: number; damaged: number }>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * @param experiment the name of its experiment
   * @throws ForeignError; the file system's error
   */
  read(meta: Meta, experiment: string, files: RunFiles): ForeignRun {
    const folder = this.#folder;
    // A file was rewritten: the values that were read are obsolete.
    if ([...this.#metrics].some(([file, { end }]) => bytesOf(file) < end)) {
      this.#found = new Collector();
      this.#metrics = new Map();
    }
    const found = this.#found;
    const problems: string[] = [];
    const attempt = (file: string, read: () => void): void => {
      try {
        read();
      } catch (error) {
        problems.push(`${problemOf(file, error)}.`);
      }
    };
    for (const { name, file } of files.metrics) attempt(file, () => this.#metric(name, file));
    for (const { name, file } of files.params) attempt(file, () => found.parameter(name, textOf(file)));
    for (const { name, file } of files.tags) attempt(file, () => addTag(found, name, textOf(file)));
    for (const [file, { damaged }] of this.#metrics)
      if (damaged > 0)
        problems.push(`${file}: ${damaged.toLocaleString("en-US")} lines are no values and are left out.`);
    const milliseconds = (key: string): number | undefined => {
      const value = meta.get(key);
      return typeof value === "number" ? timeOf(value / 1000) : undefined;
    };
    const [began, ended] = [milliseconds("start_time"), milliseconds("end_time")];
    const id = String(meta.get("run_id") ?? meta.get("run_uuid")).slice(0, LONGEST_NAME);
    const run = found.run({
      tool: "mlflow",
      path: folder,
      id,
      name: String(meta.get("run_name") || id).slice(0, LONGEST_NAME),
      group: experiment,
      state: stateOf(meta.get("status")),
      ...(began === undefined ? {} : { began }),
      ...(ended === undefined ? {} : { ended }),
    });
    return { ...run, problems: [...run.problems, ...problems].slice(0, MOST_PROBLEMS) };
  }

  /** Reads lines of milliseconds, value and, in newer versions, step. An unfinished line is still being written. */
  #metric(name: string, file: string): void {
    const source = openSource(file, file, {});
    try {
      const read = this.#metrics.get(file) ?? { end: 0, damaged: 0 };
      demandSize(file, source.fileBytes - read.end, MOST_METRIC);
      const text = Buffer.from(source.read(read.end, source.fileBytes - read.end)).toString("latin1");
      this.#metrics.set(file, read);
      for (let at = 0; ;) {
        const end = text.indexOf("\n", at);
        if (end < 0) break;
        const line = text.slice(at, end).slice(0, LONGEST_NAME).trim();
        read.end += end + 1 - at;
        at = end + 1;
        if (line === "") continue;
        const [time = "", value = "", step = "0"] = line.split(" ");
        const [seconds, number, count] = [timeOf(Number(time) / 1000), numberOf(value), Number(step)];
        if (seconds === undefined || number === undefined || !Number.isSafeInteger(count)) read.damaged++;
        else this.#found.value(name, count, seconds, number);
      }
    } finally {
      source.close();
    }
  }
}

/** Files below one of a run's folders; their names may have slashes. */
function filesIn(folder: string, below: string, reader: FolderReader): NamedFile[] {
  const root = path.join(folder, below);
  try {
    return reader.files(root).map((name) => ({ name, file: path.join(root, name) }));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

const textOf = (file: string): string => readRegularSync(file, { limit: MOST_TEXT }).toString("utf8");
