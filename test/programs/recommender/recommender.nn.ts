/** Two towers (Covington et al., 2016): bags of watched films and films, softmax over the batch, then recall, resumed from a checkpoint. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { data, F, format, nn, optim, print, torch, type Tensor } from "layerwise";

const args = {
  users: 40,
  items: 60,
  genres: 4,
  dim: 16,
  batchSize: 32,
  epochs: 6,
  lr: 0.02,
  temperature: 0.1,
  k: 5,
  seed: 7,
};

interface Row {
  user: number;
  bag: Tensor;
  item: number;
  weights: Tensor;
}
interface Batch {
  user: Tensor;
  bag: Tensor;
  weights: Tensor;
  offsets: Tensor;
  item: Tensor;
}

/** Who watched what: each user likes one genre. */
class Interactions extends data.Dataset<Row> {
  genre: Tensor;
  history = new Map<number, number[]>();
  rows: [user: number, item: number][] = [];
  heldOut = new Map<number, number>();

  constructor() {
    super();
    const taste = torch.randint(0, args.genres, [args.users]);
    this.genre = torch.arange(args.items).remainder(args.genres);
    const popularity = torch
      .arange(1, args.items + 1)
      .pow(0.5)
      .reciprocal();
    for (let user = 0; user < args.users; user++) {
      const weights = popularity.mul(torch.where(this.genre.eq(taste.index(user)), 6.0, 1.0));
      const picks = torch.multinomial(weights, torch.randint(4, 9, [1]).item(), { replacement: false });
      const seen = picks.tolist() as number[];
      this.heldOut.set(user, seen.pop()!);
      this.history.set(user, seen);
      for (const item of seen) this.rows.push([user, item]);
    }
  }

  get length(): number {
    return this.rows.length;
  }

  get(i: number): Row {
    const [user, item] = this.rows[i];
    const rest = this.history.get(user)!.filter((other) => other !== item);
    return {
      user,
      bag: torch.tensor(rest),
      item,
      weights: torch.arange(1, rest.length + 1).reciprocal(),
    };
  }
}

function collate(batch: Row[]): Batch {
  const lengths = torch.tensor([0, ...batch.map((row) => row.bag.size(0))]);
  return {
    user: torch.LongTensor(batch.map((row) => row.user)),
    bag: torch.cat(batch.map((row) => row.bag)),
    weights: torch.cat(batch.map((row) => row.weights)),
    offsets: torch.cumsum(lengths, 0).index(":-1"),
    item: torch.LongTensor(batch.map((row) => row.item)),
  };
}

class RarestFirst extends data.Sampler {
  order: number[];

  constructor(frequencies: Map<number, number>, rows: [number, number][]) {
    super();
    const frequency = (i: number) => frequencies.get(rows[i][1])!;
    this.order = rows.map((_, i) => i).sort((a, b) => frequency(a) - frequency(b) || a - b);
  }

  *[Symbol.iterator](): Iterator<number> {
    yield* this.order;
  }

  get length(): number {
    return this.order.length;
  }
}

class Tower extends nn.Module {
  net: nn.Sequential;

  constructor(features: number, dim: number, p = 0.1) {
    super();
    this.net = new nn.Sequential(
      new nn.Linear(features, 2 * dim),
      new nn.PReLU(),
      new nn.Dropout(p),
      new nn.Linear(2 * dim, dim),
    );
  }

  forward(x: Tensor): Tensor {
    return F.normalize(this.net(x), { dim: -1 });
  }
}

class TwoTower extends nn.Module {
  static override stateDictNames = "snake_case" as const;
  users: nn.Embedding;
  watched: nn.EmbeddingBag;
  items: nn.Embedding;
  genres: nn.Embedding;
  towers: nn.ModuleDict<Tower>;
  logTemperature: nn.Parameter;
  declare genre: Tensor;

  constructor(genre: Tensor) {
    super();
    this.users = new nn.Embedding(args.users, args.dim, { maxNorm: 2.0 });
    this.watched = new nn.EmbeddingBag(args.items, args.dim, { mode: "sum" });
    this.items = new nn.Embedding(args.items, args.dim);
    this.genres = nn.Embedding.fromPretrained(torch.eye(4), { freeze: false });
    this.towers = new nn.ModuleDict({
      query: new Tower(2 * args.dim, args.dim),
      item: new Tower(args.dim + 4, args.dim),
    });
    this.logTemperature = new nn.Parameter(torch.tensor(Math.log(args.temperature)));
    this.registerBuffer("genre", genre, { persistent: false });
    this.apply(TwoTower.initWeights);
  }

  static initWeights(m: nn.Module): void {
    if (m instanceof nn.Linear) {
      nn.init.xavierUniform_(m.weight, { gain: nn.init.calculateGain("relu") });
      nn.init.zeros_(m.bias!);
    } else if ((m instanceof nn.EmbeddingBag || m instanceof nn.Embedding) && m.weight.shape[1] > 4) {
      nn.init.truncNormal_(m.weight, { std: 0.3, a: -0.6, b: 0.6 });
    }
  }

  query(user: Tensor, bag: Tensor, offsets: Tensor, weights: Tensor): Tensor {
    const x = torch.hstack([this.users(user), this.watched(bag, offsets, { perSampleWeights: weights })]);
    return this.towers.get("query")(x);
  }

  item(item: Tensor): Tensor {
    return this.towers.get("item")(
      torch.cat([this.items(item), this.genres(this.genre.index(item))], { dim: -1 }),
    );
  }

  forward(batch: Batch, logQ: Tensor): Tensor {
    const q = this.query(batch.user, batch.bag, batch.offsets, batch.weights);
    const v = this.item(batch.item);
    const logits = q.matmul(v.T).div(this.logTemperature.exp()).sub(logQ.index(batch.item));
    // others in the batch that are the same film are no negatives
    const same = batch.item.index(":", null).eq(batch.item.index(null, ":"));
    same.fillDiagonal_(false);
    return logits.maskedFill(same, -Infinity);
  }
}

function evaluate(model: TwoTower, dataset: Interactions): Record<string, number> {
  const { training } = model;
  model.eval();
  let [hits, ndcg] = [0, 0];
  const ranks: number[] = [];
  torch.inferenceMode(() => {
    const catalogue = model.item(torch.arange(args.items));
    for (const [user, target] of dataset.heldOut) {
      const seen = torch.tensor(dataset.history.get(user)!);
      const weights = torch.arange(1, seen.size(0) + 1).reciprocal();
      const q = model.query(torch.tensor([user]), seen, torch.tensor([0]), weights);
      const scores = q.matmul(catalogue.t()).squeeze(0);
      scores.indexPut_([seen], -torch.inf);
      const rank = scores.gt(scores.index(target)).sum().item() + 1;
      ranks.push(rank);
      const top = torch.topk(scores, args.k).indices;
      if ((top.tolist() as number[]).includes(target)) {
        hits += 1;
        ndcg += 1 / Math.log2(rank + 1);
      }
    }
  });
  model.train(training);
  const mrr = ranks.reduce((sum, r) => sum + 1 / r, 0) / ranks.length;
  return { recall: hits / ranks.length, ndcg: ndcg / ranks.length, mrr };
}

class Trainer {
  epoch = 0;
  history: number[] = [];

  constructor(
    readonly model: TwoTower,
    readonly optimizer: optim.Optimizer,
    readonly scheduler: optim.lrScheduler.LRScheduler,
    readonly logQ: Tensor,
  ) {}

  fitEpoch(loader: data.DataLoader<Row, Batch>): number {
    let [running, seen] = [0, 0];
    for (const batch of loader) {
      const logits = this.model(batch, this.logQ);
      const target = torch.arange(logits.shape[0]);
      const loss = F.crossEntropy(logits, target, { labelSmoothing: 0.0 });
      this.optimizer.zeroGrad({ setToNone: true });
      loss.backward();
      const norm = nn.utils.clipGradNorm_(this.model.parameters(), { maxNorm: 1.0 });
      this.optimizer.step();
      this.scheduler.step();
      losses.push(loss.item());
      norms.push(norm.item());
      running += loss.item() * target.size(0);
      seen += target.size(0);
    }
    this.epoch += 1;
    this.history.push(running / seen);
    return running / seen;
  }

  stateDict() {
    return {
      model: this.model.stateDict(),
      optimizer: this.optimizer.stateDict(),
      scheduler: this.scheduler.stateDict(),
      epoch: this.epoch,
      history: this.history,
      rng: torch.getRngState(),
    };
  }

  loadStateDict(state: ReturnType<Trainer["stateDict"]>): void {
    this.model.loadStateDict(state.model);
    this.optimizer.loadStateDict(state.optimizer);
    this.scheduler.loadStateDict(state.scheduler);
    [this.epoch, this.history] = [state.epoch, state.history];
    torch.setRngState(state.rng);
  }
}

function build(dataset: Interactions, logQ: Tensor): Trainer {
  const model = new TwoTower(dataset.genre);
  const isDecayed = (name: string) => name.endsWith("weight") && name.includes("towers");
  const named = [...model.namedParameters()];
  const decay = named.filter(([n]) => isDecayed(n)).map(([, p]) => p);
  const rest = named.filter(([n]) => !isDecayed(n)).map(([, p]) => p);
  const optimizer = new optim.AdamW(
    [
      { params: decay, weightDecay: 0.05 },
      { params: rest, weightDecay: 0.0, lr: args.lr / 2 },
    ],
    { lr: args.lr },
  );
  const totalSteps = args.epochs * Math.ceil(dataset.length / args.batchSize);
  const scheduler = new optim.lrScheduler.OneCycleLR(optimizer, {
    maxLr: [args.lr, args.lr / 2],
    totalSteps,
    pctStart: 0.25,
  });
  return new Trainer(model, optimizer, scheduler, logQ);
}

export const losses: number[] = [];
const norms: number[] = [];
export const checks: Record<string, number[]> = {};
torch.manualSeed(args.seed);
const dataset = new Interactions();
const frequencies = new Map<number, number>();
for (const [, item] of dataset.rows) frequencies.set(item, (frequencies.get(item) ?? 0) + 1);
print("most common", Math.max(...frequencies.values()), "rows", dataset.length);
const counts = torch.bincount(torch.tensor(dataset.rows.map(([, item]) => item)), { minlength: args.items });
const logQ = torch.log(counts.add(1).div(counts.sum().add(args.items)));
const sampler = new data.WeightedRandomSampler(
  dataset.rows.map(([, item]) => 1 / frequencies.get(item)! ** 0.5),
  { numSamples: dataset.length },
);
const loader = new data.DataLoader(dataset, { batchSize: args.batchSize, sampler, collateFn: collate });
const ordered = new data.DataLoader(dataset, {
  batchSize: 64,
  sampler: new RarestFirst(frequencies, dataset.rows),
  collateFn: collate,
  dropLast: true,
});
const trainer = build(dataset, logQ);
print(trainer.model);
print(
  Object.fromEntries(
    [...trainer.model.namedParameters()].filter(([n]) => !n.includes("towers")).map(([n, p]) => [n, p.shape]),
  ),
);
const path = join(mkdtempSync(join(tmpdir(), "recommender-")), "trainer.pt");
for (let epoch = 0; epoch < args.epochs / 2; epoch++) {
  const loss = trainer.fitEpoch(loader);
  const scores = Object.entries(evaluate(trainer.model, dataset));
  print(
    `epoch ${trainer.epoch} loss ${format(loss, ".2f")} ` +
      scores.map(([k, v]) => `${k} ${format(v, ".3f")}`).join(" "),
  );
}
torch.save(trainer.stateDict(), path);

torch.manualSeed(999); // a new process
const resumed = build(dataset, logQ);
resumed.loadStateDict(torch.load(path, { weightsOnly: false }));
while (resumed.epoch < args.epochs) {
  const loss = resumed.fitEpoch(loader);
  print(
    `epoch ${resumed.epoch} loss ${format(loss, ".2f")} lr ${format(resumed.scheduler.getLastLr()[0], ".2e")} ${format(resumed.optimizer.paramGroups[1].lr, ".2e")}`,
  );
}
resumed.model.eval();
torch.noGrad(() => {
  let i = 0;
  for (const batch of ordered)
    checks[`ordered${i++}`] = [F.crossEntropy(resumed.model(batch, logQ), torch.arange(64)).item()];
});
checks["norms"] = norms;
checks["history"] = resumed.history;
checks["metrics"] = Object.values(evaluate(resumed.model, dataset));
const { weight } = resumed.model.items;
checks["similar"] = F.cosineSimilarity(weight.index("0:1"), weight, { dim: 1 }).tolist() as number[];
print(
  `temperature ${format(resumed.model.logTemperature.exp().item(), ".4f")}`,
  resumed.model.stateDict().has("genre"),
);
