import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadDigits, loadIris } from "../../../extension/formats/datasets.ts";

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

test.each([
  ["digits", "digits.csv.gz"],
  ["iris", "iris.csv"],
])("%s has its licence and its source beside it", (set, file) => {
  expect(readFileSync(join(bundled, set, "LICENSE"), "utf8")).toMatch(/^BSD 3-Clause License/);
  const source = readFileSync(join(bundled, set, "SOURCE.md"), "utf8");
  expect(source).toContain(
    createHash("sha256")
      .update(readFileSync(join(bundled, set, file)))
      .digest("hex"),
  );
});

describe("a damaged set is refused by name", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "layerwise-"));
    cpSync(bundled, folder, { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

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
