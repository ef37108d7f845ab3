import { filled } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { splitLengths } from "../../tensor/random/dataSamplers.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { formatShape } from "../../tensor/core/shape.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { scaling, type Normalization } from "./columns.ts";
import { checkIndex, Dataset, Subset } from "./dataset.ts";

/**
 * Values that change with time: [T, F], with names for the columns and for the points in time.
 *
 * ```ts
 * new data.Series(["mon", "tue"], ["temperature"], torch.tensor([[12.5], [14.25]]));
 * ```
 */
export class Series {
  readonly times: readonly string[];
  readonly names: readonly string[];
  readonly values: Tensor;

  /** @throws TensorError when the numbers of names and values differ */
  constructor(times: readonly string[], names: readonly string[], values: Tensor) {
    if (values.ndim !== 2 || values.shape[0] !== times.length || values.shape[1] !== names.length)
      throw new TensorError(
        "shape",
        `Series(): expected values [${times.length}, ${names.length}], got ${formatShape(values.shape)}`,
      );
    this.times = times;
    this.names = names;
    this.values = values;
  }

  get length(): number {
    return this.times.length;
  }

  /** Some of the columns, by name. @throws TensorError when there is no such column */
  select(...names: readonly string[]): Series {
    const columns = names.map((name) => {
      const at = this.names.indexOf(name);
      if (at >= 0) return at;
      throw new TensorError(
        "value",
        `Series: there is no column "${name}"`,
        `columns are ${this.names.join(", ")}`,
      );
    });
    const values = valuesOf(this.values.value);
    const width = this.names.length;
    const out = filled(
      new Float32Array(this.length * columns.length),
      (i) => values[Math.floor(i / columns.length) * width + columns[i % columns.length]!]!,
    );
    return new Series(this.times, names, fromHost(out, [this.length, columns.length], "float32"));
  }
}

export interface WindowOptions {
  /** Points in time that a model sees. */
  window: number;
  /** Points in time that it predicts from there; 1 by default. */
  horizon?: number;
  /** Points in time between the beginnings of two windows; 1 by default. */
  stride?: number;
  /** Columns to predict, by name or number; all by default. */
  target?: string | number | readonly (string | number)[];
  /** Scales each column by mean and standard deviation, or into [0, 1], of the training part; "none" by default. */
  normalize?: Normalization;
}

/**
 * A series as samples `[window, what follows]`: x [window, F], and y [horizon, targets], or [targets] for a horizon of 1.
 *
 * ```ts
 * const set = new data.WindowDataset(data.weather().select("temp_max"), { window: 14, normalize: "standard" });
 * const [train, test] = set.split([0.8, 0.2]); // the test is what comes later
 * ```
 *
 * Scaling comes from the training part alone: see {@link fit}.
 * @throws TensorError when the series is shorter than one window and what follows it
 */
export class WindowDataset extends Dataset<[window: Tensor, next: Tensor]> {
  readonly length: number;
  readonly #options: Required<Omit<WindowOptions, "target">>;
  readonly #values: ArrayLike<number>;
  readonly #width: number;
  readonly #targets: readonly number[];
  #shift: readonly number[] = [];
  #scale: readonly number[] = [];

  constructor(series: Series | Tensor | readonly number[], options: WindowOptions) {
    super();
    const { window, horizon = 1, stride = 1, normalize = "none", target } = options;
    for (const [name, value] of Object.entries({ window, horizon, stride }))
      if (!Number.isInteger(value) || value < 1)
        throw new TensorError(
          "value",
          `WindowDataset(): expected ${name} to be a whole number of at least 1, got ${value}`,
        );
    this.#options = { window, horizon, stride, normalize };
    const values = series instanceof Series ? series.values : series;
    this.#values = values instanceof Tensor ? valuesOf(values.value) : values;
    this.#width = values instanceof Tensor && values.ndim > 1 ? values.shape[1]! : 1;
    const names = series instanceof Series ? series.names : [];
    this.#targets = columnsOf(target, this.#width, names);
    const points = this.#values.length / this.#width;
    const room = points - window - horizon;
    if (room < 0)
      throw new TensorError(
        "value",
        `WindowDataset(): expected a series of at least ${window + horizon} points in time, got ${points}`,
      );
    this.length = Math.floor(room / stride) + 1;
    this.fit(Array.from({ length: this.length }, (_, i) => i));
  }

  /** Takes the scaling from what these samples see and predict, and from nothing else. */
  override fit(indices: readonly number[]): void {
    const { window, horizon, stride, normalize } = this.#options;
    const points = new Set<number>();
    for (const index of indices) for (let i = 0; i < window + horizon; i++) points.add(index * stride + i);
    const columns = Array.from({ length: this.#width }, (_, column) => {
      return scaling(
        Float64Array.from(points, (point) => this.#values[point * this.#width + column]!),
        normalize,
      );
    });
    this.#shift = columns.map(({ shift }) => shift);
    this.#scale = columns.map(({ scale }) => scale);
  }

  get(index: number): [Tensor, Tensor] {
    const { window, horizon, stride } = this.#options;
    const from = checkIndex(index, this.length) * stride;
    const all = Array.from({ length: this.#width }, (_, i) => i);
    const next = [...(horizon === 1 ? [] : [horizon]), this.#targets.length];
    return [
      fromHost(this.#rows(from, window, all), [window, this.#width], "float32"),
      fromHost(this.#rows(from + window, horizon, this.#targets), next, "float32"),
    ];
  }

  #rows(from: number, count: number, columns: readonly number[]): Float32Array {
    return filled(new Float32Array(count * columns.length), (i) => {
      const column = columns[i % columns.length]!;
      const value = this.#values[(from + Math.floor(i / columns.length)) * this.#width + column]!;
      return (value - this.#shift[column]!) / this.#scale[column]!;
    });
  }

  /** Targets in the units of the series: what a model predicted, [..., targets], unscaled. */
  unscale(prediction: Tensor): Tensor {
    const given = valuesOf(prediction.value);
    const values = filled(new Float32Array(given.length), (i) => {
      const column = this.#targets[i % this.#targets.length]!;
      return given[i]! * this.#scale[column]! + this.#shift[column]!;
    });
    return fromHost(values, prediction.shape, "float32");
  }

  /**
   * Splits in the order of time, and fits to the first part. No two parts predict the same value.
   * @param lengths how many samples each part gets, or fractions that add up to 1; parts after the first lose what
   *   overlaps
   */
  split(lengths: readonly number[]): Subset<[window: Tensor, next: Tensor]>[] {
    const { horizon, stride } = this.#options;
    const overlap = Math.ceil(horizon / stride) - 1;
    let from = 0;
    const parts = splitLengths(this.length, lengths).map((count, part) => {
      const skipped = part === 0 ? 0 : Math.min(overlap, count);
      const indices = Array.from({ length: count - skipped }, (_, i) => from + skipped + i);
      from += count;
      return new Subset(this, indices);
    });
    this.fit(parts[0]!.indices);
    return parts;
  }
}

function columnsOf(
  target: WindowOptions["target"],
  width: number,
  names: readonly string[],
): readonly number[] {
  if (target === undefined) return Array.from({ length: width }, (_, i) => i);
  const list = typeof target === "object" ? target : [target];
  return list.map((one) => {
    const column = typeof one === "number" ? one : names.indexOf(one);
    if (Number.isInteger(column) && column >= 0 && column < width) return column;
    throw new TensorError("value", `WindowDataset(): there is no column ${JSON.stringify(one)} to predict`);
  });
}
