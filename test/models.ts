/** Model files that tests write into a workspace. */
import fs from "node:fs";
import path from "node:path";

/** The tutorial's network on random data: an epoch is one step, so `epochs` says how long it trains. */
export const simpleNN = (
  epochs: number,
): string => `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";

export class SimpleNN extends nn.Module {
  fc1: nn.Linear;
  relu: nn.ReLU;
  fc2: nn.Linear;

  constructor(inputSize: number, hiddenSize: number, outputSize: number) {
    super();
    this.fc1 = new nn.Linear(inputSize, hiddenSize);
    this.relu = new nn.ReLU();
    this.fc2 = new nn.Linear(hiddenSize, outputSize);
  }

  forward(x: Tensor): Tensor {
    x = this.fc1(x);
    x = this.relu(x);
    return this.fc2(x);
  }
}

export default experiment({
  seed: 0,
  model: () => new SimpleNN(10, 5, 2),
  data: () => new data.TensorDataset(torch.randn(100, 10), torch.randint(0, 2, [100])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
  epochs: ${epochs},
});
`;

/**
 * PyTorch 2.15.0 prints this: torch.manual_seed(0); SimpleNN(10, 5, 2); X = torch.randn(100, 10);
 * y = torch.randint(0, 2, (100,)); Adam of lr 0.001; 100 epochs of the whole set; then torch.randn(5, 10).
 */
export const TUTORIAL_LINES = [
  "Epoch [10/100], Loss: 0.7862",
  "Epoch [20/100], Loss: 0.7672",
  "Epoch [30/100], Loss: 0.7513",
  "Epoch [40/100], Loss: 0.7383",
  "Epoch [50/100], Loss: 0.7277",
  "Epoch [60/100], Loss: 0.7191",
  "Epoch [70/100], Loss: 0.7119",
  "Epoch [80/100], Loss: 0.7058",
  "Epoch [90/100], Loss: 0.7005",
  "Epoch [100/100], Loss: 0.6956",
];

/** An experiment as slow as a network that is worth waiting for, at the most five epochs a second, and idle meanwhile. */
export const slowly = (experiment: string): string =>
  experiment.replace(
    /^ {2}epochs:/m,
    "  callbacks: { onEpochEnd: () => new Promise((resolve) => setTimeout(resolve, 200)) },\n$&",
  );

export const slowNN = (epochs: number): string => slowly(simpleNN(epochs));

/** A residual network, whose activation and blocks can be changed. */
export const residual = (
  activation: string,
  blocks: string,
): string => `import { data, experiment, F, nn, optim, torch, type Tensor } from "layerwise";

class Block extends nn.Module {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  conv2: nn.Conv2d;
  bn2: nn.BatchNorm2d;

  constructor(channels: number) {
    super();
    this.conv1 = new nn.Conv2d(channels, channels, 3, { padding: 1 });
    this.bn1 = new nn.BatchNorm2d(channels);
    this.conv2 = new nn.Conv2d(channels, channels, 3, { padding: 1 });
    this.bn2 = new nn.BatchNorm2d(channels);
  }

  forward(x: Tensor): Tensor {
    const y = F.relu(this.bn1(this.conv1(x)));
    return F.relu(this.bn2(this.conv2(y)).add(x));
  }
}

class ResNet extends nn.Module {
  stem = new nn.Sequential(new nn.Conv2d(1, 16, 3, { padding: 1 }), new nn.${activation}());
  blocks = new nn.Sequential(${blocks});
  pool = new nn.AdaptiveAvgPool2d(1);
  head = new nn.Linear(16, 10);

  forward(x: Tensor): Tensor {
    x = this.blocks(this.stem(x));
    return this.head(this.pool(x).flatten(1));
  }
}

export default experiment({
  seed: 0,
  model: () => new ResNet(),
  data: () => new data.TensorDataset(torch.randn(64, 1, 8, 8), torch.randint(0, 10, [64])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
  epochs: 5,
});
`;

/** More epochs than any test waits for. */
export const ENDLESS_EPOCHS = 10_000_000;

export interface Mistake {
  text: string;
  /** The line that the message belongs to, counted from 1. */
  line: number;
  message: RegExp;
}

/** Mistakes of users with the expected messages, by the name of a file. */
export const MISTAKES: Record<string, Mistake> = {
  "syntax.nn.ts": {
    text: simpleNN(100).replace("this.relu(x);", "this.relu(x;"),
    line: 17,
    message: /Expected "\)" but found ";"/,
  },
  "shape.nn.ts": {
    text: simpleNN(100).replace(
      "new nn.Linear(hiddenSize, outputSize)",
      "new nn.Linear(hiddenSize + 1, outputSize)",
    ),
    line: 18,
    message: /mat1 and mat2 shapes cannot be multiplied \(100x5 and 6x2\)/,
  },
  "loop.nn.ts": {
    text: 'import { nn } from "layerwise";\n\nexport class Waiting extends nn.Module {}\n\nwhile (true);\n',
    line: 5,
    message: /endless loop/,
  },
};

/** Writes a file into a folder; answers its path. */
export function writeModel(folder: string, name: string, text: string): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, text);
  return file;
}
