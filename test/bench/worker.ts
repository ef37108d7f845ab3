// Layerwise's side of the bench, through the public API: one JSON command a line in, one JSON answer a line out.
import { createInterface } from "node:readline";
import { loadExecutor } from "../../extension/executors/index.ts";
import { nn, optim, torch, type Tensor } from "../../extension/nn/index.ts";

interface Workload {
  readonly model: nn.Module;
  /** One training step; answers the loss. */
  step(): number;
}

function supervised(
  model: nn.Sequential,
  criterion: nn.CrossEntropyLoss,
  optimizer: optim.Optimizer,
  x: Tensor,
  y: Tensor,
): Workload {
  return {
    model,
    step() {
      optimizer.zeroGrad();
      const loss = criterion(model(x), y);
      loss.backward();
      optimizer.step();
      return loss.item();
    },
  };
}

const WORKLOADS: Record<string, () => Workload> = {
  mlp() {
    torch.manualSeed(0);
    const model = new nn.Sequential(new nn.Linear(784, 128), new nn.ReLU(), new nn.Linear(128, 10));
    const [x, y] = [torch.rand(32, 784), torch.randint(0, 10, [32])];
    return supervised(
      model,
      new nn.CrossEntropyLoss(),
      new optim.SGD(model.parameters(), { lr: 0.01 }),
      x,
      y,
    );
  },
};

type Command =
  | { do: "open"; name: string }
  | { do: "steps"; count: number }
  | { do: "window"; seconds: number }
  | { do: "weights" };

const executor = await loadExecutor("native");
let workload: Workload | undefined;

function answer(command: Command): object {
  if (command.do === "open") {
    workload = WORKLOADS[command.name]!();
    return { version: executor.info.version };
  }
  const { model } = workload!;
  const step = (): number => workload!.step();
  switch (command.do) {
    case "steps":
      return { losses: Array.from({ length: command.count }, () => step()), counters: executor.counters() };
    case "window": {
      const start = performance.now();
      let count = 0;
      let now = start;
      for (; now - start < command.seconds * 1000; now = performance.now(), count++) step();
      return { stepsPerSecond: (count / (now - start)) * 1000 };
    }
    case "weights":
      return {
        weights: Object.fromEntries([...model.stateDict()].map(([name, t]) => [name, [...t.data()]])),
      };
  }
}

for await (const line of createInterface(process.stdin)) {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line) as Command))}\n`);
}
