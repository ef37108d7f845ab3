import { TensorError } from "../../tensor/core/errors.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { TensorDataset } from "./dataset.ts";
import { Series } from "./series.ts";

/** A bundled set on disk. */
export interface BundledData {
  /** All samples, row-major. */
  readonly features: Float32Array;
  /** Shape of `features`: number of samples first. */
  readonly shape: readonly number[];
  /** Class number of each sample; or a number that is to be predicted. */
  readonly targets: Int32Array | Float32Array;
  /** Name of each class; none where the targets are no classes. */
  readonly classes: readonly string[];
  /** Name of each feature; none where they are pixels. */
  readonly names?: readonly string[];
}

export type BundledName = "digits" | "iris" | "wine" | "breast-cancer" | "diabetes";

/** Where the bundled sets come from. */
export interface BundledSets {
  samples(name: BundledName): BundledData;
  /** A file of the bundled sets' folder, as text. */
  text(file: string): string;
}

let sets: BundledSets | undefined;

/**
 * Says where the bundled sets come from: the engine knows the files.
 * @returns what said it before
 */
export function setBundledSets(access: BundledSets | undefined): BundledSets | undefined {
  const before = sets;
  sets = access;
  return before;
}

function bundled(callee: string): BundledSets {
  if (sets === undefined)
    throw new TensorError("unsupported", `data.${callee}(): the bundled data sets are not at hand here`);
  return sets;
}

/** Samples `[input, class]` with names for the classes. */
export class LabelledDataset extends TensorDataset<readonly [inputs: Tensor, targets: Tensor]> {
  readonly classes: readonly string[];
  /** Names of the features, in their order; undefined where they have none. */
  readonly featureNames: readonly string[] | undefined;

  constructor(inputs: Tensor, targets: Tensor, classes: readonly string[], featureNames?: readonly string[]) {
    super(inputs, targets);
    this.classes = classes;
    this.featureNames = featureNames;
  }

  get inputs(): Tensor {
    return this.tensors[0];
  }

  get targets(): Tensor {
    return this.tensors[1];
  }
}

function labelled(callee: string, name: BundledName, scale = 1): LabelledDataset {
  const { features, shape, targets, classes, names } = bundled(callee).samples(name);
  const inputs = scale === 1 ? features : features.map((x) => x / scale);
  return new LabelledDataset(
    fromHost(inputs, shape, "float32"),
    fromHost(targets, [targets.length], "int64"),
    classes,
    names,
  );
}

/**
 * Handwritten digits: 1,797 images [1, 8, 8] of pixels from 0 to 1, and their digits (UCI Optical Recognition of
 * Handwritten Digits, the set of scikit-learn).
 */
export function digits(): LabelledDataset {
  return labelled("digits", "digits", 16);
}

/**
 * Iris flowers: sepal length and width, petal length and width in centimetres of 150 flowers, and their species
 * (Fisher 1936).
 */
export function iris(): LabelledDataset {
  return labelled("iris", "iris");
}

/** Wines: thirteen measures of 178 wines, and which of three cultivators they are from (UCI Wine). */
export function wine(): LabelledDataset {
  return labelled("wine", "wine");
}

/** Tumours: thirty measures of 569 tumours, and whether they are malignant (0) or benign (1) (UCI Breast Cancer). */
export function breastCancer(): LabelledDataset {
  return labelled("breastCancer", "breast-cancer");
}

/**
 * Diabetes: age, sex, body mass index, blood pressure and six serum measures of 442 patients, and how far the disease
 * had progressed a year later, [1] (Efron 2004). As in scikit-learn, each measure is centred and divided by its standard
 * deviation times √442; with `scaled: false` they are as they were measured.
 */
export function diabetes(
  options: { scaled?: boolean } = {},
): TensorDataset<readonly [inputs: Tensor, targets: Tensor]> & { featureNames: readonly string[] } {
  const { features, shape, targets, names = [] } = bundled("diabetes").samples("diabetes");
  const inputs = (options.scaled ?? true) ? unitColumns(features, shape[1]!) : features;
  const set = new TensorDataset(
    fromHost(inputs, shape, "float32"),
    fromHost(targets, [targets.length, 1], "float32"),
  );
  return Object.assign(set, { featureNames: names });
}

/** Each column centred, with squares that add up to 1. */
function unitColumns(values: Float32Array, width: number): Float32Array {
  const out = new Float32Array(values.length);
  const rows = values.length / width;
  for (let column = 0; column < width; column++) {
    let mean = 0;
    for (let at = column; at < values.length; at += width) mean += values[at]! / rows;
    let squares = 0;
    for (let at = column; at < values.length; at += width) squares += (values[at]! - mean) ** 2;
    for (let at = column; at < values.length; at += width)
      out[at] = (values[at]! - mean) / Math.sqrt(squares);
  }
  return out;
}

/** Days of weather, and a word for each. */
export class WeatherSeries extends Series {
  /** drizzle, fog, rain, snow or sun. */
  readonly weather: readonly string[];

  constructor(
    times: readonly string[],
    names: readonly string[],
    values: Tensor,
    weather: readonly string[],
  ) {
    super(times, names, values);
    this.weather = weather;
  }
}

/**
 * The weather of Seattle on each of 1,461 days, 2012 to 2015 (NOAA): `precipitation` in millimetres, `temp_max` and
 * `temp_min` in degrees Celsius, `wind`.
 *
 * ```ts
 * new data.WindowDataset(data.weather().select("temp_max"), { window: 14 })
 * ```
 */
export function weather(): WeatherSeries {
  const [header, ...rows] = table(bundled("weather").text("weather/weather.csv"));
  const names = header!.slice(1, -1);
  return new WeatherSeries(
    rows.map((row) => row[0]!),
    names,
    numbers(rows.map((row) => row.slice(1, -1))),
    rows.map((row) => row.at(-1)!),
  );
}

/** How much warmer land and sea were than in 1951 to 1980, `temp` in degrees Celsius, for each year from 1880 (NASA). */
export function globalTemperature(): Series {
  const [header, ...rows] = table(
    bundled("globalTemperature").text("global-temperature/global-temperature.csv"),
  );
  return new Series(
    rows.map((row) => row[0]!),
    header!.slice(1),
    numbers(rows.map((row) => row.slice(1))),
  );
}

/** First names of English-speaking countries, in alphabetical order: 4,951 female and 3,898 male ones (Moby Word II). */
export function firstNames(): { female: string[]; male: string[] } {
  const files = bundled("firstNames");
  const names = (file: string): string[] => files.text(file).trimEnd().split("\n");
  return { female: names("first-names/female.txt"), male: names("first-names/male.txt") };
}

/**
 * Sentences of presidents' addresses on the State of the Union, 1,200 of 1790 to 1860 and 1,200 of 1951 to 2000, and the
 * year of each, in the order of the years.
 */
export function speeches(): { sentences: string[]; years: number[] } {
  const [, ...lines] = bundled("speeches").text("speeches/speeches.csv").trimEnd().split("\n");
  return {
    sentences: lines.map((line) => line.slice(6, -1)),
    years: lines.map((line) => Number(line.slice(0, 4))),
  };
}

function table(text: string): string[][] {
  return text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.split(","));
}

function numbers(rows: readonly (readonly string[])[]): Tensor {
  return fromHost(Float32Array.from(rows.flat(), Number), [rows.length, rows[0]!.length], "float32");
}
