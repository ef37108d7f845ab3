import type { Tensor } from "../../../tensor/core/tensor.ts";
import type { Module } from "../../module/module.ts";
import type { Hyperparameter } from "./events.ts";
import type { Bins } from "./histogram.ts";

/** A number, or a tensor of one: its value is read. */
export type Scalar = number | boolean | Tensor;

export interface SummaryWriterOptions {
  /** Folder of the event files, relative to the working directory or absolute. Default `runs/DATE_TIME_HOST`. */
  logDir?: string | null;
  /** Appended to the default of logDir. */
  comment?: string;
  /** The training continues at this step: values of it and later ones in older files of the folder are void. */
  purgeStep?: number | null;
  /** How many events may wait to be written: what waits is lost if the process is killed. Default 1, PyTorch's is 10. */
  maxQueue?: number;
  /** How many seconds an event may wait, where `maxQueue` lets it wait. Default 120. */
  flushSecs?: number;
  /** Appended to the names of the files. */
  filenameSuffix?: string;
}

/** When a value was made. */
export interface At {
  globalStep?: number | Tensor | null;
  /** Seconds since 1970; now by default. */
  walltime?: number | null;
}

export interface ScalarArguments extends At {
  tag: string;
  scalarValue: Scalar;
  /** Writes a tensor, as TensorFlow 2 does. */
  newStyle?: boolean;
  /** Keeps the precision of a number in the new style. */
  doublePrecision?: boolean;
}

export interface HistogramArguments extends At {
  tag: string;
  values: Tensor | ArrayLike<number>;
  /** Edges of the buckets, or how many there are. Default "tensorflow": edges that grow by 10%. */
  bins?: Bins;
  /** Most buckets: more are merged. */
  maxBins?: number | null;
}

export interface RawHistogramArguments extends At {
  tag: string;
  min: number;
  max: number;
  num: number;
  sum: number;
  sumSquares: number;
  /** Right edge of each bucket. */
  bucketLimits: readonly number[] | Tensor;
  bucketCounts: readonly number[] | Tensor;
}

export interface ImageArguments extends At {
  tag: string;
  imgTensor: Tensor;
  /** Order of the dimensions: "CHW", "HWC", "HW"; of several images "NCHW", "NHWC". */
  dataformats?: string;
}

export interface TextArguments extends At {
  tag: string;
  textString: string;
}

export interface GraphArguments {
  model: Module;
  inputToModel?: Tensor | readonly Tensor[] | null;
  verbose?: boolean;
  useStrictTrace?: boolean;
}

export interface HparamsOptions {
  /** All values that a hyperparameter has in the experiment. */
  hparamDomainDiscrete?: Readonly<Record<string, readonly Hyperparameter[]>> | null;
  /** The subfolder of this set. Default: the time. */
  runName?: string | null;
  globalStep?: number | Tensor | null;
}
