import { TensorError } from "../../tensor/core/errors.ts";
import { snakeCase } from "../module/repr.ts";
import { configured, type Fields } from "./configFields.ts";

/** Fields of a BERT configuration; omitted ones have the value of BERT-base. */
export interface BertOptions {
  vocabSize?: number;
  /** Width of the hidden states: 768. */
  hiddenSize?: number;
  numHiddenLayers?: number;
  numAttentionHeads?: number;
  /** Width between the two linear layers of each layer: 3072. */
  intermediateSize?: number;
  /** Activation between them, by Hugging Face's name: "gelu". */
  hiddenAct?: string;
  hiddenDropoutProb?: number;
  attentionProbsDropoutProb?: number;
  /** Longest sequence: 512. */
  maxPositionEmbeddings?: number;
  typeVocabSize?: number;
  /** Standard deviation of the first weights: 0.02. */
  initializerRange?: number;
  layerNormEps?: number;
  /** The token whose embedding is 0 and stays 0; null for none. */
  padTokenId?: number | null;
  /** Whether a place may attend only to itself and to those before it. */
  isDecoder?: boolean;
  /** Dropout before the classifier; hiddenDropoutProb when null. */
  classifierDropout?: number | null;
  /** Number of classes of a classifier: 2. */
  numLabels?: number;
  /** Kind of a classifier's loss; null: as the labels suggest. */
  problemType?: ProblemType | null;
}

export type ProblemType = "regression" | "single_label_classification" | "multi_label_classification";

const DEFAULTS: Required<BertOptions> = {
  vocabSize: 30522,
  hiddenSize: 768,
  numHiddenLayers: 12,
  numAttentionHeads: 12,
  intermediateSize: 3072,
  hiddenAct: "gelu",
  hiddenDropoutProb: 0.1,
  attentionProbsDropoutProb: 0.1,
  maxPositionEmbeddings: 512,
  typeVocabSize: 2,
  initializerRange: 0.02,
  layerNormEps: 1e-12,
  padTokenId: 0,
  isDecoder: false,
  classifierDropout: null,
  numLabels: 2,
  problemType: null,
};

/** Fields of a Hugging Face `config.json`, or the same in camelCase. */
export type BertFields = BertOptions | Readonly<Record<string, unknown>>;

/**
 * Hugging Face's BertConfig. Fields have their names in camelCase; those of a `config.json`, in snake_case, are
 * accepted too; those that don't affect the computation are ignored.
 *
 * ```ts
 * new nn.BertConfig({ hiddenSize: 128, numHiddenLayers: 2, numAttentionHeads: 2 }).vocabSize; // 30522
 * ```
 * @throws TensorError "The hidden size (10) is not a multiple of the number of attention heads (3)"
 */
export class BertConfig implements Required<BertOptions> {
  declare readonly vocabSize: number;
  declare readonly hiddenSize: number;
  declare readonly numHiddenLayers: number;
  declare readonly numAttentionHeads: number;
  declare readonly intermediateSize: number;
  declare readonly hiddenAct: string;
  declare readonly hiddenDropoutProb: number;
  declare readonly attentionProbsDropoutProb: number;
  declare readonly maxPositionEmbeddings: number;
  declare readonly typeVocabSize: number;
  declare readonly initializerRange: number;
  declare readonly layerNormEps: number;
  declare readonly padTokenId: number | null;
  declare readonly isDecoder: boolean;
  declare readonly classifierDropout: number | null;
  declare readonly numLabels: number;
  declare readonly problemType: ProblemType | null;

  constructor(fields: BertFields = {}) {
    Object.assign(this, configured(DEFAULTS, fields as Readonly<Record<string, unknown>>));
    const given = fields as Readonly<Record<string, unknown>>;
    if (given["add_cross_attention"] === true || given["addCrossAttention"] === true) {
      throw new TensorError("unsupported", "BertConfig: layers with cross attention are not available");
    }
    if (this.hiddenSize % this.numAttentionHeads !== 0) {
      throw new TensorError(
        "value",
        `The hidden size (${this.hiddenSize}) is not a multiple of the number of attention heads (${this.numAttentionHeads})`,
      );
    }
  }

  /** The fields as a `config.json` has them. */
  toJson(architecture: string): Readonly<Record<string, unknown>> {
    return configJson("bert", architecture, this);
  }
}

/** @throws TensorError for a field of a `config.json` that no model can have */
export function checkBert(fields: Fields): void {
  configured(DEFAULTS, fields);
}

/** The fields as a `config.json` has them. */
export function configJson(
  modelType: string,
  architecture: string,
  { numLabels, ...fields }: { numLabels: number },
): Readonly<Record<string, unknown>> {
  const named = Object.fromEntries(Object.entries(fields).map(([name, value]) => [snakeCase(name), value]));
  const labels = Array.from({ length: numLabels }, (_, i) => `LABEL_${i}`);
  return {
    architectures: [architecture],
    model_type: modelType,
    ...named,
    id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  };
}
