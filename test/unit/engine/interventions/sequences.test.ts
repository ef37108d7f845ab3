// Heads of attentions, regressions, and layers whose units can't be changed.
import { expect, test } from "vitest";
import type { ModelInterventions } from "../../../../extension/engine/evaluation/modelInterventions.ts";
import { F, nn, torch, type Tensor } from "../../../../extension/nn/index.ts";
import type { Intervention } from "../../../../extension/protocol/interventions.ts";
import { useEngine } from "../../../engines.ts";
import { decodePng } from "../../../../extension/formats/images/png.ts";
import { interventionsOf, off, output, rank, sample } from "./intervening.ts";

useEngine("cpu");

/** Attention of two heads, and a recurrent layer, which gives a pair. */
class Sequence extends nn.Module {
  attention = new nn.MultiheadAttention(4, 2, { batchFirst: true });
  lstm = new nn.LSTM(4, 4, { batchFirst: true });
  fold = new Fold();
  fc = new nn.Linear(4, 1);

  forward(x: Tensor): Tensor {
    const [attended] = this.attention(x, x, x);
    const [hidden] = this.lstm(attended);
    this.fold(hidden);
    return this.fc(hidden.add(x).mean(1));
  }
}

/** Joins batch and positions. */
class Fold extends nn.Module {
  forward(x: Tensor): Tensor {
    return x.reshape(-1, 4);
  }
}

const sequences = async (): Promise<{ model: Sequence; asked: ModelInterventions; x: Tensor; y: Tensor }> => {
  torch.manualSeed(2);
  const model = new Sequence();
  const [x, y] = [torch.randn(4, 5, 4), torch.randn(4, 1)];
  return { model, x, y, asked: await interventionsOf(model, [x, y], new nn.MSELoss()) };
};

test("a head of an attention switched off is an output projection without the head's columns", async () => {
  const { model, asked, x, y } = await sequences();
  const head: Intervention = { layer: "attention", part: "heads", unit: 1, by: { mode: "zero" } };
  const { layers, units, before, after } = asked.intervene({
    subject: sample(2),
    interventions: [head],
    of: { layer: "attention", part: "heads" },
  });
  expect(layers[0]).toEqual({
    layer: "attention",
    part: "heads",
    type: "MultiheadAttention",
    kind: "head",
    units: 2,
  });
  expect(units!.values).toHaveLength(2);
  // A regression: the output before and after, and no classes.
  expect(before.probabilities).toBeUndefined();
  expect(before.output).toMatchObject({ kind: "numbers", shape: [1] });
  const one = x.narrow(0, 2, 1);
  expect(before.loss).toBeCloseTo(torch.noGrad(() => F.mseLoss(model(one), y.narrow(0, 2, 1))).item(), 5);
  torch.noGrad(() => model.attention.outProj.weight.narrow(1, 2, 2).zero_());
  expect(after.loss).toBeCloseTo(torch.noGrad(() => F.mseLoss(model(one), y.narrow(0, 2, 1))).item(), 5);
  expect(after.loss).not.toBeCloseTo(before.loss!, 4);
});

test("heads have pictures of what they attend to: a row for each query, white for the largest weight", async () => {
  const { model, asked, x } = await sequences();
  const of = { layer: "attention", part: "heads" } as const;
  const { units } = asked.intervene({ subject: sample(1), interventions: [], of });
  const one = x.narrow(0, 1, 1);
  const [, weights] = torch.noGrad(() => model.attention(one, one, one, { averageAttnWeights: false }));
  const expected = weights!.flatten().tolist() as number[];
  const largest = Math.max(...expected);
  const drawn = units!.maps!.flatMap((png) => {
    const { width, height, data } = decodePng(Buffer.from(png, "base64"));
    expect([height, width]).toEqual([5, 5]);
    return Array.from({ length: 25 }, (_, at) => data[4 * at]!);
  });
  expect(drawn).toHaveLength(expected.length);
  drawn.forEach((grey, at) => expect(Math.abs(grey - (255 * expected[at]!) / largest)).toBeLessThan(1));
});

test("a regression's units are ranked by its loss, heads too", async () => {
  const { asked } = await sequences();
  const { ranked, probability } = await rank(asked, {
    layer: "attention",
    part: "heads",
    scope: { kind: "set" },
    mode: "zero",
  });
  expect(probability).toBeUndefined();
  for (const { unit, loss, output: moved, changed } of ranked) {
    const all = [0, 1, 2, 3].map((index) =>
      asked.intervene({
        subject: sample(index),
        interventions: [{ layer: "attention", part: "heads", unit, by: { mode: "zero" } }],
      }),
    );
    const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / 4;
    expect(loss).toBeCloseTo(mean(all.map(({ before, after }) => after.loss! - before.loss!)), 5);
    expect(moved).toBeGreaterThan(0);
    expect(changed).toBeUndefined();
  }
});

/** Attention of BERT, and one that is written with the function. */
class Attentions extends nn.Module {
  bert = new nn.BertModel({
    vocabSize: 12,
    hiddenSize: 8,
    numHiddenLayers: 1,
    numAttentionHeads: 4,
    intermediateSize: 8,
    maxPositionEmbeddings: 6,
  });
  own = new OwnAttention();
  fc = new nn.Linear(8, 2);

  forward(ids: Tensor): Tensor {
    return this.fc(this.own(this.bert(ids).lastHiddenState).mean(1));
  }
}

class OwnAttention extends nn.Module {
  projection = new nn.Linear(8, 24);

  forward(x: Tensor): Tensor {
    const [q, k, v] = this.projection(x)
      .chunk(3, 2)
      .map((one) => one.unflatten(2, [2, 4]).transpose(1, 2)) as [Tensor, Tensor, Tensor];
    return F.scaledDotProductAttention(q, k, v).transpose(1, 2).flatten(2);
  }
}

test("heads of BERT and of attentions by F.scaledDotProductAttention are the slices of their joined outputs", async () => {
  torch.manualSeed(4);
  const [x, y] = [torch.randint(0, 12, [3, 5]), torch.tensor([0, 1, 0])];
  const model = new Attentions();
  const asked = await interventionsOf(model, [x, y], new nn.CrossEntropyLoss());
  const { layers } = asked.intervene({ subject: sample(0), interventions: [] });
  const heads = layers.filter(({ part }) => part === "heads");
  expect(heads.map(({ layer, units }) => [layer, units])).toEqual([
    ["bert.encoder.layer.0.attention.self", 4],
    ["own", 2],
  ]);
  for (const { layer, units } of heads) {
    const by: Intervention["by"] = { mode: "zero" };
    const width = 8 / units;
    const joined = Array.from({ length: width }, (_, i): Intervention => ({
      ...output(layer),
      unit: width + i,
      by,
    }));
    const change = (interventions: Intervention[]) => asked.intervene({ subject: sample(1), interventions });
    const { before, after } = change([{ layer, part: "heads", unit: 1, by }]);
    expect(after.loss).toBeCloseTo(change(joined).after.loss!, 5);
    expect(after.loss).not.toBeCloseTo(before.loss!, 5);
  }
});

/** Takes one sample only. */
class Single extends nn.Module {
  fc = new nn.Linear(20, 2);

  forward(x: Tensor): Tensor {
    return this.fc(x.reshape(1, 20));
  }
}

test("a model that takes one sample only says so", async () => {
  const [x, y] = [torch.randn(1, 5, 4), torch.randn(1, 2)];
  const asked = await interventionsOf(new Single(), [x, y], new nn.MSELoss());
  expect(() => asked.intervene({ subject: sample(0), interventions: [] })).toThrow(
    "Single can't compute several copies of the sample at once, which tells the batch dimension of its layers: shape '[1, 20]' is invalid for input of size 40",
  );
});

test("layers whose units can't be told apart say why", async () => {
  const { asked } = await sequences();
  const { refused } = asked.intervene({ subject: sample(0), interventions: [] });
  expect(refused).toEqual([
    { layer: "lstm", reason: "lstm (LSTM) gives 2 values in place of one tensor" },
    {
      layer: "fold",
      reason: "fold (Fold) gives [10, 4] for 2 samples and [15, 4] for 3: no dimension is the batch",
    },
  ]);
  const change = (one: Intervention) => () => asked.intervene({ subject: sample(0), interventions: [one] });
  expect(change(off("lstm", 0))).toThrow("lstm (LSTM) gives 2 values in place of one tensor.");
  expect(change(off("nothing", 0))).toThrow('Sequence has no module "nothing".');
  expect(change(off("", 0))).toThrow("The model's own output is no layer: choose one of its modules.");
  expect(change({ ...off("fc", 0), part: "heads" })).toThrow(
    "fc computes no attention of several heads for this input.",
  );
  expect(change(off("fc", 1))).toThrow("fc has 1 unit, so there is no unit 1.");
});
