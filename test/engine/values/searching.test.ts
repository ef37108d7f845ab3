// Places in sorted sequences, members and distinct elements, compared with counting and JavaScript's sets.
import { expect, test } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

const LENGTHS = [0, 1, 2, 3, 16, 17, 18, 31, 32, 33, 100, 1000];

onEachEngine(() => {
  test.each([false, true])("searchsorted counts the elements below each value (right: %s)", (right) => {
    torch.manualSeed(0);
    for (const n of LENGTHS)
      for (const whole of [false, true]) {
        const sorted = (whole ? torch.randint(0, 20, [3, n]) : torch.randn(3, n)).sort(1)[0];
        const values = whole
          ? torch.randint(-2, 22, [3, 12])
          : torch.cat([torch.randn(3, 9), torch.tensor([NaN, Infinity, -Infinity]).expand(3, 3)], 1);
        const rows = sorted.tolist() as number[][];
        const below = (row: number[], x: number): number =>
          Number.isNaN(x) ? n : row.filter((y) => y < x || (right && y === x)).length;
        const wanted = (values.tolist() as number[][]).map((xs, r) => xs.map((x) => below(rows[r]!, x)));
        expect(torch.searchsorted(sorted, values, { right }).tolist()).toEqual(wanted);
        const first = (values.tolist() as number[][]).map((xs) => xs.map((x) => below(rows[0]!, x)));
        expect(torch.searchsorted(sorted.select(0, 0), values, { right }).tolist()).toEqual(first);
      }
  });

  test("searchsorted of many values takes no matrix of comparisons", () => {
    const sorted = torch.linspace(0, 1, 50_000);
    const places = torch.searchsorted(sorted, torch.rand(200_000));
    expect(places.float().mean().item() / 50_000).toBeCloseTo(0.5, 1);
  });

  test.each([3, 16, 17, 18, 300])("isin of %i numbers finds those that are among them", (n) => {
    torch.manualSeed(n);
    const whole = torch.randint(0, 4 * n, [n]);
    const among = new Set(whole.tolist() as number[]);
    const x = torch.randint(-5, 5 * n, [7, 11]);
    const wanted = (x.tolist() as number[][]).map((row) => row.map((value) => among.has(value)));
    expect(torch.isin(x, whole).tolist()).toEqual(wanted);
    expect(torch.isin(x.float(), whole).tolist()).toEqual(wanted);
    expect(torch.isin(torch.cat([whole.float(), torch.tensor([NaN])]), whole).tolist()).toEqual([
      ...Array<boolean>(n).fill(true),
      false,
    ]);
    expect(torch.isin(x, whole, { invert: true }).logicalNot().tolist()).toEqual(wanted);
  });

  test("unique and uniqueConsecutive give places and counts of the elements", () => {
    torch.manualSeed(0);
    const x = torch.randint(0, 9, [5, 8]);
    const all = { returnInverse: true, returnCounts: true } as const;
    for (const find of [torch.unique, torch.uniqueConsecutive]) {
      const [values, inverse, counts] = find(x, all) as unknown as [Tensor, Tensor, Tensor];
      expect(inverse.shape).toEqual([5, 8]);
      expect(values.indexSelect(0, inverse.flatten()).view(5, 8).tolist()).toEqual(x.tolist());
      expect(counts.tolist()).toEqual(torch.bincount(inverse.flatten()).tolist());
      expect(find(x).tolist()).toEqual(values.tolist());
    }
    const sorted = torch.unique(x).tolist() as number[];
    expect(sorted).toEqual([...new Set(x.flatten().tolist() as number[])].sort((a, b) => a - b));
    const runs = torch.uniqueConsecutive(torch.tensor([2, 2, 1, NaN, NaN, 1]), all);
    expect(runs.map((one) => one.tolist())).toEqual([
      [2, 1, NaN, NaN, 1],
      [0, 0, 1, 2, 3, 4],
      [2, 1, 1, 1, 1],
    ]);
    expect(torch.unique(torch.tensor([NaN, 1, NaN, 0]), all).map((one) => one.tolist())).toEqual([
      [0, 1, NaN, NaN],
      [2, 1, 3, 0],
      [1, 1, 1, 1],
    ]);
  });
});
