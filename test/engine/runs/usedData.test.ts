// The code that "Use in a Model" writes trains without changes.
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { firstUse, insertion, wholeFile } from "../../../extension/editor/dataCode.ts";
import { describeDataFile } from "../../../extension/engine/data/dataFile.ts";
import { encodePng } from "../../../extension/formats/images/png.ts";
import type { DataUse } from "../../../extension/protocol/data/dataFile.ts";
import { useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

/** Writes the code of a use, and trains it for an epoch. */
async function trained(name: string, change: Partial<DataUse> = {}): Promise<string> {
  const data = describeDataFile(workspace.file(name));
  const use = { ...firstUse(data, "used.nn.ts"), ...change };
  workspace.write("used.nn.ts", wholeFile(data, use, workspace.folder));
  const { code, stdout, stderr } = await workspace.run(["train", "used.nn.ts", "--epochs", "1"]);
  expect(code, stderr).toBe(0);
  return stdout;
}

const rows = (cells: (i: number) => string, count = 120): string =>
  `${Array.from({ length: count }, (_, i) => cells(i)).join("\n")}\n`;

test("of a table with categories, texts and missing values, as classes and as numbers", async () => {
  const cells = (i: number): string =>
    `${i / 7},${i % 9 === 0 ? "" : i % 5},${["red", "dark blue"][i % 2]},"id ""${i}""",${["iris", "rose"][i % 2]}`;
  workspace.write("my flowers.csv", `length,petal count,colour,id,species\n${rows(cells)}`);
  expect(await trained("my flowers.csv")).toMatch(/accuracy/i);
  expect(await trained("my flowers.csv", { target: "length", task: "regression" })).toMatch(/mae/i);
  await trained("my flowers.csv", { target: "petal count", task: "classification", normalize: false });
});

test("of a table without a header, with semicolons, and of whole numbers", async () => {
  workspace.write(
    "plain.csv",
    rows((i) => `${i};${i % 13};${i % 3}`),
  );
  expect(await trained("plain.csv")).toMatch(/accuracy/i);
});

test("of a Parquet file, as classes and as numbers", async () => {
  const fixture = new URL("../../fixtures/parquet/zstd.parquet", import.meta.url);
  fs.copyFileSync(fixture, workspace.file("trees.parquet"));
  expect(await trained("trees.parquet")).toMatch(/accuracy/i);
  expect(await trained("trees.parquet", { target: "gaps", task: "regression" })).toMatch(/mae/i);
});

test("of a folder of images of several sizes", async () => {
  for (let i = 0; i < 24; i++) {
    const [width, height] = [9 + (i % 4), 12];
    const data = new Uint8Array(4 * width * height).fill(i * 9);
    const file = workspace.file(`pets/${["cat", "dog"][i % 2]}/${i}.png`);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, encodePng({ width, height, data }));
  }
  expect(await trained("pets")).toMatch(/accuracy/i);
});

test("lines for an existing file are read by its experiment", async () => {
  workspace.write("points.csv", `x,y,kind\n${rows((i) => `${i},${i % 3},${["a", "b"][i % 2]}`)}`);
  const text = `import { experiment, nn, optim } from "layerwise";

export default experiment({
  model: () => new nn.Linear(2, 2),
  data: NAME,
  validation: 0.2,
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters),
  batchSize: 8,
  epochs: 1,
});
`;
  const data = describeDataFile(workspace.file("points.csv"));
  const { offset, code } = insertion(text, data, firstUse(data, ""), path.join(workspace.folder, "models"));
  workspace.write(
    "models/points.nn.ts",
    (text.slice(0, offset) + code + text.slice(offset)).replace("NAME", "points"),
  );
  const { code: exit, stderr } = await workspace.run(["train", "models/points.nn.ts"]);
  expect(exit, stderr).toBe(0);
});
