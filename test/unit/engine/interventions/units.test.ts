// Networks whose units are known, changed by hand and by interventions.
import { expect, test } from "vitest";
import type { ModelInterventions } from "../../../../extension/engine/evaluation/modelInterventions.ts";
import { F, nn, torch, type Tensor } from "../../../../extension/nn/index.ts";
import type { Intervention } from "../../../../extension/protocol/interventions.ts";
import { useEngine } from "../../../engines.ts";
import { interventionsOf, off, output, rank, sample } from "./intervening.ts";

useEngine("cpu");

/** Three hidden units, of which the last alone decides; the first adds equally to both classes. */
class Known extends nn.Module {
  fc1 = new nn.Linear(3, 3);
  relu = new nn.ReLU();
  fc2 = new nn.Linear(3, 2);

  constructor() {
    super();
    torch.noGrad(() => {
      this.fc1.weight.copy_(torch.eye(3));
      this.fc1.bias!.zero_();
      this.fc2.weight.copy_(
        torch.tensor([
          [1, 0, -2],
          [1, 0, 2],
        ]),
      );
      this.fc2.bias!.copy_(torch.tensor([1, 0]));
    });
  }

  forward(x: Tensor): Tensor {
    return this.fc2(this.relu(this.fc1(x)));
  }
}

const inputs = torch
  .tensor([
    [1, 2, 3],
    [2, 1, 0],
    [4, 0, 1],
  ])
  .float();
const known = (): Promise<ModelInterventions> =>
  interventionsOf(new Known(), [inputs, torch.tensor([1, 0, 1])], new nn.CrossEntropyLoss());

/** Cross entropy of two scores. */
const crossEntropy = (scores: [number, number], actual: 0 | 1): number =>
  Math.log(Math.exp(scores[0]) + Math.exp(scores[1])) - scores[actual];

test("switching off the unit that decides gives the loss that the weights say, and the other class", async () => {
  const model = await known();
  const { layers, refused, units, before, after } = model.intervene({
    subject: sample(0),
    interventions: [off("relu", 2)],
    of: output("relu"),
  });
  expect(layers.map(({ layer, type, kind, units: n }) => [layer, type, kind, n])).toEqual([
    ["fc1", "Linear", "unit", 3],
    ["relu", "ReLU", "unit", 3],
    ["fc2", "Linear", "unit", 2],
  ]);
  expect(refused).toEqual([]);
  expect(units).toEqual({ layer: "relu", part: "output", values: [1, 2, 3] });
  // Scores: 1 + 1 − 2·3 and 1 + 2·3; without the unit 2 and 1.
  expect(before.loss).toBeCloseTo(crossEntropy([-4, 7], 1), 5);
  expect(before.predicted).toBe(1);
  expect(after.loss).toBeCloseTo(crossEntropy([2, 1], 1), 5);
  expect(after.predicted).toBe(0);
  expect(after.probabilities![0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 5);
});

test("the ranking names the unit that decides, and says 0 of a unit that nothing depends on", async () => {
  const model = await known();
  const { ranked, ...ranking } = await rank(model, {
    ...output("relu"),
    scope: { kind: "subject", subject: sample(0) },
    mode: "zero",
  });
  expect(ranking).toMatchObject({ units: 3, ablated: 3, samples: 1, of: 1, alone: false });
  expect(ranking.loss).toBeCloseTo(crossEntropy([-4, 7], 1), 5);
  expect(ranked[0]!.unit).toBe(2);
  expect(ranked[0]!.loss).toBeCloseTo(crossEntropy([2, 1], 1) - crossEntropy([-4, 7], 1), 5);
  expect(ranked[0]!.probability).toBeCloseTo(1 / (1 + Math.E) - 1 / (1 + Math.exp(-11)), 5);
  expect(ranked[0]!.changed).toBe(1);
  expect(ranked.find(({ unit }) => unit === 1)).toEqual({
    unit: 1,
    loss: 0,
    probability: 0,
    output: 0,
    changed: 0,
  });
});

test("a class's ranking is the mean over its samples", async () => {
  const model = await known();
  const { ranked, samples } = await rank(model, {
    ...output("relu"),
    scope: { kind: "class", actual: 1 },
    mode: "zero",
  });
  expect(samples).toBe(2);
  const changes = [
    crossEntropy([2, 1], 1) - crossEntropy([-4, 7], 1),
    crossEntropy([5, 4], 1) - crossEntropy([3, 6], 1),
  ];
  expect(ranked[0]!.unit).toBe(2);
  expect(ranked[0]!.loss).toBeCloseTo((changes[0]! + changes[1]!) / 2, 5);
  expect(ranked[0]!.changed).toBe(2);
  await expect(
    rank(model, { ...output("relu"), scope: { kind: "class", actual: 7 }, mode: "zero" }),
  ).rejects.toThrow("There is no sample of class 7.");
});

test("a unit takes its mean over the set, or another sample's value", async () => {
  const model = await known();
  const at = (by: Intervention["by"]): number =>
    model.intervene({ subject: sample(0), interventions: [{ ...output("relu"), unit: 2, by }] }).after.loss!;
  const third = (value: number): number => crossEntropy([2 - 2 * value, 1 + 2 * value], 1);
  expect(at({ mode: "mean" })).toBeCloseTo(third(4 / 3), 5);
  expect(at({ mode: "sample", sample: 2 })).toBeCloseTo(third(1), 5);
  expect(at({ mode: "sample", sample: 1 })).toBeCloseTo(third(0), 5);
  expect(() => at({ mode: "sample", sample: 9 })).toThrow("There is no sample 9.");
});

test("units of several layers change at once", async () => {
  const model = await known();
  const { after } = model.intervene({
    subject: sample(0),
    interventions: [off("fc1", 0), off("relu", 2), off("fc2", 0)],
  });
  // fc2's first score is 0, its second 0: the bias is 0 and no hidden unit is left that it depends on.
  expect(after.probabilities![0]).toBeCloseTo(0.5, 6);
});

/** Convolution, its activation by a function, and a shared module that is called twice. */
class Images extends nn.Module {
  conv = new nn.Conv2d(1, 4, 3, { padding: 1 });
  pool = new nn.MaxPool2d(2);
  flatten = new nn.Flatten();
  fc = new nn.Linear(4 * 16, 8);
  act = new nn.Tanh();
  out = new nn.Linear(8, 3);

  forward(x: Tensor): Tensor {
    const hidden = this.act(this.fc(this.flatten(this.pool(F.relu(this.conv(x))))));
    return this.out(this.act(hidden));
  }
}

const images = async (): Promise<{ model: Images; asked: ModelInterventions; x: Tensor; y: Tensor }> => {
  torch.manualSeed(0);
  const model = new Images();
  const [x, y] = [torch.randn(6, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2])];
  return { model, x, y, asked: await interventionsOf(model, [x, y], new nn.CrossEntropyLoss()) };
};

test("a channel of a convolution switched off is the same as a hook that zeroes it", async () => {
  const { model, asked, x, y } = await images();
  const { layers, units, after } = asked.intervene({
    subject: sample(4),
    interventions: [off("conv", 2), off("conv", 0)],
    of: output("conv"),
  });
  expect(layers.map(({ layer, kind, units: n }) => [layer, kind, n])).toEqual([
    ["conv", "channel", 4],
    ["pool", "channel", 4],
    ["flatten", "unit", 64],
    ["fc", "unit", 8],
    ["act", "unit", 8],
    ["out", "unit", 3],
  ]);
  expect(units!.maps).toHaveLength(4);
  const one = x.narrow(0, 4, 1);
  const activation = torch.noGrad(() => model.conv(one));
  units!.values.forEach((value, c) => expect(value).toBeCloseTo(activation.select(1, c).mean().item(), 5));
  const hook = model.conv.registerForwardHook((_module, _input, given: Tensor) => {
    const kept = torch.tensor([0, 1, 0, 1]).view(1, 4, 1, 1);
    return given.mul(kept);
  });
  const loss = torch.noGrad(() => F.crossEntropy(model(one), y.narrow(0, 4, 1))).item();
  hook.remove();
  expect(after.loss).toBeCloseTo(loss, 5);
});

test("a module that is called twice is changed in both calls", async () => {
  const { model, asked, x, y } = await images();
  const { after } = asked.intervene({ subject: sample(1), interventions: [off("act", 3)] });
  const hook = model.act.registerForwardHook((_module, _input, given: Tensor) => {
    const changed = given.clone();
    changed.select(1, 3).zero_();
    return changed;
  });
  const loss = torch.noGrad(() => F.crossEntropy(model(x.narrow(0, 1, 1)), y.narrow(0, 1, 1))).item();
  hook.remove();
  expect(after.loss).toBeCloseTo(loss, 5);
});

/** One ReLU for results of two shapes. */
class Shared extends nn.Module {
  fc1 = new nn.Linear(3, 5);
  relu = new nn.ReLU();
  fc2 = new nn.Linear(5, 4);
  fc3 = new nn.Linear(4, 2);

  forward(x: Tensor): Tensor {
    return this.fc3(this.relu(this.fc2(this.relu(this.fc1(x)))));
  }
}

test("of a module whose calls give different shapes, each call is a layer", async () => {
  torch.manualSeed(3);
  const model = new Shared();
  const asked = await interventionsOf(model, [inputs, torch.tensor([1, 0, 1])], new nn.CrossEntropyLoss());
  const second = { ...off("relu", 3), call: 2 };
  const { layers, units, after } = asked.intervene({
    subject: sample(0),
    interventions: [second],
    of: { ...output("relu"), call: 2 },
  });
  expect(layers.map(({ layer, call, units: n }) => [layer, call, n])).toEqual([
    ["fc1", undefined, 5],
    ["relu", 1, 5],
    ["fc2", undefined, 4],
    ["relu", 2, 4],
    ["fc3", undefined, 2],
  ]);
  expect(units).toMatchObject({ layer: "relu", call: 2 });
  expect(units!.values).toHaveLength(4);
  const hidden = torch.noGrad(() => F.relu(model.fc2(F.relu(model.fc1(inputs.narrow(0, 0, 1))))));
  hidden.select(1, 3).zero_();
  const loss = torch.noGrad(() => F.crossEntropy(model.fc3(hidden), torch.tensor([1])));
  expect(after.loss).toBeCloseTo(loss.item(), 5);
  const { ranked, call } = await rank(asked, {
    ...output("relu"),
    call: 1,
    scope: { kind: "set" },
    mode: "mean",
  });
  expect([call, ranked.length]).toEqual([1, 5]);
  const change = (one: Intervention) => () => asked.intervene({ subject: sample(0), interventions: [one] });
  expect(change(off("relu", 0))).toThrow("relu has no such call: choose one from 1 to 2.");
  expect(change({ ...off("fc1", 0), call: 1 })).toThrow("fc1 has no such call: leave it out.");
});

test("ranked together, units change as much as one by one", async () => {
  const { asked } = await images();
  const { ranked } = await rank(asked, {
    ...output("fc"),
    scope: { kind: "set" },
    mode: "mean",
  });
  expect(ranked).toHaveLength(8);
  for (const { unit, loss } of ranked) {
    const changes = [0, 1, 2, 3, 4, 5].map((index) => {
      const { before, after } = asked.intervene({
        subject: sample(index),
        interventions: [{ ...output("fc"), unit, by: { mode: "mean" } }],
      });
      return after.loss! - before.loss!;
    });
    expect(loss).toBeCloseTo(changes.reduce((a, b) => a + b, 0) / 6, 5);
  }
  const sizes = ranked.map(({ loss }) => Math.abs(loss!));
  expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
});

/** The batch's own statistics in evaluation too: a sample's output depends on the others of its batch. */
class Entangled extends nn.Module {
  fc1 = new nn.Linear(3, 4);
  norm = new nn.BatchNorm1d(4, { trackRunningStats: false });
  conv = new nn.Conv1d(1, 2, 1);
  fc2 = new nn.Linear(8, 2);

  forward(x: Tensor): Tensor {
    const h = this.conv(this.fc1(x).unsqueeze(1));
    const mean = h.mean();
    return this.fc2(h.sub(mean).flatten(1));
  }
}

test("where samples of a batch influence each other, each unit has a pass of its own", async () => {
  torch.manualSeed(1);
  const model = new Entangled();
  const asked = await interventionsOf(model, [inputs, torch.tensor([1, 0, 1])], new nn.CrossEntropyLoss());
  const { ranked, alone } = await rank(asked, {
    ...output("conv"),
    scope: { kind: "subject", subject: sample(0) },
    mode: "zero",
  });
  expect(alone).toBe(true);
  for (const { unit, loss } of ranked) {
    const { before, after } = asked.intervene({ subject: sample(0), interventions: [off("conv", unit)] });
    expect(loss).toBeCloseTo(after.loss! - before.loss!, 5);
  }
  expect(() => asked.intervene({ subject: sample(0), interventions: [off("norm", 0)] })).toThrow(
    "Entangled.forward() doesn't call norm for this input.",
  );
});

test("a stopped ranking gives nothing", async () => {
  const model = await known();
  const stop = new AbortController();
  stop.abort();
  const query = { ...output("relu"), scope: { kind: "set" as const }, mode: "zero" as const };
  expect(await model.rank(query, { tell: () => undefined, signal: stop.signal })).toBeNull();
});

test("of a layer with very many units, the most active ones are ranked", async () => {
  const wide = new nn.Sequential(new nn.Linear(3, 1500), new nn.ReLU(), new nn.Linear(1500, 2));
  const asked = await interventionsOf(wide, [inputs, torch.tensor([1, 0, 1])], new nn.CrossEntropyLoss());
  const { units, ablated, ranked } = await rank(asked, {
    ...output("1"),
    scope: { kind: "subject", subject: sample(0) },
    mode: "zero",
  });
  expect([units, ablated, ranked.length]).toEqual([1500, 1024, 128]);
});
