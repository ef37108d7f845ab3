import { describe, expect, expectTypeOf, test } from "vitest";
import { experimentsOf, findExperiment, modelClassesOf } from "../../../extension/engine/host/exports.ts";
import { prepare } from "../../../extension/engine/training/prepare.ts";
import { EngineError } from "../../../extension/protocol/errors.ts";
import {
  data,
  experiment,
  nn,
  optim,
  torch,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";

class Net extends nn.Module {
  fc = new nn.Linear(2, 2);
  forward(x: Tensor): Tensor {
    return this.fc(x);
  }
}

const options = {
  model: () => new Net(),
  data: () => new data.TensorDataset(torch.randn(10, 2), torch.randint(0, 2, [10])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters: ConstructorParameters<typeof optim.SGD>[0]) => new optim.SGD(parameters),
  epochs: 3,
} satisfies ExperimentOptions;

describe("experiment()", () => {
  test.each<[string, object, string]>([
    ["epochs", { epochs: 1.5 }, "experiment(): expected epochs to be a whole number of at least 1, got 1.5"],
    [
      "batchSize",
      { batchSize: 0 },
      "experiment(): expected batchSize to be a whole number of at least 1, got 0",
    ],
    ["seed", { seed: 0.5 }, "experiment(): expected seed to be a whole number, got 0.5"],
    ["model", { model: new Net().fc.weight }, "experiment(): expected model to be a function, got Parameter"],
    [
      "loss",
      { loss: undefined },
      "experiment(): expected loss to be a loss such as new nn.CrossEntropyLoss(), or a trainStep, got undefined",
    ],
    [
      "data",
      { data: undefined },
      "experiment(): expected data to be a data set, or a function that makes one, got undefined",
    ],
    [
      "validation",
      { validation: 20 },
      "experiment(): expected validation to be a fraction between 0 and 1, or a data set, got 20",
    ],
    ["an unknown option", { epoch: 3 }, "experiment() got an unexpected option 'epoch'"],
    [
      "earlyStopping",
      { earlyStopping: { patience: -1 } },
      "experiment(): expected earlyStopping.patience to be a whole number of at least 0, got -1",
    ],
    [
      "option of a section",
      { checkpoints: { topK: 3 } },
      "experiment(): checkpoints got an unexpected option 'topK'",
    ],
    [
      "gradientClipAlgorithm",
      { gradientClipAlgorithm: "max" },
      'experiment(): expected gradientClipAlgorithm to be "norm" or "value", got "max"',
    ],
    [
      "limitValBatches",
      { limitValBatches: -0.5 },
      "experiment(): expected limitValBatches to be a whole number of batches, or a fraction below 1, got -0.5",
    ],
    [
      "overfitBatches",
      { overfitBatches: 0 },
      "experiment(): expected overfitBatches to be a whole number of batches, or a fraction below 1, and not 0, got 0",
    ],
    [
      "earlyStopping that is no section",
      { earlyStopping: 3 },
      "experiment(): expected earlyStopping to be true, false or an object of options, got 3",
    ],
    ["maxTime", { maxTime: -1 }, "experiment(): expected maxTime to be seconds"],
    ["unit of maxTime", { maxTime: { hors: 1 } }, "experiment(): expected maxTime to be seconds"],
    ["unit of maxTime that is a text", { maxTime: { hours: "one" } }, "experiment(): expected maxTime to be"],
    [
      "model that is made already",
      { model: new Net() },
      "experiment(): expected model to be a function that makes the model, got a Net itself",
    ],
    [
      "callback",
      { callbacks: { onEpochEnd: 3 } },
      "experiment(): expected callbacks.onEpochEnd to be a function, got number",
    ],
    [
      "callback's name",
      { callbacks: [{}, { onEpochStop: () => undefined }] },
      "experiment(): callbacks got an unexpected callback 'onEpochStop'",
    ],
    [
      "callback that is none",
      { callbacks: [3] },
      "experiment(): expected callbacks to be an object of functions",
    ],
  ])("refuses a wrong %s", (_, wrong, message) => {
    expect(() => experiment({ ...options, ...wrong })).toThrow(message);
  });

  test.each([
    ["model", Net],
    ["data", data.TensorDataset],
    ["loss", nn.CrossEntropyLoss],
    ["optimizer", optim.SGD],
    ["lrScheduler", optim.lrScheduler.StepLR],
    ["trainStep", Net],
    ["callbacks", Net],
  ])("names a class in place of %s, and what to write", (name, type) => {
    const made = `new ${type.name.replace(/^_/, "")}(`;
    const wrong = { ...options, [name]: type };
    expect(() => experiment(wrong)).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(`expected ${name} to be a function.*, got the class`),
        hint: expect.stringContaining(made),
      }),
    );
  });

  test("a step of one's own needs no loss", () => {
    expect(experiment({ ...options, loss: undefined as never, trainStep: () => 0 }).options.epochs).toBe(3);
  });
});

test("options are typed by each other: schedules, steps and callbacks know the model and its optimizers", () => {
  const typed = experiment({
    model: () => new Net(),
    data: () => ({ train: new data.DataLoader(options.data(), { batchSize: 2 }) }),
    loss: new nn.CrossEntropyLoss(),
    optimizer: (parameters) => new optim.SGD(parameters),
    lrScheduler: (optimizer) => ({
      scheduler: new optim.lrScheduler.StepLR(optimizer, 30),
      interval: "step",
    }),
    metrics: ["accuracy", "top5"],
    callbacks: {
      onBatchEnd: ({ model, optimizer }, batch) => {
        expectTypeOf(model).toEqualTypeOf<Net>();
        expectTypeOf(optimizer).toEqualTypeOf<optim.SGD>();
        expectTypeOf(batch).toEqualTypeOf<readonly Tensor[]>();
      },
    },
    earlyStopping: { monitor: "val_loss", patience: 5 },
    checkpoints: { saveTopK: 3 },
    maxTime: { minutes: 5 },
    epochs: 3,
  });
  const several = experiment({
    ...options,
    optimizer: (_, model: Net) => ({
      weight: new optim.SGD([model.fc.weight]),
      bias: new optim.Adam([model.fc.bias!]),
    }),
    lrScheduler: ({ weight, bias }) => ({
      weight: new optim.lrScheduler.StepLR(weight, 30),
      bias: new optim.lrScheduler.ExponentialLR(bias, 0.9),
    }),
    trainStep: ({ optimizer, model }) => {
      expectTypeOf(optimizer.bias).toEqualTypeOf<optim.Adam>();
      expectTypeOf(model).toEqualTypeOf<Net>();
      return 0;
    },
    callbacks: [{ onTrainEnd: ({ optimizer }) => void optimizer.weight }],
  });
  expect([typed.options.epochs, several.options.epochs]).toEqual([3, 3]);
});

describe("prepare", () => {
  class Child extends nn.Module {
    parent: nn.Module;
    constructor(parent: nn.Module) {
      super();
      this.parent = parent;
    }
  }
  class Parent extends nn.Module {
    first = new Child(this);
  }
  class Lengths extends data.Dataset<Tensor[]> {
    readonly length: number;
    constructor(length: number) {
      super();
      this.length = length;
    }
    get(): Tensor[] {
      return [torch.zeros(2), torch.tensor(0)];
    }
  }

  test.each<[string, object, string]>([
    ["a model", { model: () => undefined }, "expected model() to give a module, got undefined"],
    [
      "a model without circles",
      { model: () => new Parent() },
      "Parent: the module at first.parent is inside",
    ],
    ["an optimizer", { optimizer: () => undefined }, "expected optimizer() to give an optimizer"],
    ["optimizers by name", { optimizer: () => ({ a: 3 }) }, "expected optimizer() to give an optimizer"],
    ["samples", { data: () => new Lengths(0) }, "the data set has no samples"],
    ["a length that is a number", { data: () => new Lengths(Number.NaN) }, "up to 2,147,483,647, got NaN"],
    ["a length of a list", { data: () => new Lengths(1e15) }, "up to 2,147,483,647, got 1000000000000000"],
    ["a whole length", { data: () => new Lengths(1.5) }, "up to 2,147,483,647, got 1.5"],
  ])("demands %s, and names the experiment's place", async (_, wrong, message) => {
    const made = experiment({ ...options, ...wrong });
    await expect(prepare(made, 0)).rejects.toThrow(
      expect.objectContaining({ message: expect.stringContaining(message), sites: [made.site] }),
    );
  });

  test("uses random numbers in the order of a PyTorch script: model, data, split", async () => {
    const prepared = await prepare(experiment({ ...options, validation: 0.2 }), 5);
    torch.manualSeed(5);
    const model = new Net();
    const set = options.data();
    const [train, held] = data.randomSplit(set, [0.8, 0.2]);
    expect([...prepared.model.parameters()[0]!.toTypedArray()]).toEqual([...model.fc.weight.toTypedArray()]);
    const samples = (batches: typeof prepared.train) =>
      [...batches.inOrder()].flatMap((batch) => [...batch[0]!.toTypedArray()]);
    const expected = (part: data.Dataset | undefined) =>
      Array.from(part as data.Subset<readonly Tensor[]>).flatMap((sample) => [...sample[0]!.toTypedArray()]);
    expect(samples(prepared.train)).toEqual(expected(train));
    expect(samples(prepared.validation!)).toEqual(expected(held));
  });

  test("without a batch size the whole set is one batch, and nothing is drawn", async () => {
    const prepared = await prepare(experiment(options), 0);
    expect(prepared.train.length).toBe(1);
    const before = torch.getRngState();
    const [batch] = prepared.train.epoch();
    expect(batch!.map(({ shape }) => shape)).toEqual([[10, 2], [10]]);
    expect(torch.getRngState()).toEqual(before);
  });

  test("with a batch size each epoch has another order", async () => {
    const prepared = await prepare(experiment({ ...options, batchSize: 4 }), 0);
    const epoch = () => [...prepared.train.epoch()].map((batch) => [...batch[0]!.toTypedArray()]);
    const [first, second] = [epoch(), epoch()];
    expect(first.map((batch) => batch.length / 2)).toEqual([4, 4, 2]);
    expect(second).not.toEqual(first);
    expect(second.flat().sort((a, b) => a - b)).toEqual(first.flat().sort((a, b) => a - b));
  });

  test.each<[string, Partial<ExperimentOptions>, string]>([
    [
      "a model that is none",
      { model: () => 3 as never },
      "experiment(): expected model() to give a module, got number",
    ],
    [
      "data that is none",
      { data: () => [1, 2] as never },
      "experiment(): expected data to be a data set, or { train, validation, test }",
    ],
    [
      "a test set that is none",
      { data: { train: options.data(), test: [] as never } },
      "experiment(): data.test is no data set",
    ],
    [
      "two validation sets",
      { data: { train: options.data(), validation: options.data() }, validation: 0.5 },
      "so validation is one too many",
    ],
    [
      "a batch size beside a loader",
      { data: () => new data.DataLoader(options.data(), { batchSize: 2 }), batchSize: 5 },
      "experiment(): batchSize has no effect on a loader, which has its own",
    ],
    [
      "a split of a loader",
      { data: () => new data.DataLoader(options.data()), validation: 0.2 },
      "experiment(): only a data set can be split; a stream or a loader needs { train, validation }",
    ],
    [
      "an empty set",
      { data: new data.TensorDataset(torch.zeros(0, 2)) },
      "experiment(): the data set has no samples",
    ],
    [
      "a metric that is none",
      { metrics: ["precisoin" as never] },
      'experiment(): metric "precisoin" is neither a function',
    ],
  ])("refuses %s", async (_, wrong, message) => {
    await expect(prepare(experiment({ ...options, ...wrong }), 0)).rejects.toThrow(message);
  });
});

describe("exports", () => {
  const module = (exports: Record<string, unknown>) => ({
    file: "/net.nn.ts",
    exports,
    dispose: () => undefined,
  });
  const one = experiment(options);
  const find = (exports: Record<string, unknown>, name = "default") => {
    try {
      return findExperiment(module(exports), name).exportName;
    } catch (error) {
      const { message, hint } = (error as EngineError).cause;
      return [message, hint];
    }
  };

  test("finds experiments and model classes", () => {
    const all = module({ default: one, Net, other: 3, make: () => new Net() });
    expect(experimentsOf(all).map(([name]) => name)).toEqual(["default"]);
    expect(modelClassesOf(all).map(({ exportName }) => exportName)).toEqual(["Net"]);
  });

  test("the default export, else the only experiment", () => {
    expect(find({ default: one, b: one })).toBe("default");
    expect(find({ b: one, Net })).toBe("b");
    expect(find({ a: one, b: one }, "a")).toBe("a");
  });

  test("says what there is instead", () => {
    expect(find({ a: one, b: one })).toEqual(["The file has no default export.", "Its experiments: #a, #b."]);
    expect(find({ default: Net })).toEqual([
      "The default export is the model class Net, not an experiment.",
      expect.stringMatching(/^It exports default\. Add: export default experiment/),
    ]);
    expect(find({ default: new Net() })[0]).toBe("The default export is a model (Net), not an experiment.");
    expect(find({ default: one }, "b")).toEqual([
      'The file has no export "b".',
      "Its experiments: #default.",
    ]);
    expect(find({})[1]).toMatch(/^It exports nothing\./);
  });
});
