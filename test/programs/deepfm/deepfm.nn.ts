/** DeepFM (Guo et al., 2017): clicks from columns of categories, by a factorization machine and a deep network. */
import { data, format, nn, optim, print, torch, type Parameter, type Tensor } from "layerwise";

const { DataLoader, TensorDataset } = data;

torch.manualSeed(14);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [FIELDS, FIELD_SIZE, EMBED_DIM] = [6, 20, 4];
const [N_TRAIN, N_TEST, BATCH, EPOCHS] = [240, 80, 24, 3];
const [MLP_1, MLP_2] = [16, 8];
const DROPOUT = 0.2;

const sum = (list: number[]): number => list.reduce((a, b) => a + b, 0);

class FeaturesLinear extends nn.Module {
  fc: nn.Embedding;
  bias: Parameter;
  declare offsets: Tensor;

  constructor(fieldDims: number[], { outputDim = 1 } = {}) {
    super();
    this.fc = new nn.Embedding(sum(fieldDims), outputDim);
    this.bias = new nn.Parameter(torch.zeros([outputDim]));
    this.registerBuffer("offsets", torch.tensor([0, ...fieldDims.slice(0, -1)]).cumsum(0));
  }

  forward(x: Tensor): Tensor {
    x = x.add(this.offsets.unsqueeze(0));
    return torch.sum(this.fc(x), { dim: 1 }).add(this.bias);
  }
}

class FeaturesEmbedding extends nn.Module {
  embedding: nn.Embedding;
  declare offsets: Tensor;

  constructor(fieldDims: number[], embedDim: number) {
    super();
    this.embedding = new nn.Embedding(sum(fieldDims), embedDim);
    this.registerBuffer("offsets", torch.tensor([0, ...fieldDims.slice(0, -1)]).cumsum(0));
    nn.init.xavierUniform_(this.embedding.weight.data);
  }

  forward(x: Tensor): Tensor {
    x = x.add(this.offsets.unsqueeze(0));
    return this.embedding(x);
  }
}

/** Sums the products of all pairs of embeddings, as half of a square of sums minus a sum of squares. */
class FactorizationMachine extends nn.Module {
  reduceSum: boolean;

  constructor({ reduceSum = true } = {}) {
    super();
    this.reduceSum = reduceSum;
  }

  forward(x: Tensor): Tensor {
    const squareOfSum = torch.sum(x, { dim: 1 }).pow(2);
    const sumOfSquare = torch.sum(x.pow(2), { dim: 1 });
    let ix = squareOfSum.sub(sumOfSquare);
    if (this.reduceSum) ix = torch.sum(ix, { dim: 1, keepdim: true });
    return ix.mul(0.5);
  }
}

class MultiLayerPerceptron extends nn.Module {
  mlp: nn.Sequential;

  constructor(inputDim: number, embedDims: number[], dropout: number, { outputLayer = true } = {}) {
    super();
    const layers: nn.Module[] = [];
    for (const embedDim of embedDims) {
      layers.push(new nn.Linear(inputDim, embedDim, { bias: false }));
      layers.push(new nn.BatchNorm1d(embedDim));
      layers.push(new nn.ReLU());
      layers.push(new nn.Dropout({ p: dropout }));
      inputDim = embedDim;
    }
    if (outputLayer) layers.push(new nn.Linear(inputDim, 1));
    this.mlp = new nn.Sequential(...layers);
  }

  forward(x: Tensor): Tensor {
    return this.mlp(x);
  }
}

class DeepFM extends nn.Module {
  linear: FeaturesLinear;
  fm: FactorizationMachine;
  embedding: FeaturesEmbedding;
  embedOutputDim: number;
  mlp: MultiLayerPerceptron;

  constructor(fieldDims: number[], embedDim: number, mlpDims: number[], dropout: number) {
    super();
    this.linear = new FeaturesLinear(fieldDims);
    this.fm = new FactorizationMachine({ reduceSum: true });
    this.embedding = new FeaturesEmbedding(fieldDims, embedDim);
    this.embedOutputDim = fieldDims.length * embedDim;
    this.mlp = new MultiLayerPerceptron(this.embedOutputDim, mlpDims, dropout);
  }

  forward(x: Tensor): Tensor {
    const embedX = this.embedding(x);
    x = this.linear(x)
      .add(this.fm(embedX))
      .add(this.mlp(embedX.view(-1, this.embedOutputDim)));
    return x.squeeze(1);
  }
}

/** Few categories of each column are frequent; hidden vectors of the categories say who clicks. */
function makeClicks(n: number): [Tensor, Tensor] {
  const x = torch.rand(n, FIELDS).pow(3).mul(FIELD_SIZE).long();
  const angle = x.mul(torch.arange(FIELDS).add(1)).mul(0.7);
  const hidden = torch.stack([torch.sin(angle), torch.cos(angle)], { dim: -1 });
  const score = hidden.sum(1).pow(2).sum(-1).sub(FIELDS).div(FIELDS).add(hidden.index("...", 0).mean(1));
  const y = torch.bernoulli(torch.sigmoid(score.mul(2)));
  return [x, y];
}

/** The share of pairs that are ordered rightly, by ranks; equal predictions share their mean rank. */
function rocAucScore(targets: Tensor, predictions: Tensor): number {
  const [, inverse, counts] = torch.unique(predictions, { returnInverse: true, returnCounts: true });
  const ends = counts.cumsum(0).float();
  const ranks = ends.sub(counts.float().sub(1).div(2)).index(inverse);
  const positives = targets.sum();
  const negatives = torch.sub(targets.size(0), positives);
  return ranks
    .index(targets.eq(1))
    .sum()
    .sub(positives.mul(positives.add(1)).div(2))
    .div(positives.mul(negatives))
    .item();
}

const trainSet = new TensorDataset(...makeClicks(N_TRAIN));
const testSet = new TensorDataset(...makeClicks(N_TEST));
const trainLoader = new DataLoader(trainSet, { batchSize: BATCH, shuffle: true });
const testLoader = new DataLoader(testSet, { batchSize: BATCH });
print(trainLoader.length, testLoader.length, ...trainSet.get(0));
const model = new DeepFM(Array<number>(FIELDS).fill(FIELD_SIZE), EMBED_DIM, [MLP_1, MLP_2], DROPOUT);
print(model);
const criterion = new nn.BCEWithLogitsLoss();
const optimizer = new optim.Adam(model.parameters(), { lr: 1e-2, weightDecay: 1e-6 });

function train(): number {
  model.train();
  let totalLoss = 0;
  for (const [fields, target] of trainLoader) {
    const y = model(fields);
    const loss = criterion(y, target.float());
    model.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
    totalLoss += loss.item();
  }
  return totalLoss / trainLoader.length;
}

function test(): [auc: number, predicts: number[]] {
  model.eval();
  const targets: number[] = [];
  const predicts: number[] = [];
  torch.noGrad(() => {
    for (const [fields, target] of testLoader) {
      const y = torch.sigmoid(model(fields));
      targets.push(...(target.tolist() as number[]));
      predicts.push(...(y.tolist() as number[]));
    }
  });
  return [rocAucScore(torch.tensor(targets), torch.tensor(predicts)), predicts];
}

const means: number[] = [];
const aucs: number[] = [];
let predicts: number[] = [];
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  means.push(train());
  let auc: number;
  [auc, predicts] = test();
  aucs.push(auc);
  print(`epoch ${epoch}: auc ${format(auc, ".2f")}`);
}
checks["means"] = means;
checks["auc"] = aucs;
checks["predicts"] = predicts.slice(0, 8);
checks["norms"] = [model.embedding.embedding.weight.norm().item(), model.linear.fc.weight.norm().item()];
