/** Sequences of many lengths, packed: a bidirectional LSTM that classifies them, trained batch by batch. */
import { data, nn, optim, print, torch, type Tensor } from "layerwise";

const { packPaddedSequence, padPackedSequence, padSequence } = nn.utils.rnn;

torch.manualSeed(31);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [N, SHORTEST, LONGEST, BATCH, EPOCHS] = [48, 3, 11, 8, 4];
const [EMBEDDING_DIM, HIDDEN_DIM] = [8, 12];

type Item = [sequence: Tensor, label: number];

/** Sequences of letters; the class says which of two letters comes more often. */
class Words extends data.Dataset<Item> {
  items: Item[] = [];

  constructor(n: number) {
    super();
    const lengths = torch.randint(SHORTEST, LONGEST + 1, [n]);
    for (const length of lengths.tolist() as number[]) {
      const seq = torch.randint(1, 6, [length]);
      const [ones, twos] = [seq.eq(1).sum(), seq.eq(2).sum()];
      this.items.push([seq, Number(ones.gt(twos).item())]);
    }
  }

  get length(): number {
    return this.items.length;
  }

  get(index: number): Item {
    return this.items[index];
  }
}

function collate(batch: Item[]): [Tensor, Tensor, Tensor] {
  batch = [...batch].sort((a, b) => b[0].size(0) - a[0].size(0));
  const sequences = batch.map(([s]) => s);
  const labels = batch.map(([, label]) => label);
  const lengths = torch.tensor(sequences.map((s) => s.size(0)));
  return [padSequence(sequences, { batchFirst: true }), lengths, torch.tensor(labels)];
}

class Classifier extends nn.Module {
  embedding: nn.Embedding;
  lstm: nn.LSTM;
  fc: nn.Linear;

  constructor(vocab: number, embeddingDim: number, hiddenDim: number) {
    super();
    this.embedding = new nn.Embedding(vocab, embeddingDim, { paddingIdx: 0 });
    this.lstm = new nn.LSTM(embeddingDim, hiddenDim, {
      numLayers: 2,
      batchFirst: true,
      bidirectional: true,
      dropout: 0.1,
    });
    this.fc = new nn.Linear(hiddenDim * 2, 2);
  }

  forward(x: Tensor, lengths: Tensor): Tensor {
    const embedded = this.embedding(x);
    const packed = packPaddedSequence(embedded, lengths, { batchFirst: true });
    const [packedOutput, [hidden]] = this.lstm(packed);
    const [output, outputLengths] = padPackedSequence(packedOutput, { batchFirst: true });
    if (!torch.equal(outputLengths, lengths)) throw new Error("lengths differ");
    const pooled = output.sum({ dim: 1 }).div(lengths.unsqueeze(1));
    const last = torch.cat([hidden.index(-2), hidden.index(-1)], { dim: 1 });
    return this.fc(pooled.add(last));
  }
}

const loader = new data.DataLoader(new Words(N), { batchSize: BATCH, shuffle: true, collateFn: collate });
const model = new Classifier(6, EMBEDDING_DIM, HIDDEN_DIM);
print(model);
const optimizer = new optim.Adam(model.parameters(), { lr: 1e-2 });
const criterion = new nn.CrossEntropyLoss();
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  let total = 0;
  for (const [x, lengths, y] of loader) {
    optimizer.zeroGrad();
    const loss = criterion(model(x, lengths), y);
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
    total += lengths.sum().item();
  }
  print(`epoch ${epoch + 1}: ${total} letters`);
}
model.eval();
const [x, lengths] = collate([
  [torch.tensor([1, 1, 2, 3]), 1],
  [torch.tensor([2, 2]), 0],
]);
checks["logits"] = model(x, lengths).flatten().tolist() as number[];
checks["padding"] = model.embedding.weight.index(0).tolist() as number[];
