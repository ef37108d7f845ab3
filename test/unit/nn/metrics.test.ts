// Measures against scikit-learn's (test/fixtures/metrics/make.py), whole and in batches of different sizes.
import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { metrics, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

interface Case {
  name: string;
  kind: "classes" | "binary" | "regression";
  output: number[] | number[][];
  target: number[] | number[][];
  expect: Record<string, unknown>;
}

const file = new URL("../../fixtures/metrics/metrics.json", import.meta.url);
const { cases } = JSON.parse(fs.readFileSync(file, "utf8")) as { cases: Case[] };

useEngine("cpu");

/** A metric's value for a case, all at once and batch by batch; both must agree, and so must merged ones. */
function measured<R>(metric: metrics.Metric<object, R>, { output, target, kind }: Case): R {
  const tensors = (from: number, to: number): [Tensor, Tensor] => {
    const y = torch.tensor(target.slice(from, to));
    const x = torch.tensor(output.slice(from, to)).float();
    return [x, kind === "regression" ? y.float() : y.long()];
  };
  metric.update(...tensors(0, target.length));
  const whole = metric.compute();
  metric.reset();
  const merged = metric.fresh();
  for (const [from, to] of [
    [0, 4],
    [4, 9],
    [9, target.length],
  ] as const) {
    const batch = metric.fresh();
    batch.update(...tensors(from, to));
    merged.merge(batch);
    metric.update(...tensors(from, to));
  }
  for (const other of [metric.compute(), merged.compute()])
    if (typeof whole === "number") expect(other).toBeCloseTo(whole, 9);
    else expect(other).toEqual(whole);
  return whole;
}

const of = (kind: Case["kind"]) => cases.filter((one) => one.kind === kind);

describe.each(of("classes"))("$name", (one) => {
  test("accuracy, top k and confusion matrix", () => {
    expect(measured(new metrics.Accuracy(), one)).toBeCloseTo(one.expect["accuracy"] as number, 12);
    for (const topK of [2, 3]) {
      const expected = one.expect[`top${topK}`];
      if (expected === undefined) continue;
      expect(measured(new metrics.Accuracy({ topK }), one)).toBeCloseTo(expected as number, 12);
    }
    expect(measured(new metrics.ConfusionMatrix(), one)).toEqual(one.expect["confusion"]);
  });

  test.each(["macro", "micro", "weighted"] as const)("precision, recall and F1, %s", (average) => {
    const expected = one.expect[average] as Record<string, number>;
    expect(measured(new metrics.Precision({ average }), one)).toBeCloseTo(expected["precision"]!, 12);
    expect(measured(new metrics.Recall({ average }), one)).toBeCloseTo(expected["recall"]!, 12);
    expect(measured(new metrics.F1Score({ average }), one)).toBeCloseTo(expected["f1"]!, 12);
  });

  test("each class by itself", () => {
    const expected = one.expect["perClass"] as Record<string, number[]>;
    const f1 = new metrics.F1Score();
    measured(f1, one);
    f1.perClass().forEach((value, i) => expect(value).toBeCloseTo(expected["f1"]![i]!, 12));
  });
});

describe.each(of("binary"))("binary: $name", (one) => {
  test("is measured by its positive class", () => {
    const expected = one.expect["binary"] as Record<string, number>;
    expect(measured(new metrics.Accuracy(), one)).toBeCloseTo(one.expect["accuracy"] as number, 12);
    expect(measured(new metrics.ConfusionMatrix(), one)).toEqual(one.expect["confusion"]);
    expect(measured(new metrics.Precision(), one)).toBeCloseTo(expected["precision"]!, 12);
    expect(measured(new metrics.Recall(), one)).toBeCloseTo(expected["recall"]!, 12);
    expect(measured(new metrics.F1Score(), one)).toBeCloseTo(expected["f1"]!, 12);
  });

  test("the same of logits, which are told by their range or by the option", () => {
    const logits = torch.tensor([-2, 0.3, 0.2, -0.1]);
    const target = torch.tensor([0, 1, 1, 1]);
    expect(metrics.accuracy(logits, target)).toBe(0.75);
    expect(metrics.accuracy(logits.narrow(0, 1, 2), target.narrow(0, 1, 2))).toBe(0);
    expect(metrics.accuracy(logits.narrow(0, 1, 2), target.narrow(0, 1, 2), { logits: true })).toBe(1);
    expect(metrics.accuracy(logits.reshape(4, 1), target.reshape(4, 1).float())).toBe(0.75);
  });
});

describe.each(of("regression"))("regression: $name", (one) => {
  test.each([
    ["mae", () => new metrics.MeanAbsoluteError()],
    ["mse", () => new metrics.MeanSquaredError()],
    ["rmse", () => new metrics.MeanSquaredError({ squared: false })],
    ["r2", () => new metrics.R2Score()],
  ] as const)("%s", (name, make) => {
    expect(measured<number>(make(), one)).toBeCloseTo(one.expect[name] as number, 6);
  });
});

describe("edges", () => {
  test("scores with more dimensions, and a class that is ignored", () => {
    const scores = torch.tensor([
      [
        [1, 5, 2],
        [3, 1, 2.5],
      ],
    ]);
    const target = torch.tensor([[1, 0, 0]]);
    expect(metrics.accuracy(scores, target)).toBeCloseTo(2 / 3, 12);
    expect(metrics.accuracy(scores, torch.tensor([[1, 0, -100]]), { ignoreIndex: -100 })).toBe(1);
    expect(metrics.confusionMatrix(scores, target)).toEqual([
      [1, 1],
      [0, 1],
    ]);
  });

  test("probabilities of the classes as targets; yes-or-no answers when they are said to be", () => {
    const scores = torch.tensor([
      [2, -1, 0.5],
      [0.1, -1, 3],
    ]);
    const target = torch.tensor([
      [0.9, 0.1, 0],
      [0.8, 0.1, 0.1],
    ]);
    expect(metrics.accuracy(scores, target)).toBe(0.5);
    expect(metrics.accuracy(scores, target.gt(0.5).float(), { logits: true })).toBeCloseTo(4 / 6, 12);
  });

  test("classes against classes grow as they come", () => {
    const matrix = new metrics.ConfusionMatrix();
    matrix.update(torch.tensor([0, 1]), torch.tensor([0, 0]));
    matrix.update(torch.tensor([2]), torch.tensor([1]));
    expect(matrix.compute()).toEqual([
      [1, 1, 0],
      [0, 0, 1],
      [0, 0, 0],
    ]);
  });

  test("nothing seen is NaN; targets that never change", () => {
    expect(new metrics.Accuracy().compute()).toBeNaN();
    expect(new metrics.F1Score().compute()).toBeNaN();
    expect(new metrics.R2Score().compute()).toBeNaN();
    expect(metrics.r2Score(torch.tensor([1, 2]), torch.tensor([2, 2]).float())).toBe(0);
    expect(metrics.r2Score(torch.tensor([2.5, 2.5]), torch.tensor([2.5, 2.5]))).toBe(1);
  });

  test("what doesn't fit together is refused", () => {
    expect(() => metrics.accuracy(torch.zeros(3, 2), torch.zeros(4).long())).toThrow("got [3, 2] and [4]");
    expect(() => metrics.confusionMatrix(torch.zeros(1, 2), torch.tensor([2]))).toThrow(
      "Target 2 is out of bounds.",
    );
    expect(() => metrics.meanAbsoluteError(torch.zeros(3), torch.zeros(4))).toThrow(
      "predictions and targets are expected to have the same shape, got [3] and [4]",
    );
    expect(() => new metrics.Accuracy({ topK: 0 })).toThrow("topK to be a whole number of at least 1");
    expect(() => new metrics.F1Score({ average: "none" as never })).toThrow('got "none"');
  });
});
