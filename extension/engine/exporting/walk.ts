import { numel, type Shape } from "../../tensor/core/shape.ts";

/** Visits elements of a shape in their order: which it is, and its place in an array with these strides. */
export function walk(
  shape: Shape,
  steps: readonly number[],
  start: number,
  visit: (i: number, place: number) => void,
): void {
  const at = shape.map(() => 0);
  const count = numel(shape);
  for (let i = 0, place = start; i < count; i++) {
    visit(i, place);
    for (let d = shape.length - 1; d >= 0; d--) {
      place += steps[d]!;
      if (++at[d]! < shape[d]!) break;
      place -= steps[d]! * shape[d]!;
      at[d] = 0;
    }
  }
}
