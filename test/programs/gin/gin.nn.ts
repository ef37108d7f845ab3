/** A graph isomorphism network (Xu et al., 2019) on batches of random graphs, whose sizes change with each batch. */
import { F, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(19);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [N_TRAIN, N_TEST, BATCH, EPOCHS] = [48, 16, 12, 5];
const [MIN_NODES, MAX_NODES, HIDDEN, LAYERS] = [5, 12, 16, 3];
const [NUM_FEATURES, NUM_CLASSES] = [6, 2];

/** A graph: features of its nodes, edges as two rows of indices, and its class. */
class Data {
  x: Tensor;
  edgeIndex: Tensor;
  y: number;

  constructor(x: Tensor, edgeIndex: Tensor, y: number) {
    this.x = x;
    this.edgeIndex = edgeIndex;
    this.y = y;
  }

  get numNodes(): number {
    return this.x.size(0);
  }
}

/** Graphs as one graph of components that aren't connected. */
class Batch {
  numGraphs: number;
  x: Tensor;
  y: Tensor;
  edgeIndex: Tensor;
  batch: Tensor;

  constructor(graphs: Data[]) {
    this.numGraphs = graphs.length;
    this.x = torch.cat(graphs.map((g) => g.x));
    this.y = torch.tensor(graphs.map((g) => g.y));
    const edges: Tensor[] = [];
    let offset = 0;
    for (const g of graphs) {
      edges.push(g.edgeIndex.add(offset));
      offset += g.numNodes;
    }
    this.edgeIndex = torch.cat(edges, { dim: 1 });
    const counts = torch.tensor(graphs.map((g) => g.numNodes));
    this.batch = torch.repeatInterleave(torch.arange(this.numGraphs), counts);
  }
}

class DataLoader {
  graphs: Data[];
  batchSize: number;
  shuffle: boolean;

  constructor(graphs: Data[], batchSize: number, { shuffle = false } = {}) {
    this.graphs = graphs;
    this.batchSize = batchSize;
    this.shuffle = shuffle;
  }

  *[Symbol.iterator](): Generator<Batch> {
    const n = this.graphs.length;
    const order = this.shuffle
      ? (torch.randperm(n).tolist() as number[])
      : Array.from({ length: n }, (_, i) => i);
    for (let start = 0; start < n; start += this.batchSize)
      yield new Batch(order.slice(start, start + this.batchSize).map((i) => this.graphs[i]));
  }
}

/** Two communities or none, with the same number of edges on average; a node's features are its degree. */
function randomGraph(): Data {
  const n = torch.randint(MIN_NODES, MAX_NODES + 1, [1]).item();
  const y = torch.randint(0, 2, [1]).item();
  const group = torch.arange(n).remainder(2);
  const same = group.unsqueeze(0).eq(group.unsqueeze(1));
  const probability = y === 1 ? torch.where(same, 0.7, 0.1) : torch.full([n, n], 0.4);
  const upper = torch.rand(n, n).lt(probability).triu({ diagonal: 1 });
  const adjacency = upper.logicalOr(upper.t());
  const edgeIndex = adjacency.nonzero().t().contiguous();
  const degree = torch.zeros(n).indexAdd_(0, edgeIndex.index(0), torch.ones(edgeIndex.size(1)));
  const x = F.oneHot(degree.long().clamp({ max: NUM_FEATURES - 1 }), NUM_FEATURES).float();
  return new Data(x, edgeIndex, y);
}

function globalAddPool(x: Tensor, batch: Tensor, size: number): Tensor {
  return torch.zeros(size, x.size(-1)).indexAdd_(0, batch, x);
}

function globalMeanPool(x: Tensor, batch: Tensor, size: number): Tensor {
  const index = batch.unsqueeze(-1).expandAs(x);
  const total = torch.zeros(size, x.size(-1)).scatterAdd_(0, index, x);
  const count = torch.zeros(size).scatterAdd_(0, batch, torch.ones(batch.size(0)));
  return total.div(count.clamp({ min: 1 }).unsqueeze(-1));
}

function globalMaxPool(x: Tensor, batch: Tensor, size: number): Tensor {
  const index = batch.unsqueeze(-1).expandAs(x);
  return torch.zeros(size, x.size(-1)).scatterReduce(0, index, x, { reduce: "amax", includeSelf: false });
}

class GINConv extends nn.Module {
  nn: nn.Sequential;
  initialEps: number;
  declare eps: Tensor;

  constructor(mlp: nn.Sequential, { eps = 0.0, trainEps = false } = {}) {
    super();
    this.nn = mlp;
    this.initialEps = eps;
    if (trainEps) this.eps = new nn.Parameter(torch.tensor([eps], { dtype: torch.float32 }));
    else this.registerBuffer("eps", torch.tensor([eps], { dtype: torch.float32 }));
  }

  forward(x: Tensor, edgeIndex: Tensor): Tensor {
    const [src, dst] = edgeIndex;
    let out = torch.zerosLike(x).indexAdd(0, dst, x.index(src));
    out = out.add(this.eps.add(1).mul(x));
    return this.nn(out);
  }
}

class GIN extends nn.Module {
  convs: nn.ModuleList<GINConv>;
  batch_norms: nn.ModuleList<nn.BatchNorm1d>;
  lin1: nn.Linear;
  lin2: nn.Linear;

  constructor(inChannels: number, hiddenChannels: number, outChannels: number, numLayers: number) {
    super();
    this.convs = new nn.ModuleList();
    this.batch_norms = new nn.ModuleList();
    for (let i = 0; i < numLayers; i++) {
      const mlp = new nn.Sequential(
        new nn.Linear(inChannels, 2 * hiddenChannels, { bias: false }),
        new nn.BatchNorm1d(2 * hiddenChannels),
        new nn.ReLU(),
        new nn.Linear(2 * hiddenChannels, hiddenChannels, { bias: false }),
      );
      this.convs.append(new GINConv(mlp, { trainEps: true }));
      this.batch_norms.append(new nn.BatchNorm1d(hiddenChannels));
      inChannels = hiddenChannels;
    }
    this.lin1 = new nn.Linear(3 * hiddenChannels, hiddenChannels);
    this.lin2 = new nn.Linear(hiddenChannels, outChannels);
  }

  forward(x: Tensor, edgeIndex: Tensor, batch: Tensor, size: number): Tensor {
    for (const [i, conv] of this.convs.entries()) x = F.relu(this.batch_norms[i](conv(x, edgeIndex)));
    x = torch.cat(
      [globalAddPool(x, batch, size), globalMeanPool(x, batch, size), globalMaxPool(x, batch, size)],
      { dim: 1 },
    );
    x = F.relu(this.lin1(x));
    x = F.dropout(x, { p: 0.5, training: this.training });
    x = this.lin2(x);
    return F.logSoftmax(x, { dim: -1 });
  }
}

const dataset = Array.from({ length: N_TRAIN + N_TEST }, randomGraph);
print(
  "nodes",
  dataset.reduce((sum, g) => sum + g.numNodes, 0),
  "edges",
  dataset.reduce((sum, g) => sum + g.edgeIndex.size(1), 0),
);
const trainLoader = new DataLoader(dataset.slice(0, N_TRAIN), BATCH, { shuffle: true });
const testLoader = new DataLoader(dataset.slice(N_TRAIN), BATCH);
const model = new GIN(NUM_FEATURES, HIDDEN, NUM_CLASSES, LAYERS);
print(model);
const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
const scheduler = new optim.lrScheduler.StepLR(optimizer, { stepSize: 2, gamma: 0.5 });

function train(): number {
  model.train();
  let totalLoss = 0;
  for (const data of trainLoader) {
    optimizer.zeroGrad();
    const out = model(data.x, data.edgeIndex, data.batch, data.numGraphs);
    const loss = F.nllLoss(out, data.y);
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
    totalLoss += loss.item() * data.numGraphs;
  }
  return totalLoss / N_TRAIN;
}

function test(loader: DataLoader): number {
  return torch.noGrad(() => {
    model.eval();
    let totalCorrect = 0;
    for (const data of loader) {
      const out = model(data.x, data.edgeIndex, data.batch, data.numGraphs);
      const pred = out.argmax({ dim: -1 });
      totalCorrect += pred.eq(data.y).sum().item();
    }
    return totalCorrect;
  });
}

const means: number[] = [];
for (let epoch = 1; epoch <= EPOCHS; epoch++) {
  means.push(train());
  const correct = test(testLoader);
  scheduler.step();
  print(`epoch ${epoch}: ${correct} of ${N_TEST} right, lr ${format(scheduler.getLastLr()[0], "g")}`);
}
checks["means"] = means;
checks["eps"] = [...model.convs].map((conv) => conv.eps.item());
torch.noGrad(() => {
  const data = testLoader[Symbol.iterator]().next().value as Batch;
  const out = model(data.x, data.edgeIndex, data.batch, data.numGraphs);
  checks["out"] = out.flatten().tolist() as number[];
});
