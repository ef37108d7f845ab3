// Automatic augmentations against torchvision's (test/fixtures/transforms/autoAugment.py), random draws included.
import fs from "node:fs";
import { expect, test } from "vitest";
import { torch, transforms, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

interface Image {
  shape: number[];
  data: number[];
}

interface Call {
  name: "AutoAugment" | "RandAugment" | "TrivialAugmentWide" | "AugMix";
  args: unknown[];
  options: object;
}

const file = new URL("../../../fixtures/transforms/autoAugment.json", import.meta.url);
const { images, cases, errors } = JSON.parse(fs.readFileSync(file, "utf8")) as {
  images: Record<string, Image>;
  cases: (Call & { image: string; repr: string; results: (Image & { seed: number; next: number })[] })[];
  errors: (Call & { message: string })[];
};

useEngine("cpu");

const tensor = ({ shape, data }: Image): Tensor => torch.tensor(data).reshape(...shape);

function made({ name, args, options }: Call): (image: Tensor) => Tensor {
  const types: Readonly<Record<string, unknown>> = transforms;
  const type = types[name] as new (...given: unknown[]) => (image: Tensor) => Tensor;
  return new type(...args, ...(Object.keys(options).length > 0 ? [options] : []));
}

test.each(cases)("$name($args, $options) of $image is torchvision's, and draws as much", (one) => {
  const transform = made(one);
  expect(String(transform)).toBe(one.repr);
  const image = tensor(images[one.image]!);
  for (const { seed, shape, data, next } of one.results) {
    torch.manualSeed(seed);
    const result = transform(image);
    expect(torch.rand(1).item(), `draws of seed ${seed}`).toBeCloseTo(next, 7);
    expect(result.shape).toEqual(shape);
    const values = result.toTypedArray();
    const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(values[i]! - value)), 0);
    expect(worst, `seed ${seed}`).toBeLessThanOrEqual(1e-6);
  }
});

test.each(errors)("$name($args, $options) throws torchvision's error", (one) => {
  torch.manualSeed(0);
  expect(() => made(one)(tensor(images["rgb"]!))).toThrow(one.message);
});

test.each<[string, Tensor, string]>([
  ["two channels", torch.zeros(2, 3, 3), "permitted channel values are [1, 3], but found 2"],
  ["a plane", torch.zeros(3, 3), "should have at least 3 dimensions, but found 2"],
  ["whole numbers", torch.zeros(1, 3, 3).long(), "expected a float image, got torch.int64"],
])("refuses %s whatever it draws", (_, image, message) => {
  for (const name of ["AutoAugment", "RandAugment", "TrivialAugmentWide", "AugMix"] as const)
    expect(() => made({ name, args: [], options: {} })(image)).toThrow(message);
});

test("the enums of policies and interpolations are arguments", () => {
  const { AutoAugment, AutoAugmentPolicy, InterpolationMode } = transforms;
  const augment = new AutoAugment(AutoAugmentPolicy.SVHN, { interpolation: InterpolationMode.BILINEAR });
  expect([augment.policy, augment.interpolation, augment.fill]).toEqual(["svhn", "bilinear", null]);
});

test("the input stays unchanged", () => {
  const image = torch.rand(3, 6, 6);
  const before = image.tolist();
  for (let seed = 0; seed < 8; seed++) new transforms.AugMix(10)(image);
  expect(image.tolist()).toEqual(before);
});
