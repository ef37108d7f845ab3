import type { EvaluationUi } from "./state.ts";

/** Measures of one class, from a confusion matrix (rows: actual class, columns: predicted class). */
export interface Measures {
  precision: number;
  recall: number;
  f1: number;
  /** Number of samples of the class. */
  support: number;
}

type Confusion = readonly (readonly number[])[];

/** Totals of a confusion matrix. */
export interface ConfusionTotals {
  /** Number of samples of each class, and of predictions of each. */
  support: readonly number[];
  predicted: readonly number[];
  total: number;
  correct: number;
}

/** A matrix may have a million cells, and is shown again with every stroke of a pen. */
const totals = new WeakMap<Confusion, ConfusionTotals>();

export function totalsOf(confusion: Confusion): ConfusionTotals {
  const known = totals.get(confusion);
  if (known !== undefined) return known;
  const predicted = confusion.map(() => 0);
  const support = confusion.map((row) => {
    let sum = 0;
    for (const [column, count] of row.entries()) {
      sum += count;
      predicted[column] = (predicted[column] ?? 0) + count;
    }
    return sum;
  });
  const total = support.reduce((sum, count) => sum + count, 0);
  const correct = confusion.reduce((sum, row, index) => sum + (row[index] ?? 0), 0);
  const found = { support, predicted, total, correct };
  totals.set(confusion, found);
  return found;
}

/** A class that was never predicted has precision 0, as in scikit-learn; the average counts every class alike. */
export function classMeasures(confusion: Confusion): { classes: Measures[]; average: Measures } {
  const { support: supports, predicted: predictions, total } = totalsOf(confusion);
  const classes = confusion.map((row, index): Measures => {
    const support = supports[index] ?? 0;
    const predicted = predictions[index] ?? 0;
    const correct = row[index] ?? 0;
    const precision = predicted > 0 ? correct / predicted : 0;
    const recall = support > 0 ? correct / support : 0;
    const f1 = precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
    return { precision, recall, f1, support };
  });
  const mean = (of: (measures: Measures) => number): number =>
    classes.reduce((sum, measures) => sum + of(measures), 0) / Math.max(1, classes.length);
  return {
    classes,
    average: {
      precision: mean((measures) => measures.precision),
      recall: mean((measures) => measures.recall),
      f1: mean((measures) => measures.f1),
      support: total,
    },
  };
}

/** The cells off the diagonal with the most samples, the largest first. */
export function largestConfusions(
  confusion: Confusion,
  most: number,
): { actual: number; predicted: number; count: number }[] {
  return confusion
    .flatMap((row, actual) =>
      row.flatMap((count, predicted) =>
        count > 0 && predicted !== actual ? [{ actual, predicted, count }] : [],
      ),
    )
    .sort((a, b) => b.count - a.count)
    .slice(0, most);
}

/** The indices of the classes, sorted by a column. */
export function sortedClasses(
  classes: readonly Measures[],
  { sort, descending }: Pick<EvaluationUi, "sort" | "descending">,
): number[] {
  const value = (index: number): number => (sort === "class" ? index : (classes[index]?.[sort] ?? 0));
  const sign = descending ? -1 : 1;
  return classes.map((_, index) => index).sort((a, b) => sign * (value(a) - value(b)) || a - b);
}
