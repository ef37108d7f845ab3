/** Sharpness-aware minimization, Lookahead and Lion as optimizers of the program, its own schedule, early stopping. */
/* oxlint-disable typescript/no-explicit-any -- options by any name, as PyTorch takes them */
import { torch, nn, F, optim, copy, print, type Tensor } from "layerwise";
const { Optimizer } = torch.optim;
const { LRScheduler } = torch.optim.lrScheduler;
torch.manualSeed(17);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};

class SAM extends Optimizer {
  baseOptimizer: optim.Optimizer;
  constructor(
    params: any,
    baseOptimizer: new (params: any, options: any) => optim.Optimizer,
    { rho = 0.05, adaptive = false, ...kwargs }: Record<string, any> = {},
  ) {
    if (rho < 0.0) throw new Error(`Invalid rho, should be non-negative: ${rho}`);
    const defaults = { rho, adaptive, ...kwargs };
    super(params, defaults);
    this.baseOptimizer = new baseOptimizer(this.paramGroups, kwargs);
    this.paramGroups = this.baseOptimizer.paramGroups;
    Object.assign(this.defaults, this.baseOptimizer.defaults);
  }
  firstStep({ zeroGrad = false } = {}) {
    torch.noGrad(() => {
      const gradNorm = this._gradNorm();
      for (const group of this.paramGroups) {
        const scale = gradNorm.add(1e-12).reciprocal().mul(group.rho);
        for (const p of group.params) {
          if (p.grad === null) continue;
          this.state.get(p)["old_p"] = p.data.clone();
          const eW = (group.adaptive ? torch.pow(p, 2).mul(p.grad) : p.grad).mul(scale.to(p));
          p.add_(eW);
        }
      }
      if (zeroGrad) this.zeroGrad();
    });
  }
  secondStep({ zeroGrad = false } = {}) {
    torch.noGrad(() => {
      for (const group of this.paramGroups) {
        for (const p of group.params) {
          if (p.grad === null) continue;
          p.data = this.state.get(p)["old_p"] as Tensor;
        }
      }
      this.baseOptimizer.step();
      if (zeroGrad) this.zeroGrad();
    });
  }
  override step(closure?: () => Tensor): any {
    if (!closure) throw new Error("Sharpness Aware Minimization requires closure, but it was not provided");
    this.firstStep({ zeroGrad: true });
    torch.enableGrad(closure);
    this.secondStep();
  }
  _gradNorm() {
    const sharedDevice = this.paramGroups[0].params[0].device;
    return torch.norm(
      torch.stack(
        this.paramGroups.flatMap((group) =>
          group.params
            .filter((p) => p.grad !== null)
            .map((p) =>
              (group.adaptive ? torch.abs(p).mul(p.grad!) : p.grad!).norm({ p: 2 }).to(sharedDevice),
            ),
        ),
      ),
      { p: 2 },
    );
  }
  override loadStateDict(stateDict: any) {
    super.loadStateDict(stateDict);
    this.baseOptimizer.paramGroups = this.paramGroups;
  }
}

class Lookahead extends Optimizer {
  optimizer: optim.Optimizer;
  k: number;
  alpha: number;
  slow = new Map<Tensor, Tensor>();
  constructor(optimizer: optim.Optimizer, { k = 5, alpha = 0.5 } = {}) {
    super(optimizer.paramGroups, {});
    this.optimizer = optimizer;
    this.k = k;
    this.alpha = alpha;
    this.paramGroups = this.optimizer.paramGroups;
    for (const group of this.paramGroups) group.counter = 0;
  }
  update(group: any) {
    for (const fast of group.params) {
      const paramState = this.state.get(fast);
      if (!("slow_param" in paramState)) {
        paramState["slow_param"] = torch.zerosLike(fast.data);
        paramState["slow_param"].copy_(fast.data);
      }
      const slow = paramState["slow_param"];
      slow.add_(fast.data.sub(slow).mul(this.alpha));
      fast.data.copy_(slow);
    }
  }
  override step(closure?: any): any {
    const loss = this.optimizer.step(closure);
    for (const group of this.paramGroups) {
      if (group.counter === 0) this.update(group);
      group.counter += 1;
      if (group.counter >= this.k) group.counter = 0;
    }
    return loss;
  }
  override zeroGrad() {
    this.optimizer.zeroGrad();
  }
}

class Lion extends Optimizer {
  constructor(params: any, { lr = 1e-4, betas = [0.9, 0.99], weightDecay = 0.0 } = {}) {
    if (!(lr >= 0)) throw new Error(`Invalid learning rate: ${lr}`);
    super(params, { lr, betas, weightDecay });
  }
  override step(closure?: () => Tensor): any {
    return torch.noGrad(() => {
      let loss: Tensor | null = null;
      if (closure) loss = torch.enableGrad(closure);
      for (const group of this.paramGroups) {
        for (const p of group.params) {
          if (p.grad === null) continue;
          p.data.mul_(1 - group.lr * group.weightDecay);
          const grad = p.grad;
          const state = this.state.get(p);
          if (Object.keys(state).length === 0) {
            state["step"] = 0;
            state["exp_avg"] = torch.zerosLike(p);
          }
          state["step"] += 1;
          const expAvg = state["exp_avg"];
          const [beta1, beta2] = group.betas;
          const update = expAvg.mul(beta1).add(grad.mul(1 - beta1));
          p.add_(update.sign(), { alpha: -group.lr });
          expAvg.mul_(beta2).add_(grad, { alpha: 1 - beta2 });
        }
      }
      return loss;
    });
  }
}

class WarmupCosine extends LRScheduler {
  warmup: number;
  total: number;
  constructor(optimizer: optim.Optimizer, warmup: number, total: number, lastEpoch = -1) {
    super(optimizer, lastEpoch);
    this.warmup = warmup;
    this.total = total;
  }
  getLr() {
    if (this.lastEpoch < this.warmup)
      return this.baseLrs.map((base) => (base * (this.lastEpoch + 1)) / this.warmup);
    const progress = (this.lastEpoch - this.warmup) / (this.total - this.warmup);
    return this.baseLrs.map((base) => 0.5 * base * (1 + Math.cos(Math.PI * progress)));
  }
}

const x = torch.randn(48, 6);
const target = x.index(":", 0).mul(x.index(":", 1)).gt(0).long();
const make = () => new nn.Sequential(new nn.Linear(6, 16), new nn.SiLU(), new nn.Linear(16, 2));

let model = make();
{
  const optimizer = new SAM(model.parameters(), torch.optim.SGD, { rho: 0.05, lr: 0.2, momentum: 0.9 });
  for (let i = 0; i < 8; i++) {
    const closure = () => {
      const loss = F.crossEntropy(model(x), target);
      loss.backward();
      return loss;
    };
    const loss = closure();
    optimizer.step(closure);
    optimizer.zeroGrad();
    losses.push(loss.item());
  }
  print(optimizer);
}
model = make();
{
  const optimizer = new SAM(
    [{ params: model[0].parameters() }, { params: model[2].parameters(), rho: 0.5 }],
    torch.optim.Adam,
    { adaptive: true, lr: 0.01 },
  );
  const scheduler = new WarmupCosine(optimizer, 3, 10);
  checks["lrs"] = [];
  for (let i = 0; i < 8; i++) {
    const loss = F.crossEntropy(model(x), target, { labelSmoothing: 0.1 });
    loss.backward();
    optimizer.firstStep({ zeroGrad: true });
    F.crossEntropy(model(x), target, { labelSmoothing: 0.1 }).backward();
    optimizer.secondStep({ zeroGrad: true });
    scheduler.step();
    losses.push(loss.item());
    checks["lrs"].push(...scheduler.getLastLr());
  }
}
model = make();
{
  const optimizer = new Lookahead(new torch.optim.Adam(model.parameters(), { lr: 0.02 }), { k: 3 });
  for (let i = 0; i < 8; i++) {
    optimizer.zeroGrad();
    const loss = F.crossEntropy(model(x), target);
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
}
model = make();
const optimizer = new Lion(model.parameters(), { lr: 0.01, weightDecay: 0.1 });
const scheduler = new WarmupCosine(optimizer, 2, 12);
const accum = 3;
let [best, patience] = [Infinity, 0];
let bestState: any = null,
  saved: any,
  schedState: any,
  clone!: typeof model;
for (let step = 0; step < 10; step++) {
  const yb = target.chunk(accum);
  for (const [i, xb] of x.chunk(accum).entries()) {
    const loss = F.crossEntropy(model(xb), yb[i]).div(accum);
    loss.backward();
    if ((i + 1) % accum === 0) {
      optimizer.step();
      optimizer.zeroGrad({ setToNone: false });
    }
  }
  scheduler.step();
  const val = torch.noGrad(() => F.crossEntropy(model(x), target).item());
  losses.push(val);
  if (val < best) [best, bestState, patience] = [val, copy.deepcopy(model.stateDict()), 0];
  else if (++patience > 3) break;
  if (step === 5) {
    saved = copy.deepcopy(optimizer.stateDict());
    schedState = scheduler.stateDict();
    clone = copy.deepcopy(model);
  }
}
model.loadStateDict(bestState);
const again = new Lion(clone.parameters(), { lr: 123.0 });
again.loadStateDict(saved);
const [first] = clone.parameters();
print(
  again.paramGroups[0].lr,
  again.state.get(first)["step"],
  Object.keys(saved),
  saved["param_groups"][0]["params"],
);
print(Object.keys(schedState).sort().slice(0, 2));
F.crossEntropy(clone(x), target).backward();
again.step();
checks["again"] = [F.crossEntropy(clone(x), target).item(), F.crossEntropy(model(x), target).item(), best];
print(
  again instanceof Optimizer,
  [...model.stateDict().values()].every((a, i) => torch.equal(a, [...bestState.values()][i])),
);
