// Pictures of what layers give while they are trained.
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import * as v from "valibot";
import { data, experiment, F, nn, optim, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { PICTURES_FILE, PictureRow, pictureValues } from "../../../../extension/protocol/layers/pictures.ts";
import { useEngine } from "../../../engines.ts";
import { useFolder } from "../../../folders.ts";
import { train, weightsOf, type Parameters } from "../training.ts";

const folder = useFolder();
useEngine("cpu");

const rows = (): PictureRow[] =>
  fs
    .readFileSync(path.join(folder, PICTURES_FILE), "utf8")
    .trim()
    .split("\n")
    .map((line) => v.parse(PictureRow, JSON.parse(line)));

const common = {
  seed: 1,
  optimizer: (parameters: Parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  batchSize: 16,
  epochs: 2,
};

class Planar extends nn.Module {
  hidden = new nn.Linear(2, 12);
  act = new nn.Tanh();
  out = new nn.Linear(12, 2);
  forward(x: Tensor): Tensor {
    return this.act(this.out(this.act(this.hidden(x))));
  }
}

const planar = {
  ...common,
  model: () => new Planar(),
  data: () => data.twoMoons({ samples: 64, noise: 0.1, seed: 0 }),
  loss: new nn.CrossEntropyLoss(),
};

test("each unit of a model of two numbers is drawn over the plane of its training data", async () => {
  const { prepared } = await train(experiment({ ...planar, watch: { logFreq: 2 } }), 1, { folder });
  const all = rows();
  expect(all.map(({ step }) => step)).toEqual([2, 4, 6, 8]);
  const last = all.at(-1)!;
  expect(Object.keys(last.layers)).toEqual(["hidden", "act", "out", "act#2", ""]);
  const hidden = last.layers["hidden"]!;
  expect(hidden).toMatchObject({ kind: "plane", units: 12, drawn: 8, height: 24, width: 24, size: [24, 24] });
  const { input } = last;
  if (input.kind !== "plane") throw new Error(input.kind);
  expect(input).toMatchObject({ names: ["x₁", "x₂"], classes: true });
  expect(input.points).toHaveLength(64);
  for (const [x, y] of input.points) {
    expect(x > input.x[0] && x < input.x[1]).toBe(true);
    expect(y > input.y[0] && y < input.y[1]).toBe(true);
  }
  // The weights of the end at the cell in the third row from the top, fifth from the left; unit 3.
  const [weights, bias] = [...prepared.model.parameters()];
  const x = input.x[0] + (4.5 / 24) * (input.x[1] - input.x[0]);
  const y = input.y[1] - (2.5 / 24) * (input.y[1] - input.y[0]);
  const [a, b] = (weights!.tolist() as number[][])[3]!;
  const expected = a! * x + b! * y + (bias!.tolist() as number[])[3]!;
  expect(pictureValues(hidden)![3 * 576 + 2 * 24 + 4]).toBeCloseTo(expected, 3);
  expect(pictureValues(last.layers["act"]!)![3 * 576 + 2 * 24 + 4]).toBeCloseTo(Math.tanh(expected), 3);
  // They change no results, and the first ones differ from the last.
  const alone = await train(experiment({ ...planar, watch: false }), 1);
  expect(weightsOf(prepared)).toEqual(weightsOf(alone.prepared));
  expect(all[0]!.layers["out"]!.values).not.toBe(last.layers["out"]!.values);
});

class Picturesque extends nn.Module {
  conv = new nn.Conv2d(1, 10, 3);
  line = new nn.Conv1d(10, 3, 3);
  attention = new nn.MultiheadAttention(36, 4, { batchFirst: true });
  out = new nn.Linear(36, 3);
  forward(x: Tensor): Tensor {
    const maps = this.conv(x);
    const flat = maps.flatten(2);
    const [attended] = this.attention(flat, flat, flat);
    const heads = attended.reshape(x.shape[0]!, 10, 2, 18).transpose(1, 2);
    const again = F.scaledDotProductAttention(heads, heads, heads);
    return this.out(attended.add(again.transpose(1, 2).reshape(x.shape[0]!, 10, 36)).mean(1)).add(
      this.line(flat).mean(2),
    );
  }
}

test("channels of convolutions and heads of attention are drawn for the first validation sample", async () => {
  torch.manualSeed(3);
  const [x, y] = [torch.randn(40, 1, 8, 8), torch.randint(0, 3, [40])];
  const { prepared } = await train(
    experiment({
      ...common,
      model: () => new Picturesque(),
      data: () => new data.TensorDataset(x, y),
      validation: new data.TensorDataset(x.neg(), y),
      loss: new nn.CrossEntropyLoss(),
      watch: { logFreq: 3 },
    }),
    1,
    { folder },
  );
  const last = rows().at(-1)!;
  expect(last.input).toEqual({ kind: "sample", split: "validation", index: 0 });
  expect(Object.keys(last.layers).sort()).toEqual(["", "attention", "conv", "line"]);
  const { conv, line, attention, "": own } = last.layers;
  expect(conv).toMatchObject({ kind: "map", units: 10, drawn: 8, size: [6, 6], height: 6, width: 6 });
  expect(line).toMatchObject({ kind: "map", units: 3, drawn: 3, size: [1, 34] });
  expect([line!.height, line!.width]).toEqual([1, 17]);
  expect(attention).toMatchObject({ kind: "attention", units: 4, drawn: 4, size: [10, 10] });
  expect(own).toMatchObject({ kind: "attention", units: 2, size: [10, 10] });
  prepared.model.eval();
  const maps = (prepared.model as Picturesque)
    .conv(x.neg().narrow(0, 0, 1))
    .flatten()
    .tolist() as number[];
  pictureValues(conv!)!.forEach((value, i) => expect(value).toBeCloseTo(maps[i]!, 3));
  // Each query's attention adds up to 1.
  for (const one of [attention!, own!]) {
    const values = pictureValues(one)!;
    for (let row = 0; row < values.length; row += 10)
      expect(values.subarray(row, row + 10).reduce((a, b) => a + b)).toBeCloseTo(1, 3);
  }
});

test("values that aren't finite stay so", async () => {
  const model = (): nn.Module => {
    const linear = new nn.Linear(2, 2);
    nn.init.constant_(linear.weight, 1);
    nn.init.constant_(linear.bias!, 0);
    return new nn.Sequential(linear, new Logarithm());
  };
  await train(experiment({ ...planar, model, terminateOnNan: false, watch: { logFreq: 100 } }), 1, {
    folder,
  });
  const values = pictureValues(rows().at(-1)!.layers["1"]!)!;
  expect(values.some(Number.isNaN)).toBe(true);
});

class Logarithm extends nn.Module {
  forward(x: Tensor): Tensor {
    return x.log();
  }
}

test("models without pictures, and those that refuse the input, are trained without any", async () => {
  class Refusing extends nn.Module {
    fc = new nn.Linear(2, 2);
    forward(x: Tensor): Tensor {
      if (x.shape[0] !== 16) throw new Error("sixteen samples only");
      return this.fc(x);
    }
  }
  const refusing = { ...planar, model: () => new Refusing(), watch: { logFreq: 2 } };
  const { state } = await train(experiment({ ...refusing, watch: false }), 1, { folder });
  expect(state.step).toBe(8);
  expect(fs.existsSync(path.join(folder, PICTURES_FILE))).toBe(false);
  await train(experiment(refusing), 1, { folder });
  expect(fs.existsSync(path.join(folder, PICTURES_FILE))).toBe(false);
});
