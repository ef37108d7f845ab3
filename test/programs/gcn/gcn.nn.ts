// A graph convolutional network that finds the communities of a graph from a few labelled nodes
import { torch, nn, F, optim, format, print, type Parameter, type Tensor } from "layerwise";

torch.manualSeed(42);
export const losses: number[] = [];

// A graph of three communities: edges are likely inside of one, and rare between two.
const [nNodes, nClasses, nFeatures, nHidden] = [60, 3, 16, 16];
const [pInside, pBetween] = [0.2, 0.02];
const [nTrain, nVal] = [4, 6]; // in each community; the others are for the test
const epochs = 50;

const perClass = Math.floor(nNodes / nClasses);
const labels = torch.arange(nNodes).floorDivide(perClass);
const same = labels.unsqueeze(0).eq(labels.unsqueeze(1));
const probability = torch.where(same, pInside, pBetween);
let adjacency = torch.rand(nNodes, nNodes).lt(probability).float().triu({ diagonal: 1 });
adjacency = adjacency.add(adjacency.T);
const features = torch.randn(nNodes, nFeatures);
features.indexPut_([torch.arange(nNodes), labels], features.index(torch.arange(nNodes), labels).add(1.0));

/** Row-normalizes a matrix. */
function normalize(mx: Tensor): Tensor {
  const rowsum = mx.sum(1);
  const rInv = rowsum.pow(-1);
  rInv.indexPut_([torch.isinf(rInv)], 0.0);
  return torch.diag(rInv).matmul(mx);
}

const adj = normalize(adjacency.add(torch.eye(nNodes))).toSparse();
const starts = Array.from({ length: nClasses }, (_, c) => c * perClass);
const idxTrain = torch.cat(starts.map((s) => torch.arange(s, s + nTrain)));
const idxVal = torch.cat(starts.map((s) => torch.arange(s + nTrain, s + nTrain + nVal)));
const idxTest = torch.cat(starts.map((s) => torch.arange(s + nTrain + nVal, s + perClass)));

class GraphConvolution extends nn.Module {
  inFeatures: number;
  outFeatures: number;
  weight: Parameter;
  declare bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, { bias = true } = {}) {
    super();
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.weight = new nn.Parameter(torch.empty(inFeatures, outFeatures));
    if (bias) this.bias = new nn.Parameter(torch.empty(outFeatures));
    else this.registerParameter("bias", null);
    this.resetParameters();
  }

  resetParameters(): void {
    const stdv = 1.0 / Math.sqrt(this.weight.size(1));
    this.weight.data.uniform_(-stdv, stdv);
    if (this.bias !== null) this.bias.data.uniform_(-stdv, stdv);
  }

  forward(input: Tensor, adj: Tensor): Tensor {
    const support = torch.mm(input, this.weight);
    const output = torch.spmm(adj, support);
    if (this.bias !== null) return output.add(this.bias);
    return output;
  }

  override toString(): string {
    return `${this.constructor.name} (${this.inFeatures} -> ${this.outFeatures})`;
  }
}

class GCN extends nn.Module {
  gc1: GraphConvolution;
  gc2: GraphConvolution;
  dropout: number;

  constructor({ nfeat, nhid, nclass, dropout }: Record<"nfeat" | "nhid" | "nclass" | "dropout", number>) {
    super();
    this.gc1 = new GraphConvolution(nfeat, nhid);
    this.gc2 = new GraphConvolution(nhid, nclass);
    this.dropout = dropout;
  }

  forward(x: Tensor, adj: Tensor): Tensor {
    x = F.relu(this.gc1(x, adj));
    x = F.dropout(x, this.dropout, { training: this.training });
    x = this.gc2(x, adj);
    return F.logSoftmax(x, { dim: 1 });
  }
}

function accuracy(output: Tensor, labels: Tensor): Tensor {
  const preds = output.max(1).indices.typeAs(labels);
  let correct = preds.eq(labels).float();
  correct = correct.sum();
  return correct.div(labels.size(0));
}

const model = new GCN({ nfeat: nFeatures, nhid: nHidden, nclass: nClasses, dropout: 0.5 });
print(model);
const optimizer = new optim.Adam(model.parameters(), { lr: 0.01, weightDecay: 5e-4 });

function train(epoch: number): void {
  model.train();
  optimizer.zeroGrad();
  let output = model(features, adj);
  const lossTrain = F.nllLoss(output.index(idxTrain), labels.index(idxTrain));
  const accTrain = accuracy(output.index(idxTrain), labels.index(idxTrain));
  lossTrain.backward();
  optimizer.step();

  // Evaluates the validation set's performance separately: no dropout.
  model.eval();
  output = model(features, adj);
  const lossVal = F.nllLoss(output.index(idxVal), labels.index(idxVal));
  const accVal = accuracy(output.index(idxVal), labels.index(idxVal));
  losses.push(lossTrain.item());
  losses.push(lossVal.item());
  if ((epoch + 1) % 10 === 0)
    print(
      `Epoch: ${format(epoch + 1, "04d")} acc_train: ${format(accTrain.item(), ".4f")} ` +
        `acc_val: ${format(accVal.item(), ".4f")}`,
    );
}

function test(): number {
  model.eval();
  const output = model(features, adj);
  const lossTest = F.nllLoss(output.index(idxTest), labels.index(idxTest));
  const accTest = accuracy(output.index(idxTest), labels.index(idxTest));
  print(`Test set results: accuracy = ${format(accTest.item(), ".4f")}`);
  return lossTest.item();
}

for (let epoch = 0; epoch < epochs; epoch++) train(epoch);
export const checks = { test: [test()], edges: [adj.toDense().countNonzero().item()] };
