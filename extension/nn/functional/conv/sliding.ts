// Checks of the inputs and sliding windows of pooling functions, with PyTorch's messages.
import { TensorError } from "../../../tensor/core/errors.ts";
import { formatShape, type Shape } from "../../../tensor/core/shape.ts";
import { strideOf, type Size } from "./convolving.ts";

/** The sliding windows of one dimension. */
export interface Axis {
  readonly length: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  /** Number of windows. */
  readonly out: number;
}

export interface Sliding {
  kernelSize: Size;
  stride: Size | null;
  padding: Size;
  dilation: Size;
  ceilMode: boolean;
}

type Part = "kernel_size" | "stride" | "padding" | "dilation";

const COUNTS = ["", "one", "two", "three"];

/** @throws TensorError for lists of another length */
function lengths(name: string, part: Part, value: Size, count: number): number[] {
  if (typeof value === "number") return Array.from<number>({ length: count }).fill(value);
  if (value.length === 1) return Array.from<number>({ length: count }).fill(value[0]!);
  if (value.length === count) return [...value];
  throw new TensorError("value", wrongLength(name, part, value.length, count));
}

function wrongLength(name: string, part: Part, got: number, count: number): string {
  if (name === "max_pool1d") {
    const kinds = {
      kernel_size: "an int, list of ints or tuple of ints",
      stride: "None, an int, list of ints, or tuple of ints",
      padding: "an int, list of ints, or tuple of ints",
      dilation: "an int, list of ints or tuple of ints",
    };
    return `max_pool1d() ${part} must be ${kinds[part]} of size 1 but got size ${got}`;
  }
  if (count === 1) return `${name}() argument '${part}' should contain one int (got ${got})`;
  const either = name === "avg_pool3d" ? "" : "either ";
  const verb = part === "dilation" ? `be ${either}` : `${either}be `;
  const omitted = part === "stride" ? "omitted, " : "";
  return `${name}: ${part} must ${verb}${omitted}a single int, or a tuple of ${COUNTS[count]} ints`;
}

/**
 * The windows of the last dimensions.
 * @param name PyTorch's name of the function, which its messages begin with
 * @throws TensorError for impossible steps and for outputs without elements
 */
export function slidingAxes(name: string, shape: Shape, count: number, options: Sliding): Axis[] {
  const kernel = lengths(name, "kernel_size", options.kernelSize, count);
  const stride = options.stride === null ? kernel : lengths(name, "stride", options.stride, count);
  const padding = lengths(name, "padding", options.padding, count);
  const dilation = lengths(name, "dilation", options.dilation, count);
  const check = name === "max_pool1d" ? checkSequence : checkSteps;
  check(kernel, stride, padding, dilation);
  const spatial = shape.slice(-count);
  const axes = spatial.map((length, d): Axis => {
    const [k, s, p, dilate] = [kernel[d]!, stride[d]!, padding[d]!, dilation[d]!];
    const free = length + 2 * p - dilate * (k - 1) - 1;
    let out = Math.floor((free + (options.ceilMode ? s - 1 : 0)) / s) + 1;
    // The last window has to begin inside the input or in the padding before it.
    if (options.ceilMode && (out - 1) * s >= length + p) out--;
    return { length, kernel: k, stride: strideOf(s), padding: p, dilation: dilate, out };
  });
  // PyTorch's means of volumes need a window that fits into the input without its padding.
  const whole = (a: Axis): boolean => name !== "avg_pool3d" || a.length >= a.kernel;
  if (!axes.every((a) => a.out >= 1 && whole(a))) throw new TensorError("shape", tooSmall(name, shape, axes));
  return axes;
}

function tooSmall(name: string, shape: Shape, axes: readonly Axis[]): string {
  if (name === "max_pool1d") return `max_pool1d() Invalid computed output size: ${axes[0]!.out}`;
  if (name === "avg_pool3d") {
    const axis = (prefix: string, values: readonly number[]): string =>
      ["T", "H", "W"].map((letter, d) => `${prefix}${letter}: ${values[d]}`).join(" ");
    return `input image (${axis(
      "",
      axes.map((a) => a.length),
    )}) smaller than kernel size (${axis(
      "k",
      axes.map((a) => a.kernel),
    )})`;
  }
  // Sequences are images of one row.
  const row = axes.length === 1 ? [1] : [];
  const text = (values: readonly number[]): string =>
    [shape[shape.length - axes.length - 1]!, ...row, ...values].join("x");
  return `Given input size: (${text(axes.map((a) => a.length))}). Calculated output size: (${text(axes.map((a) => a.out))}). Output size is too small`;
}

type Steps = readonly number[];

/** Kernel and padding in the order in which PyTorch says them. */
function halves(kernel: Steps, padding: Steps): string {
  if (kernel.length === 2) {
    const [height, width] = [0, 1];
    return `padW = ${padding[width]}, padH = ${padding[height]}, kW = ${kernel[width]}, kH = ${kernel[height]}`;
  }
  const each = (name: string, [t, h, w]: Steps): string => `${name}T: ${t} ${name}W: ${w} ${name}H: ${h}`;
  return `${each("k", kernel)} ${each("pad", padding)}`;
}

function checkSteps(kernel: Steps, stride: Steps, padding: Steps, dilation: Steps): void {
  const refuse = (message: string): never => {
    throw new TensorError("value", message);
  };
  if (stride.includes(0)) refuse("stride should not be zero");
  for (const [d, p] of padding.entries()) {
    if (p < 0) refuse(`pad must be non-negative, but got pad: ${p}`);
    if (dilation.some((n) => n <= 0)) {
      const letters = dilation.length === 3 ? ["T", "H", "W"] : ["H", "W"];
      const text = dilation.map((n, i) => `dilation${letters[i]}: ${n}`).join(" ");
      refuse(`dilation should be greater than zero, but got ${text}`);
    }
    if (p > Math.floor((dilation[d]! * (kernel[d]! - 1) + 1) / 2)) {
      refuse(
        `pad should be at most half of effective kernel size, but got pad=${p}, kernel_size=${kernel[d]} and dilation=${dilation[d]}`,
      );
    }
  }
  if (padding.every((p, d) => p <= Math.floor(kernel[d]! / 2))) return;
  refuse(`pad should be smaller than or equal to half of kernel size, but got ${halves(kernel, padding)}`);
}

function checkSequence([kernel]: Steps, [stride]: Steps, [padding]: Steps, [dilation]: Steps): void {
  const refuse = (message: string): never => {
    throw new TensorError("value", `max_pool1d() ${message}`);
  };
  if (kernel! <= 0) refuse(`kernel_size must be greater than zero, but got ${kernel}`);
  if (stride! <= 0) refuse(`stride must be greater than zero, but got ${stride}`);
  if (padding! < 0) refuse(`padding must be non-negative, but got ${padding}`);
  if (padding! > kernel! / 2) {
    refuse(
      `padding should be at most half of kernel size, but got padding=${padding} and kernel_size=${kernel}`,
    );
  }
  if (dilation! <= 0) refuse(`dilation must be greater than zero, but got ${dilation}`);
}

/** @throws TensorError for an input that is not [N, C, spatial…] or [C, spatial…], or is empty */
export function checkPooled(name: string, shape: Shape, count: number): void {
  const rank = shape.length;
  const ranks = `${count + 1}D or ${count + 2}D`;
  const size = formatShape(shape);
  const adaptive = name.startsWith("adaptive");
  if (rank !== count + 1 && rank !== count + 2) {
    throw new TensorError("shape", wrongRank());
  }
  // PyTorch allows adaptive means of no channels: the result is empty.
  const channels = name === "adaptive_avg_pool1d" || name === "adaptive_avg_pool2d" ? 0 : 1;
  const empty = shape.findIndex((n, d) => n === 0 && d >= rank - count - channels);
  if (empty < 0) return;
  // PyTorch pools sequences as images of one row.
  const asImage = count === 1 && name.includes("avg");
  const [sizes, at] = asImage
    ? [formatShape([...shape.slice(0, -1), 1, shape[rank - 1]!]), empty === rank - 1 ? rank : empty]
    : [size, empty];
  const own = name === "max_pool3d" ? "max_pool3d_with_indices_out_cpu_template" : name;
  const reported = name === "adaptive_avg_pool1d" ? "adaptive_avg_pool2d" : own;
  throw new TensorError(
    "shape",
    adaptive || count === 3
      ? `${reported}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes ${sizes} with dimension ${at} being empty`
      : `${name === "max_pool1d" ? "max_pool1d: " : ""}Expected ${asImage ? "3D or 4D" : ranks} (batch mode) tensor with optional 0 dim batch size for input, but got:${sizes}`,
  );

  function wrongRank(): string {
    if (name === "max_pool1d") {
      return `max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:${size}`;
    }
    if (count === 1) {
      return `Expected 2 to 3 dimensions, but got ${rank}-dimensional tensor for argument #1 'self' (while checking arguments for ${name})`;
    }
    if (adaptive)
      return `${name}(): Expected ${ranks} tensor, but got${name.includes("max") ? ":" : ""} ${size}`;
    return name === "avg_pool2d" && rank > 2
      ? `Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:${size}`
      : name === "avg_pool2d"
        ? `Dimension out of range (expected to be in range of [${-Math.max(rank, 1)}, ${Math.max(rank, 1) - 1}], but got -3)`
        : `non-empty ${ranks} (batch mode) tensor expected for input`;
  }
}

/** The kernel that PyTorch names when it has none for a type: that of images for sequences, but for max_pool1d. */
export function kernelName(name: string): string {
  if (name === "max_pool1d") return "max_pool1d_impl";
  if (name === "avg_pool3d") return "avg_pool3d_out_frame";
  return name.endsWith("3d") && name.startsWith("adaptive") ? `${name}_cpu` : name.replace("1d", "2d");
}
