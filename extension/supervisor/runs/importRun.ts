// Writes a run of another tool as a run directory, so that every view of runs has it.
import { mkdir, rm } from "node:fs/promises";
import { basename, isAbsolute, join, relative } from "node:path";
import { inside } from "../../files/inside.ts";
import { runPath, unwritable, writeRunFile } from "../../files/runFiles.ts";
import { writeAtomicAsync } from "../../files/writeAtomic.ts";
import { FOREIGN_TOOL_NAMES, type ForeignRun } from "../../protocol/history/foreignRun.ts";
import {
  LAYERS_FILE,
  LOG_FILE,
  METRICS_FILE,
  PICTURES_FOLDER,
  RUN_FILE,
  runTitle,
  type RunRecord,
} from "../../protocol/run.ts";
import type { Settings } from "../../protocol/sweeps/sweep.ts";
import { demandTrust } from "../trust.ts";
import { layerRows } from "./importedLayers.ts";
import { importedNames, type ImportedRow, importedRows } from "./importedRows.ts";
import { writeLabels } from "./runLabels.ts";
import { makeRunDirectory } from "./newRun.ts";
import { listRuns, writeRecord, type StoredRun } from "./runDirectory.ts";

/** A run that was imported. */
export interface Imported {
  directory: string;
  record: RunRecord;
  /** It was there from an earlier import, and has its newest values now. */
  updated: boolean;
}

/** Runs of a folder that were imported before, by {@link keyOf}. */
export type KnownImports = ReadonlyMap<string, StoredRun>;

const keyOf = (tool: string, path: string, id: string): string => JSON.stringify([tool, path, id]);

/** The runs of a folder that were imported. */
export async function knownImports(folder: string): Promise<KnownImports> {
  const imported = (await listRuns(folder)).flatMap((run) => {
    const { imported: from } = run.record;
    return from === undefined ? [] : [[keyOf(from.tool, from.path, from.id), run] as const];
  });
  return new Map(imported);
}

/**
 * Writes a run into a folder's runs, or brings the one of an earlier import up to date.
 * @throws EngineError "run-directory" when it can't be written
 */
export async function importRun(folder: string, run: ForeignRun, known: KnownImports): Promise<Imported> {
  demandTrust();
  const before = known.get(keyOf(run.tool, run.path, run.id));
  const began = run.began ?? Date.now() / 1000;
  const directory = before?.directory ?? (await makeRunDirectory(folder, run.name, new Date(1000 * began)));
  try {
    const names = importedNames(run.series.map(({ name }) => name));
    const record = await writeRows(directory, run, began, names);
    const whole: RunRecord = { ...recordOf(folder, directory, run, began), ...record };
    await writeRunFile(directory, LOG_FILE, run.problems.map((line) => `${line}\n`).join(""));
    await writeLayers(directory, run);
    await writePictures(directory, run);
    await writeRecord(directory, whole);
    // The name that the tool has shown, until the user gives another.
    if (before === undefined)
      await writeLabels(directory, { name: runTitle(whole).slice(0, 200), tags: [], archived: false });
    return { directory, record: whole, updated: before !== undefined };
  } catch (error) {
    if (before === undefined) await rm(directory, { recursive: true, force: true });
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
  run: ForeignRun,
  began: number,
  names: ReadonlyMap<string, string>,
): Promise<Pick<RunRecord, "metrics" | "step" | "epoch" | "epochs">> {
  let last: ImportedRow | undefined;
  const metrics = new Map<string, number>();
  await writeAtomicAsync(
    await runPath(directory, METRICS_FILE),
    (function* () {
      let text = "";
      for (const row of importedRows(run.series, began, names)) {
        last = row;
        for (const [name, value] of Object.entries(row.values)) metrics.set(name, value);
        text += `${JSON.stringify(row)}\n`;
        if (text.length < CHUNK) continue;
        yield Buffer.from(text);
        text = "";
      }
      yield Buffer.from(text);
    })(),
  );
  const epoch = Math.floor(last?.epoch ?? 0);
  return { metrics: Object.fromEntries(metrics), step: Math.max(0, last?.step ?? 0), epoch, epochs: epoch };
}

async function writeLayers(directory: string, { histograms }: ForeignRun): Promise<void> {
  if (histograms.length === 0) return;
  const lines = layerRows(histograms).map((row) => `${JSON.stringify(row)}\n`);
  await writeRunFile(directory, LAYERS_FILE, lines.join(""));
}

async function writePictures(directory: string, { pictures }: ForeignRun): Promise<void> {
  if (pictures.length === 0) return;
  await mkdir(await inside(directory, PICTURES_FOLDER), { recursive: true });
  for (const { name, step, png } of pictures) {
    const word = name.replaceAll(/[^\w.-]+/g, "_").slice(0, 100);
    const file = `step-${String(Math.max(0, step)).padStart(8, "0")}-${word}.png`;
    await writeAtomicAsync(await runPath(directory, PICTURES_FOLDER, file), [png]);
  }
}
