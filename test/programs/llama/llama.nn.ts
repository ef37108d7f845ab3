// A LLaMA-like decoder: RMSNorm, rotary embeddings, grouped-query attention, SwiGLU, a key-value cache, sampling with top-p
import { copy, torch, nn, F, optim, print, format, type Tensor } from "layerwise";

torch.manualSeed(42);
export const losses: number[] = [];
const [DIM, LAYERS, HEADS, KV_HEADS, MAX_SEQ_LEN] = [32, 2, 4, 2, 32];
const [BATCH, BLOCK, STEPS, NEW_TOKENS] = [8, 24, 40, 10];

const defaults = {
  dim: DIM,
  nLayers: LAYERS,
  nHeads: HEADS,
  nKvHeads: KV_HEADS as number | null,
  vocabSize: 29,
  multipleOf: 8,
  normEps: 1e-5,
  maxBatchSize: 3,
  maxSeqLen: MAX_SEQ_LEN,
};
type ModelArgs = typeof defaults;

class RMSNorm extends nn.Module {
  eps: number;
  weight: nn.Parameter;

  constructor(dim: number, { eps = 1e-6 } = {}) {
    super();
    this.eps = eps;
    this.weight = new nn.Parameter(torch.ones(dim));
  }

  _norm(x: Tensor): Tensor {
    return x.mul(torch.rsqrt(x.pow(2).mean(-1, { keepdim: true }).add(this.eps)));
  }

  forward(x: Tensor): Tensor {
    const output = this._norm(x.float()).typeAs(x);
    return output.mul(this.weight);
  }

  override extraRepr(): string {
    return `(${this.weight.shape[0]},), eps=${format(this.eps)}`;
  }
}

function precomputeFreqs(dim: number, end: number, theta = 10000.0): [Tensor, Tensor] {
  const exponents = torch
    .arange(0, dim, 2)
    .index(`:${Math.floor(dim / 2)}`)
    .float()
    .div(dim);
  let freqs = torch.pow(theta, exponents).reciprocal();
  const t = torch.arange(end, { device: freqs.device, dtype: torch.float32 });
  freqs = torch.outer(t, freqs);
  return [torch.cos(freqs), torch.sin(freqs)];
}

function applyRotaryEmb(xq: Tensor, xk: Tensor, freqsCos: Tensor, freqsSin: Tensor): [Tensor, Tensor] {
  const [xqR, xqI] = xq
    .float()
    .reshape([...xq.shape.slice(0, -1), -1, 2])
    .unbind(-1);
  const [xkR, xkI] = xk
    .float()
    .reshape([...xk.shape.slice(0, -1), -1, 2])
    .unbind(-1);
  const shape = xqR.shape.map((d, i) => (i === 1 || i === xqR.ndim - 1 ? d : 1));
  freqsCos = freqsCos.view(shape);
  freqsSin = freqsSin.view(shape);
  const xqOutR = xqR.mul(freqsCos).sub(xqI.mul(freqsSin));
  const xqOutI = xqR.mul(freqsSin).add(xqI.mul(freqsCos));
  const xkOutR = xkR.mul(freqsCos).sub(xkI.mul(freqsSin));
  const xkOutI = xkR.mul(freqsSin).add(xkI.mul(freqsCos));
  const xqOut = torch.stack([xqOutR, xqOutI], { dim: -1 }).flatten(3);
  const xkOut = torch.stack([xkOutR, xkOutI], { dim: -1 }).flatten(3);
  return [xqOut.typeAs(xq), xkOut.typeAs(xk)];
}

function repeatKv(x: Tensor, nRep: number): Tensor {
  const [bs, slen, nKvHeads, headDim] = x.shape;
  if (nRep === 1) return x;
  return x
    .index(":", ":", ":", null, ":")
    .expand(bs, slen, nKvHeads, nRep, headDim)
    .reshape(bs, slen, nKvHeads * nRep, headDim);
}

class Attention extends nn.Module {
  nKvHeads: number;
  nHeads: number;
  nRep: number;
  headDim: number;
  wq: nn.Linear;
  wk: nn.Linear;
  wv: nn.Linear;
  wo: nn.Linear;
  declare cache_k: Tensor;
  declare cache_v: Tensor;

  constructor(args: ModelArgs) {
    super();
    this.nKvHeads = args.nKvHeads === null ? args.nHeads : args.nKvHeads;
    this.nHeads = args.nHeads;
    this.nRep = Math.floor(this.nHeads / this.nKvHeads);
    this.headDim = Math.floor(args.dim / args.nHeads);
    this.wq = new nn.Linear(args.dim, args.nHeads * this.headDim, { bias: false });
    this.wk = new nn.Linear(args.dim, this.nKvHeads * this.headDim, { bias: false });
    this.wv = new nn.Linear(args.dim, this.nKvHeads * this.headDim, { bias: false });
    this.wo = new nn.Linear(args.nHeads * this.headDim, args.dim, { bias: false });
    const cache = torch.zeros([args.maxBatchSize, args.maxSeqLen, this.nKvHeads, this.headDim]);
    this.registerBuffer("cache_k", cache, { persistent: false });
    this.registerBuffer("cache_v", cache.clone(), { persistent: false });
  }

  forward(x: Tensor, startPos: number, freqsCos: Tensor, freqsSin: Tensor, mask: Tensor | null): Tensor {
    const [bsz, seqlen] = x.shape;
    let [xq, xk, xv] = [this.wq(x), this.wk(x), this.wv(x)];
    xq = xq.view(bsz, seqlen, this.nHeads, this.headDim);
    xk = xk.view(bsz, seqlen, this.nKvHeads, this.headDim);
    xv = xv.view(bsz, seqlen, this.nKvHeads, this.headDim);
    [xq, xk] = applyRotaryEmb(xq, xk, freqsCos, freqsSin);
    let [keys, values] = [xk, xv];
    if (!this.training) {
      this.cache_k.indexPut_([`:${bsz}`, `${startPos}:${startPos + seqlen}`], xk);
      this.cache_v.indexPut_([`:${bsz}`, `${startPos}:${startPos + seqlen}`], xv);
      keys = this.cache_k.index(`:${bsz}`, `:${startPos + seqlen}`);
      values = this.cache_v.index(`:${bsz}`, `:${startPos + seqlen}`);
    }
    keys = repeatKv(keys, this.nRep);
    values = repeatKv(values, this.nRep);
    xq = xq.transpose(1, 2);
    keys = keys.transpose(1, 2);
    values = values.transpose(1, 2);
    let scores = torch.matmul(xq, keys.transpose(2, 3)).div(Math.sqrt(this.headDim));
    if (mask !== null) scores = scores.add(mask);
    scores = F.softmax(scores.float(), { dim: -1 }).typeAs(xq);
    let output = torch.matmul(scores, values);
    output = output.transpose(1, 2).contiguous().view(bsz, seqlen, -1);
    return this.wo(output);
  }
}

class FeedForward extends nn.Module {
  w1: nn.Linear;
  w2: nn.Linear;
  w3: nn.Linear;

  constructor(dim: number, hiddenDim: number, multipleOf: number) {
    super();
    hiddenDim = Math.trunc((2 * hiddenDim) / 3);
    hiddenDim = multipleOf * Math.floor((hiddenDim + multipleOf - 1) / multipleOf);
    this.w1 = new nn.Linear(dim, hiddenDim, { bias: false });
    this.w2 = new nn.Linear(hiddenDim, dim, { bias: false });
    this.w3 = new nn.Linear(dim, hiddenDim, { bias: false });
  }

  forward(x: Tensor): Tensor {
    return this.w2(F.silu(this.w1(x)).mul(this.w3(x)));
  }
}

class TransformerBlock extends nn.Module {
  attention: Attention;
  feed_forward: FeedForward;
  layerId: number;
  attention_norm: RMSNorm;
  ffn_norm: RMSNorm;

  constructor(layerId: number, args: ModelArgs) {
    super();
    this.attention = new Attention(args);
    this.feed_forward = new FeedForward(args.dim, 4 * args.dim, args.multipleOf);
    this.layerId = layerId;
    this.attention_norm = new RMSNorm(args.dim, { eps: args.normEps });
    this.ffn_norm = new RMSNorm(args.dim, { eps: args.normEps });
  }

  forward(x: Tensor, startPos: number, freqsCos: Tensor, freqsSin: Tensor, mask: Tensor | null): Tensor {
    const h = x.add(this.attention(this.attention_norm(x), startPos, freqsCos, freqsSin, mask));
    return h.add(this.feed_forward(this.ffn_norm(h)));
  }
}

class Transformer extends nn.Module {
  params: ModelArgs;
  tok_embeddings: nn.Embedding;
  layers: nn.ModuleList<TransformerBlock>;
  norm: RMSNorm;
  output: nn.Linear;
  declare freqs_cos: Tensor;
  declare freqs_sin: Tensor;

  constructor(params: ModelArgs) {
    super();
    this.params = params;
    this.tok_embeddings = new nn.Embedding(params.vocabSize, params.dim);
    this.layers = new nn.ModuleList();
    for (let layerId = 0; layerId < params.nLayers; layerId++)
      this.layers.append(new TransformerBlock(layerId, params));
    this.norm = new RMSNorm(params.dim, { eps: params.normEps });
    this.output = new nn.Linear(params.dim, params.vocabSize, { bias: false });
    const [freqsCos, freqsSin] = precomputeFreqs(
      Math.floor(params.dim / params.nHeads),
      params.maxSeqLen * 2,
    );
    this.registerBuffer("freqs_cos", freqsCos, { persistent: false });
    this.registerBuffer("freqs_sin", freqsSin, { persistent: false });
    this.apply(this._initWeights);
    for (const [pn, p] of this.namedParameters())
      if (pn.endsWith("w3.weight") || pn.endsWith("wo.weight"))
        nn.init.normal_(p, { mean: 0.0, std: 0.02 / Math.sqrt(2 * params.nLayers) });
  }

  _initWeights(module: nn.Module): void {
    if (module instanceof nn.Linear) {
      nn.init.normal_(module.weight, { mean: 0.0, std: 0.02 });
      if (module.bias !== null) nn.init.zeros_(module.bias);
    } else if (module instanceof nn.Embedding) {
      nn.init.normal_(module.weight, { mean: 0.0, std: 0.02 });
    }
  }

  forward(tokens: Tensor, startPos = 0): Tensor {
    const [, seqlen] = tokens.shape;
    let h = this.tok_embeddings(tokens);
    const freqsCos = this.freqs_cos.index(`${startPos}:${startPos + seqlen}`);
    const freqsSin = this.freqs_sin.index(`${startPos}:${startPos + seqlen}`);
    let mask: Tensor | null = null;
    if (seqlen > 1) {
      mask = torch.full([1, 1, seqlen, seqlen], -Infinity, { device: tokens.device });
      mask = torch.triu(mask, { diagonal: startPos + 1 }).typeAs(h);
    }
    for (const layer of this.layers) h = layer(h, startPos, freqsCos, freqsSin, mask);
    h = this.norm(h);
    return this.output(h).float();
  }
}

function sampleTopP(probs: Tensor, p: number): Tensor {
  const [probsSort, probsIdx] = torch.sort(probs, { dim: -1, descending: true });
  const probsSum = torch.cumsum(probsSort, { dim: -1 });
  const mask = probsSum.sub(probsSort).gt(p);
  probsSort.indexPut_([mask], 0.0);
  probsSort.div_(probsSort.sum({ dim: -1, keepdim: true }));
  const nextToken = torch.multinomial(probsSort, { numSamples: 1 });
  return torch.gather(probsIdx, -1, nextToken);
}

function generate(
  model: Transformer,
  promptTokens: number[][],
  maxGenLen: number,
  { temperature = 0.6, topP = 0.9, padId = 0, eosId = 1 } = {},
): [number[][], Tensor] {
  return torch.inferenceMode(() => {
    const bsz = promptTokens.length;
    const minPromptLen = Math.min(...promptTokens.map((t) => t.length));
    const maxPromptLen = Math.max(...promptTokens.map((t) => t.length));
    const totalLen = Math.min(model.params.maxSeqLen, maxGenLen + maxPromptLen);
    const tokens = torch.full([bsz, totalLen], padId, { dtype: torch.long });
    for (const [k, t] of promptTokens.entries())
      tokens.indexPut_([k, `:${t.length}`], torch.tensor(t, { dtype: torch.long }));
    const tokenLogprobs = torch.zerosLike(tokens, { dtype: torch.float });
    let prevPos = 0;
    let eosReached = torch.tensor(Array(bsz).fill(false));
    const inputTextMask = tokens.ne(padId);
    for (let curPos = minPromptLen; curPos < totalLen; curPos++) {
      const logits = model(tokens.index(":", `${prevPos}:${curPos}`), prevPos);
      tokenLogprobs.indexPut_(
        [":", `${prevPos + 1}:${curPos + 1}`],
        F.crossEntropy(logits.transpose(1, 2), tokens.index(":", `${prevPos + 1}:${curPos + 1}`), {
          reduction: "none",
          ignoreIndex: padId,
        }).neg(),
      );
      let nextToken: Tensor;
      if (temperature > 0) {
        const probs = torch.softmax(logits.index(":", -1).div(temperature), { dim: -1 });
        nextToken = sampleTopP(probs, topP);
      } else nextToken = torch.argmax(logits.index(":", -1), { dim: -1 });
      nextToken = nextToken.reshape(-1);
      nextToken = torch.where(inputTextMask.index(":", curPos), tokens.index(":", curPos), nextToken);
      tokens.indexPut_([":", curPos], nextToken);
      eosReached = eosReached.logicalOr(
        inputTextMask.index(":", curPos).logicalNot().logicalAnd(nextToken.eq(eosId)),
      );
      prevPos = curPos;
      if (eosReached.all().item()) break;
    }
    const out: number[][] = [];
    for (let [i, toks] of (tokens.tolist() as number[][]).entries()) {
      const start = promptTokens[i].length;
      toks = toks.slice(start, promptTokens[i].length + maxGenLen);
      if (toks.includes(eosId)) toks = toks.slice(0, toks.indexOf(eosId));
      out.push(toks);
    }
    return [out, tokenLogprobs];
  });
}

const CHARS = "#$ abcdefghijklmnopqrstuvwxyz";
const TEXT = "the quick brown fox jumps over the lazy dog and the lazy dog sleeps while the quick fox runs ";
const encode = (s: string) => [...s].map((c) => CHARS.indexOf(c));
const decode = (ids: number[]) => ids.map((i) => CHARS[i]).join("");
const corpus = torch.tensor(encode(TEXT.repeat(4)));

function getBatch(batchSize = BATCH, block = BLOCK): [Tensor, Tensor] {
  const ix = torch.randint(corpus.size(0) - block, [batchSize]);
  const x = torch.stack([...ix].map((i) => corpus.index(`${i.item()}:${i.item() + block}`)));
  const y = torch.stack([...ix].map((i) => corpus.index(`${i.item() + 1}:${i.item() + 1 + block}`)));
  return [x, y];
}

const args = { ...defaults };
const model = new Transformer(args);
print(model);
print(
  `${format(
    model.parameters().reduce((n, p) => n + p.numel(), 0),
    ",",
  )} parameters`,
);
print([...model.namedBuffers()].map(([n]) => n).slice(0, 3), [...model.stateDict()].length);

const paramDict = new Map([...model.namedParameters()].filter(([, p]) => p.requiresGrad));
const decayParams = [...paramDict.values()].filter((p) => p.dim() >= 2);
const nodecayParams = [...paramDict.values()].filter((p) => p.dim() < 2);
const optimizer = new optim.AdamW(
  [
    { params: decayParams, weightDecay: 0.1 },
    { params: nodecayParams, weightDecay: 0.0 },
  ],
  { lr: 1e-2, betas: [0.9, 0.95] },
);
const scheduler = new optim.lrScheduler.LambdaLR(
  optimizer,
  (it) => Math.min(1.0, (it + 1) / 5) * 0.5 * (1 + Math.cos((Math.PI * it) / STEPS)),
);
const ema = copy.deepcopy(model).requiresGrad_(false).eval();

for (let step = 0; step < STEPS; step++) {
  model.train();
  optimizer.zeroGrad({ setToNone: true });
  for (let micro = 0; micro < 2; micro++) {
    const [x, y] = getBatch();
    const logits = model(x);
    const loss = F.crossEntropy(logits.view(-1, logits.size(-1)), y.view(-1)).div(2);
    loss.backward();
    losses.push(loss.item() * 2);
  }
  const norm = nn.utils.clipGradNorm_(model.parameters(), 1.0);
  losses.push(norm.item());
  optimizer.step();
  scheduler.step();
  torch.noGrad(() => {
    const params = [...model.parameters()];
    for (const [i, pEma] of [...ema.parameters()].entries()) pEma.lerp_(params[i], 0.2);
  });
  if ((step + 1) % 10 === 0)
    print(
      `step ${step + 1} loss ${format(losses.at(-2)!, ".3f")} lr ${format(scheduler.getLastLr()[0], ".2e")}`,
    );
}

model.eval();
const prompts = [encode("the qui"), encode("and the lazy"), encode("fox")];
const [greedy, logprobs] = generate(model, prompts, NEW_TOKENS, { temperature: 0 });
print(greedy.map(decode));
print(logprobs.shape);
const [sampled] = generate(model, prompts, NEW_TOKENS, { temperature: 0.8, topP: 0.9 });
print(sampled.map(decode));
const [cached, e] = torch.noGrad(() => {
  const full = model(torch.tensor(prompts[1]).index(null));
  const first = model(torch.tensor([prompts[1].slice(0, 5)]), 0);
  const rest = torch.cat(
    prompts[1].slice(5).map((t, i) => model(torch.tensor([[t]]), 5 + i)),
    1,
  );
  const cached = torch.cat([first, rest], { dim: 1 });
  print("cache agrees:", torch.allclose(full, cached, { atol: 1e-4 }));
  const e = F.crossEntropy(ema(corpus.index(null, ":24")).index(0), corpus.index("1:25"));
  return [cached, e];
});
export const checks = {
  logprobs: logprobs.flatten().tolist(),
  cached: cached.index(0, -1).tolist(),
  ema: [e.item()],
  norms: model.parameters().map((p) => p.norm().item()),
  cache: model.layers[0].attention.cache_k.sum([1, 3]).flatten().tolist(),
};
