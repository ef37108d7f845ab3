// Standardising made of simple ops: what gradients of the fused ops are when they are differentiated again.
import { apply } from "../../recording/apply.ts";
import { fillValue } from "../../recording/graph.ts";
import { Tensor } from "../../core/tensor.ts";
import { add, mul, rsqrt, sub } from "../elementwise/elementwise.ts";
import { mean } from "../reduction/reduction.ts";

export interface Standardized {
  /** (x − mean) · root. */
  readonly unit: Tensor;
  /** 1 / √(variance + ε), with the dimensions of x. */
  readonly root: Tensor;
}

/** x with mean 0 and variance 1 over `dims`. */
export function centered(x: Tensor, dims: readonly number[], eps: number): Standardized {
  const over = { dims, keepdim: true };
  const distance = apply(sub, [x, apply(mean, [x], over)], {});
  const variance = apply(mean, [apply(mul, [distance, distance], {})], over);
  const root = apply(rsqrt, [apply(add, [variance, new Tensor(fillValue(eps, [], "float32"))], {})], {});
  return { unit: apply(mul, [distance, root], {}), root };
}

/** The gradient of x when `g` is that of `unit`: root · (g − mean(g) − unit · mean(g · unit)). */
export function normalizedGradient(g: Tensor, unit: Tensor, root: Tensor, dims: readonly number[]): Tensor {
  const over = { dims, keepdim: true };
  const along = apply(mul, [unit, apply(mean, [apply(mul, [g, unit], {})], over)], {});
  const rest = apply(sub, [apply(sub, [g, apply(mean, [g], over)], {}), along], {});
  return apply(mul, [rest, root], {});
}
