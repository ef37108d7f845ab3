/** Growing neural cellular automata (Mordvintsev et al., 2020): cells that grow a picture from a seed, and keep it. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(6);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [TARGET_SIZE, TARGET_PADDING, CHANNEL_N, HIDDEN_N] = [8, 2, 8, 24];
const [POOL_SIZE, BATCH_SIZE, ITERATIONS] = [16, 4, 20];
const [MIN_STEPS, MAX_STEPS] = [4, 8];
const CELL_FIRE_RATE = 0.5;
const SIZE = TARGET_SIZE + 2 * TARGET_PADDING;

/** An orange disc with a blue tail, premultiplied by alpha. */
function makeTarget(): Tensor {
  const axis = torch.linspace(-1, 1, TARGET_SIZE);
  const [ys, xs] = torch.meshgrid(axis, axis, { indexing: "ij" });
  const disc = xs.pow(2).add(ys.add(0.2).pow(2)).lt(0.5).float();
  const tail = xs.abs().lt(0.3).logicalAnd(ys.gt(0.0)).float().mul(torch.sub(1, disc));
  const rgb = disc
    .mul(torch.tensor([1.0, 0.6, 0.1]).view(3, 1, 1))
    .add(tail.mul(torch.tensor([0.1, 0.3, 0.9]).view(3, 1, 1)));
  const rgba = torch.cat([rgb, disc.add(tail).unsqueeze(0)]);
  const p = TARGET_PADDING;
  return F.pad(rgba, [p, p, p, p]);
}

function makeSeed(n: number): Tensor {
  const x = torch.zeros(n, CHANNEL_N, SIZE, SIZE);
  x.indexPut_([":", "3:", Math.floor(SIZE / 2), Math.floor(SIZE / 2)], 1.0);
  return x;
}

function toRgb(x: Tensor): Tensor {
  const [rgb, a] = [x.index(":", ":3"), x.index(":", "3:4").clamp(0.0, 1.0)];
  return torch.sub(1.0, a).add(rgb);
}

class CAModel extends nn.Module {
  channelN: number;
  fireRate: number;
  declare kernel: Tensor;
  w1: nn.Conv2d;
  w2: nn.Conv2d;

  constructor({ channelN = CHANNEL_N, hiddenN = HIDDEN_N, fireRate = CELL_FIRE_RATE } = {}) {
    super();
    this.channelN = channelN;
    this.fireRate = fireRate;
    const identity = torch.tensor(
      [
        [0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0],
      ],
      { dtype: torch.float32 },
    );
    const sobelX = torch
      .outer(
        torch.tensor([1.0, 2.0, 1.0], { dtype: torch.float32 }),
        torch.tensor([-1.0, 0.0, 1.0], { dtype: torch.float32 }),
      )
      .div(8.0);
    const kernel = torch.stack([identity, sobelX, sobelX.t()]).repeat(channelN, 1, 1).unsqueeze(1);
    this.registerBuffer("kernel", kernel);
    this.w1 = new nn.Conv2d(channelN * 3, hiddenN, 1);
    this.w2 = new nn.Conv2d(hiddenN, channelN, 1, { bias: false });
    nn.init.zeros_(this.w2.weight);
  }

  perceive(x: Tensor): Tensor {
    return F.conv2d(x, this.kernel, { padding: 1, groups: this.channelN });
  }

  static getLivingMask(x: Tensor): Tensor {
    return F.maxPool2d(x.index(":", "3:4"), { kernelSize: 3, stride: 1, padding: 1 }).gt(0.1);
  }

  forward(x: Tensor, { fireRate = this.fireRate, stepSize = 1.0 } = {}): Tensor {
    const preLifeMask = CAModel.getLivingMask(x);
    const y = this.perceive(x);
    const dx = this.w2(F.relu(this.w1(y))).mul(stepSize);
    const updateMask = torch.rand(x.index(":", ":1").shape).le(fireRate);
    x = x.add(dx.mul(updateMask.float()));
    const postLifeMask = CAModel.getLivingMask(x);
    const lifeMask = preLifeMask.logicalAnd(postLifeMask);
    return x.mul(lifeMask.float());
  }
}

/** Discs where a picture is damaged. */
function makeCircleMasks(n: number): Tensor {
  const axis = torch.linspace(-1.0, 1.0, SIZE);
  let [x, y] = [axis.view(1, 1, SIZE), axis.view(1, SIZE, 1)];
  const center = torch.empty(2, n, 1, 1).uniform_(-0.5, 0.5);
  const r = torch.empty(n, 1, 1).uniform_(0.1, 0.4);
  [x, y] = [x.sub(center.index(0)).div(r), y.sub(center.index(1)).div(r)];
  return x.mul(x).add(y.mul(y)).lt(1.0).float().unsqueeze(1);
}

const target = makeTarget();
const seed = makeSeed(1);
const pool = seed.repeat(POOL_SIZE, 1, 1, 1);
const model = new CAModel();
print(
  model,
  [...model.namedBuffers()].map(([name]) => name),
);
const optimizer = new optim.Adam(model.parameters(), { lr: 2e-3, betas: [0.5, 0.5] });
const scheduler = new optim.lrScheduler.MultiStepLR(optimizer, [Math.floor(ITERATIONS * 0.7)], {
  gamma: 0.1,
});
const stepsTaken: number[] = [];

for (let i = 0; i < ITERATIONS; i++) {
  let batchIdx = torch.randperm(POOL_SIZE).index(`:${BATCH_SIZE}`);
  let x0 = pool.index(batchIdx);
  // The worst of the batch starts from the seed again, the best are damaged.
  torch.noGrad(() => {
    const rank = x0
      .index(":", ":4")
      .sub(target)
      .pow(2)
      .mean({ dim: [1, 2, 3] })
      .argsort({ descending: true });
    x0 = x0.index(rank);
    batchIdx = batchIdx.index(rank);
    x0.indexPut_([":1"], seed);
    x0.index("-1:").mul_(torch.sub(1.0, makeCircleMasks(1)));
  });

  const nSteps = torch.randint(MIN_STEPS, MAX_STEPS + 1, [1]).item();
  let x = x0;
  for (let step = 0; step < nSteps; step++) x = model(x);
  const loss = F.mseLoss(x.index(":", ":4"), target.expand(BATCH_SIZE, -1, -1, -1));
  const overflow = x.sub(x.clamp(-2.0, 2.0)).abs().mean();
  const total = loss.add(overflow);
  optimizer.zeroGrad();
  total.backward();
  for (const p of model.parameters()) p.grad!.div_(p.grad!.norm().add(1e-8));
  optimizer.step();
  scheduler.step();
  pool.indexPut_([batchIdx], x.detach());
  losses.push(loss.item());
  stepsTaken.push(nSteps);
}

print(
  "steps",
  stepsTaken.reduce((a, b) => a + b),
  "lr",
  scheduler.getLastLr(),
);
torch.noGrad(() => {
  let x = makeSeed(1);
  const alive: number[] = [];
  for (let step = 0; step < MAX_STEPS; step++) {
    x = model(x, { fireRate: 1.0 });
    alive.push(CAModel.getLivingMask(x).sum().item());
  }
  print("alive", alive.at(-1)! > 0, toRgb(x).shape);
  checks["alpha"] = x.index(0, 3, Math.floor(SIZE / 2)).tolist() as number[];
});
checks["pool"] = pool.mean({ dim: [0, 2, 3] }).tolist() as number[];
