import { describe, expect, test } from "vitest";
import type { Batches } from "../../../extension/engine/training/batches.ts";
import { evaluate } from "../../../extension/engine/evaluation/evaluator.ts";
import { prepare, type Prepared } from "../../../extension/engine/training/prepare.ts";
import { previewBatch } from "../../../extension/engine/preview/previewData.ts";
import {
  data,
  experiment,
  nn,
  optim,
  torch,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import { held, Net, options, trained, weightsOf } from "./training.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

describe("what ends a training", () => {
  test("early stopping, when the loss does not fall any more", async () => {
    const { state, log } = await trained({
      epochs: 50,
      optimizer: (parameters) => new optim.SGD(parameters, { lr: 0 }),
      shuffle: false,
      earlyStopping: { monitor: "loss", patience: 2 },
    });
    expect(state).toMatchObject({ completed: 3, earlyStopping: { waited: 2 } });
    expect(log.at(-1)).toMatch(
      /^Ended after epoch 3 by early stopping: loss has not improved in the last 2 checks; the best value was \d\.\d{4}$/,
    );
  });

  test("early stopping by the validation loss, by default; minEpochs comes first", async () => {
    const { state, log } = await trained({
      ...held,
      epochs: 50,
      minEpochs: 6,
      optimizer: (parameters) => new optim.SGD(parameters, { lr: 0 }),
      earlyStopping: true,
    });
    expect(state.completed).toBe(6);
    expect(log.filter((line) => line.includes("but not before minEpochs = 6"))).toHaveLength(1);
  });

  test("a metric that isn't there is told with those that are", async () => {
    await expect(trained({ earlyStopping: { monitor: "f1" } })).rejects.toMatchObject({
      message: "experiment(): earlyStopping watches `f1`, which is not available",
      hint: "available are loss, accuracy, lr",
    });
    await expect(trained({ earlyStopping: { monitor: "val_loss" } })).rejects.toThrow(
      "experiment(): earlyStopping watches `val_loss`, but there is no validation set",
    );
    await expect(trained({ checkpoints: { monitor: "val_f1" } })).rejects.toThrow(
      "experiment(): checkpoints watches `val_f1`, but there is no validation set",
    );
  });

  test("maxSteps, in the middle of an epoch, which is closed", async () => {
    const { state, rows, log } = await trained({ ...held, epochs: 50, batchSize: 3, maxSteps: 5 });
    expect(state).toMatchObject({ completed: 1, epoch: 2, step: 5 });
    expect(rows.findLast(({ kind }) => kind === "epoch")).toMatchObject({
      epoch: 2,
      step: 5,
      values: { val_loss: expect.any(Number) },
    });
    expect(log.at(-1)).toBe("Ended in epoch 2, after step 5 by its limit: maxSteps = 5");
  });

  test("maxTime", async () => {
    const { state } = await trained({ epochs: 50, maxTime: "00:00:00:00" });
    expect(state.step).toBe(1);
    expect(() => experiment({ ...options, maxTime: "1:00" })).toThrow(
      'experiment(): expected maxTime to be seconds, "DD:HH:MM:SS" or { days, hours, minutes, seconds }, got "1:00"',
    );
  });
});

describe("how much is done", () => {
  test("limitTrainBatches and limitValBatches: counts and fractions", async () => {
    let validated = 0;
    const { state } = await trained({
      data: () => ({ train: options.data(), validation: options.data() }),
      batchSize: 2,
      limitTrainBatches: 0.5,
      limitValBatches: 1,
      metrics: { count: () => ++validated },
      numSanityValSteps: 0,
      epochs: 1,
    });
    expect(state).toMatchObject({ step: 2, completed: 1 });
    expect(validated).toBe(3);
    await expect(trained({ limitTrainBatches: 0.1 })).rejects.toThrow(
      "experiment(): 0.1 of the 3 batches of the train set are less than one",
    );
    expect(() => experiment({ ...options, limitTrainBatches: 1.5 })).toThrow(
      "experiment(): expected limitTrainBatches to be a whole number of batches, or a fraction below 1",
    );
  });

  test("overfitBatches trains on the same batches again and again", async () => {
    const seen: string[] = [];
    await trained({
      overfitBatches: 1,
      callbacks: { onBatchStart: (_, [x]) => void seen.push([...x!.toTypedArray()].join()) },
    });
    expect(seen).toHaveLength(3);
    expect(new Set(seen).size).toBe(1);
  });

  test("fastDevRun does one batch of everything and keeps nothing", async () => {
    const { state, files, log } = await trained({
      ...held,
      batchSize: 2,
      fastDevRun: true,
      earlyStopping: { stoppingThreshold: 1e9 },
    });
    expect(state).toMatchObject({ completed: 1, step: 1 });
    expect(state.metrics).toHaveProperty("val_loss");
    expect(files).toEqual([]);
    expect(log).toEqual(["fastDevRun: one epoch of 1 batches at most; no weights are kept."]);
  });

  test("valCheckInterval validates within the epoch; checkValEveryNEpoch less often", async () => {
    const within = await trained({ ...held, batchSize: 2, valCheckInterval: 0.5, epochs: 1 });
    const rows = within.rows.filter(({ values }) => "val_loss" in values);
    expect(rows.map(({ kind, step }) => [kind, step])).toEqual([
      ["step", 2],
      ["step", 4],
      ["epoch", 4],
    ]);
    const rare = await trained({ ...held, checkValEveryNEpoch: 2 });
    expect(
      rare.rows.filter(({ kind }) => kind === "epoch").map(({ values }) => "val_loss" in values),
    ).toEqual([false, true, false]);
    await expect(trained({ ...held, valCheckInterval: 20 })).rejects.toThrow(
      "valCheckInterval (20) must be less than or equal to the number of the training batches (2)",
    );
  });

  test("an epoch's row says how long validation and saving took", async () => {
    const spent = async (changes: Partial<ExperimentOptions>) =>
      (await trained(changes)).rows.filter(({ kind }) => kind === "epoch").map((row) => row.spent!);
    const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
    const [, second] = await spent({ ...held, epochs: 2, callbacks: { onValidationStart: wait } });
    expect(second!.validation).toBeGreaterThan(0.015);
    // The best weights of the first epoch are saved after its row.
    expect(second!.checkpoints).toBeGreaterThan(0);
    expect(await spent({ epochs: 2, checkpoints: false })).toEqual([
      { validation: 0, checkpoints: 0 },
      { validation: 0, checkpoints: 0 },
    ]);
  });

  test("the validation before epoch 1 changes nothing", async () => {
    const dropout = { ...held, model: () => new nn.Sequential(new Net(), new nn.Dropout(0.5)) };
    const without = await trained({ ...dropout, numSanityValSteps: 0 });
    const drawing = await trained({
      ...dropout,
      metrics: { noise: () => torch.rand(1) },
      callbacks: { onSanityCheckEnd: () => void torch.rand(5).toTypedArray() },
    });
    expect(drawing.state.step).toBe(without.state.step);
    const plain = await trained(dropout);
    expect(weightsOf(plain.prepared)).toEqual(weightsOf(without.prepared));
    expect(plain.rows.map(({ values }) => values)).toEqual(without.rows.map(({ values }) => values));
  });

  test("a mistake in the validation shows before anything is trained", async () => {
    let steps = 0;
    await expect(
      trained({
        data: () => ({
          train: options.data(),
          validation: new data.TensorDataset(torch.randn(4, 5), torch.zeros(4).long()),
        }),
        callbacks: { onBatchStart: () => void steps++ },
      }),
    ).rejects.toThrow("mat1 and mat2 shapes cannot be multiplied (4x5 and 3x2)");
    expect(steps).toBe(0);
  });
});

test("a preview sees the shapes of loaders and streams, and draws nothing", async () => {
  torch.manualSeed(4);
  const set = options.data();
  class Rows extends data.IterableDataset<[Tensor, number]> {
    *[Symbol.iterator](): Iterator<[Tensor, number]> {
      yield [torch.rand(3), 1];
    }
  }
  const before = torch.getRngState();
  const shapes = async (changes: Partial<ExperimentOptions>) => {
    const { batch, samples } = await previewBatch({ ...options, ...changes });
    return [batch.map(({ shape, dtype }) => [dtype, ...shape]), samples];
  };
  const loader = new data.DataLoader(set, { batchSize: 6, shuffle: true });
  expect(await shapes({ data: () => ({ train: loader, test: set }) })).toEqual([
    [
      ["float32", 6, 3],
      ["int64", 6],
    ],
    { train: 10, validation: undefined, test: 10, loaderBatch: 6 },
  ]);
  expect(torch.getRngState()).toEqual(before);
  expect(await shapes({ data: () => new Rows() })).toEqual([
    [
      ["float32", 4, 3],
      ["int64", 4],
    ],
    { train: undefined, validation: undefined, test: undefined },
  ]);
});

test("onException sees what ends the training", async () => {
  const seen: unknown[] = [];
  await expect(
    trained({
      callbacks: {
        onStepEnd: ({ step }) => {
          if (step === 2) throw new Error("enough");
        },
        onException: ({ step }, error) => void seen.push(step, (error as Error).message),
      },
    }),
  ).rejects.toThrow("enough");
  expect(seen).toEqual([2, "enough"]);
});

describe("an error names the data that it is of", () => {
  const set = (features: number, classes = 2, count = 6) =>
    new data.TensorDataset(torch.randn(count, features), torch.randint(0, classes, [count]));

  test("a validation set of another shape, before anything is trained", async () => {
    await expect(trained({ data: () => ({ train: set(3), validation: set(4) }) })).rejects.toMatchObject({
      code: "shape",
      message:
        "validation data, batch 1, samples 0 to 3: addmm: mat1 and mat2 shapes cannot be multiplied (4x4 and 3x2)",
      hint: "A sample of the validation data is [4] float32, [] int64, one of the training data [3] float32, [] int64.",
    });
  });

  test("a class that the model doesn't have, in the middle of the validation", async () => {
    const labels = torch.tensor([0, 1, 0, 1, 0, 5]);
    const validation = new data.TensorDataset(torch.randn(6, 3), labels);
    await expect(trained({ data: () => ({ train: set(3), validation }) })).rejects.toThrow(
      "validation data, batch 2, samples 4 to 5: Target 5 is out of bounds.",
    );
  });

  test("samples that don't make a batch", async () => {
    class Ragged extends data.Dataset {
      get length(): number {
        return 6;
      }
      get(i: number) {
        return [torch.zeros(i === 5 ? 2 : 3), torch.tensor(0)];
      }
    }
    await expect(
      trained({ data: () => ({ train: set(3), validation: new Ragged() }), numSanityValSteps: 0 }),
    ).rejects.toThrow(
      "validation data, batch 2, from sample 4 on: stack expects each tensor to be equal size, but got [3] at entry 0 and [2] at entry 1",
    );
  });

  test("test data, and the training data that are evaluated without any", async () => {
    const run = (prepared: Prepared, held: Batches, name: "test" | "train") =>
      evaluate(prepared, {
        batches: held.inOrder(),
        data: { set: name, train: prepared.train },
        tick: () => Promise.resolve(true),
      });
    const prepared = await prepare(
      experiment({ ...options, data: () => ({ train: set(3), test: set(5) }) }),
      0,
    );
    await expect(run(prepared, prepared.test!, "test")).rejects.toThrow(
      "test data, batch 1, samples 0 to 3: addmm: mat1 and mat2 shapes cannot be multiplied (4x5 and 3x2)",
    );
    const wrong = await prepare(experiment({ ...options, data: () => set(7) }), 0);
    await expect(run(wrong, wrong.train, "train")).rejects.toThrow(
      "training data, batch 1, samples 0 to 3: addmm: mat1",
    );
  });
});
