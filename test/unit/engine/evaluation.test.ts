import { assert, expect, test } from "vitest";
import {
  decisions,
  probabilities,
  sampleLosses,
  taskOf,
} from "../../../extension/engine/evaluation/decisions.ts";
import { describeForm, formOf } from "../../../extension/engine/evaluation/inputForm.ts";
import { inputsOf, madeOf } from "../../../extension/engine/evaluation/samples.ts";
import { evenly, histogram, regressionOf } from "../../../extension/engine/evaluation/report.ts";
import { shrunk } from "../../../extension/engine/evaluation/pictures.ts";
import { nn, torch } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

const sources = {
  model: new nn.Linear(2, 2),
  codes: [],
  names: undefined,
  encodeRow: (row: readonly number[]) => row,
};

test("a yes-or-no model is a classification of two classes", () => {
  const loss = new nn.BCEWithLogitsLoss();
  const output = torch.tensor([[-1], [2], [0.5]]);
  const target = torch.tensor([[0], [1], [0]]).float();
  expect(decisions(output, target, loss)).toMatchObject({ classes: 2 });
  expect([...decisions(output, target, loss)!.predicted]).toEqual([0, 1, 1]);
  expect(taskOf(output, target, { loss, single: false })).toBe("classification");
  expect(probabilities([0], loss)).toEqual([0.5, 0.5]);
  expect(taskOf(output, target, { loss: new nn.MSELoss(), single: false })).toBe("regression");
  expect(taskOf(output, output, { loss: undefined, single: true })).toBe("generation");
});

test("the loss of each sample is the experiment's own, whose reduction stays what it was", () => {
  const loss = new nn.MSELoss();
  const losses = sampleLosses(
    torch
      .tensor([
        [1, 3],
        [0, 0],
      ])
      .float(),
    torch.zeros(2, 2),
    loss,
  );
  expect([...losses!]).toEqual([5, 0]);
  expect(loss.reduction).toBe("mean");
});

test("a scaled table's columns are shown in the units of the file", () => {
  const input = torch
    .tensor([
      [-1, 0],
      [1, 2],
      [0, 1],
    ])
    .float();
  const encodeRow = ([a, b]: readonly number[]): number[] => [(a! - 10) / 2, b!];
  const form = formOf([input, torch.zeros(3)], { ...sources, names: ["size", "age"], encodeRow });
  expect(describeForm(form)).toEqual({
    kind: "row",
    columns: [
      { name: "size", minimum: 8, maximum: 12, start: 10 },
      { name: "age", minimum: 0, maximum: 2, start: 1 },
    ],
  });
});

test("a series is edited step by step, several inputs one after the other, and each goes where it belongs", () => {
  const series = formOf([torch.arange(12).float().reshape([2, 3, 2]), torch.zeros(2)], {
    ...sources,
    names: ["rain", "wind"],
  });
  assert(series.kind === "row");
  expect(series.names).toEqual([1, 2, 3].flatMap((step) => [`rain, step ${step}`, `wind, step ${step}`]));
  const values = [6, 7, 8, 9, 10, 11];
  const [window] = inputsOf({ kind: "row", values }, series, torch.zeros(3, 2));
  expect(window.tolist()).toEqual([
    [
      [6, 7],
      [8, 9],
      [10, 11],
    ],
  ]);
  expect(madeOf([window], series)).toEqual({ kind: "row", values });

  const two = formOf([torch.randn(4, 2), torch.randint(0, 5, [4, 1]), torch.zeros(4)], sources);
  assert(two.kind === "row");
  expect(two.names).toEqual(["input 1: x1", "input 1: x2", "input 2: x"]);
  const [numbers, category] = inputsOf({ kind: "row", values: [1, 2, 2.8] }, two, torch.zeros(2));
  expect([numbers.tolist(), category!.tolist(), category!.dtype]).toEqual([[[1, 2]], [[3]], "int64"]);
  expect(() => inputsOf({ kind: "row", values: [1] }, two, torch.zeros(2))).toThrow(
    "Got 1 numbers, expected 3.",
  );
});

test("a sample is told as a person would draw or type it; what can't be typed isn't", () => {
  const image = torch.zeros(1, 1, 8, 8);
  image.select(2, 3).fill_(1);
  const drawn = formOf([image, torch.zeros(1)], sources);
  const made = madeOf([image], drawn);
  expect(made?.kind === "image" && made.pixels.filter((pixel) => pixel === 1).length).toBe(8);
  const letters = ["a", "b", "c"];
  const coder = {
    unit: "characters" as const,
    size: 3,
    encode: (text: string) => text.split("").map((letter) => letters.indexOf(letter)),
    token: (id: number) => letters[id] ?? "?",
  };
  const form = { kind: "text" as const, coder, length: 4, pad: undefined, lead: undefined };
  expect(madeOf([torch.tensor([[2, 0, 1, 0]])], form)).toEqual({ kind: "text", text: "caba" });
  expect(madeOf([torch.tensor([[2, 0, 7, 0]])], form)).toBeUndefined();
});

test("images of ink say how large it is and where; photographs don't", () => {
  const image = torch.zeros(4, 1, 8, 8);
  image.narrow(2, 2, 4).narrow(3, 3, 2).fill_(1);
  expect(describeForm(formOf([image, torch.zeros(4)], sources))).toEqual({
    kind: "image",
    channels: 1,
    height: 8,
    width: 8,
    ink: { extent: 0.5, x: 0.5, y: 0.5 },
  });
  const bright = formOf([torch.ones(4, 1, 8, 8), torch.zeros(4)], sources);
  expect(bright).toMatchObject({ kind: "image", ink: undefined });
});

test("a regression's figures, and residuals around zero", () => {
  const report = regressionOf({ actual: [1, 2, 3, 4], predicted: [1, 2, 3, 6] }, "y");
  expect(report).toMatchObject({ meanAbsoluteError: 0.5, rootMeanSquaredError: 1, bias: 0.5 });
  expect(report.r2).toBeCloseTo(0.2, 12);
  const { minimum, maximum, counts } = histogram([-1, 0, 0, 3, Number.NaN]);
  expect([minimum, maximum, counts[20], counts[40]]).toEqual([-3, 3, 2, 1]);
  expect(evenly(10, 4)).toEqual([0, 2, 5, 7]);
});

test("large images become smaller by means", () => {
  const values = Float32Array.from({ length: 16 }, (_, i) => i);
  const small = shrunk({ values, channels: 1, height: 4, width: 4, low: [0], high: [1] }, 2);
  expect([small.height, small.width, ...Array.from(small.values)]).toEqual([2, 2, 2.5, 4.5, 10.5, 12.5]);
});
