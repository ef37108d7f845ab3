import { TensorError } from "../../../tensor/core/errors.ts";
import type { Parameter, Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import { multiHead, type Attended } from "../../functional/attention/multiHeadAttention.ts";
import { constant_, xavierNormal_, xavierUniform_ } from "../../init.ts";
import { BuiltIn } from "../../module/module.ts";
import { emptyParameter, Linear } from "../linear.ts";

/**
 * A Linear under the name that PyTorch prints for the output projection of {@link MultiheadAttention}.
 *
 * ```ts
 * new nn.NonDynamicallyQuantizableLinear(4, 4)(torch.randn(2, 4)).shape; // [2, 4]
 * ```
 */
export class NonDynamicallyQuantizableLinear extends Linear {}

export interface MultiheadAttentionArguments {
  /** Width of the model; each head has embedDim / numHeads of it. */
  embedDim: number;
  numHeads: number;
  /** Probability of each attention weight to be dropped in training; 0 by default. */
  dropout?: number;
  bias?: boolean;
  /** Whether every sequence ends with a learned key and value. */
  addBiasKv?: boolean;
  /** Whether every sequence ends with a key and value of zeros. */
  addZeroAttn?: boolean;
  /** Widths of keys and values; embedDim by default. */
  kdim?: number | null;
  vdim?: number | null;
  /** Inputs and outputs are [N, L, E]; else [L, N, E]. */
  batchFirst?: boolean;
}

export interface AttentionCall {
  /** [N, S] ([S] unbatched): true for keys to leave out, or numbers added to the scores. */
  keyPaddingMask?: Tensor | null;
  /** Whether the second result is the weights (the default), or null. */
  needWeights?: boolean;
  /** [L, S] or [N · heads, L, S]: true where a query may not look at a key, or numbers added to the scores. */
  attnMask?: Tensor | null;
  /** Whether the weights are the mean over the heads, as by default. */
  averageAttnWeights?: boolean;
  /** Says that `attnMask` is the causal one. */
  isCausal?: boolean;
}

/** {@link AttentionCall} by name or by position. */
export type AttentionRest =
  | [options?: AttentionCall]
  | [
      keyPaddingMask: Tensor | null | undefined,
      needWeights?: boolean,
      attnMask?: Tensor | null,
      averageAttnWeights?: boolean,
      isCausal?: boolean,
    ];

/**
 * Attention of several heads, each with projections of its own: softmax(Q Kᵀ / √(E / heads)) V for each, joined and
 * projected once more (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762).
 *
 * - inProjWeight [3E, E]: queries, keys and values in this order, Xavier uniform; with another kdim or vdim instead
 *   qProjWeight [E, E], kProjWeight [E, kdim] and vProjWeight [E, vdim]; inProjBias [3E], 0
 * - outProj: Linear(E, E), its weight from U(−1/√E, 1/√E), its bias 0
 * - biasK and biasV [1, 1, E] with addBiasKv, Xavier normal
 * - query [L, N, E], key [S, N, kdim], value [S, N, vdim]; with batchFirst N comes first; without a batch [L, E], …
 * - result: [L, N, E] (or [N, L, E], [L, E]), and weights [N, L, S] or, not averaged, [N, heads, L, S]
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html
 *
 * ```ts
 * const attention = new nn.MultiheadAttention(8, 2, { batchFirst: true });
 * const x = torch.randn(4, 5, 8);
 * const [output, weights] = attention(x, x, x); // [4, 5, 8], [4, 5, 5]
 * ```
 * @throws TensorError "embed_dim must be divisible by num_heads"
 */
export class MultiheadAttention extends BuiltIn {
  qProjWeight: Parameter | null = null;
  kProjWeight: Parameter | null = null;
  vProjWeight: Parameter | null = null;
  inProjWeight: Parameter | null = null;
  inProjBias: Parameter | null = null;
  biasK: Parameter | null = null;
  biasV: Parameter | null = null;
  outProj: NonDynamicallyQuantizableLinear;
  embedDim: number;
  kdim: number;
  vdim: number;
  numHeads: number;
  headDim: number;
  dropout: number;
  batchFirst: boolean;
  addZeroAttn: boolean;

  constructor(
    ...args: Arguments<
      MultiheadAttentionArguments,
      "embedDim numHeads dropout bias addBiasKv addZeroAttn kdim vdim batchFirst"
    >
  );
  constructor(...args: unknown[]) {
    super();
    const o = bind<MultiheadAttentionArguments>("MultiheadAttention", args, {
      embedDim: REQUIRED,
      numHeads: REQUIRED,
      dropout: 0,
      bias: true,
      addBiasKv: false,
      addZeroAttn: false,
      kdim: null,
      vdim: null,
      batchFirst: false,
    });
    const { embedDim, numHeads } = o;
    if (embedDim <= 0 || numHeads <= 0) {
      throw new TensorError(
        "value",
        `embed_dim and num_heads must be greater than 0, got embed_dim=${embedDim} and num_heads=${numHeads} instead`,
      );
    }
    if (embedDim % numHeads !== 0) {
      throw new TensorError("value", "embed_dim must be divisible by num_heads");
    }
    this.embedDim = embedDim;
    this.numHeads = numHeads;
    this.headDim = embedDim / numHeads;
    this.kdim = o.kdim ?? embedDim;
    this.vdim = o.vdim ?? embedDim;
    this.dropout = o.dropout;
    this.batchFirst = o.batchFirst;
    this.addZeroAttn = o.addZeroAttn;
    if (this.kdim === embedDim && this.vdim === embedDim) {
      this.inProjWeight = emptyParameter([3 * embedDim, embedDim]);
    } else {
      this.qProjWeight = emptyParameter([embedDim, embedDim]);
      this.kProjWeight = emptyParameter([embedDim, this.kdim]);
      this.vProjWeight = emptyParameter([embedDim, this.vdim]);
    }
    if (o.bias) this.inProjBias = emptyParameter([3 * embedDim]);
    this.outProj = new NonDynamicallyQuantizableLinear(embedDim, embedDim, { bias: o.bias });
    if (o.addBiasKv) {
      this.biasK = emptyParameter([1, 1, embedDim]);
      this.biasV = emptyParameter([1, 1, embedDim]);
    }
    this.resetParameters();
  }

  private resetParameters(): void {
    const { inProjWeight, qProjWeight, kProjWeight, vProjWeight, inProjBias, biasK, biasV, outProj } = this;
    for (const weight of [inProjWeight, qProjWeight, kProjWeight, vProjWeight])
      if (weight !== null) xavierUniform_(weight);
    if (inProjBias !== null) constant_(inProjBias, 0);
    if (outProj.bias !== null) constant_(outProj.bias, 0);
    if (biasK !== null) xavierNormal_(biasK);
    if (biasV !== null) xavierNormal_(biasV);
  }

  forward(query: Tensor, key: Tensor, value: Tensor, ...rest: AttentionRest): Attended {
    const call = bind<AttentionCall>("MultiheadAttention", rest, {
      keyPaddingMask: null,
      needWeights: true,
      attnMask: null,
      averageAttnWeights: true,
      isCausal: false,
    });
    return multiHead(query, key, value, {
      ...call,
      embedDimToCheck: this.embedDim,
      numHeads: this.numHeads,
      inProjWeight: this.inProjWeight,
      inProjBias: this.inProjBias,
      biasK: this.biasK,
      biasV: this.biasV,
      addZeroAttn: this.addZeroAttn,
      dropoutP: this.dropout,
      outProjWeight: this.outProj.weight,
      outProjBias: this.outProj.bias,
      training: this.training,
      useSeparateProjWeight: this.inProjWeight === null,
      qProjWeight: this.qProjWeight,
      kProjWeight: this.kProjWeight,
      vProjWeight: this.vProjWeight,
      staticK: null,
      staticV: null,
      batchFirst: this.batchFirst,
    });
  }
}
