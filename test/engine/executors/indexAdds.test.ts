// Rows that are taken at indices, or added there, against plain loops: the binding copies and adds indices that follow one another at
// once, and adds rows in the memory of what they are added to.
import { describe, expect, test } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

const LENGTH = 40;

const INDICES: Record<string, number[]> = {
  "one after another": Array.from({ length: 24 }, (_, i) => i + 7),
  "as padding by reflection has them": [2, 1, ...Array.from({ length: LENGTH }, (_, i) => i), 38, 37],
  strewn: Array.from({ length: 50 }, (_, i) => (i * 17) % LENGTH),
  "all the same": Array.from({ length: 30 }, () => 3),
  one: [LENGTH - 1],
};

/** Shapes with a dimension of that length. */
const SHAPES: [shape: number[], dim: number][] = [
  [[LENGTH], 0],
  [[LENGTH, 33], 0],
  [[3, LENGTH], 1],
  [[5, LENGTH, 17], 1],
];

onEachEngine(() => {
  describe.each(Object.entries(INDICES))("rows at indices, %s", (_, indices) => {
    test.each(SHAPES)("of %j along dimension %i", (shape, dim) => {
      torch.manualSeed(4);
      const index = torch.tensor(indices);
      const base = torch.randn(shape);
      const rows = torch.randn(shape.map((n, d) => (d === dim ? indices.length : n)));
      const [x, added] = [base.clone().requiresGrad_(), rows.clone().requiresGrad_()];
      const taken = x.indexSelect(dim, index);
      const other = torch.randn(taken.shape);
      // The gradient of x adds up rows of two products; that of the sum is added to what there is.
      taken.mul(other).sum().add(taken.square().sum()).backward();
      const sum = base.indexAdd(dim, index, added);
      sum.mul(base).sum().backward();

      const flat = (t: Tensor): number[] => [...(t.detach().toTypedArray() as Float32Array)];
      const width = shape.slice(dim + 1).reduce((a, b) => a * b, 1);
      const outer = shape.slice(0, dim).reduce((a, b) => a * b, 1);
      const start = flat(base);
      const [expected, slopes] = [[...start], start.map(() => 0)];
      const [sources, weights, found, pulled] = [flat(rows), flat(other), flat(taken), flat(added.grad!)];
      for (let o = 0; o < outer; o++)
        indices.forEach((at, i) => {
          for (let j = 0; j < width; j++) {
            const [place, row] = [(o * LENGTH + at) * width + j, (o * indices.length + i) * width + j];
            expect(found[row]).toBe(start[place]);
            expect(pulled[row]).toBe(start[place]);
            expected[place]! += sources[row]!;
            slopes[place]! += weights[row]! + 2 * start[place]!;
          }
        });
      const worst = (t: Tensor, wanted: number[]): number =>
        Math.max(...flat(t).map((value, i) => Math.abs(value - wanted[i]!)));
      expect(worst(sum, expected)).toBeLessThan(1e-4);
      expect(worst(x.grad!, slopes)).toBeLessThan(1e-4);
    });
  });

  test("an index out of range is refused", () => {
    const outside = torch.tensor([0, 5]);
    const x = torch.randn(2, 4);
    expect(() => x.indexSelect(1, outside).sum().item()).toThrow(/out of (range|bounds)/);
    expect(() => x.indexAdd(1, outside, torch.randn(2, 2)).sum().item()).toThrow(/out of (range|bounds)/);
  });
});
