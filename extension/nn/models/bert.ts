import { add } from "../../tensor/functions/pointwise/arithmetic.ts";
import { ne } from "../../tensor/functions/pointwise/elementwise.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { view } from "../../tensor/functions/shape/shape.ts";
import { defaultStream } from "../../tensor/random/stream.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind } from "../arguments.ts";
import { additive, causalMask } from "../functional/attention/attention.ts";
import { checkBert, BertConfig, type BertFields } from "./bertConfig.ts";
import { BertEmbeddings, BertEncoder, BertPart, BertPooler } from "./bertLayers.ts";
import { modelFolder, naming, readConfig, type SaveOptions, writeFolder } from "./folder.ts";
import { initializeWeights, loadPretrained } from "./pretrained.ts";

export interface BertInput {
  /** Token numbers [N, L]. */
  inputIds?: Tensor | null;
  /** [N, L]: 0 for places that none attends to. */
  attentionMask?: Tensor | null;
  /** Segments [N, L]; all 0 when left out. */
  tokenTypeIds?: Tensor | null;
  /** Positions [N, L] or [1, L]; 0, 1, … when left out. */
  positionIds?: Tensor | null;
  /** Embeddings [N, L, hiddenSize] in place of inputIds. */
  inputsEmbeds?: Tensor | null;
  /** Whether the output has `hiddenStates`. */
  outputHiddenStates?: boolean;
  /** Whether the output has `attentions`. */
  outputAttentions?: boolean;
}

/** Inputs by name, or first by position. */
export type BertCall =
  | [input: BertInput]
  | [inputIds: Tensor, options?: Omit<BertInput, "inputIds">]
  | [
      inputIds: Tensor | null,
      attentionMask: Tensor | null | undefined,
      tokenTypeIds?: Tensor | null,
      positionIds?: Tensor | null,
      inputsEmbeds?: Tensor | null,
    ];

export const INPUT = {
  inputIds: null,
  attentionMask: null,
  tokenTypeIds: null,
  positionIds: null,
  inputsEmbeds: null,
  outputHiddenStates: false,
  outputAttentions: false,
};

export interface Inner {
  /** With outputHiddenStates: the embeddings and the result of every layer, [N, L, hiddenSize] each. */
  hiddenStates?: Tensor[];
  /** With outputAttentions: the weights of every layer, [N, heads, L, L]. */
  attentions?: Tensor[];
}

export interface BertModelOutput<Pooling extends boolean = true> extends Inner {
  /** [N, L, hiddenSize] */
  lastHiddenState: Tensor;
  /** [N, hiddenSize]: the first place, through a linear layer and tanh; null without a pooling layer. */
  poolerOutput: Pooling extends true ? Tensor : null;
}

interface Pooled<Pooling extends boolean> {
  /** Whether there is a `poolerOutput`; true by default. */
  addPoolingLayer?: Pooling | undefined;
}

/**
 * BERT's encoder (Devlin et al. 2018, https://arxiv.org/abs/1810.04805), as Hugging Face's BertModel has it: the same
 * modules, names, first weights (N(0, 0.02)) and outputs. Without options it is BERT-base, of 109,482,240 weights.
 *
 * https://huggingface.co/docs/transformers/model_doc/bert#transformers.BertModel
 *
 * ```ts
 * const model = new nn.BertModel({ vocabSize: 40, hiddenSize: 16, numHiddenLayers: 2, numAttentionHeads: 2, intermediateSize: 32 });
 * const ids = torch.randint(0, 40, [2, 7]);
 * model(ids, { attentionMask: torch.ones(2, 7) }).lastHiddenState.shape; // [2, 7, 16]
 * ```
 * @throws TensorError "The hidden size (10) is not a multiple of the number of attention heads (3)"
 */
export class BertModel<Pooling extends boolean = true> extends BertPart {
  readonly config: BertConfig;
  embeddings: BertEmbeddings;
  encoder: BertEncoder;
  pooler: BertPooler | null;

  constructor(config: BertFields = {}, options: Pooled<Pooling> | Pooling = {}) {
    super();
    this.config = new BertConfig(config);
    this.embeddings = new BertEmbeddings(this.config);
    this.encoder = new BertEncoder(this.config);
    const pooling = typeof options === "boolean" ? options : (options.addPoolingLayer ?? true);
    this.pooler = pooling ? new BertPooler(this.config) : null;
    initializeWeights(this, this.config.initializerRange);
  }

  /**
   * The model of a local folder of Hugging Face (config.json with model.safetensors or pytorch_model.bin, whole or in
   * parts), or of a name on the Hugging Face Hub ("google/bert_uncased_L-2_H-128_A-2"), in evaluation mode. Its weights
   * replace the initial ones, which are never computed. A model of the hub is fetched once, into the cache that
   * Hugging Face's own libraries use; their environment variables apply (HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN,
   * HF_HUB_OFFLINE).
   * @param options configuration that differs from the folder's
   * @throws TensorError for a folder without these files or with weights of other sizes
   */
  static fromPretrained<Pooling extends boolean = true>(
    name: string,
    options: BertFields & Pooled<Pooling> = {},
  ): BertModel<Pooling> {
    const folder = modelFolder(name);
    const { addPoolingLayer, ...fields } = options as Pooled<Pooling>;
    const given = { ...readConfig(folder, "bert", checkBert), ...fields };
    const model = naming(folder, () =>
      defaultStream.apart(() => new BertModel<Pooling>(given, { addPoolingLayer })),
    );
    const { config } = model;
    loadPretrained(model, folder, "bert", config.initializerRange);
    return model.eval();
  }

  /** Writes config.json and model.safetensors, or its shards, into a folder, where Hugging Face's loaders find them too. */
  savePretrained(folder: string, options?: SaveOptions): void {
    writeFolder(folder, this.config.toJson("BertModel"), this.stateDict(), options);
  }

  forward(...call: BertCall): BertModelOutput<Pooling> {
    const o = bind<BertInput>("BertModel", call, INPUT);
    const input = o.inputsEmbeds ?? o.inputIds;
    if (input === null || (o.inputsEmbeds !== null && o.inputIds !== null)) {
      throw new TensorError("value", "You must specify exactly one of input_ids or inputs_embeds");
    }
    const masks = masksOf(o.attentionMask, input, this.config.isDecoder);
    const embedded = this.embeddings(input, o.tokenTypeIds, o.positionIds);
    const states = o.outputHiddenStates ? [embedded] : undefined;
    const attentions: Tensor[] | undefined = o.outputAttentions ? [] : undefined;
    const lastHiddenState = this.encoder(embedded, { ...masks, attentions }, states);
    const poolerOutput = this.pooler === null ? null : this.pooler(lastHiddenState);
    return {
      lastHiddenState,
      poolerOutput: poolerOutput as Pooling extends true ? Tensor : null,
      ...(states && { hiddenStates: states }),
      ...(attentions && { attentions }),
    };
  }
}

/** Bias of the attention scores, computed once for all layers. @param input [N, L] or [N, L, width] */
export function masksOf(
  mask: Tensor | null | undefined,
  input: Tensor,
  isDecoder = false,
): { bias: Tensor | null; causal: boolean } {
  const [batch, length] = input.shape as [number, number];
  if (!mask) return { bias: null, causal: isDecoder };
  if (mask.ndim === 4)
    return { bias: mask.dtype === "float32" ? mask : additive(ne(mask, 0), true), causal: false };
  const padding = additive(ne(view(mask, batch, 1, 1, mask.size(-1)), 0), true);
  return { bias: isDecoder ? add(padding, causalMask(length, length)) : padding, causal: false };
}
