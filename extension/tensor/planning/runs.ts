import type { Shape } from "../core/shape.ts";

/** Neighbouring dimensions of a reduction that are all reduced, or all kept: they lie in memory like one. */
export interface Run {
  size: number;
  readonly reduced: boolean;
}

/** The runs of `shape` when `dims` are reduced. Dimensions of length 1 belong to none. */
export function runsOf(shape: Shape, dims: readonly number[]): Run[] {
  const runs: Run[] = [];
  shape.forEach((size, d) => {
    if (size === 1) return;
    const reduced = dims.includes(d);
    const last = runs[runs.length - 1];
    if (last?.reduced === reduced) last.size *= size;
    else runs.push({ size, reduced });
  });
  return runs;
}
