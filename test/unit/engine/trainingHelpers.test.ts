import { describe, expect, test } from "vitest";
import { CheckpointPolicy } from "../../../extension/engine/resume/checkpointPolicy.ts";
import { EarlyStopping } from "../../../extension/engine/training/earlyStopping.ts";
import { sweepRates, suggested } from "../../../extension/engine/training/lrFinder.ts";
import { prepare } from "../../../extension/engine/training/prepare.ts";
import type { EarlyStoppingOptions } from "../../../extension/nn/experiment/experiment.ts";
import {
  data,
  experiment,
  nn,
  optim,
  torch,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import { held, Net, options, train, trained, weightsOf, type Parameters } from "./training.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

describe("schedules", () => {
  const rates = (rows: readonly { kind: string; values: Record<string, number> }[], kind: string) =>
    rows.filter((row) => row.kind === kind).map(({ values }) => values["lr"]);

  test("are stepped after every epoch; a row has the rate that was used", async () => {
    const { rows } = await trained({
      lrScheduler: (optimizer) => new optim.lrScheduler.ExponentialLR(optimizer as optim.Optimizer, 0.5),
    });
    expect(rates(rows, "epoch")).toEqual([0.1, 0.05, 0.025]);
    expect(rates(rows, "step")).toEqual(Array.from({ length: 9 }, () => undefined));
  });

  test("or after every so many steps, and then the steps' rows have it too", async () => {
    const { rows } = await trained({
      epochs: 2,
      lrScheduler: (optimizer) => ({
        scheduler: new optim.lrScheduler.ExponentialLR(optimizer as optim.Optimizer, 0.5),
        interval: "step",
        frequency: 2,
      }),
    });
    expect(rates(rows, "step")).toEqual([0.1, 0.1, 0.05, 0.05, 0.025, 0.025]);
  });

  test("ReduceLROnPlateau is given the metric it watches", async () => {
    const seen: number[] = [];
    const { rows } = await trained({
      ...held,
      lrScheduler: (optimizer) => {
        const scheduler = new optim.lrScheduler.ReduceLROnPlateau(optimizer as optim.Optimizer);
        const step = scheduler.step.bind(scheduler);
        scheduler.step = (value?: number | Tensor) => {
          seen.push(value as number);
          step(value);
        };
        return { plateau: { scheduler, monitor: "val_accuracy" } };
      },
    });
    expect(seen).toEqual(
      rows.filter(({ kind }) => kind === "epoch").map(({ values }) => values["val_accuracy"]),
    );
    await expect(
      trained({
        lrScheduler: (optimizer) => ({
          scheduler: new optim.lrScheduler.ReduceLROnPlateau(optimizer as optim.Optimizer),
          monitor: "f1",
        }),
      }),
    ).rejects.toThrow("experiment(): lrScheduler watches `f1`, which is not available");
  });

  test("something else is refused", async () => {
    await expect(trained({ lrScheduler: () => 0.1 as never })).rejects.toThrow(
      "experiment(): expected lrScheduler to give a schedule",
    );
  });
});

describe("early stopping, check by check", () => {
  const checked = (options: EarlyStoppingOptions, values: readonly number[]) => {
    const early = new EarlyStopping({ monitor: "loss", ...options }, false);
    const state = early.start();
    const reasons = values.map((loss) => early.check(state, { loss }));
    return { state, stopsAt: reasons.findIndex((reason) => reason !== undefined), reason: reasons.at(-1) };
  };

  test("patience counts checks without improvement since the best", () => {
    expect(checked({}, [3, 2, 2.5, 1, 1, 1]).stopsAt).toBe(-1);
    expect(checked({}, [3, 2, 2.5, 1, 1, 1, 1])).toMatchObject({
      stopsAt: 6,
      state: { best: 1, waited: 3 },
      reason: "loss has not improved in the last 3 checks; the best value was 1.0000",
    });
    expect(checked({ patience: 0 }, [1, 1]).stopsAt).toBe(1);
  });

  test("an improvement is one by more than minDelta, in the mode's direction", () => {
    expect(checked({ patience: 1, minDelta: 0.5 }, [3, 2.5]).stopsAt).toBe(1);
    expect(checked({ patience: 1, minDelta: 0.5 }, [3, 2.4]).stopsAt).toBe(-1);
    expect(checked({ patience: 1, mode: "max" }, [1, 2, 2]).stopsAt).toBe(2);
  });

  test("thresholds, and values that are none", () => {
    expect(checked({ stoppingThreshold: 0.5 }, [1, 0.5, 0.4])).toMatchObject({
      stopsAt: 2,
      reason: "loss = 0.4000 has reached the stopping threshold 0.5",
    });
    expect(checked({ divergenceThreshold: 5 }, [1, 5, 5.5])).toMatchObject({
      stopsAt: 2,
      reason: "loss = 5.5000 has reached the divergence threshold 5",
    });
    expect(checked({ mode: "max", divergenceThreshold: 0.5 }, [1, 0.4]).stopsAt).toBe(1);
    expect(checked({}, [1, Number.NaN])).toMatchObject({
      stopsAt: 1,
      reason: "loss = NaN is not finite; the best value was 1.0000",
    });
    expect(checked({ checkFinite: false }, [1, Number.NaN, 0.5]).state).toEqual({ best: 0.5, waited: 0 });
  });
});

describe("checkpoints", () => {
  const falling = { ...held, epochs: 4, optimizer: (p: Parameters) => new optim.SGD(p, { lr: 0.01 }) };

  test("the best by the validation loss, and the end", async () => {
    const { files, record, state } = await trained(falling);
    expect(files).toEqual(["best.safetensors", "final.safetensors"]);
    expect(record.best).toEqual({
      metric: "val_loss",
      value: state.kept[0]!.value,
      epoch: state.kept[0]!.epoch,
    });
  });

  test("saveTopK keeps that many, the best first", async () => {
    const { record, state, files } = await trained({
      ...falling,
      checkpoints: { monitor: "loss", mode: "max", saveTopK: 2, saveLast: false },
    });
    expect(state.kept).toHaveLength(2);
    expect(state.kept[0]!.value).toBeGreaterThan(state.kept[1]!.value);
    expect(files).toHaveLength(3);
    const best = record.checkpoints.filter(({ kind }) => kind === "best");
    expect(best[0]!.file).toBe(state.kept[0]!.file);
    expect(files).toEqual(expect.arrayContaining(best.map(({ file }) => file.replace("checkpoints/", ""))));
  });

  test("at intervals, without a metric: the newest ones", async () => {
    const { files } = await trained({ checkpoints: { everyNTrainSteps: 4, saveTopK: 2 }, epochs: 5 });
    expect(files).toEqual(["final.safetensors", "step-000008.safetensors", "step-000012.safetensors"]);
    const all = await trained({ checkpoints: { everyNEpochs: 2, saveTopK: -1 }, epochs: 5 });
    expect(all.files).toEqual(["final.safetensors", "step-000006.safetensors", "step-000012.safetensors"]);
  });

  test("each time that so much time has passed", async () => {
    const policy = new CheckpointPolicy(
      { ...options, checkpoints: { trainTimeInterval: { minutes: 10 } } },
      false,
    );
    const start = performance.now();
    const minutes = (count: number): boolean => policy.dueAfterStep(1, start + 60_000 * count);
    expect([9, 10.1, 10.2, 20, 20.2].map(minutes)).toEqual([false, true, false, false, true]);
    expect(policy.dueInEpoch(1, false)).toBe(false);
    const each = await trained({ checkpoints: { trainTimeInterval: 0, saveTopK: 2 } });
    expect(each.files).toEqual(["final.safetensors", "step-000008.safetensors", "step-000009.safetensors"]);
    await expect(trained({ checkpoints: { trainTimeInterval: 1, everyNEpochs: 1 } })).rejects.toThrow(
      "checkpoints takes one of everyNEpochs, everyNTrainSteps and trainTimeInterval",
    );
  });

  test("after steps, with a validation: the best at the first validation after each", async () => {
    const { rows, record, state } = await trained({
      ...falling,
      checkpoints: { everyNTrainSteps: 3, saveTopK: -1 },
    });
    // Two steps an epoch: 3 and 6 are due in epochs 2 and 3, which are validated at steps 4 and 6.
    const best = record.checkpoints.filter(({ kind }) => kind === "best");
    expect(best.map(({ step }) => step).toSorted((a, b) => a - b)).toEqual([4, 6]);
    const measured = rows.flatMap(({ kind, step, values }) =>
      kind === "epoch" ? [[step, values["val_loss"]]] : [],
    );
    expect(measured).toEqual(expect.arrayContaining(state.kept.map(({ step, value }) => [step, value])));
    const within = await trained({
      ...falling,
      checkpoints: { everyNTrainSteps: 2, saveTopK: -1 },
      valCheckInterval: 1,
      epochs: 1,
    });
    expect(within.record.best).toMatchObject({ metric: "val_loss" });
    const timed = await trained({ ...falling, checkpoints: { trainTimeInterval: 0 } });
    expect(timed.files).toContain("best.safetensors");
  });

  test("what can keep nothing says so", async () => {
    const told = async (changes: Partial<ExperimentOptions>): Promise<string[]> =>
      (await trained({ ...falling, ...changes })).log.filter((line) => line.startsWith("Checkpoints: "));
    expect(await told({ checkpoints: { everyNTrainSteps: 50 } })).toEqual([
      "Checkpoints: no weights are kept every 50 steps: the training has 8.",
    ]);
    expect(await told({ checkpoints: { everyNEpochs: 5 } })).toEqual([
      "Checkpoints: no weights are kept every 5 epochs: the training has 4.",
    ]);
    expect(await told({ checkpoints: { everyNEpochs: 2 }, checkValEveryNEpoch: 3 })).toEqual([
      "Checkpoints: no weights are kept: of 4 epochs none has a validation (every 3) and is one of every 2.",
    ]);
    const own: Partial<ExperimentOptions> = {
      trainStep: ({ model, batch, optimizer }) => {
        const [x] = batch as [Tensor];
        const one = optimizer as optim.Optimizer;
        one.zeroGrad();
        const value = (model as Net).forward(x).square().mean();
        value.backward();
        one.step();
        return value;
      },
      metrics: ["accuracy"],
    };
    const { loss: _, ...rest } = falling;
    const lossless = await train(experiment({ ...rest, ...own }));
    expect(lossless.log.join("\n")).toContain("Checkpoints: no best weights are kept: there is no val_loss.");
    expect(await told({})).toEqual([]);
    await expect(trained({ ...falling, checkpoints: { monitor: "val_f1" } })).rejects.toThrow(
      "experiment(): checkpoints watches `val_f1`, which is not available",
    );
    await expect(trained({ checkpoints: { everyNTrainSteps: 3, everyNEpochs: 1 } })).rejects.toThrow(
      "checkpoints takes one of everyNEpochs, everyNTrainSteps and trainTimeInterval",
    );
  });

  test.each<[ExperimentOptions["checkpoints"], boolean, string]>([
    [
      true,
      true,
      "the best by val_loss (min), checked at the validation of every epoch; the last while it trains; the final ones",
    ],
    [
      { everyNTrainSteps: 100, saveTopK: 3 },
      true,
      "the 3 best by val_loss (min), checked at the first validation after every 100 steps; the last while it trains; the final ones",
    ],
    [
      { monitor: "accuracy", mode: "max", everyNEpochs: 2, saveLast: false },
      true,
      "the best by accuracy (max), checked every 2 epochs; the final ones",
    ],
    [
      { trainTimeInterval: { minutes: 1 }, saveTopK: -1 },
      false,
      "all weights, checked every 60 s of training; the last while it trains; the final ones",
    ],
    [false, true, "the final ones"],
  ])("%j says what is kept when", (checkpoints, validated, text) => {
    expect(new CheckpointPolicy({ ...options, checkpoints: checkpoints! }, validated).describe()).toBe(
      `Checkpoints: ${text}.`,
    );
  });

  test("false keeps those of the end alone", async () => {
    expect((await trained({ ...falling, checkpoints: false })).files).toEqual(["final.safetensors"]);
  });
});

test("callbacks are called in Lightning's order, several sets one after the other", async () => {
  const calls: string[] = [];
  const names = [
    "onSanityCheckStart",
    "onSanityCheckEnd",
    "onTrainStart",
    "onEpochStart",
    "onBatchStart",
    "onBeforeBackward",
    "onAfterBackward",
    "onBeforeOptimizerStep",
    "onStepEnd",
    "onBatchEnd",
    "onValidationStart",
    "onValidationEnd",
    "onEpochEnd",
    "onSaveCheckpoint",
    "onTrainEnd",
  ] as const;
  const every = Object.fromEntries(names.map((name) => [name, () => void calls.push(name)]));
  class Counter {
    batches = 0;
    onBatchEnd(): void {
      this.batches++;
    }
  }
  const counter = new Counter();
  await trained({
    ...held,
    epochs: 1,
    accumulateGradBatches: 2,
    callbacks: [every, counter],
  });
  expect(calls).toEqual([
    "onSanityCheckStart",
    "onValidationStart",
    "onValidationEnd",
    "onSanityCheckEnd",
    "onTrainStart",
    "onEpochStart",
    "onBatchStart",
    "onBeforeBackward",
    "onAfterBackward",
    "onBatchEnd",
    "onBatchStart",
    "onBeforeBackward",
    "onAfterBackward",
    "onBeforeOptimizerStep",
    "onStepEnd",
    "onBatchEnd",
    "onValidationStart",
    "onValidationEnd",
    "onSaveCheckpoint",
    "onSaveCheckpoint",
    "onEpochEnd",
    "onTrainEnd",
  ]);
  expect(counter.batches).toBe(2);
});

describe("the learning rate finder", () => {
  test("tries growing rates, suggests one, and leaves everything as it was", async () => {
    const prepared = await prepare(experiment({ ...options, gradientClipVal: 1 }), 0);
    const before = [weightsOf(prepared), torch.getRngState()];
    const { points, suggestion } = await sweepRates(prepared, { minLr: 1e-4, maxLr: 1, steps: 40 });
    expect(points.map(({ lr }) => lr)).toEqual([
      1e-4,
      ...Array.from({ length: 39 }, (_, i) => 1e-4 * 1e4 ** ((i + 2) / 40)),
    ]);
    expect(points.map(({ lr }) => lr)).toContain(suggestion);
    expect([weightsOf(prepared), torch.getRngState()]).toEqual(before);
    expect((prepared.optimizers as optim.SGD).paramGroups[0]!.lr).toBe(0.1);
  });

  test("the first smoothed loss is the first loss, and steady losses stay as they are", async () => {
    const steady = experiment({
      ...options,
      trainStep: ({ optimizer }) => {
        optimizer.step();
        return { loss: torch.tensor(3) };
      },
    });
    const { points } = await sweepRates(await prepare(steady, 0), { steps: 5 });
    for (const { loss } of points) expect(loss).toBeCloseTo(3, 6);
  });

  test("ends when the loss runs away", async () => {
    const prepared = await prepare(
      experiment({
        ...options,
        loss: new nn.MSELoss(),
        data: () => new data.TensorDataset(torch.randn(10, 3), torch.randn(10, 2)),
      }),
      0,
    );
    const { points, diverged } = await sweepRates(prepared, { minLr: 1e-3, maxLr: 1e4, steps: 100 });
    expect(diverged).toBe(true);
    expect(points.length).toBeLessThan(100);
  });

  test("the suggestion is the steepest fall, the ends left out", () => {
    const losses = [...Array.from({ length: 10 }, (_, i) => 10 - i), 1, 1, 0.9, 0.5, 0.4, 0.4, 0.5, -9];
    const points = losses.map((loss, i) => ({ lr: i, loss }));
    expect(suggested(points)).toBe(12);
    expect(suggested(points.slice(0, 12))).toBeUndefined();
  });
});

test("what a training knows of itself is plain data", async () => {
  const { state } = await trained({ ...held, earlyStopping: true, checkpoints: { saveTopK: 2 } });
  expect(state.kept).toHaveLength(2);
  expect(JSON.parse(JSON.stringify(state))).toEqual(state);
});
