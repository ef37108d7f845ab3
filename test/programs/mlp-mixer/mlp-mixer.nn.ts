/** MLP-Mixer (Tolstikhin et al., 2021) with stochastic depth, mixup and a moving average of the weights. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

const { AveragedModel, getEmaMultiAvgFn } = optim.swaUtils;

torch.manualSeed(17);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [N, SIZE, PATCH, DIM, DEPTH, BATCH, STEPS] = [30, 8, 2, 16, 2, 16, 20];

class DropPath extends nn.Module {
  p: number;

  constructor(p: number) {
    super();
    this.p = p;
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x;
    const keep = 1 - this.p;
    const mask = x.newEmpty([x.shape[0], ...Array<number>(x.ndim - 1).fill(1)]).bernoulli_(keep);
    return x.mul(mask.div_(keep));
  }

  override extraRepr(): string {
    return `p=${this.p === 0 ? "0.0" : this.p}`;
  }
}

class MlpBlock extends nn.Module {
  net: nn.Sequential;

  constructor(dim: number, hidden: number) {
    super();
    this.net = new nn.Sequential(
      new nn.Linear(dim, hidden),
      new nn.GELU({ approximate: "tanh" }),
      new nn.Linear(hidden, dim),
    );
  }

  forward(x: Tensor): Tensor {
    return this.net(x);
  }
}

class MixerBlock extends nn.Module {
  norm1: nn.LayerNorm;
  token_mix: MlpBlock;
  norm2: nn.LayerNorm;
  channel_mix: MlpBlock;
  drop_path: DropPath;

  constructor(tokens: number, dim: number, drop: number) {
    super();
    this.norm1 = new nn.LayerNorm(dim);
    this.token_mix = new MlpBlock(tokens, 2 * tokens);
    this.norm2 = new nn.LayerNorm(dim);
    this.channel_mix = new MlpBlock(dim, 2 * dim);
    this.drop_path = new DropPath(drop);
  }

  forward(x: Tensor): Tensor {
    const y = this.norm1(x).transpose(1, 2);
    x = x.add(this.drop_path(this.token_mix(y).transpose(1, 2)));
    return x.add(this.drop_path(this.channel_mix(this.norm2(x))));
  }
}

class Mixer extends nn.Module {
  embed: nn.Conv2d;
  blocks: nn.Sequential;
  norm: nn.LayerNorm;
  head: nn.Linear;

  constructor({ image = SIZE, patch = PATCH, dim = DIM, depth = DEPTH, classes = 3 } = {}) {
    super();
    this.embed = new nn.Conv2d(1, dim, { kernelSize: patch, stride: patch });
    const rates = torch.linspace(0, 0.2, depth).tolist() as number[];
    const round = (r: number): number => Math.round(r * 100) / 100;
    this.blocks = new nn.Sequential(...rates.map((r) => new MixerBlock((image / patch) ** 2, dim, round(r))));
    this.norm = new nn.LayerNorm(dim);
    this.head = new nn.Linear(dim, classes);
  }

  forward(x: Tensor): Tensor {
    x = this.embed(x).flatten(2).transpose(1, 2);
    x = this.norm(this.blocks(x));
    return this.head(x.mean({ dim: 1 }));
  }
}

const y = torch.arange(N).remainder(3);
const x = torch.randn(N, 1, SIZE, SIZE).mul(0.5);
x.indexPut_([y.eq(0), ":", ":4"], x.index(y.eq(0), ":", ":4").add(1));
x.indexPut_([y.eq(1), ":", ":", ":4"], x.index(y.eq(1), ":", ":", ":4").add(1));
const model = new Mixer();
print(model);
const averaged = new AveragedModel(model, { multiAvgFn: getEmaMultiAvgFn(0.9) });
const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-3, betas: [0.9, 0.95], weightDecay: 0.05 });
for (let step = 0; step < STEPS; step++) {
  const index = torch.randperm(N).index(`:${BATCH}`);
  const lam = torch.rand(1).item();
  const shuffled = index.index(torch.randperm(BATCH));
  const mixed = x
    .index(index)
    .mul(lam)
    .add(x.index(shuffled).mul(1 - lam));
  const target = F.oneHot(y.index(index), 3)
    .float()
    .mul(lam)
    .add(
      F.oneHot(y.index(shuffled), 3)
        .float()
        .mul(1 - lam),
    );
  const loss = F.crossEntropy(model(mixed), target);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  averaged.updateParameters(model);
  losses.push(loss.item());
}
averaged.eval();
torch.noGrad(() => {
  checks["logits"] = averaged(x.index(":4")).flatten().tolist() as number[];
});
print("averaged", averaged.nAveraged.item());
