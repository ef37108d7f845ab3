// A word-level GRU language model: windows from a data set of its own, the state carried from batch to batch
import { torch, nn, F, optim, data, print, type Tensor } from "layerwise";

torch.manualSeed(7);
export const losses: number[] = [];
const [batchSize, sequenceLength, maxEpochs] = [16, 4, 10];
const [gruSize, embeddingDim] = [32, 16];
const START = "why did the";

const JOKES = `why did the chicken cross the road to get to the other side
why did the duck cross the road to prove he is no chicken
what did the sea say to the shore nothing it just waved
why did the bicycle fall over it was two tired
what did the wall say to the other wall i will meet you at the corner
why is the sea so calm it has no time to get tired of the shore
`;

class JokesDataset extends data.Dataset<[Tensor, Tensor]> {
  sequenceLength: number;
  words: string[];
  uniqWords: string[];
  indexToWord: Map<number, string>;
  wordToIndex: Map<string, number>;
  wordsIndexes: number[];

  constructor(sequenceLength: number) {
    super();
    this.sequenceLength = sequenceLength;
    this.words = this.loadWords();
    this.uniqWords = this.getUniqWords();
    this.indexToWord = new Map(this.uniqWords.map((word, index) => [index, word]));
    this.wordToIndex = new Map(this.uniqWords.map((word, index) => [word, index]));
    this.wordsIndexes = this.words.map((w) => this.wordToIndex.get(w)!);
  }

  loadWords(): string[] {
    return JOKES.replaceAll("\n", " ").trim().split(" ");
  }

  getUniqWords(): string[] {
    const wordCounts = new Map<string, number>();
    for (const word of this.words) wordCounts.set(word, (wordCounts.get(word) ?? 0) + 1);
    return [...wordCounts.keys()].sort((a, b) => wordCounts.get(b)! - wordCounts.get(a)!);
  }

  get length(): number {
    return this.wordsIndexes.length - this.sequenceLength;
  }

  get(index: number): [Tensor, Tensor] {
    return [
      torch.tensor(this.wordsIndexes.slice(index, index + this.sequenceLength)),
      torch.tensor(this.wordsIndexes.slice(index + 1, index + this.sequenceLength + 1)),
    ];
  }
}

class Model extends nn.Module {
  gruSize = gruSize;
  embeddingDim = embeddingDim;
  numLayers = 2;
  embedding: nn.Embedding;
  gru: nn.GRU;
  fc: nn.Linear;

  constructor(dataset: JokesDataset) {
    super();
    const nVocab = dataset.uniqWords.length;
    this.embedding = new nn.Embedding({ numEmbeddings: nVocab, embeddingDim: this.embeddingDim });
    this.gru = new nn.GRU({
      inputSize: this.embeddingDim,
      hiddenSize: this.gruSize,
      numLayers: this.numLayers,
      dropout: 0.2,
      batchFirst: true,
    });
    this.fc = new nn.Linear(this.gruSize, nVocab);
  }

  forward(x: Tensor, prevState: Tensor): [Tensor, Tensor] {
    const embed = this.embedding(x);
    const [output, state] = this.gru(embed, prevState);
    const logits = this.fc(output);
    return [logits, state];
  }

  initState(batchSize: number): Tensor {
    return torch.zeros(this.numLayers, batchSize, this.gruSize);
  }
}

function train(dataset: JokesDataset, model: Model): void {
  model.train();
  const dataloader = new data.DataLoader(dataset, { batchSize, dropLast: true });
  const criterion = new nn.CrossEntropyLoss();
  const optimizer = new optim.RMSprop(model.parameters(), { lr: 0.005 });
  const scheduler = new optim.lrScheduler.StepLR(optimizer, { stepSize: 4, gamma: 0.5 });

  for (let epoch = 0; epoch < maxEpochs; epoch++) {
    let stateH = model.initState(batchSize);
    let batch = -1;
    for (const [x, y] of dataloader) {
      batch++;
      optimizer.zeroGrad();
      let yPred: Tensor;
      [yPred, stateH] = model(x, stateH);
      const loss = criterion(yPred.transpose(1, 2), y);
      stateH = stateH.detach();
      loss.backward();
      nn.utils.clipGradValue_(model.parameters(), { clipValue: 0.1 });
      optimizer.step();
      losses.push(loss.item());
    }
    scheduler.step();
    print({ epoch, batch, lr: scheduler.getLastLr()[0] });
  }
}

function predict(dataset: JokesDataset, model: Model, text: string, nextWords = 12): string[] {
  model.eval();
  const words = text.split(" ");
  let stateH = model.initState(1);
  for (let i = 0; i < nextWords; i++) {
    const x = torch.tensor([words.slice(i).map((w) => dataset.wordToIndex.get(w)!)]);
    let yPred: Tensor;
    [yPred, stateH] = model(x, stateH);
    const lastWordLogits = yPred.index(0).index(-1);
    const p = F.softmax(lastWordLogits, { dim: 0 }).detach();
    const wordIndex = torch.multinomial(p, 1).item();
    words.push(dataset.indexToWord.get(wordIndex)!);
  }
  return words;
}

const dataset = new JokesDataset(sequenceLength);
const model = new Model(dataset);
print(model);
train(dataset, model);
print(predict(dataset, model, START).join(" "));
export const checks = { embedding: model.embedding.weight.sum({ dim: 0 }).tolist() };
