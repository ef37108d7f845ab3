import { apply } from "../../../tensor/recording/apply.ts";
import { SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { add, div, mul } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { ne, neg, where } from "../../../tensor/functions/pointwise/elementwise.ts";
import { gather, indexSelect } from "../../../tensor/functions/indexing/gathering.ts";
import { castTo, composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { mean, sum } from "../../../tensor/functions/reduction/reduction.ts";
import { movedim, reshape, squeeze, unsqueeze } from "../../../tensor/functions/shape/shape.ts";
import { sparseCrossEntropy } from "../../../tensor/ops/reduction/softmax.ts";
import { valuesOf } from "../../../tensor/planning/barrier.ts";
import { formatShape, numel, sameShape, type Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { refuseGradient } from "../refuseGradient.ts";
import {
  checkReduction,
  reductionOf,
  type LEGACY,
  type Reduction,
  type ReductionOptions,
} from "./reduction.ts";
import { logSoftmax } from "../activation/softmax.ts";

export interface NllOptions extends Omit<ReductionOptions, "reduction"> {
  /** A factor for each class. */
  weight?: Tensor | null;
  /** Targets of this number count for nothing; -100 by default. */
  ignoreIndex?: number;
  /** "mean" by default: over the weights of the targets that count. */
  reduction?: Reduction;
}

export interface CrossEntropyOptions extends NllOptions {
  /** How much of each target is spread evenly over all classes. */
  labelSmoothing?: number;
}

type Older = keyof typeof LEGACY;

/** Class scores as rows [M, C], and their targets as a list [M]. */
interface Rows {
  readonly scores: Tensor;
  readonly targets: Tensor;
}

/** Moves the classes, dimension 1 of [N, C, …], to the end of rows. */
function rowsOf(x: Tensor): Tensor {
  if (x.ndim === 1) return unsqueeze(x, 0);
  return x.ndim === 2 ? x : reshape(movedim(x, 1, -1), [-1, x.shape[1]!]);
}

/**
 * Cross entropy between class scores and targets.
 * @param input scores [C], [N, C] or [N, C, d₁, …]
 * @param target class numbers of input's shape without C, or probabilities of input's shape
 * @throws TensorError "Expected input batch_size (4) to match target batch_size (3)."
 * @throws TensorError "Target 10 is out of bounds."
 */
export function crossEntropy(input: Tensor, target: Tensor, options?: CrossEntropyOptions): Tensor;
export function crossEntropy(
  input: Tensor,
  target: Tensor,
  weight?: Tensor | null,
  options?: Omit<CrossEntropyOptions, "weight">,
): Tensor;
export function crossEntropy(input: Tensor, target: Tensor, ...rest: unknown[]): Tensor {
  const bound = bind<CrossEntropyOptions>("cross_entropy", rest, {
    weight: null,
    sizeAverage: null,
    ignoreIndex: -100,
    reduce: null,
    reduction: "mean",
    labelSmoothing: 0,
  });
  const { weight, ignoreIndex, labelSmoothing } = bound;
  const reduction = reductionOf(bound);
  checkReduction(reduction);
  if (input.dtype !== "float32") notImplemented("log_softmax_lastdim_kernel_impl", input.dtype);
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new TensorError("value", `label_smoothing must be between 0.0 and 1.0. Got: ${labelSmoothing}`);
  }
  const classes = input.shape[input.ndim === 1 ? 0 : 1];
  if (classes === undefined) {
    throw new TensorError("index", "Dimension out of range (expected to be in range of [-1, 0], but got 1)");
  }
  if (sameShape(input.shape, target.shape)) {
    checkWeight(weight, classes, "cross_entropy: ");
    return composed(() =>
      ofProbabilities(input, target, classes, { weight, ignoreIndex, reduction, labelSmoothing }),
    );
  }
  const counted = checkTargets(input, target, classes, weight, ignoreIndex);
  return composed(() => {
    const rows = { scores: rowsOf(input), targets: reshape(target, [-1]) };
    if (weight === null && labelSmoothing === 0) {
      const losses = apply(sparseCrossEntropy, [rows.scores, rows.targets], { ignoreIndex });
      if (counted) return reduceLosses(losses, target, reduction, undefined);
      // Chosen, not multiplied: when nothing counts, the mean is 0 / 0 but its gradient 0.
      const used = where(ne(rows.targets, ignoreIndex), losses, 0);
      return reduceLosses(used, target, reduction, weightsOf(rows, null, ignoreIndex));
    }
    const logs = { ...rows, scores: logSoftmax(rows.scores, 1) };
    const weights = weightsOf(logs, weight, ignoreIndex);
    const nll = reduceLosses(losses(logs, weights, ignoreIndex), target, reduction, weights);
    if (labelSmoothing === 0) return nll;
    const perClass = weight === null ? logs.scores : mul(logs.scores, weight);
    const spread = where(ne(logs.targets, ignoreIndex), neg(sum(perClass, 1)), 0);
    const smooth = reduceLosses(spread, target, reduction, weights);
    return add(mul(nll, 1 - labelSmoothing), mul(smooth, labelSmoothing / classes));
  });
}

function ofProbabilities(
  input: Tensor,
  target: Tensor,
  classes: number,
  { weight, ignoreIndex, reduction, labelSmoothing }: Required<Omit<CrossEntropyOptions, Older>>,
): Tensor {
  if (target.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `Expected floating point type for target with class probabilities, got ${SCALAR_TYPE[target.dtype]}`,
    );
  }
  if (ignoreIndex >= 0) {
    throw new TensorError("value", "ignore_index is not supported for floating point target");
  }
  const dim = input.ndim === 1 ? 0 : 1;
  const goal = labelSmoothing > 0 ? add(mul(target, 1 - labelSmoothing), labelSmoothing / classes) : target;
  const shape = input.shape.map((_, d) => (d === dim ? classes : 1));
  const product = mul(logSoftmax(input, dim), goal);
  const weighted = weight === null ? product : mul(product, reshape(weight, shape));
  if (reduction === "none") return neg(sum(weighted, dim));
  const total = neg(sum(weighted));
  return reduction === "sum" ? total : named(div(total, numel(input.shape) / classes), "DivBackward1");
}

/**
 * Negative log likelihood of the targets.
 * @param input log-probabilities [C], [N, C] or [N, C, d₁, …]
 * @param target class numbers of input's shape without C
 */
export function nllLoss(input: Tensor, target: Tensor, options?: NllOptions): Tensor;
export function nllLoss(
  input: Tensor,
  target: Tensor,
  weight?: Tensor | null,
  options?: Omit<NllOptions, "weight">,
): Tensor;
export function nllLoss(input: Tensor, target: Tensor, ...rest: unknown[]): Tensor {
  const bound = bind<NllOptions>("nll_loss", rest, {
    weight: null,
    sizeAverage: null,
    ignoreIndex: -100,
    reduce: null,
    reduction: "mean",
  });
  const { weight, ignoreIndex } = bound;
  const reduction = reductionOf(bound);
  checkReduction(reduction);
  const classes = input.shape[input.ndim === 1 ? 0 : 1];
  if (classes === undefined) throw new TensorError("shape", "input tensor should be 1D or 2D");
  checkTargets(input, target, classes, weight, ignoreIndex);
  return composed(() => {
    const rows = { scores: rowsOf(input), targets: reshape(target, [-1]) };
    const weights = weightsOf(rows, weight, ignoreIndex);
    // Without a batch there is one loss, whether the target is a number or a list of one.
    const kept = input.ndim === 1 ? [] : target.shape;
    return reduceLosses(losses(rows, weights, ignoreIndex), target, reduction, weights, kept);
  });
}

/** −score of each row's target, times its weight. */
function losses({ scores, targets }: Rows, weights: Tensor, ignoreIndex: number): Tensor {
  const used = ne(targets, ignoreIndex);
  const safe = where(used, targets, 0);
  const picked = squeeze(gather(scores, 1, unsqueeze(safe, 1)), 1);
  return where(used, neg(mul(picked, weights)), 0);
}

/** The weight of each row's class; 0 for ignored rows. */
function weightsOf({ targets }: Rows, weight: Tensor | null, ignoreIndex: number): Tensor {
  const used = ne(targets, ignoreIndex);
  const mask = castTo(used, "float32");
  if (weight === null) return mask;
  return mul(indexSelect(weight, 0, where(used, targets, 0)), mask);
}

/** @param weights what "mean" divides by, added up; the number of rows by default */
function reduceLosses(
  rows: Tensor,
  target: Tensor,
  reduction: Reduction,
  weights: Tensor | undefined,
  kept: Shape = target.shape,
): Tensor {
  const gradient = target.ndim < 2 ? "NllLossBackward0" : "NllLoss2DBackward0";
  if (reduction === "none") return named(reshape(rows, kept), gradient, target);
  if (reduction === "sum") return named(sum(rows), gradient, target);
  return named(weights === undefined ? mean(rows) : div(sum(rows), sum(weights)), gradient, target);
}

function checkWeight(weight: Tensor | null, classes: number, name = ""): void {
  if (weight !== null && !sameShape(weight.shape, [classes])) {
    throw new TensorError(
      "shape",
      `${name}weight tensor should be defined either for all ${classes} classes or no classes but got weight tensor of shape: ${formatShape(weight.shape)}`,
    );
  }
}

/** The same of images, in PyTorch's other words. */
function checkImageWeight(weight: Tensor | null, classes: number): void {
  if (weight === null || weight.numel() === classes) return;
  throw new TensorError("shape", "weight tensor should be defined either for all or no classes");
}

/**
 * Checks class numbers against the scores' shape and, where they are at hand, their range; and the classes' weights.
 * @returns true when all of them are known to count
 */
function checkTargets(
  input: Tensor,
  target: Tensor,
  classes: number,
  weight: Tensor | null,
  ignoreIndex: number,
): boolean {
  const { ndim } = input;
  const [batch, targets] = [input.shape[0]!, target.shape[0] ?? 1];
  if (ndim > 1 && batch !== targets) {
    throw new TensorError(
      "shape",
      `Expected input batch_size (${batch}) to match target batch_size (${targets}).`,
    );
  }
  if (ndim === 4 && target.ndim !== 3) {
    throw new TensorError(
      "shape",
      `only batches of spatial targets supported (3D tensors) but got targets of dimension: ${target.ndim}`,
    );
  }
  if (ndim <= 2 && target.ndim > 1) {
    throw new TensorError("shape", "0D or 1D target tensor expected, multi-target not supported");
  }
  if (ndim === 1 && targets !== 1) {
    throw new TensorError(
      "shape",
      `For 1D input, 1D target must have size 1, but got target size: ${targets}`,
    );
  }
  const expected = ndim <= 2 ? target.shape : [batch, ...input.shape.slice(2)];
  const fits = sameShape(expected, target.shape);
  if (!fits && ndim !== 4) {
    throw new TensorError(
      "shape",
      `Expected target size ${formatShape(expected)}, got ${formatShape(target.shape)}`,
    );
  }
  if (target.dtype !== "int64") {
    throw new TensorError(
      "dtype",
      `expected target dtype to be Long or Byte, but got ${SCALAR_TYPE[target.dtype]}`,
    );
  }
  (ndim <= 2 ? checkWeight : checkImageWeight)(weight, classes);
  if (!fits) {
    throw new TensorError(
      "shape",
      `size mismatch (got input: ${formatShape(input.shape)} , target: ${formatShape(target.shape)}`,
    );
  }
  refuseGradient(ndim <= 2 ? "nll_loss_forward" : "nll_loss2d_forward", { weight });
  const { value } = target;
  const { kind } = value.producer;
  if (value.data === undefined && kind !== "random") return false;
  let all = true;
  for (const t of valuesOf(value)) {
    if (t === ignoreIndex) all = false;
    else if (t < 0 || t >= classes) throw new TensorError("index", `Target ${t} is out of bounds.`);
  }
  return all;
}
