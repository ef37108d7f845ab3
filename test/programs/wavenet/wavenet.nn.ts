// WaveNet-like causal convolutions with weight norm on a series, a CTC recogniser, hooks and checkpoints
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { torch, nn, F, optim, data, print, type Tensor } from "layerwise";

torch.manualSeed(7);
export const losses: number[] = [];

class CausalConv1d extends nn.Conv1d {
  left: number;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number,
    { dilation = 1, bias = true }: { dilation?: number; bias?: boolean } = {},
  ) {
    super(inChannels, outChannels, kernelSize, { stride: 1, padding: 0, dilation, bias });
    this.left = (kernelSize - 1) * dilation;
  }

  override forward(input: Tensor): Tensor {
    return super.forward(F.pad(input, [this.left, 0]));
  }
}

/** Weight norm by hand: w = g * v / |v| */
class WeightNormConv extends nn.Module {
  weight_g: nn.Parameter;
  weight_v: nn.Parameter;
  bias: nn.Parameter | null;
  left: number;
  dilation: readonly number[];

  constructor(...args: ConstructorParameters<typeof CausalConv1d>) {
    super();
    const conv = new CausalConv1d(...args);
    const v = conv.weight.detach();
    this.weight_g = new nn.Parameter(v.norm(2, { dim: [1, 2], keepdim: true }));
    this.weight_v = new nn.Parameter(v.clone());
    this.bias = conv.bias;
    [this.left, this.dilation] = [conv.left, conv.dilation];
  }

  forward(x: Tensor): Tensor {
    const w = this.weight_v.mul(this.weight_g.div(torch.norm(this.weight_v, { dim: [1, 2], keepdim: true })));
    return F.conv1d(F.pad(x, [this.left, 0]), w, this.bias, { dilation: this.dilation });
  }
}

class GatedBlock extends nn.Module {
  conv: WeightNormConv;
  res: nn.Conv1d;
  skip: nn.Conv1d;

  constructor(channels: number, skip: number, dilation: number) {
    super();
    this.conv = new WeightNormConv(channels, 2 * channels, 2, { dilation });
    this.res = new nn.Conv1d(channels, channels, 1);
    this.skip = new nn.Conv1d(channels, skip, 1, { bias: false });
  }

  forward(x: Tensor): [Tensor, Tensor] {
    const [a, b] = this.conv(x).chunk(2, { dim: 1 });
    const z = torch.tanh(a).mul(torch.sigmoid(b));
    return [x.add(this.res(z)), this.skip(z)];
  }
}

class WaveNet extends nn.Module {
  inp: CausalConv1d;
  blocks: nn.ModuleList<GatedBlock>;
  head: nn.Sequential;

  constructor({ nIn = 1, channels = 8, skip = 12, layers = 4 } = {}) {
    super();
    this.inp = new CausalConv1d(nIn, channels, 2);
    this.blocks = new nn.ModuleList(
      [...Array(layers).keys()].map((i) => new GatedBlock(channels, skip, 2 ** i)),
    );
    this.head = new nn.Sequential(
      new nn.ReLU(),
      new nn.Conv1d(skip, 16, 1),
      new nn.ReLU(),
      new nn.Conv1d(16, 1, 1),
    );
  }

  get receptiveField(): number {
    let sum = 2;
    for (const b of this.blocks) sum += b.conv.dilation[0];
    return sum;
  }

  forward(x: Tensor): Tensor {
    x = this.inp(x);
    let skips: Tensor | number = 0;
    for (const block of this.blocks) {
      let s: Tensor;
      [x, s] = block(x);
      skips = s.add(skips);
    }
    return this.head(skips as Tensor);
  }
}

class WindowSet extends data.Dataset<{ x: Tensor; y: Tensor; i: number }> {
  windows: Tensor;

  constructor(series: Tensor, window: number) {
    super();
    this.windows = series.unfold(0, window + 1, 5);
  }

  get length(): number {
    return this.windows.size(0);
  }

  get(i: number) {
    const w = this.windows.index(i);
    return { x: w.index(null, ":-1"), y: w.index(null, "1:"), i };
  }
}

const t = torch.linspace(0, 20, 200);
let series = torch
  .sin(t)
  .add(torch.cos(t.mul(3)).mul(0.3))
  .add(torch.randn(200).mul(0.02));
const [mean, std] = [series.mean(), series.std({ unbiased: false })];
series = series.sub(mean).div(std);
const loader = new data.DataLoader(new WindowSet(series, 30), {
  batchSize: 6,
  shuffle: true,
  dropLast: true,
});
const net = new WaveNet();
print(net);
print("receptive field", net.receptiveField, "windows", loader.dataset.length, "batches", loader.length);

const activations: Record<string, Tensor> = {};
const handles: { remove(): void }[] = [];

function saveActivation(name: string) {
  return (_module: nn.Module, _args: unknown[], output: Tensor | [Tensor, Tensor]) => {
    activations[name] = (Array.isArray(output) ? output[0] : output).detach();
  };
}

for (const [name, module] of net.namedModules()) {
  if (module instanceof GatedBlock || module instanceof WeightNormConv || name === "head.1")
    handles.push(module.registerForwardHook(saveActivation(name)));
}
const grads: Record<string, Tensor> = {};
handles.push(
  net.head[1].registerFullBackwardHook((_, gi, go) => {
    Object.assign(grads, { inp: gi[0]!.abs().mean(), out: go[0]!.abs().mean() });
  }),
);
net.inp.registerForwardPreHook((_, args) => [args[0].mul(1.0)]);

let opt: optim.Optimizer = new optim.RMSprop(net.parameters(), { lr: 3e-3, momentum: 0.5 });
const sched = new optim.lrScheduler.OneCycleLR(opt, { maxLr: 0.003, totalSteps: 30 });
const path = join(mkdtempSync(join(tmpdir(), "ckpt-")), "ckpt.pt");
let step = 0;
let batch!: { x: Tensor; y: Tensor; i: Tensor };
for (let epoch = 0; epoch < 6; epoch++) {
  for (batch of loader) {
    opt.zeroGrad();
    const out = net(batch.x);
    const loss = F.smoothL1Loss(out, batch.y, { beta: 0.5 });
    loss.backward();
    opt.step();
    sched.step();
    losses.push(loss.item());
    step += 1;
  }
  if (epoch === 2)
    torch.save(
      {
        epoch,
        model: net.stateDict(),
        optim: opt.stateDict(),
        sched: sched.stateDict(),
        rng: torch.getRngState(),
      },
      path,
    );
  if (step + loader.length > 30) break;
}
print("steps", step, Object.keys(activations), batch.i.dtype === torch.int64);
print(Object.fromEntries(Object.entries(activations).map(([k, v]) => [k, v.shape])));
for (const h of handles) h.remove();

// Continues from the middle in a new model, which repeats the same losses
const ckpt = torch.load(path);
const net2 = new WaveNet();
print(net2.loadStateDict(ckpt.model));
const opt2 = new optim.RMSprop(net2.parameters(), { lr: 1.0, momentum: 0.5 });
const sched2 = new optim.lrScheduler.OneCycleLR(opt2, { maxLr: 0.003, totalSteps: 30 });
opt2.loadStateDict(ckpt.optim);
sched2.loadStateDict(ckpt.sched);
torch.setRngState(ckpt.rng);
const again: number[] = [];
for (let epoch = ckpt.epoch + 1; epoch < 6; epoch++) {
  for (batch of loader) {
    opt2.zeroGrad();
    const loss = F.smoothL1Loss(net2(batch.x), batch.y, { beta: 0.5 });
    loss.backward();
    opt2.step();
    sched2.step();
    again.push(loss.item());
  }
  if (again.length + loader.length * 3 + loader.length > 30) break;
}
losses.push(...again);
const before = losses.slice(loader.length * 3);
print("repeats:", Math.max(...again.map((a, i) => Math.abs(a - before[i]))) < 1e-4, again.length);
print(opt2);

// Rolls the forecast out
let ctx = series.index(":40").clone().view(1, 1, -1);
torch.noGrad(() => {
  for (let i = 0; i < 12; i++) {
    const nxt = net2(ctx).index("...", "-1:");
    ctx = torch.cat([ctx, nxt], -1);
  }
});
const forecast = ctx.index(0, 0, "-12:").mul(std).add(mean);

/** CTC: noisy frames of repeated symbols */
class Recogniser extends nn.Module {
  cnn: nn.Sequential;
  rnn: nn.LSTM;
  fc: nn.Linear;

  constructor(nFeat: number, nHidden: number, nClass: number) {
    super();
    this.cnn = new nn.Sequential(
      new nn.Conv1d(nFeat, nHidden, 3, { padding: "same" }),
      new nn.BatchNorm1d(nHidden),
      new nn.Hardtanh(0, 20),
    );
    this.rnn = new nn.LSTM(nHidden, nHidden, 2, { bidirectional: true });
    this.fc = new nn.Linear(2 * nHidden, nClass);
  }

  forward(x: Tensor): Tensor {
    x = this.cnn(x).permute(2, 0, 1);
    [x] = this.rnn(x);
    return F.logSoftmax(this.fc(x), { dim: -1 });
  }
}

const [C, B] = [5, 4];
const targets = [3, 5, 4, 2].map((n) => torch.randint(1, C, [n]));
const inLens = torch.tensor([16, 20, 18, 12]);
const x = torch.zeros(B, C, 20);
for (const [b, tgt] of targets.entries()) {
  const pos = torch.linspace(0, inLens.index(b).item() - 3, tgt.size(0)).long();
  for (const [i, p] of (pos.tolist() as number[]).entries())
    x.index(b, tgt.index(i).item(), `${p}:${p + 2}`).add_(1.0);
}
x.add_(torch.randnLike(x).mul(0.1));
const rec = new Recogniser(C, 8, C);
const ctc = new nn.CTCLoss({ blank: 0, zeroInfinity: true });
opt = new optim.Adam(rec.parameters(), { lr: 0.03 });
for (let step = 0; step < 25; step++) {
  opt.zeroGrad();
  const logp = rec(x);
  const loss = ctc(logp, torch.cat(targets), inLens, torch.tensor(targets.map((v) => v.size(0))));
  loss.backward();
  nn.utils.clipGradNorm_(rec.parameters(), 5.0, { normType: Infinity });
  opt.step();
  losses.push(loss.item());
}
rec.eval();
const best = torch.noGrad(() => rec(x).argmax(-1).T);
const decoded: number[][] = [];
for (const [i, row] of [...best].entries()) {
  const u = torch.uniqueConsecutive(row.index(`:${inLens.index(i).item()}`));
  decoded.push(u.index(u.ne(0)).tolist() as number[]);
}
print(
  decoded,
  targets.map((v) => v.tolist()),
);
const norm = rec.cnn[1] as nn.BatchNorm1d;
print(norm.runningMean!.shape, norm.numBatchesTracked);
export const checks = {
  forecast: forecast.tolist(),
  activations: Object.values(activations).map((a) => a.mean().item()),
  grads: Object.values(grads).map((g) => g.item()),
  running: norm.runningVar!.tolist(),
};
