import { createHash } from "node:crypto";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { beforeEach, describe, expect, test } from "vitest";
import { LOADERS, loadDigits, loadIris } from "../../../extension/formats/datasets.ts";
import { useFolder } from "../../folders.ts";

const bundled = fileURLToPath(new URL("../../../media/data/", import.meta.url));

const sha256 = (values: NodeJS.TypedArray): string => createHash("sha256").update(values).digest("hex");

// SHA-256 of the arrays of sklearn.datasets.load_digits() and load_iris() of scikit-learn 1.9.1, as float32 and int32.
test("digits are those of scikit-learn", () => {
  const { features, shape, targets, classes } = loadDigits(bundled);
  expect(shape).toEqual([1797, 1, 8, 8]);
  expect(sha256(features)).toBe("a627aed550b0b29bf76a981bc1ecbab5ef775aac454c94154f20ec9f61a04c83");
  expect(sha256(targets)).toBe("3a0e68456f9a3c609b399717dd9ca55bb9153be1bccf72e38e3319cb740c75cd");
  expect(classes).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
});

test("irises are those of scikit-learn", () => {
  const { features, shape, targets, classes } = loadIris(bundled);
  expect(shape).toEqual([150, 4]);
  expect(sha256(features)).toBe("2374923a3acd29a63001946c3c216e2a5581864f01041c86c4b5211ec93885c2");
  expect(sha256(targets)).toBe("4a6a37bf170811d96e7a0037885a4e551c8c43ea2e842868ff0c5c18b56dcfbc");
  expect(classes).toEqual(["setosa", "versicolor", "virginica"]);
});

// The same of load_wine(), load_breast_cancer() and load_diabetes(scaled=False), whose target is float32.
test.each([
  [
    "wine",
    [178, 13],
    3,
    "fdd1a162030a8e5bfa056d44269c822cf53565fb2f35e81dfd7d6856ee3def46",
    "0be58cb5da6cf456cccebcfa204733df3c0aeff187850f645b2fef1b737a8330",
  ],
  [
    "breast-cancer",
    [569, 30],
    2,
    "ace340f3a4f8924791b9c5559e8492e9a896f29b3332f303863c6b46256ad45a",
    "87c312fd4d24bc09c1ae4226107ad639989de53817109dd83465b2af8125f92b",
  ],
  [
    "diabetes",
    [442, 10],
    0,
    "364d6af10d06ac7ee663808f0facd92f57b939758169b67fb3e5c2b95521bbd5",
    "64c6aa6f4027afaed70d85b069db7079ab90ff693fe67e65c9550c8454b8f2af",
  ],
] as const)("%s is that of scikit-learn", (name, shape, classes, features, targets) => {
  const set = LOADERS[name](bundled);
  expect([set.shape, set.classes.length]).toEqual([shape, classes]);
  expect([sha256(set.features), sha256(set.targets)]).toEqual([features, targets]);
});

test.each([
  ["digits", "digits.csv.gz", /^BSD 3-Clause License/],
  ["iris", "iris.csv", /^BSD 3-Clause License/],
  ["wine", "wine.csv", /^BSD 3-Clause License/],
  ["breast-cancer", "breast-cancer.csv", /^BSD 3-Clause License/],
  ["diabetes", "features.csv.gz", /^BSD 3-Clause License/],
  ["diabetes", "target.csv.gz", /^BSD 3-Clause License/],
  ["weather", "weather.csv", /public domain in the United States/],
  ["global-temperature", "global-temperature.csv", /public domain in the United States/],
  ["first-names", "female.txt", /Public Domain Dedication/],
  ["first-names", "male.txt", /Public Domain Dedication/],
])("%s/%s has its licence and its source beside it", (set, file, licence) => {
  expect(readFileSync(join(bundled, set, "LICENSE"), "utf8")).toMatch(licence);
  const source = readFileSync(join(bundled, set, "SOURCE.md"), "utf8");
  expect(source).toContain(
    createHash("sha256")
      .update(readFileSync(join(bundled, set, file)))
      .digest("hex"),
  );
});

describe("a damaged set is refused by name", () => {
  const folder = useFolder();
  beforeEach(() => {
    cpSync(bundled, folder, { recursive: true });
  });

  const spoilDigits = (change: (csv: string) => string): void => {
    const path = join(folder, "digits", "digits.csv.gz");
    writeFileSync(path, gzipSync(change(gunzipSync(readFileSync(path)).toString())));
  };

  test.each<[string, (csv: string) => string, RegExp]>([
    ["a row is missing", (csv) => csv.slice(csv.indexOf("\n") + 1), /expected 1797 samples, got 1796$/],
    ["a pixel is no number", (csv) => csv.replace("0,0,5", "0,x,5"), /sample 1 has no 64 numbers$/],
    ["a pixel is empty", (csv) => csv.replace("0,0,5", "0,,5"), /sample 1 has no 64 numbers$/],
    ["a row is short", (csv) => csv.replace("0,0,5", "0,5"), /Invalid Record Length/],
    ["a class is unknown", (csv) => csv.replace(",0\n", ",10\n"), /sample 1 has the unknown class 10$/],
  ])("%s", (_, change, message) => {
    spoilDigits(change);
    expect(() => loadDigits(folder)).toThrow(message);
    expect(() => loadDigits(folder)).toThrow(join(folder, "digits", "digits.csv.gz"));
  });

  test("it is no gzip file, or not there", () => {
    const path = join(folder, "digits", "digits.csv.gz");
    writeFileSync(path, "text");
    expect(() => loadDigits(folder)).toThrow(`${path}: incorrect header check`);
    rmSync(path);
    expect(existsSync(path)).toBe(false);
    expect(() => loadDigits(folder)).toThrow(/ENOENT/);
  });
});
