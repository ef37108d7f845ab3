/** ConvNeXt (Liu et al., 2022): depthwise convolutions, layer norm, layer scale and stochastic depth. */
import { F, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(8);
export const losses: number[] = [];
export const checks: Record<string, number[]> = { val: [] };
const [N, N_VAL, SIZE, BATCH, EPOCHS] = [48, 12, 16, 12, 3];
const [DIM, DEPTH, CLASSES] = [8, 1, 4];
const WARMUP_EPOCHS = 1;
const [LR, MIN_LR, WEIGHT_DECAY] = [4e-3, 1e-6, 0.05];

function dropPath(x: Tensor, dropProb = 0.0, training = false): Tensor {
  if (dropProb === 0.0 || !training) return x;
  const keepProb = 1 - dropProb;
  const shape = [x.shape[0], ...Array<number>(x.ndim - 1).fill(1)];
  const randomTensor = x.newEmpty(shape).bernoulli_(keepProb);
  randomTensor.div_(keepProb);
  return x.mul(randomTensor);
}

class DropPath extends nn.Module {
  dropProb: number;

  constructor(dropProb = 0.0) {
    super();
    this.dropProb = dropProb;
  }

  forward(x: Tensor): Tensor {
    return dropPath(x, this.dropProb, this.training);
  }

  override extraRepr(): string {
    return `drop_prob=${format(this.dropProb, "0.3f")}`;
  }
}

/** Layer norm of channels, last or first. */
class LayerNorm extends nn.Module {
  weight: nn.Parameter;
  bias: nn.Parameter;
  eps: number;
  dataFormat: string;
  normalizedShape: number[];

  constructor(normalizedShape: number, { eps = 1e-6, dataFormat = "channels_last" } = {}) {
    super();
    this.weight = new nn.Parameter(torch.ones(normalizedShape));
    this.bias = new nn.Parameter(torch.zeros(normalizedShape));
    this.eps = eps;
    this.dataFormat = dataFormat;
    if (!["channels_last", "channels_first"].includes(this.dataFormat)) throw new Error("not implemented");
    this.normalizedShape = [normalizedShape];
  }

  forward(x: Tensor): Tensor {
    if (this.dataFormat === "channels_last")
      return F.layerNorm(x, this.normalizedShape, this.weight, this.bias, this.eps);
    const u = x.mean(1, { keepdim: true });
    const s = x.sub(u).pow(2).mean(1, { keepdim: true });
    x = x.sub(u).div(torch.sqrt(s.add(this.eps)));
    return this.weight
      .index(":", null, null)
      .mul(x)
      .add(this.bias.index(":", null, null));
  }
}

class Block extends nn.Module {
  dwconv: nn.Conv2d;
  norm: LayerNorm;
  pwconv1: nn.Linear;
  act: nn.GELU;
  pwconv2: nn.Linear;
  gamma: nn.Parameter | null;
  drop_path: DropPath | nn.Identity;

  constructor(dim: number, { dropPath = 0.0, layerScaleInitValue = 1e-6 } = {}) {
    super();
    this.dwconv = new nn.Conv2d(dim, dim, { kernelSize: 7, padding: 3, groups: dim });
    this.norm = new LayerNorm(dim, { eps: 1e-6 });
    this.pwconv1 = new nn.Linear(dim, 4 * dim);
    this.act = new nn.GELU();
    this.pwconv2 = new nn.Linear(4 * dim, dim);
    this.gamma =
      layerScaleInitValue > 0
        ? new nn.Parameter(torch.ones(dim).mul(layerScaleInitValue), { requiresGrad: true })
        : null;
    this.drop_path = dropPath > 0.0 ? new DropPath(dropPath) : new nn.Identity();
  }

  forward(x: Tensor): Tensor {
    const input = x;
    x = this.dwconv(x);
    x = x.permute(0, 2, 3, 1);
    x = this.norm(x);
    x = this.pwconv1(x);
    x = this.act(x);
    x = this.pwconv2(x);
    if (this.gamma !== null) x = this.gamma.mul(x);
    x = x.permute(0, 3, 1, 2);
    return input.add(this.drop_path(x));
  }
}

class ConvNeXt extends nn.Module {
  downsample_layers: nn.ModuleList<nn.Sequential>;
  stages: nn.ModuleList<nn.Sequential>;
  norm: nn.LayerNorm;
  head: nn.Linear;

  constructor(
    inChans: number,
    numClasses: number,
    depths: number[],
    dims: number[],
    { dropPathRate = 0.0, layerScaleInitValue = 1e-6 } = {},
  ) {
    super();
    this.downsample_layers = new nn.ModuleList();
    const stem = new nn.Sequential(
      new nn.Conv2d(inChans, dims[0], { kernelSize: 2, stride: 2 }),
      new LayerNorm(dims[0], { eps: 1e-6, dataFormat: "channels_first" }),
    );
    this.downsample_layers.append(stem);
    for (let i = 0; i < dims.length - 1; i++) {
      const downsampleLayer = new nn.Sequential(
        new LayerNorm(dims[i], { eps: 1e-6, dataFormat: "channels_first" }),
        new nn.Conv2d(dims[i], dims[i + 1], { kernelSize: 2, stride: 2 }),
      );
      this.downsample_layers.append(downsampleLayer);
    }
    this.stages = new nn.ModuleList();
    const total = depths.reduce((a, b) => a + b);
    const dpRates = [...torch.linspace(0, dropPathRate, total)].map((x) => x.item());
    let cur = 0;
    for (const [i, dim] of dims.entries()) {
      const stage = new nn.Sequential(
        ...Array.from(
          { length: depths[i] },
          (_, j) => new Block(dim, { dropPath: dpRates[cur + j], layerScaleInitValue }),
        ),
      );
      this.stages.append(stage);
      cur += depths[i];
    }
    this.norm = new nn.LayerNorm(dims.at(-1)!, { eps: 1e-6 });
    this.head = new nn.Linear(dims.at(-1)!, numClasses);
    this.apply((m) => this._initWeights(m));
    this.head.weight.data.mul_(1.0);
    this.head.bias!.data.mul_(1.0);
  }

  _initWeights(m: nn.Module): void {
    if (m instanceof nn.Conv2d || m instanceof nn.Linear) {
      nn.init.truncNormal_(m.weight, { std: 0.02 });
      nn.init.constant_(m.bias!, 0);
    }
  }

  forwardFeatures(x: Tensor): Tensor {
    for (const [i, downsampleLayer] of this.downsample_layers.entries()) {
      x = downsampleLayer(x);
      x = this.stages[i](x);
    }
    return this.norm(x.mean([-2, -1]));
  }

  forward(x: Tensor): Tensor {
    x = this.forwardFeatures(x);
    return this.head(x);
  }
}

/** Coloured gratings of four directions. */
function gratings(n: number): [Tensor, Tensor] {
  const labels = torch.randint(0, CLASSES, [n]);
  const axis = torch.arange(SIZE).div(SIZE);
  const [ys, xs] = torch.meshgrid(axis, axis, { indexing: "ij" });
  const angle = labels.mul(Math.PI).div(CLASSES).add(torch.randn(n).mul(0.1));
  const phase = torch.rand(n, 1, 1).mul(2 * Math.PI);
  const along = torch
    .cos(angle)
    .index(":", null, null)
    .mul(xs)
    .add(torch.sin(angle).index(":", null, null).mul(ys));
  const waves = torch.sin(along.mul(2 * Math.PI * 3).add(phase));
  const colours = torch.rand(n, 3, 1, 1);
  return [
    waves
      .unsqueeze(1)
      .mul(colours)
      .add(torch.randn(n, 3, SIZE, SIZE).mul(0.2)),
    labels,
  ];
}

function cosineScheduler(
  baseValue: number,
  finalValue: number,
  epochs: number,
  niterPerEp: number,
  warmupEpochs = 0,
): number[] {
  const warmupIters = warmupEpochs * niterPerEp;
  const warmup = Array.from(
    { length: warmupIters },
    (_, i) => (baseValue * i) / Math.max(1, warmupIters - 1),
  );
  const iters = epochs * niterPerEp - warmupIters;
  const schedule = Array.from(
    { length: iters },
    (_, i) => finalValue + 0.5 * (baseValue - finalValue) * (1 + Math.cos((Math.PI * i) / iters)),
  );
  return [...warmup, ...schedule];
}

function getParameterGroups(model: nn.Module) {
  const groups = {
    decay: { params: [] as nn.Parameter[], weightDecay: WEIGHT_DECAY },
    noDecay: { params: [] as nn.Parameter[], weightDecay: 0.0 },
  };
  for (const [name, param] of model.namedParameters()) {
    if (param.shape.length === 1 || name.endsWith(".bias")) groups.noDecay.params.push(param);
    else groups.decay.params.push(param);
  }
  return Object.values(groups);
}

const [images, labels] = gratings(N + N_VAL);
const [trainX, trainY] = [images.index(`:${N}`), labels.index(`:${N}`)];
const [valX, valY] = [images.index(`${N}:`), labels.index(`${N}:`)];
const depths = [DEPTH, DEPTH, 2 * DEPTH];
const dims = [DIM, 2 * DIM, 4 * DIM];
const model = new ConvNeXt(3, CLASSES, depths, dims, { dropPathRate: 0.1, layerScaleInitValue: 0.1 });
print(model);
print(
  "number of params:",
  model
    .parameters()
    .filter((p) => p.requiresGrad)
    .reduce((sum, p) => sum + p.numel(), 0),
);
const optimizer = new optim.AdamW(getParameterGroups(model), { lr: LR, betas: [0.9, 0.999] });
const criterion = new nn.CrossEntropyLoss({ labelSmoothing: 0.1 });
const stepsPerEpoch = Math.floor(N / BATCH);
const lrScheduleValues = cosineScheduler(LR, MIN_LR, EPOCHS, stepsPerEpoch, WARMUP_EPOCHS);

let it = 0;
let output!: Tensor;
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  model.train(true);
  const order = torch.randperm(N);
  for (let step = 0; step < stepsPerEpoch; step++) {
    for (const paramGroup of optimizer.paramGroups) paramGroup.lr = lrScheduleValues[it];
    const index = order.index(`${step * BATCH}:${(step + 1) * BATCH}`);
    let [samples, targets] = [trainX.index(index), trainY.index(index)];
    const flip = torch.rand(1).item() < 0.5;
    if (flip) [samples, targets] = [samples.flip(-1), torch.sub(CLASSES, targets).remainder(CLASSES)];
    const output = model(samples);
    const loss = criterion(output, targets);
    const lossValue = loss.item();
    if (!Number.isFinite(lossValue)) throw new Error(`Loss is ${lossValue}`);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(lossValue);
    it += 1;
  }
  model.eval();
  torch.noGrad(() => {
    output = model(valX);
    const valLoss = F.crossEntropy(output, valY).item();
    checks["val"].push(valLoss);
  });
  print(`epoch ${epoch + 1}: lr ${format(optimizer.paramGroups[0].lr, ".6f")}`);
}
checks["logits"] = output.index(":2").flatten().tolist() as number[];
checks["gamma"] = (model.stages[2].at(-1) as Block).gamma!.tolist() as number[];
