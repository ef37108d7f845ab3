// Small trainings of all kinds, with dropout and a last batch that has no equal parts.
import { appendFileSync } from "node:fs";
import { data, experiment, nn, optim, torch, type Tensor } from "layerwise";

const SAMPLES = 98;
const BATCH = 16;

/** Writes the final weights of each process to a file of its own. */
const report = {
  onTrainEnd({ model }: { model: nn.Module }): void {
    const folder = process.env["WEIGHTS"];
    if (folder === undefined) return;
    const values = Array.from(model.stateDict(), ([name, tensor]) => [
      name,
      Array.from(tensor.toTypedArray()),
    ]);
    appendFileSync(`${folder}/${process.pid}.json`, JSON.stringify(values));
  },
};

const classes = (): Tensor => torch.randint(0, 3, [SAMPLES]);
const options = {
  batchSize: BATCH,
  epochs: 2,
  seed: 3,
  loss: new nn.CrossEntropyLoss(),
  callbacks: [report],
};

const mlp = (): nn.Module =>
  new nn.Sequential(new nn.Linear(10, 24), new nn.ReLU(), new nn.Dropout(0.3), new nn.Linear(24, 3));
const rows = (): data.Dataset => new data.TensorDataset(torch.randn(SAMPLES, 10), classes());

export const sgd = experiment({
  ...options,
  model: mlp,
  data: rows,
  optimizer: (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9 }),
});

export const adam = experiment({
  ...options,
  model: mlp,
  data: rows,
  optimizer: (p) => new optim.Adam(p, { lr: 0.003 }),
});

export const clipped = experiment({
  ...options,
  model: mlp,
  data: rows,
  validation: 0.25,
  metrics: ["accuracy"],
  accumulateGradBatches: 3,
  gradientClipVal: 0.05,
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
});

export const ignoring = experiment({
  ...options,
  model: mlp,
  data: rows,
  loss: new nn.CrossEntropyLoss({ ignoreIndex: 1 }),
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
});

export const cnn = experiment({
  ...options,
  model: () =>
    new nn.Sequential(
      new nn.Conv2d(1, 4, 3, { padding: 1 }),
      new nn.SyncBatchNorm(4),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Flatten(),
      new nn.Linear(4 * 16, 3),
    ),
  data: () => new data.TensorDataset(torch.randn(SAMPLES, 1, 8, 8), classes()),
  optimizer: (p) => new optim.SGD(p, { lr: 0.05 }),
});

/** Gradients, their norm, the loss and metrics: all that a step has to exchange. */
export const measured = experiment({
  ...options,
  model: mlp,
  data: rows,
  metrics: ["accuracy", "f1"],
  gradientClipVal: 0.5,
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
});

export const accumulated = experiment({
  ...options,
  model: mlp,
  data: rows,
  metrics: ["accuracy"],
  accumulateGradBatches: 3,
  gradientClipVal: 0.5,
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
});

class Sequences extends nn.Module {
  embedding = new nn.Embedding(20, 8);
  lstm = new nn.LSTM(8, 12, { numLayers: 2, dropout: 0.2, batchFirst: true });
  fc = new nn.Linear(12, 3);
  forward(x: Tensor): Tensor {
    const [out] = this.lstm(this.embedding(x));
    return this.fc(out.mean(1));
  }
}

const words = (): data.Dataset => new data.TensorDataset(torch.randint(0, 20, [SAMPLES, 9]), classes());

export const lstm = experiment({
  ...options,
  model: () => new Sequences(),
  data: words,
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
});

class Encoder extends nn.Module {
  embedding = new nn.Embedding(20, 16);
  layers = new nn.TransformerEncoder(
    new nn.TransformerEncoderLayer(16, 4, { dimFeedforward: 24, dropout: 0.1, batchFirst: true }),
    2,
  );
  fc = new nn.Linear(16, 3);
  forward(x: Tensor): Tensor {
    return this.fc(this.layers(this.embedding(x)).mean(1));
  }
}

export const transformer = experiment({
  ...options,
  model: () => new Encoder(),
  data: words,
  // Adam would make steps of rounding errors: the gradient of an attention's key bias is 0.
  optimizer: (p) => new optim.SGD(p, { lr: 0.05 }),
});

/** Draws numbers and evaluates the model, as much as pays in several processes, for each checkpoint. */
export const saving = experiment({
  ...options,
  model: mlp,
  data: rows,
  checkpoints: { everyNTrainSteps: 2, saveLast: false },
  callbacks: [
    {
      onSaveCheckpoint({ model }) {
        torch.noGrad(() => (model as nn.Sequential)(torch.randn(40_000, 10)).mean().item());
      },
    },
    report,
  ],
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
});

/** The newest weights are saved at times that depend on the clock: each time, the shuffling and dropout change. */
export const timed = experiment({
  ...options,
  epochs: 120,
  model: mlp,
  data: rows,
  callbacks: [
    {
      onSaveCheckpoint({ metrics }) {
        torch.rand(1 + (Math.trunc(1e6 * metrics["loss"]!) % 7));
      },
    },
    report,
  ],
  optimizer: (p) => new optim.Adam(p, { lr: 0.003 }),
});

/** Long enough to be disturbed: its state is saved every few steps. */
export const long = experiment({
  ...options,
  epochs: 120,
  model: mlp,
  data: rows,
  checkpoints: { everyNTrainSteps: 20 },
  optimizer: (p) => new optim.Adam(p, { lr: 0.003 }),
});

/** The same with states of a recurrent network, and dropout between its layers. */
export const longLstm = experiment({
  ...options,
  epochs: 120,
  model: () => new Sequences(),
  data: words,
  checkpoints: { everyNTrainSteps: 20 },
  optimizer: (p) => new optim.Adam(p, { lr: 0.003 }),
});

/** Fails in the user's own code, in all processes. */
export const faulty = experiment({
  ...options,
  model: () => {
    throw new Error("No such model");
  },
  data: rows,
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
});
