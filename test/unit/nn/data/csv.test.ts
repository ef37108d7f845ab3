import fs from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { diskFiles, userFolder } from "../../../../extension/engine/files/dataFiles.ts";
import { prepare } from "../../../../extension/engine/training/prepare.ts";
import { setDataFiles } from "../../../../extension/nn/data/access.ts";
import { data, experiment, nn, optim, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";
import { useFolder } from "../../../folders.ts";

const folder = useFolder("all");
const write = (text: string | Uint8Array, name = "table.csv"): string => {
  fs.writeFileSync(path.join(folder, name), text);
  return name;
};
const at = (line: number, column: number, name = "table.csv"): string =>
  `${path.join(folder, name)}:${line}:${column}: `;
const rows = (tensor: Tensor): number[][] => tensor.tolist() as number[][];

useEngine("cpu");
beforeAll(async () => {
  setDataFiles(diskFiles);
  userFolder.path = folder;
});
afterAll(() => {
  setDataFiles(undefined);
  userFolder.path = undefined;
});

const PETS = `name,kind,weight,age,owner
Rex,dog,30,5,Ann
"Tom, the cat",cat,4.5,,Ben
Kit,cat,3.5,2,Ann
Bo,dog,,11,Cid
`;

describe("csv", () => {
  test("columns are numbers or categories; the last one is the target", () => {
    const table = data.csv(write("a,b,species\n1,x,setosa\n2.5,y,virginica\n-3e1,x,setosa\n"));
    expect(table.featureNames).toEqual(["a", "b=x", "b=y"]);
    expect(table.classes).toEqual(["setosa", "virginica"]);
    expect(rows(table.inputs)).toEqual([
      [1, 1, 0],
      [2.5, 0, 1],
      [-30, 1, 0],
    ]);
    expect([table.targets.dtype, ...table.targets.toTypedArray()]).toEqual(["int64", 0, 1, 0]);
    const [x, y] = table.get(1);
    expect([x.shape, y.shape, y.item()]).toEqual([[3], [], 1]);
    expect(table.getBatch([2, 0]).map((tensor) => tensor.shape)).toEqual([[2, 3], [2]]);
  });

  test("targets of numbers, chosen features, indices of categories", () => {
    const file = write("y,a,b,z\n1,2,x,4\n5,6,y,8\n");
    const one = data.csv(file, { target: "y", features: ["b", "a"], encoding: "index" });
    expect([rows(one.inputs), rows(one.targets)]).toEqual([
      [
        [0, 2],
        [1, 6],
      ],
      [[1], [5]],
    ]);
    expect(rows(data.csv(file, { target: ["y", "z"], features: ["a"] }).targets)).toEqual([
      [1, 4],
      [5, 8],
    ]);
    expect(data.csv(file, { target: null, types: { b: "skip" } }).get(0)).toHaveLength(1);
    expect(data.csv(file, { types: { z: "category" } }).classes).toEqual(["4", "8"]);
  });

  test("cells by the names of their columns become an input, scaled and with categories", () => {
    const table = data.csv(write("kind,size,y\nx,1,1\ny,3,2\n"), { normalize: "standard" });
    const encode = (cells: Record<string, string>) => table.encodeCells(new Map(Object.entries(cells)));
    expect(encode({ size: "3", kind: "x", more: "?" })).toEqual([1, 0, 1]);
    expect(encode({ size: "3" })).toBeUndefined();
    expect(() => encode({ size: "3", kind: "z" })).toThrow(
      '"z" is none of the categories of column "kind": x, y',
    );
    expect(() => encode({ size: "big", kind: "x" })).toThrow('expected a number in column "size", got "big"');
  });

  test("quotes, comments, other delimiters, no header, a byte order mark, gzip", () => {
    expect(
      rows(
        data.csv(write('\uFEFF# a comment\n\n"1";"2"\n3; 4\n'), {
          delimiter: ";",
          comment: "#",
          header: false,
        }).inputs,
      ),
    ).toEqual([[1], [3]]);
    const named = data.csv(write(gzipSync("1,2\n3,4\n"), "table.csv.gz"), { header: ["u", "v"] });
    expect(named.featureNames).toEqual(["u"]);
    const pets = data.csv(write(PETS), { types: { name: "text" }, missing: "drop" });
    expect(pets.column("name")).toEqual(["Rex", "Kit"]);
  });

  test("missing values: refused with their place, left out or filled", () => {
    const file = write(PETS);
    const types = { name: "text" } as const;
    expect(() => data.csv(file, { types })).toThrow(`${at(5, 8)}a value is missing in column "weight"`);
    const weights = (missing: data.MissingPolicy) =>
      rows(data.csv(file, { types, missing, features: ["weight", "age"] }).inputs);
    expect(weights("mean")[3]![0]).toBeCloseTo(38 / 3, 5);
    expect(weights("median").map((row) => row[0])).toEqual([30, 4.5, 3.5, 4.5]);
    expect(weights("mode").map((row) => row[1])).toEqual([5, 2, 2, 11]);
    expect(weights(0)[1]![1]).toBe(0);
    expect(weights("drop")).toEqual([
      [30, 5],
      [3.5, 2],
    ]);
    const gone = write("a,b\n1,x\n2,\n", "gone.csv");
    expect(() => data.csv(gone, { missing: "mean" })).toThrow(
      `${at(3, 3, "gone.csv")}a value is missing in column "b"`,
    );
  });

  test("numbers are scaled by the training part alone", () => {
    const table = data.csv(write("a,b,c\n0,5,1\n2,5,1\n4,5,2\n100,7,2\n"), { normalize: "standard" });
    table.fit([0, 1, 2]);
    const deviation = Math.sqrt(8 / 3);
    const scaled = rows(table.inputs);
    [-2 / deviation, 0, 2 / deviation, 98 / deviation].forEach((x, i) =>
      expect(scaled[i]![0]).toBeCloseTo(x, 5),
    );
    // A column that never changes in the training part.
    expect(scaled.map((row) => row[1])).toEqual([0, 0, 0, 2]);
    expect(table.encodeRow([4, 6])).toEqual([2 / deviation, 1]);
    const boxed = data.csv("table.csv", { normalize: "minmax" });
    boxed.fit([0, 2]);
    expect(rows(boxed.inputs).map((row) => row[0])).toEqual([0, 0.5, 1, 25]);
  });

  test("split fits to its first part; an experiment to what its validation leaves", async () => {
    const lines = Array.from({ length: 20 }, (_, i) => `${i * i},${i % 2 === 0 ? "even" : "odd"}`);
    const file = write(`x,y\n${lines.join("\n")}\n`);
    torch.manualSeed(3);
    const [train] = data.csv(file, { normalize: "standard" }).split([0.75, 0.25]);
    const mean = (samples: Iterable<readonly Tensor[]>): number => {
      const values = Array.from(samples, ([x]) => x!.item());
      return values.reduce((sum, x) => sum + x, 0) / values.length;
    };
    expect(train).toHaveLength(15);
    expect(mean(train!)).toBeCloseTo(0, 6);
    const prepared = await prepare(
      experiment({
        model: () => new nn.Linear(1, 2),
        data: () => data.csv(file, { normalize: "standard" }),
        validation: 0.25,
        loss: new nn.CrossEntropyLoss(),
        optimizer: (parameters) => new optim.SGD(parameters),
        epochs: 1,
      }),
      0,
    );
    const [batch] = prepared.train.inOrder();
    expect(batch![0]!.mean().item()).toBeCloseTo(0, 6);
    expect(prepared.classes).toEqual(["even", "odd"]);
    expect(prepared.train.encodeRow([1])[0]).not.toBe(1);
  });

  test.each<[string, string, data.CsvOptions, string]>([
    [
      "a cell that is no number",
      "a,b\n1,2\n 3, x1\n",
      { types: { b: "number" } },
      `${at(3, 5)}expected a number in column "b", got "x1"`,
    ],
    ["a row that is too short", "a,b,c\n1,2,3\n4,5\n", {}, `${at(3, 3)}expected 3 cells (a, b, c), got 2`],
    ["a row that is too long", "a,b\n1,2\n4,5,6\n", {}, `${at(3, 5)}expected 2 cells (a, b), got 3`],
    [
      "a quote that doesn't end",
      'a,b\n1,"2\n',
      {},
      `${at(2, 3)}the quote that begins this cell is never closed`,
    ],
    ["two columns of one name", "a,a\n1,2\n", {}, `${at(1, 1)}the column "a" is there twice`],
    ["a table without rows", "a,b\n", {}, "table.csv: the table has no rows"],
    ["a target that isn't there", "a,b\n1,2\n", { target: "y" }, 'data.csv(): there is no column "y"'],
    [
      "a type for a column that isn't there",
      "a,b\n1,2\n",
      { types: { y: "text" } },
      'there is no column "y"',
    ],
    [
      "names as a category",
      `n,b\n${Array.from({ length: 150 }, (_, i) => `p${i},${i}`).join("\n")}\n`,
      {},
      'data.csv(): column "n" has 150 different values in 150 rows, which are no categories',
    ],
  ])("says where and what is wrong: %s", (_, text, options, message) => {
    expect(() => data.csv(write(text), options)).toThrow(message);
  });

  test("a column of numbers with one bad cell is no category", () => {
    const numbers = Array.from({ length: 89 }, (_, i) => `${i / 7},${i * 2}`);
    for (const bad of ["3.O", '"1,234.5"', '"1,5"', "inf"]) {
      const file = write(
        `a,y\n${numbers.slice(0, 20).join("\n")}\n${bad},1\n${numbers.slice(20).join("\n")}\n`,
      );
      expect(() => data.csv(file)).toThrow(
        expect.objectContaining({
          message: `${at(22, 1)}expected a number in column "a", got "${bad.replaceAll('"', "")}"`,
          hint: expect.stringContaining('types: { "a": "category" }'),
        }),
      );
      expect(data.csv(file, { types: { a: "text" } }).featureNames).toEqual([]);
      expect(data.csv(file, { missingValues: [bad.replaceAll('"', "")], missing: "drop" })).toHaveLength(89);
    }
    const sizes = data.csv(write("size,y\n1,1\n2,2\nXL,3\n"));
    expect(sizes.featureNames).toEqual(["size=1", "size=2", "size=XL"]);
    const commas = Array.from({ length: 150 }, (_, i) => `"${i},5",${i}`).join("\n");
    expect(() => data.csv(write(`a,y\n${commas}\n`))).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("numbers with a comma aren't read") }),
    );
  });

  test("another delimiter is told, with its option", () => {
    for (const [delimiter, name] of [
      [";", "semicolons"],
      ["\t", "tabs"],
      ["|", "bars"],
    ] as const) {
      const file = write(["a,b,y", "1,2,3", "4,5,6"].join("\n").replaceAll(",", delimiter));
      expect(() => data.csv(file)).toThrow(
        expect.objectContaining({
          message: expect.stringContaining(`${at(1, 1)}the table has one column only`),
          hint: `if ${name} separate its cells: delimiter: ${JSON.stringify(delimiter)}`,
        }),
      );
      expect(data.csv(file, { delimiter }).featureNames).toEqual(["a", "b"]);
    }
    expect(data.csv(write("a;b\n1\n2\n")).classes).toBeUndefined();
  });

  test("quotes within cells, and cells whose quote is missing, as Python reads them", () => {
    const table = data.csv(write('item,price\n12" pipe,3\n"8"" pipe",4\n'), { types: { item: "text" } });
    expect(table.column("item")).toEqual(['12" pipe', '8" pipe']);
    expect(() => data.csv(write('a,b,c\n1,"x,2\n3,"y",4\n'))).toThrow(
      expect.objectContaining({
        message: `${at(2, 3)}this cell ends with a quote on line 3, but other characters follow`,
        hint: expect.stringContaining("is its closing quote missing?"),
      }),
    );
    expect(() => data.csv(write('a,b,c\n1,"x,2\n3,"\n'))).toThrow(
      expect.objectContaining({
        message: `${at(2, 3)}expected 3 cells (a, b, c), got 2`,
        hint: expect.stringContaining("is its closing quote missing?"),
      }),
    );
    // The first mistake is told, not what follows from it.
    expect(() => data.csv(write('a,b,c\n1,2,3\n4,5\n6,7,"8\n'))).toThrow(
      `${at(3, 3)}expected 3 cells (a, b, c), got 2`,
    );
    expect(() => data.csv(write('a,b\n1,"x\ny"\n2,"z\n3,4\n'))).toThrow(
      `${at(4, 3)}the quote that begins this cell is never closed`,
    );
  });

  test("UTF-16 is read by its mark, other encodings by their name", () => {
    const utf16 = Buffer.from("\uFEFFa,b\n1,é\n", "utf16le");
    expect(data.csv(write(utf16)).classes).toEqual(["é"]);
    expect(data.csv(write(utf16.swap16())).classes).toEqual(["é"]);
    const latin1 = write(Buffer.from("a,b\n1,é\n", "latin1"));
    expect(() => data.csv(latin1)).toThrow(
      expect.objectContaining({
        message: `${at(2, 3)}the text is not in UTF-8`,
        hint: expect.stringContaining('charset: "latin1"'),
      }),
    );
    expect(data.csv(latin1, { charset: "latin1" }).classes).toEqual(["é"]);
    expect(() => data.csv(latin1, { charset: "klingon" })).toThrow('the charset "klingon" is unknown');
  });

  test("a file that isn't there: says where it was looked for", () => {
    expect(() => data.csv("nowhere.csv")).toThrow(/There is no file nowhere\.csv\./);
    try {
      data.csv("nowhere.csv");
    } catch (error) {
      expect((error as { hint?: string }).hint).toBe(`looked in ${folder} and ${process.cwd()}`);
    }
  });

  test("a file that has changed is read again", () => {
    expect(data.csv(write("a,b\n1,2\n"))).toHaveLength(1);
    expect(data.csv(write("a,b\n1,2\n3,4\n"))).toHaveLength(2);
  });
});
