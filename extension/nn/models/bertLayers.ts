// The parts of BERT (Devlin et al. 2018, https://arxiv.org/abs/1810.04805), under Hugging Face's names.
import { apply } from "../../tensor/recording/apply.ts";
import { add } from "../../tensor/functions/pointwise/arithmetic.ts";
import { narrow, select } from "../../tensor/functions/shape/parts.ts";
import { fillValue } from "../../tensor/recording/graph.ts";
import { permute, reshape } from "../../tensor/ops/movement/movement.ts";
import { range } from "../../tensor/core/shape.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { attend } from "../functional/attention/attention.ts";
import { BuiltIn, type Layer } from "../module/module.ts";
import { Tanh } from "../modules/activation/activation.ts";
import { ModuleList } from "../modules/containers/containers.ts";
import { Dropout } from "../modules/dropout.ts";
import { Embedding } from "../modules/embedding.ts";
import { Linear } from "../modules/linear.ts";
import { LayerNorm } from "../modules/norm/normalization.ts";
import { activationNamed } from "./activations.ts";
import type { BertConfig } from "./bertConfig.ts";

/** Base class of all parts: PyTorch's names in snake_case, but for `LayerNorm`, which has its class's name. */
export abstract class BertPart extends BuiltIn {
  /** @internal */
  override keyOf(property: string): string {
    return property === "layerNorm" ? "LayerNorm" : super.keyOf(property);
  }
}

/** Sums of the embeddings of tokens, segments and positions, normalised. */
export class BertEmbeddings extends BertPart {
  wordEmbeddings: Embedding;
  positionEmbeddings: Embedding;
  tokenTypeEmbeddings: Embedding;
  layerNorm: LayerNorm;
  dropout: Dropout;
  positionIds!: Tensor;
  tokenTypeIds!: Tensor;

  constructor(config: BertConfig) {
    super();
    const { hiddenSize, maxPositionEmbeddings: length, padTokenId } = config;
    this.wordEmbeddings = new Embedding(config.vocabSize, hiddenSize, { paddingIdx: padTokenId });
    this.positionEmbeddings = new Embedding(length, hiddenSize);
    this.tokenTypeEmbeddings = new Embedding(config.typeVocabSize, hiddenSize);
    this.layerNorm = new LayerNorm(hiddenSize, { eps: config.layerNormEps });
    this.dropout = new Dropout(config.hiddenDropoutProb);
    const positions = fromHost(Int32Array.from(range(length)), [1, length], "int64");
    this.registerBuffer("positionIds", positions, { persistent: false });
    const types = new Tensor(fillValue(0, [1, length], "int64"));
    this.registerBuffer("tokenTypeIds", types, { persistent: false });
  }

  /** @param input token numbers [N, L], or their embeddings [N, L, hiddenSize] */
  forward(input: Tensor, tokenTypeIds: Tensor | null, positionIds: Tensor | null): Tensor {
    const [batch, length] = input.shape as [number, number];
    const words = input.dtype === "int64" ? this.wordEmbeddings(input) : input;
    const types = tokenTypeIds ?? new Tensor(fillValue(0, [batch, length], "int64"));
    const sum = add(words, this.tokenTypeEmbeddings(types));
    const positions = positionIds ?? narrow(this.positionIds, 1, 0, length);
    return this.dropout(this.layerNorm(add(sum, this.positionEmbeddings(positions))));
  }
}

/** Inputs that all layers share, and outputs that they fill. */
export interface BertContext {
  /** Added to the scores: −∞ where a place may not attend. */
  readonly bias: Tensor | null;
  readonly causal: boolean;
  /** Collects the attention weights of every layer. */
  readonly attentions: Tensor[] | undefined;
}

/** Attention of every place to all others. */
export class BertSelfAttention extends BertPart {
  query: Linear;
  key: Linear;
  value: Linear;
  dropout: Dropout;
  readonly numAttentionHeads: number;

  constructor({ hiddenSize, numAttentionHeads, attentionProbsDropoutProb }: BertConfig) {
    super();
    this.query = new Linear(hiddenSize, hiddenSize);
    this.key = new Linear(hiddenSize, hiddenSize);
    this.value = new Linear(hiddenSize, hiddenSize);
    this.dropout = new Dropout(attentionProbsDropoutProb);
    this.numAttentionHeads = numAttentionHeads;
  }

  forward(hiddenStates: Tensor, { bias, causal, attentions }: BertContext): Tensor {
    const [batch, length, width] = hiddenStates.shape as [number, number, number];
    const heads = [batch, length, this.numAttentionHeads, width / this.numAttentionHeads];
    const headFirst = { order: [0, 2, 1, 3] };
    const split = (x: Tensor): Tensor => apply(permute, [apply(reshape, [x], { shape: heads })], headFirst);
    const { output, weights } = attend(
      split(this.query(hiddenStates)),
      split(this.key(hiddenStates)),
      split(this.value(hiddenStates)),
      { bias, causal, dropoutP: this.training ? this.dropout.p : 0, safe: true },
    );
    attentions?.push(weights);
    return apply(reshape, [apply(permute, [output], headFirst)], { shape: hiddenStates.shape });
  }
}

/** A linear layer whose result is added to what came before, and normalised. */
abstract class BertResidual extends BertPart {
  dense: Linear;
  layerNorm: LayerNorm;
  dropout: Dropout;

  constructor(width: number, { hiddenSize, layerNormEps, hiddenDropoutProb }: BertConfig) {
    super();
    this.dense = new Linear(width, hiddenSize);
    this.layerNorm = new LayerNorm(hiddenSize, { eps: layerNormEps });
    this.dropout = new Dropout(hiddenDropoutProb);
  }

  forward(hiddenStates: Tensor, input: Tensor): Tensor {
    return this.layerNorm(add(this.dropout(this.dense(hiddenStates)), input));
  }
}

/** The end of {@link BertAttention}. */
export class BertSelfOutput extends BertResidual {
  constructor(config: BertConfig) {
    super(config.hiddenSize, config);
  }
}

/** Self attention, projected, added to its input and normalised. */
export class BertAttention extends BertPart {
  self: BertSelfAttention;
  output: BertSelfOutput;

  constructor(config: BertConfig) {
    super();
    this.self = new BertSelfAttention(config);
    this.output = new BertSelfOutput(config);
  }

  forward(hiddenStates: Tensor, context: BertContext): Tensor {
    return this.output(this.self(hiddenStates, context), hiddenStates);
  }
}

/** The wide part of the feedforward network. */
export class BertIntermediate extends BertPart {
  dense: Linear;
  intermediateActFn: Layer;

  constructor({ hiddenSize, intermediateSize, hiddenAct }: BertConfig) {
    super();
    this.dense = new Linear(hiddenSize, intermediateSize);
    this.intermediateActFn = activationNamed(hiddenAct);
  }

  forward(hiddenStates: Tensor): Tensor {
    return this.intermediateActFn(this.dense(hiddenStates));
  }
}

/** The end of {@link BertLayer}. */
export class BertOutput extends BertResidual {
  constructor(config: BertConfig) {
    super(config.intermediateSize, config);
  }
}

/** Attention, then a feedforward network. */
export class BertLayer extends BertPart {
  attention: BertAttention;
  intermediate: BertIntermediate;
  output: BertOutput;

  constructor(config: BertConfig) {
    super();
    this.attention = new BertAttention(config);
    this.intermediate = new BertIntermediate(config);
    this.output = new BertOutput(config);
  }

  forward(hiddenStates: Tensor, context: BertContext): Tensor {
    const attended = this.attention(hiddenStates, context);
    return this.output(this.intermediate(attended), attended);
  }
}

/** All layers, one after the other. */
export class BertEncoder extends BertPart {
  layer: ModuleList<BertLayer>;

  constructor(config: BertConfig) {
    super();
    this.layer = new ModuleList(Array.from({ length: config.numHiddenLayers }, () => new BertLayer(config)));
  }

  /** @param states collects the result of every layer */
  forward(hiddenStates: Tensor, context: BertContext, states?: Tensor[]): Tensor {
    let x = hiddenStates;
    for (const layer of this.layer) {
      x = layer(x, context);
      states?.push(x);
    }
    return x;
  }
}

/** The first place's hidden state, through a linear layer and tanh. */
export class BertPooler extends BertPart {
  dense: Linear;
  activation: Tanh;

  constructor({ hiddenSize }: BertConfig) {
    super();
    this.dense = new Linear(hiddenSize, hiddenSize);
    this.activation = new Tanh();
  }

  forward(hiddenStates: Tensor): Tensor {
    return this.activation(this.dense(select(hiddenStates, 1, 0)));
  }
}
