// A training that is interrupted and resumed by another executor, whose graphs are all new: every kind of network
// ends with the very same weights, on TensorFlow and on wasm.
import os from "node:os";
import { afterAll, describe, expect, test } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import {
  data,
  experiment,
  nn,
  optim,
  torch,
  type Experiment,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { compareResumed, train, type Parameters } from "../../unit/engine/training.ts";
import { useFolder } from "../../folders.ts";
import { beginWithKernels, compileFromTheStart } from "../compiling.ts";

compileFromTheStart();

const native = nativeStatus().state === "installed";

const folder = useFolder();
afterAll(() => setExecutor(undefined));

const SAMPLES = 48;
const classes = (): Tensor => torch.randint(0, 3, [SAMPLES]);
const adam = (parameters: Parameters): optim.Optimizer => new optim.Adam(parameters, { lr: 0.02 });

/** A network that reads a sequence and tells a class of its last output. */
class Reader extends nn.Module {
  drop = new nn.Dropout(0.2);
  head: nn.Linear;
  recurrent: nn.RNN | nn.LSTM | nn.GRU;
  constructor(kind: "RNN" | "LSTM" | "GRU", size: number) {
    super();
    const options = { batchFirst: true };
    if (kind === "RNN") this.recurrent = new nn.RNN(4, size, options);
    else this.recurrent = kind === "LSTM" ? new nn.LSTM(4, size, options) : new nn.GRU(4, size, options);
    this.head = new nn.Linear(size, 3);
  }
  forward(x: Tensor): Tensor {
    const [y] = (this.recurrent as nn.RNN)(x);
    return this.head(this.drop(y.select(1, -1)));
  }
}

class Attentive extends nn.Module {
  embed = new nn.Embedding(20, 8);
  encoder = new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16, dropout: 0.1, batchFirst: true });
  head = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    return this.head(this.encoder(this.embed(x)).mean(1));
  }
}

const sequences = (length: number) => (): data.Dataset =>
  new data.TensorDataset(torch.randn(SAMPLES, length, 4), classes());

type Kind = Partial<ExperimentOptions> & Pick<ExperimentOptions, "model" | "data">;

const KINDS: Readonly<Record<string, Kind>> = {
  MLP: {
    model: () =>
      new nn.Sequential(
        new nn.Linear(6, 32),
        new nn.BatchNorm1d(32),
        new nn.ReLU(),
        new nn.Dropout(0.3),
        new nn.Linear(32, 3),
      ),
    data: () => new data.TensorDataset(torch.randn(SAMPLES, 6), classes()),
  },
  CNN: {
    model: () =>
      new nn.Sequential(
        new nn.Conv2d(1, 8, 3, { padding: 1 }),
        new nn.BatchNorm2d(8),
        new nn.ReLU(),
        new nn.MaxPool2d(2),
        new nn.Conv2d(8, 16, 3),
        new nn.ReLU(),
        new nn.Dropout2d(0.2),
        new nn.AdaptiveAvgPool2d(1),
        new nn.Flatten(),
        new nn.Linear(16, 3),
      ),
    data: () => new data.TensorDataset(torch.randn(SAMPLES, 1, 12, 12), classes()),
  },
  // Large enough for its batch to be divided among the cores.
  "large CNN": {
    model: () =>
      new nn.Sequential(
        new nn.Conv2d(1, 16, 3),
        new nn.ReLU(),
        new nn.Conv2d(16, 32, 3),
        new nn.ReLU(),
        new nn.MaxPool2d(2),
        new nn.Dropout(0.2),
        new nn.Flatten(),
        new nn.Linear(32 * 36, 3),
      ),
    data: () => new data.TensorDataset(torch.randn(SAMPLES, 1, 16, 16), classes()),
  },
  RNN: { model: () => new Reader("RNN", 12), data: sequences(9) },
  LSTM: { model: () => new Reader("LSTM", 5), data: sequences(9) },
  GRU: { model: () => new Reader("GRU", 12), data: sequences(9) },
  Transformer: {
    model: () => new Attentive(),
    data: () => new data.TensorDataset(torch.randint(0, 20, [SAMPLES, 7]), classes()),
  },
  autoencoder: {
    model: () =>
      new nn.Sequential(
        new nn.Linear(36, 16),
        new nn.ReLU(),
        new nn.Linear(16, 4),
        new nn.Linear(4, 36),
        new nn.Sigmoid(),
      ),
    data: () => new data.TensorDataset(torch.rand(SAMPLES, 36)),
    loss: new nn.MSELoss(),
  },
  GAN: {
    model: () =>
      new nn.ModuleDict({
        generator: new nn.Sequential(new nn.Linear(4, 16), new nn.ReLU(), new nn.Linear(16, 6)),
        discriminator: new nn.Sequential(new nn.Linear(6, 16), new nn.LeakyReLU(0.2), new nn.Linear(16, 1)),
      }),
    data: () => new data.TensorDataset(torch.randn(SAMPLES, 6)),
    loss: new nn.BCEWithLogitsLoss(),
    optimizer: (_, model) => {
      const parts = model as nn.ModuleDict;
      return {
        g: new optim.Adam(parts.get("generator").parameters(), { lr: 0.01 }),
        d: new optim.Adam(parts.get("discriminator").parameters(), { lr: 0.01 }),
      };
    },
    trainStep: ({ model, batch, loss, optimizer }) => {
      const parts = model as nn.ModuleDict;
      const [generator, discriminator] = ["generator", "discriminator"].map(
        (name) => parts.get(name) as nn.Sequential,
      ) as [nn.Sequential, nn.Sequential];
      const { g, d } = optimizer as Record<"g" | "d", optim.Optimizer>;
      const [real] = batch as [Tensor];
      const fake = generator(torch.randn(real.shape[0]!, 4));
      d.zeroGrad();
      const seen = loss(discriminator(real), torch.ones(real.shape[0]!, 1)).add(
        loss(discriminator(fake.detach()), torch.zeros(real.shape[0]!, 1)),
      );
      seen.backward();
      d.step();
      g.zeroGrad();
      const fooled = loss(discriminator(fake), torch.ones(real.shape[0]!, 1));
      fooled.backward();
      g.step();
      return { d: seen, g: fooled };
    },
  },
};

const makeOf =
  (name: string, kind: Kind): (() => Experiment) =>
  () =>
    experiment({
      seed: 3,
      loss: new nn.CrossEntropyLoss(),
      optimizer: adam,
      batchSize: 8,
      epochs: 3,
      // The last batches are smaller there, so that there are two graphs of everything.
      ...(name === "MLP" || name === "CNN" ? { validation: 0.25 } : {}),
      ...kind,
    });

// Of its 18 steps, own kernels compute half, wherever it is interrupted.
describe.skipIf(!native)("on own kernels first, and then on TensorFlow", () => {
  test.each(Object.entries(KINDS))("%s", async (name, kind) => {
    const make = makeOf(name, kind);
    beginWithKernels(1e9);
    await loadExecutor("native");
    const { state } = await train(make());
    expect(state.kernelWork).toBeGreaterThan(0);
    beginWithKernels(state.kernelWork / 2);
    const executors: Awaited<ReturnType<typeof loadExecutor>>[] = [];
    try {
      await compareResumed(make, [4, 13], folder, async () => {
        executors.push(await loadExecutor("native"));
      });
    } finally {
      beginWithKernels(0);
    }
    const [whole, early, , late] = executors.map((executor) => executor.counters());
    expect(whole).toMatchObject({ small: expect.any(Number), interpreted: 0 });
    expect(whole!["small"]).toBeGreaterThan(4);
    expect(whole!["compiledRuns"]).toBeGreaterThan(4);
    expect(early!["compiledRuns"]).toBe(0);
    expect(late!["small"]).toBe(0);
  });
});

describe.each([
  ["native", native],
  ["kernels", native],
  ["wasm", true],
] as const)("on %s", (device, there) => {
  test.skipIf(!there).each(Object.entries(KINDS))("%s", async (name, kind) => {
    const make = makeOf(name, kind);
    let executor: Awaited<ReturnType<typeof loadExecutor>> | undefined;
    await compareResumed(make, [8], folder, async () => {
      executor = await loadExecutor(device);
    });
    if (device !== "native") return;
    expect(executor!.counters()["compiledRuns"]).toBeGreaterThan(0);
    if (name === "large CNN" && os.availableParallelism() > 1)
      expect(executor!.counters()["sharded"]).toBeGreaterThan(0);
  });
});
