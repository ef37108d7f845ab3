/** Quantisation-aware training with a straight-through estimator, pruning with rewound weights (Frankle & Carbin, 2019), and binary weights. */
import { copy, F, format, nn, optim, print, slice, torch, type Tensor } from "layerwise";
const { Function } = torch.autograd;

interface Context {
  saveForBackward(...tensors: Tensor[]): void;
  savedTensors: Tensor[];
}

torch.manualSeed(14);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};

class FakeQuantOp extends Function {
  static forward(
    ctx: Context,
    x: Tensor,
    numBits = 8,
    minVal: Tensor | null = null,
    maxVal: Tensor | null = null,
  ) {
    const [qmin, qmax] = [0.0, 2.0 ** numBits - 1.0];
    minVal = minVal === null ? x.min() : minVal;
    maxVal = maxVal === null ? x.max() : maxVal;
    const scale = maxVal.sub(minVal).div(qmax - qmin);
    const zeroPoint = torch.clamp(torch.round(torch.sub(qmin, minVal.div(scale))), qmin, qmax);
    ctx.saveForBackward(x, torch.asTensor(minVal), torch.asTensor(maxVal));
    const qX = torch.clamp(zeroPoint.add(x.div(scale)), qmin, qmax).round();
    return scale.mul(qX.sub(zeroPoint));
  }
  static backward(ctx: Context, gradOutput: Tensor) {
    const [x, lo, hi] = ctx.savedTensors;
    const grad = gradOutput.clone();
    grad.indexPut_([x.lt(lo).logicalOr(x.gt(hi))], 0);
    return [grad, null, null, null];
  }
}

class Observer extends nn.Module {
  static override stateDictNames = "snake_case";
  declare minVal: Tensor;
  declare maxVal: Tensor;
  declare count: Tensor;
  constructor(public momentum = 0.1) {
    super();
    this.registerBuffer("minVal", torch.tensor(Infinity));
    this.registerBuffer("maxVal", torch.tensor(-Infinity));
    this.registerBuffer("count", torch.zeros(1, { dtype: torch.long }));
  }
  forward(x: Tensor): Tensor {
    if (this.training) {
      const [lo, hi] = torch.aminmax(x.detach());
      if (this.count.item() === 0) {
        this.minVal.copy_(lo);
        this.maxVal.copy_(hi);
      } else {
        this.minVal.lerp_(lo, this.momentum);
        this.maxVal.add_(hi.sub(this.maxVal).mul(this.momentum));
      }
      this.count.add_(1);
    }
    return FakeQuantOp.apply<unknown[], Tensor>(x, 4, this.minVal, this.maxVal);
  }
}

class QLinear extends nn.Linear {
  actObserver: Observer;
  static override stateDictNames = "snake_case";
  constructor(inFeatures: number, outFeatures: number, bias = true) {
    super(inFeatures, outFeatures, bias);
    this.actObserver = new Observer();
  }
  override forward(x: Tensor): Tensor {
    const w = FakeQuantOp.apply<unknown[], Tensor>(this.weight, 4);
    const wSte = this.weight.add(w.sub(this.weight).detach());
    return F.linear(this.actObserver(x), wSte, this.bias);
  }
}

const x = torch.randn(64, 6);
const y = x.index(":", ":3").sum(1).gt(x.index(":", "3:").prod(1)).float();
const model = new nn.Sequential(new QLinear(6, 16), new nn.Hardtanh(), new QLinear(16, 1), new nn.Flatten(0));
print(model);
print([...model.stateDict()].filter(([k]) => k.includes("obs"))[0][0]);
let opt: optim.Optimizer = new optim.Adamax(model.parameters(), { lr: 0.01 });
const sched = new optim.lrScheduler.OneCycleLR(opt, {
  maxLr: 0.03,
  totalSteps: 16,
  pctStart: 0.25,
  annealStrategy: "linear",
});
for (let step = 0; step < 16; step++) {
  const b = slice(16 * (step % 4), 16 * ((step % 4) + 1));
  const loss = F.binaryCrossEntropyWithLogits(model(x.index(b)), y.index(b), {
    posWeight: torch.tensor(1.5),
  });
  opt.zeroGrad();
  loss.backward();
  opt.step();
  sched.step();
  losses.push(loss.item());
}
const [q0, q2] = [model[0], model[2]];
checks["observer"] = [q0.actObserver.minVal.item(), q2.actObserver.maxVal.item(), sched.getLastLr()[0]];
model.eval();
losses.push(F.binaryCrossEntropyWithLogits(model(x), y).item());
const levels = FakeQuantOp.apply<unknown[], Tensor>(q0.weight, 4).unique();
print("levels", levels.numel() <= 16, q0.actObserver.count);

// pruning
class MaskedLinear extends nn.Linear {
  declare mask: Tensor;
  constructor(...args: ConstructorParameters<typeof nn.Linear>) {
    super(...args);
    this.registerBuffer("mask", torch.onesLike(this.weight, { dtype: torch.bool }));
  }
  override forward(input: Tensor): Tensor {
    return F.linear(input, this.weight.mul(this.mask), this.bias);
  }
  prune(threshold: Tensor) {
    this.mask.data = this.mask.bitwiseAnd(this.weight.abs().gt(threshold));
    this.weight.data.indexPut_([this.mask.logicalNot()], 0.0);
  }
  override extraRepr() {
    return super.extraRepr() + `, sparsity=${format(1 - this.mask.float().mean().item(), ".2f")}`;
  }
}

torch.manualSeed(15);
const net = new nn.Sequential();
net.addModule("fc1", new MaskedLinear(6, 24));
net.append(new nn.SELU());
net.append(new MaskedLinear(24, 1));
const initial = copy.deepcopy(net.stateDict());
for (let rnd = 0; rnd < 3; rnd++) {
  opt = new torch.optim.ASGD(net.parameters(), { lr: 0.1 });
  for (let i = 0; i < 6; i++) {
    opt.zeroGrad();
    const loss = F.softMarginLoss(net(x).squeeze(1), y.mul(2).sub(1));
    loss.backward();
    for (const m of net.modules()) if (m instanceof MaskedLinear) m.weight.grad!.mul_(m.mask);
    opt.step();
    losses.push(loss.item());
  }
  const masked = [...net].filter((m): m is MaskedLinear => m instanceof MaskedLinear);
  const allw = torch.cat(masked.map((m) => m.weight.detach().abs().index(m.mask)));
  const k = Math.trunc(0.3 * allw.numel());
  const threshold = allw.kthvalue(k).values;
  for (const [, m] of net.namedModules()) if ("prune" in m) (m as MaskedLinear).prune(threshold);
  const rewind = new Map([...initial].filter(([kk]) => !kk.includes("mask")));
  const missing = net.loadStateDict(rewind, { strict: false });
  print(net, missing.missingKeys);
  torch.noGrad(() => {
    for (const m of net.children())
      if (m instanceof MaskedLinear) m.weight.indexPut_([m.mask.bitwiseNot()], 0);
  });
}
checks["sparsity"] = [net[0], net[2]].map((m) => (m as MaskedLinear).weight.eq(0).float().mean().item());
print([...net.parameters()].map((p) => torch.countNonzero(p)).reduce((a, b) => a.add(b)));

// binarised network
class BinarySign extends Function {
  static forward(ctx: Context, input: Tensor) {
    ctx.saveForBackward(input);
    return input.sign().add(0.01).sign();
  }
  static backward(ctx: Context, g: Tensor) {
    const [input] = ctx.savedTensors;
    return g.maskedFill(input.abs().gt(1), 0);
  }
}

torch.manualSeed(16);
const [lin1, lin2] = [new nn.Linear(6, 32), new nn.Linear(32, 1)];
opt = new torch.optim.Rprop([...lin1.parameters(), ...lin2.parameters()], { lr: 0.01 });
const grads: number[] = [];
lin1.weight.registerHook((g) => void grads.push(g.norm().item()));
for (let i = 0; i < 8; i++) {
  let h = F.linear(x, BinarySign.apply<unknown[], Tensor>(lin1.weight), lin1.bias);
  h = BinarySign.apply<unknown[], Tensor>(h.div(2));
  const loss = F.mseLoss(torch.sigmoid(lin2(h)).index(":", 0), y);
  opt.zeroGrad();
  loss.backward();
  opt.step();
  lin1.weight.data.clamp_(-1, 1);
  losses.push(loss.item());
}
checks["grads"] = grads;
