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

/** The metric that says in which epoch a step is: Lightning and Hugging Face log it so. It is an axis here, no curve. */
const EPOCH = "epoch";

/** The rows of curves, by ascending steps. @param began in seconds since 1970 */
export function* importedRows(
  series: readonly ForeignSeries[],
  began: number,
  names: ReadonlyMap<string, string>,
): Generator<ImportedRow> {
  const open = series.map((one) => ({ ...one, name: names.get(one.name) ?? one.name, at: 0 }));
  let epoch = 0;
  for (;;) {
    let step = Number.POSITIVE_INFINITY;
    for (const { steps, at } of open) if (at < steps.length) step = Math.min(step, steps[at]!);
    if (step === Number.POSITIVE_INFINITY) return;
    const here = open.filter(({ steps, at }) => steps[at] === step);
    const time = Math.max(0, Math.min(...here.map(({ times, at }) => times[at]!)) - began);
    const counted = here.find(({ name }) => name === EPOCH);
    const now = counted?.values[counted.at];
    if (now !== undefined && Number.isFinite(now)) epoch = now;
    const curves = here.filter((one) => one !== counted);
    for (let i = 0; i < curves.length; i += MOST_VALUES) {
      const part = curves.slice(i, i + MOST_VALUES);
      yield {
        kind: "step",
        step,
        epoch,
        time,
        values: Object.fromEntries(part.map(({ name, values, at }) => [name, values[at]!])),
      };
    }
    for (const one of here) one.at++;
  }
}
