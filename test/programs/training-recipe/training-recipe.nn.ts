/** Mixup, label smoothing, warmup with cosine, accumulated gradients with autocast and GradScaler, a moving average, early stopping, checkpoints. */
import fs from "node:fs";
import os from "node:os";
import path_ from "node:path";
import { copy, data, F, nn, optim, print, torch, type Tensor } from "layerwise";
const { LambdaLR } = optim.lrScheduler;
const { AveragedModel, getEmaMultiAvgFn, updateBn } = optim.swaUtils;
const { DataLoader, TensorDataset, randomSplit } = data;

torch.manualSeed(51);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const device = torch.device(torch.cuda.isAvailable() ? "cuda:0" : "cpu");

class Mixer extends nn.Module {
  backbone = new nn.Sequential(
    new nn.Linear(10, 32),
    new nn.BatchNorm1d(32),
    new nn.GELU({ approximate: "tanh" }),
    new nn.Dropout({ p: 0.1 }),
  );
  head = new nn.Linear(32, 4);
  forward(x: Tensor): Tensor {
    return this.head(this.backbone(x));
  }
}

function mixupData(x: Tensor, y: Tensor, alpha = 1.0): [Tensor, Tensor, Tensor, number] {
  const lam = alpha > 0 ? new torch.distributions.Beta(alpha, alpha).sample().item() : 1;
  const index = torch.randperm(x.size()[0]).to(device);
  const mixedX = x.mul(lam).add(x.index(index, ":").mul(1 - lam));
  return [mixedX, y, y.index(index), lam];
}

const mixupCriterion = (criterion: nn.CrossEntropyLoss, pred: Tensor, yA: Tensor, yB: Tensor, lam: number) =>
  criterion(pred, yA)
    .mul(lam)
    .add(criterion(pred, yB).mul(1 - lam));

function getCosineScheduleWithWarmup(
  optimizer: optim.AdamW,
  numWarmupSteps: number,
  numTrainingSteps: number,
  numCycles = 0.5,
  lastEpoch = -1,
) {
  const lrLambda = (currentStep: number) => {
    if (currentStep < numWarmupSteps) return currentStep / Math.max(1, numWarmupSteps);
    const progress = (currentStep - numWarmupSteps) / Math.max(1, numTrainingSteps - numWarmupSteps);
    return Math.max(0.0, 0.5 * (1.0 + Math.cos(Math.PI * numCycles * 2.0 * progress)));
  };
  return new LambdaLR(optimizer, lrLambda, lastEpoch);
}

class EarlyStopping {
  counter = 0;
  best: number | null = null;
  bestState: ReturnType<nn.Module["stateDict"]> | null = null;
  stop = false;
  constructor({ patience = 2, minDelta = 0.0 } = {}) {
    this.patience = patience;
    this.minDelta = minDelta;
  }
  patience: number;
  minDelta: number;
  call(val: number, model: nn.Module) {
    if (this.best === null || val < this.best - this.minDelta) {
      [this.best, this.counter] = [val, 0];
      this.bestState = copy.deepcopy(model.stateDict());
    } else {
      this.counter += 1;
      this.stop = this.counter >= this.patience;
    }
  }
}

const X = torch.randn(160, 10);
const W = torch.randn(10, 4);
const Y = X.matmul(W).add(torch.randn(160, 4)).argmax(-1);
const [trainSet, valSet] = randomSplit(new TensorDataset(X, Y), [128, 32], {
  generator: new torch.Generator().manualSeed(0),
});
const trainLoader = new DataLoader(trainSet, { batchSize: 16, shuffle: true, pinMemory: false });
const valLoader = new DataLoader(valSet, { batchSize: 32 });
print(trainSet.length, valSet.get(0)[1], trainSet.indices.slice(0, 5));
const model = new Mixer().to(device);
const noDecay = ["bias", "backbone.1"];
const named = (m: Mixer, decays: boolean) =>
  [...m.namedParameters()].filter(([n]) => noDecay.some((nd) => n.includes(nd)) !== decays).map(([, p]) => p);
const groups = [
  { params: named(model, true), weightDecay: 0.01 },
  { params: named(model, false), weightDecay: 0.0 },
];
const optimizer = new torch.optim.AdamW(groups, { lr: 2e-2, eps: 1e-6 });
const accumulationSteps = 2;
const total = Math.floor((6 * trainLoader.length) / accumulationSteps);
const scheduler = getCosineScheduleWithWarmup(optimizer, 4, total);
const criterion = new nn.CrossEntropyLoss({ labelSmoothing: 0.1 });
const useAmp = false;
const scaler = new torch.amp.GradScaler("cuda", { enabled: useAmp });
const ema = new AveragedModel(model, { multiAvgFn: getEmaMultiAvgFn(0.9), useBuffers: true });
const stopper = new EarlyStopping({ patience: 2 });
let epoch = 0;
for (epoch = 0; epoch < 6; epoch++) {
  model.train();
  let running = 0.0;
  optimizer.zeroGrad();
  let i = 0;
  for (let [inputs, targets] of trainLoader) {
    [inputs, targets] = [inputs.to(device, { nonBlocking: true }), targets.to(device)];
    let ta: Tensor, tb: Tensor, lam: number;
    [inputs, ta, tb, lam] = mixupData(inputs, targets, 0.4);
    const loss = torch.autocast({ deviceType: "cpu", dtype: torch.bfloat16, enabled: useAmp }, () => {
      const outputs = model(inputs);
      return mixupCriterion(criterion, outputs, ta, tb, lam).div(accumulationSteps);
    });
    scaler.scale(loss).backward();
    running += loss.item() * accumulationSteps;
    if ((i + 1) % accumulationSteps === 0 || i + 1 === trainLoader.length) {
      scaler.unscale_(optimizer);
      torch.nn.utils.clipGradNorm_(model.parameters(), { maxNorm: 1.0 });
      scaler.step(optimizer);
      scaler.update();
      optimizer.zeroGrad({ setToNone: true });
      scheduler.step();
      ema.updateParameters(model);
    }
    i++;
  }
  losses.push(running / trainLoader.length);
  losses.push(scheduler.getLastLr()[0]);
  model.eval();
  let [val, correct] = [0.0, 0];
  torch.inferenceMode(() => {
    for (const [inputs, targets] of valLoader) {
      const out = ema.module(inputs);
      val += F.crossEntropy(out, targets, { reduction: "sum" }).item();
      correct += out.argmax({ dim: 1 }).eq(targets).sum().item();
    }
  });
  val /= valSet.length;
  losses.push(val);
  stopper.call(val, model);
  if (stopper.stop) {
    print("stopped at", epoch);
    break;
  }
}
updateBn(trainLoader, ema);
checks["bn"] = ema.module.backbone[1].runningMean!.index(":4").tolist() as number[];
print(ema.nAveraged, scaler.isEnabled(), scaler.getScale());
const path = path_.join(fs.mkdtempSync(path_.join(os.tmpdir(), "x")), "checkpoint.pth");
torch.save(
  {
    epoch: epoch + 1,
    model: model.stateDict(),
    optimizer: optimizer.stateDict(),
    scheduler: scheduler.stateDict(),
    scaler: scaler.stateDict(),
    best: stopper.best,
  },
  path,
);
const ckpt = torch.load(path, { mapLocation: "cpu", weightsOnly: true });
const fresh = new Mixer();
print(fresh.loadStateDict(ckpt.model), ckpt.epoch >= 6, Object.keys(ckpt).sort());
const opt2 = new torch.optim.AdamW(
  [{ params: fresh.head.parameters() }, { params: fresh.backbone.parameters() }],
  { lr: 1.0 },
);
try {
  opt2.loadStateDict(ckpt.optimizer);
} catch (e) {
  print((e as Error).message);
}
const opt3 = new torch.optim.AdamW([{ params: named(fresh, true) }, { params: named(fresh, false) }], {
  lr: 1.0,
});
opt3.loadStateDict(ckpt.optimizer);
const sched2 = getCosineScheduleWithWarmup(opt3, 4, total);
sched2.loadStateDict(ckpt.scheduler);
fresh.eval();
print(
  torch.equal(fresh(X.index(":5")), model(X.index(":5"))),
  sched2.lastEpoch,
  opt3.paramGroups[0].weightDecay,
);
model.loadStateDict(stopper.bestState!);
checks["best"] = [stopper.best!, model.head.bias!.sum().item()];
