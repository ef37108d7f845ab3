import { TensorError } from "../../../tensor/core/errors.ts";
import { add } from "../../../tensor/functions/pointwise/arithmetic.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import { gelu, relu } from "../../functional/activation/activation.ts";
import { canonicalMask } from "../../functional/attention/attentionChecks.ts";
import { BuiltIn } from "../../module/module.ts";
import { GELU } from "../activation/activation.ts";
import { ReLU } from "../activation/piecewise.ts";
import { MultiheadAttention, type AttentionCall } from "./attention.ts";
import { Dropout } from "../dropout.ts";
import { Linear } from "../linear.ts";
import { LayerNorm } from "../norm/normalization.ts";

/** "relu", "gelu", or any function or module of one tensor. */
export type Activation = "relu" | "gelu" | ((x: Tensor) => Tensor);

export interface TransformerLayerOptions {
  /** Width between the two linear layers; 2048 by default. */
  dimFeedforward?: number;
  /** Probability of all dropouts, that of attention weights included; 0.1 by default. */
  dropout?: number;
  /** Between the two linear layers; relu by default. */
  activation?: Activation;
  /** 1e-5 by default. */
  layerNormEps?: number;
  /** Inputs and outputs are [N, L, E]; else [L, N, E]. */
  batchFirst?: boolean;
  /** Normalise before attention and feedforward; else after. */
  normFirst?: boolean;
  /** Whether linear layers and norms have biases. */
  bias?: boolean;
}

export interface TransformerLayerArguments extends TransformerLayerOptions {
  dModel: number;
  nhead: number;
}

/** The ways to call a layer's constructor. */
export type LayerConstruction = Arguments<
  TransformerLayerArguments,
  "dModel nhead dimFeedforward dropout activation layerNormEps batchFirst normFirst bias"
>;

export const LAYER_DEFAULTS = {
  dimFeedforward: 2048,
  dropout: 0.1,
  activation: relu as Activation,
  layerNormEps: 1e-5,
  batchFirst: false,
  normFirst: false,
  bias: true,
};

const layerArguments = (name: string, args: readonly unknown[]): Required<TransformerLayerArguments> =>
  bind<TransformerLayerArguments>(name, args, { dModel: REQUIRED, nhead: REQUIRED, ...LAYER_DEFAULTS });

/** @throws TensorError "activation should be relu/gelu, not tanh" */
function activationOf(activation: Activation): (x: Tensor) => Tensor {
  if (typeof activation !== "string") return activation;
  if (activation === "relu") return relu;
  if (activation === "gelu") return gelu;
  throw new TensorError("value", `activation should be relu/gelu, not ${String(activation)}`);
}

export interface EncoderLayerCall {
  /** [L, L] or [N · nhead, L, L]: true where a place may not look, or numbers added to the scores. */
  srcMask?: Tensor | null;
  /** [N, L]: true for places to leave out, or numbers added to the scores. */
  srcKeyPaddingMask?: Tensor | null;
  /** Says that `srcMask` is the causal one. */
  isCausal?: boolean;
}

type EncoderLayerRest =
  | [options?: EncoderLayerCall]
  | [srcMask: Tensor | null | undefined, srcKeyPaddingMask?: Tensor | null, isCausal?: boolean];

/**
 * Self attention, then a feedforward network, each added to its input and normalised
 * (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762):
 * x = norm1(x + dropout1(selfAttn(x))), x = norm2(x + dropout2(linear2(dropout(activation(linear1(x)))))). With normFirst
 * each norm is applied to the input of its part instead.
 *
 * - src and result [L, N, dModel], or [N, L, dModel] with batchFirst, or [L, dModel]
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html
 *
 * ```ts
 * const layer = new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true });
 * layer(torch.randn(4, 5, 8)).shape; // [4, 5, 8]
 * ```
 * @throws TensorError "activation should be relu/gelu, not tanh"
 */
export class TransformerEncoderLayer extends BuiltIn {
  selfAttn: MultiheadAttention;
  linear1: Linear;
  dropout: Dropout;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;
  dropout1: Dropout;
  dropout2: Dropout;
  activation: (x: Tensor) => Tensor;
  normFirst: boolean;

  constructor(...args: LayerConstruction) {
    super();
    const o = layerArguments("TransformerEncoderLayer", args);
    const { dModel, nhead, dimFeedforward, dropout, batchFirst, bias } = o;
    const norm = { eps: o.layerNormEps, bias };
    this.selfAttn = new MultiheadAttention(dModel, nhead, { dropout, bias, batchFirst });
    this.linear1 = new Linear(dModel, dimFeedforward, { bias });
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel, { bias });
    this.norm1 = new LayerNorm(dModel, norm);
    this.norm2 = new LayerNorm(dModel, norm);
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.activation = activationOf(o.activation);
    this.normFirst = o.normFirst;
  }

  forward(src: Tensor, ...rest: EncoderLayerRest): Tensor {
    const call = bind<EncoderLayerCall>("TransformerEncoderLayer", rest, {
      srcMask: null,
      srcKeyPaddingMask: null,
      isCausal: false,
    });
    const keyPaddingMask = canonicalMask(call.srcKeyPaddingMask, "src_key_padding_mask", {
      dtype: call.srcMask?.dtype,
      name: "src_mask",
    });
    const attnMask = canonicalMask(call.srcMask, "src_mask");
    const attention = { attnMask, keyPaddingMask, isCausal: call.isCausal };
    if (this.normFirst) {
      const x = add(src, this.attended(this.norm1(src), attention));
      return add(x, this.fed(this.norm2(x)));
    }
    const x = this.norm1(add(src, this.attended(src, attention)));
    return this.norm2(add(x, this.fed(x)));
  }

  private attended(x: Tensor, call: AttentionCall): Tensor {
    const [output] = this.selfAttn(x, x, x, { ...call, needWeights: false });
    return this.dropout1(output);
  }

  private fed(x: Tensor): Tensor {
    return this.dropout2(this.linear2(this.dropout(this.activation(this.linear1(x)))));
  }

  /** @internal Why PyTorch's evaluation doesn't use nested tensors in an encoder of such layers, or null if it does. */
  get whyNotNested(): string | null {
    const { selfAttn, activation } = this;
    const known = activation === relu || activation === gelu;
    if (this.normFirst) return "norm_first was True";
    if (!selfAttn.batchFirst)
      return "self_attn.batch_first was not True(use batch_first for better inference performance)";
    if (selfAttn.inProjBias === null) return "self_attn was passed bias=False";
    if (!known && !(activation instanceof ReLU) && !(activation instanceof GELU))
      return "activation_relu_or_gelu was not True";
    if (this.norm1.eps !== this.norm2.eps) return "norm1.eps was not equal to encoder_layer.norm2.eps";
    return selfAttn.numHeads % 2 === 1 ? "self_attn.num_heads is odd" : null;
  }
}

export interface DecoderCall {
  /** [T, T] or [N · nhead, T, T]: true where a place may not look, or numbers added to the scores. */
  tgtMask?: Tensor | null;
  /** [T, S] or [N · nhead, T, S], likewise, for looking at the memory. */
  memoryMask?: Tensor | null;
  /** [N, T]: true for places to leave out, or numbers added to the scores. */
  tgtKeyPaddingMask?: Tensor | null;
  /** [N, S], likewise, for the memory. */
  memoryKeyPaddingMask?: Tensor | null;
  /** Says that `tgtMask` is the causal one. */
  tgtIsCausal?: boolean | null;
  /** Says that `memoryMask` is the causal one. */
  memoryIsCausal?: boolean;
}

export type DecoderRest =
  | [options?: DecoderCall]
  | [
      tgtMask: Tensor | null | undefined,
      memoryMask?: Tensor | null,
      tgtKeyPaddingMask?: Tensor | null,
      memoryKeyPaddingMask?: Tensor | null,
      tgtIsCausal?: boolean | null,
      memoryIsCausal?: boolean,
    ];

export const decoderCall = (name: string, rest: readonly unknown[]): Required<DecoderCall> =>
  bind<DecoderCall>(name, rest, {
    tgtMask: null,
    memoryMask: null,
    tgtKeyPaddingMask: null,
    memoryKeyPaddingMask: null,
    tgtIsCausal: null,
    memoryIsCausal: false,
  });

/**
 * Self attention, attention to the encoder's output ("memory"), then a feedforward network, each added to its input and
 * normalised, as in {@link TransformerEncoderLayer}.
 *
 * - tgt and result [T, N, dModel], memory [S, N, dModel]; N first with batchFirst; without a batch [T, dModel], …
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.TransformerDecoderLayer.html
 *
 * ```ts
 * const layer = new nn.TransformerDecoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true });
 * layer(torch.randn(4, 3, 8), torch.randn(4, 5, 8)).shape; // [4, 3, 8]
 * ```
 * @throws TensorError "activation should be relu/gelu, not tanh"
 */
export class TransformerDecoderLayer extends BuiltIn {
  selfAttn: MultiheadAttention;
  multiheadAttn: MultiheadAttention;
  linear1: Linear;
  dropout: Dropout;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;
  norm3: LayerNorm;
  dropout1: Dropout;
  dropout2: Dropout;
  dropout3: Dropout;
  activation: (x: Tensor) => Tensor;
  normFirst: boolean;

  constructor(...args: LayerConstruction) {
    super();
    const o = layerArguments("TransformerDecoderLayer", args);
    const { dModel, nhead, dimFeedforward, dropout, batchFirst, bias } = o;
    const norm = { eps: o.layerNormEps, bias };
    this.selfAttn = new MultiheadAttention(dModel, nhead, { dropout, bias, batchFirst });
    this.multiheadAttn = new MultiheadAttention(dModel, nhead, { dropout, bias, batchFirst });
    this.linear1 = new Linear(dModel, dimFeedforward, { bias });
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel, { bias });
    this.norm1 = new LayerNorm(dModel, norm);
    this.norm2 = new LayerNorm(dModel, norm);
    this.norm3 = new LayerNorm(dModel, norm);
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.dropout3 = new Dropout(dropout);
    this.activation = activationOf(o.activation);
    this.normFirst = o.normFirst;
  }

  forward(tgt: Tensor, memory: Tensor, ...rest: DecoderRest): Tensor {
    const call = decoderCall("TransformerDecoderLayer", rest);
    const own = {
      attnMask: call.tgtMask,
      keyPaddingMask: call.tgtKeyPaddingMask,
      isCausal: call.tgtIsCausal ?? false,
    };
    const across = {
      attnMask: call.memoryMask,
      keyPaddingMask: call.memoryKeyPaddingMask,
      isCausal: call.memoryIsCausal,
    };
    if (this.normFirst) {
      let x = add(tgt, this.attended(this.norm1(tgt), own));
      x = add(x, this.crossed(this.norm2(x), memory, across));
      return add(x, this.fed(this.norm3(x)));
    }
    let x = this.norm1(add(tgt, this.attended(tgt, own)));
    x = this.norm2(add(x, this.crossed(x, memory, across)));
    return this.norm3(add(x, this.fed(x)));
  }

  private attended(x: Tensor, call: AttentionCall): Tensor {
    const [output] = this.selfAttn(x, x, x, { ...call, needWeights: false });
    return this.dropout1(output);
  }

  private crossed(x: Tensor, memory: Tensor, call: AttentionCall): Tensor {
    const [output] = this.multiheadAttn(x, memory, memory, { ...call, needWeights: false });
    return this.dropout2(output);
  }

  private fed(x: Tensor): Tensor {
    return this.dropout3(this.linear2(this.dropout(this.activation(this.linear1(x)))));
  }
}
