// format() against Python's own.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { format, torch } from "layerwise";
import { useEngine } from "../../engines.ts";

type Case = [value: number | string | boolean, spec: string, text: string | null, error?: string];

const cases = JSON.parse(
  readFileSync(new URL("../../fixtures/format/format.json", import.meta.url), "utf8"),
) as Case[];

const NUMBERS: Readonly<Record<string, number>> = { inf: Infinity, "-inf": -Infinity, nan: NaN, "-0": -0 };

useEngine("cpu");

const written = (value: Case[0], spec: string): string | null => {
  try {
    return format(typeof value === "string" ? (NUMBERS[value] ?? value) : value, spec);
  } catch {
    return null;
  }
};

test("numbers and texts are written as Python writes them", () => {
  const wrong = cases
    .map(([value, spec, text]) => ({ value, spec, text, ours: written(value, spec) }))
    .filter(({ text, ours }) => text !== ours);
  expect(wrong).toEqual([]);
});

test("refuses what Python refuses, in its words", () => {
  for (const [value, spec, text, error] of cases) {
    if (text === null) expect(() => format(value, spec)).toThrow(error);
  }
});

test("rounds halves to even, where toFixed rounds them up", () => {
  expect(
    [0.5, 2.5, 0.125].map((x, i) => [format(x, i < 2 ? ".0f" : ".2f"), x.toFixed(i < 2 ? 0 : 2)]),
  ).toEqual([
    ["0", "1"],
    ["2", "3"],
    ["0.12", "0.13"],
  ]);
});

test("a tensor of one element is formatted as its value", () => {
  expect(format(torch.tensor(0.123456), ".4f")).toBe("0.1235");
  expect(format(torch.tensor(2), "5d")).toBe("    2");
  expect(format(torch.tensor(3, { dtype: "float32" }))).toBe("3.0");
});
