import { describe, expect, test } from "vitest";
import { compare, inspectRecord, type Program, type Recorded } from "../../../scripts/programs/compare.mjs";

const expected: Recorded = {
  torch: "2.15.0",
  noise: { words: "", losses: [0, 0, 1e-3] },
  losses: [1, 0.5, 0.25],
  checks: { accuracy: [0.75] },
  text: ["Epoch 1", "loss 0.25"],
};
const actual: Program = {
  losses: [1, 0.5, 0.25],
  checks: { accuracy: [0.75] },
  text: expected.text,
  warnings: [],
  seconds: 1,
};
const problems = (changes: Partial<Program>): string[] =>
  compare({ ...actual, ...changes }, expected).problems;

describe("a program's results", () => {
  test("equal PyTorch's within the tolerance, which noise widens from the step on that has it", () => {
    expect(problems({})).toEqual([]);
    expect(problems({ losses: [1.000009, 0.5, 0.2535] })).toEqual([]);
    expect(problems({ losses: [1, 0.5, 0.2545] })).toEqual([
      "losses: number 2 is 0.2545, 0.25 in PyTorch (tolerance 4.0e-3)",
    ]);
    expect(problems({ losses: [1, 0.5001, 0.25] })).toEqual([
      "losses: number 1 is 0.5001, 0.5 in PyTorch (tolerance 1.0e-5)",
    ]);
  });

  test("fail when losses are missing, too many or not numbers", () => {
    expect(problems({ losses: [1, 0.5] })).toEqual(["losses: 2 numbers, 3 in PyTorch"]);
    expect(problems({ losses: [1, 0.5, 0.25, 0.125] })).toEqual(["losses: 4 numbers, 3 in PyTorch"]);
    for (const wrong of [Number.NaN, null, "0.5", undefined])
      expect(problems({ losses: [1, wrong as number, 0.25] })).toHaveLength(1);
    expect(problems({ losses: undefined as unknown as number[] })).toEqual([
      "losses: there are none; PyTorch has 3",
    ]);
  });

  test("fail when a check differs, is missing or is unknown to PyTorch", () => {
    expect(problems({ checks: { accuracy: [0.76] } })).toHaveLength(1);
    expect(problems({ checks: {} })).toEqual(["checks.accuracy: there are none; PyTorch has 1"]);
    expect(problems({ checks: { accuracy: [0.75], more: [1] } })).toEqual([
      "checks.more: 1 numbers, 0 in PyTorch",
    ]);
  });

  test("fail at the first line of text that differs", () => {
    expect(problems({ text: ["Epoch 1", "loss 0.26"] })).toEqual([
      'text: line 2 is "loss 0.26"',
      '    in PyTorch "loss 0.25"',
    ]);
    expect(problems({ text: ["Epoch 1"] })).toEqual([
      "text: 1 lines, 2 in PyTorch",
      "text: line 2 is missing",
      '    in PyTorch "loss 0.25"',
    ]);
  });

  test("may warn of what PyTorch warns of", () => {
    const warnings = ["UserWarning: so"];
    expect(compare({ ...actual, warnings }, { ...expected, warnings }).problems).toEqual([]);
    expect(problems({ warnings })).toEqual(["PyTorch doesn't warn: UserWarning: so"]);
  });

  test("name the difference that is largest in terms of its tolerance", () => {
    const { difference, tolerance } = compare({ ...actual, losses: [1.00001, 0.5, 0.251] }, expected);
    expect([difference, tolerance]).toEqual([expect.closeTo(1e-5, 9), 1e-5]);
  });
});

describe("a record", () => {
  const refused = (changes: Partial<Recorded>): string | undefined =>
    inspectRecord({ ...expected, ...changes });

  test("is refused when its results are not fixed numbers", () => {
    expect(inspectRecord(expected)).toBeUndefined();
    expect(refused({ losses: [] })).toBe("it has no losses");
    expect(refused({ losses: [1, Number.NaN, 0.25] })).toBe("loss 1 is NaN");
    expect(refused({ noise: { words: "", losses: [0, 0.1, 0.1] } })).toBe(
      "loss 1 differs by 0.1 from run to run",
    );
  });

  test("is refused when a printed digit is near a rounding boundary", () => {
    expect(refused({ losses: [1, 0.5, 0.125003], text: ["loss 0.13"] })).toBe(
      "line 1 prints 0.13, which is near a rounding boundary: 0.125003",
    );
    expect(refused({ losses: [1, 0.5, 0.126], noise: expected.noise, text: ["loss 0.126"] })).toContain(
      "line 1",
    );
    expect(refused({ losses: [1, 0.126, 0.25], text: ["loss 0.13"] })).toBeUndefined();
    // Python rounds 0.8125 to even, JavaScript up.
    expect(refused({ losses: [1, 0.5, 0.8125], text: ["accuracy 0.812"] })).toContain(
      "rounding boundary: 0.8125",
    );
    expect(refused({ losses: [0, 0.5, 0.25], text: ["0.0000"] })).toBeUndefined();
  });
});
