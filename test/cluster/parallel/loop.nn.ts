// A program's own loop in several processes, and every function of torch.distributed.
import { data, distributed, F, nn, optim, print, torch, type Tensor } from "layerwise";

await distributed.initProcessGroup();
const [rank, size] = [distributed.getRank(), distributed.getWorldSize()];

const x = torch.tensor([1.5 + rank, 1 - rank, 4]);
for (const op of ["SUM", "AVG", "PRODUCT", "MIN", "MAX"] as const) {
  const y = x.clone();
  distributed.allReduce(y, distributed.ReduceOp[op]);
  print(op, y.tolist());
}
const flags = torch.tensor([rank === 0, rank === 1, false]);
distributed.allReduce(flags, distributed.ReduceOp.MAX);
const counts = torch.tensor([rank, 7]);
distributed.broadcast(counts, size - 1);
const all = Array.from({ length: size }, () => torch.zeros(3));
distributed.allGather(all, x);
distributed.barrier();
print(
  "flags",
  flags.tolist(),
  "counts",
  counts.tolist(),
  "all",
  all.map((one) => one.tolist()),
);

// Different weights at first: those of rank 0 count.
torch.manualSeed(rank);
const model = new nn.parallel.DistributedDataParallel(
  nn.SyncBatchNorm.convertSyncBatchnorm(
    new nn.Sequential(new nn.Linear(6, 8), new nn.BatchNorm1d(8), new nn.ReLU(), new nn.Linear(8, 3)),
  ),
);
torch.manualSeed(9);
const inputs = torch.randn(48, 6);
const set = new data.TensorDataset(inputs, torch.randint(0, 3, [48]));
const sampler = new data.DistributedSampler(set, { shuffle: false });
const optimizer = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
for (let epoch = 0; epoch < 5; epoch++) {
  sampler.setEpoch(epoch);
  let step = 0;
  for (const [a, b] of new data.DataLoader(set, { batchSize: 12 / size, sampler }) as Iterable<
    [Tensor, Tensor]
  >) {
    // Two batches a step: the first one's gradients are not exchanged.
    const run = (): void => F.crossEntropy(model(a), b).div(2).backward();
    if (step++ % 2 === 0) {
      model.noSync(run);
      continue;
    }
    run();
    nn.utils.clipGradNorm_(model.parameters(), 1);
    optimizer.step();
    optimizer.zeroGrad();
  }
}
const values = Array.from(model.stateDict().values(), (one) => one.flatten().tolist());
print("weights", JSON.stringify(values));
distributed.destroyProcessGroup();
