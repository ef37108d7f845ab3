// Max pooling over windows whose places are drawn.
import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { fromHost, Tensor } from "../../../tensor/core/tensor.ts";
import { rand } from "../../../tensor/functions/creation/random.ts";
import { add, mul, sub } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { floor } from "../../../tensor/functions/pointwise/elementwise.ts";
import { castTo, composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { narrow, select } from "../../../tensor/functions/shape/parts.ts";
import { cat, reshape } from "../../../tensor/functions/shape/shape.ts";
import { gatherLast } from "../../../tensor/ops/movement/elements.ts";
import { expand } from "../../../tensor/ops/movement/movement.ts";
import { formatShape, normalizeDim, numel } from "../../../tensor/core/shape.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import type { Size } from "../conv/convolving.ts";
import { RECORDED } from "../../../tensor/ops/formulas.ts";
import { placesOfMaxima } from "../../../tensor/ops/spatial/windowMaxima.ts";
import { refuseGradient } from "../refuseGradient.ts";
import type { Pooled, ValuesAndIndices, WithIndices } from "./pooling.ts";

export interface FractionalMaxPoolOptions {
  /** Lengths of the output. */
  outputSize?: Size | null;
  /** Lengths of the output as shares of the input's; used where there is no `outputSize`. */
  outputRatio?: Size | null;
  /** Numbers of [0, 1) that place the windows, [N, C, dimensions]; drawn by default. */
  _randomSamples?: Tensor | null;
}

interface Bound {
  kernelSize: Size;
  outputSize: Size | null;
  outputRatio: Size | null;
  returnIndices: boolean;
  _randomSamples: Tensor | null;
}

const NAMES = ["time", "height", "width"];

/** One length for each dimension. */
function each(name: string, argument: string, size: Size, count: number): number[] {
  const list = typeof size === "number" ? [size] : [...size];
  if (list.length === 1) return Array.from({ length: count }, () => list[0]!);
  if (list.length === count) return list;
  throw new TensorError(
    "value",
    `${name}: ${argument} must either be a single Int or tuple of ${count === 3 ? "three " : ""}Ints`,
  );
}

/** @throws TensorError for missing or wrong lengths */
function lengths(name: string, input: Tensor, count: number, options: Bound): number[] {
  const { outputSize, outputRatio } = options;
  if (outputSize !== null) return each(name, "output_size", outputSize, count);
  if (outputRatio === null) {
    throw new TensorError("value", `${name} requires specifying either an output_size or an output_ratio`);
  }
  const ratios =
    typeof outputRatio === "number" ? Array.from({ length: count }, () => outputRatio) : outputRatio;
  if (ratios.length !== count) {
    throw new TensorError(
      "value",
      `${name} requires output_ratio to either be a single Int or tuple of Ints.`,
    );
  }
  return input.shape.slice(-count).map((length, d) => Math.trunc(length * ratios[d]!));
}

/**
 * Where the windows of one dimension begin, [N · C, out]: ⌊(i + u) α⌋ − ⌊u α⌋ with α = (length − kernel) / (out − 1), and
 * length − kernel for the last one.
 */
function starts(samples: Tensor, length: number, out: number, kernel: number): Tensor {
  const last = length - kernel;
  const rows = samples.numel();
  const end = apply(expand, [fromHost(Int32Array.of(last), [1, 1], "int64")], { shape: [rows, 1] });
  if (out === 1) return end;
  const alpha = Math.fround(last / (out - 1));
  const u = reshape(samples, [rows, 1]);
  const steps = fromHost(
    Float32Array.from({ length: out - 1 }, (_, i) => i),
    [1, out - 1],
    "float32",
  );
  const first = sub(floor(mul(add(u, steps), alpha)), floor(mul(u, alpha)));
  return cat([castTo(first, "int64"), end], 1);
}

/** The order in which PyTorch looks at the dimensions. */
const CHECKED = { 2: [0, 1], 3: [0, 2, 1] } as const;

/** @throws TensorError for shapes that don't fit each other */
function check(
  name: string,
  { shape, ndim }: Tensor,
  samples: Tensor,
  kernel: readonly number[],
  out: readonly number[],
): void {
  const count = kernel.length as 2 | 3;
  const refuse = (message: string): never => {
    throw new TensorError("shape", message);
  };
  const callee = `${count === 3 ? `${name}_out` : name}()`;
  const batch = ndim === count + 2 ? 1 : 0;
  if (ndim !== count + 1 + batch) {
    refuse(`${callee}: Expected ${count + 1}D or ${count + 2}D tensor, but got: ${formatShape(shape)}`);
  }
  const bare = shape.indexOf(0, 1);
  if (bare >= 0) {
    refuse(
      `${callee}: Expected input to have non-zero size for non-batch dimensions, but got${formatShape(shape)} with dimension ${bare} being empty.`,
    );
  }
  const spatial = shape.slice(-count);
  for (const d of CHECKED[count]) {
    const [length, needed] = [spatial[d]!, out[d]! + kernel[d]! - 1];
    // PyTorch leaves a cell of every dimension of volumes.
    if (count === 2 ? needed <= length : needed < length) continue;
    const dim = NAMES[NAMES.length - count + d]!;
    refuse(`${callee}: pool ${dim} ${kernel[d]} too large relative to input ${dim} ${length}`);
  }
  if (samples.dtype !== "float32") refuse("Expect _random_samples to have the same dtype as input");
  if (samples.ndim !== 3) refuse(`Expect _random_samples to have 3 dimensions, got ${samples.ndim}`);
  const [n, c, places] = samples.shape as [number, number, number];
  if (n < (batch === 1 ? shape[0]! : 1)) {
    refuse("Expect _random_samples.size(0) no less then input batch size.");
  }
  if (c !== shape[batch]) refuse("Expect _random_samples.size(1) equals to input channel size.");
  if (places !== count) refuse(`Expect _random_samples.size(2) equals to ${count}; got ${places}.`);
}

function pooled(name: string, count: number, input: Tensor, rest: readonly unknown[]): Pooled {
  const signature = {
    kernelSize: REQUIRED,
    outputSize: null,
    outputRatio: null,
    returnIndices: false,
    _randomSamples: null,
  } as const;
  const options: Bound = bind<Bound>(name, rest, signature, 4);
  const out = lengths(name, input, count, options);
  if (input.dtype !== "float32") notImplemented("check_uniform_bounds", input.dtype);
  const given: unknown = options._randomSamples;
  if (given !== null && !(given instanceof Tensor)) {
    throw new TensorError(
      "value",
      `${name}(): argument 'random_samples' (position 4) must be Tensor, not ${typeof given}`,
    );
  }
  const batch = input.ndim === count + 1 ? 1 : input.shape[0]!;
  // PyTorch draws for [N, C] before it looks at anything else.
  const samples = given ?? rand(batch, input.shape[normalizeDim(-count - 1, input.ndim)]!, count);
  const kernel = each(name, "kernel_size", options.kernelSize, count);
  const spatial = input.shape.slice(-count);
  check(name, input, samples, kernel, out);
  refuseGradient(name, { random_samples: samples });
  let indices: Tensor | undefined;
  const values = composed(() => {
    const rows = numel(input.shape) / numel(spatial);
    const cells = numel(out);
    const window = numel(kernel);
    // Flat places, [rows, out, kernel], one dimension after the other.
    let places: Tensor = fromHost(Int32Array.of(0), [1, 1, 1], "int64");
    for (const [d, length] of spatial.entries()) {
      // PyTorch's images take the first number for their width, its volumes the first for their depth.
      const drawn = select(narrow(samples, 0, 0, batch), 2, count === 2 ? 1 - d : d);
      const begin = starts(drawn, length, out[d]!, kernel[d]!);
      const [before, inside] = [places.shape[1]!, places.shape[2]!];
      const from = reshape(begin, [rows, 1, out[d]!, 1, 1]);
      const offsets = Int32Array.from({ length: kernel[d]! }, (_, i) => i);
      const within = fromHost(offsets, [1, 1, 1, 1, kernel[d]!], "int64");
      const base = reshape(mul(places, length), [places.shape[0]!, before, 1, inside, 1]);
      places = reshape(add(base, add(from, within)), [rows, before * out[d]!, inside * kernel[d]!]);
    }
    const flat = reshape(places, [rows, cells * window]);
    const candidates = reshape(apply(gatherLast, [reshape(input, [rows, numel(spatial)]), flat], {}), [
      rows,
      cells,
      window,
    ]);
    const best = placesOfMaxima(RECORDED, candidates);
    const at = reshape(best, [rows, cells, 1]);
    const shape = [...input.shape.slice(0, -count), ...out];
    indices = reshape(apply(gatherLast, [reshape(flat, [rows, cells, window]), at], {}), shape);
    return named(
      reshape(apply(gatherLast, [candidates, at], {}), shape),
      `FractionalMaxPool${count}DBackward0`,
      input,
      options.returnIndices ? indices : null,
    );
  });
  if (!options.returnIndices) return values;
  indices!.value.visible = values.value.visible;
  return [values, indices!];
}

/**
 * Largest values of images [N, C, H, W] or [C, H, W] over as many windows as `outputSize` says, placed at steps that are drawn
 * for each channel (Graham, https://arxiv.org/abs/1412.6071).
 * @throws TensorError "fractional_max_pool2d(): pool height 3 too large relative to input height 6"
 */
export function fractionalMaxPool2d(
  input: Tensor,
  kernelSize: Size,
  options: FractionalMaxPoolOptions & WithIndices,
): ValuesAndIndices;
export function fractionalMaxPool2d(
  input: Tensor,
  kernelSize: Size,
  options: FractionalMaxPoolOptions,
): Tensor;
export function fractionalMaxPool2d(input: Tensor, kernelSize: Size, outputSize: Size): Tensor;
export function fractionalMaxPool2d(input: Tensor, ...rest: unknown[]): Pooled {
  return pooled("fractional_max_pool2d", 2, input, rest);
}

/**
 * The same as {@link fractionalMaxPool2d}, of volumes [N, C, D, H, W] or [C, D, H, W].
 * @throws TensorError "fractional_max_pool3d_out(): pool time 3 too large relative to input time 4"
 */
export function fractionalMaxPool3d(
  input: Tensor,
  kernelSize: Size,
  options: FractionalMaxPoolOptions & WithIndices,
): ValuesAndIndices;
export function fractionalMaxPool3d(
  input: Tensor,
  kernelSize: Size,
  options: FractionalMaxPoolOptions,
): Tensor;
export function fractionalMaxPool3d(input: Tensor, kernelSize: Size, outputSize: Size): Tensor;
export function fractionalMaxPool3d(input: Tensor, ...rest: unknown[]): Pooled {
  return pooled("fractional_max_pool3d", 3, input, rest);
}
