// Programs that differentiate gradients, with PyTorch's numbers: test/fixtures/gradients/make.py.
import { it } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { packPaddedSequence } from "../../../extension/nn/utils/utilsRnn.ts";
import { onEachEngine } from "../../engines.ts";
import { CASES, expectCase, filled, wave } from "./secondCases.ts";

class Net extends nn.Module {
  l1: nn.Linear;
  l2: nn.Linear;
  l3: nn.Linear;

  constructor(outputs: number, width: number) {
    super();
    this.l1 = new nn.Linear(1, width);
    this.l2 = new nn.Linear(width, width);
    this.l3 = new nn.Linear(width, outputs);
  }

  forward(x: Tensor): Tensor {
    return x;
  }
}

function run(x: Tensor, p: readonly Tensor[]): Tensor {
  const h = torch.relu(F.linear(x, p[0]!, p[1]));
  return F.linear(torch.relu(F.linear(h, p[2]!, p[3])), p[4]!, p[5]);
}

function maml(outputs: number, width: number, tasks: number): Tensor[] {
  const net = filled(new Net(outputs, width), 0.4 * (8 / width) ** 0.5);
  const outer = new optim.SGD(net.parameters(), { lr: 0.05 });
  const losses: Tensor[] = [];
  for (let step = 0; step < 4; step++) {
    let total = torch.tensor(0);
    for (let task = 0; task < tasks; task++) {
      const x = wave([6, 1], step + task);
      const y = outputs === 1 ? x.mul(task + 1).sin() : torch.tensor([0, 1, 2, 0, 1, 2]);
      const lossOf = (p: readonly Tensor[]): Tensor =>
        outputs === 1 ? F.mseLoss(run(x, p), y) : F.crossEntropy(run(x, p), y);
      let fast: Tensor[] = [...net.parameters()];
      for (let inner = 0; inner < 2; inner++) {
        const grads = torch.autograd.grad(lossOf(fast), fast, { createGraph: true });
        fast = fast.map((p, i) => p.sub(grads[i]!.mul(0.1)));
      }
      total = total.add(lossOf(fast));
    }
    outer.zeroGrad();
    total.backward();
    outer.step();
    losses.push(total.detach());
  }
  return [...losses, ...net.parameters()];
}

/** The gradient of Σ(d Σ(w y²) / dx)²: of x and all parameters. */
function penalty(
  name: string,
  call: (x: Tensor) => readonly Tensor[],
  x: Tensor,
  parameters: readonly Tensor[] = [],
): void {
  const value = call(x)
    .map((y, k) =>
      y
        .mul(y)
        .mul(wave(y.shape, k + 5))
        .sum(),
    )
    .reduce((a, b) => a.add(b));
  const [first] = torch.autograd.grad(value, x, { createGraph: true });
  const wanted = [x, ...parameters];
  const grads = torch.autograd.grad(first!.mul(first!).sum(), wanted, { allowUnused: true });
  expectCase(name, [first!, ...grads.map((g, i) => g ?? torch.zerosLike(wanted[i]!))], 1e-4);
}

type States = Tensor | readonly Tensor[];
const statesOf = (states: States): readonly Tensor[] =>
  (Array.isArray(states) ? states : [states]) as Tensor[];

type Layer = nn.Module & ((x: never) => readonly [y: unknown, states: States]);
type Cell = nn.Module & ((x: Tensor, states?: States) => States);
type Made<M> = new (inputs: number, hidden: number, options?: object) => M;
const KINDS = { RNN: nn.RNN, LSTM: nn.LSTM, GRU: nn.GRU } as unknown as Record<string, Made<Layer>>;
const CELLS = { RNN: nn.RNNCell, LSTM: nn.LSTMCell, GRU: nn.GRUCell } as unknown as Record<
  string,
  Made<Cell>
>;
const DEEP = { numLayers: 2, bidirectional: true };
const LAYERS: Record<string, [kind: string, options: object]> = {
  RNN: ["RNN", {}],
  "RNN relu": ["RNN", { nonlinearity: "relu" }],
  "RNN bidirectional, two layers": ["RNN", DEEP],
  LSTM: ["LSTM", {}],
  "LSTM without biases": ["LSTM", { bias: false }],
  "LSTM bidirectional, two layers": ["LSTM", DEEP],
  "LSTM with projections": ["LSTM", { projSize: 2 }],
  "LSTM batch first": ["LSTM", { batchFirst: true }],
  GRU: ["GRU", {}],
  "GRU bidirectional, two layers": ["GRU", DEEP],
  "GRU without biases": ["GRU", { bias: false }],
};

const POOLS: Record<string, (x: Tensor) => Tensor> = {
  max_pool1d: (x) => F.maxPool1d(x.reshape(2, 2, 12), 3, 2, 1),
  max_pool2d: (x) => F.maxPool2d(x, 2),
  "max_pool2d, overlapping": (x) =>
    F.maxPool2d(x, [3, 2], { stride: [2, 1], padding: [1, 1], ceilMode: true }),
  "max_pool2d with indices": (x) => F.maxPool2d(x, 2, { returnIndices: true })[0],
  "max_pool2d dilated": (x) => F.maxPool2d(x, 2, { stride: 1, dilation: 2 }),
  max_pool3d: (x) => F.maxPool3d(x.reshape(2, 1, 2, 3, 4), 2, 1),
  adaptive_max_pool1d: (x) => F.adaptiveMaxPool1d(x.reshape(2, 2, 12), 5),
  adaptive_max_pool2d: (x) => F.adaptiveMaxPool2d(x, [2, 3]),
  adaptive_max_pool3d: (x) => F.adaptiveMaxPool3d(x.reshape(2, 1, 2, 3, 4), [1, 2, 3]),
};

function suite(): void {
  it.each([
    ["maml regression", 1, 8, 2],
    ["maml classification", 3, 8, 2],
    ["maml of one task", 1, 20, 1],
  ] as const)("%s through two inner steps", (name, outputs, width, tasks) =>
    expectCase(name, maml(outputs, width, tasks), 1e-3),
  );

  it.each(Object.entries(LAYERS))("%s", (name, [kind, options]) => {
    const layer = filled(new KINDS[kind]!(2, 3, options));
    const call = (x: Tensor): Tensor[] => {
      const [y, states] = layer(x as never) as readonly [unknown, States];
      return [y as Tensor, ...statesOf(states)];
    };
    penalty(name, call, wave([4, 2, 2], 0).requiresGrad_(), [...layer.parameters()]);
  });

  it.each(["RNN", "LSTM", "GRU"] as const)("%s of packed sequences", (kind) => {
    const layer = filled(new KINDS[kind]!(2, 3));
    const call = (x: Tensor): Tensor[] => {
      const [y, states] = layer(packPaddedSequence(x, [4, 2, 1]) as never) as readonly [unknown, States];
      return [(y as { data: Tensor }).data, ...statesOf(states)];
    };
    penalty(`${kind} packed`, call, wave([4, 3, 2], 0).requiresGrad_(), [...layer.parameters()]);
  });

  it.each(["RNN", "LSTM", "GRU"] as const)("%sCell", (kind) => {
    const cell = filled(new CELLS[kind]!(2, 3));
    const call = (x: Tensor): readonly Tensor[] => statesOf(cell(x, cell(x)));
    penalty(`${kind}Cell`, call, wave([2, 2], 0).requiresGrad_(), [...cell.parameters()]);
  });

  it.each(Object.keys(POOLS))("%s", (name) => {
    const shape = name.includes("3d") ? [2, 1, 2, 12] : [2, 2, 3, 4];
    penalty(name, (x) => [POOLS[name]!(x)], wave(shape, 0).requiresGrad_());
  });

  it.each(CASES.filter((name) => name.startsWith("linear")))("%s", (name) => {
    const [shape, bias] = [...name.matchAll(/\[[\d, ]*\]/g)].map(([dims]) => JSON.parse(dims) as number[]);
    const [b, w] = [wave(bias!, 3).requiresGrad_(), wave([4, 3], 2).requiresGrad_()];
    const y = F.linear(wave(shape!, 1), w, b);
    const grads = torch.autograd.grad(y.mul(wave(y.shape, 4)).sum(), [w, b]);
    expectCase(name, [y, ...grads], 1e-4);
  });
}

onEachEngine(suite);
