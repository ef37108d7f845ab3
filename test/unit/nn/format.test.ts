// format() against Python's own.
import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { format, nn, print, torch } from "layerwise";
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

interface Container {
  value: Written;
  print: string;
  format: string;
  refused?: string;
}

type Written = null | boolean | number | string | Written[] | { [name: string]: Written };

/** A value of the fixtures, with its tensors. */
function built(x: Written): unknown {
  if (Array.isArray(x)) return x.map(built);
  if (typeof x !== "object" || x === null) return x;
  if ("tensor" in x) {
    // JSON doesn't tell 1.0 from 1.
    const whole = JSON.stringify(x["tensor"]) === "[[0,1,2],[3,4,5]]";
    const isBool = /true/.test(JSON.stringify(x["tensor"]));
    const dtype = isBool ? "bool" : whole ? "int64" : "float32";
    const t = torch.tensor(x["tensor"] as number[], { dtype });
    if (x["kind"] === "parameter") return new nn.Parameter(t);
    return x["kind"] === "mul" ? t.requiresGrad_().mul(2) : t;
  }
  if ("size" in x) return torch.zeros(x["size"] as number[]).shape;
  if ("linear" in x) return new nn.Linear(...(x["linear"] as [number, number]));
  if ("sequential" in x) return new nn.Sequential(...(built(x["sequential"]) as nn.Module[]));
  return Object.fromEntries(Object.entries(x).map(([name, value]) => [name, built(value)]));
}

const containers = JSON.parse(
  readFileSync(new URL("../../fixtures/print/containers.json", import.meta.url), "utf8"),
) as { cases: Container[] };

describe("lists and objects with tensors are written as Python writes them", () => {
  test.each(containers.cases.map((c) => [JSON.stringify(c.value), c] as const))("%s", (_, c) => {
    const value = built(c.value);
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    print(value);
    expect(log.mock.calls).toEqual([[c.print]]);
    expect(format(value)).toBe(c.format);
    const single = value instanceof torch.Tensor && value.numel() === 1;
    if (c.refused !== undefined && !single) expect(() => format(value, ".2f")).toThrow(c.refused);
    log.mockRestore();
  });

  test("sets", () => {
    expect([format(new Set([1, "a"])), format(new Set())]).toEqual(["{1, 'a'}", "set()"]);
  });
});
