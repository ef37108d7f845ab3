/** A table with categories and numbers: an embedding each, batch norm, dropout; one output for a price. */
import { data, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(4);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [N, N_TRAIN, BATCH, EPOCHS] = [120, 96, 32, 6];
const [HIDDEN_1, HIDDEN_2] = [24, 12];
const CARDINALITIES = { district: 6, kind: 3, heating: 4 };

class Houses extends data.Dataset<{ cats: Tensor; conts: Tensor; price: Tensor }> {
  cats: Tensor;
  conts: Tensor;
  target: Tensor;

  constructor(n: number) {
    super();
    this.cats = torch.stack(
      Object.values(CARDINALITIES).map((c) => torch.randint(0, c, [n])),
      { dim: 1 },
    );
    this.conts = torch.rand(n, 3);
    const worth = torch.tensor([1.0, 2.0, 0.5, 1.5, 3.0, 0.2]);
    const price = worth
      .index(this.cats.index(":", 0))
      .add(this.conts.index(":", 0).mul(2).mul(this.cats.index(":", 1).add(1)))
      .sub(this.conts.index(":", 2));
    this.target = price.add(torch.randn(n).mul(0.05));
  }

  get length(): number {
    return this.target.size(0);
  }

  get(i: number): { cats: Tensor; conts: Tensor; price: Tensor } {
    return { cats: this.cats.index(i), conts: this.conts.index(i), price: this.target.index(i) };
  }
}

type Sizes = Record<string, [ni: number, nf: number]>;

class TabularModel extends nn.Module {
  embeds: nn.ModuleDict<nn.Embedding>;
  emb_drop: nn.Dropout;
  bn_cont: nn.BatchNorm1d;
  layers: nn.Sequential;

  constructor(embSzs: Sizes, nCont: number, outSz: number, layers: number[], p = 0.1) {
    super();
    this.embeds = new nn.ModuleDict(
      Object.fromEntries(Object.entries(embSzs).map(([name, [ni, nf]]) => [name, new nn.Embedding(ni, nf)])),
    );
    this.emb_drop = new nn.Dropout(p);
    this.bn_cont = new nn.BatchNorm1d(nCont);
    const layerlist: nn.Module[] = [];
    const nEmb = Object.values(embSzs).reduce((sum, [, nf]) => sum + nf, 0);
    let nIn = nEmb + nCont;
    for (const i of layers) {
      layerlist.push(new nn.Linear(nIn, i));
      layerlist.push(new nn.ReLU({ inplace: true }));
      layerlist.push(new nn.BatchNorm1d(i));
      layerlist.push(new nn.Dropout(p));
      nIn = i;
    }
    layerlist.push(new nn.Linear(layers.at(-1)!, outSz));
    this.layers = new nn.Sequential(...layerlist);
  }

  forward(xCat: Tensor, xCont: Tensor): Tensor {
    const embeddings: Tensor[] = [];
    for (const [i, e] of [...this.embeds.values()].entries()) embeddings.push(e(xCat.index(":", i)));
    let x = torch.cat(embeddings, 1);
    x = this.emb_drop(x);
    xCont = this.bn_cont(xCont);
    x = torch.cat([x, xCont], 1);
    return this.layers(x);
  }
}

const dataset = new Houses(N);
const [trainSet, valSet] = data.randomSplit(dataset, [N_TRAIN, N - N_TRAIN]);
const trainLoader = new data.DataLoader(trainSet, { batchSize: BATCH, shuffle: true });
const valLoader = new data.DataLoader(valSet, { batchSize: N - N_TRAIN });
const embSzs: Sizes = Object.fromEntries(
  Object.entries(CARDINALITIES).map(([name, size]) => [
    name,
    [size, Math.min(50, Math.floor((size + 1) / 2))],
  ]),
);
const model = new TabularModel(embSzs, 3, 1, [HIDDEN_1, HIDDEN_2]);
print(model);
const criterion = new nn.MSELoss();
const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
let loss = torch.tensor(0.0);
let yVal = loss;
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  model.train();
  for (const batch of trainLoader) {
    const yPred = model(batch.cats, batch.conts);
    loss = torch.sqrt(criterion(yPred.squeeze(1), batch.price));
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
  model.eval();
  torch.noGrad(() => {
    for (const batch of valLoader) {
      yVal = model(batch.cats, batch.conts);
      loss = torch.sqrt(criterion(yVal.squeeze(1), batch.price));
    }
  });
  print(`epoch: ${format(epoch + 1, "3")}  batches: ${trainLoader.length}`);
}
checks["rmse"] = [loss.item()];
checks["prices"] = yVal.index(":4").flatten().tolist() as number[];
