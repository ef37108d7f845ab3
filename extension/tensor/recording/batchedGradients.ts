// Gradients for a batch of gradients of the outputs: `isGradsBatched`.
import { apply } from "./apply.ts";
import { fillValue } from "./graph.ts";
import { hidden, withGradients } from "./scope.ts";
import { TensorError } from "../core/errors.ts";
import { formatSize, range, sameShape } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { cat, reshape } from "../ops/movement/movement.ts";
import { slice } from "../ops/movement/slicing.ts";

/** Row i of a tensor. */
function rowOf(x: Tensor, i: number): Tensor {
  const begin = x.shape.map((_, d) => (d === 0 ? i : 0));
  const end = x.shape.map((n, d) => (d === 0 ? i + 1 : n));
  const part = apply(slice, [x], { begin, end, step: x.shape.map(() => 1) });
  return apply(reshape, [part], { shape: x.shape.slice(1) });
}

/**
 * Calls `each` for one row of every seed. Returns its results as rows of one tensor for each of `like`.
 * @param each its second argument says whether more rows follow
 * @throws TensorError "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. …"
 */
export function ofBatch(
  roots: readonly Tensor[],
  seeds: readonly (Tensor | undefined)[],
  like: readonly Tensor[],
  createGraph: boolean,
  each: (seeds: (Tensor | undefined)[], more: boolean) => (Tensor | null)[],
): (Tensor | null)[] {
  roots.forEach(({ shape }, i) => {
    const seed = seeds[i];
    if (seed === undefined || (seed.ndim > 0 && sameShape(seed.shape.slice(1), shape))) return;
    throw new TensorError(
      "shape",
      `If \`is_grads_batched=True\`, we interpret the first dimension of each grad_output as the batch dimension. The sizes of the remaining dimensions are expected to match the shape of corresponding output, but a mismatch was detected: grad_output[${i}] has a shape of ${formatSize(seed.shape)} and output[${i}] has a shape of ${formatSize(shape)}. If you only want some tensors in \`grad_output\` to be considered batched, consider using vmap.`,
    );
  });
  const size = seeds.find((seed) => seed !== undefined)?.shape[0];
  if (size === undefined) throw new TensorError("autograd", "isGradsBatched needs gradOutputs");
  if (size === 0) return like.map(({ shape, dtype }) => new Tensor(fillValue(0, [0, ...shape], dtype)));
  const recorded = <T>(body: () => T): T => hidden(() => withGradients(createGraph, body));
  const rows = range(size).map((i) =>
    each(
      recorded(() => seeds.map((seed) => seed && rowOf(seed, i))),
      i < size - 1,
    ),
  );
  return recorded(() =>
    like.map(({ shape }, k) => {
      const parts = rows.map((row) => row[k]).filter((g) => g != null);
      if (parts.length === 0) return null;
      const lines = parts.map((g) => apply(reshape, [g], { shape: [1, ...shape] }));
      return apply(cat, lines, { dim: 0 });
    }),
  );
}
