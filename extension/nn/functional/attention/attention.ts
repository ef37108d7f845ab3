// Scaled dot product attention, alone and as the heart of multi-head attention.
import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { C_TYPE, composed, constant, named } from "../../../tensor/functions/pointwise/operands.ts";
import { repeatInterleave } from "../../../tensor/functions/shape/repeating.ts";
import { add, eq, mul, ne, where } from "../../../tensor/ops/elementwise/elementwise.ts";
import { matmul } from "../../../tensor/ops/matrix/matmul.ts";
import { cast } from "../../../tensor/ops/movement/movement.ts";
import { amax } from "../../../tensor/ops/reduction/reduction.ts";
import { softmax } from "../../../tensor/ops/reduction/softmax.ts";
import { shown } from "../../../tensor/recording/gradientHooks.ts";
import { noGrad, scope } from "../../../tensor/recording/scope.ts";
import { formatDims, numel, range } from "../../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { checkProbability, dropout } from "../activation/dropout.ts";

export interface ScaledDotProductOptions {
  /** [*, L, S]: true where a query may look at a key, or numbers that are added to the scores. */
  attnMask?: Tensor | null;
  /** Probability of each weight to be dropped, in evaluation too: pass 0 there. */
  dropoutP?: number;
  /** Each query attends to the keys up to its own place. */
  isCausal?: boolean;
  /** Factor of the scores; 1/√E by default. */
  scale?: number | null;
  /** Whether keys and values may have fewer heads (dimension −3), each of which serves several heads of queries. */
  enableGqa?: boolean;
}

/**
 * softmax(q kᵀ · scale + mask) v. A query that may look at no key gives zeros.
 *
 * - query [*, L, E], key [*, S, E], value [*, S, V]; result [*, L, V]
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
 *
 * @throws TensorError for unfitting shapes and types, and when both a mask and isCausal are given
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options?: ScaledDotProductOptions,
): Tensor;
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  attnMask?: Tensor | null,
  dropoutP?: number,
  isCausal?: boolean,
): Tensor;
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  ...rest: unknown[]
): Tensor {
  const { attnMask, dropoutP, isCausal, scale, enableGqa } = bind<ScaledDotProductOptions>(
    "scaled_dot_product_attention",
    rest,
    { attnMask: null, dropoutP: 0, isCausal: false, scale: null, enableGqa: false },
  );
  check(query, key, value, attnMask, isCausal);
  checkProbability(dropoutP);
  return composed(() => {
    const [k, v] = enableGqa ? shared(query, key, value) : [key, value];
    checkSizes(query, k);
    const bias = attnMask?.dtype === "bool" ? additive(attnMask, true) : attnMask;
    const { output } = attend(query, k, v, { bias, causal: isCausal, scale, dropoutP, safe: true });
    const plain = dropoutP === 0 && attnMask?.requiresGrad !== true && query.ndim === 4;
    const fused = plain && query.shape[3] === v.shape[3];
    return named(output, fused ? "ScaledDotProductFlashAttentionForCpuBackward0" : "UnsafeViewBackward0");
  });
}

/** How queries meet keys. */
export interface Attention {
  /** Added to the scores, broadcast: −∞ where a query may not look. */
  readonly bias?: Tensor | null | undefined;
  readonly causal?: boolean;
  /** 1/√E by default. */
  readonly scale?: number | null;
  readonly dropoutP: number;
  /** Whether a query that may look at no key gives zeros; else it gives NaN. */
  readonly safe: boolean;
}

/** Attention of heads whose shapes fit: [*, L, E], [*, S, E], [*, S, V] to [*, L, V] and the weights [*, L, S]. */
export function attend(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  { bias, causal, scale, dropoutP, safe }: Attention,
): { output: Tensor; weights: Tensor } {
  const factor = scale ?? 1 / Math.sqrt(query.shape[query.ndim - 1]!);
  const q = factor === 1 ? query : apply(mul, [query, constant(factor)], {});
  let scores = apply(matmul, [q, key], { transposeA: false, transposeB: true });
  let alive: Tensor | undefined;
  if (causal === true) {
    scores = apply(add, [scores, causalMask(query.shape[query.ndim - 2]!, key.shape[key.ndim - 2]!)], {});
  } else if (bias) {
    let shift = bias;
    if (safe && shift.numel() > 0) [shift, alive] = revived(bias);
    scores = apply(add, [scores, shift], {});
  }
  let weights = apply(softmax, [scores], {});
  if (dropoutP > 0) weights = dropout(weights, dropoutP);
  const output = apply(matmul, [weights, value], { transposeA: false, transposeB: false });
  const heads = alive === undefined ? output : apply(mul, [output, alive], {});
  return { output: onHeads === undefined ? heads : watched(heads, weights, onHeads), weights };
}

/**
 * Sees what the heads of an attention give, [*, heads, L, V], and may replace it.
 * @param path The module's that attends
 * @param weights [*, heads, L, S]: can be read only if the hook makes a value of them
 */
export type HeadHook = (heads: Tensor, path: string, weights: Tensor) => Tensor | undefined;

let onHeads: HeadHook | undefined;

/** Runs `body`, whose attentions call `hook` before their heads are joined and projected. */
export function withHeadHook<T>(hook: HeadHook, body: () => T): T {
  const before = onHeads;
  onHeads = hook;
  try {
    return body();
  } finally {
    onHeads = before;
  }
}

function watched(heads: Tensor, weights: Tensor, hook: HeadHook): Tensor {
  // The hook may keep what it sees and makes.
  heads.value.visible = true;
  return shown(() => hook(heads, scope.path, weights)) ?? heads;
}

/**
 * A bias whose rows of nothing but −∞ are 0, and factors that are 0 for these rows and 1 for the others: what they
 * multiply is the result of softmax with zeros where it would divide 0 by 0, gradients included.
 */
function revived(bias: Tensor): [bias: Tensor, alive: Tensor] {
  const largest = noGrad(() => apply(amax, [bias], { dims: [bias.ndim - 1], keepdim: true }));
  const nothing = constant(-Infinity);
  return [
    apply(where, [apply(eq, [largest, nothing], {}), constant(0), bias], {}),
    apply(cast, [apply(ne, [largest, nothing], {})], { dtype: "float32" }),
  ];
}

/** A mask of booleans as numbers to add to scores: 0 where `allowed` says so, else −∞. */
export function additive(mask: Tensor, allowed: boolean): Tensor {
  const [yes, no] = [constant(0), constant(-Infinity)];
  return apply(where, allowed ? [mask, yes, no] : [mask, no, yes], {});
}

let lastCausal = fromHost(new Float32Array(0), [0, 0], "float32");

/** [L, S]: −∞ above the diagonal, else 0. The layers of a model ask for the same one again and again. */
export function causalMask(rows: number, columns: number): Tensor {
  if (lastCausal.shape[0] === rows && lastCausal.shape[1] === columns) return lastCausal;
  const data = new Float32Array(rows * columns);
  for (const i of range(rows))
    data.fill(-Infinity, i * columns + Math.min(i + 1, columns), (i + 1) * columns);
  return (lastCausal = fromHost(data, [rows, columns], "float32"));
}

/** Keys and values with a head for every head of queries. */
function shared(query: Tensor, key: Tensor, value: Tensor): [key: Tensor, value: Tensor] {
  const heads = query.shape.at(-3) ?? 1;
  const spread = (t: Tensor): Tensor => {
    const own = t.shape.at(-3) ?? 1;
    if (own === 0 || heads % own !== 0) {
      throw new TensorError(
        "shape",
        "Number of heads in key and value must divide the number of heads in query",
      );
    }
    return own === heads ? t : repeatInterleave(t, heads / own, -3);
  };
  return [spread(key), spread(value)];
}

function check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | null, causal: boolean): void {
  const all = [query, key, value];
  if (all.some((t) => t.dtype !== query.dtype)) {
    throw new TensorError(
      "dtype",
      `Expected query, key, and value to have the same dtype, but got query.dtype: ${C_TYPE[query.dtype]} key.dtype: ${C_TYPE[key.dtype]} and value.dtype: ${C_TYPE[value.dtype]} instead.`,
    );
  }
  if (all.some((t) => t.ndim < 2)) {
    throw new TensorError(
      "shape",
      `Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: ${query.ndim} key.dim: ${key.ndim} and value.dim: ${value.ndim} instead.`,
    );
  }
  if (mask !== null && mask.dtype !== "bool" && mask.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: ${C_TYPE[mask.dtype]} and  query.dtype: ${C_TYPE[query.dtype]} instead.`,
    );
  }
  if (mask !== null && causal) {
    throw new TensorError(
      "value",
      "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True",
    );
  }
  if (query.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `expected scalar type Float but found ${query.dtype === "bool" ? "Bool" : "Long"}`,
    );
  }
}

/** PyTorch multiplies the transposed keys as a batch of matrices: its message names that product's shapes. */
function checkSizes(query: Tensor, key: Tensor): void {
  const width = query.shape[query.ndim - 1]!;
  const own = key.shape[key.ndim - 1]!;
  if (width === own) return;
  if (query.ndim === 2 && key.ndim === 2) {
    const dims = [query.shape, key.shape.toReversed()].map(formatDims);
    throw new TensorError("shape", `mm: mat1 and mat2 shapes cannot be multiplied (${dims.join(" and ")})`);
  }
  const batch = numel(query.shape.slice(0, -2));
  throw new TensorError(
    "shape",
    `Expected size for first two dimensions of batch2 tensor to be: [${batch}, ${width}] but got: [${batch}, ${own}].`,
  );
}
