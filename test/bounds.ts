/** How quickly what a person waits for has to be there, in milliseconds: on two cores, with VS Code and its browser beside. */
export const BOUNDS = {
  /** From a key to hints and diagnostics, of 95 in 100. */
  typing: 300,
  /**
   * Until a file's parameters, hints and diagnostics are known: from its editor on, in the middle of the examples; and
   * from the request to open it, with a process to start, and of BERT-base. Until its panel is drawn: from the page that
   * VS Code has made for it on.
   */
  warmPreview: 150,
  coldPreview: 1000,
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
