// Runs in databases of SQLite: trackio's, and MLflow's SQL store.
import path from "node:path";
import { ownValue } from "../../protocol/data/own.ts";
import { type ForeignRun } from "../../protocol/history/foreignRun.ts";
import { Collector } from "./collector.ts";
import { ForeignError, LONGEST_NAME, MOST_RUNS, timeOf } from "./limits.ts";
import { addTag, stateOf } from "./mlflow.ts";
import { ReadDatabase, type Row } from "./sqlite.ts";

/** Whether a file's name is that of a database. */
export const isDatabase = (name: string): boolean => /\.(?:db|sqlite3?)$/i.test(name);

interface Begun {
  found: Collector;
  facts: Pick<ForeignRun, "id" | "name" | "group" | "state"> & { began?: number; ended?: number };
}

/** The runs of a database. @throws ForeignError when it has none; FileError; the file system's error */
export async function readDatabase(file: string): Promise<ForeignRun[]> {
  const database = await ReadDatabase.open(file);
  try {
    if (database.has("metrics", "run_name", "step", "metrics")) return trackio(file, database);
    if (database.has("runs", "run_uuid") && database.has("metrics", "key", "value", "run_uuid"))
      return mlflow(file, database);
    throw new ForeignError(file, "neither a database of trackio nor one of MLflow");
  } finally {
    database.close();
  }
}

/** The runs of one database, begun when they are first named. */
class Runs {
  readonly #runs = new Map<string, Begun>();

  get(id: string, facts: () => Partial<Begun["facts"]> = () => ({})): Begun | undefined {
    let run = this.#runs.get(id);
    if (run === undefined && this.#runs.size < MOST_RUNS) {
      const known = {
        id: id.slice(0, LONGEST_NAME),
        name: id.slice(0, LONGEST_NAME),
        group: "",
        state: "finished" as const,
      };
      run = { found: new Collector(), facts: { ...known, ...facts() } };
      this.#runs.set(id, run);
    }
    return run;
  }

  known(id: string): Begun | undefined {
    return this.#runs.get(id);
  }

  all(tool: ForeignRun["tool"], file: string): ForeignRun[] {
    return [...this.#runs.values()].map(({ found, facts }) => found.run({ tool, path: file, ...facts }));
  }
}

const textOf = (value: Row[string] | undefined): string => {
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8");
  return value === null || value === undefined ? "" : String(value);
};

/** The values of a JSON object, which trackio keeps as text or bytes. */
function objectOf(value: Row[string] | undefined): [string, unknown][] | undefined {
  const text = textOf(value);
  if (text.length > 2 ** 20) return undefined;
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === "object" && read !== null && !Array.isArray(read)
      ? Object.entries(read)
      : undefined;
  } catch {
    return undefined;
  }
}

/** JSON has no words for these. */
const NOT_FINITE: Readonly<Record<string, number>> = { NaN, Infinity, "-Infinity": -Infinity };

function trackio(file: string, database: ReadDatabase): ForeignRun[] {
  const runs = new Runs();
  const group = path.basename(file).replace(/\.[^.]*$/, "");
  const runOf = (row: Row): Begun | undefined => {
    const name = textOf(row["run_name"]);
    return runs.get(textOf(row["run_id"]) || name, () => ({ name: name.slice(0, LONGEST_NAME), group }));
  };
  for (const row of database.rows(
    "metrics",
    ["id", "run_id", "run_name", "timestamp", "step", "metrics"],
    "id",
  )) {
    const run = runOf(row);
    if (run === undefined) break;
    const { found, facts } = run;
    const [time, values, step] = [
      timeOf(Date.parse(textOf(row["timestamp"])) / 1000),
      objectOf(row["metrics"]),
      row["step"],
    ];
    if (time === undefined || values === undefined || typeof step !== "number") {
      found.problem(`${file}: rows without values are left out.`);
      continue;
    }
    facts.began = Math.min(facts.began ?? time, time);
    facts.ended = Math.max(facts.ended ?? time, time);
    for (const [name, value] of values) {
      const number =
        typeof value === "number"
          ? value
          : typeof value === "string"
            ? ownValue(NOT_FINITE, value)
            : undefined;
      if (number !== undefined) found.value(name, step, time, number);
    }
  }
  for (const row of database.rows("configs", ["run_id", "run_name", "config"])) {
    const run = runOf(row);
    // Names that begin so are trackio's own.
    for (const [name, value] of objectOf(row["config"]) ?? [])
      if (run !== undefined && !name.startsWith("_")) run.found.parameter(name, value);
  }
  return runs.all("trackio", file);
}

function mlflow(file: string, database: ReadDatabase): ForeignRun[] {
  const runs = new Runs();
  const experiments = new Map<string, string>();
  for (const row of database.rows("experiments", ["experiment_id", "name"]))
    if (experiments.size < MOST_RUNS)
      experiments.set(textOf(row["experiment_id"]), textOf(row["name"]).slice(0, LONGEST_NAME));
  const columns = [
    "run_uuid",
    "name",
    "status",
    "start_time",
    "end_time",
    "experiment_id",
    "lifecycle_stage",
  ];
  for (const row of database.rows("runs", columns)) {
    if (row["lifecycle_stage"] === "deleted") continue;
    const id = textOf(row["run_uuid"]);
    const time = (name: string): number | undefined => {
      const value = row[name];
      return typeof value === "number" ? timeOf(value / 1000) : undefined;
    };
    const [began, ended] = [time("start_time"), time("end_time")];
    runs.get(id, () => ({
      name: (textOf(row["name"]) || id).slice(0, LONGEST_NAME),
      group: experiments.get(textOf(row["experiment_id"])) ?? "",
      state: stateOf(row["status"]),
      ...(began === undefined ? {} : { began }),
      ...(ended === undefined ? {} : { ended }),
    }));
  }
  for (const row of database.rows(
    "metrics",
    ["run_uuid", "key", "value", "step", "timestamp", "is_nan"],
    "timestamp",
  )) {
    const [value, step, at] = [row["value"], row["step"] ?? 0, row["timestamp"]];
    const time = typeof at === "number" ? timeOf(at / 1000) : undefined;
    const found = runs.known(textOf(row["run_uuid"]))?.found;
    if (typeof value !== "number" || typeof step !== "number" || time === undefined) continue;
    found?.value(textOf(row["key"]), step, time, row["is_nan"] ? NaN : value);
  }
  for (const row of database.rows("params", ["run_uuid", "key", "value"]))
    runs.known(textOf(row["run_uuid"]))?.found.parameter(textOf(row["key"]), textOf(row["value"]));
  for (const row of database.rows("tags", ["run_uuid", "key", "value"])) {
    const found = runs.known(textOf(row["run_uuid"]))?.found;
    if (found !== undefined) addTag(found, textOf(row["key"]), textOf(row["value"]));
  }
  return runs.all("mlflow", file);
}
