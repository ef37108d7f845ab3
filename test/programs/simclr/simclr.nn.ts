/** SimCLR (Chen et al., 2020): two views of each picture attract, all others repel (NT-Xent), then a linear probe. */
import { F, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(77);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [N, SIZE, WIDTH, EPOCHS] = [24, 12, 8, 12];

class Encoder extends nn.Module {
  backbone: nn.Sequential;
  projector: nn.Sequential;

  constructor(outDim = 16) {
    super();
    this.backbone = new nn.Sequential(
      new nn.Conv2d(1, WIDTH, 3, { stride: 2, padding: 1 }),
      new nn.BatchNorm2d(WIDTH),
      new nn.ReLU(),
      new nn.Conv2d(WIDTH, 2 * WIDTH, 3, { stride: 2, padding: 1 }),
      new nn.GroupNorm(4, 2 * WIDTH),
      new nn.ReLU(),
      new nn.AdaptiveAvgPool2d(1),
      new nn.Flatten(),
    );
    this.projector = new nn.Sequential(
      new nn.Linear(2 * WIDTH, 32),
      new nn.BatchNorm1d(32),
      new nn.ReLU(),
      new nn.Linear(32, outDim),
    );
  }

  forward(x: Tensor): [Tensor, Tensor] {
    const h = this.backbone(x);
    return [h, this.projector(h)];
  }
}

function augment(x: Tensor): Tensor {
  if (torch.rand(1).item() < 0.5) x = x.flip(-1);
  const shift = torch.randint(-2, 3, [1]).item();
  x = torch.roll(x, { shifts: [shift, -shift], dims: [2, 3] });
  const brightness = torch.empty(x.size(0), 1, 1, 1).uniform_(0.8, 1.2);
  return x.mul(brightness).add(torch.randnLike(x).mul(0.05));
}

function infoNceLoss(features: Tensor, temperature = 0.2, nViews = 2): [Tensor, Tensor] {
  const batch = features.shape[0] / nViews;
  let labels = torch.cat(
    Array.from({ length: nViews }, () => torch.arange(batch)),
    { dim: 0 },
  );
  labels = labels.unsqueeze(0).eq(labels.unsqueeze(1)).float();
  features = F.normalize(features, { dim: 1 });
  let similarityMatrix = torch.matmul(features, features.T);
  const mask = torch.eye(labels.shape[0], { dtype: torch.bool });
  labels = labels.index(mask.logicalNot()).view(labels.shape[0], -1);
  similarityMatrix = similarityMatrix.index(mask.logicalNot()).view(similarityMatrix.shape[0], -1);
  const positives = similarityMatrix.index(labels.bool()).view(labels.shape[0], -1);
  const negatives = similarityMatrix.index(labels.bool().logicalNot()).view(similarityMatrix.shape[0], -1);
  const logits = torch.cat([positives, negatives], { dim: 1 });
  labels = torch.zeros(logits.shape[0], { dtype: torch.long });
  return [logits.div(temperature), labels];
}

const y = torch.arange(N).remainder(3);
const images = torch.randn(N, 1, SIZE, SIZE).mul(0.2);
const paint = (label: number, ...at: string[]): void => {
  const place = [y.eq(label), ...at];
  images.indexPut_(place, images.index(...place).add(1));
};
paint(0, ":", "3:9", "3:9");
paint(1, ":", "::2");
paint(2, ":", ":", "::3");
const model = new Encoder();
let optimizer: optim.Optimizer = new optim.SGD(model.parameters(), {
  lr: 0.05,
  momentum: 0.9,
  weightDecay: 1e-4,
});
const scheduler = new optim.lrScheduler.SequentialLR(optimizer, {
  schedulers: [
    new optim.lrScheduler.LinearLR(optimizer, { startFactor: 0.1, totalIters: 3 }),
    new optim.lrScheduler.CosineAnnealingLR(optimizer, { tMax: EPOCHS - 3 }),
  ],
  milestones: [3],
});
let logits = images;
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  const views = torch.cat([augment(images), augment(images)], { dim: 0 });
  const [, features] = model(views);
  let labels: Tensor;
  [logits, labels] = infoNceLoss(features);
  const loss = F.crossEntropy(logits, labels);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  scheduler.step();
  losses.push(loss.item());
}
const top = logits.topk(1, { dim: 1 }).indices.eq(0).float().mean();
checks["top1"] = [top.item()];

model.eval();
const [frozen] = torch.noGrad(() => model(images));
const probe = new nn.Linear(2 * WIDTH, 3);
optimizer = new optim.Adam(probe.parameters(), { lr: 0.05 });
for (let i = 0; i < 15; i++) {
  const loss = F.crossEntropy(probe(frozen), y);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  losses.push(loss.item());
}
const accuracy = 100 * probe(frozen).argmax(1).eq(y).float().mean().item();
print(`lr ${format(scheduler.getLastLr()[0], ".1e")}, probe ${format(accuracy, ".1f")} %`);
