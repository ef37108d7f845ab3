// Slices with steps, and their adjoint, of tfjs's calls that every backend has.
import type * as tfjs from "@tensorflow/tfjs-core";
import type { Tfjs } from "../op.ts";
import type { Shape } from "../shape.ts";

const zeros = (): [number, number] => [0, 0];

/** A slice with steps, in tfjs: the wasm kernel of strided slices takes everything for floats. */
export function stepped(
  k: Tfjs,
  x: tfjs.Tensor,
  begin: readonly number[],
  end: readonly number[],
  step: readonly number[],
): tfjs.Tensor {
  let y = k.slice(
    x,
    [...begin],
    begin.map((b, d) => Math.max(0, end[d]! - b)),
  );
  step.forEach((s, d) => {
    const length = y.shape[d]!;
    if (s === 1 || length === 0) return;
    // Rows of s elements, of which the first is kept.
    const rows = Math.ceil(length / s);
    const filled = k.pad(
      y,
      y.shape.map((_, i) => [0, i === d ? rows * s - length : 0] as [number, number]),
    );
    const split = k.reshape(filled, [...y.shape.slice(0, d), rows, s, ...y.shape.slice(d + 1)]);
    const kept = split.shape.map((n, i) => (i === d + 1 ? 1 : n));
    const first = k.slice(
      split,
      kept.map(() => 0),
      kept,
    );
    y = k.reshape(
      first,
      y.shape.map((n, i) => (i === d ? rows : n)),
    );
  });
  return y;
}

/** Zeros with a tensor at every `step`-th place from `begin` on: what `unslice` does, in tfjs. */
export function spread(
  k: Tfjs,
  x: tfjs.Tensor,
  {
    begin,
    step,
    shape,
  }: { readonly begin: readonly number[]; readonly step: readonly number[]; readonly shape: Shape },
): tfjs.Tensor {
  // A step of s is undone by giving every element s - 1 zeros behind it.
  let y = x;
  step.forEach((s, d) => {
    if (s === 1) return;
    const before = y.shape.slice(0, d);
    const after = y.shape.slice(d + 1);
    const n = y.shape[d]!;
    const apart = k.pad(k.reshape(y, [...before, n, 1, ...after]), [
      ...before.map(zeros),
      [0, 0],
      [0, s - 1],
      ...after.map(zeros),
    ]);
    const length = Math.min(n * s, shape[d]! - begin[d]!);
    y = k.slice(
      k.reshape(apart, [...before, n * s, ...after]),
      y.shape.map(() => 0),
      [...before, length, ...after],
    );
  });
  return k.pad(
    y,
    y.shape.map((n, d) => [begin[d]!, shape[d]! - begin[d]! - n] as [number, number]),
  );
}
