import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parquetWriteFile } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { diskFiles, userFolder } from "../../../../extension/engine/files/dataFiles.ts";
import { prepare } from "../../../../extension/engine/training/prepare.ts";
import { setDataFiles } from "../../../../extension/nn/data/access.ts";
import { data, experiment, nn, optim, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { TensorError } from "../../../../extension/tensor/core/errors.ts";
import { useEngine } from "../../../engines.ts";
import { useFolder } from "../../../folders.ts";

const folder = useFolder("all");
const rows = (tensor: Tensor): number[][] => tensor.tolist() as number[][];
const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../../fixtures/parquet/${name}.parquet`, import.meta.url));

useEngine("cpu");
beforeAll(async () => {
  setDataFiles(diskFiles);
  userFolder.path = folder;
});
afterAll(() => {
  setDataFiles(undefined);
  userFolder.path = undefined;
});

/** Names that every object has. */
const INHERITED = Object.getOwnPropertyNames(Object.prototype);

type Cell = number | string | boolean | null;

/** Writes a table as both kinds of file. */
function write(
  name: string,
  columns: Record<string, Cell[]>,
  rowGroupSize = 7,
): { csv: string; parquet: string } {
  const names = Object.keys(columns);
  const length = columns[names[0]!]!.length;
  const lines = Array.from({ length }, (_, i) =>
    names.map((one) => String(columns[one]![i] ?? "")).join(","),
  );
  fs.writeFileSync(path.join(folder, `${name}.csv`), [names.join(","), ...lines].join("\n"));
  parquetWriteFile({
    filename: path.join(folder, `${name}.parquet`),
    rowGroupSize,
    columnData: names.map((one) => {
      const known = columns[one]!.find((cell) => cell !== null);
      const type = typeof known === "number" ? "DOUBLE" : typeof known === "string" ? "STRING" : "BOOLEAN";
      return { name: one, data: columns[one]!, type, nullable: true };
    }),
  });
  return { csv: `${name}.csv`, parquet: `${name}.parquet` };
}

const numbers = (count: number, make: (i: number) => Cell): Cell[] =>
  Array.from({ length: count }, (_, i) => make(i));

const FLOWERS = {
  length: numbers(40, (i) => (i * 37) % 11),
  width: numbers(40, (i) => (i % 6 === 2 ? null : i / 4)),
  colour: numbers(40, (i) => (i % 9 === 4 ? null : ["red", "blue", "green"][i % 3]!)),
  wild: numbers(40, (i) => i % 4 === 0),
  species: numbers(40, (i) => ["iris", "rose"][(i >> 1) % 2]!),
};

describe("a Parquet file has the samples of the same .csv file", () => {
  const table = () => write("flowers", FLOWERS);

  test.each(["mean", "median", "mode", 7, "drop"] as const)("missing: %s", (missing) => {
    const { csv, parquet } = table();
    for (const normalize of ["none", "standard", "minmax"] as const)
      for (const encoding of ["onehot", "index"] as const) {
        const [a, b] = [
          data.csv(csv, { missing, normalize, encoding }),
          data.parquet(parquet, { missing, normalize, encoding }),
        ];
        expect([b.length, b.featureNames, b.classes]).toEqual([a.length, a.featureNames, a.classes]);
        const [x, y] = [a.inputs.toTypedArray(), b.inputs.toTypedArray()];
        expect(Math.max(...[...x].map((value, i) => Math.abs(value - y[i]!)))).toBeLessThan(1e-6);
        expect(rows(b.targets)).toEqual(rows(a.targets));
      }
  });

  test("a split fits it to its first part", () => {
    const { csv, parquet } = table();
    const options = { missing: "median", normalize: "standard" } as const;
    const batches = [data.csv(csv, options), data.parquet(parquet, options)].map((set) => {
      torch.manualSeed(3);
      const [train, test] = set.split([0.7, 0.3]);
      return [
        ...new data.DataLoader<readonly Tensor[]>(train!, { batchSize: 5, shuffle: true }),
        test!.get(2),
      ].map((batch) => rows(batch[0]!).flat());
    });
    expect(batches[1]!.flat().map((x) => x.toFixed(4))).toEqual(batches[0]!.flat().map((x) => x.toFixed(4)));
  });

  test.each(INHERITED)("a column named %s is one like others", (name) => {
    const files = write(
      "inherited",
      Object.fromEntries([
        [name, [1, 2, 3]],
        [`${name}2`, ["b", "a", "b"]],
        ["y", ["p", "q", "p"]],
      ]),
    );
    for (const set of [data.csv(files.csv), data.parquet(files.parquet)]) {
      expect(set.featureNames).toEqual([name, `${name}2=a`, `${name}2=b`]);
      expect(rows(set.inputs)).toEqual([
        [1, 0, 1],
        [2, 1, 0],
        [3, 0, 1],
      ]);
    }
    const swapped = write(
      "inherited",
      Object.fromEntries([
        ["x", [1, 2, 3]],
        [name, [name, "q", name]],
      ]),
    );
    for (const set of [data.csv(swapped.csv), data.parquet(swapped.parquet)])
      expect(set.classes).toEqual([name, "q"].sort());
  });

  test("several targets, chosen columns and features, classes of numbers", () => {
    const { csv, parquet } = table();
    const options = { target: ["length", "width"], features: ["wild"], missing: "drop" } as const;
    expect(rows(data.parquet(parquet, options).targets)).toEqual(rows(data.csv(csv, options).targets));
    const chosen = data.parquet(parquet, { columns: ["length", "species"], types: { length: "category" } });
    expect(chosen.featureNames.slice(0, 3)).toEqual(["length=0", "length=1", "length=2"]);
    const classes = data.parquet(parquet, {
      columns: ["length", "wild"],
      target: "length",
      types: { length: "category" },
    });
    expect([classes.classes?.length, classes.get(3)[1].item()]).toEqual([11, (3 * 37) % 11]);
    expect(classes.column("wild").slice(0, 2)).toEqual(["true", "false"]);
    const none = data.parquet(parquet, { target: null, columns: ["length"] });
    expect(none.getBatch([1, 0]).map(rows)).toEqual([[[4], [0]]]);
    expect(none.encodeRow([3])).toEqual([3]);
  });

  test("trains in an experiment with a part for validation", async () => {
    const { parquet } = table();
    const set = data.parquet(parquet, { missing: "mean", normalize: "standard" });
    const prepared = await prepare(
      experiment({
        model: () => new nn.Linear(set.featureNames.length, 2),
        data: set,
        validation: 0.25,
        optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
        loss: new nn.CrossEntropyLoss(),
        batchSize: 8,
        epochs: 1,
      }),
      0,
    );
    expect([prepared.train.samples, prepared.validation?.samples, prepared.classes]).toEqual([
      30,
      10,
      ["iris", "rose"],
    ]);
  });
});

describe("types, compressions and pages", () => {
  const types = { day: "number", time: "number", nanos: "number" } as const;
  const read = (name: string): number[][] =>
    rows(data.parquet(fixture(name), { types, missing: -1, encoding: "index" }).inputs);

  test("cells are those that were written", () => {
    const table = data.parquet(fixture("none"), { types, missing: -1, encoding: "index" });
    expect(table.featureNames).toEqual([
      "whole",
      "small",
      "unsigned",
      "single",
      "double",
      "half",
      "price",
      "flag",
      "gaps",
      "colour",
      "day",
      "time",
      "nanos",
    ]);
    expect(table.classes).toEqual(["ash", "fir", "oak"]);
    const day = Date.UTC(2026, 0, 1);
    for (const i of [0, 3, 24, 25, 38, 59]) {
      const time = day + i * 60_000;
      const colour = i % 11 === 5 ? -1 : 1 - (i % 2 === 0 ? 0 : 1);
      expect(rows(table.getBatch([i])[0]!)[0]).toEqual(
        [
          (i * 7) % 13,
          i - 30,
          2 ** 32 - 1 - i,
          i / 4,
          i / 3,
          i / 8,
          i / 100,
          1 - (i % 2),
          i % 7 === 3 ? -1 : i / 2,
          colour,
          day + i * 86_400_000,
          time,
          time,
        ].map(Math.fround),
      );
    }
  });

  test.each(["snappy", "gzip", "zstd", "brotli", "lz4", "pages2"])("%s", (name) => {
    expect(read(name)).toEqual(read("none"));
  });

  test("dates are left out unless they are numbers; nested columns and bytes are refused", () => {
    expect(data.parquet(fixture("none"), { missing: "drop" }).featureNames).not.toContain("day");
    expect(() => data.parquet(fixture("nested"))).toThrow(
      'data.parquet(): column "list" has lists, maps or structs, which are no features',
    );
    expect(() => data.parquet(fixture("nested"), { columns: ["a", "bytes"] })).toThrow(
      'data.parquet(): column "bytes" has bytes, which are no features',
    );
    const types = { list: "skip", struct: "skip", bytes: "skip" } as const;
    expect(rows(data.parquet(fixture("nested"), { types }).inputs)).toEqual([[1], [2]]);
  });
});

describe("a file that is larger than the cache", () => {
  const COUNT = 1000;
  const file = () =>
    write("large", { x: numbers(COUNT, (i) => i), y: numbers(COUNT, (i) => i * 2) }, 50).parquet;
  /** A row group takes 50 rows of two numbers: the window has two groups, the cache four. */
  const options = { cacheBytes: 1600, target: "y" } as const;
  const order = (set: data.Dataset, seed: number): number[] => {
    torch.manualSeed(seed);
    const batches = [
      ...new data.DataLoader<readonly Tensor[]>(set as data.Dataset<readonly Tensor[]>, {
        batchSize: 32,
        shuffle: true,
      }),
    ];
    return batches.flatMap(([x]) => rows(x!).flat());
  };
  const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

  test("is shuffled by row groups, the same for the same seed", () => {
    const set = data.parquet(file(), options);
    const [first, again, other] = [order(set, 1), order(set, 1), order(set, 2)];
    expect(sorted(first)).toEqual(numbers(COUNT, (i) => i));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    // Two row groups at a time: every hundred samples come from two of them.
    for (let at = 0; at < COUNT; at += 100)
      expect(new Set(first.slice(at, at + 100).map((x) => Math.floor(x / 50))).size).toBe(2);
    expect(first.slice(0, 50)).not.toEqual(sorted(first.slice(0, 50)));
  });

  test("has PyTorch's order when it fits", () => {
    const small = data.parquet(file(), { target: "y" });
    const list = new data.TensorDataset(small.inputs, small.targets);
    expect(order(small, 5)).toEqual(order(list, 5));
  });

  test("its parts are read in its order, or shuffled by row groups", () => {
    torch.manualSeed(0);
    const [train, held] = data.randomSplit(data.parquet(file(), options), [0.8, 0.2]);
    const inOrder = [...new data.DataLoader(held!, { batchSize: 64 })].flatMap(([x]) => rows(x).flat());
    expect(inOrder).toEqual(sorted(inOrder));
    const shuffled = order(train!, 3);
    expect(sorted([...shuffled, ...inOrder])).toEqual(numbers(COUNT, (i) => i));
    for (let at = 0; at + 160 < shuffled.length; at += 160)
      expect(new Set(shuffled.slice(at, at + 80).map((x) => Math.floor(x / 50))).size).toBeLessThanOrEqual(6);
  });

  test("reads each row group once in an epoch", () => {
    const name = file();
    let reads: number[] = [];
    setDataFiles({
      ...diskFiles,
      parquet: (one) => {
        const opened = diskFiles.parquet(one);
        return { ...opened, read: (group, columns) => (reads.push(group), opened.read(group, columns)) };
      },
    });
    const set = data.parquet(name, options);
    setDataFiles(diskFiles);
    order(set, 1);
    expect(sorted(reads)).toEqual(numbers(20, (i) => i));
    reads = [];
    for (const _ of new data.DataLoader(set, { batchSize: 32 })) void _;
    // Those that the epoch before has left are not read again.
    expect(new Set(reads).size).toBe(reads.length);
  });
});

describe("errors", () => {
  test("name the file and what is wrong with it", () => {
    const text = path.join(folder, "text.parquet");
    fs.writeFileSync(text, "a,b\n1,2\n");
    expect(() => data.parquet("text.parquet")).toThrow(
      `${text}: no Parquet file: it doesn't end with "PAR1", so it may be cut off`,
    );
    expect(() => data.parquet("none.parquet")).toThrow("There is no file none.parquet.");
    const bytes = fs.readFileSync(fixture("none"));
    fs.writeFileSync(text, bytes.subarray(0, bytes.length - 100));
    expect(() => data.parquet("text.parquet")).toThrow("it may be cut off");
    const damaged = Buffer.from(bytes);
    damaged.fill(0xff, 4, 4000);
    fs.writeFileSync(text, damaged);
    expect(() => data.parquet("text.parquet", { columns: ["whole", "small"] }).get(0)).toThrow(text);
  });

  test("name columns", () => {
    const { parquet } = write("flowers", FLOWERS);
    for (const options of [
      { columns: ["a"] },
      { target: "a" },
      { features: ["a"] },
      { types: { a: "text" } },
    ] as const)
      expect(() => data.parquet(parquet, { missing: 0, ...options })).toThrow(
        'data.parquet(): there is no column "a"',
      );
    expect(() => data.parquet(parquet, { missing: "mean", target: "colour" })).toThrow(
      `${path.join(folder, parquet)}: rows 0 to 6: a value is missing in column "colour"`,
    );
    expect(() => data.parquet(parquet, { missing: "mean", types: { colour: "number" } })).toThrow(
      'data.parquet(): expected numbers in column "colour", which has texts',
    );
    const ids = write("ids", { id: numbers(300, (i) => `f${i}`), y: numbers(300, (i) => i) });
    expect(() => data.parquet(ids.parquet)).toThrow('column "id" has 300 different values in 300 rows');
  });

  test("a missing value that the file doesn't count is found when its row is read", () => {
    const { parquet } = write("nan", {
      x: numbers(20, (i) => (i === 9 ? Number.NaN : i)),
      y: numbers(20, (i) => i),
    });
    const set = data.parquet(parquet);
    expect(set.get(0)[0].tolist()).toEqual([0]);
    expect(() => set.get(8)).toThrow(
      `${path.join(folder, parquet)}: row 9: a value is missing in column "x"`,
    );
  });

  test("a page can't claim more values than there are rows", () => {
    const bytes = fs.readFileSync(fixture("none"));
    // The number of values, 25 in zigzag order, in the header of the first column's page.
    const place = bytes.indexOf(Buffer.from([0x2c, 0x15, 0x32])) + 2;
    bytes[place] = 0x7e;
    fs.writeFileSync(path.join(folder, "page.parquet"), bytes);
    expect(() => data.parquet("page.parquet", { columns: ["whole", "small"] }).get(0)).toThrow(
      'page.parquet: column "whole" has a page of 63 values among 25 rows',
    );
  });

  test("damaged files are refused, or read", () => {
    let seed = 7;
    const draw = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const types = { day: "number", time: "number", nanos: "number" } as const;
    let refused = 0;
    for (const name of ["snappy", "zstd", "pages2"]) {
      const whole = fs.readFileSync(fixture(name));
      for (let i = 0; i < 60; i++) {
        const bytes = Buffer.from(whole);
        // Half of the changes are in the metadata at the end.
        for (let change = 0; change <= i % 3; change++)
          bytes[i % 2 === 0 ? draw(bytes.length) : bytes.length - 1 - draw(3000)] = draw(256);
        const file = `damaged-${name}-${i}.parquet`;
        fs.writeFileSync(path.join(folder, file), bytes);
        try {
          data.parquet(file, { types, missing: -1, encoding: "index" }).getBatch([0, 30, 59]);
        } catch (error) {
          refused++;
          expect(error).toBeInstanceOf(TensorError);
        }
        fs.rmSync(path.join(folder, file));
      }
    }
    expect(refused).toBeGreaterThan(20);
  });
});
