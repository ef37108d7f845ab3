import fs from "node:fs";
import { describe, expect, test } from "vitest";
import {
  compareLosses,
  figuresOf,
  markdown,
  ratiosOf,
  summary,
} from "../../../scripts/bench/programFigures.mjs";
import { generate, resize, type Sizes } from "../../../scripts/bench/programSizes.mjs";
import { inRoot } from "../../../scripts/project.mjs";

describe("a program's sizes", () => {
  const ts = `export const losses: number[] = [];
const batchSize = 8; // samples
const [nLayer, LR] = [2, 1e-3];
const TEXT = \`one
two\`;
`;
  const py = `losses = []
batch_size = 8  # samples
n_layer, LR = 2, 1e-3
TEXT = """one
two"""
`;
  const sizes = { batchSize: 32, LR: 0.5, TEXT: "da\nfa" };

  test("replace constants in both languages, alone and in lists, and leave the rest", () => {
    expect(resize(ts, "TypeScript", sizes, "a.nn.ts")).toBe(
      `export const losses: number[] = (globalThis as unknown as { recordedLosses: number[] }).recordedLosses;
const batchSize = 32; // samples
const [nLayer, LR] = [2, 0.5];
const TEXT = "da\\nfa";
`,
    );
    expect(resize(py, "Python", sizes, "a.py")).toBe(
      `losses = recorded_losses
batch_size = 32  # samples
n_layer, LR = 2, 0.5
TEXT = "da\\nfa"
`,
    );
  });

  test("fail for a constant that one language lacks, inside a function, or of another type", () => {
    const failure = "a.py has no number hidden_size at its top level, which test/bench/programs.json sets.";
    expect(() => resize(py, "Python", { hiddenSize: 4 }, "a.py")).toThrow(failure);
    expect(() => resize(`${py}def f():\n    hidden_size = 2\n`, "Python", { hiddenSize: 4 }, "a.py")).toThrow(
      failure,
    );
    expect(() => resize(`${py}hidden_size = batch_size\n`, "Python", { hiddenSize: 4 }, "a.py")).toThrow(
      failure,
    );
    expect(() => resize(ts, "TypeScript", { batchSize: "x" }, "a.nn.ts")).toThrow("has no text batchSize");
  });

  test("record losses that a list of names starts", () => {
    expect(resize("losses, checks = [], {}\n", "Python", {}, "a.py")).toBe(
      "losses, checks = recorded_losses, {}\n",
    );
    expect(() => resize("losses = [1]\n", "Python", {}, "a.py")).toThrow("an empty list");
  });

  test("generate the same text each time, with the lines, columns and vocabulary asked for", () => {
    const size = { lines: 300, words: [2, 4] as [number, number], vocabulary: 90, columns: 2 };
    const text = generate(size);
    expect(generate(size)).toBe(text);
    const lines = text.split("\n").map((line) => line.split("\t").map((column) => column.split(" ")));
    expect(lines).toHaveLength(300);
    for (const columns of lines) {
      expect(columns).toHaveLength(2);
      for (const { length } of columns) expect([2, 3, 4]).toContain(length);
    }
    expect(new Set(lines.flat(2)).size).toBe(90);
  });

  test("name constants that the programs of test/programs have", () => {
    const entries = Object.entries(
      JSON.parse(fs.readFileSync(inRoot("test", "bench", "programs.json"), "utf8")) as Record<
        string,
        { sizes: Sizes }
      >,
    );
    expect(entries.length).toBeGreaterThanOrEqual(25);
    for (const [name, { sizes }] of entries)
      for (const [language, file] of [
        ["TypeScript", `${name}.nn.ts`] as const,
        ["Python", `${name}.py`] as const,
      ]) {
        const text = fs.readFileSync(inRoot("test", "programs", name, file), "utf8");
        expect(resize(text, language, sizes, file)).not.toBe(text);
      }
  });
});

describe("a program's figures", () => {
  const run = (times: number[], total: number, peakMb = 100) => ({ losses: times, times, total, peakMb });

  test("are the first step, the longest pause, and the speed of the second half", () => {
    // Steps of 100, 50, 10, 10, 30 and 10 ms.
    expect(figuresOf([run([100, 150, 160, 170, 200, 210], 300)], 1)).toEqual({
      steps: 6,
      stepsPerSecond: 3000 / 50,
      firstStepMs: 100,
      pauseMs: 20,
      totalMs: 300,
      afterwardsMs: 90,
      peakMb: 100,
    });
  });

  test("count several losses as one step, and take medians over the rounds", () => {
    const [short, long] = [
      run([1, 10, 11, 20, 21, 30, 31, 40], 40, 1),
      run([1, 10, 11, 20, 21, 60, 61, 99], 99, 2),
    ];
    expect(figuresOf([short, short, long], 2)).toMatchObject({
      steps: 4,
      stepsPerSecond: 100,
      firstStepMs: 10,
      pauseMs: 0,
      totalMs: 40,
      peakMb: 1,
    });
    expect(() => figuresOf([short], 3)).toThrow("2 steps are too few");
  });

  const figures = figuresOf([run([10, 20, 30, 40, 50], 100)], 1);
  const slow = { ...figures, stepsPerSecond: figures.stepsPerSecond / 4, totalMs: 200, peakMb: 200 };
  const fast = { name: "fast", equal: true, torch: slow, ours: figures };
  const rows = [fast, { name: "slow", equal: false, torch: figures, ours: slow }];

  test("give ratios above 1 where Layerwise is faster, and the time after the last step only if it is long", () => {
    expect(ratiosOf(fast)).toEqual({ step: 4, whole: 2, afterwards: undefined });
    const sampling = { ...slow, afterwardsMs: 300 };
    expect(ratiosOf({ ...fast, torch: sampling })).toMatchObject({ afterwards: 6 });
  });

  test("show every ratio below 1, the mean and the minimum", () => {
    expect(markdown(rows).split("\n").slice(2, 4)).toEqual([
      "| fast | 25.0 | 100 | 4.00 | 2.00 | – | 10/10 | 0/0 | 100/200 | equal |",
      "| slow | 100 | 25.0 | **0.25** | **0.50** | – | 10/10 | 0/0 | 200/100 | DIFFER |",
    ]);
    expect(summary(rows).split("\n")).toEqual([
      "a step: geometric mean 1.00, minimum 0.25, 1 of 2 below 1",
      "whole run: geometric mean 1.00, minimum 0.50, 1 of 2 below 1",
      "peak memory: geometric mean 1.00, minimum 0.50, 1 of 2 below 1",
    ]);
  });
});

describe("losses", () => {
  const expected = Array.from({ length: 60 }, () => 2);
  const changed = (at: number, value: number) => expected.with(at, value);

  test("are equal within a tolerance that grows with the steps", () => {
    expect(compareLosses(changed(0, 2.0001), expected)).toEqual([]);
    expect(compareLosses(changed(0, 2.0003), expected)).toEqual([
      "DIFFER: loss 1 is 2.0003, 2 in PyTorch (tolerance 1.0e-4)",
    ]);
    expect(compareLosses(changed(15, 2.001), expected)).toEqual([]);
    expect(compareLosses(changed(15, Number.NaN), expected)).toHaveLength(1);
  });

  test("have the same number and mean, unless only the first are compared", () => {
    expect(compareLosses(changed(59, 2.5), expected)).toEqual([]);
    const worse = expected.map((loss, i) => (i < 40 ? loss : 3));
    expect(compareLosses(worse, expected)[0]).toContain("DIFFER: the mean of the losses");
    expect(compareLosses(expected.slice(1), expected)).toEqual(["DIFFER: 59 losses, 60 in PyTorch"]);
    expect(compareLosses(worse, expected, 20)).toEqual([]);
    expect(compareLosses(expected.slice(0, 10), expected, 20)).toHaveLength(1);
  });
});
