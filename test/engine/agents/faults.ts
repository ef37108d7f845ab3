// Programs with one mistake each, and the same programs without it.
import type { FindingKind } from "../../../extension/protocol/findings.ts";

/** Parts of a program; the ones left out are those of a sound one. */
interface Parts {
  /** Makes `x` and `y`, from `centres`, classes and noise. */
  data?: string;
  split?: string;
  model?: string;
  loss?: string;
  optimizer?: string;
  epochs?: number;
}

const DATA = `const y = torch.randint(0, 3, [N]);
    const x = centres.indexSelect(0, y).add(torch.randn(N, 8));`;
const SPLIT = `return new data.TensorDataset(x, y);`;
const MODEL = `new nn.Sequential(new nn.Linear(8, 32), new nn.ReLU(), new nn.Linear(32, 3))`;

/** A classifier of three clouds of points in eight dimensions. */
const program = ({
  data = DATA,
  split = SPLIT,
  model = MODEL,
  loss = "new nn.CrossEntropyLoss()",
  optimizer = "new optim.Adam(parameters, { lr: 0.003 })",
  epochs = 8,
}: Parts): string => `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";

const N = 400;
const layers = (count: number, make: () => nn.Module[]): nn.Module[] => Array.from({ length: count }, make).flat();

class Net extends nn.Module {
  body = ${model};
  forward(x: Tensor): Tensor {
    return this.body(x);
  }
}

export default experiment({
  seed: 1,
  model: () => {
    const net = new Net();
    prepare(net);
    return net;
  },
  data: () => {
    const centres = torch.randn(3, 8).mul(1.5);
    ${data}
    ${split}
  },
  ${split === SPLIT ? "validation: 0.25," : ""}
  loss: ${loss},
  metrics: ${loss.includes("CrossEntropy") ? '["accuracy"]' : "{}"},
  optimizer: (parameters) => ${optimizer},
  batchSize: 32,
  epochs: ${epochs},
});

/** Changes initial weights. */
function prepare(net: Net): void {
  void net;
  void layers;
}
`;

const withPrepare = (text: string, body: string): string => text.replace("  void net;\n", `  ${body}\n`);

const regression = (loss: string, target: string): string =>
  program({
    data: `const x = torch.randn(N, 8);
    const y = x.sum(1).add(torch.randn(N).mul(0.1))${target};`,
    model: "new nn.Sequential(new nn.Linear(8, 32), new nn.ReLU(), new nn.Linear(32, 1))",
    loss,
  });

const DEEP = `new nn.Sequential(new nn.Linear(8, 16), ...layers(14, () => [new nn.Linear(16, 16), new nn.Sigmoid()]), new nn.Linear(16, 3))`;
const WIDE = `new nn.Sequential(new nn.Linear(8, 32), ...layers(6, () => [new nn.ReLU(), new nn.Linear(32, 32)]), new nn.ReLU(), new nn.Linear(32, 3))`;

/** Draws the weights of each layer. */
const drawn = (one: string, how: string): string =>
  withPrepare(one, `for (const p of net.parameters()) if (p.ndim === 2) nn.init.${how};`);

export interface Fault {
  name: string;
  /** The finding that names the mistake. */
  kind: FindingKind;
  /** The tool that finds it with the least work. */
  by: "check_file" | "describe_data" | "train";
  faulty: string;
  /** The program without it, otherwise as much like it as can be. */
  sound: string;
}

/** A program without a mistake. */
export const SOUND = program({});

export const FAULTS: readonly Fault[] = [
  {
    name: "inputs are not normalised",
    kind: "inputScale",
    by: "train",
    faulty: program({
      data: `${DATA.replace("const x = ", "const small = ")}\n    const x = small.mul(200).add(500);`,
    }),
    sound: SOUND,
  },
  {
    name: "a column gives the label away",
    kind: "labelLeak",
    by: "describe_data",
    faulty: program({
      data: `const y = torch.randint(0, 3, [N]);
    const hint = y.to("float32").mul(0.7).add(torch.randn(N).mul(0.01)).unsqueeze(1);
    const x = torch.cat([torch.randn(N, 7), hint], 1);`,
    }),
    sound: program({
      data: `const y = torch.randint(0, 3, [N]);
    const hint = y.to("float32").add(torch.randn(N).mul(0.5)).unsqueeze(1);
    const x = torch.cat([torch.randn(N, 7), hint], 1);`,
    }),
  },
  {
    name: "rows are in training and validation",
    kind: "duplicates",
    by: "describe_data",
    faulty: program({
      split: `const all = new data.TensorDataset(x, y);
    const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
    return { train: new data.Subset(all, numbers(0, 320)), validation: new data.Subset(all, numbers(290, 400)) };`,
    }),
    sound: program({
      split: `const all = new data.TensorDataset(x, y);
    const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
    return { train: new data.Subset(all, numbers(0, 300)), validation: new data.Subset(all, numbers(300, 400)) };`,
    }),
  },
  {
    name: "the learning rate is too high",
    kind: "learningRateHigh",
    by: "train",
    faulty: program({ optimizer: "new optim.Adam(parameters, { lr: 5 })" }),
    sound: program({ optimizer: "new optim.Adam(parameters, { lr: 0.03 })" }),
  },
  {
    name: "the learning rate is too low",
    kind: "learningRateLow",
    by: "train",
    faulty: program({ optimizer: "new optim.Adam(parameters, { lr: 1e-8 })" }),
    sound: program({ optimizer: "new optim.AdamW(parameters, { lr: 0.01 })" }),
  },
  {
    name: "ReLUs are dead",
    kind: "deadUnits",
    by: "train",
    faulty: withPrepare(program({}), "nn.init.constant_((net.body.get(0) as nn.Linear).bias!, -50);"),
    // Each unit is silent for most samples, and none for all.
    sound: withPrepare(program({}), "nn.init.constant_((net.body.get(0) as nn.Linear).bias!, -1);"),
  },
  {
    name: "gradients vanish",
    kind: "vanishingGradient",
    by: "train",
    faulty: program({ model: DEEP, optimizer: "new optim.SGD(parameters, { lr: 0.05 })" }),
    sound: program({ model: DEEP.replace("layers(14", "layers(2").replace("Sigmoid", "Tanh") }),
  },
  {
    name: "gradients explode",
    kind: "explodingGradient",
    by: "train",
    // Adam's steps have the same size whatever the gradient's: the loss stays finite.
    faulty: drawn(program({ model: WIDE }), "normal_(p, 0, 1)"),
    sound: drawn(program({ model: WIDE }), "kaimingNormal_(p)"),
  },
  {
    name: "a layer is frozen by mistake",
    kind: "frozenLayer",
    by: "train",
    faulty: withPrepare(program({}), "(net.body.get(0) as nn.Linear).requiresGrad_(false);"),
    // Weights that somebody chose are frozen on purpose.
    sound: withPrepare(
      program({}),
      `const fixed = net.body.get(0) as nn.Linear;
  fixed.loadStateDict({ weight: torch.eye(32).slice(1, 0, 8), bias: torch.zeros(32) });
  fixed.requiresGrad_(false);`,
    ),
  },
  {
    name: "softmax is applied twice",
    kind: "softmaxTwice",
    by: "check_file",
    faulty: program({
      model: MODEL.replace("new nn.Linear(32, 3)", "new nn.Linear(32, 3), new nn.Softmax(1)"),
    }),
    sound: program({
      model: MODEL.replace("new nn.Linear(32, 3)", "new nn.Linear(32, 3), new nn.LogSoftmax(1)"),
      loss: "new nn.NLLLoss()",
    }),
  },
  {
    name: "labels are shuffled",
    kind: "unrelatedLabels",
    by: "train",
    faulty: program({
      data: `${DATA.replace("const y = ", "const right = ").replace("(0, y)", "(0, right)")}
    const y = right.indexSelect(0, torch.randperm(N));`,
    }),
    sound: program({
      data: `${DATA.replace("const y = ", "const right = ").replace("(0, y)", "(0, right)").replace("const x = ", "const sorted = ")}
    const order = torch.randperm(N);
    const [x, y] = [sorted.indexSelect(0, order), right.indexSelect(0, order)];`,
    }),
  },
  {
    name: "classes are imbalanced",
    kind: "classImbalance",
    by: "describe_data",
    faulty: program({
      data: `const y = torch.rand(N).lt(0.05).to("int64");
    const x = centres.indexSelect(0, y).add(torch.randn(N, 8));`,
    }),
    sound: program({
      data: `const y = torch.rand(N).lt(0.05).to("int64");
    const x = centres.indexSelect(0, y).add(torch.randn(N, 8));`,
      loss: "new nn.CrossEntropyLoss({ weight: torch.tensor([1, 20, 1]) })",
    }),
  },
  {
    name: "the target's shape is broadcast",
    kind: "targetShape",
    by: "check_file",
    faulty: regression("new nn.MSELoss()", ""),
    sound: regression("new nn.MSELoss()", ".unsqueeze(1)"),
  },
  {
    name: "a loss written out broadcasts the target's shape",
    kind: "targetShape",
    by: "check_file",
    faulty: regression("(output: Tensor, target: Tensor) => output.sub(target).abs().mean()", ""),
    sound: regression("(output: Tensor, target: Tensor) => output.sub(target).abs().mean()", ".unsqueeze(1)"),
  },
];

/** A program whose gradients explode from the first step on, and whose loss is NaN only when its learning rate has grown. */
export const DIVERGING = drawn(
  program({
    model: WIDE,
    optimizer: `new optim.SGD(parameters, { lr: 1e-5 }),
  lrScheduler: (optimizer) => new optim.lrScheduler.LambdaLR(optimizer, { lrLambda: (epoch) => 10 ** (2 * epoch) })`,
  }),
  "normal_(p, 0, 1)",
);
