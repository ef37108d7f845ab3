// A siamese network: pairs with a contrastive loss, then triplets, and the nearest neighbour as the answer
import { torch, nn, F, optim, data, format, print, type Tensor } from "layerwise";

torch.manualSeed(17);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};

// Signatures of six writers: a shape of their own, and noise.
const [nWriters, perWriter, size] = [6, 10, 12];
const [batchSize, epochs] = [12, 6];
const side = Math.floor((Math.floor((size - 3) / 2) + 1) / 2); // of the last feature map
const shapes = torch.randn(nWriters, 1, size, size);
const drawings = shapes
  .repeatInterleave(perWriter, { dim: 0 })
  .add(torch.randn(nWriters * perWriter, 1, size, size).mul(0.6));
const writers = torch.arange(nWriters).repeatInterleave(perWriter);

/** Pairs: two drawings of one writer with label 0, or of two writers with label 1. */
class SiameseDataset extends data.Dataset<[Tensor, Tensor, Tensor]> {
  constructor(
    readonly drawings: Tensor,
    readonly writers: Tensor,
  ) {
    super();
  }

  get(index: number): [Tensor, Tensor, Tensor] {
    const same = index % 2 === 0;
    let other: number;
    while (true) {
      other = torch.randint(this.drawings.size(0), [1]).item();
      if (Boolean(this.writers.index(other).eq(this.writers.index(index)).item()) === same) break;
    }
    return [this.drawings.index(index), this.drawings.index(other), torch.tensor([same ? 0.0 : 1.0])];
  }

  get length(): number {
    return this.drawings.size(0);
  }
}

class SiameseNetwork extends nn.Module {
  cnn1 = new nn.Sequential(
    new nn.ReflectionPad2d(1),
    new nn.Conv2d(1, 4, { kernelSize: 3 }),
    new nn.ReLU({ inplace: true }),
    new nn.BatchNorm2d(4),
    new nn.Conv2d(4, 8, { kernelSize: 3, stride: 2 }),
    new nn.ReLU({ inplace: true }),
    new nn.BatchNorm2d(8),
    new nn.MaxPool2d(2, { stride: 2 }),
  );
  fc1 = new nn.Sequential(
    new nn.Linear(8 * side * side, 24),
    new nn.ReLU({ inplace: true }),
    new nn.Linear(24, 6),
  );

  forwardOnce(x: Tensor): Tensor {
    let output = this.cnn1(x);
    output = output.view(output.size()[0], -1);
    output = this.fc1(output);
    return output;
  }

  forward(input1: Tensor, input2: Tensor): [Tensor, Tensor] {
    const output1 = this.forwardOnce(input1);
    const output2 = this.forwardOnce(input2);
    return [output1, output2];
  }
}

class ContrastiveLoss extends nn.Module {
  constructor(readonly margin = 2.0) {
    super();
  }

  forward(output1: Tensor, output2: Tensor, label: Tensor): Tensor {
    const euclideanDistance = F.pairwiseDistance(output1, output2, { keepdim: true });
    const lossContrastive = torch.mean(
      label
        .neg()
        .add(1)
        .mul(torch.pow(euclideanDistance, 2))
        .add(label.mul(torch.pow(torch.clamp(euclideanDistance.neg().add(this.margin), { min: 0.0 }), 2))),
    );
    return lossContrastive;
  }
}

const net = new SiameseNetwork();
const criterion = new ContrastiveLoss();
let optimizer: optim.Optimizer = new optim.Adam(net.parameters(), { lr: 0.005 });
const trainDataloader = new data.DataLoader(new SiameseDataset(drawings, writers), {
  shuffle: true,
  batchSize,
});

for (let epoch = 0; epoch < epochs; epoch++) {
  let lossContrastive!: Tensor;
  for (const [img0, img1, label] of trainDataloader) {
    optimizer.zeroGrad();
    const [output1, output2] = net(img0, img1);
    lossContrastive = criterion(output1, output2, label);
    lossContrastive.backward();
    optimizer.step();
    losses.push(lossContrastive.item());
  }
  print(`Epoch number ${epoch}\n Current loss ${format(lossContrastive.item(), ".2f")}`);
}

// The same network, with triplets: an anchor, another of its writer, one of the next writer.
const tripletLoss = new nn.TripletMarginLoss({ margin: 1.0, p: 2 });
optimizer = new optim.SGD(net.parameters(), { lr: 0.01, momentum: 0.9, nesterov: true });
const anchors = torch.arange(0, drawings.size(0), 2);
for (let step = 0; step < 15; step++) {
  optimizer.zeroGrad({ setToNone: true });
  const anchor = net.forwardOnce(drawings.index(anchors));
  const positive = net.forwardOnce(drawings.index(anchors.add(1)));
  const negative = net.forwardOnce(drawings.index(anchors.add(perWriter).remainder(drawings.size(0))));
  const loss = tripletLoss(anchor, positive, negative);
  loss.backward();
  optimizer.step();
  losses.push(loss.item());
}

net.eval();
torch.noGrad(() => {
  const embeddings = net.forwardOnce(drawings);
  const distances = torch.cdist(embeddings, embeddings);
  distances.fillDiagonal_(Infinity);
  const nearest = distances.argmin({ dim: 1 });
  const right = writers.index(nearest).eq(writers).sum().item();
  const similarity = F.cosineSimilarity(embeddings.index(0), embeddings.index(1), { dim: 0 });
  print(`${right} of ${drawings.size(0)} nearest neighbours are of the same writer`);
  checks.similarity = [similarity.item()];
  checks.distances = distances.index(0, "1:7").tolist() as number[];
});
