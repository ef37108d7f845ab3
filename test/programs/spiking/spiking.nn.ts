/** A spiking network (Neftci et al., 2019): surrogate gradients, leaky neurons, spike-rate regularisation. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(9);
export const losses: number[] = [];
const [INPUTS, HIDDEN, OUTPUTS, T, BATCH, STEPS] = [10, 16, 3, 12, 8, 25];

class SurrGradSpike extends torch.autograd.Function {
  static scale = 10.0;

  static forward(ctx: torch.FunctionCtx, input: Tensor): Tensor {
    ctx.saveForBackward(input);
    const out = torch.zerosLike(input);
    out.indexPut_([input.gt(0)], 1.0);
    return out;
  }

  static backward(ctx: torch.FunctionCtx, gradOutput: Tensor): Tensor {
    const [input] = ctx.savedTensors;
    const gradInput = gradOutput.clone();
    return gradInput.div(torch.abs(input).mul(SurrGradSpike.scale).add(1.0).pow(2));
  }
}

class ClampSTE extends torch.autograd.Function {
  static forward(
    ctx: torch.FunctionCtx & { low?: number; high?: number },
    x: Tensor,
    low: number,
    high: number,
  ): [Tensor, Tensor] {
    [ctx.low, ctx.high] = [low, high];
    const mask = x.lt(low).logicalOr(x.gt(high));
    ctx.markNonDifferentiable(mask);
    return [x.clamp(low, high), mask];
  }

  static backward(_ctx: torch.FunctionCtx, g: Tensor): [Tensor, null, null] {
    return [g, null, null];
  }
}

class SNN extends nn.Module {
  w1 = new nn.Parameter(torch.empty(INPUTS, HIDDEN));
  v1 = new nn.Parameter(torch.empty(HIDDEN, HIDDEN));
  w2 = new nn.Parameter(torch.empty(HIDDEN, OUTPUTS));
  declare decay: Tensor;

  constructor() {
    super();
    nn.init.normal_(this.w1, { mean: 0.0, std: 0.8 });
    nn.init.orthogonal_(this.v1, { gain: 0.3 });
    nn.init.truncNormal_(this.w2, { std: 0.4, a: -0.8, b: 0.8 });
    this.registerBuffer("decay", torch.tensor([0.8, 0.9]));
    this.registerLoadStateDictPostHook((_module, keys) => print("loaded", keys.missingKeys));
  }

  forward(inputs: Tensor): [Tensor, Tensor] {
    const h1 = torch.einsum("abc,cd->abd", inputs, this.w1);
    const [alpha, beta] = this.decay.unbind() as [Tensor, Tensor];
    let syn = torch.zeros(inputs.shape[0], HIDDEN);
    let [mem, out] = [syn, syn];
    const mems: Tensor[] = [];
    const spikes: Tensor[] = [];
    for (let t = 0; t < inputs.shape[1]; t++) {
      const h = h1.index(":", t).add(torch.einsum("ab,bc->ac", [out, this.v1]));
      const mthr = mem.sub(1.0);
      out = SurrGradSpike.apply(mthr);
      const rst = out.detach();
      [syn, mem] = [alpha.mul(syn).add(h), beta.mul(mem).add(syn).mul(torch.sub(1.0, rst))];
      mems.push(mem);
      spikes.push(out);
    }
    const spks = torch.stack(spikes, { dim: 1 });
    const h2 = torch.einsum("abc,cd->abd", spks, this.w2);
    let flt = torch.zeros(inputs.shape[0], OUTPUTS);
    let out2 = flt;
    const outs = [out2];
    for (let t = 0; t < inputs.shape[1]; t++) {
      flt = alpha.mul(flt).add(h2.index(":", t));
      [out2] = ClampSTE.apply(beta.mul(out2).add(flt), -20.0, 20.0);
      outs.push(out2);
    }
    return [torch.stack(outs, 1), spks];
  }
}

function batch(): [Tensor, Tensor] {
  const y = torch.randint(OUTPUTS, [BATCH]);
  const rates = torch.linspace(0.1, 0.6, OUTPUTS).index(y);
  return [torch.bernoulli(rates.index(":", null, null).expand(-1, T, INPUTS)), y];
}

const model = new SNN();
const grads: Record<string, number[]> = {};
for (const [name, p] of model.namedParameters())
  p.registerHook((g) => {
    (grads[name] ??= []).push(g.norm().item());
  });
const optimizer = new optim.Adamax(model.parameters(), { lr: 0.01, betas: [0.9, 0.999] });
const scheduler = new optim.lrScheduler.ReduceLROnPlateau(optimizer, {
  factor: 0.5,
  patience: 2,
  threshold: 1e-2,
});
let spikes!: Tensor;
for (let step = 0; step < STEPS; step++) {
  const [x, y] = batch();
  let output: Tensor;
  [output, spikes] = model(x);
  const { values: m } = torch.max(output, 1);
  const logP = F.logSoftmax(m, { dim: 1 });
  const reg = spikes
    .sum()
    .mul(1e-4)
    .add(spikes.sum([0, 1]).square().mean().mul(1e-4));
  const loss = F.nllLoss(logP, y).add(reg);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  scheduler.step(loss.detach());
  losses.push(loss.item());
}
const state = new Map([...model.stateDict()].map(([k, v]) => [k, v.clone()]));
state.delete("v1");
print(model.loadStateDict(state, { strict: false }));
print(
  optimizer.paramGroups.map((g) => g.lr),
  spikes.mean().gt(0),
);
export const checks = { w1: grads["w1"], v1: grads["v1"].slice(1) };
