// A word-level LSTM language model with truncated backpropagation and an update written out by hand
import { torch, nn, F, format, print, type Tensor } from "layerwise";

torch.manualSeed(1111);
export const losses: number[] = [];

class Dictionary {
  word2idx = new Map<string, number>();
  idx2word: string[] = [];

  addWord(word: string): number {
    if (!this.word2idx.has(word)) {
      this.idx2word.push(word);
      this.word2idx.set(word, this.idx2word.length - 1);
    }
    return this.word2idx.get(word)!;
  }

  get length(): number {
    return this.idx2word.length;
  }
}

const TRAIN = `the cat sat on the mat
the dog sat on the rug
a bird sang in the old tree
the cat saw the bird and the bird flew away
a dog ran after the cat and the cat ran up the tree
the old dog slept on the mat in the sun
the bird sang and the cat slept
a cat and a dog ran in the sun
`;
const VALID = `the dog saw the cat
a bird sat in the tree and the dog slept
`;

class Corpus {
  dictionary = new Dictionary();
  train: Tensor;
  valid: Tensor;

  constructor() {
    this.train = this.tokenize(TRAIN);
    this.valid = this.tokenize(VALID);
  }

  tokenize(text: string): Tensor {
    const lines = text.trimEnd().split("\n");
    for (const line of lines) for (const word of [...line.split(" "), "<eos>"]) this.dictionary.addWord(word);
    const idss: Tensor[] = [];
    for (const line of lines) {
      const ids: number[] = [];
      for (const word of [...line.split(" "), "<eos>"]) ids.push(this.dictionary.word2idx.get(word)!);
      idss.push(torch.tensor(ids).to(torch.int64));
    }
    return torch.cat(idss);
  }
}

const corpus = new Corpus();

function batchify(data: Tensor, bsz: number): Tensor {
  const nbatch = Math.floor(data.size(0) / bsz);
  data = data.narrow(0, 0, nbatch * bsz);
  return data.view(bsz, -1).t().contiguous();
}

const [batchSize, evalBatchSize, bptt] = [4, 2, 5];
const [emsize, nhid, nlayers, epochs] = [24, 24, 2, 10];
const trainData = batchify(corpus.train, batchSize);
const valData = batchify(corpus.valid, evalBatchSize);

type Hidden = [Tensor, Tensor];

class RNNModel extends nn.Module {
  ntoken: number;
  drop: nn.Dropout;
  encoder: nn.Embedding;
  rnn: nn.LSTM;
  decoder: nn.Linear;
  nhid: number;
  nlayers: number;

  constructor(
    ntoken: number,
    ninp: number,
    nhid: number,
    nlayers: number,
    { dropout = 0.5, tieWeights = false } = {},
  ) {
    super();
    this.ntoken = ntoken;
    this.drop = new nn.Dropout(dropout);
    this.encoder = new nn.Embedding(ntoken, ninp);
    this.rnn = new nn.LSTM(ninp, nhid, nlayers, { dropout });
    this.decoder = new nn.Linear(nhid, ntoken);
    if (tieWeights) {
      if (nhid !== ninp) throw new Error("When using the tied flag, nhid must be equal to emsize");
      this.decoder.weight = this.encoder.weight;
    }
    this.initWeights();
    this.nhid = nhid;
    this.nlayers = nlayers;
  }

  initWeights(): void {
    const initrange = 0.1;
    nn.init.uniform_(this.encoder.weight, -initrange, initrange);
    nn.init.zeros_(this.decoder.bias!);
    nn.init.uniform_(this.decoder.weight, -initrange, initrange);
  }

  forward(input: Tensor, hidden: Hidden): [Tensor, Hidden] {
    const emb = this.drop(this.encoder(input));
    let output: Tensor;
    [output, hidden] = this.rnn(emb, hidden);
    output = this.drop(output);
    let decoded = this.decoder(output);
    decoded = decoded.view(-1, this.ntoken);
    return [F.logSoftmax(decoded, { dim: 1 }), hidden];
  }

  initHidden(bsz: number): Hidden {
    const weight = this.parameters()[0];
    return [weight.newZeros(this.nlayers, bsz, this.nhid), weight.newZeros(this.nlayers, bsz, this.nhid)];
  }
}

const ntokens = corpus.dictionary.length;
const model = new RNNModel(ntokens, emsize, nhid, nlayers, { dropout: 0.2, tieWeights: true });
const criterion = new nn.NLLLoss();

/** Wraps hidden states in new tensors, to detach them from their history. */
function repackageHidden([h, c]: Hidden): Hidden {
  return [h.detach(), c.detach()];
}

function getBatch(source: Tensor, i: number): [Tensor, Tensor] {
  const seqLen = Math.min(bptt, source.size(0) - 1 - i);
  const data = source.index(`${i}:${i + seqLen}`);
  const target = source.index(`${i + 1}:${i + 1 + seqLen}`).view(-1);
  return [data, target];
}

function evaluate(dataSource: Tensor): number {
  model.eval();
  let totalLoss = 0.0;
  let hidden = model.initHidden(evalBatchSize);
  torch.noGrad(() => {
    for (let i = 0; i < dataSource.size(0) - 1; i += bptt) {
      const [data, targets] = getBatch(dataSource, i);
      let output: Tensor;
      [output, hidden] = model(data, hidden);
      hidden = repackageHidden(hidden);
      totalLoss += data.size(0) * criterion(output, targets).item();
    }
  });
  return totalLoss / (dataSource.size(0) - 1);
}

let lr = 20.0;
const clip = 0.25;
let bestValLoss: number | null = null;

function train(): number {
  model.train();
  let totalLoss = 0.0;
  let hidden = model.initHidden(batchSize);
  let batches = 0;
  for (let i = 0; i < trainData.size(0) - 1; i += bptt) {
    const [data, targets] = getBatch(trainData, i);
    model.zeroGrad();
    hidden = repackageHidden(hidden);
    let output: Tensor;
    [output, hidden] = model(data, hidden);
    const loss = criterion(output, targets);
    loss.backward();

    // clipGradNorm_ helps prevent the exploding gradient problem in RNNs.
    nn.utils.clipGradNorm_(model.parameters(), clip);
    for (const p of model.parameters()) p.data.add_(p.grad!, { alpha: -lr });

    totalLoss += loss.item();
    losses.push(loss.item());
    batches++;
  }
  return totalLoss / batches;
}

for (let epoch = 1; epoch <= epochs; epoch++) {
  const curLoss = train();
  const valLoss = evaluate(valData);
  losses.push(valLoss);
  if (epoch % 2 === 0)
    print(
      `| end of epoch ${format(epoch, "3d")} | lr ${format(lr, "05.2f")} | ` +
        `loss ${format(curLoss, "5.2f")} | valid ppl ${format(Math.exp(valLoss), "6.1f")}`,
    );
  // Anneal the learning rate if no improvement has been seen in the validation dataset.
  if (bestValLoss === null || valLoss < bestValLoss) bestValLoss = valLoss;
  else lr /= 4.0;
}

// Generate from the model.
model.eval();
let hidden = model.initHidden(1);
const input = torch.randint(ntokens, [1, 1], { dtype: torch.long });
const words: string[] = [];
torch.noGrad(() => {
  for (let i = 0; i < 20; i++) {
    let output: Tensor;
    [output, hidden] = model(input, hidden);
    const wordWeights = output.squeeze().div(0.8).exp().cpu();
    const wordIdx = torch.multinomial(wordWeights, 1).index(0);
    input.fill_(wordIdx);
    words.push(corpus.dictionary.idx2word[wordIdx.item()]);
  }
});
print(words.join(" "));
export const checks = { lr: [lr], norms: model.parameters().map((p) => p.norm().item()) };
