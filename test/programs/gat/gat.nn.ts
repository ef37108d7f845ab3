// A graph attention network: every node weighs its neighbours, with several heads
import { torch, nn, F, optim, format, print, type Parameter, type Tensor } from "layerwise";

torch.manualSeed(72);
export const losses: number[] = [];

// A ring of cliques; the class of a node is that of its clique, its features say so only now and then.
const [nCliques, clique, nFeatures, nClasses, nTrain] = [8, 6, 12, 4, 16];
const [nHidden, nHeads, epochs, patience] = [6, 3, 40, 15];
const nNodes = nCliques * clique;
const adj = torch.zeros(nNodes, nNodes);
for (let i = 0; i < nCliques; i++) {
  const [start, end] = [i * clique, (i + 1) * clique];
  adj.indexPut_([`${start}:${end}`, `${start}:${end}`], 1);
  const bridge = end % nNodes;
  adj.indexPut_([end - 1, bridge], 1);
  adj.indexPut_([bridge, end - 1], 1);
}
const labels = torch.repeatInterleave(torch.arange(nCliques).remainder(nClasses), clique);
const features = F.oneHot(labels, nFeatures)
  .float()
  .mul(torch.rand(nNodes, 1).lt(0.6))
  .add(torch.randn(nNodes, nFeatures).mul(0.3));
const perm = torch.randperm(nNodes);
const [idxTrain, idxVal] = [perm.index(`:${nTrain}`), perm.index(`${nTrain}:`)];

class GraphAttentionLayer extends nn.Module {
  dropout: number;
  inFeatures: number;
  outFeatures: number;
  alpha: number;
  concat: boolean;
  W: Parameter;
  a: Parameter;
  leakyrelu: nn.LeakyReLU;

  constructor(
    inFeatures: number,
    outFeatures: number,
    dropout: number,
    alpha: number,
    { concat = true } = {},
  ) {
    super();
    this.dropout = dropout;
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.alpha = alpha;
    this.concat = concat;
    this.W = new nn.Parameter(torch.empty({ size: [inFeatures, outFeatures] }));
    nn.init.xavierUniform_(this.W.data, { gain: 1.414 });
    this.a = new nn.Parameter(torch.empty({ size: [2 * outFeatures, 1] }));
    nn.init.xavierUniform_(this.a.data, { gain: 1.414 });
    this.leakyrelu = new nn.LeakyReLU(this.alpha);
  }

  forward(h: Tensor, adj: Tensor): Tensor {
    const Wh = torch.mm(h, this.W);
    const e = this.prepareAttentionalMechanismInput(Wh);
    const zeroVec = torch.onesLike(e).mul(-9e15);
    let attention = torch.where(adj.gt(0), e, zeroVec);
    attention = F.softmax(attention, { dim: 1 });
    attention = F.dropout(attention, this.dropout, { training: this.training });
    const hPrime = torch.matmul(attention, Wh);
    if (this.concat) return F.elu(hPrime);
    return hPrime;
  }

  prepareAttentionalMechanismInput(Wh: Tensor): Tensor {
    const Wh1 = torch.matmul(Wh, this.a.index(`:${this.outFeatures}`, ":"));
    const Wh2 = torch.matmul(Wh, this.a.index(`${this.outFeatures}:`, ":"));
    const e = Wh1.add(Wh2.T);
    return this.leakyrelu(e);
  }
}

class GAT extends nn.Module {
  static override stateDictNames = "snake_case" as const;
  dropout: number;
  attentions: GraphAttentionLayer[];
  // Not a field at once: it comes after the modules that are added by name.
  declare outAtt: GraphAttentionLayer;

  constructor(
    nfeat: number,
    nhid: number,
    nclass: number,
    { dropout, alpha, nheads }: { dropout: number; alpha: number; nheads: number },
  ) {
    super();
    this.dropout = dropout;
    this.attentions = Array.from(
      { length: nheads },
      () => new GraphAttentionLayer(nfeat, nhid, dropout, alpha, { concat: true }),
    );
    for (const [i, attention] of this.attentions.entries()) this.addModule(`attention_${i}`, attention);
    this.outAtt = new GraphAttentionLayer(nhid * nheads, nclass, dropout, alpha, { concat: false });
  }

  forward(x: Tensor, adj: Tensor): Tensor {
    x = F.dropout(x, this.dropout, { training: this.training });
    x = torch.cat(
      this.attentions.map((att) => att(x, adj)),
      { dim: 1 },
    );
    x = F.dropout(x, this.dropout, { training: this.training });
    x = F.elu(this.outAtt(x, adj));
    return F.logSoftmax(x, { dim: 1 });
  }
}

const model = new GAT(nFeatures, nHidden, nClasses, { dropout: 0.4, alpha: 0.2, nheads: nHeads });
print(model);
const optimizer = new optim.Adam(model.parameters(), { lr: 0.01, weightDecay: 5e-4 });

let [badCounter, best, bestEpoch] = [0, Infinity, 0];
const accuracies: number[] = [];
for (let epoch = 0; epoch < epochs; epoch++) {
  model.train();
  optimizer.zeroGrad();
  let output = model(features, adj);
  const lossTrain = F.nllLoss(output.index(idxTrain), labels.index(idxTrain));
  lossTrain.backward();
  optimizer.step();

  model.eval();
  const [lossVal, accuracy] = torch.noGrad(() => {
    output = model(features, adj);
    return [
      F.nllLoss(output.index(idxVal), labels.index(idxVal)),
      output.index(idxVal).argmax({ dim: -1 }).eq(labels.index(idxVal)).float().mean(),
    ];
  });
  losses.push(lossTrain.item(), lossVal.item());
  accuracies.push(accuracy.item());

  if (lossVal.item() < best) [best, bestEpoch, badCounter] = [lossVal.item(), epoch, 0];
  else badCounter += 1;
  if (badCounter === patience) break;
}

print(`best epoch ${bestEpoch}, accuracy ${format(accuracies[bestEpoch], ".4f")}`);
export const checks = { accuracy: accuracies, best: [best] };
