// Standardising made of simple ops: what gradients of the fused ops are when they are differentiated again.
import { apply } from "../../recording/apply.ts";
import type { Tensor } from "../../core/tensor.ts";
import { call, constant } from "../expressions.ts";
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
  const distance = call(sub, x, apply(mean, [x], over));
  const variance = apply(mean, [call(mul, distance, distance)], over);
  const root = call(rsqrt, call(add, variance, constant(eps)));
  return { unit: call(mul, distance, root), root };
}

/** The gradient of x when `g` is that of `unit`: root · (g − mean(g) − unit · mean(g · unit)). */
export function normalizedGradient(g: Tensor, unit: Tensor, root: Tensor, dims: readonly number[]): Tensor {
  const over = { dims, keepdim: true };
  const along = call(mul, unit, apply(mean, [call(mul, g, unit)], over));
  return call(mul, call(sub, call(sub, g, apply(mean, [g], over)), along), root);
}
