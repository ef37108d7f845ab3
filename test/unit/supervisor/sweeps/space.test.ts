import { describe, expect, expectTypeOf, test } from "vitest";
import { data, experiment, nn, optim, sweep, torch } from "../../../../extension/nn/index.ts";
import { describeSpace, type SettingsOf } from "../../../../extension/nn/experiment/searchSpace.ts";

const set = new data.TensorDataset(torch.zeros(4, 2), torch.zeros([4], { dtype: "int64" }));
const loss = new nn.CrossEntropyLoss();
const plain = {
  model: () => new nn.Linear(2, 2),
  data: set,
  loss,
  optimizer: (parameters: ReturnType<nn.Linear["parameters"]>) => new optim.SGD(parameters, { lr: 1 }),
  epochs: 1,
};

/** An experiment whose functions note the settings that they get. */
function noting() {
  const seen: Record<string, unknown> = {};
  const made = experiment({
    sweep: {
      lr: sweep.logUniform(1e-4, 1e-2),
      width: sweep.choice(4, 8),
      layers: sweep.int(1, 4),
      activation: sweep.choice("relu", "gelu").default("gelu"),
      bias: sweep.choice(true, false),
    },
    model: (settings) => {
      seen["model"] = settings;
      return new nn.Sequential(new nn.Linear(2, settings.width), new nn.Linear(settings.width, 2));
    },
    data: (settings) => {
      seen["data"] = settings;
      return set;
    },
    configure: ({ width }) => ({ batchSize: width, loss }),
    optimizer: (parameters, settings, model) => {
      seen["optimizer"] = [settings, model];
      return new optim.SGD(parameters, { lr: settings.lr });
    },
    lrScheduler: (optimizer, settings) => {
      seen["lrScheduler"] = settings;
      return new optim.lrScheduler.StepLR(optimizer, settings.layers);
    },
    epochs: 2,
  });
  return { made, seen };
}

describe("an experiment with a sweep", () => {
  test("has the types of its settings from its domains", () => {
    type Space = { lr: ReturnType<typeof sweep.uniform>; n: ReturnType<typeof sweep.int> };
    expectTypeOf<SettingsOf<Space>>().toEqualTypeOf<{ readonly lr: number; readonly n: number }>();
    const width = sweep.choice(32, 64, 128);
    expectTypeOf<SettingsOf<{ width: typeof width }>>().toEqualTypeOf<{ readonly width: 32 | 64 | 128 }>();
    const kind = sweep.choice("relu", "gelu").default("gelu");
    expectTypeOf<SettingsOf<{ kind: typeof kind }>["kind"]>().toEqualTypeOf<"relu" | "gelu">();
    experiment({
      sweep: { lr: sweep.uniform(0, 1), kind: sweep.choice("a", "b") },
      model: (settings) => {
        expectTypeOf(settings).toEqualTypeOf<{ readonly lr: number; readonly kind: "a" | "b" }>();
        // @ts-expect-error There is no such hyperparameter.
        void settings.rate;
        return new nn.Linear(2, 2);
      },
      data: ({ kind }) => {
        expectTypeOf(kind).toEqualTypeOf<"a" | "b">();
        return set;
      },
      configure: ({ lr }) => ({ gradientClipVal: lr }),
      loss,
      optimizer: (parameters, { lr }, model) => {
        expectTypeOf(model).toEqualTypeOf<nn.Linear>();
        return new optim.SGD(parameters, { lr });
      },
      epochs: 1,
    });
    // @ts-expect-error The second value is not one of the choice.
    expect(() => sweep.choice(1, 2).default(3)).toThrow();
  });

  test("keeps the model as the optimizer's second argument without a sweep", () => {
    const { options } = experiment({
      ...plain,
      optimizer: (_, model) => new optim.SGD(model.parameters(), { lr: 1 }),
    });
    const model = options.model();
    expect(options.optimizer(model.parameters(), model)).toBeInstanceOf(optim.SGD);
  });

  test("has its defaults outside of a sweep: the first choice, the middle of a range", () => {
    const { made, seen } = noting();
    expect(seen).toEqual({});
    const settings = { lr: 1e-3, width: 4, layers: 2, activation: "gelu", bias: true };
    expect(made.settings["lr"]).toBeCloseTo(1e-3, 12);
    expect(made.settings).toEqual({ ...settings, lr: made.settings["lr"] });
    const model = made.options.model();
    const optimizer = made.options.optimizer(model.parameters(), model);
    if (typeof made.options.data === "function") void made.options.data();
    made.options.lrScheduler?.(optimizer);
    for (const name of ["model", "data", "lrScheduler"]) expect(seen[name]).toEqual(made.settings);
    expect(seen["optimizer"]).toEqual([made.settings, model]);
    expect(made.options.batchSize).toBe(4);
  });

  test("takes other values by name, and texts for what they name", () => {
    const { made } = noting();
    const other = made.with({ lr: 5, width: "8", bias: "false" });
    expect(other.settings).toMatchObject({ lr: 5, width: 8, bias: false, layers: 2 });
    expect(other.options.batchSize).toBe(8);
    expect(made.options.batchSize).toBe(4);
    expect(() => made.with({ depth: 3 })).toThrow("The experiment has no hyperparameter 'depth'");
    expect(() => made.with({ layers: 1.5 })).toThrow("sweep: expected layers to be of int(1, 4), got 1.5");
    expect(() => made.with({ width: "wide" })).toThrow(
      'sweep: expected width to be of choice(4, 8), got "wide"',
    );
    expect(() => experiment(plain).with({ lr: 1 })).toThrow("no hyperparameter 'lr'");
  });

  test("is described as data", () => {
    expect(
      describeSpace({ a: sweep.uniform(0, 0.5, { step: 0.1 }), b: sweep.int(1, 64, { log: true }) }),
    ).toEqual({
      a: { kind: "float", low: 0, high: 0.5, step: 0.1, log: false, default: 0.2 },
      b: { kind: "int", low: 1, high: 64, step: 1, log: true, default: 8 },
    });
  });

  test.each([
    ["sweep.uniform(1, 0) has its bounds in the wrong order", () => sweep.uniform(1, 0)],
    ["sweep.logUniform(0, 1) needs positive bounds", () => sweep.logUniform(0, 1)],
    ["sweep.uniform(0, Infinity) needs finite bounds", () => sweep.uniform(0, Infinity)],
    ["sweep.int(1, 2.5) needs whole numbers", () => sweep.int(1, 2.5)],
    ["sweep.uniform() needs a positive step, got 0", () => sweep.uniform(0, 1, { step: 0 })],
    ["sweep.choice() takes numbers, texts and booleans, got a list", () => sweep.choice([1, 2] as never)],
    ["sweep.choice() got the same value twice", () => sweep.choice(1, 1)],
    ["sweep: the default 5 is not in int(1, 4)", () => sweep.int(1, 4).default(5)],
    [
      "experiment(): expected sweep to be hyperparameters by name",
      () => experiment({ ...plain, sweep: { lr: 0.1 } as never }),
    ],
    [
      "experiment(): configure() gave an unexpected option 'model'",
      () => experiment({ ...noting().made.given, configure: () => ({ model: plain.model }) as never }),
    ],
    [
      "experiment(): objective has no effect without a sweep",
      () => experiment({ ...plain, objective: { mode: "min" } }),
    ],
    [
      'experiment(): expected objective.mode to be "min" or "max", got "least"',
      () => experiment({ ...plain, objective: { mode: "least" as never } }),
    ],
  ])("refuses: %s", (message, make) => {
    expect(make).toThrow(message);
  });

  test("needs a loss or a step from its options or its configuration", () => {
    const { loss: _, ...rest } = plain;
    const space = { lr: sweep.uniform(0, 1) };
    expect(() => experiment({ ...rest, sweep: space })).toThrow("expected loss to be a loss");
    expect(experiment({ ...rest, sweep: space, configure: () => ({ loss }) }).options.loss).toBe(loss);
  });
});
