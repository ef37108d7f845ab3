// Reactions of a training to losses, weights and gradients that go wrong.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import {
  data,
  experiment,
  F,
  nn,
  optim,
  torch,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import type { LayerRow, MetricRow } from "../../../extension/protocol/run.ts";
import { AnomalyError } from "../../../extension/tensor/recording/anomaly.ts";
import { train, weightsOf, type Parameters, type Trained } from "./training.ts";
import { useEngine } from "../../engines.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();
useEngine("cpu");

/** Its weights leave the logarithm's domain as soon as a step is too large. */
class Log extends nn.Module {
  scale = new nn.Linear(1, 1, { bias: false });
  forward(x: Tensor): Tensor {
    return this.scale(x).log();
  }
}

/** Learns y = log 2x; at this rate, the first step leads to negative values. */
const logarithm = {
  seed: 1,
  model: () => {
    const model = new Log();
    nn.init.constant_(model.scale.weight, 8);
    return model;
  },
  data: () => {
    const x = torch.arange(1, 9).to(torch.float32).reshape(8, 1);
    return new data.TensorDataset(x, x.mul(2).log());
  },
  loss: new nn.MSELoss(),
  optimizer: (parameters: Parameters) => new optim.SGD(parameters, { lr: 30 }),
  batchSize: 4,
  epochs: 6,
  checkpoints: { everyNTrainSteps: 1, saveTopK: -1 },
} satisfies ExperimentOptions;

async function failure(options: Partial<ExperimentOptions>): Promise<AnomalyError> {
  const trained: Promise<Trained> = train(experiment({ ...logarithm, ...options }), 1, { folder });
  const error = await trained.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AnomalyError);
  return error as AnomalyError;
}

const rowsOf = (): MetricRow[] =>
  fs
    .readFileSync(path.join(folder, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as MetricRow);

describe("a loss that is NaN", () => {
  test("ends the training with the function, the module and the line that made it", async () => {
    const error = await failure({});
    expect(error.message).toMatch(
      /^The loss is NaN in step \d+ \(epoch \d+\)\. Function 'log' returned nan values, given values of \[4, 1\] from -\S+ to -\S+\.$/,
    );
    expect(error.hint).toContain("clamp({ min: 1e-8 })");
    expect(error.sites[0]?.stack).toContain("health.test.ts");
    expect(error.code).toBe("non-finite");
  });

  test("that comes from the first step is found before anything was saved", async () => {
    const error = await failure({ checkpoints: true, data: shifted });
    expect(error.message).toMatch(/in step 1 \(epoch 1\)\. Function 'log' returned nan values/);
  });

  test("from a gradient: named by PyTorch's name of it, before weights that it spoils are saved", async () => {
    // sqrt has no slope at 0, and the factor 0 hides it from the loss.
    const error = await failure({
      model: () => new nn.Linear(1, 1),
      loss: (output: Tensor, target: Tensor) =>
        F.mseLoss(output, target).add(output.sub(output).sqrt().mul(0).sum()),
    });
    expect(error.message).toMatch(/Function 'SqrtBackward0' returned nan values/);
    const saved = fs.readdirSync(path.join(folder, "checkpoints"));
    expect(saved.filter((name) => name.startsWith("step-"))).toEqual([]);
  });

  test("from the data, and by `detectAnomaly` at once", async () => {
    const bad = (): data.Dataset =>
      new data.TensorDataset(torch.tensor([1.5, 2, 3, NaN]).reshape(4, 1), torch.ones(4, 1));
    const error = await failure({ model: () => new nn.Linear(1, 1), data: bad });
    expect(error.message).toContain("An input of [4, 1] has NaN values");
    expect((await failure({ detectAnomaly: true })).message).toContain("Function 'log' returned nan values");
    expect(torch.autograd.isAnomalyEnabled()).toBe(false);
  });

  test("may be lived with", async () => {
    const { log, state } = await train(experiment({ ...logarithm, terminateOnNan: false }), 1);
    expect(log.filter((line) => line.includes("The training continues"))).toHaveLength(1);
    expect(state.completed).toBe(6);
  });

  test("rolls back to where it was sound, and on with a smaller rate", async () => {
    const sound = experiment({ ...logarithm, rollback: { lrFactor: 0.3 } });
    const { state, prepared, log } = await train(sound, 1, { folder });
    expect(state.completed).toBe(6);
    expect(Math.abs(weightsOf(prepared)[0]! - 2)).toBeLessThan(1);
    const rows = rowsOf();
    // The state of step 1 is sound, but its weight is negative already: no rate helps. The one before it is the start.
    const back = rows.filter(({ rollback }) => rollback !== undefined);
    expect(back.map(({ kind, step, rollback }) => [kind, step, rollback])).toEqual([
      ["event", 1, 1],
      ["event", 0, 0],
    ]);
    expect(back[1]!.values["lr"]).toBeCloseTo(30 * 0.09);
    expect(log.join("\n")).toMatch(/Back to step 0, with the learning rate × 0\.09\./);
    // Every step is there once that counts.
    const after = rows.slice(rows.indexOf(back[1]!) + 1).filter(({ kind }) => kind === "step");
    expect(after.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => 1 + i));
  });

  test("is explained with the rates of the steps that failed", async () => {
    const exploding = experiment({
      seed: 0,
      model: () => new nn.Sequential(new nn.Linear(10, 32), new nn.ReLU(), new nn.Linear(32, 1)),
      data: () => new data.TensorDataset(torch.randn(50, 10).mul(100), torch.randn(50, 1).mul(1000)),
      loss: new nn.MSELoss(),
      optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.01 }),
      rollback: true,
      batchSize: 50,
      epochs: 50,
    });
    const error: unknown = await train(exploding, 0, { folder }).catch((thrown: unknown) => thrown);
    const range = (text: string): string | undefined => /\[-?[\d.e+]+.*?\]/.exec(text)?.[0];
    // The first failure's, and the last one's: rates were halved in between.
    const [first, last] = [range(rowsOf().find(({ kind }) => kind === "event")!.text!), range(String(error))];
    expect(first).toBeDefined();
    expect(last).toBeDefined();
    expect(last).not.toBe(first);
  });

  test("ends it in spite of that when it comes back", async () => {
    const error = await failure({ rollback: { lrFactor: 1, attempts: 2 } });
    expect(error.message).toContain("The loss is NaN");
    expect(rowsOf().filter(({ rollback }) => rollback !== undefined)).toHaveLength(2);
    // The cause is told once, not after each attempt.
    const texts = rowsOf().flatMap(({ kind, text }) => (kind === "event" ? [text ?? ""] : []));
    expect(texts.map((text) => text.includes("Function 'log'"))).toEqual([true, false]);
  });
});

/** Data on which the first step is wrong. */
function shifted(): data.Dataset {
  return new data.TensorDataset(torch.full([8, 1], -1.5), torch.ones(8, 1));
}

/** A network whose first layer learns next to nothing, or whose ReLU is dead. */
const deep = (bias: number, activation: () => nn.Module): nn.Module => {
  const model = new nn.Sequential(
    new nn.Linear(3, 8),
    new nn.ReLU(),
    ...Array.from({ length: 12 }, () => [new nn.Linear(8, 8), activation()]).flat(),
    new nn.Linear(8, 2),
  );
  nn.init.constant_((model.get(0) as nn.Linear).bias!, bias);
  return model;
};

const layerRows = (): LayerRow[] =>
  fs
    .readFileSync(path.join(folder, "layers.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as LayerRow);

describe("watch", () => {
  const watched = (changes: Partial<ExperimentOptions>): Promise<Trained> =>
    train(
      experiment({
        seed: 0,
        model: () => deep(0.1, () => new nn.ReLU()),
        data: () => new data.TensorDataset(torch.randn(24, 3), torch.randint(0, 2, [24])),
        loss: new nn.CrossEntropyLoss(),
        optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.01 }),
        batchSize: 8,
        epochs: 4,
        watch: { logFreq: 2 },
        ...changes,
      }),
      0,
      { folder },
    );

  test("writes each layer's gradient, update and dead units, and draws their sums", async () => {
    const { rows } = await watched({ model: () => deep(0.1, () => new nn.Tanh()), metrics: {} });
    const layers = layerRows();
    expect(layers.map(({ step }) => step)).toEqual([2, 4, 6, 8, 10, 12]);
    expect(Object.keys(layers[0]!.layers)).toContain("26");
    const { gradNorm, updateRatio } = layers[0]!.layers["26"]!;
    expect(gradNorm).toBeGreaterThan(0);
    expect(updateRatio).toBeGreaterThan(0);
    expect(layers[0]!.layers["1"]).toMatchObject({ units: 8 });
    // In the model's order, with the values of each layer that has some.
    expect(Object.keys(layers[0]!.layers)).toEqual(Array.from({ length: 27 }, (_, i) => String(i)));
    const kinds = (path: string): string[] =>
      ["weights", "gradients", "activations"].filter((kind) => kind in layers[0]!.layers[path]!);
    expect([kinds("0"), kinds("1")]).toEqual([["weights", "gradients", "activations"], ["activations"]]);
    const drawn = rows.filter(({ values }) => "grad_norm" in values);
    expect(drawn.map(({ step }) => step)).toEqual([2, 4, 6, 8, 10, 12]);
    const sum = Object.values(layers[0]!.layers).reduce((all, { gradNorm: g = 0 }) => all + g * g, 0);
    expect(drawn[0]!.values["grad_norm"]).toBeCloseTo(Math.sqrt(sum), 9);
  });

  test("counts the values that there are", async () => {
    const { prepared } = await watched({
      model: () => new nn.Linear(3, 2),
      epochs: 2,
      watch: { logFreq: 6 },
    });
    const [{ layers }] = layerRows() as [LayerRow];
    const figures = Object.values(layers)[0]!;
    const weights = weightsOf(prepared);
    const mean = weights.reduce((sum, x) => sum + x, 0) / weights.length;
    expect(figures.weights!.mean).toBeCloseTo(mean, 4);
    expect(figures.weights!.low).toBeCloseTo(Math.min(...weights), 4);
    expect(figures.weights!.high).toBeCloseTo(Math.max(...weights), 4);
    for (const kind of ["weights", "gradients"] as const)
      expect(figures[kind]!.counts.reduce((sum, count) => sum + count, 0)).toBe(8);
    // Outputs of a batch.
    expect(figures.activations!.counts.reduce((sum, count) => sum + count, 0)).toBe(16);
    expect(figures.meanActivation).toBeGreaterThan(0);
  });

  test("writes about a thousand rows of a long training, more of its beginning", async () => {
    const { rows } = await watched({
      model: () => new nn.Linear(3, 2),
      data: () => new data.TensorDataset(torch.randn(8, 3), torch.randint(0, 2, [8])),
      epochs: 1200,
      checkpoints: false,
      metrics: {},
      watch: { logFreq: 1 },
    });
    const all = Array.from({ length: 1200 }, (_, i) => i + 1);
    expect(layerRows().map(({ step }) => step)).toEqual(all.filter((step) => step < 40 || step % 2 === 0));
    expect(rows.filter(({ values }) => "grad_norm" in values)).toHaveLength(1200);
  });

  test("the norms are those of the gradients, and looking changes nothing", async () => {
    const norms: number[] = [];
    const seen = await watched({
      callbacks: {
        onStepEnd({ model, step }) {
          if (step % 2 === 0) norms.push(Math.hypot(...model.parameters().map((p) => p.grad!.norm().item())));
        },
      },
    });
    const drawn = seen.rows.filter(({ values }) => "grad_norm" in values);
    drawn.forEach(({ values }, i) => expect(values["grad_norm"]).toBeCloseTo(norms[i]!, 5));
    const alone = await train(experiment({ ...seen.prepared.experiment.options, watch: false }), 0);
    expect(weightsOf(seen.prepared)).toEqual(weightsOf(alone.prepared));
  });

  test("tells of what is wrong with a layer, once, with what helps", async () => {
    const warnings = async (changes: Partial<ExperimentOptions>): Promise<string[]> =>
      (await watched(changes)).rows.flatMap(({ kind, text = "" }) => (kind === "event" ? [text] : []));
    const vanishing = await warnings({ model: () => deep(0.1, () => new nn.Sigmoid()) });
    expect(vanishing.filter((text) => text.startsWith("Vanishing gradient in 0:"))).toHaveLength(1);
    expect(vanishing[0]).toContain("nn.init.kaimingNormal_");
    const dead = await warnings({ model: () => deep(-100, () => new nn.Tanh()) });
    expect(dead).toContainEqual(
      expect.stringMatching(/^8 of 8 units of the ReLU in 1 are 0 for every sample/),
    );
    const large = await warnings({ optimizer: (p) => new optim.SGD(p, { lr: 20 }) });
    expect(large).toContainEqual(expect.stringMatching(/^Each step changes \S+ by \d+ % of its weights/));
    const exploding = await warnings({
      optimizer: (p) => new optim.SGD(p, { lr: 1e-9 }),
      loss: (output, target) => F.crossEntropy(output, target).mul(1e6),
    });
    expect(exploding).toContainEqual(expect.stringMatching(/^Exploding gradient in \S+: its norm is/));
  });
});
