// BERT, fine-tuned from a local Hugging Face folder to classify in which era a president spoke a sentence
import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";

// A folder beside this file with a BERT model's config.json, vocab.txt and model.safetensors (or pytorch_model.bin); or the
// name of a model on the Hugging Face Hub, such as "google/bert_uncased_L-2_H-128_A-2", which is downloaded once.
const FOLDER = "bert";
const LENGTH = 48;

const { sentences, years } = data.speeches();

/** Tokens [N, 48], padded with [PAD], and their eras: 0 for 1790 to 1860, 1 for 1951 to 2000. */
function samples(held: boolean): data.LabelledDataset {
  const tokenizer = nn.BertTokenizer.fromPretrained(FOLDER);
  // Every fifth year is held out, so that no speech is on both sides.
  const chosen = sentences.flatMap((_, i) => ((years[i]! % 5 === 0) === held ? [i] : []));
  const { inputIds } = tokenizer(
    chosen.map((i) => sentences[i]!),
    { padding: "max_length", truncation: true, maxLength: LENGTH },
  );
  const eras = torch.tensor(chosen.map((i) => (years[i]! < 1900 ? 0 : 1)));
  return new data.LabelledDataset(inputIds, eras, ["1790-1860", "1951-2000"]);
}

export class EraClassifier extends nn.Module {
  bert = nn.BertForSequenceClassification.fromPretrained(FOLDER, { numLabels: 2 });

  /** Tokens [N, 48] to scores of the two eras [N, 2]. */
  forward(inputIds: Tensor): Tensor {
    // [PAD] is token 0.
    const attentionMask = inputIds.ne(0).long();
    return this.bert(inputIds, { attentionMask }).logits;
  }
}

// What to expect: it depends on the model. A tiny BERT without pretraining (two layers of 64) has an accuracy of 90 % on 482
// sentences of held-out years, like counting words; guessing has 52 %. The learning rate suits models of a few million
// weights: use 2e-5 and three epochs for BERT-base, which takes a while.
export default experiment({
  seed: 0,
  model: () => new EraClassifier(),
  data: () => ({ train: samples(false), validation: samples(true) }),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.AdamW(parameters, { lr: 3e-4 }),
  gradientClipVal: 1,
  batchSize: 32,
  epochs: 6,
});
