// Where extremes are, and running extremes, against plain loops.
import { expect, test } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

/** Whole numbers, of which many are equal, and some NaNs. */
function numbers(shape: readonly number[], nan: boolean): Tensor {
  const whole = torch.randint(0, 12, [...shape]).float();
  return nan ? whole.maskedFill(torch.rand([...shape]).lt(0.03), NaN) : whole;
}

/** The place of the first extreme of some numbers, or of the first NaN. */
function placeOf(values: readonly number[], least: boolean): number {
  const nan = values.findIndex(Number.isNaN);
  if (nan >= 0) return nan;
  return values.indexOf(least ? Math.min(...values) : Math.max(...values));
}

onEachEngine(() => {
  test.each([
    [[37, 53], 0],
    [[37, 53], 1],
    [[5, 19, 23], 0],
    [[5, 19, 23], 1],
    [[5, 19, 23], 2],
    [[1, 7], 0],
    [[64, 300], 1],
  ] as const)("the places of extremes of %j along %i", (shape, dim) => {
    torch.manualSeed(3);
    for (const nan of [false, true]) {
      const x = numbers(shape, nan);
      const rows = x.movedim(dim, -1).reshape(-1, shape[dim]!).tolist() as number[][];
      for (const least of [false, true]) {
        const places = (least ? x.argmin(dim) : x.argmax(dim)).reshape(-1).tolist();
        expect(places).toEqual(rows.map((row) => placeOf(row, least)));
      }
    }
  });

  // Comparing all elements with all would take 3.6 GB.
  test("running extremes, sums of exponentials and modes of long rows", () => {
    torch.manualSeed(4);
    const n = 30_000;
    const x = torch.randint(0, 1000, [n]).float().div(7);
    const data = x.tolist() as number[];
    const most = x.cummax(0);
    let at = 0;
    const places = data.map((value, i) => (value >= data[at]! ? (at = i) : at));
    expect(most.indices.tolist()).toEqual(places);
    expect(most.values.tolist()).toEqual(places.map((i) => data[i]));
    expect(x.neg().cummin(0).indices.tolist()).toEqual(places);
    const sums = x.logcumsumexp(0).tolist() as number[];
    let sum = 0;
    const expected = data.map((value) => Math.log((sum += Math.exp(value))));
    expect(Math.max(...sums.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-3);
    const counts = new Map<number, number>();
    for (const value of data) counts.set(value, (counts.get(value) ?? 0) + 1);
    const frequent = Math.max(...counts.values());
    const mode = Math.min(...[...counts].filter(([, count]) => count === frequent).map(([value]) => value));
    const found = x.mode(0);
    expect([found.values.item(), found.indices.item()]).toEqual([mode, data.lastIndexOf(mode)]);
  });

  // Of PyTorch: where a quotient rounds up to a whole number, infinities, zeros.
  test("quotients that are rounded down", () => {
    const a = [
      1,
      -1,
      1,
      -1,
      0.5,
      -0.5,
      Infinity,
      -Infinity,
      NaN,
      0,
      5,
      -5,
      1e30,
      3,
      7.5,
      1,
      2.7,
      0.3,
      -0.3,
      6,
    ];
    const b = [
      0.1,
      0.1,
      -0.1,
      -0.1,
      1,
      -1,
      1,
      2,
      1,
      3,
      Infinity,
      Infinity,
      1e-5,
      -Infinity,
      2.5,
      0,
      0.9,
      0.1,
      0.1,
      -0.2,
    ];
    const floors = [9, -10, -10, 9, 0, 0, NaN, NaN, NaN, 0, 0, -1, 1e35, -1, 3, Infinity, 3, 3, -4, -30];
    const [x, y] = [torch.tensor(a), torch.tensor(b)];
    const expected = floors.map(Math.fround);
    expect(x.floorDivide(y).tolist()).toEqual(expected);
    expect(x.div(y, { roundingMode: "floor" }).tolist()).toEqual(expected);
    expect(torch.tensor([1, -1, 0]).float().floorDivide(0).tolist()).toEqual([Infinity, -Infinity, NaN]);
  });

  test("exponentials just below infinity", () => {
    const x = [88.7, 88.721, 88.7225, 88.7228, 88.72283, 88.73, -87.3, -104].map(Math.fround);
    const values = torch.tensor(x, { dtype: torch.float32 }).exp().tolist() as number[];
    for (const [i, value] of values.entries()) {
      const exact = Math.fround(Math.exp(x[i]!));
      if (!Number.isFinite(exact)) expect(value).toBe(exact);
      else expect(Math.abs(value - exact)).toBeLessThanOrEqual(2e-6 * exact + 1e-38);
    }
  });
});
