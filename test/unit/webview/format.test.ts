import { describe, expect, test } from "vitest";
import type { ModelReport, SummaryRow } from "../../../extension/protocol/preview.ts";
import { calledLayers, layerTree, visibleLayers } from "../../../webview/architecture/layerTree.ts";
import {
  baseName,
  formatBytes,
  formatCompact,
  formatCount,
  formatDuration,
  formatMetric,
  formatMoment,
  formatMs,
  formatShare,
  formatTick,
} from "../../../webview/shared/format.ts";

test.each([
  [0.04321, "0.0432"],
  [2.3, "2.3000"],
  [0, "0.0000"],
  [-1.5, "-1.5000"],
  [0.0001, "0.0001"],
  [0.000015, "1.5000e-05"],
  [123_456_789, "1.2346e+08"],
  [1e-100, "1.0000e-100"],
  [Number.NaN, "nan"],
  [null, "nan"],
  [Number.POSITIVE_INFINITY, "inf"],
  [Number.NEGATIVE_INFINITY, "-inf"],
  [undefined, "–"],
])("formatMetric(%s) prints as PyTorch does: %s", (value, text) => {
  expect(formatMetric(value)).toBe(text);
});

test("formatMs has two digits, and no fraction from 100 ms on", () => {
  expect([0.0123, 0.25, 12.34, 1234.5].map(formatMs)).toEqual(["12 µs", "0.25 ms", "12 ms", "1235 ms"]);
});

test.each([
  [0.25, "0.25"],
  [0.30000000000000004, "0.3"],
  [0, "0"],
  [1e-5, "1e-05"],
  [20_000, "20k"],
  [1_500_000, "1.5M"],
  [100_000, "100k"],
  [100_200, "100.2k"],
  [-2_500_000, "-2.5M"],
  [1e9, "1e+09"],
  [3e17, "3e+17"],
  [-1.5e12, "-1.5e+12"],
  [1.5e-5, "1.5e-05"],
  [-0.00003000000000000001, "-3e-05"],
])("formatTick(%s) is %s", (value, text) => {
  expect(formatTick(value)).toBe(text);
});

test.each([
  [0, "0"],
  [999, "999"],
  [999.6, "1.00 k"],
  [61_706, "61.7 k"],
  [999_600, "1.00 M"],
  [109_482_240, "109 M"],
  [-2500, "-2.50 k"],
  [1.5e21, "1.50e+21"],
])("formatCompact(%s) is %s", (value, text) => {
  expect(formatCompact(value)).toBe(text);
});

test.each([
  [812, "812 B"],
  [55_440, "55.4 kB"],
  [246_824_000, "247 MB"],
  [999_999, "1.0 MB"],
])("formatBytes(%s) is %s", (value, text) => {
  expect(formatBytes(value)).toBe(text);
});

test.each([
  [0, "0 s"],
  [0.42, "0.4 s"],
  [9.97, "10 s"],
  [59.6, "1:00"],
  [245, "4:05"],
  [3723, "1:02:03"],
  [Number.POSITIVE_INFINITY, "–"],
  [-1, "–"],
])("formatDuration(%s) is %s", (value, text) => {
  expect(formatDuration(value)).toBe(text);
});

test("counts, shares, moments and names", () => {
  expect(formatCount(1_234_567)).toBe("1,234,567");
  expect(formatShare(0.602)).toBe("60.2 %");
  expect(formatShare(0.00001)).toBe("< 0.1 %");
  expect(formatShare(0)).toBe("0.0 %");
  const now = new Date(2026, 0, 31, 18, 0);
  expect(formatMoment(new Date(2026, 0, 31, 14, 25, 1).toISOString(), now)).toBe("14:25:01");
  expect(formatMoment(new Date(2026, 0, 30, 14, 25, 1).toISOString(), now)).toBe("30 Jan, 14:25");
  expect(formatMoment("never", now)).toBe("–");
  expect(baseName("/home/ada/digits.nn.ts")).toBe("digits.nn.ts");
  expect(baseName("C:\\models\\digits.nn.ts")).toBe("digits.nn.ts");
});

describe("layers", () => {
  const row = (path: string, outputShape?: string): SummaryRow => ({
    path,
    depth: path === "" ? 0 : path.split(".").length,
    className: "Module",
    detail: "",
    parameters: 1,
    trainable: 1,
    ...(outputShape === undefined ? {} : { outputShape }),
  });
  const report = (...rows: SummaryRow[]): ModelReport => ({
    name: "Net",
    experiments: [],
    text: "",
    rows,
    parameters: { total: 1, trainable: 1 },
    parameterBytes: 4,
  });
  const names = (rows: ReturnType<typeof visibleLayers>): string[] =>
    rows.map(({ layer, depth }) => `${"  ".repeat(depth)}${layer.name}`);

  test("make a tree in the order of their rows, without the model itself", () => {
    const tree = layerTree(report(row(""), row("block"), row("block.0"), row("block.1"), row("head")));
    expect(names(visibleLayers(tree, new Set()))).toEqual(["block", "  0", "  1", "head"]);
    expect(names(visibleLayers(tree, new Set(["block"])))).toEqual(["block", "head"]);
  });

  test("whose parent isn't called stand at the top", () => {
    const tree = layerTree(report(row(""), row("encoder.embedding"), row("head")));
    expect(names(visibleLayers(tree, new Set()))).toEqual(["embedding", "head"]);
  });

  test("of the diagram are the called ones; all, when no shape is known", () => {
    const called = layerTree(report(row(""), row("a", "[1]"), row("a.unused"), row("dead")));
    expect(names(visibleLayers(calledLayers(called), new Set()))).toEqual(["a"]);
    const unknown = layerTree(report(row(""), row("a"), row("b")));
    expect(names(visibleLayers(calledLayers(unknown), new Set()))).toEqual(["a", "b"]);
  });
});
