// MLflow's file store: https://mlflow.org/docs/latest/ml/tracking/backend-stores
import path from "node:path";
import { isMissing } from "../../files/fileError.ts";
import { readRegularSync } from "../../files/regular.ts";
import { parseDocument } from "yaml";
import type { ForeignRun } from "../../protocol/history/foreignRun.ts";
import { Collector } from "./collector.ts";
import { FolderReader } from "./folders.ts";
import { ForeignError, LONGEST_NAME, problemOf, timeOf } from "./limits.ts";

export const META_FILE = "meta.yaml";
const MOST_META = 256 * 1024;
const MOST_METRIC = 64 * 2 ** 20;
const MOST_TEXT = 64 * 1024;

/** The facts of `meta.yaml`, of a run or an experiment. */
export type Meta = ReadonlyMap<string, string | number>;

/** @throws ForeignError when it can't be read; the file system's error when it is missing */
export function readMeta(folder: string): Meta {
  const file = path.join(folder, META_FILE);
  const text = readRegularSync(file, { limit: MOST_META }).toString("utf8");
  // Its keys are plain: aliases and tags, with which a small file grows, aren't resolved.
  const document = parseDocument(text, { schema: "core", merge: false, customTags: [], logLevel: "silent" });
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

/** What a folder with a `meta.yaml` is. */
export function kindOfMeta(meta: Meta): "run" | "experiment" | undefined {
  if (meta.has("run_id") || meta.has("run_uuid")) return "run";
  return meta.has("experiment_id") ? "experiment" : undefined;
}

/** `RunStatus` of MLflow's service.proto. */
const STATES: Readonly<Record<string, ForeignRun["state"]>> = { 3: "finished", 4: "failed", 5: "stopped" };
const STATE_NAMES: Readonly<Record<string, string>> = { FINISHED: "3", FAILED: "4", KILLED: "5" };

/** The state of a run by its number or its name; runs that have no end in their record are "stopped". */
export const stateOf = (status: unknown): ForeignRun["state"] =>
  STATES[STATE_NAMES[String(status)] ?? String(status)] ?? "stopped";

/** Tags of MLflow itself that say where a run comes from. */
const SHOWN_TAGS: Readonly<Record<string, string>> = {
  "mlflow.source.name": "source",
  "mlflow.source.git.commit": "commit",
  "mlflow.note.content": "note",
};

/** Adds a tag, unless it is one of MLflow's own bookkeeping. */
export function addTag(found: Collector, name: string, value: string): void {
  const shown = SHOWN_TAGS[name] ?? (name.startsWith("mlflow.") ? undefined : name);
  if (shown !== undefined) found.note(shown, value);
}

/** "nan", "inf" and "-inf" are Python's words. */
export function numberOf(text: string): number | undefined {
  const words: Readonly<Record<string, number>> = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  const word = words[text.toLowerCase()];
  if (word !== undefined) return word;
  const value = Number(text);
  return text === "" || Number.isNaN(value) ? undefined : value;
}

/**
 * Reads a run of MLflow's file store.
 * @param experiment the name of its experiment
 * @throws ForeignError; the file system's error
 */
export function readMlflowRun(
  folder: string,
  meta: Meta,
  experiment: string,
  reader: FolderReader,
): ForeignRun {
  const found = new Collector();
  for (const { name, file } of filesIn(folder, "metrics", reader)) readMetric(found, name, file);
  for (const { name, file } of filesIn(folder, "params", reader))
    attempt(found, file, () => found.parameter(name, textOf(file)));
  for (const { name, file } of filesIn(folder, "tags", reader))
    attempt(found, file, () => addTag(found, name, textOf(file)));
  const milliseconds = (key: string): number | undefined => {
    const value = meta.get(key);
    return typeof value === "number" ? timeOf(value / 1000) : undefined;
  };
  const [began, ended] = [milliseconds("start_time"), milliseconds("end_time")];
  const id = String(meta.get("run_id") ?? meta.get("run_uuid")).slice(0, LONGEST_NAME);
  return found.run({
    tool: "mlflow",
    path: folder,
    id,
    name: String(meta.get("run_name") || id).slice(0, LONGEST_NAME),
    group: experiment,
    state: stateOf(meta.get("status")),
    ...(began === undefined ? {} : { began }),
    ...(ended === undefined ? {} : { ended }),
  });
}

/** Files below one of a run's folders; their names may have slashes. */
function filesIn(folder: string, below: string, reader: FolderReader): { name: string; file: string }[] {
  const root = path.join(folder, below);
  try {
    return reader.files(root).map((name) => ({ name, file: path.join(root, name) }));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function attempt(found: Collector, file: string, read: () => void): void {
  try {
    read();
  } catch (error) {
    found.problem(`${problemOf(file, error)}.`);
  }
}

const textOf = (file: string): string => readRegularSync(file, { limit: MOST_TEXT }).toString("utf8");

/** Lines of time in milliseconds, value and step; old versions wrote no step. */
function readMetric(found: Collector, name: string, file: string): void {
  attempt(found, file, () => {
    const text = readRegularSync(file, { limit: MOST_METRIC }).toString("utf8");
    let damaged = 0;
    for (let at = 0; at < text.length;) {
      const end = text.indexOf("\n", at);
      const line = text
        .slice(at, end < 0 ? text.length : end)
        .slice(0, LONGEST_NAME)
        .trim();
      at = end < 0 ? text.length : end + 1;
      if (line === "") continue;
      const [time = "", value = "", step = "0"] = line.split(" ");
      const [seconds, number, count] = [timeOf(Number(time) / 1000), numberOf(value), Number(step)];
      if (seconds === undefined || number === undefined || !Number.isSafeInteger(count)) damaged++;
      else found.value(name, count, seconds, number);
    }
    if (damaged > 0)
      found.problem(`${file}: ${damaged.toLocaleString("en-US")} lines are no values and are left out.`);
  });
}
