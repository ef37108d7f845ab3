// PixelCNN: each pixel is predicted from those before it, by convolutions whose weights are masked in place at every call
import { torch, nn, F, optim, data, print, format, type Tensor } from "layerwise";

torch.manualSeed(2);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [fm, size, nImages, batchSize, epochs] = [8, 8, 24, 8, 3];

class MaskedConv2d extends nn.Conv2d {
  declare mask: Tensor;

  constructor(maskType: "A" | "B", ...args: ConstructorParameters<typeof nn.Conv2d>) {
    super(...args);
    this.registerBuffer("mask", this.weight.data.clone());
    const [, , kH, kW] = this.weight.size();
    this.mask.fill_(1);
    this.mask.indexPut_(
      [":", ":", Math.floor(kH / 2), `${Math.floor(kW / 2) + Number(maskType === "B")}:`],
      0,
    );
    this.mask.indexPut_([":", ":", `${Math.floor(kH / 2) + 1}:`], 0);
  }

  override forward(x: Tensor): Tensor {
    this.weight.data.mul_(this.mask);
    return super.forward(x);
  }
}

class GatedBlock extends nn.Module {
  conv: MaskedConv2d;
  norm: nn.GroupNorm;

  constructor(d: number, k: number) {
    super();
    this.conv = new MaskedConv2d("B", d, 2 * d, {
      kernelSize: [k, k],
      padding: [(k - 1) / 2, (k - 1) / 2],
      bias: false,
    });
    this.norm = new nn.GroupNorm(2, 2 * d);
  }

  forward(x: Tensor): Tensor {
    const [a, b] = torch.split(this.norm(this.conv(x)), x.shape[1], { dim: 1 });
    return x.add(torch.tanh(a).mul(torch.sigmoid(b)));
  }
}

const net = new nn.Sequential(
  new MaskedConv2d("A", 1, fm, 7, 1, 3, { bias: false }),
  new nn.BatchNorm2d(fm),
  new nn.ReLU(true),
  new GatedBlock(fm, 3),
  new GatedBlock(fm, 5),
  new nn.Conv2d(fm, 4, 1),
);
print(net);
print(net[0].mask.index(0, 0));
const images = torch.rand(nImages, 1, size, size).cumsum(2).mul(0.5).clamp_(0, 0.999);
const tr = new data.DataLoader(new data.TensorDataset(images, torch.zeros(nImages)), {
  batchSize,
  shuffle: true,
  numWorkers: 0,
  dropLast: true,
});
const sample = torch.empty(4, 1, size, size);
const optimizer = new optim.Adam(net.parameters());
for (let epoch = 0; epoch < epochs; epoch++) {
  const errTr: number[] = [];
  net.train(true);
  for (const [input] of tr) {
    const target = input.index(":", 0).mul(4).long();
    const loss = F.crossEntropy(net(input), target);
    errTr.push(loss.item());
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
  torch.noGrad(() => {
    sample.fill_(0);
    net.train(false);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const out = net(sample);
        const probs = F.softmax(out.index(":", ":", i, j), { dim: -1 }).data;
        sample.indexPut_([":", ":", i, j], torch.multinomial(probs, 1).float().div(4.0));
      }
    }
  });
  checks[`sample${epoch}`] = sample.flatten().tolist() as number[];
  print(`epoch=${epoch}; nll_tr=${format(torch.tensor(errTr).mean(), ".4f")}`);
}
print(sample.index(0, 0));
const w = net[0].weight;
print(w.data.eq(0).sum().item(), w.grad !== null, w.grad!.index(":", ":", "4:").ne(0).any());
print(
  net.stateDict().has("0.mask"),
  [...net.parameters()].reduce((n, p) => n + p.numel(), 0),
);
let state = net.stateDict();
state = new Map([...state].filter(([k]) => !k.endsWith("mask")));
const missing = net.loadStateDict(state, { strict: false });
print(missing);
