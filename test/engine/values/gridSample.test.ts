// F.gridSample and F.affineGrid against PyTorch: values, gradients and errors.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { F, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setWarningSink } from "../../../extension/nn/warnings.ts";
import { valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { fromHost } from "../../../extension/tensor/core/tensor.ts";
import { onEachEngine } from "../../engines.ts";

interface Recorded {
  shape: number[];
  data: number[];
}
type Options = NonNullable<Parameters<typeof F.gridSample>[2]> & object;

const { samples, affine, errors, gridErrors } = JSON.parse(
  readFileSync(new URL("../../fixtures/gridSample/cases.json", import.meta.url), "utf8"),
) as {
  samples: {
    input: Recorded;
    grid: Recorded;
    options: Options;
    result: Recorded;
    grads: [Recorded, Recorded];
  }[];
  affine: { theta: Recorded; size: number[]; alignCorners: boolean; result: Recorded; grad: Recorded }[];
  errors: { input: number[]; grid: number[]; options: Options; error: string }[];
  gridErrors: { theta: number[]; size: number[]; error: string }[];
};

const leaf = ({ data, shape }: Recorded): Tensor =>
  fromHost(Float32Array.from(data), shape, "float32").requiresGrad_();

function expectEqual(actual: Tensor | null, { shape, data }: Recorded): void {
  expect(actual!.shape).toEqual(shape);
  const values = valuesOf(actual!.value);
  const wrong = data.findIndex((x, i) => !(Math.abs(values[i]! - x) <= 1e-5 + 1e-5 * Math.abs(x)));
  expect(wrong, `${[...values].join()} is not ${data.join()}`).toBe(-1);
}

/** The first of each place's coordinates. */
const along = (places: Tensor, dims: number): number[] =>
  Array.from(valuesOf(places.value)).filter((_, i) => i % dims === 0);

function weighted(x: Tensor): Tensor {
  const weights = Float32Array.from({ length: x.numel() }, (_, k) => (((7 * k) % 11) - 5) / 5);
  return x.mul(fromHost(weights, x.shape, "float32")).sum();
}

onEachEngine(() => {
  // PyTorch's: a place exactly on the border has no gradient there, though `clamp` has one.
  test.each(["border", "reflection"] as const)("places on the border have no gradient: %s", (paddingMode) => {
    const grid = torch
      .tensor(
        [
          [
            [
              [-1.0, 0],
              [0.5, 0],
              [1, 1],
            ],
          ],
        ],
        { dtype: torch.float32 },
      )
      .requiresGrad_();
    const image = torch.arange(9).float().square().view(1, 1, 3, 3);
    F.gridSample(image, grid, { paddingMode, alignCorners: true }).sum().backward();
    expect(grid.grad!.add(0).tolist()).toEqual([
      [
        [
          [0, 27],
          [9, 36],
          [0, 0],
        ],
      ],
    ]);
  });

  // PyTorch's: such a gradient still moves a parameter by momentum or weight decay.
  test("places of the nearest pixels have a gradient of 0, not none", () => {
    const grid = torch
      .tensor([
        [
          [
            [0.25, -0.5],
            [NaN, 0.5],
            [Infinity, 2],
          ],
        ],
      ])
      .requiresGrad_();
    const image = torch.arange(9).float().view(1, 1, 3, 3);
    const y = F.gridSample(image, grid, { mode: "nearest", alignCorners: true });
    expect(y.tolist()).toEqual([[[[1, 0, 0]]]]);
    y.sum().backward();
    expect(grid.grad!.tolist()).toEqual([
      [
        [
          [0, 0],
          [0, 0],
          [0, 0],
        ],
      ],
    ]);
  });

  // The gradient of a place is the difference of the pixels beside it: rounding says which these are.
  test.each([11, 18, 19, 25, 29, 31])(
    "places of an identity transform lie as in PyTorch: %i pixels",
    (size) => {
      const pixels = Array.from({ length: size }, (_, i) => i * i);
      const at = (i: number): number => pixels[i] ?? 0;
      const map = torch
        .tensor([
          [
            [1, 0, 0],
            [0, 1, 0],
          ],
        ])
        .float();
      const grid = F.affineGrid(map, [1, 1, 1, size], { alignCorners: false });
      const slopes = (round: (x: number) => number): number[] =>
        along(grid, 2).map((x) => {
          const before = Math.floor(round(Math.fround(x + 1)));
          return ((at(before + 1) - at(before)) * size) / 2;
        });
      const row = torch.tensor(pixels).float();
      // One multiply-add for images; for volumes the product is rounded first.
      const image = grid.detach().requiresGrad_();
      F.gridSample(row.view(1, 1, 1, size), image, { alignCorners: false })
        .sum()
        .backward();
      const once = slopes((x) => Math.fround((x * size) / 2 - 0.5));
      expect(along(image.grad!, 2)).toEqual(once);
      const volume = torch
        .cat([image.detach(), torch.zeros([1, 1, size, 1])], -1)
        .unsqueeze(1)
        .requiresGrad_();
      F.gridSample(row.view(1, 1, 1, 1, size), volume, { alignCorners: false })
        .sum()
        .backward();
      const twice = slopes((x) => Math.fround(Math.fround((x * size) / 2) - 0.5));
      expect(along(volume.grad!, 3)).toEqual(twice);
      expect(once).not.toEqual(twice);
    },
  );

  test.each(samples.map((c) => [`${c.input.shape.join("x")} ${JSON.stringify(c.options)}`, c] as const))(
    "gridSample of %s",
    (_, { input, grid, options, result, grads }) => {
      const [x, places] = [leaf(input), leaf(grid)];
      const y = F.gridSample(x, places, options);
      expectEqual(y, result);
      weighted(y).backward();
      expectEqual(x.grad, grads[0]);
      expectEqual(places.grad ?? torch.zerosLike(places), grads[1]);
    },
  );

  test.each(affine.map((c) => [`${c.size.join("x")}, alignCorners ${c.alignCorners}`, c] as const))(
    "affineGrid of %s",
    (_, { theta, size, alignCorners, result, grad }) => {
      const map = leaf(theta);
      const grid = F.affineGrid(map, size, { alignCorners });
      expectEqual(grid, result);
      weighted(grid).backward();
      expectEqual(map.grad, grad);
    },
  );

  test.each(errors.map((c) => [c.error, c] as const))("%s", (error, { input, grid, options }) => {
    const sample = (): Tensor => F.gridSample(torch.zeros(input), torch.zeros(grid), options);
    expect(sample).toThrow(error);
  });

  test.each(gridErrors.map((c) => [c.error, c] as const))("%s", (error, { theta, size }) => {
    expect(() => F.affineGrid(torch.zeros(theta), size)).toThrow(error);
  });

  test("leaving out alignCorners warns, as in PyTorch", () => {
    const warnings: string[] = [];
    const before = setWarningSink((message) => void warnings.push(message));
    F.gridSample(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, 2));
    F.affineGrid(torch.zeros(1, 2, 3), [1, 1, 2, 2]);
    setWarningSink(before);
    expect(warnings.length).toBe(1);
    expect(warnings[0]).toContain("Default grid_sample and affine_grid behavior has changed");
  });
});
