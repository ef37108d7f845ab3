import type { ForeignSeries } from "../../protocol/history/foreignRun.ts";
import type { MetricRow } from "../../protocol/run.ts";

export type ImportedRow = MetricRow;

/** Metrics of one row: a line of `metrics.jsonl` has a limit. */
const MOST_VALUES = 100;

const TRAINING = /^train(?:ing)?[/_.](?=.)/i;
const VALIDATION = /^(?:val|valid|validation|eval|dev)[/_.](?=.)/i;

/**
 * Names of metrics as Layerwise has them, so that they are drawn beside those of its own runs: "loss" for Lightning's
 * `train_loss` and Hugging Face's `train/loss`, "val_loss" for `val/loss` and `eval/loss`. Where two would be the same,
 * both keep the names that the tool gave them.
 */
export function importedNames(names: readonly string[]): Map<string, string> {
  const wanted = new Map(
    names.map((name) => [
      name,
      VALIDATION.test(name) ? name.replace(VALIDATION, "val_") : name.replace(TRAINING, ""),
    ]),
  );
  const counts = new Map<string, number>();
  for (const name of wanted.values()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return new Map([...wanted].map(([name, short]) => [name, counts.get(short) === 1 ? short : name]));
}

/** The metric with the epoch of a step, as Lightning and Hugging Face log it. It is an axis here, no curve. */
const EPOCH = "epoch";

/** State of a run's curves in its file. */
export interface WrittenRows {
  /** In seconds since 1970. */
  began: number;
  names: ReadonlyMap<string, string>;
  /** The last written value of each series. */
  last: ReadonlyMap<string, readonly [step: number, value: number]>;
  step: number;
  epoch: number;
}

/**
 * How many values of each series the file has.
 * @returns undefined where adding rows is not enough: values before the end have changed, or a name has
 */
export function writtenValues(
  series: readonly ForeignSeries[],
  began: number,
  names: ReadonlyMap<string, string>,
  written: WrittenRows,
): ReadonlyMap<string, number> | undefined {
  if (began !== written.began) return undefined;
  const counts = new Map<string, number>();
  for (const { name, steps, values } of series) {
    const [step, value] = written.last.get(name) ?? [];
    const count = step === undefined ? 0 : steps.lastIndexOf(step) + 1;
    if (step !== undefined) {
      const same = Object.is(values[count - 1], value) && names.get(name) === written.names.get(name);
      if (count === 0 || !same) return undefined;
    }
    counts.set(name, count);
    // The epoch must come before the values that are drawn over it.
    const earliest = name === EPOCH ? written.step + 1 : written.step;
    if (count < steps.length && steps[count]! < earliest) return undefined;
  }
  return [...written.last.keys()].every((name) => counts.has(name)) ? counts : undefined;
}

/**
 * The rows of curves, by ascending steps.
 * @param began in seconds since 1970
 * @param counts how many values of each series are left out, which an earlier row has
 * @param epoch of the row before the first
 */
export function* importedRows(
  series: readonly ForeignSeries[],
  began: number,
  names: ReadonlyMap<string, string>,
  counts: ReadonlyMap<string, number> = new Map(),
  epoch = 0,
): Generator<ImportedRow> {
  const open = series.map((one) => ({
    ...one,
    name: names.get(one.name) ?? one.name,
    at: counts.get(one.name) ?? 0,
  }));
  let current = epoch;
  for (;;) {
    let step = Number.POSITIVE_INFINITY;
    for (const { steps, at } of open) if (at < steps.length) step = Math.min(step, steps[at]!);
    if (step === Number.POSITIVE_INFINITY) return;
    const here = open.filter(({ steps, at }) => steps[at] === step);
    const time = Math.max(0, Math.min(...here.map(({ times, at }) => times[at]!)) - began);
    const counted = here.find(({ name }) => name === EPOCH);
    const now = counted?.values[counted.at];
    if (now !== undefined && Number.isFinite(now)) current = now;
    const curves = here.filter((one) => one !== counted);
    for (let i = 0; i < curves.length; i += MOST_VALUES) {
      const part = curves.slice(i, i + MOST_VALUES);
      yield {
        kind: "step",
        step,
        epoch: current,
        time,
        values: Object.fromEntries(part.map(({ name, values, at }) => [name, values[at]!])),
      };
    }
    for (const one of here) one.at++;
  }
}
