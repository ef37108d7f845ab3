// Multi-head attention: projections of queries, keys and values, attention of every head, projection of the results.
import { apply, applyAll } from "../../../tensor/recording/apply.ts";
import { composedAll, named } from "../../../tensor/functions/pointwise/operands.ts";
import { expand, permute, reshape, unstack, cat as join } from "../../../tensor/ops/movement/movement.ts";
import { slice } from "../../../tensor/ops/movement/slicing.ts";
import { mean } from "../../../tensor/ops/reduction/reduction.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import type { Shape } from "../../../tensor/core/shape.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import { attend } from "./attention.ts";
import {
  checkRanks,
  checkStatic,
  checkWeights,
  inputsFit,
  attentionBias,
  refuse,
} from "./attentionChecks.ts";
import { linear, linearOfCopy } from "../linear.ts";
import type {
  MultiHead,
  MultiHeadAttentionArguments,
  MultiHeadAttentionOptions,
} from "./multiHeadArguments.ts";

export type { MultiHead, MultiHeadAttentionArguments, MultiHeadAttentionOptions };

export type Attended = [output: Tensor, weights: Tensor | null];

/**
 * The function behind `nn.MultiheadAttention`, whose parameters it takes one by one.
 *
 * - query [L, N, E] or [L, E]; key and value [S, N, E] or [S, E]
 * - result [L, N, E] or [L, E], and the weights: [N, L, S] or [N, heads, L, S], without N for unbatched inputs
 */
export function multiHeadAttentionForward(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  embedDimToCheck: number,
  numHeads: number,
  inProjWeight: Tensor | null,
  inProjBias: Tensor | null,
  biasK: Tensor | null,
  biasV: Tensor | null,
  addZeroAttn: boolean,
  dropoutP: number,
  outProjWeight: Tensor,
  outProjBias: Tensor | null,
  options?: MultiHeadAttentionOptions,
): Attended;
export function multiHeadAttentionForward(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: MultiHeadAttentionArguments,
): Attended;
export function multiHeadAttentionForward(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  ...rest: unknown[]
): Attended {
  const bound = bind<MultiHeadAttentionArguments>("multi_head_attention_forward", rest, {
    embedDimToCheck: REQUIRED,
    numHeads: REQUIRED,
    inProjWeight: REQUIRED,
    inProjBias: REQUIRED,
    biasK: REQUIRED,
    biasV: REQUIRED,
    addZeroAttn: REQUIRED,
    dropoutP: REQUIRED,
    outProjWeight: REQUIRED,
    outProjBias: REQUIRED,
    training: true,
    keyPaddingMask: null,
    needWeights: true,
    attnMask: null,
    useSeparateProjWeight: false,
    qProjWeight: null,
    kProjWeight: null,
    vProjWeight: null,
    staticK: null,
    staticV: null,
    averageAttnWeights: true,
    isCausal: false,
  });
  return multiHead(query, key, value, { ...bound, batchFirst: false });
}

/** Multi-head attention of inputs in either order of batch and sequence, moved as little as possible. */
export function multiHead(query: Tensor, key: Tensor, value: Tensor, m: MultiHead): Attended {
  return composedAll(() => {
    if (checkRanks(query, key, value, m)) return batched(query, key, value, m, m.batchFirst);
    // Without a batch: a batch of one. Equal inputs stay equal, since one projection serves them all.
    const q = lifted(query);
    const k = key === query ? q : lifted(key);
    const v = value === key ? k : value === query ? q : lifted(value);
    const keyPaddingMask = m.keyPaddingMask === null ? null : lifted(m.keyPaddingMask);
    const [output, weights] = batched(q, k, v, { ...m, keyPaddingMask }, true);
    return [lowered(output), weights === null ? null : lowered(weights)];
  });
}

const view = (x: Tensor, shape: Shape): Tensor => apply(reshape, [x], { shape });
const lifted = (x: Tensor): Tensor => view(x, [1, ...x.shape]);
const lowered = (x: Tensor): Tensor => named(view(x, x.shape.slice(1)), "SqueezeBackward1");

function batched(query: Tensor, key: Tensor, value: Tensor, m: MultiHead, batchFirst: boolean): Attended {
  const sizes = inputsFit(query, key, value, m, batchFirst);
  const bias = attentionBias(m, sizes);
  const [q, projectedK, projectedV] = projections(query, key, value, m, batchFirst);
  let [k, v] = withBiases(projectedK!, projectedV!, m);
  checkStatic(m, sizes);
  if (m.staticK !== null) k = headsOf(m.staticK, m.numHeads);
  if (m.staticV !== null) v = headsOf(m.staticV, m.numHeads);
  if (m.addZeroAttn) {
    const zeros = new Tensor(fillValue(0, [sizes.batch, m.numHeads, 1, sizes.headDim], "float32"));
    [k, v] = [apply(join, [k, zeros], { dim: 2 }), apply(join, [v, zeros], { dim: 2 })];
  }
  const { output, weights } = attend(q!, k, v, {
    bias: bias.of(k.shape[2]!),
    causal: bias.causal,
    dropoutP: m.training ? m.dropoutP : 0,
    safe: !m.needWeights,
  });
  const rows = view(apply(permute, [output], { order: batchFirst ? [0, 2, 1, 3] : [2, 0, 1, 3] }), [
    sizes.batch * sizes.targets,
    sizes.embedDim,
  ]);
  const projected = linear(rows, m.outProjWeight, m.outProjBias);
  const width = projected.shape[1]!;
  const result = batchFirst
    ? // PyTorch computes [L, N, E] and shows it transposed.
      named(view(projected, [sizes.batch, sizes.targets, width]), "TransposeBackward0").laidOut([
        width,
        sizes.batch * width,
        1,
      ])
    : named(view(projected, [sizes.targets, sizes.batch, width]), "ViewBackward0");
  if (!m.needWeights) return [result, null];
  if (!m.averageAttnWeights) return [result, named(weights, "ViewBackward0")];
  return [result, named(apply(mean, [weights], { dims: [1], keepdim: false }), "MeanBackward1")];
}

/** Queries, keys and values of every head, each [N, heads, L, E / heads]. */
function projections(query: Tensor, key: Tensor, value: Tensor, m: MultiHead, batchFirst: boolean): Tensor[] {
  const split = (x: Tensor, parts: number): Tensor[] => heads(x, parts, m.numHeads, batchFirst);
  const applied = batchFirst && Math.min(query.shape[0]!, query.shape[1]!) > 1 ? linearOfCopy : linear;
  const { inProjBias: bias } = m;
  const width = query.shape[2]!;
  const part = (x: Tensor, from: number, count: number): Tensor =>
    rowsOf(x, from * width, (from + count) * width);
  const biasPart = (from: number, count: number): Tensor | null => bias && part(bias, from, count);
  if (m.useSeparateProjWeight) {
    const weights = checkWeights(query, key, value, m);
    return [query, key, value].flatMap((x, i) => split(applied(x, weights[i]!, biasPart(i, 1)), 1));
  }
  const weight = m.inProjWeight ?? refuse("use_separate_proj_weight is False but in_proj_weight is None");
  const project = (x: Tensor, from: number, count: number): Tensor[] =>
    split(
      applied(
        x,
        count === 3 ? weight : part(weight, from, count),
        count === 3 ? bias : biasPart(from, count),
      ),
      count,
    );
  if (key !== value) return [query, key, value].flatMap((x, i) => project(x, i, 1));
  return query === key ? project(query, 0, 3) : [...project(query, 0, 1), ...project(key, 1, 2)];
}

/** `parts` projections side by side, [N, L, parts · E] or [L, N, parts · E], taken apart: [N, heads, L, E / heads] each. */
function heads(x: Tensor, parts: number, count: number, batchFirst: boolean): Tensor[] {
  const [a, b, width] = x.shape as [number, number, number];
  const dim = width / parts / count;
  if (parts === 1) {
    const order = batchFirst ? [0, 2, 1, 3] : [1, 2, 0, 3];
    return [apply(permute, [view(x, [a, b, count, dim])], { order })];
  }
  const order = batchFirst ? [2, 0, 3, 1, 4] : [2, 1, 3, 0, 4];
  return applyAll(unstack, [apply(permute, [view(x, [a, b, parts, count, dim])], { order })], {});
}

/** [N · heads, S, D] as [N, heads, S, D]. */
function headsOf(x: Tensor, count: number): Tensor {
  return view(x, [x.shape[0]! / count, count, ...x.shape.slice(1)]);
}

function rowsOf(x: Tensor, from: number, to: number): Tensor {
  const begin = x.shape.map((_, d) => (d === 0 ? from : 0));
  const end = x.shape.map((n, d) => (d === 0 ? to : n));
  return apply(slice, [x], { begin, end, step: end.map(() => 1) });
}

/** The learned key and value that every sequence ends with. */
function withBiases(
  k: Tensor,
  v: Tensor,
  { biasK, biasV, staticK, staticV }: MultiHead,
): [k: Tensor, v: Tensor] {
  if (biasK === null && biasV === null) return [k, v];
  if (biasV === null) refuse("bias_k is set but bias_v is None");
  if (biasK === null) refuse("bias_v is set but bias_k is None");
  if (staticK !== null) refuse("bias cannot be added to static key.");
  if (staticV !== null) refuse("bias cannot be added to static value.");
  const last = (x: Tensor, row: Tensor): Tensor => {
    const [n, count, , dim] = x.shape as [number, number, number, number];
    const once = view(row, [1, count, 1, dim]);
    return apply(join, [x, apply(expand, [once], { shape: [n, count, 1, dim] })], { dim: 2 });
  };
  return [last(k, biasK), last(v, biasV)];
}
