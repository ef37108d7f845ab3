// Shared by functions along one dimension.
import { apply } from "../../recording/apply.ts";
import { permute } from "../../ops/movement/movement.ts";
import { range } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";

/** The order of dimensions that puts `dim` last and keeps the others. */
function toLast(rank: number, dim: number): number[] {
  const order = range(rank);
  order.push(...order.splice(dim, 1));
  return order;
}

/** Moves `dim` to the last place, or back. */
export function turned(x: Tensor, dim: number, back = false): Tensor {
  if (dim === x.ndim - 1) return x;
  const order = toLast(x.ndim, dim);
  return apply(permute, [x], { order: back ? order.map((_, d) => order.indexOf(d)) : order });
}
