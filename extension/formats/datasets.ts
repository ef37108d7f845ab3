import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";

/** A data set for classification, whole in memory. */
export interface LabelledData {
  /** All samples, row-major. */
  readonly features: Float32Array;
  /** Shape of `features`: number of samples first. */
  readonly shape: readonly number[];
  /** Class number of each sample. */
  readonly targets: Int32Array;
  /** Name of each class. */
  readonly classes: readonly string[];
}

/**
 * The bundled handwritten digits: 1,797 images as [1797, 1, 8, 8], pixels from 0 to 16, ten classes.
 *
 * @param folder The folder of the bundled sets, `media/data`.
 * @throws Error naming the file when it is missing or damaged.
 */
export function loadDigits(folder: string): LabelledData {
  const file = join(folder, "digits", "digits.csv.gz");
  const rows = records(file);
  const classes = Array.from({ length: 10 }, (_, digit) => String(digit));
  return labelled(file, rows, [1797, 1, 8, 8], classes);
}

/**
 * The bundled iris flowers: sepal length and width, petal length and width in centimetres as [150, 4], three species.
 *
 * @param folder The folder of the bundled sets, `media/data`.
 * @throws Error naming the file when it is missing or damaged.
 */
export function loadIris(folder: string): LabelledData {
  const file = join(folder, "iris", "iris.csv");
  const [, ...rows] = records(file);
  return labelled(file, rows, [150, 4], ["setosa", "versicolor", "virginica"]);
}

function records(file: string): string[][] {
  const bytes = readFileSync(file);
  try {
    return parse(file.endsWith(".gz") ? gunzipSync(bytes) : bytes);
  } catch (error) {
    throw new Error(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** Rows of features, with the class number last. */
function labelled(
  file: string,
  rows: readonly (readonly string[])[],
  shape: readonly number[],
  classes: readonly string[],
): LabelledData {
  const [samples = 0, ...extents] = shape;
  const width = extents.reduce((product, extent) => product * extent, 1);
  if (rows.length !== samples) throw new Error(`${file}: expected ${samples} samples, got ${rows.length}`);
  const features = new Float32Array(samples * width);
  const targets = new Int32Array(samples);
  for (const [i, row] of rows.entries()) {
    const values = row.map((text) => (text.trim() === "" ? Number.NaN : Number(text)));
    const target = values.pop();
    if (values.length !== width || !values.every(Number.isFinite)) {
      throw new Error(`${file}: sample ${i + 1} has no ${width} numbers`);
    }
    if (target === undefined || classes[target] === undefined) {
      throw new Error(`${file}: sample ${i + 1} has the unknown class ${row.at(-1)}`);
    }
    features.set(values, i * width);
    targets[i] = target;
  }
  return { features, shape, targets, classes };
}
