// A variational autoencoder of small pictures: reconstruction error plus KL divergence, both summed
import { torch, nn, F, optim, data, format, print, type Tensor } from "layerwise";

torch.manualSeed(1);
export const losses: number[] = [];
const [size, nImages, nTrain, batchSize, epochs] = [8, 128, 96, 32, 8];
const [pixels, hidden, latent] = [size * size, 48, 4];

// Small pictures: a bright square somewhere on a dim ground.
const images = torch.rand(nImages, 1, size, size).mul(0.2);
const corners = torch.randint(0, size - 3, [nImages, 2]);
for (let i = 0; i < nImages; i++) {
  const [row, column] = corners.index(i).tolist() as [number, number];
  images.index(i, 0, `${row}:${row + 4}`, `${column}:${column + 4}`).add_(0.7);
}

const trainLoader = new data.DataLoader(new data.TensorDataset(images.index(`:${nTrain}`)), {
  batchSize,
  shuffle: true,
});
const testLoader = new data.DataLoader(new data.TensorDataset(images.index(`${nTrain}:`)), {
  batchSize,
  shuffle: false,
});

class VAE extends nn.Module {
  fc1 = new nn.Linear(pixels, hidden);
  fc21 = new nn.Linear(hidden, latent);
  fc22 = new nn.Linear(hidden, latent);
  fc3 = new nn.Linear(latent, hidden);
  fc4 = new nn.Linear(hidden, pixels);

  encode(x: Tensor): [Tensor, Tensor] {
    const h1 = F.relu(this.fc1(x));
    return [this.fc21(h1), this.fc22(h1)];
  }

  reparameterize(mu: Tensor, logvar: Tensor): Tensor {
    const std = torch.exp(logvar.mul(0.5));
    const eps = torch.randnLike(std);
    return mu.add(eps.mul(std));
  }

  decode(z: Tensor): Tensor {
    const h3 = F.relu(this.fc3(z));
    return torch.sigmoid(this.fc4(h3));
  }

  forward(x: Tensor): [Tensor, Tensor, Tensor] {
    const [mu, logvar] = this.encode(x.view(-1, pixels));
    const z = this.reparameterize(mu, logvar);
    return [this.decode(z), mu, logvar];
  }
}

function lossFunction(reconX: Tensor, x: Tensor, mu: Tensor, logvar: Tensor): Tensor {
  const BCE = F.binaryCrossEntropy(reconX, x.view(-1, pixels), { reduction: "sum" });
  const KLD = torch.sum(logvar.add(1).sub(mu.pow(2)).sub(logvar.exp())).mul(-0.5);
  return BCE.add(KLD);
}

const model = new VAE();
const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 });

function train(epoch: number): void {
  model.train();
  let trainLoss = 0;
  for (const [batchIdx, [batch]] of [...trainLoader].entries()) {
    optimizer.zeroGrad();
    const [reconBatch, mu, logvar] = model(batch);
    const loss = lossFunction(reconBatch, batch, mu, logvar);
    loss.backward();
    trainLoss += loss.item();
    losses.push(loss.item());
    optimizer.step();
    if (batchIdx % 2 === 0)
      print(`Train Epoch: ${epoch} [${batchIdx * batch.size(0)}/${trainLoader.dataset.length}]`);
  }
  print(`====> Epoch: ${epoch} Average loss: ${format(trainLoss / trainLoader.dataset.length, ".2f")}`);
}

function test(): void {
  model.eval();
  let testLoss = 0;
  torch.noGrad(() => {
    for (const [batch] of testLoader) {
      const [reconBatch, mu, logvar] = model(batch);
      testLoss += lossFunction(reconBatch, batch, mu, logvar).item();
    }
  });
  losses.push(testLoss / testLoader.dataset.length);
  print(`====> Test set loss: ${format(losses.at(-1)!, ".1f")}`);
}

for (let epoch = 1; epoch <= epochs; epoch++) {
  train(epoch);
  test();
}

const sample = torch.noGrad(() => model.decode(torch.randn(6, latent)).view(6, 1, size, size));
export const checks = {
  sample: sample.mean([1, 2, 3]).tolist(),
  mu: model.encode(images.index(":2").view(-1, pixels))[0].flatten().tolist(),
};
