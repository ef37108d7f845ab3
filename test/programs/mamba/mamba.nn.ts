/** Mamba (Gu & Dao, 2023): a selective state space model with its scan written as a loop, on selective copying. */
import { F, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(4);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [D_MODEL, N_LAYER, D_STATE, D_CONV, EXPAND] = [16, 2, 4, 4, 2];
const [LENGTH, N_TOKENS, BATCH, STEPS] = [12, 4, 8, 24];
const VOCAB_SIZE = 12;
const [DT_MIN, DT_MAX] = [0.001, 0.1];
const D_INNER = EXPAND * D_MODEL;
const DT_RANK = Math.ceil(D_MODEL / 16);

class RMSNorm extends nn.Module {
  eps: number;
  weight: nn.Parameter;

  constructor(dModel: number, eps = 1e-5) {
    super();
    this.eps = eps;
    this.weight = new nn.Parameter(torch.ones(dModel));
  }

  forward(x: Tensor): Tensor {
    return x.mul(torch.rsqrt(x.pow(2).mean(-1, { keepdim: true }).add(this.eps))).mul(this.weight);
  }
}

class MambaBlock extends nn.Module {
  in_proj: nn.Linear;
  conv1d: nn.Conv1d;
  x_proj: nn.Linear;
  dt_proj: nn.Linear;
  A_log: nn.Parameter;
  D: nn.Parameter;
  out_proj: nn.Linear;

  constructor() {
    super();
    this.in_proj = new nn.Linear(D_MODEL, D_INNER * 2, { bias: false });
    this.conv1d = new nn.Conv1d({
      inChannels: D_INNER,
      outChannels: D_INNER,
      bias: true,
      kernelSize: D_CONV,
      groups: D_INNER,
      padding: D_CONV - 1,
    });
    this.x_proj = new nn.Linear(D_INNER, DT_RANK + D_STATE * 2, { bias: false });
    this.dt_proj = new nn.Linear(DT_RANK, D_INNER, { bias: true });
    const dtInitStd = DT_RANK ** -0.5;
    nn.init.uniform_(this.dt_proj.weight, -dtInitStd, dtInitStd);
    const dt = torch
      .exp(
        torch
          .rand(D_INNER)
          .mul(Math.log(DT_MAX) - Math.log(DT_MIN))
          .add(Math.log(DT_MIN)),
      )
      .clamp({ min: 1e-4 });
    // The inverse of softplus.
    const invDt = dt.add(torch.log(torch.expm1(dt.neg()).neg()));
    torch.noGrad(() => this.dt_proj.bias!.copy_(invDt));
    const A = torch.arange(1, D_STATE + 1, { dtype: torch.float32 }).repeat(D_INNER, 1);
    this.A_log = new nn.Parameter(torch.log(A));
    this.D = new nn.Parameter(torch.ones(D_INNER));
    this.out_proj = new nn.Linear(D_INNER, D_MODEL, { bias: false });
  }

  forward(x: Tensor): Tensor {
    const l = x.shape[1];
    const xAndRes = this.in_proj(x);
    let res: Tensor;
    [x, res] = xAndRes.split({ splitSize: [D_INNER, D_INNER], dim: -1 });
    x = x.transpose(1, 2);
    x = this.conv1d(x).index(":", ":", `:${l}`);
    x = x.transpose(1, 2);
    x = F.silu(x);
    let y = this.ssm(x);
    y = y.mul(F.silu(res));
    return this.out_proj(y);
  }

  ssm(x: Tensor): Tensor {
    const A = torch.exp(this.A_log.float()).neg();
    const D = this.D.float();
    const xDbl = this.x_proj(x);
    let [delta, B, C] = xDbl.split({ splitSize: [DT_RANK, D_STATE, D_STATE], dim: -1 });
    delta = F.softplus(this.dt_proj(delta));
    return this.selectiveScan(x, delta, A, B, C, D);
  }

  selectiveScan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor): Tensor {
    const [b, l, dIn] = u.shape;
    const n = A.shape[1];
    const deltaA = torch.exp(torch.einsum("bld,dn->bldn", delta, A));
    const deltaBU = torch.einsum("bld,bln,bld->bldn", delta, B, u);
    let x = torch.zeros([b, dIn, n], { device: deltaA.device });
    const ys: Tensor[] = [];
    for (let i = 0; i < l; i++) {
      x = deltaA.index(":", i).mul(x).add(deltaBU.index(":", i));
      const y = torch.einsum("bdn,bn->bd", x, C.index(":", i, ":"));
      ys.push(y);
    }
    const y = torch.stack(ys, { dim: 1 });
    return y.add(u.mul(D));
  }
}

class ResidualBlock extends nn.Module {
  mixer: MambaBlock;
  norm: RMSNorm;

  constructor() {
    super();
    this.mixer = new MambaBlock();
    this.norm = new RMSNorm(D_MODEL);
  }

  forward(x: Tensor): Tensor {
    return this.mixer(this.norm(x)).add(x);
  }
}

class Mamba extends nn.Module {
  embedding: nn.Embedding;
  layers: nn.ModuleList<ResidualBlock>;
  norm_f: RMSNorm;
  lm_head: nn.Linear;

  constructor() {
    super();
    this.embedding = new nn.Embedding(VOCAB_SIZE, D_MODEL);
    this.layers = new nn.ModuleList(Array.from({ length: N_LAYER }, () => new ResidualBlock()));
    this.norm_f = new RMSNorm(D_MODEL);
    this.lm_head = new nn.Linear(D_MODEL, VOCAB_SIZE, { bias: false });
    this.apply((module) => this._initWeights(module));
    this.lm_head.weight = this.embedding.weight;
  }

  _initWeights(module: nn.Module): void {
    if (module instanceof nn.Embedding) nn.init.normal_(module.weight, { std: 0.02 });
  }

  forward(inputIds: Tensor): Tensor {
    let x = this.embedding(inputIds);
    for (const layer of this.layers) x = layer(x);
    x = this.norm_f(x);
    return this.lm_head(x);
  }
}

const [NOISE, MARKER] = [0, 1];

/** Tokens among noise, then markers; the answer is the tokens in their order. */
function selectiveCopying(batch: number): [Tensor, Tensor] {
  const tokens = torch.randint(2, VOCAB_SIZE, [batch, N_TOKENS]);
  const places = torch
    .stack(Array.from({ length: batch }, () => torch.randperm(LENGTH).index(`:${N_TOKENS}`)))
    .sort().values;
  const x = torch.full([batch, LENGTH], NOISE);
  x.scatter_(1, places, tokens);
  const markers = torch.full([batch, N_TOKENS], MARKER);
  return [torch.cat([x, markers], { dim: 1 }), tokens];
}

const model = new Mamba();
print(model);
print(
  "parameters",
  model.parameters().reduce((sum, p) => sum + p.numel(), 0),
);
const named = [...model.namedParameters()];
const decay = named.filter(([n, p]) => p.ndim >= 2 && !n.includes("A_log")).map(([, p]) => p);
const noDecay = named.filter(([n, p]) => p.ndim < 2 || n.includes("A_log")).map(([, p]) => p);
const optimizer = new optim.AdamW(
  [
    { params: decay, weightDecay: 0.1 },
    { params: noDecay, weightDecay: 0.0 },
  ],
  { lr: 3e-3, betas: [0.9, 0.95] },
);
for (let step = 0; step < STEPS; step++) {
  const [x, y] = selectiveCopying(BATCH);
  const logits = model(x).index(":", `-${N_TOKENS}:`);
  const loss = F.crossEntropy(logits.reshape(-1, VOCAB_SIZE), y.reshape(-1));
  optimizer.zeroGrad({ setToNone: true });
  loss.backward();
  nn.utils.clipGradNorm_(model.parameters(), 1.0);
  optimizer.step();
  losses.push(loss.item());
  if ((step + 1) % 8 === 0) print(`step ${step + 1}: ${format(loss.item(), ".2f")}`);
}

model.eval();
torch.noGrad(() => {
  const [x, y] = selectiveCopying(BATCH);
  const logits = model(x).index(":", `-${N_TOKENS}:`);
  checks["test"] = [F.crossEntropy(logits.reshape(-1, VOCAB_SIZE), y.reshape(-1)).item()];
  checks["logits"] = logits.index(0, 0).tolist() as number[];
});
checks["A_log"] = model.layers[0].mixer.A_log.index(0).tolist() as number[];
