// Losses that ask for a margin between right and wrong.
import { apply } from "../../../tensor/recording/apply.ts";
import { promoteTypes, SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { add, clamp, div, mul, pow, sub } from "../../../tensor/functions/pointwise/arithmetic.ts";
import {
  eq,
  ge,
  gt,
  logicalAnd,
  logicalNot,
  ne,
  neg,
  sqrt,
  where,
} from "../../../tensor/functions/pointwise/elementwise.ts";
import { gather, indexSelect, scatterAdd } from "../../../tensor/functions/indexing/gathering.ts";
import {
  castTo,
  composed,
  constant,
  named,
  notImplemented,
  requireType,
  toFloat,
} from "../../../tensor/functions/pointwise/operands.ts";
import { cumprod, sum } from "../../../tensor/functions/reduction/reduction.ts";
import { expand, reshape, unsqueeze } from "../../../tensor/functions/shape/shape.ts";
import { softplus } from "../../../tensor/ops/elementwise/elementwise.ts";
import { formatShape, formatSize, numel, sameShape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Arguments } from "../../arguments.ts";
import { refuseGradient } from "../refuseGradient.ts";
import { checkReduction, LEGACY, reduce, reductionOf, type ReductionOptions } from "./reduction.ts";

export interface MarginOptions extends ReductionOptions {
  /** How far apart right and wrong should be. */
  margin?: number;
}

/** Options all by name, or the margin by position. */
export type MarginArguments = Arguments<MarginOptions, "margin sizeAverage reduce reduction">;

function marginOf(
  name: string,
  rest: MarginArguments,
  margin: number,
): { margin: number; reduction: NonNullable<ReductionOptions["reduction"]> } {
  const bound = bind<MarginOptions>(name, rest, { margin, ...LEGACY, reduction: "mean" });
  const reduction = reductionOf(bound);
  checkReduction(reduction);
  return { margin: bound.margin, reduction };
}

const atLeast0 = (x: Tensor): Tensor => clamp(x, 0);

/** Where the target is 1 the input; where it is −1 max(0, margin − input), with margin 1. */
export function hingeEmbeddingLoss(input: Tensor, target: Tensor, ...rest: MarginArguments): Tensor {
  const { margin, reduction } = marginOf("hinge_embedding_loss", rest, 1);
  return composed(() => {
    const far = where(ne(target, 1), atLeast0(sub(margin, input)), 0);
    const near = where(ne(target, -1), input, 0);
    return reduce(add(far, near), reduction);
  });
}

/**
 * max(0, −target · (input1 − input2) + margin): the first should rank higher where the target is 1, lower where −1.
 * @throws TensorError "margin_ranking_loss : All input tensors should have same dimension but got sizes: …"
 */
export function marginRankingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  ...rest: MarginArguments
): Tensor {
  const { margin, reduction } = marginOf("margin_ranking_loss", rest, 0);
  if (input1.ndim !== input2.ndim || input1.ndim !== target.ndim) {
    throw new TensorError(
      "shape",
      `margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: ${formatSize(input1.shape)}, input2: ${formatSize(input2.shape)}, target: ${formatSize(target.shape)} `,
    );
  }
  return composed(() =>
    reduce(atLeast0(add(toFloat(mul(neg(target), sub(input1, input2))), margin)), reduction),
  );
}

/** Keeps the cosine of vectors of length 0 finite. */
const EPSILON = 1e-12;

/**
 * 1 − cos(x₁, x₂) where the target is 1, max(0, cos(x₁, x₂) − margin) where it is −1.
 * @param input1 [N, D] or [D]
 * @param target [N] or a number
 * @throws TensorError "0D or 1D target tensor expected, multi-target not supported"
 */
export function cosineEmbeddingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  ...rest: MarginArguments
): Tensor {
  const { margin, reduction } = marginOf("cosine_embedding_loss", rest, 0);
  if (target.ndim > 1) {
    throw new TensorError("shape", "0D or 1D target tensor expected, multi-target not supported");
  }
  const dim = target.ndim;
  if (input1.ndim !== dim + 1 || input2.ndim !== dim + 1) {
    throw new TensorError(
      "shape",
      `${dim}D target tensor expects ${dim + 1}D input tensors, but found inputs with sizes ${formatShape(input1.shape)} and ${formatShape(input2.shape)}.`,
    );
  }
  return composed(() => {
    const square = (x: Tensor): Tensor => add(sum(mul(x, x), dim), EPSILON);
    const lengths = sqrt(mul(square(input1), square(input2)));
    const cosine = div(sum(mul(input1, input2), dim), lengths);
    const near = where(eq(target, 1), sub(1, cosine), 0);
    const far = where(eq(target, -1), atLeast0(sub(cosine, margin)), 0);
    return reduce(add(near, far), reduction);
  });
}

/** ln(1 + e^(−target · input)) for targets of ±1. */
export function softMarginLoss(input: Tensor, target: Tensor, options: ReductionOptions = {}): Tensor {
  const bound = bind<ReductionOptions>("soft_margin_loss", [options], { ...LEGACY, reduction: "mean" });
  const reduction = reductionOf(bound);
  checkReduction(reduction);
  refuseGradient("soft_margin_loss", { target });
  const type = promoteTypes(input.dtype, target.dtype);
  if (type !== "float32")
    throw new TensorError(
      "dtype",
      `result type Float can't be cast to the desired output type ${SCALAR_TYPE[type]}`,
    );
  return composed(() => {
    const losses = apply(softplus, [neg(mul(target, input))], {});
    return named(reduce(losses, reduction), "SoftMarginLossBackward0", input, target);
  });
}

/** Rows [N, C] of an input [C] or [N, C]. */
function rowsOf(input: Tensor): Tensor {
  const { shape } = input;
  const classes = shape[shape.length - 1] ?? 1;
  if (shape.length > 2 || classes === 0) {
    throw new TensorError(
      "shape",
      `Expected non-empty vector or matrix with optional 0-dim batch size, but got: ${formatShape(shape)}`,
    );
  }
  return reshape(input, [shape.length === 2 ? shape[0]! : 1, classes]);
}

/** x where it is above 0, else 0: NaN too, as PyTorch's kernels of these losses have it. */
const positive = (x: Tensor): Tensor => where(gt(x, 0), x, 0);

export interface MultiMarginOptions extends MarginOptions {
  /** Power of each term: 1 or 2. Default 1. */
  p?: number;
  /** A factor for each class. */
  weight?: Tensor | null;
}

export type MultiMarginArguments = Arguments<
  MultiMarginOptions,
  "p margin weight sizeAverage reduce reduction"
>;

/**
 * Hinge loss of several classes, C of them: Σ_{i ≠ y} w_y · max(0, margin − x_y + x_i)ᵖ / C, with margin 1.
 * @param input scores [C] or [N, C]
 * @param target class numbers [N]
 * @throws TensorError "target out of range"
 */
export function multiMarginLoss(input: Tensor, target: Tensor, ...rest: MultiMarginArguments): Tensor {
  const bound = bind<MultiMarginOptions>("multi_margin_loss", rest, {
    p: 1,
    margin: 1,
    weight: null,
    ...LEGACY,
    reduction: "mean",
  });
  const { p, margin, weight } = bound;
  const reduction = reductionOf(bound);
  checkReduction(reduction);
  if (p !== 1 && p !== 2) throw new TensorError("value", "only p == 1 and p == 2 supported");
  if (weight !== null && weight.ndim !== 1) {
    throw new TensorError("shape", "weight must be one-dimensional");
  }
  const rows = composed(() => rowsOf(input));
  const [n, classes] = rows.shape as [number, number];
  if (target.ndim > 1 || target.numel() !== n) {
    throw new TensorError(
      "shape",
      `multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). Expected target size [${n}], but got ${formatShape(target.shape)}. Input has shape ${formatShape(input.shape)}.`,
    );
  }
  requireType(target, "int64", "expected scalar type Long but found Float");
  if (weight !== null && weight.shape[0] !== classes) {
    throw new TensorError(
      "shape",
      `inconsistent weight size, expected ${classes} but got ${formatShape(weight.shape)}`,
    );
  }
  for (const t of target.value.data ?? []) {
    if (t < 0 || t >= classes) throw new TensorError("index", "target out of range");
  }
  refuseGradient("multi_margin_loss", { weight });
  return composed(() => {
    const labels = reshape(target, [n, 1]);
    const right = gather(rows, 1, labels);
    const terms = positive(add(sub(margin, right), rows));
    const powers = p === 1 ? terms : pow(terms, 2);
    const weighted =
      weight === null ? powers : mul(powers, reshape(indexSelect(weight, 0, reshape(target, [n])), [n, 1]));
    const others = scatterAdd(expand(constant(0), [n, classes]), 1, labels, expand(constant(1), [n, 1]));
    const losses = div(sum(where(eq(others, 0), weighted, 0), 1), classes);
    return named(reduce(reshape(losses, target.shape), reduction), "MultiMarginLossBackward0", input, target);
  });
}

/**
 * Hinge loss of several labels for each sample, of C classes: Σ max(0, 1 − (x_y − x_i)) / C over all labels y and all i
 * that are none.
 * @param input scores [C] or [N, C]
 * @param target of input's shape: class numbers, up to the first that is negative
 * @throws TensorError "inconsistent target size: [3, 3] for input of size: [3, 4]"
 */
export function multilabelMarginLoss(input: Tensor, target: Tensor, options: ReductionOptions = {}): Tensor {
  const bound = bind<ReductionOptions>("multilabel_margin_loss", [options], { ...LEGACY, reduction: "mean" });
  const reduction = reductionOf(bound);
  checkReduction(reduction);
  const rows = composed(() => rowsOf(input));
  const [n, classes] = rows.shape as [number, number];
  const fits = input.ndim === 0 ? numel(target.shape) === 1 : sameShape(target.shape, input.shape);
  if (!fits) {
    throw new TensorError(
      "shape",
      `inconsistent target size: ${formatShape(target.shape)} for input of size: ${formatShape(input.shape)}`,
    );
  }
  for (const t of target.value.data ?? []) {
    if (t < -1 || t >= classes) throw new TensorError("index", "argument #2 'target' is out of range");
  }
  requireType(target, "int64", "expected scalar type Long but found Float");
  return composed(() => {
    const labels = reshape(target, [n, classes]);
    const given = castTo(cumprod(castTo(ge(labels, 0), "int64"), 1), "bool");
    const safe = where(given, labels, 0);
    const counts = scatterAdd(expand(constant(0), [n, classes]), 1, safe, castTo(given, "float32"));
    const wrong = logicalNot(gt(counts, 0));
    const pairs = logicalAnd(unsqueeze(given, 2), unsqueeze(wrong, 1));
    const terms = positive(add(sub(1, unsqueeze(gather(rows, 1, safe), 2)), unsqueeze(rows, 1)));
    const losses = div(sum(where(pairs, terms, 0), [1, 2]), classes);
    const kept = reshape(losses, input.ndim === 2 ? [n] : []);
    return named(reduce(kept, reduction), "MultilabelMarginLossBackward0", input, target);
  });
}

export interface MultiLabelWeightOptions extends ReductionOptions {
  /** A factor for each class. */
  weight?: Tensor | null;
}

export type MultiLabelWeightArguments = Arguments<
  MultiLabelWeightOptions,
  "weight sizeAverage reduce reduction"
>;

/**
 * Binary cross entropy of each class's logit, averaged over the classes, the last dimension.
 * @param target of input's shape, 0 or 1
 * @throws TensorError "foo is not valid"
 */
export function multilabelSoftMarginLoss(
  input: Tensor,
  target: Tensor,
  ...rest: MultiLabelWeightArguments
): Tensor {
  const bound = bind<MultiLabelWeightOptions>("multilabel_soft_margin_loss", rest, {
    weight: null,
    ...LEGACY,
    reduction: "mean",
  });
  if (input.dtype !== "float32") notImplemented("log_sigmoid_cpu", input.dtype);
  const { weight } = bound;
  const reduction = reductionOf(bound);
  if (reduction !== "none" && reduction !== "mean" && reduction !== "sum") {
    throw new TensorError("value", `${String(reduction)} is not valid`);
  }
  if (input.ndim === 0) {
    throw new TensorError("index", "Dimension specified as -1 but tensor has no dimensions");
  }
  return composed(() => {
    // −log σ(x) is softplus(−x).
    const on = mul(target, apply(softplus, [neg(input)], {}));
    const losses = add(on, mul(sub(1, target), apply(softplus, [input], {})));
    const weighted = weight === null ? losses : mul(losses, weight);
    // The classes are where the input has them: a weight may have more dimensions, in front.
    const dim = input.ndim - 1;
    return reduce(div(sum(weighted, dim), input.shape[dim]!), reduction);
  });
}
