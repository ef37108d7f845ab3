import { TensorError } from "../../tensor/errors.ts";
import { fromHost, type Tensor } from "../../tensor/tensor.ts";
import { TensorDataset } from "./dataset.ts";

/** A bundled set as it is on disk. */
export interface BundledData {
  /** All samples, row-major. */
  readonly features: Float32Array;
  /** Shape of `features`: number of samples first. */
  readonly shape: readonly number[];
  /** Class number of each sample. */
  readonly targets: Int32Array;
  /** Name of each class. */
  readonly classes: readonly string[];
}

export type BundledName = "digits" | "iris";

let read: ((name: BundledName) => BundledData) | undefined;

/** Says where the bundled sets come from: the engine knows the files. */
export function setBundledLoader(loader: ((name: BundledName) => BundledData) | undefined): void {
  read = loader;
}

/** Samples `[input, class]` with names for the classes. */
export class LabelledDataset extends TensorDataset<readonly [inputs: Tensor, targets: Tensor]> {
  readonly classes: readonly string[];

  constructor(inputs: Tensor, targets: Tensor, classes: readonly string[]) {
    super(inputs, targets);
    this.classes = classes;
  }

  get inputs(): Tensor {
    return this.tensors[0];
  }

  get targets(): Tensor {
    return this.tensors[1];
  }
}

function load(name: BundledName, scale: number): LabelledDataset {
  if (read === undefined) {
    throw new TensorError("unsupported", `data.${name}(): the bundled data sets are not at hand here`);
  }
  const { features, shape, targets, classes } = read(name);
  const inputs = scale === 1 ? features : features.map((x) => x / scale);
  return new LabelledDataset(
    fromHost(inputs, shape, "float32"),
    fromHost(targets, [targets.length], "int64"),
    classes,
  );
}

/**
 * Handwritten digits: 1,797 images [1, 8, 8] of pixels from 0 to 1, and their digits (UCI Optical Recognition of
 * Handwritten Digits, the set of scikit-learn).
 */
export function digits(): LabelledDataset {
  return load("digits", 16);
}

/**
 * Iris flowers: sepal length and width, petal length and width in centimetres of 150 flowers, and their species
 * (Fisher 1936).
 */
export function iris(): LabelledDataset {
  return load("iris", 1);
}
