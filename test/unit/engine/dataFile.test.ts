// "Use in a Model": what a file of data holds, and the code that is written for it, which runs.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { processorClock } from "../../bounds.ts";
import {
  firstUse,
  insertion,
  newFileFolder,
  problemOf,
  variableName,
  wholeFile,
} from "../../../extension/editor/dataCode.ts";
import { describeDataFile } from "../../../extension/engine/data/dataFile.ts";
import { encodePng } from "../../../extension/formats/images/png.ts";
import { taskOf, type DataFile } from "../../../extension/protocol/data/dataFile.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();
const photo = fileURLToPath(new URL("../../fixtures/images/progressive.jpg", import.meta.url));
const fixture = fileURLToPath(new URL("../../fixtures/parquet/snappy.parquet", import.meta.url));

function write(name: string, content: string | Uint8Array): string {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
  return file;
}

const table = (file: string): DataFile & { kind: "table" } => {
  const found = describeDataFile(file);
  if (found.kind !== "table") throw new Error("no table");
  return found;
};

const FLOWERS = `length,width,colour,id,species
${Array.from({ length: 300 }, (_, i) => `${i / 10},${i % 7 === 0 ? "" : i % 5},${["red", "blue"][i % 2]},f${i},${["iris", "rose", "lily"][i % 3]}`).join("\n")}
`;

describe("a table", () => {
  test("has columns of numbers, categories and texts, with counts of missing values", () => {
    const { columns, rows, header, delimiter, more } = table(write("flowers.csv", FLOWERS));
    expect({ rows, header, delimiter, more }).toEqual({
      rows: 300,
      header: true,
      delimiter: ",",
      more: false,
    });
    expect(
      columns.map(({ name, type, distinct, missing, whole }) => [name, type, distinct, missing, whole]),
    ).toEqual([
      ["length", "number", 300, 0, false],
      ["width", "number", 5, 43, true],
      ["colour", "category", 2, 0, false],
      ["id", "text", 300, 0, false],
      ["species", "category", 3, 0, false],
    ]);
  });

  test("may have other delimiters, no header, and be compressed", () => {
    expect(table(write("a.csv", "x;y\n1;2\n3;4\n"))).toMatchObject({ delimiter: ";", header: true });
    expect(table(write("b.tsv", "1\t2\n3\t4\n"))).toMatchObject({ delimiter: "\t", header: false, rows: 2 });
    expect(table(write("c.csv.gz", gzipSync("x,y\n1,2\n")))).toMatchObject({ rows: 1, header: true });
  });

  test("of any size is read to a limit, and says so", () => {
    const rows = "12345.678,abcdefgh,3\n".repeat(250_000);
    const found = table(write("large.csv", `a,b,c\n${rows}`));
    expect(found).toMatchObject({ rows: 100_000, more: true });
  });

  test("of many columns has all of them, and a model of as many inputs", () => {
    const names = [...Array.from({ length: 784 }, (_, i) => `pixel${i}`), "label"];
    const rows = Array.from({ length: 20 }, (_, i) => names.map((_name, j) => (i + j) % 10).join(","));
    const data = table(write("mnist.csv", `${names.join(",")}\n${rows.join("\n")}\n`));
    expect(data.columns).toHaveLength(785);
    const use = firstUse(data, "mnist.nn.ts");
    expect(use.target).toBe("label");
    expect(wholeFile(data, use, folder)).toContain("new nn.Linear(784, ");
    expect([data.columns[0], data.columns.at(-1)]).toMatchObject([
      { examples: { length: 4 } },
      { type: "number", distinct: 10, examples: [] },
    ]);
  });

  test("of too many columns, or with too long names, is refused", () => {
    const wide = write("wide.csv", Array.from({ length: 100_001 }, (_, i) => i).join(","));
    expect(() => describeDataFile(wide)).toThrow("100,001 columns, and the limit is 100,000");
    const long = write("long.csv", `${"a".repeat(2 ** 22)},b\n1,2\n`);
    expect(() => describeDataFile(long)).toThrow("names of the columns");
  });

  test("of a Parquet file has its types", () => {
    const file = path.join(folder, "trees.parquet");
    fs.copyFileSync(fixture, file);
    const data = table(file);
    expect([data.rows, data.more, data.format]).toEqual([60, false, "parquet"]);
    expect(
      data.columns.slice(6).map(({ name, type, distinct, missing }) => [name, type, distinct, missing]),
    ).toEqual([
      ["price", "number", 60, 0],
      ["flag", "category", 2, 0],
      ["gaps", "number", 51, 9],
      ["colour", "category", 2, 5],
      ["day", "text", 60, 0],
      ["time", "text", 60, 0],
      ["nanos", "text", 60, 0],
      ["kind", "category", 3, 0],
    ]);
    const use = firstUse(data, "trees.nn.ts");
    expect(use).toMatchObject({ target: "kind", task: "classification", missing: "median" });
    const code = wholeFile(data, use, folder);
    expect(code).toContain('const trees = () =>\n  data.parquet("trees.parquet", {\n    target: "kind",');
    expect(code).toContain("new nn.Linear(12, 32)");
    fs.writeFileSync(file, "PAR1");
    expect(() => describeDataFile(file)).toThrow(`${file}: no Parquet file`);
  });

  test("that is invalid is refused with the reason", () => {
    expect(() => describeDataFile(path.join(folder, "none.csv"))).toThrow("There is no");
    expect(() => describeDataFile(write("empty.csv", ""))).toThrow("has no rows");
    expect(() => describeDataFile(write("broken.csv", 'a,b\n"x,1\n'))).toThrow(/broken\.csv:/);
    expect(() => describeDataFile(write("broken.csv.gz", "no gzip"))).toThrow("can't be unpacked");
  });
});

describe("a folder", () => {
  const png = encodePng({ width: 12, height: 9, data: new Uint8Array(4 * 12 * 9) });

  test("of images has classes, and says which images are not read", () => {
    for (const name of ["cat/1.png", "cat/more/2.png", "dog/1.png", "dog/2.gif"]) write(`pets/${name}`, png);
    expect(describeDataFile(path.join(folder, "pets"))).toEqual({
      kind: "images",
      path: path.join(folder, "pets"),
      classes: [
        { name: "cat", images: 2 },
        { name: "dog", images: 1 },
      ],
      more: false,
      width: 12,
      height: 9,
      others: 1,
    });
  });

  test("without images is refused with the expected layout", () => {
    fs.mkdirSync(path.join(folder, "nothing/here"), { recursive: true });
    expect(() => describeDataFile(path.join(folder, "nothing"))).toThrow("root/class/image.png");
    write("photos/cat/1.webp", "x");
    expect(() => describeDataFile(path.join(folder, "photos"))).toThrow("Convert the images to PNG");
    write("photos/cat/0.jpg", fs.readFileSync(photo));
    expect(describeDataFile(path.join(folder, "photos"))).toMatchObject({ width: 50, height: 37, others: 1 });
  });
});

describe("the code", () => {
  test("predicts the last column that can be: a category by classes, numbers by regression", () => {
    const data = table(write("flowers.csv", FLOWERS));
    const use = firstUse(data, "flowers.nn.ts");
    expect(use).toMatchObject({ target: "species", task: "classification", missing: "median" });
    expect(wholeFile(data, use, folder)).toBe(`// A small network for flowers.csv
import { nn, optim, data, experiment } from "layerwise";

/** A table of 300 rows; species is predicted. */
const flowers = () =>
  data.csv("flowers.csv", {
    target: "species",
    types: { id: "text" },
    missing: "median",
    normalize: "standard",
  });

export default experiment({
  seed: 0,
  model: () =>
    new nn.Sequential(
      new nn.Linear(4, 32),
      new nn.ReLU(),
      new nn.Linear(32, 3),
    ),
  data: flowers,
  validation: 0.2,
  loss: new nn.CrossEntropyLoss(),
  metrics: ["accuracy"],
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
  batchSize: 32,
  epochs: 50,
});
`);
    const width = { ...use, target: "width", task: "classification" as const };
    expect(wholeFile(data, width, folder)).toContain(
      'types: { width: "category", id: "text" },\n    missing: "drop"',
    );
    const length = { ...use, target: "length", task: "regression" as const };
    expect(wholeFile(data, length, folder)).toContain("new nn.MSELoss()");
    expect(problemOf(data, { ...use, task: "regression" })).toBe("numbers");
    expect(problemOf(data, { ...use, target: "id" })).toBe("target");
    expect(problemOf(data, length)).toBeUndefined();
  });

  test("guesses classes for few whole numbers only", () => {
    const column = { name: "x", type: "number" as const, distinct: 3, missing: 0, whole: true, examples: [] };
    expect(taskOf(column, 100)).toBe("classification");
    expect(taskOf(column, 10)).toBe("regression");
    expect(taskOf({ ...column, whole: false }, 100)).toBe("regression");
    expect(taskOf({ ...column, distinct: 40 }, 1000)).toBe("regression");
  });

  test("is inserted into an existing file after its imports, with the missing ones", () => {
    const data = table(write("flowers.csv", FLOWERS));
    const use = firstUse(data, "");
    const text = 'import { nn } from "layerwise";\nimport fs from "node:fs";\n\nexport class Net {}\n';
    const { offset, code } = insertion(text, data, use, path.join(folder, "models"));
    expect(text.slice(0, offset)).toBe('import { nn } from "layerwise";\nimport fs from "node:fs";\n');
    expect(code).toMatch(/^import \{ data \} from "layerwise";\n\n\/\*\* A table/);
    expect(code).toContain('data.csv("../flowers.csv", {');
    expect(insertion('import { data, nn } from "layerwise";\n', data, use, folder).code).toMatch(
      /^\n\/\*\* A table/,
    );
    expect(insertion("const x = 1;\n", data, use, folder).offset).toBe(0);
    expect(insertion("const flowers = 1;\n", data, use, folder).code).toContain("const flowers2 = () =>");
    const spent = processorClock();
    insertion("import ".repeat(150_000), data, use, folder);
    insertion("import\n".repeat(150_000), data, use, folder);
    expect(spent()).toBeLessThan(10_000);
  });

  test("imports under a free name if the file uses the name for something else", () => {
    const data = table(write("flowers.csv", FLOWERS));
    const use = firstUse(data, "");
    const codeFor = (text: string, of: DataFile = data): string => insertion(text, of, use, folder).code;
    for (const text of [
      "const data = [1, 2];\n",
      "const data: number[] = [1, 2];\n",
      "const { data } = load();\n",
      "const [{ x: data }] = load();\n",
      "let other = 1, data = 2;\n",
      "function data() {}\n",
      "export class data {}\n",
      'import data from "./own.ts";\n',
      'import * as data from "./own.ts";\n',
      'import { own as data } from "./own.ts";\n',
      'import type { data } from "layerwise";\n',
    ]) {
      expect(codeFor(text), text).toContain('import { data as data2 } from "layerwise";\n');
      expect(codeFor(text), text).toContain('data2.csv("flowers.csv", {');
    }
    for (const text of [
      "// data of flowers\n",
      'const x = "data";\n',
      "experiment({ model, data: flowers });\n",
      "const x = batch.data;\n",
      "interface Options { data?: string }\n",
    ])
      expect(codeFor(text), text).toContain('import { data } from "layerwise";\n');
    expect(codeFor('import { nn, data as sets } from "layerwise";\n')).toMatch(
      /^\n\/\*\* A table[^]*sets\.csv\(/,
    );
    const images: DataFile = {
      kind: "images",
      path: path.join(folder, "data2"),
      classes: [{ name: "cat", images: 3 }],
      more: false,
      width: 8,
      height: 8,
      others: 0,
    };
    const code = codeFor("const data = 1;\nconst transforms = 2;\n", images);
    expect(code).toContain('import { data as data2, transforms as transforms2 } from "layerwise";');
    expect(code).toMatch(/const data22 = \(\) =>\n {2}new data2\.ImageFolder\([^]*new transforms2\.Resize\(/);
  });

  test("is written beside the data, or into the workspace if the data is outside of it", () => {
    const at = (...names: string[]): string => path.resolve(folder, ...names);
    const folders = [at("work"), at("other")];
    expect(newFileFolder(at("work", "data", "x.csv"), folders)).toBe(at("work", "data"));
    expect(newFileFolder(at("other", "x.csv"), folders)).toBe(at("other"));
    expect(newFileFolder(at("other"), folders)).toBe(at("other"));
    expect(newFileFolder(at("Downloads", "x.csv"), folders)).toBe(at("work"));
    expect(newFileFolder(at("workshop", "x.csv"), folders)).toBe(at("work"));
    expect(newFileFolder(at("Downloads", "x.csv"), [])).toBe(at("Downloads"));
  });

  test("of hostile names is code and comments of one statement", () => {
    const name = '"; process.exit(1); //\\ */ `${evil}`';
    const cells = `"${name.replaceAll('"', '""')}",y\n${"1,2\n2,1\n".repeat(30)}`;
    const data = table(write("x.csv", cells));
    const use = { ...firstUse(data, "x.nn.ts"), target: name, task: "classification" as const };
    const code = wholeFile(data, use, folder);
    expect(code).not.toMatch(/\*\/[^\n]*exit/);
    expect(code).toContain(JSON.stringify(name));
    expect(variableName("/a/b/2024 sales-report (final).csv.gz")).toBe("data2024SalesReportFinal");
    expect(variableName("class.csv")).toBe("classData");
    expect(variableName("???.csv")).toBe("samples");
  });
});
