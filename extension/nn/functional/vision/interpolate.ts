import { ofFunction } from "../../../tensor/recording/version.ts";
import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { indexSelect } from "../../../tensor/ops/movement/indexing.ts";
import { expand, reshape } from "../../../tensor/ops/movement/movement.ts";
import { tileCopies } from "../../../tensor/ops/spatial/tiles.ts";
import { formatShape, numel } from "../../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d } from "../pooling/averagePooling.ts";
import type { Size } from "../conv/convolving.ts";
import { antialiased, cubic, FILTERS, linear, nearest, type Resizing } from "./resampling.ts";
import { mixed } from "../conv/windows.ts";

export type InterpolationMode =
  | "nearest"
  | "nearest-exact"
  | "linear"
  | "bilinear"
  | "bicubic"
  | "trilinear"
  | "lanczos"
  | "area";

export interface InterpolateOptions {
  /** Lengths of the output. */
  size?: Size | null;
  /** Factors of the input's lengths, in place of `size`. */
  scaleFactor?: Size | null;
  /** "nearest" by default. */
  mode?: InterpolationMode;
  /** Whether the centres of the outermost elements of input and output coincide; false by default. */
  alignCorners?: boolean | null;
  /** Compute with the ratio of the rounded lengths instead of `scaleFactor` itself. */
  recomputeScaleFactor?: boolean | null;
  /** Widen the kernel where the output is smaller; of "bilinear", "bicubic" and "lanczos". */
  antialias?: boolean;
}

type Bound = { [K in keyof InterpolateOptions]-?: Exclude<InterpolateOptions[K], undefined> };

/**
 * Resizes [N, C, spatial…] to `size`, or by `scaleFactor`.
 *
 * "nearest" takes elements (of ⌊i · scale⌋; "nearest-exact" of ⌊(i + ½) · scale⌋); "linear", "bilinear" and "trilinear"
 * weigh the two next ones of each dimension, "bicubic" four; "area" takes means; "lanczos" needs `antialias`.
 * @throws TensorError for a mode that doesn't fit the input, and unless there is one of size and scaleFactor
 */
export function interpolate(input: Tensor, options: InterpolateOptions): Tensor;
export function interpolate(
  input: Tensor,
  size?: Size | null,
  scaleFactor?: Size | null,
  mode?: InterpolationMode,
  alignCorners?: boolean | null,
  recomputeScaleFactor?: boolean | null,
  antialias?: boolean,
): Tensor;
export function interpolate(input: Tensor, size: Size | null, options: InterpolateOptions): Tensor;
export function interpolate(input: Tensor, ...rest: unknown[]): Tensor {
  const options = bind<InterpolateOptions>("interpolate", rest, {
    size: null,
    scaleFactor: null,
    mode: "nearest",
    alignCorners: null,
    recomputeScaleFactor: null,
    antialias: false,
  });
  const { lengths, factors } = checked(input, options);
  return composed(() => named(resized(input, options, lengths, factors), gradientName(input, options)));
}

/** Returns the output's lengths, and the factors that determine places, if they do. */
function checked(
  input: Tensor,
  { size, scaleFactor, mode, alignCorners, recomputeScaleFactor, antialias }: Bound,
): { lengths: number[]; factors: number[] | undefined } {
  const refuse = (message: string): never => {
    throw new TensorError("value", message);
  };
  if (alignCorners !== null && ["nearest", "area", "nearest-exact"].includes(mode)) {
    refuse(
      "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear",
    );
  }
  const spatial = input.shape.slice(2);
  if (size !== null && scaleFactor !== null) refuse("only one of size or scale_factor should be defined");
  if (size === null && scaleFactor === null) refuse("either size or scale_factor should be defined");
  const given = size ?? scaleFactor!;
  if (typeof given === "object" && given.length !== spatial.length) {
    refuse(
      size === null
        ? `Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions of ${formatShape(spatial)} and scale_factor of shape ${formatShape(given)}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format.`
        : `Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of ${formatShape(spatial)} and output size of ${formatShape(given)}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format.`,
    );
  }
  if (recomputeScaleFactor === true && size !== null) {
    refuse("recompute_scale_factor is not meaningful with an explicit size.");
  }
  const each = spatial.map((_, d) => (typeof given === "number" ? given : given[d]!));
  if (antialias && !(mode in FILTERS && input.ndim === 4)) {
    refuse(
      "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input",
    );
  }
  checkMode(input, mode);
  if (mode === "lanczos" && !antialias) refuse("Lanczos mode requires antialias=True");
  if (mode === "lanczos" && alignCorners === true) refuse("Lanczos mode does not support align_corners=True");
  if (size !== null) return { lengths: each, factors: undefined };
  const lengths = spatial.map((length, d) => Math.floor(length * each[d]!));
  return { lengths, factors: recomputeScaleFactor === true ? undefined : each };
}

const RANKS: Readonly<Record<InterpolationMode, readonly number[]>> = {
  nearest: [3, 4, 5],
  "nearest-exact": [3, 4, 5],
  area: [3, 4, 5],
  linear: [3],
  bilinear: [4],
  bicubic: [4],
  lanczos: [4],
  trilinear: [5],
};

function checkMode({ ndim }: Tensor, mode: InterpolationMode): void {
  const ranks = RANKS[mode] as readonly number[] | undefined;
  if (ranks?.includes(ndim) === true) return;
  const needed = mode === "linear" || mode === "bilinear" || mode === "trilinear" ? ranks : undefined;
  throw new TensorError(
    "shape",
    needed !== undefined && ndim >= 3 && ndim <= 5
      ? `Got ${ndim}D input, but ${mode} mode needs ${needed[0]}D input`
      : `Input Error: Only 3D, 4D and 5D input Tensors supported (got ${ndim}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got ${mode})`,
  );
}

/** Names of PyTorch's kernels in its messages. */
const KERNELS: Readonly<Record<InterpolationMode, string>> = {
  nearest: "nearest",
  "nearest-exact": "nearest",
  linear: "linear",
  bilinear: "linear",
  trilinear: "linear",
  bicubic: "cubic",
  lanczos: "lanczos",
  area: "",
};

function resized(
  input: Tensor,
  { mode, alignCorners, antialias }: Bound,
  lengths: readonly number[],
  factors: readonly number[] | undefined,
): Tensor {
  if (mode === "area") {
    const pool = [adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d][lengths.length - 1]!;
    return pool(input, lengths);
  }
  checkSizes(input, lengths);
  if (input.dtype !== "float32") notImplemented(`compute_indices_weights_${KERNELS[mode]}`, input.dtype);
  const dims = lengths.map((out, d): Resizing => ({
    length: input.shape[d + 2]!,
    out,
    alignCorners: alignCorners ?? false,
    factor: factors?.[d],
  }));
  if (mode === "nearest" || mode === "nearest-exact") {
    return picked(
      input,
      dims.map((dim) => nearest(dim, mode === "nearest-exact")),
    );
  }
  if (antialias && mode in FILTERS) {
    const filter = FILTERS[mode as keyof typeof FILTERS];
    return mixed(
      input,
      dims.map((dim) => antialiased(dim, filter)),
    );
  }
  return mixed(input, dims.map(mode === "bicubic" ? cubic : linear));
}

const AXES = ["D", "H", "W"];

function checkSizes(input: Tensor, lengths: readonly number[]): void {
  const spatial = input.shape.slice(2);
  if (spatial.concat(lengths).some((length) => length < 1)) {
    const names = AXES.slice(-lengths.length);
    const text = (values: readonly number[]): string =>
      names.map((name, d) => `${name}: ${values[d]}`).join(", ");
    throw new TensorError(
      "shape",
      `Input and output sizes should be greater than 0, but got input (${text(spatial)})${lengths.length === 1 ? " and" : ""} output (${text(lengths)})`,
    );
  }
  if (input.shape[1] === 0) {
    throw new TensorError(
      "shape",
      `Non-empty ${input.ndim}D data tensor expected but got a tensor with sizes ${formatShape(input.shape)}`,
    );
  }
}

/** The elements at these places of each of the last dimensions. */
function picked(x: Tensor, places: readonly (readonly number[])[]): Tensor {
  const factors = places.map((at, d) => at.length / x.shape[d + 2]!);
  const whole = places.every((at, d) => at.every((place, i) => place === Math.floor(i / factors[d]!)));
  if (whole && factors.every(Number.isInteger)) return repeated(x, factors);
  return places.reduce((y, at, d) => {
    if (at.length === y.shape[d + 2] && at.every((place, i) => place === i)) return y;
    return apply(indexSelect, [y, ofFunction(fromHost(Int32Array.from(at), [at.length], "int64"))], {
      dim: d + 2,
    });
  }, x);
}

/** Repeats every element of the last dimensions; the gradients of the copies are summed. */
function repeated(x: Tensor, factors: readonly number[]): Tensor {
  if (x.ndim > 3) return apply(tileCopies, [x], { tile: factors });
  return factors.reduce((y, factor, d) => {
    const length = y.shape[d + 2]!;
    const [before, after] = [numel(y.shape.slice(0, d + 2)), numel(y.shape.slice(d + 3))];
    const apart = apply(reshape, [y], { shape: [before, length, 1, after] });
    const copies = apply(expand, [apart], { shape: [before, length, factor, after] });
    return apply(reshape, [copies], {
      shape: y.shape.map((n, i) => (i === d + 2 ? length * factor : n)),
    });
  }, x);
}

function gradientName({ ndim }: Tensor, { mode, antialias }: Bound): string {
  const dims = ndim - 2;
  if (mode === "area") return dims === 1 ? "SqueezeBackward1" : `AdaptiveAvgPool${dims}DBackward0`;
  const kernel = mode === "nearest-exact" ? "NearestExact" : mode[0]!.toUpperCase() + mode.slice(1);
  return `Upsample${kernel}${dims}D${antialias ? "Aa" : ""}Backward0`;
}
