import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";
import type { BundledData, BundledName } from "../nn/data/bundled.ts";

const IRIS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"];
const WINE = [
  "alcohol",
  "malic acid",
  "ash",
  "alcalinity of ash",
  "magnesium",
  "total phenols",
  "flavanoids",
  "nonflavanoid phenols",
  "proanthocyanins",
  "color intensity",
  "hue",
  "OD280/OD315 of diluted wines",
  "proline",
];
/** Measured of each cell of a tumour: their mean, its standard error, and the mean of the three largest. */
const CELL = [
  "radius",
  "texture",
  "perimeter",
  "area",
  "smoothness",
  "compactness",
  "concavity",
  "concave points",
  "symmetry",
  "fractal dimension",
];
const TUMOUR = [
  ...CELL.map((name) => `mean ${name}`),
  ...CELL.map((name) => `${name} error`),
  ...CELL.map((name) => `worst ${name}`),
];
const PATIENT = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"];

/**
 * The bundled handwritten digits: 1,797 images as [1797, 1, 8, 8], pixels from 0 to 16, ten classes.
 *
 * @param folder The folder of the bundled sets, `media/data`.
 * @throws Error naming the file when it is missing or damaged.
 */
export function loadDigits(folder: string): BundledData {
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
export function loadIris(folder: string): BundledData {
  const file = join(folder, "iris", "iris.csv");
  const rows = records(file, { from_line: 2 });
  return labelled(file, rows, [150, 4], ["setosa", "versicolor", "virginica"], IRIS);
}

/** The bundled wines: thirteen measures as [178, 13], three cultivators. @throws Error naming the file */
export function loadWine(folder: string): BundledData {
  const file = join(folder, "wine", "wine.csv");
  const rows = records(file, { from_line: 2 });
  return labelled(file, rows, [178, 13], ["class_0", "class_1", "class_2"], WINE);
}

/** The bundled tumours: thirty measures as [569, 30], malignant or benign. @throws Error naming the file */
export function loadBreastCancer(folder: string): BundledData {
  const file = join(folder, "breast-cancer", "breast-cancer.csv");
  const rows = records(file, { from_line: 2 });
  return labelled(file, rows, [569, 30], ["malignant", "benign"], TUMOUR);
}

/** The bundled patients: ten measures as [442, 10], and a number for each. @throws Error naming the file */
export function loadDiabetes(folder: string): BundledData {
  const shape = [442, 10];
  const read = (name: string, length: number): Float32Array => {
    const file = join(folder, "diabetes", name);
    const values = Float32Array.from(records(file, { delimiter: " " }).flat(), Number);
    if (values.length !== length || !values.every(Number.isFinite))
      throw new Error(`${file}: expected ${length} numbers, got ${values.length}`);
    return values;
  };
  const [features, targets] = [read("features.csv.gz", 4420), read("target.csv.gz", 442)];
  return { features, shape, targets, classes: [], names: PATIENT };
}

/** Reads each bundled set. */
export const LOADERS: Record<BundledName, (folder: string) => BundledData> = {
  digits: loadDigits,
  iris: loadIris,
  wine: loadWine,
  "breast-cancer": loadBreastCancer,
  diabetes: loadDiabetes,
};

interface Layout {
  delimiter?: string;
  /** The first line that is a sample; what scikit-learn puts before it has another number of cells. */
  from_line?: number;
}

function records(file: string, layout: Layout = {}): string[][] {
  const bytes = readFileSync(file);
  try {
    return parse(file.endsWith(".gz") ? gunzipSync(bytes) : bytes, layout);
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
  names?: readonly string[],
): BundledData {
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
  return { features, shape, targets, classes, ...(names === undefined ? {} : { names }) };
}
