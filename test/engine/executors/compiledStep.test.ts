// What the compiled step promises: it runs, it agrees with the interpreter, it leaks nothing, and a value read later is
// the value of its own step.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadExecutor, type LoadedExecutor } from "../../../extension/executors/index.ts";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import type { NativeBinding } from "../../../extension/native/binding.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";

const native = nativeStatus().state === "installed";
let executor: LoadedExecutor;

function counted<T>(body: () => T): { result: T; delta: (name: string) => number } {
  const before = executor.counters();
  const result = body();
  const after = executor.counters();
  return { result, delta: (name) => after[name]! - before[name]! };
}

interface Loop {
  model: nn.Module;
  step(): Tensor;
}

function supervised(model: nn.Layer, optimizer: optim.Optimizer, x: Tensor, y: Tensor): Loop {
  const criterion = new nn.CrossEntropyLoss();
  return {
    model,
    step() {
      optimizer.zeroGrad();
      const loss = criterion(model(x), y);
      loss.backward();
      optimizer.step();
      return loss;
    },
  };
}

/** Classes of token sequences, by an encoder's mean. */
class TransformerClassifier extends nn.Module {
  embedding = new nn.Embedding(20, 8, { paddingIdx: 0 });
  encoder = new nn.TransformerEncoder(
    new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true }),
    2,
  );
  fc = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    const srcKeyPaddingMask = x.eq(0);
    return this.fc(this.encoder(this.embedding(x), { srcKeyPaddingMask }).mean(1));
  }
}

/** Classes of token sequences, by BERT. */
class BertClassifier extends nn.Module {
  bert = new nn.BertModel({
    vocabSize: 20,
    hiddenSize: 8,
    numHiddenLayers: 2,
    numAttentionHeads: 2,
    intermediateSize: 12,
    maxPositionEmbeddings: 9,
  });
  fc = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    return this.fc(this.bert(x, { attentionMask: x.ne(0) }).poolerOutput);
  }
}

/** Classes of token sequences, by a decoder that looks back only. */
class Seq2Seq extends nn.Module {
  embedding = new nn.Embedding(20, 8);
  transformer = new nn.Transformer({
    dModel: 8,
    nhead: 2,
    numEncoderLayers: 1,
    numDecoderLayers: 1,
    dimFeedforward: 16,
    batchFirst: true,
  });
  fc = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    const y = this.embedding(x);
    const tgtMask = nn.Transformer.generateSquareSubsequentMask(y.size(1));
    return this.fc(this.transformer(y, y, { tgtMask, tgtIsCausal: true }).select(1, -1));
  }
}

interface Recurrent extends nn.Module {
  readonly hiddenSize: number;
  readonly bidirectional: boolean;
  forward(x: Tensor): [output: Tensor, state: unknown];
}

/** Regression on the last output of a recurrent layer that reads [batch, steps, 3]. */
function recurrent(seed: number, steps: number, make: () => Recurrent): Loop {
  class Forecaster extends nn.Module {
    layer = make();
    head = new nn.Linear(this.layer.hiddenSize * (this.layer.bidirectional ? 2 : 1), 1);

    forward(x: Tensor): Tensor {
      const [y] = this.layer(x);
      return this.head(y.select(1, -1));
    }
  }
  torch.manualSeed(seed);
  const model = new Forecaster();
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
  const criterion = new nn.MSELoss();
  const [x, y] = [torch.randn(4, steps, 3), torch.randn(4, 1)];
  return {
    model,
    step() {
      optimizer.zeroGrad();
      const loss = criterion(model(x), y);
      loss.backward();
      optimizer.step();
      return loss;
    },
  };
}

const LOOPS: Record<string, () => Loop> = {
  RNN: () => recurrent(10, 5, () => new nn.RNN(3, 5, { batchFirst: true })),
  LSTM: () => recurrent(11, 5, () => new nn.LSTM(3, 5, { batchFirst: true })),
  "LSTM, large": () => recurrent(12, 4, () => new nn.LSTM(3, 64, { batchFirst: true })),
  "LSTM in both directions": () =>
    recurrent(13, 4, () => new nn.LSTM(3, 8, { batchFirst: true, bidirectional: true })),
  "GRU of two layers with dropout": () =>
    recurrent(14, 5, () => new nn.GRU(3, 5, { numLayers: 2, dropout: 0.4, batchFirst: true })),
  "GRU of many steps": () => recurrent(15, 120, () => new nn.GRU(3, 4, { batchFirst: true })),
  "MLP, SGD"() {
    torch.manualSeed(1);
    const model = new nn.Sequential(new nn.Linear(20, 16), new nn.Tanh(), new nn.Linear(16, 4));
    return supervised(
      model,
      new optim.SGD(model.parameters(), { lr: 0.1 }),
      torch.randn(8, 20),
      torch.randint(0, 4, [8]),
    );
  },
  "MLP, SGD with momentum"() {
    torch.manualSeed(2);
    const model = new nn.Sequential(new nn.Linear(20, 16), new nn.Tanh(), new nn.Linear(16, 4));
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9, nesterov: true });
    return supervised(model, optimizer, torch.randn(8, 20), torch.randint(0, 4, [8]));
  },
  "CNN with dropout, Adam"() {
    torch.manualSeed(3);
    const model = new nn.Sequential(
      new nn.Conv2d(1, 4, 3, { padding: 1 }),
      new nn.Tanh(),
      new nn.MaxPool2d(2),
      new nn.Conv2d(4, 6, 3),
      new nn.ReLU(),
      new nn.Flatten(),
      new nn.Dropout(0.3),
      new nn.Linear(6 * 2 * 2, 3),
    );
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    return supervised(model, optimizer, torch.randn(5, 1, 8, 8), torch.randint(0, 3, [5]));
  },
  "CNN with running statistics, SGD"() {
    torch.manualSeed(10);
    const model = new nn.Sequential(
      new nn.Conv2d(2, 4, 3, { padding: 1, bias: false }),
      new nn.BatchNorm2d(4),
      new nn.ReLU(),
      new nn.Conv2d(4, 4, 3, { bias: false }),
      new nn.InstanceNorm2d(4, { affine: true, trackRunningStats: true }),
      new nn.ReLU(),
      new nn.GroupNorm(2, 4),
      new nn.Flatten(),
      new nn.Linear(4 * 4 * 4, 5, { bias: false }),
      new nn.BatchNorm1d(5, { momentum: null }),
      new nn.Tanh(),
      new nn.Linear(5, 3),
    );
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
    return supervised(model, optimizer, torch.randn(6, 2, 6, 6), torch.randint(0, 3, [6]));
  },
  "words with layer norm, Adam"() {
    torch.manualSeed(11);
    const model = new nn.Sequential(
      new nn.Embedding(12, 6, { paddingIdx: 0, scaleGradByFreq: true, maxNorm: 2 }),
      new nn.LayerNorm(6),
      new nn.Tanh(),
      new nn.RMSNorm(6),
      new nn.Flatten(),
      new nn.Linear(5 * 6, 3),
    );
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    return supervised(model, optimizer, torch.randint(0, 12, [4, 5]), torch.randint(0, 3, [4]));
  },
  "transformer encoder with dropout, Adam"() {
    torch.manualSeed(21);
    const model = new TransformerClassifier();
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    return supervised(model, optimizer, torch.randint(0, 20, [5, 7]), torch.randint(0, 3, [5]));
  },
  "BERT, AdamW"() {
    torch.manualSeed(22);
    const model = new BertClassifier();
    const optimizer = new optim.AdamW(model.parameters(), { lr: 0.01 });
    return supervised(model, optimizer, torch.randint(0, 20, [5, 7]), torch.randint(0, 3, [5]));
  },
  "encoder and decoder, SGD"() {
    torch.manualSeed(23);
    const model = new Seq2Seq();
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.05 });
    return supervised(model, optimizer, torch.randint(0, 20, [5, 7]), torch.randint(0, 3, [5]));
  },
  "autoencoder, MSE"() {
    torch.manualSeed(4);
    const model = new nn.Sequential(
      new nn.Linear(12, 5),
      new nn.Sigmoid(),
      new nn.Linear(5, 12),
      new nn.Sigmoid(),
    );
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    const x = torch.rand(7, 12);
    const criterion = new nn.MSELoss();
    return {
      model,
      step() {
        optimizer.zeroGrad();
        const loss = criterion(model(x), x);
        loss.backward();
        optimizer.step();
        return loss;
      },
    };
  },
};

/** Losses, and gradients of the last step and buffers, of a loop's first steps on the native engine, compiled or not. */
function trajectory(
  make: () => Loop,
  steps: number,
): { losses: number[]; gradients: number[][]; buffers: number[][] } {
  const loop = make();
  const losses = Array.from({ length: steps }, () => loop.step().item());
  const gradients = loop.model.parameters().map((p) => [...p.grad!.toTypedArray()]);
  const buffers = loop.model.buffers().map((b) => [...b.toTypedArray()]);
  return { losses, gradients, buffers };
}

describe.skipIf(!native)("the compiled step", () => {
  beforeAll(async () => {
    executor = await loadExecutor("native");
    changePolicy({ smallPlans: false });
  });
  afterAll(() => {
    changePolicy({ smallPlans: true });
    setExecutor(undefined);
  });

  it.each(Object.keys(LOOPS))("%s: compiled from the second step on, then nothing is interpreted", (name) => {
    const loop = LOOPS[name]!();
    // The first step of an optimizer with state makes that state: another graph than the later ones.
    for (let i = 0; i < 3; i++) loop.step().item();
    const { delta } = counted(() => {
      for (let i = 0; i < 10; i++) loop.step().item();
    });
    expect(delta("compiledRuns")).toBe(10);
    expect(delta("interpreted")).toBe(0);
    expect(delta("compiled")).toBe(0);
  });

  it.each(Object.keys(LOOPS))("%s: equal to op by op on wasm in loss and gradients", async (name) => {
    const compiled = trajectory(LOOPS[name]!, 6);
    await loadExecutor("wasm");
    const reference = trajectory(LOOPS[name]!, 6);
    executor = await loadExecutor("native");
    compiled.losses.forEach((l, i) => expect(l).toBeCloseTo(reference.losses[i]!, 5));
    compiled.gradients.forEach((g, i) => {
      const scale = Math.max(...reference.gradients[i]!.map(Math.abs));
      g.forEach((x, j) =>
        expect(Math.abs(x - reference.gradients[i]![j]!)).toBeLessThanOrEqual(1e-4 * scale + 1e-7),
      );
    });
    compiled.buffers.forEach((b, i) =>
      b.forEach((x, j) => expect(x).toBeCloseTo(reference.buffers[i]![j]!, 5)),
    );
  });

  // Loops whose steps are long: fewer of them say the same.
  const LONG = /transformer|decoder|BERT|many steps/;

  it.each(Object.keys(LOOPS))("%s: live tensors are flat over 1,000 steps, or 200 long ones", (name) => {
    const loop = LOOPS[name]!();
    for (let i = 0; i < 5; i++) loop.step().item();
    const { tensors } = executor.counters();
    for (let i = 0; i < (LONG.test(name) ? 200 : 1000); i++) loop.step().item();
    // The models of earlier tests may be collected meanwhile.
    expect(executor.counters()["tensors"]).toBeLessThanOrEqual(tensors!);
  });

  it("a loss read after later steps is the loss of its own step", () => {
    const a = LOOPS["MLP, SGD"]!();
    const late = Array.from({ length: 6 }, () => a.step());
    const b = LOOPS["MLP, SGD"]!();
    const inTime = Array.from({ length: 6 }, () => b.step().item());
    expect(late.map((l) => l.item())).toEqual(inTime);
  });

  it("running statistics are state of the compiled step, and evaluation uses them", () => {
    const loop = LOOPS["CNN with running statistics, SGD"]!();
    const counts = loop.model.namedBuffers().filter(([name]) => name.endsWith("num_batches_tracked"));
    for (let i = 0; i < 12; i++) loop.step();
    // Instance norm does not count, as in PyTorch.
    expect(counts.map(([, count]) => count.item())).toEqual([12, 0, 12]);
    const x = torch.randn(1, 2, 6, 6);
    const model = loop.model.eval() as nn.Sequential;
    const evaluated = (): number[] => torch.noGrad(() => [...model(x).toTypedArray()]);
    const first = evaluated();
    // Compiled from the second time on: equal up to rounding.
    for (let i = 0; i < 3; i++) evaluated().forEach((y, j) => expect(y).toBeCloseTo(first[j]!, 5));
    expect(counts[0]![1].item()).toBe(12);
  });

  it("outputs and what the loop derived from them survive the step", () => {
    torch.manualSeed(5);
    const model = new nn.Linear(3, 2);
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.5 });
    const x = torch.randn(4, 3);
    for (let i = 0; i < 4; i++) {
      const before = torch.noGrad(() => model(x)).toTypedArray();
      optimizer.zeroGrad();
      const output = model(x);
      const best = output.argmax(1);
      output.pow(2).mean().backward();
      optimizer.step();
      expect([...output.toTypedArray()]).toEqual([...before]);
      expect([...best.toTypedArray()]).toEqual([
        ...torch
          .tensor([...before])
          .view(4, 2)
          .argmax(1)
          .toTypedArray(),
      ]);
    }
  });

  it("a gradient that was read from its parameter after the step is there for good", () => {
    const read = (now: boolean): number[][] => {
      const loop = LOOPS["MLP, SGD"]!();
      const kept: Tensor[] = [];
      for (let i = 0; i < 8; i++) {
        loop.step();
        kept.push(loop.model.parameters()[0]!.grad!);
        if (now) kept.at(-1)!.toTypedArray();
      }
      return kept.map((g) => [...g.toTypedArray()]);
    };
    expect(read(false)).toEqual(read(true));
  });

  it("a learning rate that changes every step does not compile again", () => {
    torch.manualSeed(6);
    const model = new nn.Linear(6, 3);
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const loop = supervised(new nn.Sequential(model), optimizer, torch.randn(4, 6), torch.randint(0, 3, [4]));
    for (let i = 0; i < 3; i++) loop.step().item();
    const { delta } = counted(() => {
      for (let i = 0; i < 10; i++) {
        optimizer.paramGroups[0]!.lr = 0.1 / (i + 1);
        loop.step().item();
      }
    });
    expect(delta("compiled") + delta("recompiled")).toBe(0);
  });

  it("a number of the user's that changes is compiled as an input once, with its new value each time", () => {
    torch.manualSeed(7);
    const model = new nn.Linear(3, 1);
    const x = torch.randn(4, 3);
    const measure = (weight: number): number =>
      torch.noGrad(() => F.relu(model(x).mul(weight).add(1)).mean().item());
    const one = measure(0);
    expect(one).toBe(1);
    const { delta } = counted(() => {
      for (let i = 0; i < 8; i++) {
        const expected = torch.noGrad(() => model(x)).toTypedArray();
        const mean = [...expected].reduce((s, v) => s + Math.max(0, v * i + 1), 0) / 4;
        expect(measure(i)).toBeCloseTo(mean, 5);
      }
    });
    expect(delta("recompiled")).toBeLessThanOrEqual(2);
  });

  it("the last, smaller batch and evaluation in between share the parameters", () => {
    const make = (): number[] => {
      torch.manualSeed(8);
      const model = new nn.Sequential(new nn.Linear(5, 4), new nn.Tanh(), new nn.Linear(4, 2));
      const optimizer = new optim.SGD(model.parameters(), { lr: 0.2, momentum: 0.9 });
      const criterion = new nn.CrossEntropyLoss();
      const [x, y] = [torch.randn(10, 5), torch.randint(0, 2, [10])];
      const losses: number[] = [];
      for (let epoch = 0; epoch < 5; epoch++) {
        for (const [from, to] of [
          [0, 4],
          [4, 8],
          [8, 10],
        ] as const) {
          optimizer.zeroGrad();
          const loss = criterion(model(x.narrow(0, from, to - from)), y.narrow(0, from, to - from));
          loss.backward();
          optimizer.step();
          losses.push(loss.item());
        }
        losses.push(torch.noGrad(() => criterion(model(x), y)).item());
      }
      return losses;
    };
    const compiled = make();
    expect(compiled.at(-1)!).toBeLessThan(compiled[3]!);
    expect(make()).toEqual(compiled);
  });

  it("a model is read in two calls, whatever it was before", async () => {
    let calls = 0;
    const binding = loadNative();
    const runGraph: NativeBinding["runGraph"] = (...args) => {
      calls++;
      return binding.runGraph(...args);
    };
    // The binding is an instance of a native class: what isn't replaced is inherited, unbound from the copy.
    setExecutor(
      new TensorFlowExecutor(Object.create(binding, { runGraph: { value: runGraph } }) as NativeBinding),
    );
    try {
      torch.manualSeed(4);
      const model = new TransformerClassifier();
      const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
      const loop = supervised(model, optimizer, torch.randint(1, 20, [6, 5]), torch.randint(0, 3, [6]));
      for (let round = 0; round < 3; round++) {
        const before = [...model.parameters()].map((p) => p.toTypedArray().slice());
        for (let i = 0; i < 3; i++) loop.step();
        const from = calls;
        const read = [...model.parameters()].map((p) => p.toTypedArray());
        expect(calls - from).toBe(2);
        expect(read.every((values, i) => values.some((value, j) => value !== before[i]![j]))).toBe(true);
      }
    } finally {
      executor = await loadExecutor("native");
    }
  });

  it("a batch that can't be computed leaves the model as it was", () => {
    torch.manualSeed(9);
    const model = new nn.Linear(4, 3);
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const criterion = new nn.CrossEntropyLoss();
    const x = torch.randn(2, 4);
    const step = (targets: number[]): number => {
      optimizer.zeroGrad();
      const loss = criterion(model(x), torch.tensor(targets));
      loss.backward();
      optimizer.step();
      return loss.item();
    };
    for (let i = 0; i < 3; i++) step([0, 2]);
    const before = [...model.weight.toTypedArray()];
    expect(() => step([0, 3])).toThrow("Target 3 is out of bounds.");
    expect([...model.weight.toTypedArray()]).toEqual(before);
    expect(step([0, 2])).toBeGreaterThan(0);
  });
});
