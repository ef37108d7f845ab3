// A small Transformer encoder that classifies in which era a president spoke a sentence
import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";

const LENGTH = 40;
const WIDTH = 64;

const { sentences, years } = data.speeches();
// Every fifth year is held out, so that no speech is on both sides.
const held = years.map((year) => year % 5 === 0);
const tokens = sentences.map((sentence) => data.words(sentence));
const vocabulary = new data.Vocabulary(tokens.filter((_, i) => !held[i]).flat(), {
  minFreq: 3,
  specials: ["<pad>", "<unk>"],
}).setDefaultIndex(1);

/** Sentences [N, 40], padded with 0, and their eras: 0 for 1790 to 1860, 1 for 1951 to 2000. */
function samples(wanted: boolean): data.LabelledDataset {
  const chosen = tokens.flatMap((_, i) => (held[i] === wanted ? [i] : []));
  const rows = chosen.map((i) => {
    const ids = vocabulary.encode(tokens[i]!.slice(0, LENGTH)).tolist() as number[];
    return [...ids, ...Array.from({ length: LENGTH - ids.length }, () => 0)];
  });
  const eras = chosen.map((i) => (years[i]! < 1900 ? 0 : 1));
  return new data.LabelledDataset(torch.tensor(rows), torch.tensor(eras), ["1790-1860", "1951-2000"]);
}

export class SentenceEncoder extends nn.Module {
  embedding = new nn.Embedding(vocabulary.length, WIDTH, { paddingIdx: 0 });
  position = new nn.Embedding(LENGTH, WIDTH);
  norm = new nn.LayerNorm(WIDTH);
  dropout = new nn.Dropout(0.1);
  encoder = new nn.TransformerEncoder(
    new nn.TransformerEncoderLayer(WIDTH, 4, { dimFeedforward: 128, dropout: 0.1, batchFirst: true }),
    1,
  );
  fc = new nn.Linear(WIDTH, 2);

  constructor() {
    super();
    // As in BERT: embeddings that begin near zero learn faster than those of N(0, 1).
    nn.init.normal_(this.embedding.weight, 0, 0.02);
    nn.init.normal_(this.position.weight, 0, 0.02);
  }

  /** Words [N, 40] to scores of the two eras [N, 2]. */
  forward(ids: Tensor): Tensor {
    const padding = ids.eq(0);
    let x = this.embedding(ids).add(this.position(torch.arange(LENGTH)));
    x = this.encoder(this.dropout(this.norm(x)), { srcKeyPaddingMask: padding });
    // The mean over the words, without padding.
    const words = padding.logicalNot().float().unsqueeze(-1);
    return this.fc(x.mul(words).sum(1).div(words.sum(1)));
  }
}

// What to expect: an accuracy of 90 % on 482 sentences of held-out years. Guessing has 52 %, counting words 90 % (logistic
// regression) to 91 % (naive Bayes): so few sentences teach little more.
export default experiment({
  seed: 0,
  model: () => new SentenceEncoder(),
  data: () => ({ train: samples(false), validation: samples(true) }),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.AdamW(parameters, { lr: 0.0005 }),
  batchSize: 32,
  epochs: 4,
});
