import { existsSync } from "node:fs";
import path from "node:path";
import type { ForeignRun } from "../../protocol/history/foreignRun.ts";
import { isDatabase, readDatabase } from "./databases.ts";
import { isEventFile, readEventFiles } from "./eventFiles.ts";
import { FolderReader, kindOf } from "./folders.ts";
import { ForeignError, LONGEST_NAME, MOST_RUNS, problemOf } from "./limits.ts";
import { kindOfMeta, META_FILE, readMeta, readMlflowRun } from "./mlflow.ts";

/** What is read of one file or folder. */
interface Source {
  path: string;
  read: () => ForeignRun[] | Promise<ForeignRun[]>;
}

export interface FoundRuns {
  runs: ForeignRun[];
  /** What could not be read, in sentences that name files. */
  problems: string[];
}

/**
 * Reads runs that other tools recorded: TensorBoard's event files, MLflow's stores and trackio's databases, by a file or by
 * a folder that has any of them. Each folder with event files is a run, as in TensorBoard.
 *
 * @throws ForeignError when there are none, or none can be read; the file system's error for a path that is missing
 */
export async function readForeignRuns(
  chosen: string,
  onRead: (path: string) => void = () => {},
): Promise<FoundRuns> {
  const root = path.resolve(chosen);
  const sources = kindOf(root) === "file" ? [fileSource(root)] : folderSources(root);
  if (sources.length === 0)
    throw new ForeignError(
      root,
      "no runs of TensorBoard, MLflow or trackio: no event files, meta.yaml or database",
    );
  const found: FoundRuns = { runs: [], problems: [] };
  for (const source of sources) {
    if (found.runs.length >= MOST_RUNS) {
      found.problems.push(`${root}: runs after the first ${MOST_RUNS} are left out.`);
      break;
    }
    onRead(source.path);
    try {
      found.runs.push(...(await source.read()));
    } catch (error) {
      found.problems.push(`${problemOf(source.path, error)}.`);
    }
  }
  if (found.runs.length === 0)
    throw new ForeignError(root, withoutPath(root, found.problems[0] ?? "no runs"));
  found.runs.length = Math.min(found.runs.length, MOST_RUNS);
  return found;
}

const withoutPath = (root: string, problem: string): string =>
  (problem.startsWith(`${root}: `) ? problem.slice(root.length + 2) : problem).replace(/\.$/, "");

function fileSource(file: string): Source {
  const name = path.basename(file);
  const folder = path.dirname(file);
  if (isEventFile(name)) {
    // Alone in its folder it is the folder's run, else one of its own.
    const alone = new FolderReader().entries(folder).filter((entry) => isEventFile(entry.name)).length === 1;
    const read = (): ForeignRun[] => {
      const run = readEventFiles(folder, [name], folder);
      return [alone ? run : { ...run, path: file }];
    };
    return { path: file, read };
  }
  if (isDatabase(name)) return { path: file, read: () => readDatabase(file) };
  if (name === META_FILE) {
    const [only] = folderSources(folder);
    if (only !== undefined) return only;
  }
  throw new ForeignError(file, "neither an event file of TensorBoard nor a database of MLflow or trackio");
}

function folderSources(root: string): Source[] {
  const sources: Source[] = [];
  const reader = new FolderReader();
  const experiments = new Map<string, string>();
  reader.walk(root, (folder, entries) => {
    const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    const events = names.filter(isEventFile);
    if (events.length > 0) sources.push({ path: folder, read: () => [readEventFiles(folder, events, root)] });
    for (const name of names.filter(isDatabase)) {
      const file = path.join(folder, name);
      sources.push({ path: file, read: () => readDatabase(file) });
    }
    if (!names.includes(META_FILE)) return true;
    return mlflowFolder(folder, sources, experiments, reader);
  });
  return sources;
}

/** @returns whether to look below: a run's own folders hold no further runs */
function mlflowFolder(
  folder: string,
  sources: Source[],
  experiments: Map<string, string>,
  reader: FolderReader,
): boolean {
  const refuse = (error: unknown): boolean => {
    const read = (): never => {
      throw error;
    };
    sources.push({ path: folder, read });
    return false;
  };
  try {
    const meta = readMeta(folder);
    const kind = kindOfMeta(meta);
    if (kind === "experiment") experiments.set(folder, String(meta.get("name") ?? "").slice(0, LONGEST_NAME));
    if (kind !== "run") return true;
    if (meta.get("lifecycle_stage") === "deleted") return false;
    const above = path.dirname(folder);
    sources.push({
      path: folder,
      read: () => [readMlflowRun(folder, meta, experiments.get(above) ?? experimentOf(above), reader)],
    });
    return false;
  } catch (error) {
    return refuse(error);
  }
}

/** The name of the experiment that a run's folder is in. */
function experimentOf(folder: string): string {
  if (!existsSync(path.join(folder, META_FILE))) return "";
  try {
    const meta = readMeta(folder);
    return kindOfMeta(meta) === "experiment" ? String(meta.get("name") ?? "").slice(0, LONGEST_NAME) : "";
  } catch {
    return "";
  }
}
