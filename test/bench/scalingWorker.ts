// Costs of a training step by its sizes, for docs/performance.md. A JSON command a line in, a JSON answer a line out.
import { createInterface } from "node:readline";
import { prepare } from "../../extension/engine/training/prepare.ts";
import { largestProduct, profileStep } from "../../extension/engine/profiler/profile.ts";
import { loadExecutor } from "../../extension/executors/index.ts";
import type { Experiment } from "../../extension/nn/experiment/experiment.ts";
import { experiment, nn, optim, torch, type Tensor } from "../../extension/nn/index.ts";
import type { Profile } from "../../extension/protocol/profile.ts";
import { repeated, SETTINGS } from "./workloads/repeated.ts";
import { WORKLOADS } from "./workloads/all.ts";

/** Sizes of a model that is made for a measurement. */
interface Sizes {
  kind: "mlp" | "lstm" | "transformer" | "chain";
  batch: number;
  width: number;
  depth: number;
  /** Steps of a sequence. */
  length: number;
}

type Command =
  | { do: "sizes"; sizes: Sizes; seconds: number }
  | { do: "workload"; name: string; seconds: number }
  | { do: "call"; seconds: number }
  | { do: "limit" };

class Last extends nn.Module {
  body: nn.LSTM;
  head: nn.Linear;

  constructor(width: number) {
    super();
    this.body = new nn.LSTM(width, width, { batchFirst: true });
    this.head = new nn.Linear(width, 2);
  }

  forward(x: Tensor): Tensor {
    const [out] = this.body(x);
    return this.head(out.select(1, -1));
  }
}

class Attention extends nn.Module {
  body: nn.TransformerEncoderLayer;
  head: nn.Linear;

  constructor(width: number) {
    super();
    const options = { dimFeedforward: 4 * width, dropout: 0, batchFirst: true };
    this.body = new nn.TransformerEncoderLayer(width, 4, options);
    this.head = new nn.Linear(width, 2);
  }

  forward(x: Tensor): Tensor {
    return this.head(this.body(x).mean(1));
  }
}

/** So many ops on eight numbers, one after the other. */
class Chain extends nn.Module {
  readonly depth: number;
  weight = new nn.Parameter(torch.rand(8));

  constructor(depth: number) {
    super();
    this.depth = depth;
  }

  forward(x: Tensor): Tensor {
    let y = x.mul(this.weight);
    for (let i = 0; i < this.depth; i++) y = y.tanh();
    return y;
  }
}

function made({ kind, batch, width, depth, length }: Sizes): Experiment {
  const models: Record<Sizes["kind"], () => nn.Module> = {
    mlp: () =>
      new nn.Sequential(
        ...Array.from({ length: depth }, () => [new nn.Linear(width, width), new nn.ReLU()]).flat(),
        new nn.Linear(width, 10),
      ),
    lstm: () => new Last(width),
    transformer: () => new Attention(width),
    chain: () => new Chain(depth),
  };
  const input = {
    mlp: [batch, width],
    lstm: [batch, length, width],
    transformer: [batch, length, width],
    chain: [8],
  };
  const target = kind === "chain" ? () => torch.randn(8) : () => torch.randint(0, 2, [batch]);
  return experiment({
    ...SETTINGS,
    model: models[kind],
    data: () => repeated(torch.randn(...input[kind]), target()),
    loss: kind === "chain" ? new nn.MSELoss() : new nn.CrossEntropyLoss(),
    optimizer: (parameters) => new optim.SGD(parameters, { lr: 1e-4 }),
  });
}

const executor = await loadExecutor("native");

async function profiled(one: Experiment, seconds: number) {
  const profile = await profileStep(await prepare(one, 0), { executor, seconds });
  const passes = profile.layers.flatMap(({ forward, backward }) => [forward, backward]);
  return {
    compiledMs: profile.compiledMs,
    opByOpMs: profile.opByOpMs,
    ops: passes.reduce((sum, { ops }) => sum + ops, profile.update.ops),
    multiplyAdds: passes.reduce((sum, pass) => sum + pass.multiplyAdds, 0),
    choices: profile.choices.filter(({ graph }) => graph.startsWith("training")),
    dearest: dearest(profile),
  };
}

/** The ops that take most of the time op by op. */
function dearest({ ops }: Pick<Profile, "ops">): { name: string; share: number }[] {
  const sums = new Map<string, number>();
  for (const { name, ms } of ops) sums.set(name, (sums.get(name) ?? 0) + ms);
  const total = ops.reduce((sum, { ms }) => sum + ms, 0);
  return [...sums]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 3)
    .map(([name, ms]) => ({ name, share: ms / total }));
}

/** Milliseconds of the smallest possible step whose loss is read before the next one, in a plain loop. */
function call(seconds: number): number {
  torch.manualSeed(0);
  const model = new nn.Linear(1, 1);
  const optimizer = new optim.SGD(model.parameters(), { lr: 1e-4 });
  const [x, y] = [torch.rand(1, 1), torch.rand(1, 1)];
  const step = (): number => {
    optimizer.zeroGrad();
    const loss = new nn.MSELoss()(model(x), y);
    loss.backward();
    optimizer.step();
    return loss.item();
  };
  for (let i = 0; i < 200; i++) step();
  const start = performance.now();
  let count = 0;
  for (; performance.now() - start < 1000 * seconds; count++) step();
  return (performance.now() - start) / count;
}

async function answer(command: Command): Promise<object> {
  switch (command.do) {
    case "limit":
      return { gflops: largestProduct(2048), version: executor.info.version };
    case "call":
      return { ms: call(command.seconds) };
    case "sizes":
      return profiled(made(command.sizes), command.seconds);
    case "workload":
      return profiled(WORKLOADS[command.name]!, command.seconds);
  }
}

for await (const line of createInterface(process.stdin)) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line) as Command))}\n`);
}
process.exit();
