import { TensorError, WHOLE_HINT } from "../../core/errors.ts";

type Bound = number | null | undefined;

/** `start:stop:step` of an index; missing or null bounds are open. */
export class Slice {
  readonly start: number | null;
  readonly stop: number | null;
  readonly step: number;

  /** @throws TensorError "slice indices must be integers or None or have an __index__ method" */
  constructor(start?: Bound, stop?: Bound, step?: Bound) {
    for (const bound of [start, stop, step]) {
      if (bound === null || bound === undefined || Number.isInteger(bound)) continue;
      throw new TensorError(
        "value",
        "slice indices must be integers or None or have an __index__ method",
        WHOLE_HINT,
      );
    }
    this.start = start ?? null;
    this.stop = stop ?? null;
    this.step = step ?? 1;
  }

  /**
   * Begin, end and step within a dimension.
   * @throws TensorError "step must be greater than zero"
   */
  bounds(size: number): [begin: number, end: number, step: number] {
    if (!(this.step > 0)) throw new TensorError("value", "step must be greater than zero");
    const clip = (i: number): number => Math.min(size, Math.max(0, i < 0 ? i + size : i));
    const begin = clip(this.start ?? 0);
    return [begin, Math.max(begin, clip(this.stop ?? size)), this.step];
  }
}

/**
 * Python's `slice`, for `x.index(slice(1, 3))`: `slice(stop)` or `slice(start, stop, step)`. As text it is `"1:3"`.
 */
export function slice(stop: number | null): Slice;
export function slice(start: number | null, stop: number | null, step?: number | null): Slice;
export function slice(...given: (number | null | undefined)[]): Slice {
  return given.length === 1 ? new Slice(null, given[0]) : new Slice(...given);
}
