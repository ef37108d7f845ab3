// Transforms against torchvision's (test/fixtures/transforms/make.py), random draws included.
import fs from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { torch, transforms, type Tensor } from "../../../../extension/nn/index.ts";
import { setWarningSink } from "../../../../extension/nn/warnings.ts";
import { useEngine } from "../../../engines.ts";

interface Image {
  shape: number[];
  data: number[];
}

interface Call {
  name: string;
  args: unknown[];
  options: object;
  image: string | null;
}

interface Case extends Call {
  repr: string;
  results: (Image & { seed: number; next: number })[];
}

const file = new URL("../../../fixtures/transforms/transforms.json", import.meta.url);
const { images, cases, functional, errors, compose } = JSON.parse(fs.readFileSync(file, "utf8")) as {
  images: Record<string, Image>;
  cases: Case[];
  functional: (Call & { image: string; result: Image | number | number[] })[];
  errors: (Call & { message: string })[];
  compose: string;
};

useEngine("cpu");

const tensor = ({ shape, data }: Image): Tensor => torch.tensor(data).reshape(...shape);

/** The arguments that a case of the fixture stands for: transforms are lists `[name, args, options]`. */
function given(args: readonly unknown[], options: object): unknown[] {
  const isMade = (x: unknown): x is [string, unknown[], object][] =>
    Array.isArray(x) && Array.isArray(x[0]) && typeof x[0][0] === "string";
  const made = args.map((x) =>
    isMade(x) ? x.map(([name, inner, named]) => transformOf({ name, args: inner, options: named })) : x,
  );
  return Object.keys(options).length > 0 ? [...made, options] : made;
}

function transformOf({ name, args, options }: Omit<Call, "image">): (image: Tensor) => Tensor | Tensor[] {
  const types: Readonly<Record<string, unknown>> = transforms;
  const type = types[name] as new (...args: unknown[]) => (image: Tensor) => Tensor | Tensor[];
  return new type(...given(args, options));
}

function applied({ name, args, options }: Call, image: Tensor): unknown {
  const functions: Readonly<Record<string, unknown>> = transforms.functional;
  return (functions[name] as (...args: unknown[]) => unknown)(image, ...given(args, options));
}

function expectClose(result: Tensor | Tensor[], { shape, data }: Image): void {
  const one = Array.isArray(result) ? torch.stack(result) : result;
  expect(one.shape).toEqual(shape);
  const values = one.toTypedArray();
  const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(values[i]! - value)), 0);
  expect(worst).toBeLessThanOrEqual(1e-6);
}

describe.each(cases)("$name($args, $options) of $image", (one) => {
  test("is torchvision's, and draws as much", () => {
    const transform = transformOf(one);
    expect(String(transform)).toBe(one.repr);
    for (const result of one.results) {
      const image = tensor(images[one.image!]!);
      torch.manualSeed(result.seed);
      expectClose(transform(image), result);
      expect(torch.rand(1).item()).toBeCloseTo(result.next, 7);
    }
  });
});

test.each(functional)("functional.$name($args, $options) of $image is torchvision's", (one) => {
  const result = applied(one, tensor(images[one.image]!));
  const expected = one.result;
  if (typeof expected === "number" || Array.isArray(expected)) expect(result).toEqual(expected);
  else expectClose(result as Tensor | Tensor[], expected);
});

test.each(errors)("$name($args, $options) of $image throws torchvision's error", (one) => {
  const { name, image, message } = one;
  const others: Record<string, Tensor> = { two: torch.zeros(2, 3, 3), plane: torch.zeros(3, 3) };
  const input = image === null ? undefined : (others[image] ?? tensor(images[image]!));
  expect(() => {
    if (/^[a-z]/.test(name)) return applied(one, input!);
    const transform = transformOf(one);
    return input === undefined ? transform : transform(input);
  }).toThrow(message);
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
  ["two channels", () => new transforms.Grayscale()(torch.zeros(2, 2, 2)), "are [1, 3], but found 2"],
  ["a negative angle", () => new transforms.RandomRotation(-1), "it must be positive."],
  ["three sizes", () => new transforms.CenterCrop([1, 2, 3] as never), "only two dimensions (h, w)"],
])("refuses %s", (_, body, message) => {
  expect(body).toThrow(message);
});

test("transforms take their arguments by name too", () => {
  expect(String(new transforms.RandomHorizontalFlip({ p: 0.25 }))).toBe("RandomHorizontalFlip(p=0.25)");
  expect(String(new transforms.CenterCrop({ size: 2 }))).toBe("CenterCrop(size=(2, 2))");
  expect(String(new transforms.Pad({ padding: 1, fill: 2 }))).toBe(
    "Pad(padding=1, fill=2, padding_mode=constant)",
  );
  // @ts-expect-error -- it has no such argument
  expect(() => new transforms.ColorJitter({ colour: 1 })).toThrow("unexpected keyword argument 'colour'");
});

test("what getParams draws gives the transform's result, for a mask too", () => {
  const {
    functional: F,
    RandomCrop,
    RandomResizedCrop,
    RandomRotation,
    RandomAffine,
    RandomErasing,
  } = transforms;
  const [image, mask] = [torch.rand(1, 9, 9), torch.rand(1, 9, 9)];
  const draws: [(y: Tensor) => Tensor, (x: Tensor) => (y: Tensor) => Tensor][] = [
    [
      new RandomCrop([4, 5]),
      (x) => {
        const region = RandomCrop.getParams(x, [4, 5]);
        return (y) => F.crop(y, ...region);
      },
    ],
    [
      new RandomResizedCrop(4, { scale: [0.1, 1], ratio: [0.5, 2] }),
      (x) => {
        const region = RandomResizedCrop.getParams(x, [0.1, 1], [0.5, 2]);
        return (y) => F.resizedCrop(y, ...region, [4, 4]);
      },
    ],
    [
      new RandomRotation(40),
      () => {
        const angle = RandomRotation.getParams([-40, 40]);
        return (y) => F.rotate(y, angle);
      },
    ],
    [
      new RandomAffine(9, { translate: [0.1, 0.1], scale: [0.5, 2], shear: 9 }),
      () => {
        const drawn = RandomAffine.getParams([-9, 9], [0.1, 0.1], [0.5, 2], [-9, 9], [9, 9]);
        return (y) => F.affine(y, ...drawn);
      },
    ],
    [
      new RandomErasing({ p: 1, scale: [0.1, 0.3], ratio: [0.5, 2], value: 0.5 }),
      (x) => {
        // Whether it is erased.
        torch.rand(1);
        const drawn = RandomErasing.getParams(x, [0.1, 0.3], [0.5, 2], [0.5]);
        return (y) => F.erase(y, ...drawn);
      },
    ],
  ];
  for (const [transform, draw] of draws) {
    torch.manualSeed(5);
    const change = draw(image);
    for (const one of [image, mask]) {
      torch.manualSeed(5);
      expect(change(one).tolist()).toEqual(transform(one).tolist());
    }
    expect(change(image).tolist()).not.toEqual(change(mask).tolist());
    torch.manualSeed(6);
    expect(transform(image).tolist()).not.toEqual(change(image).tolist());
  }
});

test("erase takes places as Python's slices do", () => {
  const rows = (x: Tensor): unknown => x.index(0).tolist();
  const image = torch.zeros(1, 3, 3);
  const { erase } = transforms.functional;
  expect(rows(erase(image, -2, 1, 1, 9, 1))).toEqual([
    [0, 0, 0],
    [0, 1, 1],
    [0, 0, 0],
  ]);
  expect(erase(image, -1, -1, 2, 2, 1).max().item()).toBe(0);
});

test("RandomErasing changes the image itself with inplace", () => {
  const image = torch.zeros(3, 6, 6);
  const erased = new transforms.RandomErasing(1, { value: 1, inplace: true })(image);
  expect(erased).toBe(image);
  expect(image.max().item()).toBe(1);
});

test("reversed ranges warn", () => {
  const warned = vi.fn<(text: string) => void>();
  const before = setWarningSink(warned);
  try {
    expect(new transforms.RandomResizedCrop(2, { scale: [1, 0.5] }).scale).toEqual([1, 0.5]);
  } finally {
    setWarningSink(before);
  }
  expect(warned.mock.calls.flat().join(" ")).toContain("Scale and ratio should be of kind (min, max)");
});

test("geometry keeps the dtype of a mask; colours refuse other types than float32", () => {
  const mask = torch.tensor([
    [
      [1, 2],
      [3, 4],
    ],
  ]);
  const turned = transforms.functional.rotate(mask, 90);
  expect([turned.dtype, turned.tolist()]).toEqual([
    "int64",
    [
      [
        [2, 4],
        [1, 3],
      ],
    ],
  ]);
  expect(() => transforms.functional.invert(mask)).toThrow(
    "invert(): expected a float image, got torch.int64",
  );
});

test("dtypes convert with their scale; float images stay unchanged", () => {
  const image = torch.rand(1, 2, 2);
  expect(new transforms.ConvertImageDtype(torch.float32)(image)).toBe(image);
  expect(String(new transforms.ConvertImageDtype(torch.float32))).toBe("ConvertImageDtype()");
  const { convertImageDtype } = transforms.functional;
  expect(convertImageDtype(torch.tensor([true, false])).tolist()).toEqual([1, 0]);
  expect(convertImageDtype(torch.tensor([0, 0.25]), torch.bool).tolist()).toEqual([false, true]);
  expect(convertImageDtype(torch.tensor([2 ** 30])).item()).toBeCloseTo(2 ** -33, 15);
  expect(() => convertImageDtype(torch.tensor([1]), "bool")).toThrow(
    "no cast from torch.int64 to torch.bool",
  );
});

test("LinearTransformation multiplies flat images by a matrix", () => {
  const [matrix, mean] = [torch.arange(16).reshape(4, 4).float(), torch.ones(4)];
  const whiten = new transforms.LinearTransformation(matrix, mean);
  const image = torch.rand(2, 1, 2, 2);
  expect(whiten(image).tolist()).toEqual(
    image.reshape(2, 4).sub(mean).matmul(matrix).reshape(2, 1, 2, 2).tolist(),
  );
  expect(String(new transforms.LinearTransformation(torch.eye(2), torch.zeros(2)))).toBe(
    "LinearTransformation(transformation_matrix=[[1.0, 0.0], [0.0, 1.0]], mean_vector=[0.0, 0.0])",
  );
  expect(() => whiten(torch.rand(1, 2, 3))).toThrow(
    "Input tensor and transformation matrix have incompatible shape.[1 x 2 x 3] != 4",
  );
  expect(() => new transforms.LinearTransformation(torch.zeros(2, 3), mean)).toThrow(
    "transformation_matrix should be square. Got (2, 3) rectangular matrix.",
  );
});
