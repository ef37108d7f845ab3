// PyTorch's torch.nn.utils.
import { TensorError } from "../../tensor/core/errors.ts";
import { add, clamp, div, mul } from "../../tensor/functions/pointwise/arithmetic.ts";
import { composed, constant } from "../../tensor/functions/pointwise/operands.ts";
import { norm } from "../../tensor/functions/reduction/reduction.ts";
import { narrow } from "../../tensor/functions/shape/parts.ts";
import { cat, reshape, stack } from "../../tensor/functions/shape/shape.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { hidden, noGrad } from "../../tensor/recording/scope.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { listTensors } from "../../tensor/core/tensorLike.ts";
import { bind, REQUIRED } from "../arguments.ts";
import { pyFloat } from "../module/repr.ts";

export * as fusion from "./fusion.ts";
export { fuseConvBnEval, fuseConvBnWeights, fuseLinearBnEval, fuseLinearBnWeights } from "./fusion.ts";
export { skipInit } from "./skipInit.ts";
export * as parametrizations from "./parametrizations.ts";
export * as parametrize from "./parametrize.ts";
export * as prune from "./prune/prune.ts";
export * as rnn from "./utilsRnn.ts";
export { removeSpectralNorm, removeWeightNorm, spectralNorm, weightNorm } from "../module/weightHooks.ts";

type Parameters = Tensor | Iterable<Tensor>;

function gradients(callee: string, parameters: Parameters): Tensor[] {
  return listTensors(callee, "parameters", parameters).flatMap((p) =>
    p.ownGrad === null ? [] : [p.ownGrad],
  );
}

interface ClipOptions {
  maxNorm: number;
  /** 2 by default; Infinity is the largest absolute value. */
  normType?: number;
  /** Throw when the norm is infinite or not a number. */
  errorIfNonfinite?: boolean;
  /** Accepted as in PyTorch; changes nothing. */
  foreach?: boolean | null;
}

/**
 * Scales all gradients by the same factor, so that their norm, taken as one vector, is at most `maxNorm`.
 * @returns the norm before
 * @throws TensorError with errorIfNonfinite, which needs the norm computed at once
 */
export function clipGradNorm_(parameters: Parameters, options: ClipOptions): Tensor;
export function clipGradNorm_(
  parameters: Parameters,
  maxNorm: number,
  options?: Omit<ClipOptions, "maxNorm">,
): Tensor;
export function clipGradNorm_(parameters: Parameters, maxNorm: number, normType?: number): Tensor;
export function clipGradNorm_(parameters: Parameters, ...rest: unknown[]): Tensor {
  const { maxNorm, normType, errorIfNonfinite } = bind<ClipOptions>("clip_grad_norm_", rest, {
    maxNorm: REQUIRED,
    normType: 2,
    errorIfNonfinite: false,
    foreach: null,
  });
  // Listed once: a generator, for example, can be walked only once.
  const list = listTensors("clip_grad_norm_", "parameters", parameters);
  const total = getTotalNorm(gradients("clip_grad_norm_", list), normType, errorIfNonfinite);
  clipGradsWithNorm_(list, maxNorm, total);
  return total;
}

/**
 * The norm of all tensors taken as one vector; 0 of none.
 * @param normType 2 by default; Infinity is the largest absolute value
 * @throws TensorError with errorIfNonfinite, which needs the norm computed at once
 */
export function getTotalNorm(
  tensors: Parameters,
  normType: number | { normType?: number; errorIfNonfinite?: boolean } = 2,
  errorIfNonfinite = false,
): Tensor {
  if (typeof normType === "object") {
    return getTotalNorm(tensors, normType.normType ?? 2, normType.errorIfNonfinite ?? false);
  }
  const list = listTensors("get_total_norm", "tensors", tensors);
  if (list.length === 0) return constant(0);
  return noGrad(() => {
    const total = composed(() => {
      const norms = list.map((x) => norm(x, { p: normType }));
      return norm(stack(norms), { p: normType });
    });
    if (errorIfNonfinite && !Number.isFinite(valuesOf(total.value)[0])) {
      throw new TensorError(
        "value",
        `The total norm of order ${pyFloat(normType)} for gradients from \`parameters\` is non-finite, so it cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set \`error_if_nonfinite=False\``,
      );
    }
    return total;
  });
}

/** Scales all gradients by min(1, maxNorm / (totalNorm + 1e-6)). */
export function clipGradsWithNorm_(parameters: Parameters, maxNorm: number, totalNorm: Tensor): void {
  noGrad(() =>
    hidden(() => {
      const factor = clamp(div(maxNorm, add(totalNorm, 1e-6)), null, 1);
      for (const g of gradients("clip_grads_with_norm_", parameters)) g.write(mul(g, factor));
    }),
  );
}

/** All parameters as one vector, through which gradients pass. */
export function parametersToVector(parameters: Iterable<Tensor>): Tensor {
  const list = listTensors("parameters_to_vector", "parameters", parameters);
  return composed(() => cat(list.map((p) => reshape(p, [-1]))));
}

/** Writes a vector into parameters, one after the other. */
export function vectorToParameters(vec: Tensor, parameters: Iterable<Tensor>): void {
  if (!(vec instanceof Tensor)) {
    throw new TensorError("value", `expected torch.Tensor, but got: ${typeof vec}`);
  }
  noGrad(() =>
    hidden(() => {
      let at = 0;
      for (const p of listTensors("vector_to_parameters", "parameters", parameters)) {
        p.write(reshape(narrow(vec, 0, at, p.numel()), p.shape));
        at += p.numel();
      }
    }),
  );
}

interface ClipValueOptions {
  clipValue: number;
  /** Accepted as in PyTorch; changes nothing. */
  foreach?: boolean | null;
}

/** Moves every element of the gradients into [−clipValue, clipValue]. */
export function clipGradValue_(parameters: Parameters, options: ClipValueOptions): void;
export function clipGradValue_(
  parameters: Parameters,
  clipValue: number,
  options?: Omit<ClipValueOptions, "clipValue">,
): void;
export function clipGradValue_(parameters: Parameters, ...rest: unknown[]): void {
  const { clipValue } = bind<ClipValueOptions>("clip_grad_value_", rest, {
    clipValue: REQUIRED,
    foreach: null,
  });
  noGrad(() =>
    hidden(() => {
      for (const g of gradients("clip_grad_value_", parameters)) g.write(clamp(g, -clipValue, clipValue));
    }),
  );
}
