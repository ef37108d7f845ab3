// Convolutions of all kinds of sizes: the binding's kernels, which differ by channels and positions, against TensorFlow's.
import { describe, expect, it } from "vitest";
import { F, torch, type Tensor } from "../../../extension/nn/index.ts";
import { hasNative, useEngine } from "../../engines.ts";
import { expectAgreement, numbers } from "./agreement.ts";

interface Case {
  channels: number;
  width: number;
  size: readonly number[];
  kernel: readonly number[];
  stride?: number;
  padding?: number;
  dilation?: number;
  groups?: number;
  images?: number;
}

/** The result and the gradients of image and filter. */
function computed(
  { channels, width, size, kernel, images = 2, ...rest }: Case,
  transposed: boolean,
): Tensor[] {
  const x = numbers([images, channels, ...size], 1).requiresGrad_();
  const groups = rest.groups ?? 1;
  const sides = transposed ? [channels, width / groups] : [width, channels / groups];
  const w = numbers([...sides, ...kernel], 2).requiresGrad_();
  const functions = transposed
    ? [F.convTranspose1d, F.convTranspose2d, F.convTranspose3d]
    : [F.conv1d, F.conv2d, F.conv3d];
  const convolve = functions[size.length - 1] as (x: Tensor, w: Tensor, options: object) => Tensor;
  const y = convolve(x, w, rest);
  y.backward(numbers(y.shape, 3));
  return [y.detach(), x.grad!, w.grad!];
}

const CASES: Case[] = [];
for (const channels of [1, 3, 8, 20])
  for (const width of [1, 2, 3, 5, 8, 9])
    CASES.push({ channels, width, size: [11, 8 + 5 * width], kernel: [3, 3], padding: width % 3 });
for (const width of [1, 4, 6, 7])
  CASES.push(
    { channels: 2, width, size: [50], kernel: [5], stride: 2, padding: 2 },
    { channels: 3, width, size: [33], kernel: [4], dilation: 3, padding: 1 },
    { channels: 5, width, size: [17, 40], kernel: [4, 4], stride: 2, padding: 1 },
    { channels: 2, width, size: [9, 29], kernel: [2, 5], stride: 3, images: 1 },
    { channels: 2, width, size: [5, 6, 19], kernel: [3, 2, 3], padding: 1 },
    { channels: 2, width, size: [4, 5, 21], kernel: [2, 3, 3], stride: 2, dilation: 2, padding: 2 },
    { channels: 40, width, size: [16, 16], kernel: [9, 9], padding: 4 },
  );
// Tiles of rows that end within an image, a tap's channels or a register of results.
for (const channels of [8, 9, 14, 24, 300])
  for (const width of [16, 19, 32, 45])
    CASES.push(
      { channels, width, size: [7, 9], kernel: [3, 3], padding: 1 },
      { channels, width, size: [4, 4], kernel: [5, 5], padding: 2, images: 3 },
      { channels, width, size: [9, 8], kernel: [3, 3], stride: 2, padding: 1 },
    );
// Transformed tiles: cut off by the images' ends, of more tiles than are transformed together, with padding of all kinds.
for (const [channels, width] of [
  [8, 16],
  [13, 33],
  [24, 24],
  [40, 72],
  [300, 45],
] as const)
  CASES.push(
    { channels, width, size: [17, 16], kernel: [3, 3] },
    { channels, width, size: [16, 13], kernel: [3, 3], padding: 1, images: 5 },
    { channels, width, size: [11, 12], kernel: [3, 3], padding: 2 },
    { channels, width, size: [3, 30], kernel: [3, 3], padding: 1, images: 9 },
  );

// Few channels are read: filters whose rows fill a tile or don't, many images and one, lines longer than what is added up at once, and
// groups. Images with fewer positions than the filter has rows have no gradients of their own.
for (const channels of [1, 2, 3, 5, 7])
  for (const width of [9, 16, 20, 33])
    CASES.push(
      { channels, width, size: [7, 9], kernel: [3, 3], padding: 1, images: 9 },
      { channels, width, size: [12, 13], kernel: [5, 5], stride: 2, padding: 2, images: 5 },
      { channels, width, size: [4, 4], kernel: [4, 4], padding: 2, images: 1 },
      { channels, width, size: [3, 3], kernel: [3, 3], padding: 1, images: 4 },
    );
for (const width of [9, 20])
  CASES.push(
    { channels: 3, width, size: [600], kernel: [7], padding: 3 },
    { channels: 2, width, size: [3, 300], kernel: [2, 3], images: 5 },
    { channels: 3, width, size: [5, 6, 7], kernel: [2, 3, 2], stride: 2, padding: 1, images: 6 },
    { channels: 6, width: 2 * width, size: [8, 9], kernel: [3, 3], padding: 1, groups: 2, images: 9 },
    { channels: 6, width: 36, size: [8, 9], kernel: [3, 3], dilation: 2, groups: 2, images: 1 },
  );

describe.runIf(hasNative)("convolutions", () => {
  const executor = useEngine("native");

  it.each(
    CASES.flatMap((one) =>
      [false, true].map(
        (transposed) =>
          [`${JSON.stringify(one)}${transposed ? ", transposed" : ""}`, one, transposed] as const,
      ),
    ),
  )("%s", (_, one, transposed) => {
    expectAgreement(executor(), () => computed(one, transposed));
  });

  it("of many images, with what joins them, are computed block by block", () => {
    // The last block has fewer images than the others.
    for (const [images, channels, width] of [
      [25, 1, 16],
      [23, 3, 20],
    ] as const)
      expectAgreement(executor(), () => {
        const x = numbers([images, channels, 20, 22], 1).requiresGrad_();
        const w = numbers([width, channels, 3, 3], 2).requiresGrad_();
        const b = numbers([width], 3).requiresGrad_();
        const y = F.maxPool2d(F.relu(F.conv2d(x, w, b, { padding: 1 })), 2);
        y.backward(numbers(y.shape, 4));
        return [y.detach(), x.grad!, w.grad!, b.grad!];
      });
  });

  it("NaN stays where the filter meets it", () => {
    const x = numbers([1, 2, 6, 19], 1);
    x.indexPut_([0, 1, 2, 18], NaN);
    const w = numbers([3, 2, 3, 3], 2).requiresGrad_();
    const y = F.conv2d(x, w, { padding: 0 });
    y.sum().backward();
    const bad = y.isnan().sum([0, 1]);
    expect(bad.tolist()).toEqual(
      Array.from({ length: 4 }, (_, r) => Array.from({ length: 17 }, (_c, c) => (r < 3 && c === 16 ? 3 : 0))),
    );
    // Only the last column of taps reads the last column of the image.
    expect(w.grad!.isnan().sum([0, 2]).tolist()).toEqual([
      [0, 0, 0],
      [0, 0, 9],
    ]);
  });

  it("tiles are transformed, and NaN and infinity reach what their place is part of, no more", () => {
    const [x, w] = [numbers([1, 32, 32, 32], 1), numbers([32, 32, 3, 3], 2)];
    const asTiles = (): Tensor => F.conv2d(x, w, { padding: 1 });
    // The same sums, of patches.
    const asPatches = (): Tensor => F.conv2d(x, F.pad(w, [1, 1, 1, 1]), { padding: 2 });
    /** The result and its gradients, with those of the input and of the filter. */
    const all = (convolve: () => Tensor): Tensor[] => {
      for (const one of [x, w]) one.requiresGrad_().grad = null;
      const y = convolve();
      y.backward(numbers(y.shape, 3));
      for (const one of [x, w]) one.requiresGrad_(false);
      return [y.detach(), x.grad!, w.grad!];
    };
    const patches = all(asPatches);
    for (const [i, tiles] of all(asTiles).entries()) {
      expect(torch.allclose(tiles, patches[i]!, { atol: 1e-3 })).toBe(true);
      expect(torch.equal(tiles, patches[i]!)).toBe(false);
    }
    for (const [row, column] of [
      [12, 16],
      [13, 18],
      [14, 17],
      [31, 0],
    ] as const)
      for (const value of [NaN, Infinity]) {
        x.index(0, 1, row, column).fill_(value);
        const near = (at: number): number[] => [at - 1, at, at + 1].filter((i) => i >= 0 && i < 32);
        const bad = asTiles().isfinite().logicalNot().any(1).squeeze(0).nonzero();
        expect(bad.tolist()).toEqual(near(row).flatMap((i) => near(column).map((j) => [i, j])));
        x.index(0, 1, row, column).fill_(1);
      }
  });
});

describe.runIf(hasNative)("max pooling", () => {
  const executor = useEngine("native");

  // Registers hold channels, or the channels of windows side by side, which may overlap.
  it.each(
    [1, 3, 16, 17, 32, 40, 70, 130].flatMap((channels) =>
      (
        [
          [2, 2, 0],
          [3, 2, 1],
          [3, 1, 0],
          [2, 3, 0],
          [5, 4, 2],
        ] as const
      ).map(([window, stride, padding]) => [channels, window, stride, padding] as const),
    ),
  )("of %i channels, windows of %i at steps of %i, padding of %i", (channels, window, stride, padding) => {
    for (const size of [
      [8, 8],
      [7, 23],
    ])
      expectAgreement(executor(), () => {
        // Multiples of a half: many windows have several maxima.
        const x = numbers([3, channels, ...size], 5)
          .mul(2)
          .round()
          .requiresGrad_();
        const y = F.maxPool2d(x, window, { stride, padding });
        y.backward(numbers(y.shape, 6));
        return [y.detach(), x.grad!];
      });
  });
});
