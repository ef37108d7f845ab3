import { describe, expect, test } from "vitest";
import { allCases, parseCase } from "../../../scripts/bench/functions.mjs";
import { F, torch } from "../../../extension/nn/index.ts";

describe("functions to measure", () => {
  test("a line has a name, tensors, values and keyword arguments", () => {
    const { name, args, options } = parseCase(
      'F.pad f2x3 [1,1] i10:4x5 true "ij" [f2,f3] {"mode":"reflect"}',
    );
    expect(name).toBe("F.pad");
    expect(args).toEqual([
      { tensor: { kind: "f", shape: [2, 3] } },
      [1, 1],
      { tensor: { kind: "i", high: 10, shape: [4, 5] } },
      true,
      "ij",
      [{ tensor: { kind: "f", shape: [2] } }, { tensor: { kind: "f", shape: [3] } }],
    ]);
    expect(options).toEqual({ mode: "reflect" });
    expect(() => parseCase("abs f2x")).toThrow();
  });

  test("all exist", () => {
    const namespaces: Record<string, object> = {
      F,
      linalg: torch.linalg,
      fft: torch.fft,
      special: torch.special,
    };
    const missing = allCases()
      .map(({ name }) => name)
      .filter((name) => {
        const [last = "", space] = name.split(".").toReversed();
        const owner = space === undefined ? torch : namespaces[space]!;
        return !(last.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) in owner);
      });
    expect(missing).toEqual([]);
  });
});
