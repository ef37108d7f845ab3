// A vision transformer: patches, a class token, learned positions, pre-norm blocks, label smoothing and cosine decay
import { torch, nn, optim, data, print, type Parameter, type Tensor } from "layerwise";

torch.manualSeed(42);
export const losses: number[] = [];
export const checks: Record<string, number[]> = { accuracy: [], attention: [] };

// Pictures of stripes: horizontal, vertical, diagonal or none.
const [N, N_TRAIN, SIZE, PATCH] = [160, 128, 12, 4];
const [EMBED_DIM, DEPTH, HEADS, BATCH, EPOCHS] = [24, 3, 4, 32, 10];
const labels = torch.arange(N).remainder(4);
const [gridY, gridX] = torch.meshgrid([torch.arange(SIZE), torch.arange(SIZE)], { indexing: "ij" });
const phase = torch.randint(0, 4, [N, 1, 1]);
const patterns = torch
  .stack(
    [
      gridY.add(phase).remainder(4).lt(2),
      gridX.add(phase).remainder(4).lt(2),
      gridX.add(gridY).add(phase).remainder(4).lt(2),
      torch.zeros(N, SIZE, SIZE, { dtype: torch.bool }),
    ],
    { dim: 1 },
  )
  .float();
let images = patterns.index(torch.arange(N), labels).unsqueeze(1).repeat(1, 3, 1, 1);
images = images.add(torch.randn(N, 3, SIZE, SIZE).mul(0.5));

const [trainSet, testSet] = data.randomSplit(new data.TensorDataset(images, labels), [N_TRAIN, N - N_TRAIN]);
const trainLoader = new data.DataLoader(trainSet, { batchSize: BATCH, shuffle: true });
const testLoader = new data.DataLoader(testSet, { batchSize: Math.floor(BATCH / 2) });

class PatchEmbedding extends nn.Module {
  numPatches: number;
  proj: nn.Conv2d;

  constructor(imgSize: number, patchSize: number, inChans: number, embedDim: number) {
    super();
    this.numPatches = Math.floor(imgSize / patchSize) ** 2;
    this.proj = new nn.Conv2d(inChans, embedDim, { kernelSize: patchSize, stride: patchSize });
  }

  forward(x: Tensor): Tensor {
    x = this.proj(x);
    x = x.flatten(2).transpose(1, 2);
    return x;
  }
}

class Attention extends nn.Module {
  numHeads: number;
  headDim: number;
  scale: number;
  qkv: nn.Linear;
  attnDrop: nn.Dropout;
  proj: nn.Linear;
  projDrop: nn.Dropout;
  lastAttention!: Tensor;

  constructor(dim: number, { numHeads = 8, qkvBias = true, attnP = 0.0, projP = 0.0 } = {}) {
    super();
    this.numHeads = numHeads;
    this.headDim = Math.floor(dim / numHeads);
    this.scale = this.headDim ** -0.5;
    this.qkv = new nn.Linear(dim, dim * 3, { bias: qkvBias });
    this.attnDrop = new nn.Dropout(attnP);
    this.proj = new nn.Linear(dim, dim);
    this.projDrop = new nn.Dropout(projP);
  }

  forward(x: Tensor): Tensor {
    const [nSamples, nTokens] = x.shape;
    let qkv = this.qkv(x);
    qkv = qkv.reshape(nSamples, nTokens, 3, this.numHeads, this.headDim);
    qkv = qkv.permute(2, 0, 3, 1, 4);
    const [q, k, v] = [qkv.index(0), qkv.index(1), qkv.index(2)];
    const dp = q.matmul(k.transpose(-2, -1)).mul(this.scale);
    let attn = dp.softmax({ dim: -1 });
    this.lastAttention = attn.detach();
    attn = this.attnDrop(attn);
    let weightedAvg = attn.matmul(v);
    weightedAvg = weightedAvg.transpose(1, 2);
    weightedAvg = weightedAvg.flatten(2);
    x = this.proj(weightedAvg);
    x = this.projDrop(x);
    return x;
  }
}

class MLP extends nn.Module {
  net: nn.Sequential;

  constructor(inFeatures: number, hiddenFeatures: number, outFeatures: number, p = 0.0) {
    super();
    this.net = new nn.Sequential(
      new nn.Linear(inFeatures, hiddenFeatures),
      new nn.GELU(),
      new nn.Dropout(p),
      new nn.Linear(hiddenFeatures, outFeatures),
      new nn.Dropout(p),
    );
  }

  forward(x: Tensor): Tensor {
    return this.net(x);
  }
}

/** Stochastic depth: leaves a whole residual branch out, for some of the samples. */
class DropPath extends nn.Module {
  constructor(readonly dropProb: number) {
    super();
  }

  forward(x: Tensor): Tensor {
    if (this.dropProb === 0.0 || !this.training) return x;
    const keepProb = 1 - this.dropProb;
    const shape = [x.shape[0], ...Array<number>(x.ndim - 1).fill(1)];
    const randomTensor = torch.rand(shape, { dtype: x.dtype, device: x.device }).add(keepProb);
    randomTensor.floor_();
    return x.div(keepProb).mul(randomTensor);
  }
}

class Block extends nn.Module {
  norm1: nn.LayerNorm;
  attn: Attention;
  dropPath: DropPath | nn.Identity;
  norm2: nn.LayerNorm;
  mlp: MLP;

  constructor(dim: number, numHeads: number, { mlpRatio = 4.0, p = 0.0, attnP = 0.0, dropPath = 0.0 } = {}) {
    super();
    this.norm1 = new nn.LayerNorm(dim, { eps: 1e-6 });
    this.attn = new Attention(dim, { numHeads, attnP, projP: p });
    this.dropPath = dropPath > 0.0 ? new DropPath(dropPath) : new nn.Identity();
    this.norm2 = new nn.LayerNorm(dim, { eps: 1e-6 });
    this.mlp = new MLP(dim, Math.trunc(dim * mlpRatio), dim, p);
  }

  forward(x: Tensor): Tensor {
    x = x.add(this.dropPath(this.attn(this.norm1(x))));
    x = x.add(this.dropPath(this.mlp(this.norm2(x))));
    return x;
  }
}

class VisionTransformer extends nn.Module {
  patchEmbed: PatchEmbedding;
  clsToken: Parameter;
  posEmbed: Parameter;
  posDrop: nn.Dropout;
  blocks: nn.Sequential<Block[]>;
  norm: nn.LayerNorm;
  head: nn.Linear;

  constructor({
    imgSize,
    patchSize,
    inChans,
    nClasses,
    embedDim,
    depth,
    nHeads,
    mlpRatio = 2.0,
    p = 0.0,
  }: {
    imgSize: number;
    patchSize: number;
    inChans: number;
    nClasses: number;
    embedDim: number;
    depth: number;
    nHeads: number;
    mlpRatio?: number;
    p?: number;
  }) {
    super();
    this.patchEmbed = new PatchEmbedding(imgSize, patchSize, inChans, embedDim);
    this.clsToken = new nn.Parameter(torch.zeros(1, 1, embedDim));
    this.posEmbed = new nn.Parameter(torch.zeros(1, 1 + this.patchEmbed.numPatches, embedDim));
    this.posDrop = new nn.Dropout({ p });
    const dpr = torch.linspace(0, 0.2, depth).tolist() as number[];
    this.blocks = new nn.Sequential(
      ...dpr.map((dropPath) => new Block(embedDim, nHeads, { mlpRatio, p, dropPath })),
    );
    this.norm = new nn.LayerNorm(embedDim, { eps: 1e-6 });
    this.head = new nn.Linear(embedDim, nClasses);
    nn.init.truncNormal_(this.posEmbed, { std: 0.02 });
    nn.init.truncNormal_(this.clsToken, { std: 0.02 });
    this.apply((m) => this.initWeights(m));
  }

  initWeights(m: nn.Module): void {
    if (m instanceof nn.Linear) {
      nn.init.truncNormal_(m.weight, { std: 0.02 });
      if (m.bias !== null) nn.init.constant_(m.bias, 0);
    } else if (m instanceof nn.LayerNorm) {
      nn.init.constant_(m.bias!, 0);
      nn.init.constant_(m.weight!, 1.0);
    }
  }

  forward(x: Tensor): Tensor {
    const nSamples = x.shape[0];
    x = this.patchEmbed(x);
    const clsToken = this.clsToken.expand(nSamples, -1, -1);
    x = torch.cat([clsToken, x], { dim: 1 });
    x = x.add(this.posEmbed);
    x = this.posDrop(x);
    x = this.blocks(x);
    x = this.norm(x);
    return this.head(x.index(":", 0));
  }
}

const model = new VisionTransformer({
  imgSize: SIZE,
  patchSize: PATCH,
  inChans: 3,
  nClasses: 4,
  embedDim: EMBED_DIM,
  depth: DEPTH,
  nHeads: HEADS,
  p: 0.1,
});
const noDecay = new Set(["posEmbed", "clsToken"]);
const decay: Parameter[] = [];
const skip: Parameter[] = [];
for (const [name, param] of model.namedParameters()) {
  if (param.ndim <= 1 || noDecay.has(name)) skip.push(param);
  else decay.push(param);
}
print(`${decay.length} tensors decay, ${skip.length} don't`);

const criterion = new nn.CrossEntropyLoss({ labelSmoothing: 0.1 });
const optimizer = new optim.AdamW(
  [
    { params: decay, weightDecay: 0.05 },
    { params: skip, weightDecay: 0.0 },
  ],
  { lr: 3e-3 },
);
const scheduler = new optim.lrScheduler.CosineAnnealingLR(optimizer, { tMax: EPOCHS, etaMin: 1e-4 });

for (let epoch = 0; epoch < EPOCHS; epoch++) {
  model.train();
  for (const [inputs, targets] of trainLoader) {
    const outputs = model(inputs);
    const loss = criterion(outputs, targets);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
  scheduler.step();

  model.eval();
  let [correct, total] = [0, 0];
  torch.noGrad(() => {
    for (const [inputs, targets] of testLoader) {
      const outputs = model(inputs);
      const { indices: predicted } = torch.max(outputs, 1);
      total += targets.size(0);
      correct += predicted.eq(targets).sum().item();
    }
  });
  checks.accuracy.push(correct / total);
  print(`Epoch ${epoch + 1}/${EPOCHS}: ${correct}/${total} right`);
}

// Attention of the class token to the patches, in the last block.
const attention = model.blocks
  .get(-1)
  .attn.lastAttention.index(":", ":", 0, "1:")
  .mean({ dim: [0, 1] });
checks.attention = attention.tolist() as number[];
print(attention.argmax().item(), attention.reshape(SIZE / PATCH, SIZE / PATCH).shape);
