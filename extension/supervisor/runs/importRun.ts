// Writes a run of another tool as a run directory, so that every view of runs has it.
import { rm } from "node:fs/promises";
import { basename, isAbsolute, join, relative } from "node:path";
import { makeFolder } from "../../files/folders.ts";
import { openAppend } from "../../files/append.ts";
import { inside } from "../../files/inside.ts";
import { runPath, unwritable, writeRunFile } from "../../files/runFiles.ts";
import { writeAtomicAsync } from "../../files/writeAtomic.ts";
import {
  FOREIGN_TOOL_NAMES,
  type ForeignPicture,
  type ForeignRun,
} from "../../protocol/history/foreignRun.ts";
import {
  LAYERS_FILE,
  LOG_FILE,
  METRICS_FILE,
  PICTURES_FOLDER,
  RUN_FILE,
  runTitle,
  type Metrics,
  type RunRecord,
} from "../../protocol/run.ts";
import type { Settings } from "../../protocol/sweeps/sweep.ts";
import { demandTrust } from "../trust.ts";
import { layerRows } from "./importedLayers.ts";
import { importedNames, importedRows, writtenValues, type WrittenRows } from "./importedRows.ts";
import { writeLabels } from "./runLabels.ts";
import { makeRunDirectory } from "./newRun.ts";
import { listRuns, writeRecord } from "./runDirectory.ts";

/** A run that was imported. */
export interface Imported {
  directory: string;
  record: RunRecord;
  /** Whether it was there from an earlier import, and has been updated. */
  updated: boolean;
  /** Whether rows were only added to its curves. */
  appended: boolean;
}

/** Parts of a run that this process has written. */
interface Written extends WrittenRows {
  metrics: Metrics;
  histograms: number;
  pictures: ReadonlySet<ForeignPicture>;
}

interface KnownImport {
  directory: string;
  record: RunRecord;
  written?: Written;
}

/** Runs of a folder that were imported before, by {@link keyOf}. */
export type KnownImports = Map<string, KnownImport>;

const keyOf = ({ tool, path, id }: Pick<ForeignRun, "tool" | "path" | "id">): string =>
  JSON.stringify([tool, path, id]);

/** Whether a run was imported before. */
export const isKnown = (run: ForeignRun, known: KnownImports): boolean => known.has(keyOf(run));

/** The runs of a folder that were imported. */
export async function knownImports(folder: string): Promise<KnownImports> {
  const imported = (await listRuns(folder)).flatMap((run) => {
    const { imported: from } = run.record;
    return from === undefined ? [] : [[keyOf(from), run] as const];
  });
  return new Map(imported);
}

/**
 * Writes a run into a folder's runs, or updates the one of an earlier import; a run that this process has written gets
 * only the new values.
 * @throws EngineError "run-directory" when it can't be written
 */
export async function importRun(folder: string, run: ForeignRun, known: KnownImports): Promise<Imported> {
  demandTrust();
  const before = known.get(keyOf(run));
  const began = run.began ?? before?.written?.began ?? Date.now() / 1000;
  const directory = before?.directory ?? (await makeRunDirectory(folder, run.name, new Date(1000 * began)));
  try {
    const { appended, ...written } = await writeRows(directory, run, began, before?.written);
    const epoch = Math.floor(written.epoch);
    const record: RunRecord = {
      ...recordOf(folder, directory, run, began),
      // A file may be read alone or below a folder: the run keeps its first name.
      ...(before === undefined ? {} : { exportName: before.record.exportName }),
      metrics: written.metrics,
      step: Math.max(0, written.step),
      epoch,
      epochs: epoch,
    };
    await writeRunFile(directory, LOG_FILE, run.problems.map((line) => `${line}\n`).join(""));
    if (run.histograms.length !== (before?.written?.histograms ?? 0)) await writeLayers(directory, run);
    await writePictures(
      directory,
      run.pictures.filter((picture) => !before?.written?.pictures.has(picture)),
    );
    await writeRecord(directory, record);
    // The name that the tool has shown, until the user gives another.
    if (before === undefined)
      await writeLabels(directory, { name: runTitle(record).slice(0, 200), tags: [], archived: false });
    const { histograms, pictures } = run;
    known.set(keyOf(run), {
      directory,
      record,
      written: { ...written, histograms: histograms.length, pictures: new Set(pictures) },
    });
    return { directory, record, updated: before !== undefined, appended };
  } catch (error) {
    if (before === undefined) await rm(directory, { recursive: true, force: true });
    // How much of it was written is unknown.
    else known.set(keyOf(run), { directory, record: before.record });
    throw unwritable(directory, error);
  }
}

function recordOf(folder: string, directory: string, run: ForeignRun, began: number): RunRecord {
  const { tool, path, id, name, group, state, parameters, notes } = run;
  const way = relative(folder, path);
  const within = way !== ".." && !way.startsWith("../") && !way.startsWith("..\\") && !isAbsolute(way);
  return {
    version: 1,
    id: basename(directory),
    kind: "train",
    state,
    // Views find a run's folder by its file.
    file: within ? path : join(directory, RUN_FILE),
    exportName: name,
    model: group,
    createdAt: dateOf(began),
    endedAt: dateOf(run.ended ?? began),
    epochs: 0,
    epoch: 0,
    step: 0,
    settings: {
      tool: FOREIGN_TOOL_NAMES[tool],
      ...Object.fromEntries(parameters),
      ...Object.fromEntries(notes),
    },
    hyperparameters: hyperparametersOf(parameters),
    imported: { tool, path, id },
    metrics: {},
    checkpoints: [],
    outlive: false,
  };
}

const dateOf = (seconds: number): string => new Date(1000 * seconds).toISOString();

/** Names of hyperparameters are identifiers here. */
function hyperparametersOf(parameters: ForeignRun["parameters"]): Settings {
  const entries = [...parameters]
    .filter(([, value]) => typeof value !== "string" || value.length <= 1000)
    .map(
      ([name, value]) =>
        [
          name
            .replaceAll(/[^\w$]/g, "_")
            .replace(/^(?=\d)/, "_")
            .slice(0, 100),
          value,
        ] as const,
    );
  return Object.fromEntries(entries.filter(([name]) => name !== "").slice(0, 100));
}

/** Bytes of one write. */
const CHUNK = 1 << 16;

async function writeRows(
  directory: string,
  { series }: ForeignRun,
  began: number,
  before: Written | undefined,
): Promise<WrittenRows & { metrics: Metrics; appended: boolean }> {
  const names = importedNames(series.map(({ name }) => name));
  const counts = before === undefined ? undefined : writtenValues(series, began, names, before);
  const appended = before !== undefined && counts !== undefined;
  let { step, epoch } = appended ? before : { step: 0, epoch: 0 };
  const metrics = new Map<string, number>(appended ? Object.entries(before.metrics) : []);
  const bytes = (function* () {
    let text = "";
    for (const row of importedRows(series, began, names, counts, epoch)) {
      ({ step, epoch } = row);
      for (const [name, value] of Object.entries(row.values)) metrics.set(name, value);
      text += `${JSON.stringify(row)}\n`;
      if (text.length < CHUNK) continue;
      yield Buffer.from(text);
      text = "";
    }
    yield Buffer.from(text);
  })();
  const file = await runPath(directory, METRICS_FILE);
  if (appended) {
    const handle = await openAppend(file);
    try {
      for (const part of bytes) await handle.appendFile(part);
    } finally {
      await handle.close();
    }
  } else await writeAtomicAsync(file, bytes);
  const last = new Map(
    series.flatMap(({ name, steps, values }) =>
      steps.length === 0 ? [] : [[name, [steps.at(-1)!, values.at(-1)!] as const] as const],
    ),
  );
  return { began, names, last, step, epoch, metrics: Object.fromEntries(metrics), appended };
}

async function writeLayers(directory: string, { histograms }: ForeignRun): Promise<void> {
  if (histograms.length === 0) return;
  const lines = layerRows(histograms).map((row) => `${JSON.stringify(row)}\n`);
  await writeRunFile(directory, LAYERS_FILE, lines.join(""));
}

async function writePictures(directory: string, pictures: readonly ForeignPicture[]): Promise<void> {
  if (pictures.length === 0) return;
  await makeFolder(await inside(directory, PICTURES_FOLDER));
  for (const { name, step, png } of pictures) {
    const word = name.replaceAll(/[^\w.-]+/g, "_").slice(0, 100);
    const file = `step-${String(Math.max(0, step)).padStart(8, "0")}-${word}.png`;
    await writeAtomicAsync(await runPath(directory, PICTURES_FOLDER, file), [png]);
  }
}
