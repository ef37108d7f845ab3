import { describe, expect, test } from "vitest";
import { data, experiment, metrics, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { held, Net, options, train, trained, weightsOf } from "./training.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

/** The loop of a script, with the trainer's random numbers. */
function script(
  body: (
    batch: [Tensor, Tensor],
    at: { optimizer: optim.SGD; model: Net; batch: number; last: boolean },
  ) => void,
) {
  torch.manualSeed(0);
  const model = new Net();
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
  const set = options.data();
  for (let epoch = 0; epoch < 3; epoch++) {
    let batch = 0;
    for (const [x, y] of new data.DataLoader(set, { batchSize: 4, shuffle: true })) {
      batch++;
      body([x, y], { optimizer, model, batch, last: batch === 3 });
    }
  }
  return weightsOf({ model });
}

const criterion = new nn.CrossEntropyLoss();

describe("the training step", () => {
  test("gives forward all of a sample but its target", async () => {
    class Masked extends nn.Module {
      fc = new nn.Linear(3, 2);
      forward(x: Tensor, mask: Tensor): Tensor {
        return this.fc(x.mul(mask));
      }
    }
    const { state } = await train(
      experiment({
        model: () => new Masked(),
        data: () => {
          const mask = torch.ones(8, 3);
          return new data.TensorDataset(torch.randn(8, 3), mask, torch.randint(0, 2, [8]));
        },
        validation: 0.25,
        batchSize: 2,
        loss: criterion,
        optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
        epochs: 1,
      }),
    );
    expect(state.step).toBe(3);
    expect(state.metrics["val_accuracy"]).toBeTypeOf("number");
  });

  test("is the loop of a script, number for number", async () => {
    const { prepared, state } = await trained({});
    const weights = script(([x, y], { model, optimizer }) => {
      optimizer.zeroGrad();
      criterion(model(x), y).backward();
      optimizer.step();
    });
    expect(weightsOf(prepared)).toEqual(weights);
    expect(state).toMatchObject({ epoch: 3, completed: 3, step: 9, batch: 3, samples: 30 });
  });

  test("accumulates gradients; the last window of an epoch may be smaller", async () => {
    const { prepared, state, rows } = await trained({ accumulateGradBatches: 2 });
    const weights = script(([x, y], { model, optimizer, batch, last }) => {
      criterion(model(x), y).div(2).backward();
      if (batch % 2 !== 0 && !last) return;
      optimizer.step();
      optimizer.zeroGrad();
    });
    const actual = weightsOf(prepared);
    weights.forEach((weight, i) => expect(actual[i]).toBeCloseTo(weight, 6));
    expect(state).toMatchObject({ step: 6, accumulated: 0 });
    expect(rows.filter(({ kind }) => kind === "step").map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test.each(["norm", "value"] as const)("clips gradients by %s", async (gradientClipAlgorithm) => {
    const clip = gradientClipAlgorithm === "norm" ? 0.1 : 0.05;
    const { prepared } = await trained({ gradientClipVal: clip, gradientClipAlgorithm });
    const weights = script(([x, y], { model, optimizer }) => {
      optimizer.zeroGrad();
      criterion(model(x), y).backward();
      if (gradientClipAlgorithm === "norm") nn.utils.clipGradNorm_(model.parameters(), clip);
      else nn.utils.clipGradValue_(model.parameters(), clip);
      optimizer.step();
    });
    expect(weightsOf(prepared)).toEqual(weights);
  });

  test("a stream has no last batch that is known before: what waits is stepped at its end", async () => {
    class Stream extends data.IterableDataset<[Tensor, number]> {
      *[Symbol.iterator](): Iterator<[Tensor, number]> {
        for (let i = 0; i < 10; i++) yield [torch.full([3], i / 10), i % 2];
      }
    }
    const { state } = await trained({ data: () => new Stream(), accumulateGradBatches: 2, epochs: 2 });
    expect(state).toMatchObject({ completed: 2, step: 4, batch: 3, samples: 20 });
  });

  test("a loader of one's own makes the batches", async () => {
    const seen: number[] = [];
    await trained({
      data: () => {
        const set = options.data();
        const sampler = new data.WeightedRandomSampler(
          Array.from({ length: 10 }, (_, i) => Number(i < 2)),
          6,
        );
        return { train: new data.DataLoader(set, { batchSize: 3, sampler }), validation: set };
      },
      batchSize: undefined as never,
      epochs: 1,
      callbacks: { onBatchStart: (_, [x]) => void seen.push(x!.shape[0]!) },
    });
    expect(seen).toEqual([3, 3]);
  });

  test("several optimizers of a trainStep are stepped one after the other", async () => {
    const { prepared } = await train(
      experiment({
        ...options,
        optimizer: (_, model: Net) => ({
          weight: new optim.SGD([model.fc.weight], { lr: 0.1 }),
          bias: new optim.SGD([model.fc.bias!], { lr: 0.1 }),
        }),
        trainStep: ({ model, batch: [x, y], loss, optimizer }) => {
          optimizer.weight.zeroGrad();
          loss(model(x!), y!).backward();
          optimizer.weight.step();
          optimizer.bias.zeroGrad();
          const second = loss(model(x!), y!);
          second.backward();
          optimizer.bias.step();
          return second;
        },
      }),
    );
    const weights = script(([x, y], { model }) => {
      const weight = new optim.SGD([model.fc.weight], { lr: 0.1 });
      const bias = new optim.SGD([model.fc.bias!], { lr: 0.1 });
      weight.zeroGrad();
      criterion(model(x), y).backward();
      weight.step();
      bias.zeroGrad();
      criterion(model(x), y).backward();
      bias.step();
    });
    expect(weightsOf(prepared)).toEqual(weights);
  });

  test("options that a trainStep has no use for are refused", () => {
    expect(() => experiment({ ...options, trainStep: () => 0, gradientClipVal: 1 })).toThrow(
      "experiment(): gradientClipVal has no effect on a trainStep, which steps its optimizers itself",
    );
  });
});

describe("metrics", () => {
  test("of an epoch are exact over batches of different sizes", async () => {
    const f1 = new metrics.F1Score();
    const rates = { lr: 0 };
    const { rows } = await trained({
      ...held,
      metrics: { accuracy: "accuracy", f1: "f1", own: new metrics.Recall({ average: "micro" }) },
      optimizer: (parameters) => new optim.SGD(parameters, rates),
      epochs: 1,
      callbacks: {
        onBatchEnd: ({ model }, [x, y]) => f1.update((model as Net)(x!), y!),
      },
    });
    const epoch = rows.find(({ kind }) => kind === "epoch")!.values;
    expect(epoch["f1"]).toBeCloseTo(f1.compute(), 12);
    expect(epoch["accuracy"]).toBe(epoch["own"]);
    expect(Object.keys(epoch)).toEqual([
      "loss",
      "accuracy",
      "f1",
      "own",
      "val_loss",
      "val_accuracy",
      "val_f1",
      "val_own",
      "lr",
    ]);
  });
});

test("samples that the loss ignores don't count in the metrics either", async () => {
  const { rows } = await trained({
    data: () => new data.TensorDataset(torch.zeros(4, 3), torch.tensor([0, 0, -100, -100])),
    model: () => {
      const model = new Net();
      model.loadStateDict({ "fc.weight": torch.zeros(2, 3), "fc.bias": torch.tensor([1, 0]).float() });
      return model;
    },
    metrics: ["accuracy", "f1"],
    epochs: 1,
  });
  expect(rows.at(-1)!.values).toMatchObject({ accuracy: 1, f1: 1 });
});
