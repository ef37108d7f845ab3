import { apply } from "../../tensor/apply.ts";
import { TensorError } from "../../tensor/errors.ts";
import { composed, named } from "../../tensor/functions/operands.ts";
import { indexSelect } from "../../tensor/ops/indexing.ts";
import { pad as padOp, slice } from "../../tensor/ops/movement.ts";
import { formatShape } from "../../tensor/shape.ts";
import { fromHost, type Tensor } from "../../tensor/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";

export type PaddingMode = "constant" | "reflect" | "replicate" | "circular";

interface PadOptions {
  pad: readonly number[];
  mode?: PaddingMode;
  /** What "constant" fills with; 0 by default. */
  value?: number | null;
}

/**
 * Padding around a tensor. `pad` counts before and after the last dimension, then those of the one before it, and so
 * on; negative counts cut off.
 * @throws TensorError for more pairs than dimensions, and for reflections longer than the dimension
 */
export function pad(input: Tensor, options: PadOptions): Tensor;
export function pad(input: Tensor, pad: readonly number[], mode?: PaddingMode, value?: number | null): Tensor;
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
    return composed(() => named(padConstant(input, widths, options.value ?? 0), "ConstantPadNdBackward0"));
  }
  if (options.value !== null && options.value !== 0) {
    throw new TensorError("value", `Padding mode "${mode}" doesn't take in value argument`);
  }
  if (mode !== "reflect" && mode !== "replicate" && mode !== "circular") {
    throw new TensorError("value", `Unrecognised padding mode ${String(mode)}`);
  }
  return composed(() => padByIndex(input, widths, mode));
}

function padConstant(input: Tensor, widths: readonly number[], value: number): Tensor {
  const before = input.shape.map(() => 0);
  const after = input.shape.map(() => 0);
  const begin = input.shape.map(() => 0);
  const end = [...input.shape];
  for (let i = 0; i < widths.length / 2; i++) {
    const d = input.ndim - 1 - i;
    const [left, right] = [widths[2 * i]!, widths[2 * i + 1]!];
    if (input.shape[d]! + left + right < 0) {
      throw new TensorError(
        "shape",
        `The input size ${input.shape[d]}, plus negative padding ${left} and ${right} resulted in a negative output size, which is invalid. Check dimension ${d} of your input.`,
      );
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

/** Modes that repeat the input's own values: each dimension picks its rows by number. */
function padByIndex(
  input: Tensor,
  widths: readonly number[],
  mode: Exclude<PaddingMode, "constant">,
): Tensor {
  let x = input;
  for (let i = 0; i < widths.length / 2; i++) {
    const d = input.ndim - 1 - i;
    const [left, right] = [widths[2 * i]!, widths[2 * i + 1]!];
    if (left === 0 && right === 0) continue;
    const length = input.shape[d]!;
    checkWidths(input, mode, d, left, right, 2 * i + 2);
    const rows = Int32Array.from({ length: length + left + right }, (_, at) =>
      sourceIndex(at - left, length, mode),
    );
    x = apply(indexSelect, [x, fromHost(rows, [rows.length], "int64")], { dim: d });
  }
  return x;
}

function sourceIndex(at: number, length: number, mode: Exclude<PaddingMode, "constant">): number {
  if (mode === "replicate") return Math.min(Math.max(at, 0), length - 1);
  if (mode === "circular") return (at + length) % length;
  return length - 1 - Math.abs(length - 1 - Math.abs(at));
}

function checkWidths(
  input: Tensor,
  mode: Exclude<PaddingMode, "constant">,
  d: number,
  left: number,
  right: number,
  argument: number,
): void {
  const length = input.shape[d]!;
  if (mode === "reflect" && (left >= length || right >= length)) {
    throw new TensorError(
      "shape",
      `Argument #${argument + 2}: Padding size should be less than the corresponding input dimension, but got: padding (${left}, ${right}) at dimension ${d} of input ${formatShape(input.shape)}`,
    );
  }
  if (mode === "circular" && (left > length || right > length)) {
    throw new TensorError("shape", "Padding value causes wrapping around more than once.");
  }
}
