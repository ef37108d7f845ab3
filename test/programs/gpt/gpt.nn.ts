// A small GPT on characters: tied weights, a learning rate with warm-up and cosine decay, then sampling
import { torch, nn, F, optim, format, print, type Parameter, type Tensor } from "layerwise";

torch.manualSeed(1337);
export const losses: number[] = [];

// hyperparameters
const batchSize = 8;
const blockSize = 16;
const maxIters = 40;
const evalInterval = 20;
const evalIters = 3;
const learningRate = 1e-2;
const minLr = 1e-3;
const warmupIters = 8;
const weightDecay = 0.1;
const gradClip = 1.0;
const [nLayer, nHead, nEmbd] = [2, 4, 32];
const dropout = 0.1;
const prompt = "In ";
const newTokens = 60;

const text = `Tyger Tyger, burning bright,
In the forests of the night;
What immortal hand or eye,
Could frame thy fearful symmetry?

In what distant deeps or skies,
Burnt the fire of thine eyes?
On what wings dare he aspire?
What the hand, dare seize the fire?
`;
const chars = [...new Set(text)].sort();
const vocabSize = chars.length;
const stoi = Object.fromEntries(chars.map((ch, i) => [ch, i]));
const itos = Object.fromEntries(chars.map((ch, i) => [i, ch]));
const encode = (s: string): number[] => [...s].map((c) => stoi[c]);
const decode = (l: number[]): string => l.map((i) => itos[i]).join("");

const data = torch.tensor(encode(text), { dtype: torch.long });
const n = Math.trunc(0.8 * data.size(0));
const [trainData, valData] = [data.index(`:${n}`), data.index(`${n}:`)];

function getBatch(split: string): [Tensor, Tensor] {
  const data = split === "train" ? trainData : valData;
  const ix = torch.randint(data.size(0) - blockSize, [batchSize]).tolist() as number[];
  const x = torch.stack(ix.map((i) => data.index(`${i}:${i + blockSize}`)));
  const y = torch.stack(ix.map((i) => data.index(`${i + 1}:${i + blockSize + 1}`)));
  return [x, y];
}

class CausalSelfAttention extends nn.Module {
  cAttn = new nn.Linear(nEmbd, 3 * nEmbd, { bias: false });
  cProj = new nn.Linear(nEmbd, nEmbd, { bias: false });
  attnDropout = new nn.Dropout(dropout);
  residDropout = new nn.Dropout(dropout);
  declare bias: Tensor;

  constructor() {
    super();
    this.registerBuffer(
      "bias",
      torch.tril(torch.ones(blockSize, blockSize)).view(1, 1, blockSize, blockSize),
    );
  }

  forward(x: Tensor): Tensor {
    const [B, T, C] = x.size();
    let [q, k, v] = this.cAttn(x).split(nEmbd, { dim: 2 });
    k = k.view(B, T, nHead, C / nHead).transpose(1, 2);
    q = q.view(B, T, nHead, C / nHead).transpose(1, 2);
    v = v.view(B, T, nHead, C / nHead).transpose(1, 2);
    let att = q.matmul(k.transpose(-2, -1)).mul(1.0 / Math.sqrt(k.size(-1)));
    att = att.maskedFill(this.bias.index(":", ":", `:${T}`, `:${T}`).eq(0), -Infinity);
    att = F.softmax(att, { dim: -1 });
    att = this.attnDropout(att);
    let y = att.matmul(v);
    y = y.transpose(1, 2).contiguous().view(B, T, C);
    return this.residDropout(this.cProj(y));
  }
}

class MLP extends nn.Module {
  cFc = new nn.Linear(nEmbd, 4 * nEmbd);
  gelu = new nn.GELU();
  cProj = new nn.Linear(4 * nEmbd, nEmbd);
  dropout = new nn.Dropout(dropout);

  forward(x: Tensor): Tensor {
    x = this.cFc(x);
    x = this.gelu(x);
    x = this.cProj(x);
    return this.dropout(x);
  }
}

class Block extends nn.Module {
  ln1 = new nn.LayerNorm(nEmbd);
  attn = new CausalSelfAttention();
  ln2 = new nn.LayerNorm(nEmbd);
  mlp = new MLP();

  forward(x: Tensor): Tensor {
    x = x.add(this.attn(this.ln1(x)));
    x = x.add(this.mlp(this.ln2(x)));
    return x;
  }
}

class GPT extends nn.Module {
  transformer = new nn.ModuleDict({
    wte: new nn.Embedding(vocabSize, nEmbd),
    wpe: new nn.Embedding(blockSize, nEmbd),
    drop: new nn.Dropout(dropout),
    h: new nn.ModuleList(Array.from({ length: nLayer }, () => new Block())),
    lnF: new nn.LayerNorm(nEmbd),
  });
  lmHead = new nn.Linear(nEmbd, vocabSize, { bias: false });

  constructor() {
    super();
    this.transformer.wte.weight = this.lmHead.weight;

    this.apply((module) => this.initWeights(module));
    for (const [name, p] of this.namedParameters())
      if (name.endsWith("cProj.weight")) nn.init.normal_(p, { mean: 0.0, std: 0.02 / Math.sqrt(2 * nLayer) });
    print(`number of parameters: ${this.getNumParams()}`);
  }

  getNumParams(): number {
    let nParams = [...this.parameters()].reduce((sum, p) => sum + p.numel(), 0);
    nParams -= this.transformer.wpe.weight.numel();
    return nParams;
  }

  initWeights(module: nn.Module): void {
    if (module instanceof nn.Linear) {
      nn.init.normal_(module.weight, { mean: 0.0, std: 0.02 });
      if (module.bias !== null) nn.init.zeros_(module.bias);
    } else if (module instanceof nn.Embedding) {
      nn.init.normal_(module.weight, { mean: 0.0, std: 0.02 });
    }
  }

  forward(idx: Tensor, targets: Tensor | null = null): [Tensor, Tensor | null] {
    const [, t] = idx.size();
    const pos = torch.arange(0, t, { dtype: torch.long });
    const tokEmb = this.transformer.wte(idx);
    const posEmb = this.transformer.wpe(pos);
    let x = this.transformer.drop(tokEmb.add(posEmb));
    for (const block of this.transformer.h) x = block(x);
    x = this.transformer.lnF(x);
    let logits: Tensor;
    let loss: Tensor | null;
    if (targets !== null) {
      logits = this.lmHead(x);
      loss = F.crossEntropy(logits.view(-1, logits.size(-1)), targets.view(-1), { ignoreIndex: -1 });
    } else {
      logits = this.lmHead(x.index(":", [-1], ":"));
      loss = null;
    }
    return [logits, loss];
  }

  configureOptimizers(weightDecay: number, learningRate: number, betas: [number, number]) {
    const paramDict = new Map([...this.namedParameters()].filter(([, p]) => p.requiresGrad));
    const decayParams = [...paramDict.values()].filter((p) => p.dim() >= 2);
    const nodecayParams = [...paramDict.values()].filter((p) => p.dim() < 2);
    const optimGroups = [
      { params: decayParams, weightDecay },
      { params: nodecayParams, weightDecay: 0.0 },
    ];
    const count = (params: Parameter[]): string =>
      format(
        params.reduce((sum, p) => sum + p.numel(), 0),
        ",",
      );
    print(`num decayed parameter tensors: ${decayParams.length}, with ${count(decayParams)} parameters`);
    print(
      `num non-decayed parameter tensors: ${nodecayParams.length}, with ${count(nodecayParams)} parameters`,
    );
    return new optim.AdamW(optimGroups, { lr: learningRate, betas });
  }

  generate(
    idx: Tensor,
    maxNewTokens: number,
    { temperature = 1.0, topK = null }: { temperature?: number; topK?: number | null } = {},
  ): Tensor {
    return torch.noGrad(() => {
      for (let i = 0; i < maxNewTokens; i++) {
        const idxCond = idx.size(1) <= blockSize ? idx : idx.index(":", `${-blockSize}:`);
        let [logits] = this.forward(idxCond);
        logits = logits.index(":", -1, ":").div(temperature);
        if (topK !== null) {
          const { values: v } = torch.topk(logits, Math.min(topK, logits.size(-1)));
          logits.indexPut_([logits.lt(v.index(":", [-1]))], -Infinity);
        }
        const probs = F.softmax(logits, { dim: -1 });
        const idxNext = torch.multinomial(probs, { numSamples: 1 });
        idx = torch.cat([idx, idxNext], { dim: 1 });
      }
      return idx;
    });
  }
}

const model = new GPT();
const optimizer = model.configureOptimizers(weightDecay, learningRate, [0.9, 0.95]);

function estimateLoss(): Record<string, Tensor> {
  return torch.noGrad(() => {
    const out: Record<string, Tensor> = {};
    model.eval();
    for (const split of ["train", "val"]) {
      const losses = torch.zeros(evalIters);
      for (let k = 0; k < evalIters; k++) {
        const [X, Y] = getBatch(split);
        const [, loss] = model(X, Y);
        losses.indexPut_([k], loss!.item());
      }
      out[split] = losses.mean();
    }
    model.train();
    return out;
  });
}

function getLr(it: number): number {
  if (it < warmupIters) return (learningRate * (it + 1)) / (warmupIters + 1);
  const decayRatio = (it - warmupIters) / (maxIters - warmupIters);
  const coeff = 0.5 * (1.0 + Math.cos(Math.PI * decayRatio));
  return minLr + coeff * (learningRate - minLr);
}

for (let it = 0; it < maxIters; it++) {
  const lr = getLr(it);
  for (const paramGroup of optimizer.paramGroups) paramGroup.lr = lr;

  if (it % evalInterval === 0) {
    const out = estimateLoss();
    print(`step ${it}: train loss ${format(out.train, ".2f")}, val loss ${format(out.val, ".2f")}`);
  }

  const [X, Y] = getBatch("train");
  const [, loss] = model(X, Y);
  loss!.backward();
  nn.utils.clipGradNorm_(model.parameters(), gradClip);
  optimizer.step();
  optimizer.zeroGrad({ setToNone: true });
  losses.push(loss!.item());
}

model.eval();
const start = torch.tensor([encode(prompt)]);
print(decode(model.generate(start, newTokens, { temperature: 0.8, topK: 5 }).index(0).tolist() as number[]));
export const checks = {
  weight: [model.lmHead.weight.sum().item(), model.transformer.wpe.weight.sum().item()],
};
