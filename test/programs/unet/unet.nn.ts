/** A U-Net (Ronneberger et al., 2015) that finds discs in noise: Dice and cross-entropy, batch norm, skips. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(2);
export const losses: number[] = [];
export const checks: Record<string, number[]> = { dice: [] };
const [WIDTH, SIZE, N_TRAIN, N_VAL, BATCH, EPOCHS] = [4, 17, 20, 4, 4, 3];

class DoubleConv extends nn.Module {
  double_conv: nn.Sequential;

  constructor(inChannels: number, outChannels: number, midChannels = outChannels) {
    super();
    this.double_conv = new nn.Sequential(
      new nn.Conv2d(inChannels, midChannels, { kernelSize: 3, padding: 1, bias: false }),
      new nn.BatchNorm2d(midChannels),
      new nn.ReLU({ inplace: true }),
      new nn.Conv2d(midChannels, outChannels, { kernelSize: 3, padding: 1, bias: false }),
      new nn.BatchNorm2d(outChannels),
      new nn.ReLU({ inplace: true }),
    );
  }

  forward(x: Tensor): Tensor {
    return this.double_conv(x);
  }
}

class Down extends nn.Module {
  maxpool_conv: nn.Sequential;

  constructor(inChannels: number, outChannels: number) {
    super();
    this.maxpool_conv = new nn.Sequential(new nn.MaxPool2d(2), new DoubleConv(inChannels, outChannels));
  }

  forward(x: Tensor): Tensor {
    return this.maxpool_conv(x);
  }
}

class Up extends nn.Module {
  up: nn.Upsample | nn.ConvTranspose2d;
  conv: DoubleConv;

  constructor(inChannels: number, outChannels: number, { bilinear = true } = {}) {
    super();
    if (bilinear) {
      this.up = new nn.Upsample({ scaleFactor: 2, mode: "bilinear", alignCorners: true });
      this.conv = new DoubleConv(inChannels, outChannels, Math.floor(inChannels / 2));
    } else {
      this.up = new nn.ConvTranspose2d(inChannels, Math.floor(inChannels / 2), { kernelSize: 2, stride: 2 });
      this.conv = new DoubleConv(inChannels, outChannels);
    }
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    x1 = this.up(x1);
    const diffY = x2.size(2) - x1.size(2);
    const diffX = x2.size(3) - x1.size(3);
    const half = (n: number): number => Math.floor(n / 2);
    x1 = F.pad(x1, [half(diffX), diffX - half(diffX), half(diffY), diffY - half(diffY)]);
    return this.conv(torch.cat([x2, x1], { dim: 1 }));
  }
}

class UNet extends nn.Module {
  inc: DoubleConv;
  down1: Down;
  down2: Down;
  up1: Up;
  up2: Up;
  outc: nn.Conv2d;

  constructor(nChannels: number, nClasses: number, width = WIDTH) {
    super();
    this.inc = new DoubleConv(nChannels, width);
    this.down1 = new Down(width, width * 2);
    this.down2 = new Down(width * 2, width * 2);
    this.up1 = new Up(width * 4, width, { bilinear: true });
    this.up2 = new Up(width * 2, width, { bilinear: false });
    this.outc = new nn.Conv2d(width, nClasses, { kernelSize: 1 });
  }

  forward(x: Tensor): Tensor {
    const x1 = this.inc(x);
    const x2 = this.down1(x1);
    const x3 = this.down2(x2);
    x = this.up1(x3, x2);
    x = this.up2(torch.cat([x, x2.index(":", `:${WIDTH}`)], { dim: 1 }), x1);
    return this.outc(x);
  }
}

function discs(n: number, size = SIZE): [Tensor, Tensor] {
  const axis = torch.arange(size).float();
  const [ys, xs] = torch.meshgrid(axis, axis, { indexing: "ij" });
  const centre = torch
    .rand(n, 2, 1, 1)
    .mul(size - 6)
    .add(3);
  const radius = torch.rand(n, 1, 1).mul(3).add(2);
  const mask = ys
    .sub(centre.index(":", 0))
    .pow(2)
    .add(xs.sub(centre.index(":", 1)).pow(2))
    .lt(radius.pow(2))
    .long();
  const image = mask.float().add(torch.randn(n, size, size).mul(0.3));
  return [image.unsqueeze(1), mask];
}

function diceCoeff(input: Tensor, target: Tensor, epsilon = 1e-6): Tensor {
  const inter = input
    .mul(target)
    .sum({ dim: [-1, -2, -3] })
    .mul(2);
  let setsSum = input.sum({ dim: [-1, -2, -3] }).add(target.sum({ dim: [-1, -2, -3] }));
  setsSum = torch.where(setsSum.eq(0), inter, setsSum);
  return inter.add(epsilon).div(setsSum.add(epsilon)).mean();
}

const [images, masks] = discs(N_TRAIN + N_VAL);
const model = new UNet(1, 2);
const optimizer = new optim.RMSprop(model.parameters(), { lr: 1e-3, weightDecay: 1e-8, momentum: 0.9 });
const scheduler = new optim.lrScheduler.ReduceLROnPlateau(optimizer, "max", { patience: 1 });
const criterion = new nn.CrossEntropyLoss();
let score = torch.tensor(0.0);
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  model.train();
  for (let i = 0; i < N_TRAIN; i += BATCH) {
    const [x, y] = [images.index(`${i}:${i + BATCH}`), masks.index(`${i}:${i + BATCH}`)];
    const pred = model(x);
    let loss = criterion(pred, y);
    const dice = diceCoeff(F.softmax(pred, { dim: 1 }).float(), F.oneHot(y, 2).permute(0, 3, 1, 2).float());
    loss = loss.add(torch.sub(1, dice));
    optimizer.zeroGrad({ setToNone: true });
    loss.backward();
    nn.utils.clipGradNorm_(model.parameters(), 1.0);
    optimizer.step();
    losses.push(loss.item());
  }
  model.eval();
  torch.noGrad(() => {
    const guess = model(images.index(`${N_TRAIN}:`)).argmax({ dim: 1 });
    score = diceCoeff(guess.eq(1).float(), masks.index(`${N_TRAIN}:`).eq(1).float());
  });
  scheduler.step(score);
  print(`epoch ${epoch + 1}, lr ${optimizer.paramGroups[0].lr}`);
}
checks["dice"].push(score.item());
checks["norm"] = [[...model.parameters()].reduce((sum, p) => sum + p.norm().item(), 0)];
