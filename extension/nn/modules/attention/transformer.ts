import { TensorError } from "../../../tensor/core/errors.ts";
import { logicalAnd, logicalNot, maskedFill, ne } from "../../../tensor/functions/pointwise/elementwise.ts";
import { checkOptions, type TensorOptions } from "../../../tensor/functions/creation/options.ts";
import { narrow } from "../../../tensor/functions/shape/parts.ts";
import { any } from "../../../tensor/functions/reduction/reduction.ts";
import { unsqueeze } from "../../../tensor/functions/shape/shape.ts";
import { copied } from "../../../tensor/functions/shape/views.ts";
import { scope } from "../../../tensor/recording/scope.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import { deepcopy } from "../../module/copy.ts";
import { causalMask } from "../../functional/attention/attention.ts";
import { canonicalMask } from "../../functional/attention/attentionChecks.ts";
import { xavierUniform_ } from "../../init.ts";
import { BuiltIn, type Module } from "../../module/module.ts";
import { warnOnce } from "../../warnings.ts";
import { ModuleList } from "../containers/containers.ts";
import { LayerNorm } from "../norm/normalization.ts";
import {
  decoderCall,
  LAYER_DEFAULTS,
  TransformerDecoderLayer,
  TransformerEncoderLayer,
  type DecoderRest,
  type TransformerLayerOptions,
} from "./transformerLayers.ts";

/** A stack's layers: copies of one, with equal first weights. */
const clones = <L extends Module>(layer: L, count: number): ModuleList<L> =>
  new ModuleList(Array.from({ length: count }, () => deepcopy(layer)));

type Normalisation = Module & { forward(x: Tensor): Tensor };

export interface TransformerEncoderOptions {
  /** Applied to the last layer's output. */
  norm?: Normalisation | null;
  /** Whether evaluation without gradients sets padded places to 0, as PyTorch's fast path does. */
  enableNestedTensor?: boolean;
  /** Whether it does so only when padding stands at the ends of sequences. */
  maskCheck?: boolean;
}

export interface EncoderCall {
  /** [L, L] or [N · nhead, L, L]: true where a place may not look, or numbers added to the scores. */
  mask?: Tensor | null;
  /** [N, L]: true for places to leave out, or numbers added to the scores. */
  srcKeyPaddingMask?: Tensor | null;
  /** Says that `mask` is the causal one. */
  isCausal?: boolean | null;
}

type EncoderRest =
  | [options?: EncoderCall]
  | [mask: Tensor | null | undefined, srcKeyPaddingMask?: Tensor | null, isCausal?: boolean | null];

/**
 * `numLayers` copies of a layer, one after the other. All begin with the same weights, as in PyTorch.
 *
 * In evaluation without gradients, with a key padding mask and layers of PyTorch's fast path (batchFirst, norms last, an
 * even number of heads), padded places of the result are 0 before the final norm.
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html
 *
 * ```ts
 * const layer = new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true });
 * const encoder = new nn.TransformerEncoder(layer, 3);
 * encoder(torch.randn(4, 5, 8)).shape; // [4, 5, 8]
 * ```
 */
export class TransformerEncoder extends BuiltIn {
  layers: ModuleList<TransformerEncoderLayer>;
  norm: Normalisation | null;
  numLayers: number;
  enableNestedTensor: boolean;
  maskCheck: boolean;
  /** Whether padded sequences are computed without their padding in evaluation. */
  useNestedTensor: boolean;

  constructor(encoderLayer: TransformerEncoderLayer, numLayers: number, options?: TransformerEncoderOptions);
  constructor(encoderLayer: TransformerEncoderLayer, numLayers: number, norm: Normalisation | null);
  constructor(
    ...args: Arguments<
      TransformerEncoderOptions & { encoderLayer: TransformerEncoderLayer; numLayers: number },
      ["encoderLayer", "numLayers", "norm"]
    >
  );
  constructor(...args: unknown[]) {
    super();
    const { encoderLayer, numLayers, norm, enableNestedTensor, maskCheck } = bind<
      TransformerEncoderOptions & { encoderLayer: TransformerEncoderLayer; numLayers: number }
    >("TransformerEncoder", args, {
      encoderLayer: REQUIRED,
      numLayers: REQUIRED,
      norm: null,
      enableNestedTensor: true,
      maskCheck: true,
    });
    this.layers = clones(encoderLayer, numLayers);
    this.norm = norm;
    this.numLayers = numLayers;
    this.enableNestedTensor = enableNestedTensor;
    this.maskCheck = maskCheck;
    const reason =
      encoderLayer instanceof TransformerEncoderLayer
        ? encoderLayer.whyNotNested && `encoder_layer.${encoderLayer.whyNotNested}`
        : "encoder_layer was not TransformerEncoderLayer";
    this.useNestedTensor = enableNestedTensor && reason === null;
    if (enableNestedTensor && reason !== null) {
      warnOnce(`enable_nested_tensor is True, but self.use_nested_tensor is False because ${reason}`);
    }
  }

  forward(src: Tensor, ...rest: EncoderRest): Tensor {
    const call = bind<EncoderCall>("TransformerEncoder", rest, {
      mask: null,
      srcKeyPaddingMask: null,
      isCausal: null,
    });
    const padding = canonicalMask(call.srcKeyPaddingMask, "src_key_padding_mask", {
      dtype: call.mask?.dtype,
      name: "mask",
    });
    const mask = canonicalMask(call.mask, "mask");
    let x = src;
    const options = { srcMask: mask, srcKeyPaddingMask: padding, isCausal: call.isCausal ?? false };
    for (const layer of this.layers) x = layer(x, options);
    if (padding !== null && mask === null && this.fast(src)) x = this.withoutPadding(x, padding);
    return this.norm === null ? x : this.norm(x);
  }

  /** Whether PyTorch would leave padded places out of the computation. */
  private fast(src: Tensor): boolean {
    const [first] = this.layers;
    if (!this.useNestedTensor || first === undefined || first.training || src.ndim !== 3) return false;
    return !scope.gradients || ![src, ...first.parameters()].some((t) => t.requiresGrad);
  }

  /** Padded places 0; all stay when padding stands before other places, if padding is checked. */
  private withoutPadding(x: Tensor, padding: Tensor): Tensor {
    const padded = ne(padding, 0);
    if (!this.maskCheck) return maskedFill(x, unsqueeze(padded, -1), 0);
    const pairs = padding.size(1) - 1;
    const [before, after] = [narrow(padded, 1, 0, pairs), narrow(padded, 1, 1, pairs)];
    const aligned = logicalNot(any(logicalAnd(before, logicalNot(after))));
    return maskedFill(x, unsqueeze(logicalAnd(padded, aligned), -1), 0);
  }
}

/**
 * `numLayers` copies of a layer, one after the other. All begin with the same weights, as in PyTorch.
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.TransformerDecoder.html
 *
 * ```ts
 * const layer = new nn.TransformerDecoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true });
 * const decoder = new nn.TransformerDecoder(layer, 3);
 * decoder(torch.randn(4, 3, 8), torch.randn(4, 5, 8)).shape; // [4, 3, 8]
 * ```
 */
export class TransformerDecoder extends BuiltIn {
  layers: ModuleList<TransformerDecoderLayer>;
  norm: Normalisation | null;
  numLayers: number;

  constructor(
    decoderLayer: TransformerDecoderLayer,
    numLayers: number,
    options?: { norm?: Normalisation | null },
  );
  constructor(decoderLayer: TransformerDecoderLayer, numLayers: number, norm: Normalisation | null);
  constructor(
    ...args: Arguments<
      { decoderLayer: TransformerDecoderLayer; numLayers: number; norm?: Normalisation | null },
      ["decoderLayer", "numLayers", "norm"]
    >
  );
  constructor(...args: unknown[]) {
    super();
    const { decoderLayer, numLayers, norm } = bind<{
      decoderLayer: TransformerDecoderLayer;
      numLayers: number;
      norm?: Normalisation | null;
    }>("TransformerDecoder", args, { decoderLayer: REQUIRED, numLayers: REQUIRED, norm: null });
    this.layers = clones(decoderLayer, numLayers);
    this.norm = norm;
    this.numLayers = numLayers;
  }

  forward(tgt: Tensor, memory: Tensor, ...rest: DecoderRest): Tensor {
    const call = decoderCall("TransformerDecoder", rest);
    let x = tgt;
    for (const layer of this.layers) x = layer(x, memory, call);
    return this.norm === null ? x : this.norm(x);
  }
}

export interface TransformerOptions extends TransformerLayerOptions {
  dModel?: number;
  nhead?: number;
  numEncoderLayers?: number;
  numDecoderLayers?: number;
  /** Called in place of the encoder: (src, { mask, srcKeyPaddingMask, isCausal }). */
  customEncoder?: Module | null;
  /** Called in place of the decoder, as {@link TransformerDecoder} is. */
  customDecoder?: Module | null;
}

type TransformerConstruction = Arguments<
  TransformerOptions,
  "dModel nhead numEncoderLayers numDecoderLayers dimFeedforward dropout activation customEncoder customDecoder layerNormEps batchFirst normFirst bias"
>;

export interface TransformerCall {
  srcMask?: Tensor | null;
  tgtMask?: Tensor | null;
  memoryMask?: Tensor | null;
  srcKeyPaddingMask?: Tensor | null;
  tgtKeyPaddingMask?: Tensor | null;
  memoryKeyPaddingMask?: Tensor | null;
  srcIsCausal?: boolean | null;
  tgtIsCausal?: boolean | null;
  memoryIsCausal?: boolean;
}

type TransformerRest =
  | [options?: TransformerCall]
  | [
      srcMask: Tensor | null | undefined,
      tgtMask?: Tensor | null,
      memoryMask?: Tensor | null,
      srcKeyPaddingMask?: Tensor | null,
      tgtKeyPaddingMask?: Tensor | null,
      memoryKeyPaddingMask?: Tensor | null,
      srcIsCausal?: boolean | null,
      tgtIsCausal?: boolean | null,
      memoryIsCausal?: boolean,
    ];

/**
 * An encoder and a decoder (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762), each ending with a LayerNorm. All
 * weights of more than one dimension begin Xavier uniform.
 *
 * - src [S, N, dModel], tgt and result [T, N, dModel]; N first with batchFirst; without a batch [S, dModel], …
 * - by default dModel 512, nhead 8, 6 layers each, dimFeedforward 2048, dropout 0.1, relu
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.Transformer.html
 *
 * ```ts
 * const model = new nn.Transformer({ dModel: 8, nhead: 2, dimFeedforward: 16, batchFirst: true });
 * const tgtMask = nn.Transformer.generateSquareSubsequentMask(3);
 * model(torch.randn(4, 5, 8), torch.randn(4, 3, 8), { tgtMask }).shape; // [4, 3, 8]
 * ```
 * @throws TensorError "the batch number of src and tgt must be equal"
 * @throws TensorError "the feature number of src and tgt must be equal to d_model"
 */
export class Transformer extends BuiltIn {
  /** A {@link TransformerEncoder}, or the module that was given in its place. */
  encoder: TransformerEncoder;
  decoder: TransformerDecoder;
  dModel: number;
  nhead: number;
  batchFirst: boolean;

  constructor(...args: TransformerConstruction) {
    super();
    const { customEncoder, customDecoder, ...o } = bind<TransformerOptions>("Transformer", args, {
      dModel: 512,
      nhead: 8,
      numEncoderLayers: 6,
      numDecoderLayers: 6,
      dimFeedforward: LAYER_DEFAULTS.dimFeedforward,
      dropout: LAYER_DEFAULTS.dropout,
      activation: LAYER_DEFAULTS.activation,
      customEncoder: null,
      customDecoder: null,
      layerNormEps: LAYER_DEFAULTS.layerNormEps,
      batchFirst: false,
      normFirst: false,
      bias: true,
    });
    const { numEncoderLayers, numDecoderLayers, ...layer } = o;
    const norm = (): LayerNorm => new LayerNorm(o.dModel, { eps: o.layerNormEps, bias: o.bias });
    this.encoder = (customEncoder ??
      new TransformerEncoder(
        new TransformerEncoderLayer(layer),
        numEncoderLayers,
        norm(),
      )) as TransformerEncoder;
    this.decoder = (customDecoder ??
      new TransformerDecoder(
        new TransformerDecoderLayer(layer),
        numDecoderLayers,
        norm(),
      )) as TransformerDecoder;
    for (const p of this.parameters()) if (p.ndim > 1) xavierUniform_(p);
    this.dModel = o.dModel;
    this.nhead = o.nhead;
    this.batchFirst = o.batchFirst;
  }

  forward(src: Tensor, tgt: Tensor, ...rest: TransformerRest): Tensor {
    const call = bind<TransformerCall>("Transformer", rest, {
      srcMask: null,
      tgtMask: null,
      memoryMask: null,
      srcKeyPaddingMask: null,
      tgtKeyPaddingMask: null,
      memoryKeyPaddingMask: null,
      srcIsCausal: null,
      tgtIsCausal: null,
      memoryIsCausal: false,
    });
    const batch = this.batchFirst ? 0 : 1;
    if (src.ndim === 3 && src.size(batch) !== tgt.size(batch)) {
      throw new TensorError("shape", "the batch number of src and tgt must be equal");
    }
    if (src.size(-1) !== this.dModel || tgt.size(-1) !== this.dModel) {
      throw new TensorError("shape", "the feature number of src and tgt must be equal to d_model");
    }
    const { srcMask: mask, srcKeyPaddingMask, srcIsCausal: isCausal, ...decoding } = call;
    const encoder = this.encoder as unknown as (src: Tensor, options: EncoderCall) => Tensor;
    const decoder = this.decoder as unknown as (...args: [Tensor, Tensor, ...DecoderRest]) => Tensor;
    return decoder(tgt, encoder(src, { mask, srcKeyPaddingMask, isCausal }), decoding);
  }

  /** [size, size]: −∞ above the diagonal, else 0: each place may look at itself and at those before it. */
  static generateSquareSubsequentMask(size: number, options: TensorOptions = {}): Tensor {
    checkOptions(options);
    return copied(causalMask(size, size));
  }

  /** See {@link Transformer.generateSquareSubsequentMask}. */
  generateSquareSubsequentMask(size: number, options: TensorOptions = {}): Tensor {
    return Transformer.generateSquareSubsequentMask(size, options);
  }
}
