// Image folders, idx files, text and made-up sets.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { PNG } from "pngjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { diskFiles, userFolder } from "../../../../extension/engine/files/dataFiles.ts";
import { setDataFiles } from "../../../../extension/nn/data/access.ts";
import { setWarningSink } from "../../../../extension/nn/warnings.ts";
import { data, torch, transforms, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";
import { useFolder } from "../../../folders.ts";

const folder = useFolder("all");
const values = (tensor: Tensor): number[] => [...tensor.toTypedArray()];

useEngine("cpu");
beforeAll(async () => {
  setDataFiles(diskFiles);
  userFolder.path = folder;
});
afterAll(() => {
  setDataFiles(undefined);
  userFolder.path = undefined;
});

const photo = (name: string): string =>
  fileURLToPath(new URL(`../../../fixtures/images/${name}`, import.meta.url));

/** A picture of one line. */
function picture(name: string, pixels: readonly (readonly number[])[]): void {
  const png = new PNG({ width: pixels.length, height: 1 });
  png.data = Buffer.from(pixels.flatMap((pixel) => [...pixel, 255].slice(0, 4)));
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, PNG.sync.write(png));
}

describe("ImageFolder", () => {
  const pixels = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [12, 200, 33],
    [128, 127, 126],
    [1, 2, 3],
  ];
  beforeAll(() => {
    picture("pets/dog/b.png", [[255, 255, 255]]);
    picture("pets/dog/a.PNG", [[0, 51, 255]]);
    picture("pets/dog/more/c.png", [[1, 1, 1]]);
    picture("pets/cat/10.png", pixels);
    picture("pets/cat/9.png", [[9, 9, 9]]);
    fs.writeFileSync(path.join(folder, "pets/cat/notes.txt"), "no image");
    fs.writeFileSync(path.join(folder, "pets/readme.md"), "no class");
  });

  test("classes and files in the order of their names", () => {
    const set = new data.ImageFolder("pets");
    expect([set.classes, set.classToIdx, set.targets]).toEqual([
      ["cat", "dog"],
      { cat: 0, dog: 1 },
      [0, 0, 1, 1, 1],
    ]);
    expect(set.samples.map(([file]) => path.relative(set.root, file))).toEqual([
      "cat/10.png",
      "cat/9.png",
      "dog/a.PNG",
      "dog/b.png",
      "dog/more/c.png",
    ]);
    const [image, target] = set.get(2);
    expect([image.shape, target]).toEqual([[3, 1, 1], 1]);
    values(image).forEach((value, i) => expect(value).toBeCloseTo([0, 0.2, 1][i]!, 7));
  });

  test("grey is Pillow's, and opacity can be had", () => {
    const grey = new data.ImageFolder("pets", { mode: "L" }).get(0)[0];
    expect(grey.shape).toEqual([1, 1, 6]);
    expect(values(grey).map((x) => Math.round(x * 255))).toEqual([76, 150, 29, 125, 127, 2]);
    expect(new data.ImageFolder("pets", { mode: "RGBA" }).get(0)[0].shape).toEqual([4, 1, 6]);
  });

  test("images are decoded when they are asked for, once, and transformed each time", () => {
    let decoded = 0;
    setDataFiles({
      ...diskFiles,
      image: (file) => {
        decoded++;
        return diskFiles.image(file);
      },
    });
    let changed = 0;
    const set = new data.ImageFolder("pets", {
      transform: (image) => {
        changed++;
        return new transforms.Resize([2, 2])(image);
      },
      targetTransform: (target) => target + 10,
    });
    expect(decoded).toBe(0);
    const [first] = [...new data.DataLoader(set, { batchSize: 5 }), ...new data.DataLoader(set)];
    expect([decoded, changed]).toEqual([5, 10]);
    expect([first![0].shape, values(first![1])]).toEqual([
      [5, 3, 2, 2],
      [10, 10, 11, 11, 11],
    ]);
    setDataFiles(diskFiles);
  });

  test("of JPEG files, and single images with the channels that are wanted", () => {
    fs.mkdirSync(path.join(folder, "photos/a"), { recursive: true });
    for (const name of ["420.jpg", "grey.jpg"])
      fs.copyFileSync(photo(name), path.join(folder, "photos/a", name.replace("jpg", "JPEG")));
    const set = new data.ImageFolder("photos");
    expect([set.length, set.get(0)[0].shape]).toEqual([2, [3, 37, 50]]);
    picture("one.png", [
      [255, 0, 0, 128],
      [10, 20, 30, 255],
    ]);
    const shapes = (mode?: data.ImageReadMode) => data.readImage("one.png", mode).shape;
    expect([shapes(), shapes("GRAY"), shapes("GRAY_ALPHA"), shapes("RGB")]).toEqual([
      [4, 1, 2],
      [1, 1, 2],
      [2, 1, 2],
      [3, 1, 2],
    ]);
    expect(values(data.readImage("one.png", "GRAY_ALPHA")).map((x) => Math.round(x * 255))).toEqual([
      76, 18, 128, 255,
    ]);
    expect(data.readImage("photos/a/grey.JPEG").shape).toEqual([1, 37, 50]);
    expect(values(data.readImage(photo("444.jpg")))).toEqual(values(data.readImage(photo("444.png"))));
    expect(() => data.readImage("one.png", "CMYK" as "RGB")).toThrow(
      'data.readImage(): expected mode "UNCHANGED"',
    );
  });

  test("images of other kinds are skipped with a warning, those that torchvision reads", () => {
    for (const name of ["a/1.png", "a/2.BMP", "a/3.webp", "a/notes.txt"]) {
      fs.mkdirSync(path.dirname(path.join(folder, "kinds", name)), { recursive: true });
      fs.writeFileSync(path.join(folder, "kinds", name), "");
    }
    const warnings: string[] = [];
    const before = setWarningSink((message) => void warnings.push(message));
    expect(new data.ImageFolder("kinds")).toHaveLength(1);
    expect(new data.ImageFolder("kinds", { isValidFile: (file) => file.endsWith("1.png") })).toHaveLength(1);
    setWarningSink(before);
    expect(warnings).toEqual([
      expect.stringMatching(/^ImageFolder\(\): skipped 2 images in .*, such as a\/2\.BMP/),
    ]);
  });

  test("what is wrong is told", () => {
    fs.mkdirSync(path.join(folder, "empty/a"), { recursive: true });
    fs.mkdirSync(path.join(folder, "broken/a"), { recursive: true });
    fs.writeFileSync(path.join(folder, "broken/a/x.png"), "no image");
    expect(() => new data.ImageFolder("nowhere")).toThrow("There is no folder nowhere.");
    expect(() => new data.ImageFolder("empty/a")).toThrow("Couldn't find any class folder in");
    expect(() => new data.ImageFolder("empty")).toThrow(
      "Found no valid file for the classes a. Supported extensions are: .png,.jpg,.jpeg",
    );
    expect(() => new data.ImageFolder("broken").get(0)).toThrow(/broken\/a\/x\.png: no PNG or JPEG image: /);
  });
});

describe("Fashion-MNIST", () => {
  const idx = (shape: readonly number[], bytes: readonly number[]): Buffer => {
    const header = Buffer.alloc(4 + 4 * shape.length);
    header.writeUInt16BE(8, 2);
    header[2] = 8;
    header[3] = shape.length;
    shape.forEach((extent, i) => header.writeUInt32BE(extent, 4 + 4 * i));
    return Buffer.concat([header, Buffer.from(bytes)]);
  };
  const put = (name: string, bytes: Uint8Array): void => {
    fs.mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), bytes);
  };

  test("is read from idx files, packed or not", () => {
    put("mnist/train-images-idx3-ubyte.gz", gzipSync(idx([3, 1, 2], [0, 51, 255, 0, 102, 153])));
    put("mnist/train-labels-idx1-ubyte", idx([3], [9, 0, 2]));
    const set = data.fashionMnist({ folder: "mnist" });
    expect([set.length, set.classes[9]]).toEqual([3, "Ankle boot"]);
    const [image, target] = set.get(1);
    expect([image.shape, values(image), target]).toEqual([[1, 1, 2], [1, 0], 0]);
    const [images, targets] = [...new data.DataLoader(set, { batchSize: 3 })][0] as unknown as [
      Tensor,
      Tensor,
    ];
    expect([images.shape, targets.dtype, values(targets)]).toEqual([[3, 1, 1, 2], "int64", [9, 0, 2]]);
    const changed = data.fashionMnist({ folder: "mnist", limit: 2, transform: (x) => x.mul(2) });
    const [[doubled]] = [...new data.DataLoader(changed, { batchSize: 2 })] as unknown as [[Tensor]];
    values(doubled).forEach((value, i) => expect(value).toBeCloseTo([0, 0.4, 2, 0][i]!, 6));
  });

  test("says how to get it, and what is wrong with a file", () => {
    expect(() => data.fashionMnist({ folder: "nothing" })).toThrow(
      "data.fashionMnist(): there is no train-images-idx3-ubyte (or .gz) in",
    );
    try {
      data.fashionMnist({ folder: "nothing" });
    } catch (error) {
      expect((error as { hint: string }).hint).toContain("apt install dataset-fashion-mnist");
    }
    put("short/t10k-images-idx3-ubyte", idx([2, 1, 2], [1, 2, 3]));
    put("short/t10k-labels-idx1-ubyte", idx([2], [1, 2]));
    expect(() => data.fashionMnist({ folder: "short", train: false })).toThrow(
      "t10k-images-idx3-ubyte: no idx file of bytes: expected 20 bytes, got 19",
    );
    put("odd/t10k-images-idx3-ubyte", idx([2, 1, 1], [1, 2]));
    put("odd/t10k-labels-idx1-ubyte", idx([1], [1]));
    expect(() => data.fashionMnist({ folder: "odd", train: false })).toThrow(
      "expected as many labels as images",
    );
    put("text/t10k-images-idx3-ubyte", Buffer.from("hello"));
    expect(() => data.fashionMnist({ folder: "text", train: false })).toThrow(
      "it doesn't begin with two zeros",
    );
  });
});

test("TransformDataset changes samples, and keeps classes", () => {
  const set = new data.TransformDataset(new data.TensorDataset(torch.arange(3), torch.arange(3)), {
    transform: (x) => x.add(1),
    targetTransform: (y) => y.mul(2),
  });
  expect(set.get(2).map((x) => (x as Tensor).item())).toEqual([3, 4]);
});

describe("made-up sets", () => {
  test("without noise and order, moons and circles are scikit-learn's", () => {
    const moons = data.twoMoons({ samples: 7, shuffle: false });
    const expected = [1, 0, 0, 1, -1, 0, 0, 0.5, 0.5, -0.3660254, 1.5, -0.3660254, 2, 0.5];
    values(moons.inputs).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 6));
    expect(values(moons.targets)).toEqual([0, 0, 0, 1, 1, 1, 1]);
    const rings = data.circles({ samples: 7, shuffle: false, factor: 0.4 });
    const around = [1, 0, -0.5, 0.8660254, -0.5, -0.8660254, 0.4, 0, 0, 0.4, -0.4, 0, 0, -0.4];
    values(rings.inputs).forEach((value, i) => expect(value).toBeCloseTo(around[i]!, 6));
  });

  test.each([
    ["twoMoons", data.twoMoons],
    ["circles", data.circles],
    ["spirals", data.spirals],
    ["sine", data.sine],
  ] as const)("%s: equal seeds give equal sets, and leave the global generator alone", (_, make) => {
    torch.manualSeed(1);
    const before = torch.getRngState();
    const options = { samples: 31, noise: 0.1, shuffle: true };
    const [a, b, c] = [
      make({ ...options, seed: 5 }),
      make({ ...options, seed: 5 }),
      make({ ...options, seed: 6 }),
    ];
    expect(torch.getRngState()).toEqual(before);
    expect(values(a.tensors[0])).toEqual(values(b.tensors[0]));
    expect(values(a.tensors[1])).toEqual(values(b.tensors[1]));
    expect(values(c.tensors[0])).not.toEqual(values(a.tensors[0]));
    expect(a).toHaveLength(31);
    expect(() => make({ samples: 0 })).toThrow("expected samples to be a whole number of at least 1, got 0");
    make(options);
    expect(torch.getRngState()).not.toEqual(before);
  });

  test("spirals have arms, and a sine is a sine", () => {
    const arms = data.spirals({ samples: 9, classes: 3, shuffle: false });
    expect(arms.classes).toEqual(["0", "1", "2"]);
    const radius = arms.inputs.pow(2).sum(1).sqrt();
    values(radius).forEach((value, i) => expect(value).toBeCloseTo((i % 3) / 2, 6));
    const wave = data.sine({ samples: 5, frequency: 2 });
    values(wave.tensors[1]).forEach((value, i) =>
      expect(value).toBeCloseTo(Math.sin(2 * values(wave.tensors[0])[i]!), 6),
    );
  });
});

describe("text", () => {
  test("a file, and its words", () => {
    fs.writeFileSync(path.join(folder, "story.txt"), "It's Élan, 25 times!\n");
    expect(data.words(data.text("story.txt"))).toEqual(["it", "'", "s", "élan", ",", "25", "times", "!"]);
  });

  test("Vocabulary orders as torchtext does", () => {
    const tokens = ["b", "a", "c", "c", "b", "c", "d", "<unk>"];
    const vocabulary = new data.Vocabulary(tokens, { specials: ["<unk>", "<pad>"] });
    expect(vocabulary.tokens).toEqual(["<unk>", "<pad>", "c", "b", "a", "d"]);
    expect(values(vocabulary.encode(["c", "d"]))).toEqual([2, 5]);
    expect(vocabulary.decode(torch.tensor([3, 0]))).toEqual(["b", "<unk>"]);
    expect(() => vocabulary.encode(["x"])).toThrow("Token x not found and default index is not set");
    expect(values(vocabulary.setDefaultIndex(0).encode(["x", "a"]))).toEqual([0, 4]);
    expect(() => vocabulary.decode([6])).toThrow("index 6 is out of range for 6 tokens");
    expect(new data.Vocabulary(tokens, { minFreq: 2, specials: ["!"], specialFirst: false }).tokens).toEqual([
      "c",
      "b",
      "!",
    ]);
    expect(new data.Vocabulary(tokens, { maxTokens: 2 }).tokens).toEqual(["c", "b"]);
    expect(data.characters("hello").tokens).toEqual(["e", "h", "l", "o"]);
  });

  test("NextCharacterDataset of a text: windows, and what follows each character", () => {
    const set = new data.NextCharacterDataset("abcdefg", { sequenceLength: 3, stride: 2 });
    expect(set).toHaveLength(2);
    const [x, y] = set.get(1);
    expect([set.vocabulary.decode(x).join(""), set.vocabulary.decode(y).join("")]).toEqual(["cde", "def"]);
    expect(() => new data.NextCharacterDataset("abc", { sequenceLength: 3 })).toThrow(
      "expected a text of at least 4 characters, got 3",
    );
  });

  test("NextCharacterDataset of names: each with its ends, the rest ignored", () => {
    const set = new data.NextCharacterDataset(["Al", "Bob"]);
    expect([set.length, set.sequenceLength, set.vocabulary.tokens[0]]).toEqual([2, 4, "\n"]);
    const [x, y] = set.get(0);
    expect(set.vocabulary.decode(x).join("")).toBe("\nAl\n");
    expect(values(y).slice(3)).toEqual([-100]);
    expect(set.vocabulary.decode(values(y).slice(0, 3)).join("")).toBe("Al\n");
    expect(set.vocabulary.decode(set.get(1)[1]).join("")).toBe("Bob\n");
    expect(() => new data.NextCharacterDataset(["Bob"], { sequenceLength: 2 })).toThrow(
      "expected lines of at most 1 characters, got 3",
    );
  });
});
