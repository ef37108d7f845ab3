// Functions of rows by the binding's kernels against plain loops, with rows that end within a register or fill some, and with so few
// rows that what follows a row isn't there.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { F, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";

const available = nativeStatus().state === "installed";

type Rows = number[][];
const rowsOf = (x: Tensor): Rows => x.tolist() as Rows;
const sum = (row: readonly number[]): number => row.reduce((total, x) => total + x, 0);
const inner = (a: readonly number[], b: readonly number[]): number => sum(a.map((x, i) => x * b[i]!));

function softmaxOf(x: readonly number[]): number[] {
  const largest = Math.max(...x);
  const exps = x.map((one) => Math.exp(one - largest));
  return exps.map((e) => e / sum(exps));
}

describe.skipIf(!available)("functions of rows", () => {
  let executor: TensorFlowExecutor;
  beforeAll(() => {
    executor = new TensorFlowExecutor(loadNative(), 2);
    setExecutor(executor);
  });
  afterAll(() => setExecutor(undefined));

  const largest = (numbers: readonly number[]): number =>
    numbers.reduce((most, x) => (Number.isNaN(x) ? Infinity : Math.max(most, Math.abs(x))), 0);

  /** Compares, relative to the largest number. */
  function expectClose(found: Rows, expected: Rows, what: string): void {
    const distances = expected.flatMap((row, r) => row.map((x, i) => x - found[r]![i]!));
    expect(largest(distances) / Math.max(1e-3, largest(expected.flat())), what).toBeLessThan(2e-5);
  }

  /** Values and gradients of a function; nothing of them may run compiled. */
  function both(x: Tensor, g: Tensor, run: (x: Tensor) => Tensor): [Rows, Rows] {
    const before = { ...executor.counters };
    const input = x.detach().requiresGrad_();
    const y = run(input);
    y.mul(g).sum().backward();
    const found: [Rows, Rows] = [rowsOf(y), rowsOf(input.grad!)];
    expect(executor.counters.small).toBeGreaterThan(before.small);
    expect([executor.counters.compiledRuns, executor.counters.interpreted]).toEqual([
      before.compiledRuns,
      before.interpreted,
    ]);
    return found;
  }

  const WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 48, 63, 65, 100, 128, 1030];
  const COUNTS = [1, 2, 3, 9, 65, 130];

  test.each(WIDTHS)("softmax of %i numbers and its logarithm", (width) => {
    torch.manualSeed(width);
    for (const count of COUNTS) {
      const [x, g] = [torch.randn(count, width).mul(4), torch.randn(count, width)];
      const [shares, slopes] = [rowsOf(x).map(softmaxOf), rowsOf(g)];
      const [y, yGrad] = both(x, g, (input) => F.softmax(input, 1));
      expectClose(y, shares, `softmax of ${count} rows`);
      const along = shares.map((row, r) => inner(row, slopes[r]!));
      const expected = shares.map((row, r) => row.map((p, i) => p * (slopes[r]![i]! - along[r]!)));
      expectClose(yGrad, expected, `its gradient, ${count} rows`);
      const [logs, logsGrad] = both(x, g, (input) => F.logSoftmax(input, 1));
      const logarithms = shares.map((row) => row.map(Math.log));
      expectClose(logs, logarithms, `logSoftmax of ${count} rows`);
      const rest = shares.map((row, r) => row.map((p, i) => slopes[r]![i]! - p * sum(slopes[r]!)));
      expectClose(logsGrad, rest, `its gradient, ${count} rows`);
    }
  });

  test.each(WIDTHS)("cross-entropy of %i classes", (width) => {
    torch.manualSeed(width);
    for (const count of COUNTS) {
      const [x, labels, g] = [
        torch.randn(count, width).mul(4),
        torch.randint(0, width, [count]),
        torch.randn(count, 1),
      ];
      const [shares, classes, slopes] = [
        rowsOf(x).map(softmaxOf),
        labels.tolist() as number[],
        rowsOf(g).flat(),
      ];
      const [losses, grads] = both(x, g, (input) =>
        F.crossEntropy(input, labels, { reduction: "none" }).unsqueeze(1),
      );
      const expected = shares.map((row, r) => [-Math.log(row[classes[r]!]!)]);
      expectClose(losses, expected, `${count} rows`);
      const slope = shares.map((row, r) => row.map((p, i) => (p - Number(i === classes[r])) * slopes[r]!));
      expectClose(grads, slope, `the gradient of ${count} rows`);
    }
  });

  // With fewer, the deviation is a rounding error.
  test.each(WIDTHS.filter((width) => width > 3))("layer norm of %i numbers", (width) => {
    torch.manualSeed(width);
    for (const count of COUNTS)
      for (const given of [0, 1, 2]) {
        const [x, g] = [torch.randn(count, width).mul(3).add(1), torch.randn(count, width)];
        const [weight, bias] = [torch.randn(width), torch.randn(width)];
        const learned = [weight, bias].slice(0, given).map((one) => one.detach().requiresGrad_());
        const [y, yGrad] = both(x, g, (input) => F.layerNorm(input, [width], learned[0], learned[1]));
        const [w, b] = [
          given > 0 ? (weight.tolist() as number[]) : Array<number>(width).fill(1),
          given > 1 ? (bias.tolist() as number[]) : Array<number>(width).fill(0),
        ];
        const slopes = rowsOf(g);
        const units = rowsOf(x).map((row) => {
          const mean = sum(row) / width;
          const distances = row.map((one) => one - mean);
          const root = 1 / Math.sqrt(inner(distances, distances) / width + 1e-5);
          return { root, unit: distances.map((d) => d * root) };
        });
        expectClose(
          y,
          units.map(({ unit }) => unit.map((u, i) => u * w[i]! + b[i]!)),
          `${count} rows, ${given} given`,
        );
        const expected = units.map(({ unit, root }, r) => {
          const scaled = slopes[r]!.map((s, i) => s * w[i]!);
          const [mean, along] = [sum(scaled) / width, inner(scaled, unit) / width];
          return scaled.map((s, i) => (s - mean - unit[i]! * along) * root);
        });
        expectClose(yGrad, expected, `the gradient of ${count} rows, ${given} given`);
        if (given === 0) continue;
        const ofWeight = w.map((_, i) => sum(units.map(({ unit }, r) => unit[i]! * slopes[r]![i]!)));
        expectClose([learned[0]!.grad!.tolist() as number[]], [ofWeight], `the weight's, ${count} rows`);
      }
  });

  test("equal numbers are 0 once normalised, not a multiple of a rounding error", () => {
    const equal = (...shape: number[]): Tensor =>
      torch
        .tensor([0.1, 0.7, 3.3])
        .view(1, 3, 1, 1)
        .expand(...shape);
    const largestOf = (x: Tensor): number => x.abs().max().item();
    expect(largestOf(F.layerNorm(equal(2, 3, 5, 7), [7]))).toBe(0);
    expect(largestOf(F.groupNorm(equal(2, 3, 5, 7), 3))).toBe(0);
    expect(largestOf(F.batchNorm(equal(2, 3, 5, 7), null, null, null, null, true))).toBe(0);
  });

  test("a row with NaN or infinity doesn't spoil those beside it", () => {
    const x = torch.tensor([
      [1, 2, 3],
      [NaN, 0, 1],
      [3, 2, 1],
      [Infinity, 0, 1],
      [-Infinity, 0, 0],
    ]);
    const found = rowsOf(F.softmax(x, 1));
    for (const [r, row] of found.entries()) {
      if (r === 1 || r === 3) expect(row.every(Number.isNaN)).toBe(true);
      else expectClose([row], [softmaxOf(rowsOf(x)[r]!)], `row ${r}`);
    }
  });
});
