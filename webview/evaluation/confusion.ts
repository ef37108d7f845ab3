import type { EvaluationUi } from "./state.ts";

/** Measures of one class, from a confusion matrix (rows: actual class, columns: predicted class). */
export interface Measures {
  precision: number;
  recall: number;
  f1: number;
  /** Number of samples of the class. */
  support: number;
}

/** A class that was never predicted has precision 0, as in scikit-learn; the average counts every class alike. */
export function classMeasures(confusion: readonly (readonly number[])[]): {
  classes: Measures[];
  average: Measures;
} {
  const classes = confusion.map((row, index): Measures => {
    const support = row.reduce((sum, count) => sum + count, 0);
    const predicted = confusion.reduce((sum, other) => sum + (other[index] ?? 0), 0);
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
      support: classes.reduce((sum, { support }) => sum + support, 0),
    },
  };
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
