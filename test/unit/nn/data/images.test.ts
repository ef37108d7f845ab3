import fs from "node:fs";
import path from "node:path";
import { PNG } from "pngjs";
import { beforeEach, describe, expect, test } from "vitest";
import { data, torch, type Tensor } from "layerwise";
import { loadExecutor } from "../../../../extension/executors/index.ts";
import { writePng } from "../../../../extension/formats/images/png.ts";
import { useFolder } from "../../../folders.ts";
import { useTensorFiles } from "../../../tensorFiles.ts";

interface Case {
  shape: number[];
  options: data.GridOptions;
  gridShape: number[];
  grid: number[];
  pixels: number[];
}

const cases = JSON.parse(
  fs.readFileSync(new URL("../../../fixtures/images/grids.json", import.meta.url), "utf8"),
) as Case[];

const imagesOf = (shape: readonly number[]): Tensor => {
  const n = shape.reduce((a, b) => a * b, 1);
  return torch.tensor(Array.from({ length: n }, (_, i) => ((37 * i) % 101) / 50 - 0.5)).reshape(shape);
};

const folder = useFolder();
const refuse = (): never => {
  throw new Error("not asked for");
};
useTensorFiles({
  save: refuse,
  load: refuse,
  writeImage: writePng,
  exists: refuse,
  readText: refuse,
  writeText: refuse,
  writeOnnx: refuse,
  list: refuse,
  remove: refuse,
  pretrained: refuse,
  openEvents: refuse,
  hostName: refuse,
});
beforeEach(async () => {
  await loadExecutor("cpu");
});

describe("grids and their files are torchvision's", () => {
  test.each(cases.map((one) => [`[${one.shape.join(", ")}] ${JSON.stringify(one.options)}`, one] as const))(
    "%s",
    (_, { shape, options, gridShape, grid, pixels }) => {
      const result = data.makeGrid(imagesOf(shape), options);
      expect(result.shape).toEqual(gridShape);
      [...result.toTypedArray()].forEach((value, i) => expect(value).toBeCloseTo(grid[i]!, 6));

      const file = path.join(folder, "made", "grid.png");
      data.saveImage(imagesOf(shape), file, options);
      const png = PNG.sync.read(fs.readFileSync(file));
      expect([png.height, png.width]).toEqual(gridShape.slice(1));
      const rgb = [...png.data].filter((_byte, i) => i % 4 !== 3);
      expect(rgb).toEqual(pixels);
    },
  );
});

test("a list of images is a batch; what can't be laid out is refused", () => {
  const batch = imagesOf([3, 3, 2, 2]);
  const list = [0, 1, 2].map((i) => batch.select(0, i));
  expect([...data.makeGrid(list).toTypedArray()]).toEqual([...data.makeGrid(batch).toTypedArray()]);
  expect(() => data.makeGrid([])).toThrow("expected a non-empty list of images");
  expect(() => data.makeGrid([torch.zeros(1, 2, 2), torch.zeros(1, 2, 3)])).toThrow(
    "stack expects each tensor to be equal size, but got [1, 2, 2] at entry 0 and [1, 2, 3] at entry 1",
  );
  expect(() => data.makeGrid(torch.zeros(4))).toThrow("expected images [N, C, H, W], got [4]");
  expect(() => data.saveImage(batch, "grid.jpg")).toThrow('expected the name of a .png file, got "grid.jpg"');
  expect(() => data.saveImage(torch.zeros(2, 2, 2), path.join(folder, "x.png"))).toThrow(
    "expected images of 1 or 3 channels, got 2",
  );
});
