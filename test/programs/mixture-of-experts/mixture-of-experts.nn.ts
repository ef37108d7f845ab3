/** A sparse mixture of experts (Shazeer et al., 2017): top-2 gates, noise, and a loss that balances the load. */
import { F, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(13);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [D_MODEL, EXPERTS, BATCH, LENGTH, STEPS] = [16, 4, 8, 10, 25];

class Expert extends nn.Module {
  net: nn.Sequential;

  constructor(dModel: number, dHidden: number) {
    super();
    this.net = new nn.Sequential(
      new nn.Linear(dModel, dHidden),
      new nn.SiLU(),
      new nn.Linear(dHidden, dModel),
    );
  }

  forward(x: Tensor): Tensor {
    return this.net(x);
  }
}

class SparseMoE extends nn.Module {
  gate: nn.Linear;
  noise: nn.Linear;
  experts: nn.ModuleList<Expert>;
  topK: number;

  constructor(dModel: number, nExperts: number, topK = 2) {
    super();
    this.gate = new nn.Linear(dModel, nExperts, { bias: false });
    this.noise = new nn.Linear(dModel, nExperts, { bias: false });
    this.experts = new nn.ModuleList(Array.from({ length: nExperts }, () => new Expert(dModel, 2 * dModel)));
    this.topK = topK;
  }

  forward(x: Tensor): [Tensor, Tensor] {
    const tokens = x.reshape(-1, x.shape.at(-1)!);
    let logits = this.gate(tokens);
    if (this.training) logits = logits.add(torch.randnLike(logits).mul(F.softplus(this.noise(tokens))));
    const { values, indices: chosen } = torch.topk(logits, this.topK, { dim: -1 });
    const weights = F.softmax(values, { dim: -1 });
    const out = torch.zerosLike(tokens);
    for (const [i, expert] of [...this.experts].entries()) {
      const [rows, slot] = torch.where(chosen.eq(i)) as [Tensor, Tensor];
      if (rows.size(0) === 0) continue;
      out.indexAdd_(0, rows, expert(tokens.index(rows)).mul(weights.index(rows, slot).unsqueeze(-1)));
    }
    const probs = F.softmax(logits, { dim: -1 });
    const load = F.oneHot(chosen, this.experts.length).float().sum(1).mean(0);
    const balance = load.mul(probs.mean(0)).sum().mul(this.experts.length);
    return [out.view(...x.shape), balance];
  }
}

class Model extends nn.Module {
  embed: nn.Embedding;
  norm: nn.RMSNorm;
  moe: SparseMoE;
  head: nn.Linear;

  constructor(vocab: number, { dModel = D_MODEL, nExperts = EXPERTS } = {}) {
    super();
    this.embed = new nn.Embedding(vocab, dModel);
    this.norm = new nn.RMSNorm(dModel);
    this.moe = new SparseMoE(dModel, nExperts);
    this.head = new nn.Linear(dModel, vocab);
  }

  forward(x: Tensor): [Tensor, Tensor] {
    const h = this.embed(x);
    const [mixed, balance] = this.moe(this.norm(h));
    return [this.head(h.add(mixed)), balance];
  }
}

const vocab = 12;
const tokens = torch.randint(0, vocab, [BATCH, LENGTH]);
const targets = tokens.mul(5).add(torch.arange(LENGTH)).remainder(vocab);
const model = new Model(vocab);
const optimizer = new optim.Adam(model.parameters(), { lr: 1e-2 });
const scheduler = new optim.lrScheduler.OneCycleLR(optimizer, { maxLr: 2e-2, totalSteps: STEPS });
for (let step = 0; step < STEPS; step++) {
  const [logits, balance] = model(tokens);
  const loss = F.crossEntropy(logits.flatten(0, 1), targets.flatten()).add(balance.mul(0.01));
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  scheduler.step();
  losses.push(loss.item());
  if (step % 8 === 0)
    print(
      `step ${format(step, "3d")} loss ${format(loss.item(), ".2f")} lr ${format(scheduler.getLastLr()[0], ".2e")}`,
    );
}
model.eval();
torch.noGrad(() => {
  const [, balance] = model(tokens);
  checks["balance"] = [balance.item()];
});
print(model);
