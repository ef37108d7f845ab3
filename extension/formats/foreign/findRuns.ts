import { existsSync } from "node:fs";
import path from "node:path";
import type { ForeignRun } from "../../protocol/history/foreignRun.ts";
import { isDatabase, readDatabase } from "./databases.ts";
import { EventFiles, isEventFile } from "./eventFiles.ts";
import { FolderReader, kindOf, versionOf } from "./folders.ts";
import { ForeignError, LONGEST_NAME, MOST_RUNS, problemOf } from "./limits.ts";
import { kindOfMeta, META_FILE, MlflowRun, readMeta, runFiles, type RunFiles } from "./mlflow.ts";

/** Reader of the runs in one file or folder. */
interface Source {
  /** Includes the kind: a folder may be a run of two tools. */
  key: string;
  path: string;
  files: () => string[];
  read: () => ForeignRun[] | Promise<ForeignRun[]>;
}

export interface FoundRuns {
  runs: ForeignRun[];
  /** Failures to read, in sentences that name files. */
  problems: string[];
}

/** Whether to search the folders below a chosen one, or to read only what is at that very path. */
export type Depth = "below" | "exact";

/**
 * Reads runs that other tools recorded: TensorBoard's event files, MLflow's stores and trackio's databases, by a file
 * or by a folder that has any of them. Each folder with event files is a run, as in TensorBoard. Further readings give
 * the runs whose files have changed; of event files and MLflow's metrics they read only what is new.
 */
export class ForeignReader {
  readonly #root: string;
  readonly #depth: Depth;
  readonly #events = new Map<string, EventFiles>();
  readonly #mlflow = new Map<string, MlflowRun>();
  /** Of each source, the version of its files that was read, and its number of runs. */
  readonly #seen = new Map<string, { version: string; runs: number }>();
  /** When a file was last written, in milliseconds since 1970; 0 before the first reading. */
  writtenAt = 0;

  constructor(chosen: string, depth: Depth = "below") {
    this.#root = path.resolve(chosen);
    this.#depth = depth;
  }

  /** @throws ForeignError when there are no runs, or at first none can be read; the file system's for a missing path */
  async read(onRead: (path: string) => void = () => {}): Promise<FoundRuns> {
    const root = this.#root;
    const first = this.#seen.size === 0;
    const sources = kindOf(root) === "file" ? [this.#fileSource(root)] : this.#folderSources(root);
    if (sources.length === 0)
      throw new ForeignError(
        root,
        "no runs of TensorBoard, MLflow or trackio: no event files, meta.yaml or database",
      );
    const found: FoundRuns = { runs: [], problems: [] };
    let left = MOST_RUNS;
    for (const source of sources) {
      if (left <= 0) {
        if (first) found.problems.push(`${root}: runs after the first ${MOST_RUNS} are left out.`);
        break;
      }
      left -= await this.#readSource(source, left, found, onRead);
    }
    if (first && found.runs.length === 0)
      throw new ForeignError(root, withoutPath(root, found.problems[0] ?? "no runs"));
    return found;
  }

  /** @returns how many runs the source has */
  async #readSource(
    { key, path: from, files, read }: Source,
    most: number,
    found: FoundRuns,
    onRead: (path: string) => void,
  ): Promise<number> {
    const before = this.#seen.get(key);
    try {
      // Before the reading: later writes are then seen the next time.
      const { version, writtenAt } = versionOf(files());
      this.writtenAt = Math.max(this.writtenAt, writtenAt);
      if (before?.version === version) return before.runs;
      const seen = { version, runs: before?.runs ?? 0 };
      this.#seen.set(key, seen);
      onRead(from);
      const runs = (await read()).slice(0, most);
      found.runs.push(...runs);
      return (seen.runs = runs.length);
    } catch (error) {
      found.problems.push(`${problemOf(from, error)}.`);
      return before?.runs ?? 0;
    }
  }

  #fileSource(file: string): Source {
    const name = path.basename(file);
    const folder = path.dirname(file);
    if (isEventFile(name)) {
      // Alone in its folder it is the folder's run, else one of its own.
      const alone =
        new FolderReader().entries(folder).filter((entry) => isEventFile(entry.name)).length === 1;
      const events = kept(this.#events, file, () => new EventFiles(folder, folder));
      const read = (): ForeignRun[] => {
        const run = events.read([name]);
        return [alone ? run : { ...run, path: file }];
      };
      return { key: `events ${file}`, path: file, files: () => [file], read };
    }
    if (isDatabase(name)) return databaseSource(file);
    if (name === META_FILE) {
      const [only] = this.#folderSources(folder);
      if (only !== undefined) return only;
    }
    throw new ForeignError(file, "neither an event file of TensorBoard nor a database of MLflow or trackio");
  }

  #folderSources(root: string): Source[] {
    const sources: Source[] = [];
    const reader = new FolderReader();
    const experiments = new Map<string, string>();
    reader.walk(root, (folder, entries) => {
      const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
      const events = names.filter(isEventFile);
      if (events.length > 0) {
        const run = kept(this.#events, folder, () => new EventFiles(folder, root));
        sources.push({
          key: `events ${folder}`,
          path: folder,
          files: () => events.map((name) => path.join(folder, name)),
          read: () => [run.read(events)],
        });
      }
      const exact = this.#depth === "exact";
      if (!exact)
        for (const name of names.filter(isDatabase)) sources.push(databaseSource(path.join(folder, name)));
      if (!names.includes(META_FILE)) return !exact;
      return this.#mlflowFolder(folder, sources, experiments, reader) && !exact;
    });
    return sources;
  }

  /** @returns whether to look below: a run's own folders hold no further runs */
  #mlflowFolder(
    folder: string,
    sources: Source[],
    experiments: Map<string, string>,
    reader: FolderReader,
  ): boolean {
    const source = { key: `mlflow ${folder}`, path: folder };
    try {
      const meta = readMeta(folder);
      const kind = kindOfMeta(meta);
      if (kind === "experiment")
        experiments.set(folder, String(meta.get("name") ?? "").slice(0, LONGEST_NAME));
      if (kind !== "run") return true;
      if (meta.get("lifecycle_stage") === "deleted") return false;
      const above = path.dirname(folder);
      const experiment = experiments.get(above) ?? experimentOf(above);
      const run = kept(this.#mlflow, folder, () => new MlflowRun(folder));
      let found: RunFiles | undefined;
      const look = (): RunFiles => (found ??= runFiles(folder, reader));
      sources.push({ ...source, files: () => look().all, read: () => [run.read(meta, experiment, look())] });
    } catch (error) {
      const read = (): never => {
        throw error;
      };
      sources.push({ ...source, files: () => [path.join(folder, META_FILE)], read });
    }
    return false;
  }
}

function kept<T>(known: Map<string, T>, key: string, make: () => T): T {
  let one = known.get(key);
  if (one === undefined) known.set(key, (one = make()));
  return one;
}

function databaseSource(file: string): Source {
  // SQLite has no way to read only what is new: a database that has changed is read whole.
  return {
    key: `database ${file}`,
    path: file,
    files: () => [file, `${file}-wal`],
    read: () => readDatabase(file),
  };
}

const withoutPath = (root: string, problem: string): string =>
  (problem.startsWith(`${root}: `) ? problem.slice(root.length + 2) : problem).replace(/\.$/, "");

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
