import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { EngineError } from "../../../extension/protocol/errors.ts";
import { loadTraining } from "../../../extension/engine/resume/trainingFile.ts";
import { readPth } from "../../../extension/formats/pth/pth.ts";
import {
  data,
  experiment,
  metrics,
  nn,
  optim,
  torch,
  type Experiment,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import { compareResumed, train, weightsOf, type Parameters } from "./training.ts";
import { useEngine } from "../../engines.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();
useEngine("cpu");

/** With all that draws random numbers or keeps a state: dropout, running statistics, an order of samples. */
class Net extends nn.Module {
  first = new nn.Linear(3, 6);
  norm = new nn.BatchNorm1d(6);
  drop = new nn.Dropout(0.3);
  last = new nn.Linear(6, 2);
  forward(x: Tensor): Tensor {
    return this.last(this.drop(torch.relu(this.norm(this.first(x)))));
  }
}

const options = {
  seed: 3,
  model: () => new Net(),
  data: () => new data.TensorDataset(torch.randn(22, 3), torch.randint(0, 2, [22])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters: Parameters) => new optim.Adam(parameters, { lr: 0.05 }),
  batchSize: 4,
  epochs: 4,
} satisfies ExperimentOptions;

const compare = (make: () => Experiment, stops: readonly number[]): Promise<void> =>
  compareResumed(make, stops, folder);

const OPTIMIZERS: Record<string, (parameters: Parameters) => optim.Optimizer> = {
  SGD: (p) => new optim.SGD(p, { lr: 0.1 }),
  momentum: (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 }),
  Adam: (p) => new optim.Adam(p, { lr: 0.05 }),
  amsgrad: (p) => new optim.Adam(p, { lr: 0.05, amsgrad: true }),
  AdamW: (p) => new optim.AdamW(p, { lr: 0.05 }),
  NAdam: (p) => new optim.NAdam(p, { lr: 0.05 }),
  RAdam: (p) => new optim.RAdam(p, { lr: 0.05 }),
  Adamax: (p) => new optim.Adamax(p, { lr: 0.05 }),
  Adagrad: (p) => new optim.Adagrad(p, { lr: 0.1, lrDecay: 0.01 }),
  Adadelta: (p) => new optim.Adadelta(p, { lr: 1 }),
  RMSprop: (p) => new optim.RMSprop(p, { lr: 0.01, momentum: 0.5, centered: true }),
  Rprop: (p) => new optim.Rprop(p, { lr: 0.01 }),
  ASGD: (p) => new optim.ASGD(p, { lr: 0.1, t0: 3 }),
};

describe("an interrupted training ends with the very same weights", () => {
  test.each(Object.entries(OPTIMIZERS))("%s", async (_, optimizer) => {
    await compare(() => experiment({ ...options, optimizer }), [2, 9]);
  });

  test("L-BFGS", async () => {
    const make = (): Experiment =>
      experiment({
        ...options,
        model: () => new nn.Linear(3, 2),
        optimizer: (p) => new optim.LBFGS(p, { lr: 0.1, maxIter: 3 }),
        trainStep: ({ model, batch, loss, optimizer }) => {
          const [x, y] = batch as [Tensor, Tensor];
          return optimizer.step(() => {
            optimizer.zeroGrad();
            const value = loss(model.forward(x), y);
            value.backward();
            return value;
          });
        },
      });
    await compare(make, [3, 8]);
  });

  test.each<[string, Partial<ExperimentOptions>]>([
    [
      "a schedule of epochs",
      { lrScheduler: (o) => new optim.lrScheduler.StepLR(o as optim.Optimizer, 1, { gamma: 0.5 }) },
    ],
    [
      "a schedule of steps",
      {
        lrScheduler: (o) => ({
          scheduler: new optim.lrScheduler.OneCycleLR(o as optim.Optimizer, 0.1, { totalSteps: 24 }),
          interval: "step",
        }),
      },
    ],
    [
      "a schedule that follows the training's loss",
      {
        lrScheduler: (o) =>
          new optim.lrScheduler.ReduceLROnPlateau(o as optim.Optimizer, { patience: 0, threshold: 1 }),
      },
    ],
    ["validation in every epoch", { validation: 0.3 }],
    ["validation in the middle of epochs", { validation: 0.3, valCheckInterval: 2 }],
    ["gradients that are added up", { accumulateGradBatches: 3, gradientClipVal: 0.5 }],
    [
      "metrics over epochs",
      { metrics: { f1: "f1", r: new metrics.Recall(), own: (output) => output.mean() } },
    ],
    ["early stopping", { epochs: 9, validation: 0.3, earlyStopping: { patience: 1 } }],
    ["all samples as one batch", { batchSize: undefined as unknown as number, epochs: 8 }],
    ["batches left out", { limitTrainBatches: 3 }],
  ])("%s", async (_, changes) => {
    await compare(() => experiment({ ...options, ...changes }), [1, 4, 5]);
  });

  test("a loader with a generator of its own, and a sampler with another", async () => {
    const { batchSize: _, ...others } = options;
    const make = (): Experiment =>
      experiment({
        ...others,
        data: () => {
          const set = new data.TensorDataset(torch.randn(22, 3), torch.randint(0, 2, [22]));
          const weights = Array.from({ length: 22 }, (_, i) => i + 1);
          const sampler = new data.WeightedRandomSampler(weights, 22, {
            generator: new torch.Generator().manualSeed(5),
          });
          const held = new data.DataLoader(set, {
            batchSize: 8,
            shuffle: true,
            generator: new torch.Generator().manualSeed(6),
          });
          return { train: new data.DataLoader(set, { batchSize: 4, sampler }), validation: held };
        },
      });
    await compare(make, [2, 7, 3]);
  });

  test("wherever it is stopped", async () => {
    const make = (): Experiment => experiment({ ...options, validation: 0.3, epochs: 2 });
    const batches = 8;
    for (let stop = 1; stop <= batches; stop++) {
      await compare(make, [stop]);
      fs.rmSync(folder, { recursive: true });
      fs.mkdirSync(folder);
    }
  });

  test("callbacks keep what they say", async () => {
    const seen: number[][] = [];
    const make = (): Experiment => {
      let count = 0;
      return experiment({
        ...options,
        callbacks: {
          onBatchEnd: () => void count++,
          onTrainEnd: () => void seen.push([count]),
          stateDict: () => ({ count }),
          loadStateDict: (state) => void ({ count } = state as { count: number }),
        },
      });
    };
    await compare(make, [4]);
    expect(seen.at(-1)).toEqual(seen[0]);
  });
});

describe("the file of a training's state", () => {
  const make = (): Experiment => experiment(options);

  test("is one of torch.save, with the names of PyTorch's tutorials", async () => {
    await train(make(), 3, { folder, stopAfter: 2 });
    const saved = readPth(path.join(folder, "checkpoints", "training.pth")) as ReadonlyMap<string, unknown>;
    expect([...saved.keys()]).toEqual(
      expect.arrayContaining(["model_state_dict", "optimizers", "generators", "facts"]),
    );
    expect([...(saved.get("model_state_dict") as Map<string, unknown>).keys()].slice(0, 2)).toEqual([
      "first.weight",
      "first.bias",
    ]);
  });

  test("damaged, the one before it is used, and that is told", async () => {
    const whole = await train(make(), 3);
    await train(make(), 3, { folder, stopAfter: 2 });
    await train(make(), 3, { folder, stopAfter: 5, resume: true });
    const newest = path.join(folder, "checkpoints", "training.pth");
    const bytes = fs.readFileSync(newest);
    fs.writeFileSync(newest, bytes.subarray(0, bytes.length / 2));
    const again = await train(make(), 3, { folder, resume: true });
    expect(again.log[0]).toMatch(
      /^The training's state can't be read: .*training\.pth.*: the end of the archive/,
    );
    expect(again.log[0]).toContain("The state before it is used, of step");
    expect(weightsOf(again.prepared)).toEqual(weightsOf(whole.prepared));
    for (const name of ["training.pth", "training.previous.pth"])
      fs.writeFileSync(path.join(folder, "checkpoints", name), "nothing");
    const weights = path.join(folder, "checkpoints", "best.safetensors");
    const hintOfDamage = (): unknown => {
      try {
        return loadTraining(folder, () => undefined);
      } catch (error) {
        expect((error as Error).message).toContain("The training's state can't be read");
        return (error as EngineError).cause.hint;
      }
    };
    fs.writeFileSync(weights, "");
    expect(hintOfDamage()).toContain(`layerwise train FILE --checkpoint ${weights} starts over`);
    for (const name of fs.readdirSync(path.dirname(weights)))
      if (name.endsWith(".safetensors")) fs.rmSync(path.join(path.dirname(weights), name));
    expect(hintOfDamage()).toBe("No weights are left: train the model again.");
  });

  test("that can't be written is reported, and training continues", async () => {
    const block = path.join(folder, "checkpoints", "training.next.pth");
    fs.mkdirSync(block, { recursive: true });
    const { log, state } = await train(make(), 3, { folder });
    expect(log.join("\n")).toContain("The training's state can't be saved");
    expect(state.completed).toBe(4);
  });

  test("an experiment that has changed is refused in words", async () => {
    await train(make(), 3, { folder, stopAfter: 2 });
    const other = experiment({ ...options, model: () => new nn.Linear(3, 2) });
    await expect(train(other, 3, { folder, resume: true })).rejects.toThrow(
      "Error(s) in loading state_dict for Linear",
    );
  });
});
