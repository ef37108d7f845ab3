/** A decoder with key-value caches that grow by one token: trained to reverse a sequence, then decoded greedily. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(3);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [D_MODEL, HEADS, LAYERS, VOCAB] = [32, 4, 2, 12];
const [LENGTH, BATCH, STEPS, PROMPTS] = [4, 16, 20, 2];
const SEPARATOR = 1;

type Cache = [k: Tensor, v: Tensor];

class Attention extends nn.Module {
  heads: number;
  q: nn.Linear;
  kv: nn.Linear;
  out: nn.Linear;

  constructor(dModel: number, heads: number) {
    super();
    this.heads = heads;
    this.q = new nn.Linear(dModel, dModel);
    this.kv = new nn.Linear(dModel, 2 * dModel);
    this.out = new nn.Linear(dModel, dModel);
  }

  split(x: Tensor): Tensor {
    const [b, t, d] = x.shape;
    return x.view(b, t, this.heads, d / this.heads).transpose(1, 2);
  }

  forward(x: Tensor, cache: Cache | null = null): [Tensor, Cache] {
    const [b, t, d] = x.shape;
    const q = this.split(this.q(x));
    let [k, v] = this.kv(x).chunk(2, { dim: -1 });
    [k, v] = [this.split(k), this.split(v)];
    if (cache !== null) {
      k = torch.cat([cache[0], k], { dim: 2 });
      v = torch.cat([cache[1], v], { dim: 2 });
    }
    let scores = q.matmul(k.transpose(-2, -1)).div(Math.sqrt(d / this.heads));
    if (t > 1) {
      const mask = torch.ones(t, k.size(2), { dtype: torch.bool }).triu(k.size(2) - t + 1);
      scores = scores.maskedFill(mask, -Infinity);
    }
    const y = F.softmax(scores, { dim: -1 }).matmul(v).transpose(1, 2).reshape(b, t, d);
    return [this.out(y), [k, v]];
  }
}

class Layer extends nn.Module {
  norm1: nn.LayerNorm;
  attention: Attention;
  norm2: nn.LayerNorm;
  mlp: nn.Sequential;

  constructor(dModel: number, heads: number) {
    super();
    this.norm1 = new nn.LayerNorm(dModel);
    this.attention = new Attention(dModel, heads);
    this.norm2 = new nn.LayerNorm(dModel);
    this.mlp = new nn.Sequential(
      new nn.Linear(dModel, 4 * dModel),
      new nn.GELU(),
      new nn.Linear(4 * dModel, dModel),
    );
  }

  forward(x: Tensor, cache: Cache | null = null): [Tensor, Cache] {
    const [y, grown] = this.attention(this.norm1(x), cache);
    x = x.add(y);
    return [x.add(this.mlp(this.norm2(x))), grown];
  }
}

class Decoder extends nn.Module {
  tokens = new nn.Embedding(VOCAB, D_MODEL);
  positions = new nn.Embedding(2 * LENGTH + 1, D_MODEL);
  layers = new nn.ModuleList(Array.from({ length: LAYERS }, () => new Layer(D_MODEL, HEADS)));
  norm = new nn.LayerNorm(D_MODEL);
  head = new nn.Linear(D_MODEL, VOCAB);

  forward(tokens: Tensor, caches: Cache[] | null = null): [Tensor, Cache[]] {
    const past = caches === null ? 0 : caches[0][0].size(2);
    let x = this.tokens(tokens).add(this.positions(torch.arange(past, past + tokens.size(1))));
    const grown: Cache[] = [];
    for (const [i, layer] of [...this.layers].entries()) {
      const [y, cache] = layer(x, caches === null ? null : caches[i]);
      x = y;
      grown.push(cache);
    }
    return [this.head(this.norm(x)), grown];
  }
}

function batch(n: number): Tensor {
  const x = torch.randint(2, VOCAB, [n, LENGTH]);
  return torch.cat([x, torch.full([n, 1], SEPARATOR), x.flip(1)], { dim: 1 });
}

const model = new Decoder();
const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-3 });
for (let step = 0; step < STEPS; step++) {
  const tokens = batch(BATCH);
  const [logits] = model(tokens.index(":", ":-1"));
  const loss = F.crossEntropy(
    logits.index(":", `${LENGTH}:`).reshape(-1, VOCAB),
    tokens.index(":", `${LENGTH + 1}:`).reshape(-1),
  );
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  losses.push(loss.item());
}

model.eval();
let right = 0;
let last: number[] = [];
torch.noGrad(() => {
  for (let i = 0; i < PROMPTS; i++) {
    const prompt = batch(1);
    let [logits, caches] = model(prompt.index(":", `:${LENGTH + 1}`));
    const decoded: number[] = [];
    for (let j = 0; j < LENGTH; j++) {
      const token = logits.index(":", -1).argmax({ dim: -1, keepdim: true });
      decoded.push(token.item());
      [logits, caches] = model(token, caches);
    }
    const wanted = prompt.index(0, `${LENGTH + 1}:`).tolist() as number[];
    right += decoded.filter((token, at) => token === wanted[at]).length;
    last = logits.index(0, -1).tolist() as number[];
  }
});
print("right:", right, "of", PROMPTS * LENGTH);
checks["logits"] = last;
