/** Denoising diffusion (Ho et al., 2020) of points on a spiral: training, then sampling step by step. */
import { F, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(5);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const T = 20;
const BETA_END = 0.2;
const [HIDDEN, EMBEDDING] = [48, 16];
const [N_POINTS, BATCH, STEPS, N_SAMPLES] = [256, 64, 40, 8];

class SinusoidalEmbedding extends nn.Module {
  dim: number;

  constructor(dim: number) {
    super();
    this.dim = dim;
  }

  forward(t: Tensor): Tensor {
    const half = Math.floor(this.dim / 2);
    const frequencies = torch.exp(torch.arange(half).mul(-(Math.log(10000) / (half - 1))));
    const angles = t.float().unsqueeze(-1).mul(frequencies.unsqueeze(0));
    return torch.cat([angles.sin(), angles.cos()], { dim: -1 });
  }
}

class Denoiser extends nn.Module {
  time: nn.Sequential;
  inp: nn.Linear;
  blocks: nn.ModuleList<nn.Linear>;
  norms: nn.ModuleList<nn.LayerNorm>;
  out: nn.Linear;

  constructor(hidden = HIDDEN, embedding = EMBEDDING) {
    super();
    this.time = new nn.Sequential(
      new SinusoidalEmbedding(embedding),
      new nn.Linear(embedding, hidden),
      new nn.SiLU(),
    );
    this.inp = new nn.Linear(2, hidden);
    this.blocks = new nn.ModuleList([0, 1].map(() => new nn.Linear(hidden, hidden)));
    this.norms = new nn.ModuleList([0, 1].map(() => new nn.LayerNorm(hidden)));
    this.out = new nn.Linear(hidden, 2);
  }

  forward(x: Tensor, t: Tensor): Tensor {
    let h = this.inp(x).add(this.time(t));
    for (let i = 0; i < this.blocks.length; i++) {
      const [norm, block] = [this.norms.get(i), this.blocks.get(i)];
      h = h.add(F.gelu(block(norm(h))));
    }
    return this.out(h);
  }
}

const betas = torch.linspace(1e-4, BETA_END, T);
const alphas = torch.sub(1.0, betas);
const alphasCumprod = torch.cumprod(alphas, { dim: 0 });
const alphasCumprodPrev = F.pad(alphasCumprod.index(":-1"), [1, 0], { value: 1.0 });
const posteriorVariance = betas.mul(torch.sub(1.0, alphasCumprodPrev)).div(torch.sub(1.0, alphasCumprod));

const extract = (a: Tensor, t: Tensor, x: Tensor): Tensor =>
  a.gather(-1, t).reshape(t.shape[0], ...Array<number>(x.shape.length - 1).fill(1));

const qSample = (x0: Tensor, t: Tensor, noise: Tensor): Tensor =>
  extract(alphasCumprod.sqrt(), t, x0)
    .mul(x0)
    .add(extract(torch.sub(1, alphasCumprod).sqrt(), t, x0).mul(noise));

const angle = torch.rand(N_POINTS).mul(3).mul(Math.PI);
let points = torch.stack([angle.mul(torch.cos(angle)), angle.mul(torch.sin(angle))], { dim: 1 }).div(6);
points = points.add(torch.randnLike(points).mul(0.02));
const model = new Denoiser();
const ema = new Denoiser();
ema.loadStateDict(model.stateDict());
const optimizer = new optim.AdamW(model.parameters(), { lr: 2e-3 });
for (let step = 0; step < STEPS; step++) {
  const x0 = points.index(torch.randint(0, points.size(0), [BATCH]));
  const t = torch.randint(0, T, [BATCH]);
  const noise = torch.randnLike(x0);
  const loss = F.mseLoss(model(qSample(x0, t, noise), t), noise);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  torch.noGrad(() => {
    const trained = [...model.parameters()];
    [...ema.parameters()].forEach((p, i) => p.mul_(0.9).add_(trained[i], { alpha: 0.1 }));
  });
  losses.push(loss.item());
  if ((step + 1) % 10 === 0) print(`step ${step + 1}: loss ${format(loss.item(), ".2f")}`);
}

const sample = (n: number): Tensor =>
  torch.noGrad(() => {
    let x = torch.randn(n, 2);
    for (let i = T - 1; i >= 0; i--) {
      const t = torch.full([n], i, { dtype: torch.long });
      const predicted = ema(x, t);
      const mean = x
        .sub(
          betas
            .index(i)
            .div(torch.sub(1, alphasCumprod.index(i)).sqrt())
            .mul(predicted),
        )
        .div(alphas.index(i).sqrt());
      x = mean.add(i > 0 ? posteriorVariance.index(i).sqrt().mul(torch.randnLike(x)) : 0);
    }
    return x;
  });

const samples = sample(N_SAMPLES);
checks["samples"] = samples.flatten().tolist() as number[];
