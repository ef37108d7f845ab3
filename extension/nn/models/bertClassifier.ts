import { defaultStream } from "../../tensor/random/stream.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind } from "../arguments.ts";
import { Dropout } from "../modules/dropout.ts";
import { Linear } from "../modules/linear.ts";
import { BertModel, INPUT, type BertInput, type Inner } from "./bert.ts";
import { checkBert, BertConfig, type BertFields } from "./bertConfig.ts";
import { BertPart } from "./bertLayers.ts";
import { classificationLoss } from "./classificationLoss.ts";
import { modelFolder, naming, readConfig, type SaveOptions, writeFolder } from "./folder.ts";
import { initializeWeights, loadPretrained } from "./pretrained.ts";

export interface BertClassifierInput extends BertInput {
  /** Classes [N], or numbers or probabilities [N, numLabels]: the output has a loss. */
  labels?: Tensor | null;
}

/** Inputs by name, or first by position. */
type ClassifierCall =
  | [input: BertClassifierInput]
  | [inputIds: Tensor, options?: Omit<BertClassifierInput, "inputIds">]
  | [
      inputIds: Tensor | null,
      attentionMask: Tensor | null | undefined,
      tokenTypeIds?: Tensor | null,
      positionIds?: Tensor | null,
      inputsEmbeds?: Tensor | null,
      labels?: Tensor | null,
    ];

export interface BertClassifierOutput extends Inner {
  /** Of `labels`: cross entropy, binary cross entropy or squared error; see `problemType` of the configuration. */
  loss?: Tensor;
  /** Scores [N, numLabels]. */
  logits: Tensor;
}

/**
 * {@link BertModel} with dropout and a linear layer on its pooled output: Hugging Face's BertForSequenceClassification.
 *
 * https://huggingface.co/docs/transformers/model_doc/bert#transformers.BertForSequenceClassification
 *
 * ```ts
 * const model = new nn.BertForSequenceClassification({ vocabSize: 40, hiddenSize: 16, numHiddenLayers: 1, numAttentionHeads: 2, numLabels: 3 });
 * const { logits, loss } = model(torch.randint(0, 40, [2, 7]), { labels: torch.tensor([0, 2]) });
 * logits.shape; // [2, 3]
 * ```
 */
export class BertForSequenceClassification extends BertPart {
  readonly config: BertConfig;
  bert: BertModel;
  dropout: Dropout;
  classifier: Linear;

  constructor(config: BertFields = {}) {
    super();
    this.config = new BertConfig(config);
    const { hiddenSize, numLabels, classifierDropout, hiddenDropoutProb, initializerRange } = this.config;
    this.bert = new BertModel(this.config);
    this.dropout = new Dropout(classifierDropout ?? hiddenDropoutProb);
    this.classifier = new Linear(hiddenSize, numLabels);
    const { weight, bias } = this.classifier;
    initializeWeights(this, initializerRange, (parameter) => parameter === weight || parameter === bias);
  }

  /**
   * The model of a local folder of Hugging Face or of a name on its hub, in evaluation mode: a classifier's, or a base model's with a classifier
   * that has first weights.
   * @param options configuration that differs from the folder's, such as `numLabels`
   * @throws TensorError for a folder without the files or with weights of other sizes
   */
  static fromPretrained(name: string, options: BertFields = {}): BertForSequenceClassification {
    const folder = modelFolder(name);
    const given = { ...readConfig(folder, "bert", checkBert), ...options };
    const model = naming(folder, () => defaultStream.apart(() => new BertForSequenceClassification(given)));
    const { config } = model;
    loadPretrained(model, folder, "bert", config.initializerRange);
    return model.eval();
  }

  /** Writes config.json and model.safetensors into a folder, where Hugging Face's loaders find them too. */
  savePretrained(folder: string, options?: SaveOptions): void {
    writeFolder(folder, this.config.toJson("BertForSequenceClassification"), this.stateDict(), options);
  }

  forward(...call: ClassifierCall): BertClassifierOutput {
    const { labels, ...input } = bind<BertClassifierInput>("BertForSequenceClassification", call, {
      ...INPUT,
      // In Hugging Face's order, labels come before what is given by name only.
      labels: null,
    });
    const { poolerOutput, lastHiddenState: _, ...inner } = this.bert(input);
    const logits = this.classifier(this.dropout(poolerOutput));
    return { ...(labels && { loss: classificationLoss(logits, labels, this.config) }), logits, ...inner };
  }
}
