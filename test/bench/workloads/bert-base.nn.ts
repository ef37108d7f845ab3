import { experiment, nn, optim, torch, type Tensor } from "layerwise";
import { repeated, SETTINGS } from "./repeated.ts";

/** BERT-base with random weights, fine-tuned on 8 sequences of 128 tokens. */
export class SentenceClassifier extends nn.Module {
  bert = new nn.BertForSequenceClassification({ numLabels: 2 });

  forward(inputIds: Tensor): Tensor {
    return this.bert(inputIds).logits;
  }
}

export default experiment({
  ...SETTINGS,
  model: () => new SentenceClassifier(),
  data: () => repeated(torch.randint(1, 30_522, [8, 128]), torch.randint(0, 2, [8])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.AdamW(parameters, { lr: 2e-5 }),
});
