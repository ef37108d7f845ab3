import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { indexSelect } from "../../../tensor/ops/movement/indexing.ts";
import { pad as padOp } from "../../../tensor/ops/movement/movement.ts";
import { slice } from "../../../tensor/ops/movement/slicing.ts";
import { formatShape } from "../../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../../arguments.ts";

export type PaddingMode = "constant" | "reflect" | "replicate" | "circular";

interface PadOptions {
  pad: readonly number[];
  mode?: PaddingMode;
  /** Fill value of "constant"; 0 by default. */
  value?: number | boolean | null;
}

/**
 * Padding around a tensor. `pad` counts before and after the last dimension, then those of the one before it, and so
 * on; negative counts cut off.
 * @throws TensorError for more pairs than dimensions, and for reflections longer than the dimension
 */
export function pad(input: Tensor, options: PadOptions): Tensor;
export function pad(
  input: Tensor,
  pad: readonly number[],
  mode?: PaddingMode,
  value?: number | boolean | null,
): Tensor;
export function pad(input: Tensor, pad: readonly number[], options?: Omit<PadOptions, "pad">): Tensor;
export function pad(input: Tensor, ...rest: unknown[]): Tensor {
  const options = bind<PadOptions>("pad", rest, { pad: REQUIRED, mode: "constant", value: null });
  const { mode } = options;
  const widths = options.pad;
  if (widths.length % 2 !== 0) {
    throw new TensorError("value", "Padding length must be divisible by 2");
  }
  if (widths.length > 2 * input.ndim) {
    throw new TensorError(
      "value",
      `Padding length should be less than or equal to two times the input dimension but got padding length ${widths.length} and input of dimension ${input.ndim}`,
    );
  }
  if (mode === "constant") {
    return composed(() =>
      named(padConstant(input, widths, Number(options.value ?? 0)), "ConstantPadNdBackward0"),
    );
  }
  if (Number(options.value) !== 0) {
    throw new TensorError("value", `Padding mode "${mode}" doesn't take in value argument`);
  }
  if (mode !== "reflect" && mode !== "replicate" && mode !== "circular") {
    throw new TensorError("value", `Unrecognised padding mode ${String(mode)}`);
  }
  return composed(() => {
    checkRank(input, widths.length);
    return padByIndex(input, widths, mode);
  });
}

function padConstant(input: Tensor, widths: readonly number[], value: number): Tensor {
  const before = input.shape.map(() => 0);
  const after = input.shape.map(() => 0);
  const begin = input.shape.map(() => 0);
  const end = [...input.shape];
  for (let i = 0; i < widths.length / 2; i++) {
    const d = input.ndim - 1 - i;
    const [left, right] = [widths[2 * i]!, widths[2 * i + 1]!];
    if (input.shape[d]! + Math.min(left, 0) + Math.min(right, 0) < 0) {
      throw new TensorError("shape", "narrow(): length must be non-negative.");
    }
    before[d] = Math.max(left, 0);
    after[d] = Math.max(right, 0);
    begin[d] = Math.max(-left, 0);
    end[d] = input.shape[d]! - Math.max(-right, 0);
  }
  let x = input;
  if (begin.some((b, d) => b > 0 || end[d] !== input.shape[d])) {
    x = apply(slice, [x], { begin, end, step: begin.map(() => 1) });
  }
  return apply(padOp, [x], { before, after, value });
}

type Repeating = Exclude<PaddingMode, "constant">;

function checkRank({ ndim }: Tensor, length: number): void {
  const dims = length / 2;
  if (length > 0 && dims <= 3 && (ndim === dims + 1 || ndim === dims + 2)) return;
  throw new TensorError(
    "shape",
    `Padding size ${length} is not supported for ${ndim}D input tensor.
Supported combinations for non-constant padding:
  - 2D or 3D input: padding size = 2 (pads last dimension)
  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)
  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)`,
  );
}

const PREFIX = { reflect: "reflection", replicate: "replication" } as const;

/** Modes that repeat the input's own values: each dimension picks its rows by number. */
function padByIndex(input: Tensor, widths: readonly number[], mode: Repeating): Tensor {
  const dims = widths.length / 2;
  // Before and after each of the last dimensions, in their order.
  const pairs = Array.from({ length: dims }, (_, d): [number, number] => [
    widths[2 * (dims - 1 - d)]!,
    widths[2 * (dims - 1 - d) + 1]!,
  ]);
  if (mode === "circular") checkCircular(input, pairs);
  else checkKernel(input, pairs, mode);
  let x = input;
  pairs.forEach(([left, right], i) => {
    if (left === 0 && right === 0) return;
    const d = input.ndim - dims + i;
    const length = input.shape[d]!;
    const rows = Int32Array.from({ length: length + left + right }, (_, at) =>
      sourceIndex(at, left, right, length, mode),
    );
    x = apply(indexSelect, [x, fromHost(rows, [rows.length], "int64")], { dim: d });
  });
  return mode === "circular"
    ? x
    : named(x, `${mode === "reflect" ? "Reflection" : "Replication"}Pad${dims}DBackward0`);
}

/** Returns the input's index of the element at `at` in the padded dimension. */
function sourceIndex(at: number, left: number, right: number, length: number, mode: Repeating): number {
  const inside = at - left;
  if (mode === "replicate") return Math.min(Math.max(inside, 0), length - 1);
  if (mode === "reflect") return length - 1 - Math.abs(length - 1 - Math.abs(inside));
  // Elements that negative widths cut off do not wrap around.
  const first = Math.max(-left, 0);
  const kept = length - first - Math.max(-right, 0);
  return first + ((((at - Math.max(left, 0)) % kept) + kept) % kept);
}

function checkCircular(input: Tensor, pairs: readonly (readonly [number, number])[]): void {
  pairs.forEach(([left, right], i) => {
    const length = input.shape[input.ndim - pairs.length + i]!;
    if (left > length || right > length) {
      throw new TensorError("shape", "Padding value causes wrapping around more than once.");
    }
    if (length + left + right < 0) {
      throw new TensorError("shape", "Negative padding value is resulting in an empty dimension");
    }
  });
}

const AXES = ["D", "H", "W"];

function checkKernel(
  input: Tensor,
  pairs: readonly (readonly [number, number])[],
  mode: keyof typeof PREFIX,
): void {
  const dims = pairs.length;
  const { shape } = input;
  if (input.dtype === "bool") notImplemented(`${PREFIX[mode]}_pad${dims}d`, "bool");
  if (shape.slice(input.ndim === dims + 2 ? 1 : 0).includes(0)) {
    throw new TensorError(
      "shape",
      `Expected ${dims + 1}D or ${dims + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ${formatShape(shape)}`,
    );
  }
  const lengths = shape.slice(-dims);
  const d = pairs.findLastIndex((pair, i) => mode === "reflect" && Math.max(...pair) >= lengths[i]!);
  if (d >= 0) {
    const [left, right] = pairs[d]!;
    throw new TensorError(
      "shape",
      `Argument #${2 * (dims - d) + 2}: Padding size should be less than the corresponding input dimension, but got: padding (${left}, ${right}) at dimension ${input.ndim - dims + d} of input ${formatShape(shape)}`,
    );
  }
  const padded = lengths.map((length, d) => length + pairs[d]![0] + pairs[d]![1]);
  if (padded.every((length) => length > 0)) return;
  const names = AXES.slice(-dims);
  const spelled = (values: readonly number[], between: string): string =>
    names.map((name, d) => `${name}: ${values[d]}`).join(between);
  throw new TensorError(
    "shape",
    dims === 1
      ? `input (W: ${lengths[0]}) is too small. Calculated output W: ${padded[0]}`
      : `Calculated output ${spelled(padded, " ")} must be >= 1 in every dimension (input ${spelled(lengths, ", ")})`,
  );
}
