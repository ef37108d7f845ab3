/** Low-rank adaptation (Hu et al., 2021): a trained network is frozen and adapted by small matrices. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(9);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [N, FEATURES, HIDDEN, RANK, STEPS] = [64, 12, 32, 2, 20];

class LoRALinear extends nn.Module {
  base: nn.Linear;
  lora_A: nn.Parameter;
  lora_B: nn.Parameter;
  scaling: number;
  dropout: nn.Dropout;

  constructor(base: nn.Linear, { rank = 4, alpha = 8.0, dropout = 0.0 } = {}) {
    super();
    this.base = base;
    for (const p of this.base.parameters()) p.requiresGrad = false;
    this.lora_A = new nn.Parameter(torch.empty(rank, base.inFeatures));
    this.lora_B = new nn.Parameter(torch.zeros(base.outFeatures, rank));
    nn.init.kaimingUniform_(this.lora_A, { a: Math.sqrt(5) });
    this.scaling = alpha / rank;
    this.dropout = new nn.Dropout(dropout);
  }

  forward(x: Tensor): Tensor {
    return this.base(x).add(this.dropout(x).matmul(this.lora_A.T).matmul(this.lora_B.T).mul(this.scaling));
  }

  merge(): nn.Linear {
    torch.noGrad(() => this.base.weight.add_(this.lora_B.matmul(this.lora_A).mul(this.scaling)));
    return this.base;
  }
}

function replaceLinears(module: nn.Module, rank: number): void {
  for (const [name, child] of module.namedChildren()) {
    if (child instanceof nn.Linear) Object.assign(module, { [name]: new LoRALinear(child, { rank }) });
    else replaceLinears(child, rank);
  }
}

class MLP extends nn.Module {
  fc1: nn.Linear | LoRALinear = new nn.Linear(FEATURES, HIDDEN);
  act = new nn.GELU();
  fc2: nn.Linear | LoRALinear = new nn.Linear(HIDDEN, HIDDEN);
  head = new nn.Sequential(new nn.GELU(), new nn.Linear(HIDDEN, 3));

  forward(x: Tensor): Tensor {
    return this.head(this.fc2(this.act(this.fc1(x))));
  }
}

function task(shift: number, n = N): [Tensor, Tensor] {
  const x = torch.randn(n, FEATURES);
  return [x, x.index(":", ":3").roll(shift, { dims: 1 }).add(torch.randn(n, 3).mul(0.1)).argmax(1)];
}

function fit(model: MLP, x: Tensor, y: Tensor, { steps, lr }: { steps: number; lr: number }): void {
  const optimizer = new optim.AdamW(
    [...model.parameters()].filter((p) => p.requiresGrad),
    { lr },
  );
  for (let i = 0; i < steps; i++) {
    const loss = F.crossEntropy(model(x), y);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
}

const model = new MLP();
fit(model, ...task(0), { steps: STEPS, lr: 5e-3 });
const before = model.fc1 instanceof nn.Linear ? model.fc1.weight.detach().clone() : torch.empty(0);
replaceLinears(model, RANK);
print(model);
const trainable = [...model.namedParameters()].filter(([, p]) => p.requiresGrad).map(([name]) => name);
print(trainable);
const [x, y] = task(1);
fit(model, x, y, { steps: STEPS, lr: 1e-2 });
const [fc1, fc2, last] = [model.fc1, model.fc2, model.head.get(1)] as LoRALinear[];
print("frozen", torch.equal(before, fc1.base.weight));
const adapted = model(x);
const merged = new MLP();
[merged.fc1, merged.fc2] = [fc1.merge(), fc2.merge()];
Object.assign(merged.head, { 1: last.merge() });
print("merged", torch.allclose(adapted, merged(x), { atol: 1e-5 }));
const loraState = [...model.stateDict()].filter(([k]) => k.includes("lora_"));
for (const [k, v] of loraState) {
  checks[k] = [v.norm().item()];
  print(k, `(${v.shape.join(", ")})`);
}
