import { basename, dirname, resolve } from "node:path";
import * as v from "valibot";
import { checkedJson } from "../../files/json.ts";
import { readRegular } from "../../files/regular.ts";
import { readRunFile, rootOfRun } from "../../files/runFiles.ts";
import { PROVENANCE_FILE, PROVENANCE_LIMIT, Provenance } from "../../protocol/history/provenance.ts";
import { SOURCE_FILE, SOURCES_FILE, type RunRecord } from "../../protocol/run.ts";
import type { HistoryOf } from "../../protocol/history/views.ts";
import { readRecord } from "./runDirectory.ts";
import { isBelow } from "./sourceFile.ts";

/** Most bytes of a kept source, and of its imports together. */
const SOURCE_LIMIT = 2 * 2 ** 20;
const SOURCES_LIMIT = 8 * 2 ** 20;
const Sources = v.record(v.string(), v.string());

/** Reads what a run's directory holds of its origin. What is missing, damaged or too large is left out. */
export async function readHistory(directory: string): Promise<HistoryOf<RunRecord>> {
  const run = await readRecord(directory);
  const [provenance, source, imports] = await Promise.all([
    readJson(directory, PROVENANCE_FILE, Provenance, PROVENANCE_LIMIT),
    readSource(directory),
    readJson(directory, SOURCES_FILE, Sources, SOURCES_LIMIT),
  ]);
  return {
    run,
    file: basename(run.file.replaceAll("\\", "/")),
    imports: imports ?? {},
    ...(provenance === undefined ? {} : { provenance }),
    ...(source === undefined ? {} : { source }),
  };
}

/** The version of its file that a run has kept; undefined if there is none. */
export async function readSource(directory: string): Promise<string | undefined> {
  return readRunFile(directory, SOURCE_FILE, SOURCE_LIMIT).then(
    (bytes) => bytes.toString("utf8"),
    () => undefined,
  );
}

/** Whether the version of its file that a run has kept, and its imports, are what the files have now. */
export async function isOnDisk(directory: string, file: string): Promise<boolean> {
  return (await changedSources(directory, file)).length === 0;
}

/** The files that are not, or no longer, what a run has kept of them: absolute paths. */
export async function changedSources(directory: string, file: string): Promise<string[]> {
  const { source, imports } = await readHistory(directory);
  const kept = [
    [file, source],
    ...Object.entries(imports).map(([name, text]) => [resolve(dirname(file), name), text]),
  ];
  // A run keeps nothing from elsewhere: a record that names such files is a stranger's.
  const own = rootOfRun(directory);
  const root = own === resolve(directory) ? dirname(file) : own;
  const changed: string[] = [];
  for (const [path, text] of kept as [string, string | undefined][]) {
    const known = path === file || isBelow(root, path);
    const now = known ? await readText(path) : undefined;
    if (now === undefined || now !== text) changed.push(path);
  }
  return changed;
}

/**
 * The sources of a run that have changed since it began, by their names: its kept version may help where they don't fit any
 * more. None of a run on another machine, which is sent the sources on the disk.
 */
export async function outgrown(directory: string, file: string): Promise<string[]> {
  const record = await readRecord(directory).catch(() => undefined);
  if (record === undefined || record.on !== undefined) return [];
  if ((await readSource(directory)) === undefined) return [];
  return (await changedSources(directory, file)).map((path) => basename(path));
}

const readText = (path: string): Promise<string | undefined> =>
  readRegular(path, { limit: SOURCE_LIMIT }).then(
    (bytes) => bytes.toString("utf8"),
    () => undefined,
  );

async function readJson<T>(
  directory: string,
  name: string,
  schema: v.GenericSchema<unknown, T>,
  limit: number,
): Promise<T | undefined> {
  try {
    return checkedJson(name, await readRunFile(directory, name, limit), schema);
  } catch {
    return undefined;
  }
}
