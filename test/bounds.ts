/** How quickly what a person waits for has to be there, in milliseconds: on two cores, with VS Code and its browser beside. */
export const BOUNDS = {
  /** From a key to hints and diagnostics, of 95 in 100. */
  typing: 300,
  /** From a request to the preview engine to its answer, in the middle of the examples. */
  warmPreview: 150,
  /**
   * From a file that is opened in an editor to its parameters above the class: TypeScript's server looks at the file at
   * the same time. With a process to start, without, and of BERT-base.
   */
  coldPreview: 1000,
  openedFile: 400,
  largePreview: 500,
  /** From the click on Train to the first point of the curve. */
  firstPoint: 1500,
  activation: 50,
  /** The longest time for which the extension host may compute while a training goes on. */
  hostBlocked: 10,
  /** Of a panel, at 60 frames a second. */
  frame: 16,
} as const;

/** The middle one of measured times, or the one that `share` of them don't exceed. */
export function quantile(times: readonly number[], share = 0.5): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
