// DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108), BERT with half of its layers, under Hugging Face's names.
import { apply } from "../../tensor/recording/apply.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { add } from "../../tensor/functions/pointwise/arithmetic.ts";
import { narrow, select } from "../../tensor/functions/shape/parts.ts";
import { permute, reshape } from "../../tensor/ops/movement/movement.ts";
import { defaultStream } from "../../tensor/random/stream.ts";
import { range } from "../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { bind } from "../arguments.ts";
import { relu } from "../functional/activation/activation.ts";
import { attend } from "../functional/attention/attention.ts";
import type { Layer } from "../module/module.ts";
import { ModuleList } from "../modules/containers/containers.ts";
import { Dropout } from "../modules/dropout.ts";
import { Embedding } from "../modules/embedding.ts";
import { Linear } from "../modules/linear.ts";
import { LayerNorm } from "../modules/norm/normalization.ts";
import { activationNamed } from "./activations.ts";
import { masksOf, type BertInput, type BertModelOutput } from "./bert.ts";
import type { BertClassifierInput, BertClassifierOutput } from "./bertClassifier.ts";
import { configJson, type BertOptions, type ProblemType } from "./bertConfig.ts";
import { configured } from "./configFields.ts";
import { BertPart, type BertContext } from "./bertLayers.ts";
import { classificationLoss } from "./classificationLoss.ts";
import { modelFolder, naming, readConfig, writeFolder, type Json, type SaveOptions } from "./folder.ts";
import { initializeWeights, loadPretrained } from "./pretrained.ts";

/** Fields of a DistilBERT configuration; omitted ones have the value of distilbert-base. */
export interface DistilBertOptions extends Pick<
  BertOptions,
  "vocabSize" | "maxPositionEmbeddings" | "initializerRange" | "padTokenId" | "numLabels" | "problemType"
> {
  nLayers?: number;
  nHeads?: number;
  /** Width of the hidden states: 768. */
  dim?: number;
  /** Width between the two linear layers of each layer: 3072. */
  hiddenDim?: number;
  dropout?: number;
  attentionDropout?: number;
  /** Activation between them, by Hugging Face's name: "gelu". */
  activation?: string;
  /** Dropout before the classifier: 0.2. */
  seqClassifDropout?: number;
}

const DEFAULTS: Required<DistilBertOptions> = {
  vocabSize: 30522,
  maxPositionEmbeddings: 512,
  nLayers: 6,
  nHeads: 12,
  dim: 768,
  hiddenDim: 3072,
  dropout: 0.1,
  attentionDropout: 0.1,
  activation: "gelu",
  initializerRange: 0.02,
  seqClassifDropout: 0.2,
  padTokenId: 0,
  numLabels: 2,
  problemType: null,
};

/** Fields of a Hugging Face `config.json`, or the same in camelCase. */
export type DistilBertFields = DistilBertOptions | Json;

/** Hugging Face's DistilBertConfig, its fields in camelCase; those of a `config.json` are accepted too. */
export class DistilBertConfig implements Required<DistilBertOptions> {
  declare readonly vocabSize: number;
  declare readonly maxPositionEmbeddings: number;
  declare readonly nLayers: number;
  declare readonly nHeads: number;
  declare readonly dim: number;
  declare readonly hiddenDim: number;
  declare readonly dropout: number;
  declare readonly attentionDropout: number;
  declare readonly activation: string;
  declare readonly initializerRange: number;
  declare readonly seqClassifDropout: number;
  declare readonly padTokenId: number | null;
  declare readonly numLabels: number;
  declare readonly problemType: ProblemType | null;

  constructor(fields: DistilBertFields = {}) {
    Object.assign(this, configured(DEFAULTS, fields as Json));
    if (this.dim % this.nHeads !== 0)
      throw new TensorError("value", `self.n_heads: ${this.nHeads} must divide self.dim: ${this.dim} evenly`);
  }

  /** The fields as a `config.json` has them. */
  toJson(architecture: string): Json {
    return configJson("distilbert", architecture, this);
  }
}

class Embeddings extends BertPart {
  wordEmbeddings: Embedding;
  positionEmbeddings: Embedding;
  layerNorm: LayerNorm;
  dropout: Dropout;
  positionIds!: Tensor;

  constructor({ vocabSize, dim, padTokenId, maxPositionEmbeddings: length, dropout }: DistilBertConfig) {
    super();
    this.wordEmbeddings = new Embedding(vocabSize, dim, { paddingIdx: padTokenId });
    this.positionEmbeddings = new Embedding(length, dim);
    this.layerNorm = new LayerNorm(dim, { eps: 1e-12 });
    this.dropout = new Dropout(dropout);
    const positions = fromHost(Int32Array.from(range(length)), [1, length], "int64");
    this.registerBuffer("positionIds", positions, { persistent: false });
  }

  forward(input: Tensor, positionIds: Tensor | null): Tensor {
    const words = input.dtype === "int64" ? this.wordEmbeddings(input) : input;
    const positions = positionIds ?? narrow(this.positionIds, 1, 0, input.shape[1]!);
    return this.dropout(this.layerNorm(add(words, this.positionEmbeddings(positions))));
  }
}

class DistilBertSelfAttention extends BertPart {
  qLin: Linear;
  kLin: Linear;
  vLin: Linear;
  outLin: Linear;
  dropout: Dropout;
  readonly nHeads: number;

  constructor({ dim, nHeads, attentionDropout }: DistilBertConfig) {
    super();
    this.qLin = new Linear(dim, dim);
    this.kLin = new Linear(dim, dim);
    this.vLin = new Linear(dim, dim);
    this.outLin = new Linear(dim, dim);
    this.dropout = new Dropout(attentionDropout);
    this.nHeads = nHeads;
  }

  forward(x: Tensor, { bias, causal, attentions }: BertContext): Tensor {
    const [batch, length, width] = x.shape as [number, number, number];
    const heads = [batch, length, this.nHeads, width / this.nHeads];
    const headFirst = { order: [0, 2, 1, 3] };
    const split = (y: Tensor): Tensor => apply(permute, [apply(reshape, [y], { shape: heads })], headFirst);
    const dropoutP = this.training ? this.dropout.p : 0;
    const { output, weights } = attend(split(this.qLin(x)), split(this.kLin(x)), split(this.vLin(x)), {
      bias,
      causal,
      dropoutP,
      safe: true,
    });
    attentions?.push(weights);
    return this.outLin(apply(reshape, [apply(permute, [output], headFirst)], { shape: x.shape }));
  }
}

class FFN extends BertPart {
  dropout: Dropout;
  lin1: Linear;
  lin2: Linear;
  activation: Layer;

  constructor({ dim, hiddenDim, dropout, activation }: DistilBertConfig) {
    super();
    this.dropout = new Dropout(dropout);
    this.lin1 = new Linear(dim, hiddenDim);
    this.lin2 = new Linear(hiddenDim, dim);
    this.activation = activationNamed(activation);
  }

  forward(x: Tensor): Tensor {
    return this.dropout(this.lin2(this.activation(this.lin1(x))));
  }
}

/** Attention, then a feedforward network; both are added to their inputs and normalised. */
class TransformerBlock extends BertPart {
  attention: DistilBertSelfAttention;
  saLayerNorm: LayerNorm;
  ffn: FFN;
  outputLayerNorm: LayerNorm;

  constructor(config: DistilBertConfig) {
    super();
    this.attention = new DistilBertSelfAttention(config);
    this.saLayerNorm = new LayerNorm(config.dim, { eps: 1e-12 });
    this.ffn = new FFN(config);
    this.outputLayerNorm = new LayerNorm(config.dim, { eps: 1e-12 });
  }

  forward(x: Tensor, context: BertContext): Tensor {
    const attended = this.saLayerNorm(add(this.attention(x, context), x));
    return this.outputLayerNorm(add(this.ffn(attended), attended));
  }
}

class Transformer extends BertPart {
  layer: ModuleList<TransformerBlock>;

  constructor(config: DistilBertConfig) {
    super();
    this.layer = new ModuleList(Array.from({ length: config.nLayers }, () => new TransformerBlock(config)));
  }

  forward(x: Tensor, context: BertContext, states?: Tensor[]): Tensor {
    for (const layer of this.layer) {
      x = layer(x, context);
      states?.push(x);
    }
    return x;
  }
}

type Input = Omit<BertInput, "tokenTypeIds">;

/** Inputs by name, or first by position. */
type Call<I extends Input> =
  | [input: I]
  | [inputIds: Tensor, options?: Omit<I, "inputIds">]
  | [inputIds: Tensor | null, attentionMask: Tensor | null | undefined, inputsEmbeds?: Tensor | null];

const FIRST = { inputIds: null, attentionMask: null, inputsEmbeds: null };
const REST = {
  positionIds: null,
  outputHiddenStates: false,
  outputAttentions: false,
};

/**
 * DistilBERT's encoder, as Hugging Face's DistilBertModel has it: the same modules, names, first weights and outputs. It
 * has no segments and no pooling layer; its tokenizer is {@link BertTokenizer}. Without options it is distilbert-base, of
 * 66,362,880 weights.
 *
 * https://huggingface.co/docs/transformers/model_doc/distilbert#transformers.DistilBertModel
 *
 * ```ts
 * const model = new nn.DistilBertModel({ vocabSize: 40, dim: 16, nLayers: 2, nHeads: 2, hiddenDim: 32 });
 * const ids = torch.randint(0, 40, [2, 7]);
 * model(ids, { attentionMask: torch.ones(2, 7) }).lastHiddenState.shape; // [2, 7, 16]
 * ```
 * @throws TensorError "self.n_heads: 3 must divide self.dim: 16 evenly"
 */
export class DistilBertModel extends BertPart {
  readonly config: DistilBertConfig;
  embeddings: Embeddings;
  transformer: Transformer;

  constructor(config: DistilBertFields = {}) {
    super();
    this.config = new DistilBertConfig(config);
    this.embeddings = new Embeddings(this.config);
    this.transformer = new Transformer(this.config);
    initializeWeights(this, this.config.initializerRange);
  }

  /**
   * The model of a local folder of Hugging Face or of a name on its hub, in evaluation mode: see {@link BertModel}.
   * @param options configuration that differs from the folder's
   * @throws TensorError for a folder without the files or with weights of other sizes
   */
  static fromPretrained(name: string, options: DistilBertFields = {}): DistilBertModel {
    return pretrained(name, options, (config) => new DistilBertModel(config));
  }

  /** Writes config.json and model.safetensors into a folder, where Hugging Face's loaders find them too. */
  savePretrained(folder: string, options?: SaveOptions): void {
    writeFolder(folder, this.config.toJson("DistilBertModel"), this.stateDict(), options);
  }

  forward(...call: Call<Input>): Omit<BertModelOutput, "poolerOutput"> {
    const o = bind<Input>("DistilBertModel", call, { ...FIRST, ...REST });
    const input = o.inputsEmbeds ?? o.inputIds;
    if (input === null || (o.inputsEmbeds !== null && o.inputIds !== null))
      throw new TensorError("value", "You must specify exactly one of input_ids or inputs_embeds");
    const embedded = this.embeddings(input, o.positionIds);
    const states = o.outputHiddenStates ? [embedded] : undefined;
    const attentions: Tensor[] | undefined = o.outputAttentions ? [] : undefined;
    const context = { ...masksOf(o.attentionMask, input), attentions };
    return {
      lastHiddenState: this.transformer(embedded, context, states),
      ...(states && { hiddenStates: states }),
      ...(attentions && { attentions }),
    };
  }
}

/**
 * {@link DistilBertModel} with two linear layers on its first place: Hugging Face's DistilBertForSequenceClassification.
 *
 * https://huggingface.co/docs/transformers/model_doc/distilbert#transformers.DistilBertForSequenceClassification
 *
 * ```ts
 * const model = new nn.DistilBertForSequenceClassification({ vocabSize: 40, dim: 16, nLayers: 1, nHeads: 2, hiddenDim: 32, numLabels: 3 });
 * const { logits, loss } = model(torch.randint(0, 40, [2, 7]), { labels: torch.tensor([0, 2]) });
 * logits.shape; // [2, 3]
 * ```
 */
export class DistilBertForSequenceClassification extends BertPart {
  readonly config: DistilBertConfig;
  distilbert: DistilBertModel;
  preClassifier: Linear;
  classifier: Linear;
  dropout: Dropout;

  constructor(config: DistilBertFields = {}) {
    super();
    this.config = new DistilBertConfig(config);
    const { dim, numLabels, seqClassifDropout, initializerRange } = this.config;
    this.distilbert = new DistilBertModel(this.config);
    this.preClassifier = new Linear(dim, dim);
    this.classifier = new Linear(dim, numLabels);
    this.dropout = new Dropout(seqClassifDropout);
    const own = new Set([this.preClassifier, this.classifier].flatMap((one) => [one.weight, one.bias!]));
    initializeWeights(this, initializerRange, (parameter) => own.has(parameter));
  }

  /** As {@link DistilBertModel.fromPretrained}; a base model's has a classifier with first weights. */
  static fromPretrained(name: string, options: DistilBertFields = {}): DistilBertForSequenceClassification {
    return pretrained(name, options, (config) => new DistilBertForSequenceClassification(config));
  }

  /** Writes config.json and model.safetensors into a folder, where Hugging Face's loaders find them too. */
  savePretrained(folder: string, options?: SaveOptions): void {
    writeFolder(folder, this.config.toJson("DistilBertForSequenceClassification"), this.stateDict(), options);
  }

  forward(...call: Call<Omit<BertClassifierInput, "tokenTypeIds">>): BertClassifierOutput {
    const { labels, ...input } = bind<Omit<BertClassifierInput, "tokenTypeIds">>(
      "DistilBertForSequenceClassification",
      call,
      // In Hugging Face's order, labels come before positions.
      { ...FIRST, labels: null, ...REST },
    );
    const { lastHiddenState, ...inner } = this.distilbert(input);
    const pooled = relu(this.preClassifier(select(lastHiddenState, 1, 0)));
    const logits = this.classifier(this.dropout(pooled));
    return { ...(labels && { loss: classificationLoss(logits, labels, this.config) }), logits, ...inner };
  }
}

function pretrained<M extends DistilBertModel | DistilBertForSequenceClassification>(
  name: string,
  options: DistilBertFields,
  make: (config: DistilBertFields) => M,
): M {
  const folder = modelFolder(name);
  const fields = { ...readConfig(folder, "distilbert", (given) => configured(DEFAULTS, given)), ...options };
  const model = naming(folder, () => defaultStream.apart(() => make(fields)));
  loadPretrained(model, folder, "distilbert", model.config.initializerRange);
  return model.eval() as M;
}
