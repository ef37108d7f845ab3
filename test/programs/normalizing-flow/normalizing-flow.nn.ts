/** RealNVP (Dinh et al., 2017), a Kalman filter fitted by likelihood, a Gumbel-softmax autoencoder and a tree-LSTM. */
import { F, nn, print, torch, type Tensor } from "layerwise";
const { distributions } = torch;

torch.manualSeed(71);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};

class RealNVP extends nn.Module {
  mask: nn.Parameter;
  t: nn.ModuleList<nn.Sequential>;
  s: nn.ModuleList<nn.Sequential>;
  prior;
  constructor(
    nets: () => nn.Sequential,
    nett: () => nn.Sequential,
    mask: Tensor,
    prior: InstanceType<typeof distributions.MultivariateNormal>,
  ) {
    super();
    this.prior = prior;
    this.mask = new nn.Parameter(mask, { requiresGrad: false });
    this.t = new nn.ModuleList(Array.from({ length: mask.size(0) }, () => nett()));
    this.s = new nn.ModuleList(Array.from({ length: mask.size(0) }, () => nets()));
  }
  g(z: Tensor) {
    let x = z;
    for (let i = 0; i < this.t.length; i++) {
      const m = this.mask.index(i);
      const x_ = x.mul(m);
      const s = this.s[i](x_).mul(torch.sub(1, m));
      const t = this.t[i](x_).mul(torch.sub(1, m));
      x = x_.add(torch.sub(1, m).mul(x.mul(torch.exp(s)).add(t)));
    }
    return x;
  }
  f(x: Tensor): [Tensor, Tensor] {
    let [logDetJ, z] = [x.newZeros(x.shape[0]), x];
    for (let i = this.t.length - 1; i >= 0; i--) {
      const m = this.mask.index(i);
      const z_ = m.mul(z);
      const s = this.s[i](z_).mul(torch.sub(1, m));
      const t = this.t[i](z_).mul(torch.sub(1, m));
      z = torch.sub(1, m).mul(z.sub(t)).mul(torch.exp(s.neg())).add(z_);
      logDetJ.sub_(s.sum({ dim: 1 }));
    }
    return [z, logDetJ];
  }
  logProb(x: Tensor) {
    const [z, logp] = this.f(x);
    return this.prior.logProb(z).add(logp);
  }
  sample(n: number) {
    const z = this.prior.sample([n, 1]);
    return this.g(z);
  }
}

const nets = () =>
  new nn.Sequential(new nn.Linear(2, 16), new nn.LeakyReLU(), new nn.Linear(16, 2), new nn.Tanh());
const nett = () => new nn.Sequential(new nn.Linear(2, 16), new nn.LeakyReLU(), new nn.Linear(16, 2));
const masks = torch.tensor(
  [
    [0, 1],
    [1, 0],
    [0, 1],
    [1, 0],
  ],
  { dtype: torch.float32 },
);
const prior = new distributions.MultivariateNormal(torch.zeros(2), torch.eye(2));
const flow = new RealNVP(nets, nett, masks, prior);
let opt: torch.optim.Optimizer = new torch.optim.Adam(
  [...flow.parameters()].filter((p) => p.requiresGrad),
  { lr: 5e-3 },
);
const theta = torch.rand(64).mul(Math.PI);
const data = torch.stack(
  [theta.cos().add(torch.randn(64).mul(0.1)), theta.sin().add(torch.randn(64).mul(0.1))],
  -1,
);
for (let t = 0; t < 15; t++) {
  const loss = flow.logProb(data).mean().neg();
  opt.zeroGrad();
  loss.backward({ retainGraph: true });
  opt.step();
  losses.push(loss.item());
}
torch.noGrad(() => {
  const smp = flow.sample(4);
  const [z, ld] = flow.f(smp.squeeze(1));
  print(smp.shape, torch.allclose(flow.g(z), smp.index(":", 0), { atol: 1e-5 }), prior);
  checks["logdet"] = ld.tolist() as number[];
});

torch.manualSeed(72);
const A = new nn.Parameter(
  torch.tensor([
    [1.0, 0.1],
    [0.0, 0.9],
  ]),
);
const [logQ, logR] = [
  new nn.Parameter(torch.tensor(-2.0).float()),
  new nn.Parameter(torch.tensor(-1.0).float()),
];
const Hm = torch.tensor([[1.0, 0.0]]).float();
let truth = torch.tensor([0.0, 1.0]).float();
const list: Tensor[] = [];
for (let i = 0; i < 20; i++) {
  truth = torch
    .tensor([
      [1.0, 0.3],
      [-0.3, 0.95],
    ])
    .matmul(truth)
    .add(torch.randn(2).mul(0.05));
  list.push(truth.index(0).add(torch.randn([]).mul(0.1)));
}
const ys = torch.stack(list);
opt = new torch.optim.Adam([A, logQ, logR], { lr: 0.05 });
for (let it = 0; it < 10; it++) {
  let [m, P, nll] = [torch.zeros(2), torch.eye(2), torch.tensor(0)];
  const [Q, R] = [torch.diag(logQ.exp().expand(2)), logR.exp().view(1, 1)];
  for (const yt of ys) {
    [m, P] = [A.matmul(m), A.matmul(P).matmul(A.mT).add(Q)];
    const S = Hm.matmul(P).matmul(Hm.T).add(R);
    const innov = yt.sub(Hm.matmul(m));
    nll = nll.add(
      innov
        .matmul(torch.linalg.solve(S, innov))
        .add(torch.logdet(S))
        .add(Math.log(2 * Math.PI))
        .mul(0.5),
    );
    const K = P.matmul(Hm.T).matmul(torch.inverse(S));
    m = m.add(K.matmul(innov));
    P = torch.eye(2).sub(K.matmul(Hm)).matmul(P);
  }
  const loss = nll.div(ys.size(0));
  opt.zeroGrad();
  loss.backward();
  opt.step();
  losses.push(loss.item());
}
checks["A"] = A.flatten().tolist() as number[];

torch.manualSeed(73);
function sampleGumbel(shape: readonly number[], eps = 1e-20) {
  const U = torch.rand(shape);
  return torch.log(torch.log(U.add(eps)).neg().add(eps)).neg();
}
function gumbelSoftmax(logits: Tensor, temperature: number, { hard = false } = {}) {
  const y = F.softmax(logits.add(sampleGumbel(logits.size())).div(temperature), { dim: -1 });
  if (!hard) return y.view(-1, 3 * 4);
  const shape = y.size();
  const [, ind] = y.max({ dim: -1 });
  let yHard = torch.zerosLike(y).view(-1, shape.at(-1)!);
  yHard.scatter_(1, ind.view(-1, 1), 1);
  yHard = yHard.view(...shape);
  yHard = yHard.sub(y).detach().add(y);
  return yHard.view(-1, 3 * 4);
}
const [enc, dec] = [new nn.Linear(8, 12), new nn.Linear(12, 8)];
opt = new torch.optim.Adam([...enc.parameters(), ...dec.parameters()], { lr: 1e-2 });
const x = torch
  .rand(32, 8)
  .lt(torch.linspace(0.1, 0.9, 8))
  .float();
let temp = 1.0;
for (let it = 0; it < 10; it++) {
  const q = enc(x);
  const qY = q.view(q.size(0), 3, 4);
  const zc = gumbelSoftmax(qY, temp, { hard: it % 2 === 1 });
  const recon = torch.sigmoid(dec(zc));
  const BCE = F.binaryCrossEntropy(recon, x, { reduction: "sum" }).div(x.shape[0]);
  const qy = F.softmax(q, { dim: -1 }).reshape(...q.size());
  const KLD = torch.sum(qy.mul(torch.log(qy.mul(4).add(1e-20))), { dim: -1 }).mean();
  const loss = BCE.add(KLD);
  opt.zeroGrad();
  loss.backward();
  opt.step();
  losses.push(loss.item());
  temp = Math.max(temp * Math.exp(-0.05 * it), 0.5);
}
const hard = F.gumbelSoftmax(enc(x.index(":2")).view(2, 3, 4), { tau: 0.7, hard: true });
checks["hard"] = hard.flatten().tolist() as number[];

type Tree = [number, Tree[]];
class ChildSumTreeLSTM extends nn.Module {
  ioux: nn.Linear;
  iouh: nn.Linear;
  fx: nn.Linear;
  fh: nn.Linear;
  constructor(
    inDim: number,
    public memDim: number,
  ) {
    super();
    [this.ioux, this.iouh] = [new nn.Linear(inDim, 3 * memDim), new nn.Linear(memDim, 3 * memDim)];
    [this.fx, this.fh] = [new nn.Linear(inDim, memDim), new nn.Linear(memDim, memDim)];
  }
  nodeForward(inputs: Tensor, childC: Tensor, childH: Tensor): [Tensor, Tensor] {
    const childHSum = torch.sum(childH, { dim: 0, keepdim: true });
    const iou = this.ioux(inputs).add(this.iouh(childHSum));
    let [i, o, u] = torch.split(iou, iou.size(1) / 3, { dim: 1 });
    [i, o, u] = [torch.sigmoid(i), torch.sigmoid(o), torch.tanh(u)];
    const f = torch.sigmoid(this.fh(childH).add(this.fx(inputs).repeat(childH.size(0), 1)));
    const fc = torch.mul(f, childC);
    const c = torch.mul(i, u).add(torch.sum(fc, { dim: 0, keepdim: true }));
    const h = torch.mul(o, torch.tanh(c));
    return [c, h];
  }
  forward(tree: Tree, inputs: Tensor): [Tensor, Tensor] {
    const [idx, children] = tree;
    let childC: Tensor, childH: Tensor;
    if (children.length === 0) {
      childC = inputs.index(0).detach().new(1, this.memDim).fill_(0.0).requiresGrad_();
      childH = inputs.index(0).detach().new(1, this.memDim).fill_(0.0).requiresGrad_();
    } else {
      const both = children.map((x) => this.forward(x, inputs));
      [childC, childH] = [
        torch.cat(
          both.map((b) => b[0]),
          { dim: 0 },
        ),
        torch.cat(
          both.map((b) => b[1]),
          { dim: 0 },
        ),
      ];
    }
    return this.nodeForward(inputs.index(`${idx}:${idx + 1}`), childC, childH);
  }
}

torch.manualSeed(74);
const trees: Tree[] = [
  [
    0,
    [
      [1, []],
      [
        2,
        [
          [3, []],
          [4, []],
        ],
      ],
    ],
  ],
  [0, [[1, [[2, [[3, []]]]]]]],
  [2, []],
];
const emb = new nn.Embedding(9, 6);
const [tl, head] = [new ChildSumTreeLSTM(6, 8), new nn.Linear(8, 3)];
opt = new torch.optim.Adagrad([...emb.parameters(), ...tl.parameters(), ...head.parameters()], {
  lr: 0.05,
  weightDecay: 1e-4,
});
for (let it = 0; it < 4; it++) {
  for (const [k, tree] of trees.entries()) {
    const toks = torch.arange(5).add(k);
    const [, h] = tl(tree, emb(toks));
    const loss = F.klDiv(
      F.logSoftmax(head(h), { dim: 1 }),
      F.oneHot(torch.tensor([k]), 3)
        .float()
        .mul(0.8)
        .add(0.2 / 3),
      { reduction: "batchmean" },
    );
    opt.zeroGrad();
    loss.backward();
    opt.step();
    losses.push(loss.item());
  }
}
