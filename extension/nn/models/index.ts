export { BertModel, type BertInput, type BertModelOutput } from "./bert.ts";
export {
  BertForSequenceClassification,
  type BertClassifierInput,
  type BertClassifierOutput,
} from "./bertClassifier.ts";
export { BertConfig, type BertFields, type BertOptions } from "./bertConfig.ts";
export { BertTokenizer, type Encoded, type TokenizerOptions } from "./bertTokenizer.ts";
export {
  DistilBertConfig,
  DistilBertForSequenceClassification,
  DistilBertModel,
  type DistilBertFields,
  type DistilBertOptions,
} from "./distilBert.ts";
