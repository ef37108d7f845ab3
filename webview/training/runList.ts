/** Selection and order of the runs in a table. */
import type { RunRecord } from "../../extension/protocol/run.ts";
import { COLLATOR } from "../shared/format.ts";
import type { ListedRun } from "../../extension/protocol/views.ts";
import { OTHER_COLOURS } from "./chartStyle.ts";
import { direction, isRate } from "./curves.ts";

export interface ListOptions {
  /** Words that all have to be in the run's name, id, tags or state. */
  filter: string;
  showArchived: boolean;
  /** "name", or the id of a {@link Column}. */
  sort: string;
  descending: boolean;
}

export const runName = ({ run, labels }: ListedRun): string => labels.name || run.id;

/** Replaces a run's record by a newer one; other runs stay as they are read. */
export const withRecord = (runs: readonly ListedRun[], run: RunRecord, live: boolean): ListedRun[] =>
  runs.map((one) => (one.run.id === run.id ? { ...one, run, live } : one));

export function listed(runs: readonly ListedRun[], options: ListOptions): ListedRun[] {
  const words = options.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (one: ListedRun): boolean => {
    const { run, labels } = one;
    const all = [labels.name, run.id, run.model, run.state, ...labels.tags].join("\n").toLowerCase();
    return words.every((word) => all.includes(word));
  };
  const sign = options.descending ? -1 : 1;
  return runs
    .filter((one) => (options.showArchived || !one.labels.archived) && matches(one))
    .sort((a, b) => compare(valueOf(a, options.sort), valueOf(b, options.sort), sign));
}

function valueOf(one: ListedRun, column: string): string | number | undefined {
  const { run } = one;
  if (column === "name") return runName(one);
  if (column === "state") return run.state;
  if (column === "created") return run.createdAt;
  if (column === "epoch") return run.epoch;
  if (!column.startsWith(SETTING)) return run.metrics[column];
  const value = run.hyperparameters?.[column.slice(SETTING.length)];
  return typeof value === "boolean" ? String(value) : value;
}

/** Missing values come last, whatever the direction. */
function compare(a: string | number | undefined, b: string | number | undefined, sign: number): number {
  const missing = (value: typeof a): boolean =>
    value === undefined || value === null || (typeof value === "number" && !Number.isFinite(value));
  if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
  if (typeof a === "string" || typeof b === "string") return sign * COLLATOR.compare(String(a), String(b));
  return sign * ((a ?? 0) - (b ?? 0));
}

/** The metrics that tell runs apart, no rates: validation's first, losses before others; no more than fit. */
export function columnMetrics(runs: readonly ListedRun[], most = 4): string[] {
  const names = [
    ...new Set(runs.flatMap(({ run }) => Object.keys(run.metrics).filter((name) => !isRate(name)))),
  ];
  const rank = (name: string): number =>
    (name.startsWith("val_") ? 0 : 2) + (direction(name) === "lower" ? 0 : direction(name) ? 1 : 4);
  return names.sort((a, b) => rank(a) - rank(b)).slice(0, most);
}

/** A column of the table after the run's name. */
export interface Column {
  /** "state", "created", "epoch", a metric, or a hyperparameter after {@link SETTING}. */
  id: string;
  label: string;
  kind: "state" | "created" | "epoch" | "metric" | "setting";
}

/** Prefix of a hyperparameter's name: a metric may have the same name. */
export const SETTING = "set ";

const FIELDS = ["state", "created", "epoch"] as const;

/** All columns that the table can have. */
export function allColumns(
  runs: readonly ListedRun[],
  labels: Readonly<Record<(typeof FIELDS)[number], string>>,
): Column[] {
  const metrics = [...new Set(runs.flatMap(({ run }) => Object.keys(run.metrics)))];
  const settings = [...new Set(runs.flatMap(({ run }) => Object.keys(run.hyperparameters ?? {})))];
  const best = columnMetrics(runs, metrics.length);
  const rates = metrics.filter((name) => !best.includes(name)).sort();
  return [
    ...FIELDS.map((id): Column => ({ id, label: labels[id], kind: id })),
    ...[...best, ...rates].map((id): Column => ({ id, label: id, kind: "metric" })),
    ...settings.sort().map((name): Column => ({ id: SETTING + name, label: name, kind: "setting" })),
  ];
}

/** The ids of the columns that the table has: those that were chosen, else the ones that tell runs apart. */
export function shownColumns(runs: readonly ListedRun[], chosen: readonly string[] | undefined): string[] {
  return [...(chosen ?? [...FIELDS, ...columnMetrics(runs)])];
}

/** Adds a run to the comparison or removes it: each keeps its place, and so its colour. */
export function toggleCompared(slots: readonly string[], id: string): string[] {
  if (slots.includes(id)) return slots.map((one) => (one === id ? "" : one));
  const free = slots.indexOf("");
  if (free >= 0) return slots.map((one, index) => (index === free ? id : one));
  return slots.length < OTHER_COLOURS.length ? [...slots, id] : [...slots];
}
