import type { Tensor } from "../../../tensor/core/tensor.ts";

export interface MultiHeadAttentionOptions {
  /** Off: no dropout. */
  training?: boolean;
  /** [N, S] ([S] unbatched): true for keys to leave out, or numbers added to the scores. */
  keyPaddingMask?: Tensor | null;
  /** Whether the second result is the weights, or null. */
  needWeights?: boolean;
  /** [L, S] or [N · heads, L, S]: true where a query may not look at a key, or numbers added to the scores. */
  attnMask?: Tensor | null;
  /** Takes `qProjWeight`, `kProjWeight` and `vProjWeight` in place of `inProjWeight`. */
  useSeparateProjWeight?: boolean;
  qProjWeight?: Tensor | null;
  kProjWeight?: Tensor | null;
  vProjWeight?: Tensor | null;
  /** [N · heads, S, E / heads]: keys and values that are used as they are. */
  staticK?: Tensor | null;
  staticV?: Tensor | null;
  /** Whether the weights are the mean over the heads. */
  averageAttnWeights?: boolean;
  /** Says that `attnMask` is the causal one. */
  isCausal?: boolean;
}

export interface MultiHeadAttentionArguments extends MultiHeadAttentionOptions {
  embedDimToCheck: number;
  numHeads: number;
  inProjWeight: Tensor | null;
  inProjBias: Tensor | null;
  biasK: Tensor | null;
  biasV: Tensor | null;
  addZeroAttn: boolean;
  dropoutP: number;
  outProjWeight: Tensor;
  outProjBias: Tensor | null;
}

/** Every argument of {@link multiHeadAttentionForward}, and whether inputs are [N, L, E] in place of [L, N, E]. */
export type MultiHead = {
  [K in keyof MultiHeadAttentionArguments]-?: Exclude<MultiHeadAttentionArguments[K], undefined>;
} & {
  readonly batchFirst: boolean;
};
