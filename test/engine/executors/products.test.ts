// Products of matrices by the binding's kernels against plain loops, on both sides of the sizes at which they work differently: few
// rows, rows of a tile, columns that fill a panel or nearly none of the last one, terms of several blocks.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";

const available = nativeStatus().state === "installed";

describe.skipIf(!available)("products", () => {
  let executor: TensorFlowExecutor;
  beforeAll(() => {
    executor = new TensorFlowExecutor(loadNative(), 2);
    setExecutor(executor);
  });
  afterAll(() => setExecutor(undefined));

  const rowsOf = (x: Tensor): number[][] => x.tolist() as number[][];

  /** A matrix, transposed in memory or not. */
  const matrix = (rows: number, columns: number, turned: boolean): Tensor =>
    turned ? torch.randn(columns, rows).t() : torch.randn(rows, columns);

  const SIZES = [1, 2, 3, 4, 5, 16, 17, 32, 33, 36, 513];
  for (const rows of [1, 5, 25, 48])
    for (const terms of [1, 5, 255, 600])
      test(`${rows} rows with ${terms} terms`, () => {
        torch.manualSeed(3);
        for (const columns of SIZES)
          for (const turned of [false, true]) {
            const [a, b] = [matrix(rows, terms, !turned), matrix(terms, columns, turned)];
            const before = { ...executor.counters };
            const [found, left, right] = [rowsOf(a.matmul(b)), rowsOf(a), rowsOf(b.t())];
            expect(executor.counters.small).toBeGreaterThan(before.small);
            expect(executor.counters.compiledRuns).toBe(before.compiledRuns);
            let worst = 0;
            for (let i = 0; i < rows; i += 3)
              for (let j = columns - 1; j >= 0; j -= columns > 100 ? 37 : 1) {
                const expected = left[i]!.reduce((sum, x, p) => sum + x * right[j]![p]!, 0);
                worst = Math.max(worst, Math.abs(expected - found[i]![j]!));
              }
            expect(worst, `${columns} columns`).toBeLessThan(1e-5 * Math.sqrt(terms));
          }
      });

  // Threads share columns of the first three, and rows of the last.
  test.each([
    [1, 10_000, 40],
    [2, 4000, 333],
    [3, 10_000, 40],
    [14, 20_000, 10],
  ])(
    "%i rows, %i terms and %i columns are the same numbers for any number of threads",
    (rows, terms, columns) => {
      const found = [1, 2, 3, 5].map((threads) => {
        const own = new TensorFlowExecutor(loadNative(), threads);
        setExecutor(own);
        try {
          torch.manualSeed(3);
          const y = torch.randn(rows, terms).matmul(torch.randn(terms, columns)).toTypedArray();
          expect(own.counters.small).toBeGreaterThan(0);
          return y;
        } finally {
          setExecutor(executor);
        }
      });
      for (const other of found) expect(other).toEqual(found[0]);
    },
  );
});
