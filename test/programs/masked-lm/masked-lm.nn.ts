// A small masked language model from scratch, a pointer network, a memory network, a GRU with scheduled sampling and beam search
import { torch, nn, F, optim, print, type Tensor } from "layerwise";

const { packPaddedSequence, padPackedSequence } = nn.utils.rnn;

torch.manualSeed(123);
export const losses: number[] = [];

/** T5's relative position bias */
class RelativeBias extends nn.Module {
  numBuckets: number;
  maxDistance: number;
  bias: nn.Embedding;

  constructor({ numBuckets = 8, maxDistance = 16, heads = 2 } = {}) {
    super();
    [this.numBuckets, this.maxDistance] = [numBuckets, maxDistance];
    this.bias = new nn.Embedding(numBuckets, heads);
  }

  static bucket(relativePosition: Tensor, numBuckets: number, maxDistance: number): Tensor {
    let n = relativePosition.neg();
    numBuckets = Math.floor(numBuckets / 2);
    const ret = n.lt(0).to(torch.long).mul(numBuckets);
    n = torch.abs(n);
    const maxExact = Math.floor(numBuckets / 2);
    const isSmall = n.lt(maxExact);
    let valIfLarge = torch
      .log(n.float().div(maxExact))
      .div(Math.log(maxDistance / maxExact))
      .mul(numBuckets - maxExact)
      .to(torch.long)
      .add(maxExact);
    valIfLarge = torch.min(valIfLarge, torch.fullLike(valIfLarge, numBuckets - 1));
    return ret.add_(torch.where(isSmall, n, valIfLarge));
  }

  forward(qlen: number, klen: number): Tensor {
    const q = torch.arange(qlen, { dtype: torch.long }).index(":", null);
    const k = torch.arange(klen, { dtype: torch.long }).index(null, ":");
    const rpBucket = RelativeBias.bucket(k.sub(q), this.numBuckets, this.maxDistance);
    return this.bias(rpBucket).permute([2, 0, 1]).unsqueeze(0);
  }
}

class SelfAttention extends nn.Module {
  heads: number;
  d: number;
  qkv: nn.Linear;
  out: nn.Linear;
  dropout: nn.Dropout;

  constructor(hidden: number, heads: number, p = 0.1) {
    super();
    if (hidden % heads !== 0) throw new Error("hidden must be divisible by heads");
    [this.heads, this.d] = [heads, Math.floor(hidden / heads)];
    this.qkv = new nn.Linear(hidden, hidden * 3);
    this.out = new nn.Linear(hidden, hidden);
    this.dropout = new nn.Dropout(p);
  }

  forward(x: Tensor, bias: Tensor, pad: Tensor): Tensor {
    const [b, n, h] = x.size();
    const [q, k, v] = this.qkv(x)
      .split(h, { dim: -1 })
      .map((t) => t.reshape(b, n, this.heads, this.d).permute(0, 2, 1, 3));
    let scores = torch
      .einsum("bhid,bhjd->bhij", q, k)
      .mul_(this.d ** -0.5)
      .add(bias);
    scores = scores.maskedFill(pad.index(":", null, null, ":"), torch.finfo(scores.dtype).min);
    const attn = this.dropout(scores.softmax(-1));
    return this.out(torch.einsum("bhij,bhjd->bhid", attn, v).transpose(1, 2).flatten(2));
  }
}

const block = (hidden: number, heads: number) =>
  new nn.ModuleDict({
    attn: new SelfAttention(hidden, heads),
    n1: new nn.LayerNorm(hidden),
    ff: new nn.Sequential({
      up: new nn.Linear(hidden, 32),
      act: new nn.GELU("tanh"),
      down: new nn.Linear(32, hidden),
    }),
    n2: new nn.LayerNorm(hidden),
  });

class MaskedLM extends nn.Module {
  tok: nn.Embedding;
  norm: nn.LayerNorm;
  rel: RelativeBias;
  layers: nn.ModuleList<ReturnType<typeof block>>;
  decoder: nn.Linear;

  constructor(vocab: number, { hidden = 16, heads = 2, layers = 2 } = {}) {
    super();
    this.tok = new nn.Embedding(vocab, hidden, { paddingIdx: 0 });
    this.registerBuffer("position_ids", torch.arange(32).expand([1, -1]));
    this.norm = new nn.LayerNorm(hidden, { eps: 1e-12 });
    this.rel = new RelativeBias({ heads });
    this.layers = new nn.ModuleList(Array.from({ length: layers }, () => block(hidden, heads)));
    this.decoder = new nn.Linear(hidden, vocab);
    this.decoder.weight = this.tok.weight;
  }

  forward(ids: Tensor, { labels }: { labels?: Tensor } = {}): [Tensor | null, Tensor] {
    const pad = ids.eq(0);
    let x = this.norm(this.tok(ids));
    const bias = this.rel(ids.shape[1], ids.shape.at(-1)!);
    for (const layer of this.layers) {
      x = layer.n1(x.add(layer.attn(x, bias, pad)));
      x = layer.n2(x.add(layer.ff(x)));
    }
    const logits = this.decoder(x);
    if (labels === undefined) return [null, logits];
    return [
      F.crossEntropy(logits.transpose(-1, -2), labels, { ignoreIndex: -100, labelSmoothing: 0.05 }),
      logits,
    ];
  }
}

const V = 24;
const MASK = V - 1;

function makeBatch(bs = 8, n = 12): [Tensor, Tensor] {
  const lengths = torch.randint(6, n + 1, [bs]);
  const start = torch.randint(1, V - 1, [bs, 1]);
  const ids = start
    .add(torch.arange(n).mul(2))
    .sub(1)
    .remainder(V - 2)
    .add(1);
  ids.indexPut_([torch.arange(n).ge(lengths.unsqueeze(1))], 0);
  const labels = ids.clone();
  const prob = torch.full(labels.shape, 0.25).maskedFill_(ids.eq(0), 0.0);
  const masked = torch.bernoulli(prob).bool();
  labels.indexPut_([masked.logicalNot()], -100);
  const replaced = torch.bernoulli(torch.full(labels.shape, 0.8)).bool().bitwiseAnd(masked);
  ids.indexPut_([replaced], MASK);
  const rand = torch
    .bernoulli(torch.full(labels.shape, 0.5))
    .bool()
    .bitwiseAnd(masked)
    .bitwiseAnd(replaced.bitwiseNot());
  const words = torch.randint(1, V - 1, labels.shape, { dtype: torch.long });
  ids.indexPut_([rand], words.index(rand));
  return [ids, labels];
}

const model = new MaskedLM(V);
print(model);
print(
  [...model.namedParameters()].map(([n]) => n).slice(0, 4),
  [...model.parameters()].length,
  model.stateDict().size,
);
let opt: optim.Optimizer = new optim.NAdam(
  [
    {
      params: [...model.namedParameters()]
        .filter(([n]) => !n.includes("norm") && !n.endsWith("bias"))
        .map(([, p]) => p),
      weightDecay: 0.01,
    },
    {
      params: [...model.namedParameters()]
        .filter(([n]) => n.includes("norm") || n.endsWith("bias"))
        .map(([, p]) => p),
    },
  ],
  { lr: 5e-3 },
);
const sched = new optim.lrScheduler.SequentialLR(
  opt,
  [
    new optim.lrScheduler.LinearLR(opt, 0.1, { totalIters: 5 }),
    new optim.lrScheduler.CosineAnnealingLR(opt, { tMax: 25 }),
  ],
  { milestones: [5] },
);
for (let step = 0; step < 30; step++) {
  const [ids, labels] = makeBatch();
  const [loss] = model(ids, { labels });
  opt.zeroGrad();
  loss!.backward();
  opt.step();
  sched.step();
  losses.push(loss!.item());
}
model.eval();
const [ids, labels] = makeBatch(2, 8);
const top = torch.noGrad(() => model(ids)[1].topk(3, { dim: -1 }));
print(ids);
print(labels.ne(-100));
print(
  top.indices.shape,
  top.values.dtype === torch.float32,
  ids.eq(MASK).nonzero({ asTuple: false }).tolist(),
);

class PointerNet extends nn.Module {
  emb: nn.Linear;
  enc: nn.LSTM;
  cell: nn.LSTMCell;
  w1: nn.Linear;
  w2: nn.Linear;
  v: nn.Parameter;
  start: nn.Parameter;

  constructor(hidden: number) {
    super();
    this.emb = new nn.Linear(1, hidden);
    this.enc = new nn.LSTM(hidden, hidden, { batchFirst: true });
    this.cell = new nn.LSTMCell(hidden, hidden);
    [this.w1, this.w2] = [
      new nn.Linear(hidden, hidden, { bias: false }),
      new nn.Linear(hidden, hidden, { bias: false }),
    ];
    this.v = new nn.Parameter(torch.empty(hidden).uniform_(-0.5, 0.5));
    this.start = new nn.Parameter(torch.zeros(1, hidden));
  }

  forward(x: Tensor, target: Tensor | null = null): [Tensor, Tensor] {
    const e = this.emb(x.unsqueeze(-1));
    let [memory, [h, c]] = this.enc(e);
    [h, c] = [h.squeeze(0), c.index(0)];
    let inp = this.start.repeat(x.size(0), 1);
    let mask = torch.zerosLike(x, { dtype: torch.bool });
    let loss = torch.tensor(0.0);
    const out: Tensor[] = [];
    for (let t = 0; t < x.size(1); t++) {
      [h, c] = this.cell(inp, [h, c]);
      let u = torch.tanh(this.w1(memory).add(this.w2(h).index(":", null))).matmul(this.v);
      u = u.maskedFill(mask, -Infinity);
      const choice = target === null ? u.argmax(1) : target.index(":", t);
      if (target !== null) loss = loss.add(F.nllLoss(u.logSoftmax(1), choice));
      out.push(choice);
      mask = mask.scatter(1, choice.index(":", null), true);
      inp = e.gather(1, choice.view(-1, 1, 1).expand(-1, 1, e.size(2))).squeeze(1);
    }
    return [loss.div(x.size(1)), torch.stack(out, 1)];
  }
}

const ptr = new PointerNet(12);
opt = new optim.Adagrad(ptr.parameters(), { lr: 0.1 });
for (let step = 0; step < 20; step++) {
  const x = torch.rand(16, 5);
  const [loss] = ptr(x, x.argsort(1));
  opt.zeroGrad();
  loss.backward();
  nn.utils.clipGradNorm_(ptr.parameters(), { maxNorm: 2.0 });
  opt.step();
  losses.push(loss.item());
}
torch.noGrad(() => {
  const [, order] = ptr(torch.tensor([[0.9, 0.1, 0.5, 0.3, 0.7]]));
  print(
    "pointer",
    (order.index(0).tolist() as number[]).toSorted((a, b) => a - b),
  );
});

class MemN2N extends nn.Module {
  hops: number;
  embs: nn.ParameterList;
  H: nn.Linear;
  declare pe: Tensor;

  constructor(vocab: number, d: number, hops: number) {
    super();
    this.hops = hops;
    this.embs = new nn.ParameterList(
      Array.from({ length: hops + 1 }, () => new nn.Parameter(torch.randn(vocab, d).mul(0.1))),
    );
    this.H = new nn.Linear(d, d);
    const J = 4;
    const pe = torch.tensor(
      Array.from({ length: J }, (_, j) =>
        Array.from({ length: d }, (_, k) => 1 - (j + 1) / J - ((k + 1) / d) * (1 - (2 * (j + 1)) / J)),
      ),
    );
    this.registerBuffer("pe", pe);
  }

  forward(story: Tensor, query: Tensor): Tensor {
    let u = F.embedding(query, this.embs[0]).sum(1);
    for (let hop = 0; hop < this.hops; hop++) {
      const m = F.embedding(story, this.embs[hop]).mul(this.pe).sum(2);
      const c = F.embedding(story, this.embs[hop + 1])
        .mul(this.pe)
        .sum(2);
      const p = F.softmax(torch.bmm(m, u.unsqueeze(2)).squeeze(2), { dim: 1 });
      u = this.H(u).add(torch.bmm(p.unsqueeze(1), c).squeeze(1));
    }
    return u.matmul(this.embs.get(-1).t());
  }
}

const mem = new MemN2N(15, 8, 2);
print(mem);
opt = new optim.SGD(mem.parameters(), { lr: 0.5, momentum: 0.9, nesterov: true });
const plateau = new optim.lrScheduler.ReduceLROnPlateau(opt, { factor: 0.5, patience: 1 });
for (let step = 0; step < 20; step++) {
  const story = torch.randint(0, 15, [8, 3, 4]);
  const query = story.index(torch.arange(8), torch.randint(3, [8])).index(":", ":2");
  const loss = F.crossEntropy(mem(story, query), query.index(":", 0));
  opt.zeroGrad();
  loss.backward();
  opt.step();
  plateau.step(loss);
  losses.push(loss.item());
}
print("lr", opt.paramGroups[0].lr);

class Seq2Seq extends nn.Module {
  emb: nn.Embedding;
  enc: nn.GRU;
  bridge: nn.Linear;
  dec: nn.GRUCell;
  out: nn.Linear;

  constructor(vocab: number, d: number) {
    super();
    this.emb = new nn.Embedding(vocab, d);
    this.enc = new nn.GRU(d, d, { numLayers: 2, dropout: 0.1, bidirectional: true });
    this.bridge = new nn.Linear(2 * d, d);
    this.dec = new nn.GRUCell(d, d);
    this.out = new nn.Linear(d, vocab);
  }

  encode(src: Tensor, lengths: Tensor): Tensor {
    const packed = packPaddedSequence(this.emb(src), lengths, { enforceSorted: false });
    let [out, h] = this.enc(packed);
    padPackedSequence(out);
    h = h.view(2, 2, src.size(1), -1).index(-1);
    return torch.tanh(this.bridge(torch.cat([h.index(0), h.index(1)], -1)));
  }

  forward(src: Tensor, lengths: Tensor, tgt: Tensor, { ratio }: { ratio: number }): Tensor {
    let h = this.encode(src, lengths);
    let inp = torch.zeros(src.size(1), { dtype: torch.long });
    const outs: Tensor[] = [];
    for (let t = 0; t < tgt.size(0); t++) {
      h = this.dec(this.emb(inp), h);
      outs.push(this.out(h));
      const use = torch.rand(inp.shape).lt(ratio);
      inp = torch.where(use, tgt.index(t), outs.at(-1)!.detach().argmax(-1));
    }
    return torch.stack(outs);
  }

  beam(src: Tensor, { width = 3, steps = 4 } = {}): [number, number[], Tensor][] {
    return torch.noGrad(() => {
      const h = this.encode(src.index(":", null), torch.tensor([src.size(0)]));
      let beams: [number, number[], Tensor][] = [[0.0, [0], h]];
      for (let i = 0; i < steps; i++) {
        const cand: typeof beams = [];
        for (const [score, toks, h] of beams) {
          const h2 = this.dec(this.emb(torch.tensor(toks.slice(-1))), h);
          const [lp, ix] = this.out(h2).logSoftmax(-1).index(0).topk(width);
          for (const [k, p] of [...lp].entries())
            cand.push([score + p.item(), [...toks, ix.index(k).item()], h2]);
        }
        beams = cand.sort((a, b) => b[0] - a[0]).slice(0, width);
      }
      return beams;
    });
  }
}

const s2s = new Seq2Seq(10, 8);
opt = new optim.Adamax(s2s.parameters(), { lr: 0.02 });
for (let step = 0; step < 25; step++) {
  const lengths = torch.randint(2, 5, [6]);
  lengths.indexPut_([0], 4);
  const src = torch.randint(1, 10, [4, 6]);
  const valid = torch.arange(4).index(":", null).lt(lengths);
  src.mul_(valid);
  const tgt = torch.where(valid, src.flip(0), 0);
  const logits = s2s(src, lengths, tgt, { ratio: 1 - step / 25 });
  const loss = F.crossEntropy(logits.flatten(0, 1), tgt.flatten(), { reduction: "none" })
    .mul(valid.flatten())
    .sum()
    .div(valid.sum());
  opt.zeroGrad();
  loss.backward();
  opt.step();
  losses.push(loss.item());
}
s2s.eval();
const best = s2s.beam(torch.tensor([3, 1, 2]));
print(best.length, best[0][1].length);
export const checks = {
  top: top.values.flatten().tolist(),
  beam: best.map((b) => b[0]),
  bias: model.rel.bias.weight.flatten().tolist(),
};
