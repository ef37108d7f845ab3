/** Denoising diffusion of pictures (Ho et al., 2020): a UNet with time embeddings, then DDIM (Song et al., 2021). */
import { copy, F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(5);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [SIZE, CH, GROUPS, N, BATCH, STEPS] = [8, 8, 4, 48, 8, 16];
const [TIMESTEPS, DDIM_STEPS, N_SAMPLES] = [100, 10, 2];
const [EMA_DECAY, DROPOUT] = [0.9, 0.1];
const TDIM = 4 * CH;

function timestepEmbedding(timesteps: Tensor, dim: number): Tensor {
  const halfDim = Math.floor(dim / 2);
  const scale = Math.log(10000) / (halfDim - 1);
  let emb = torch.exp(torch.arange(halfDim, { dtype: torch.float32 }).mul(-scale));
  emb = timesteps.float().index(":", null).mul(emb.index(null, ":"));
  return torch.cat([torch.sin(emb), torch.cos(emb)], { dim: 1 });
}

class Swish extends nn.Module {
  forward(x: Tensor): Tensor {
    return x.mul(torch.sigmoid(x));
  }
}

class Downsample extends nn.Module {
  conv: nn.Conv2d;

  constructor(ch: number) {
    super();
    this.conv = new nn.Conv2d(ch, ch, 3, { stride: 2, padding: 0 });
  }

  forward(x: Tensor): Tensor {
    x = F.pad(x, [0, 1, 0, 1], { mode: "constant", value: 0 });
    return this.conv(x);
  }
}

class Upsample extends nn.Module {
  conv: nn.Conv2d;

  constructor(ch: number) {
    super();
    this.conv = new nn.Conv2d(ch, ch, 3, { padding: 1 });
  }

  forward(x: Tensor): Tensor {
    x = F.interpolate(x, { scaleFactor: 2.0, mode: "nearest" });
    return this.conv(x);
  }
}

class ResnetBlock extends nn.Module {
  norm1: nn.GroupNorm;
  conv1: nn.Conv2d;
  temb_proj: nn.Linear;
  norm2: nn.GroupNorm;
  dropout: nn.Dropout;
  conv2: nn.Conv2d;
  shortcut: nn.Conv2d | nn.Identity;

  constructor(inCh: number, outCh: number, { tdim = TDIM, dropout = DROPOUT } = {}) {
    super();
    this.norm1 = new nn.GroupNorm(GROUPS, inCh, { eps: 1e-6 });
    this.conv1 = new nn.Conv2d(inCh, outCh, 3, { padding: 1 });
    this.temb_proj = new nn.Linear(tdim, outCh);
    this.norm2 = new nn.GroupNorm(GROUPS, outCh, { eps: 1e-6 });
    this.dropout = new nn.Dropout(dropout);
    this.conv2 = new nn.Conv2d(outCh, outCh, 3, { padding: 1 });
    nn.init.xavierUniform_(this.conv2.weight, { gain: 1e-5 });
    this.shortcut = inCh === outCh ? new nn.Identity() : new nn.Conv2d(inCh, outCh, 1);
  }

  forward(x: Tensor, temb: Tensor): Tensor {
    let h = this.conv1(F.silu(this.norm1(x)));
    h = h.add(this.temb_proj(F.silu(temb)).index(":", ":", null, null));
    h = this.conv2(this.dropout(F.silu(this.norm2(h))));
    return this.shortcut(x).add(h);
  }
}

class AttnBlock extends nn.Module {
  group_norm: nn.GroupNorm;
  proj_q: nn.Conv2d;
  proj_k: nn.Conv2d;
  proj_v: nn.Conv2d;
  proj: nn.Conv2d;

  constructor(inCh: number) {
    super();
    this.group_norm = new nn.GroupNorm(GROUPS, inCh);
    this.proj_q = new nn.Conv2d(inCh, inCh, 1);
    this.proj_k = new nn.Conv2d(inCh, inCh, 1);
    this.proj_v = new nn.Conv2d(inCh, inCh, 1);
    this.proj = new nn.Conv2d(inCh, inCh, 1);
  }

  forward(x: Tensor): Tensor {
    const [B, C, H, W] = x.shape;
    let h = this.group_norm(x);
    let [q, k, v] = [this.proj_q(h), this.proj_k(h), this.proj_v(h)];
    q = q.permute(0, 2, 3, 1).view(B, H * W, C);
    k = k.view(B, C, H * W);
    let w = torch.bmm(q, k).mul(C ** -0.5);
    w = F.softmax(w, { dim: -1 });
    v = v.permute(0, 2, 3, 1).view(B, H * W, C);
    h = torch.bmm(w, v);
    h = h.view(B, H, W, C).permute(0, 3, 1, 2);
    return x.add(this.proj(h));
  }
}

class UNet extends nn.Module {
  time_embedding: nn.Sequential;
  head: nn.Conv2d;
  downblocks: nn.ModuleList<nn.Module>;
  mid1: ResnetBlock;
  mid_attn: AttnBlock;
  mid2: ResnetBlock;
  upblocks: nn.ModuleList<nn.Module>;
  tail: nn.Sequential;

  constructor({ ch = CH, chMult = [1, 2, 2], inChannels = 1 } = {}) {
    super();
    this.time_embedding = new nn.Sequential(new nn.Linear(ch, TDIM), new Swish(), new nn.Linear(TDIM, TDIM));
    this.head = new nn.Conv2d(inChannels, ch, 3, { padding: 1 });
    this.downblocks = new nn.ModuleList<nn.Module>();
    const chs = [ch];
    let nowCh = ch;
    for (const [i, mult] of chMult.entries()) {
      this.downblocks.append(new ResnetBlock(nowCh, ch * mult));
      nowCh = ch * mult;
      chs.push(nowCh);
      if (i !== chMult.length - 1) {
        this.downblocks.append(new Downsample(nowCh));
        chs.push(nowCh);
      }
    }
    this.mid1 = new ResnetBlock(nowCh, nowCh);
    this.mid_attn = new AttnBlock(nowCh);
    this.mid2 = new ResnetBlock(nowCh, nowCh);
    this.upblocks = new nn.ModuleList<nn.Module>();
    for (const [i, mult] of [...chMult.entries()].reverse()) {
      for (let n = 0; n < 2; n++) {
        this.upblocks.append(new ResnetBlock(chs.pop()! + nowCh, ch * mult));
        nowCh = ch * mult;
      }
      if (i !== 0) this.upblocks.append(new Upsample(nowCh));
    }
    this.tail = new nn.Sequential(
      new nn.GroupNorm(GROUPS, nowCh),
      new nn.SiLU(),
      new nn.Conv2d(nowCh, inChannels, 3, { stride: 1, padding: 1 }),
    );
  }

  forward(x: Tensor, t: Tensor): Tensor {
    const temb = this.time_embedding(timestepEmbedding(t, CH));
    let h = this.head(x);
    const hs = [h];
    for (const layer of this.downblocks) {
      h = layer instanceof ResnetBlock ? layer(h, temb) : layer(h);
      hs.push(h);
    }
    h = this.mid1(h, temb);
    h = this.mid_attn(h);
    h = this.mid2(h, temb);
    for (const layer of this.upblocks) {
      if (layer instanceof ResnetBlock) h = layer(torch.cat([h, hs.pop()!], { dim: 1 }), temb);
      else h = layer(h);
    }
    if (hs.length !== 0) throw new Error("some results weren't used");
    return this.tail(h);
  }
}

class EMAHelper {
  mu: number;
  shadow: Record<string, Tensor> = {};

  constructor(mu: number) {
    this.mu = mu;
  }

  register(module: nn.Module): void {
    for (const [name, param] of module.namedParameters())
      if (param.requiresGrad) this.shadow[name] = param.data.clone();
  }

  update(module: nn.Module): void {
    for (const [name, param] of module.namedParameters())
      if (param.requiresGrad)
        this.shadow[name].data = param.data.mul(1.0 - this.mu).add(this.shadow[name].data.mul(this.mu));
  }

  ema(module: nn.Module): void {
    for (const [name, param] of module.namedParameters())
      if (param.requiresGrad) param.data.copy_(this.shadow[name].data);
  }
}

/** Blobs and bars, from -1 to 1. */
function makeImages(n: number): Tensor {
  const axis = torch.linspace(-1, 1, SIZE);
  const [ys, xs] = torch.meshgrid(axis, axis, { indexing: "ij" });
  const centre = torch.rand(n, 2, 1, 1).sub(0.5);
  const blob = torch.exp(
    xs
      .sub(centre.index(":", 0))
      .pow(2)
      .add(ys.sub(centre.index(":", 1)).pow(2))
      .neg()
      .div(0.15),
  );
  const bar = xs.sub(centre.index(":", 0)).abs().lt(0.2).float();
  const kind = torch.rand(n, 1, 1).lt(0.5);
  return torch.where(kind, blob, bar).mul(2).sub(1).unsqueeze(1);
}

function computeAlpha(beta: Tensor, t: Tensor): Tensor {
  beta = torch.cat([torch.zeros(1), beta], { dim: 0 });
  return torch.sub(1, beta).cumprod({ dim: 0 }).indexSelect(0, t.add(1)).view(-1, 1, 1, 1);
}

const images = makeImages(N);
const betas = torch.linspace(1e-4, (0.02 * 1000) / TIMESTEPS / 5, TIMESTEPS);
const model = new UNet();
print(model);
const emaHelper = new EMAHelper(EMA_DECAY);
emaHelper.register(model);
const optimizer = new optim.Adam(model.parameters(), { lr: 2e-3, betas: [0.9, 0.999] });

for (let step = 0; step < STEPS; step++) {
  model.train();
  const x0 = images.index(torch.randint(0, N, [BATCH]));
  const e = torch.randnLike(x0);
  // Antithetic sampling of time steps.
  let t = torch.randint({ low: 0, high: TIMESTEPS, size: [Math.floor(BATCH / 2) + 1] });
  t = torch.cat([t, torch.sub(TIMESTEPS, t).sub(1)], { dim: 0 }).index(`:${BATCH}`);
  const a = torch.sub(1, betas).cumprod({ dim: 0 }).indexSelect(0, t).view(-1, 1, 1, 1);
  const x = x0.mul(a.sqrt()).add(e.mul(torch.sub(1.0, a).sqrt()));
  const output = model(x, t.float());
  const loss = e
    .sub(output)
    .square()
    .sum({ dim: [1, 2, 3] })
    .mean({ dim: 0 });
  losses.push(loss.item());
  optimizer.zeroGrad();
  loss.backward();
  nn.utils.clipGradNorm_(model.parameters(), 1.0);
  optimizer.step();
  emaHelper.update(model);
}

const emaModel = copy.deepcopy(model);
emaHelper.ema(emaModel);
emaModel.eval();

function generalizedSteps(
  x: Tensor,
  seq: number[],
  model: UNet,
  b: Tensor,
  { eta = 0.0 } = {},
): [xs: Tensor[], x0Preds: Tensor[]] {
  return torch.noGrad(() => {
    const n = x.size(0);
    const seqNext = [-1, ...seq.slice(0, -1)];
    const x0Preds: Tensor[] = [];
    const xs = [x];
    for (let k = seq.length - 1; k >= 0; k--) {
      const t = torch.ones(n).mul(seq[k]);
      const nextT = torch.ones(n).mul(seqNext[k]);
      const at = computeAlpha(b, t.long());
      const atNext = computeAlpha(b, nextT.long());
      const xt = xs.at(-1)!;
      const et = model(xt, t);
      const x0T = xt.sub(et.mul(torch.sub(1, at).sqrt())).div(at.sqrt());
      x0Preds.push(x0T);
      const c1 = torch.sub(1, at.div(atNext)).mul(torch.sub(1, atNext)).div(torch.sub(1, at)).sqrt().mul(eta);
      const c2 = torch.sub(1, atNext).sub(c1.pow(2)).sqrt();
      const xtNext = atNext
        .sqrt()
        .mul(x0T)
        .add(c1.mul(torch.randnLike(x)))
        .add(c2.mul(et));
      xs.push(xtNext);
    }
    return [xs, x0Preds];
  });
}

const skip = Math.floor(TIMESTEPS / DDIM_STEPS);
const seq = Array.from({ length: Math.ceil(TIMESTEPS / skip) }, (_, i) => i * skip);
const [samples, x0Preds] = generalizedSteps(torch.randn(N_SAMPLES, 1, SIZE, SIZE), seq, emaModel, betas);
print("samples", samples.at(-1)!.shape, x0Preds.length);
checks["sample"] = samples
  .at(-1)!
  .index(0, 0, Math.floor(SIZE / 2))
  .tolist() as number[];
checks["means"] = x0Preds.map((x) => x.mean().item());
checks["shadow"] = [Object.values(emaHelper.shadow).reduce((sum, p) => sum + p.norm().item(), 0)];
