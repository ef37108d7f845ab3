// Transforms against torchvision's (test/fixtures/transforms/make.py), random draws included.
import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { torch, transforms, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

interface Image {
  shape: number[];
  data: number[];
}

interface Case {
  name: string;
  args: unknown[];
  options: object;
  image: string | null;
  repr: string;
  results: (Image & { seed: number; next: number })[];
}

const file = new URL("../../../fixtures/transforms/transforms.json", import.meta.url);
const { images, cases, compose } = JSON.parse(fs.readFileSync(file, "utf8")) as {
  images: Record<string, Image>;
  cases: Case[];
  compose: string;
};

useEngine("cpu");

const tensor = ({ shape, data }: Image): Tensor => torch.tensor(data).reshape(...shape);

function made({ name, args, options }: Case): (image: Tensor) => Tensor {
  const types: Readonly<Record<string, unknown>> = transforms;
  const type = types[name] as new (...args: unknown[]) => (image: Tensor) => Tensor;
  return new type(...args, ...(Object.keys(options).length > 0 ? [options] : []));
}

describe.each(cases)("$name($args, $options) of $image", (one) => {
  test("is torchvision's, and draws as much", () => {
    const transform = made(one);
    expect(String(transform)).toBe(one.repr);
    for (const { seed, shape, data, next } of one.results) {
      const image = tensor(images[one.image!]!);
      torch.manualSeed(seed);
      const result = transform(image);
      expect(result.shape).toEqual(shape);
      [...result.toTypedArray()].forEach((value, i) =>
        expect(Math.abs(value - data[i]!)).toBeLessThanOrEqual(1e-6),
      );
      expect(torch.rand(1).item()).toBeCloseTo(next, 7);
    }
  });
});

test("Compose runs one after the other and prints as torchvision's", () => {
  const all = new transforms.Compose([
    new transforms.Resize(8),
    new transforms.RandomHorizontalFlip(),
    new transforms.ToTensor(),
    new transforms.Normalize([0.5], [0.5]),
  ]);
  expect(String(all)).toBe(compose);
  expect(all(torch.zeros(1, 16, 16)).shape).toEqual([1, 8, 8]);
  const mine = new transforms.Compose([
    new transforms.Lambda((x: Tensor) => x.add(1)),
    (x: Tensor) => x.mul(2),
  ]);
  expect(mine(torch.zeros(2)).tolist()).toEqual([2, 2]);
});

test("ToTensor of an image of 8 bits", () => {
  const image = { width: 2, height: 1, data: Uint8Array.of(0, 51, 255, 102, 0, 153) };
  const result = new transforms.ToTensor()(image);
  expect(result.shape).toEqual([3, 1, 2]);
  [0, 0.4, 0.2, 0, 1, 0.6].forEach((value, i) => expect(result.toTypedArray()[i]).toBeCloseTo(value, 7));
  expect(() => new transforms.ToTensor()({ ...image, width: 4 })).toThrow(
    "expected whole channels of 1 x 4 pixels",
  );
});

test.each<[string, () => unknown, string]>([
  [
    "a crop that doesn't fit",
    () => new transforms.RandomCrop(5)(torch.zeros(1, 4, 6)),
    "Required crop size (5, 5) is larger than input image size (4, 6)",
  ],
  [
    "a std of zero",
    () => new transforms.Normalize([0], [0])(torch.zeros(1, 2, 2)),
    "std evaluated to zero after conversion to torch.float32, leading to division by zero.",
  ],
  [
    "whole numbers",
    () => new transforms.Normalize([0], [1])(torch.zeros(1, 2, 2).long()),
    "Input tensor should be a float tensor. Got torch.int64.",
  ],
  [
    "too few dimensions",
    () => new transforms.Normalize([0], [1])(torch.zeros(2, 2)),
    "Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = torch.Size([2, 2])",
  ],
  ["two channels", () => new transforms.Grayscale()(torch.zeros(2, 2, 2)), "are 1 or 3, but found 2"],
  ["a negative angle", () => new transforms.RandomRotation(-1), "it must be positive."],
  ["three sizes", () => new transforms.CenterCrop([1, 2, 3] as never), "only two dimensions (h, w)"],
])("refuses %s", (_, body, message) => {
  expect(body).toThrow(message);
});
