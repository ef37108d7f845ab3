import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, inRange, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import { scatterLast } from "../../../tensor/ops/movement/elements.ts";
import { reshape } from "../../../tensor/ops/movement/movement.ts";
import { formatShape, numel } from "../../../tensor/core/shape.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import { sizes, type Size } from "../conv/convolving.ts";

export interface UnpoolOptions {
  /** The kernel's size by default. */
  stride?: Size | null;
  padding?: Size;
  /** Lengths of the output: which of those that are pooled to the input's is meant. */
  outputSize?: readonly number[] | null;
}

type UnpoolArguments =
  | [kernelSize: Size, stride?: Size | null, padding?: Size, outputSize?: readonly number[] | null]
  | Call<UnpoolOptions & { kernelSize: Size }, "kernelSize stride padding outputSize">;

function unpool(
  name: string,
  count: number,
  input: Tensor,
  indices: Tensor,
  rest: readonly unknown[],
): Tensor {
  const bound = bind<UnpoolOptions & { kernelSize: Size }>(name, rest, {
    kernelSize: REQUIRED,
    stride: null,
    padding: 0,
    outputSize: null,
  });
  const kernel = sizes("kernel_size", bound.kernelSize, count);
  const stride = bound.stride === null ? kernel : sizes("stride", bound.stride, count);
  const padding = sizes("padding", bound.padding, count);
  const lengths = outputLengths(
    input.shape.slice(-count).map((length, d) => (length - 1) * stride[d]! + kernel[d]! - 2 * padding[d]!),
    stride,
    bound.outputSize,
  );
  check(count, input, indices);
  if (input.dtype !== "float32") notImplemented(count === 3 ? "max_unpool3d" : "max_unpool2d", input.dtype);
  const [places, cells] = [numel(input.shape.slice(-count)), numel(lengths)];
  // PyTorch unpools sequences as images of one column.
  const volume = (count === 1 ? [...lengths, 1] : lengths).join("x");
  inRange(indices, cells, (i) => `Found an invalid max index: ${i} (output volumes are of size ${volume})`);
  return composed(() => {
    const lead = input.shape.slice(0, input.ndim - count);
    const zeros = new Tensor(fillValue(0, [...lead, cells], "float32"));
    const flat = (x: Tensor): Tensor => apply(reshape, [x], { shape: [...lead, places] });
    const spread = apply(scatterLast, [zeros, flat(indices), flat(input)], { mode: "update" });
    const result = apply(reshape, [spread], { shape: [...lead, ...lengths] });
    return named(result, count === 1 ? "SqueezeBackward1" : `MaxUnpool${count}DBackward0`);
  });
}

function outputLengths(
  usual: readonly number[],
  stride: readonly number[],
  wanted: readonly number[] | null,
): readonly number[] {
  const count = usual.length;
  const lengths = wanted?.length === count + 2 ? wanted.slice(2) : (wanted ?? usual);
  if (lengths.length !== count) {
    throw new TensorError(
      "value",
      `output_size should be a sequence containing ${count} or ${count + 2} elements, but it has a length of '${lengths.length}'`,
    );
  }
  lengths.forEach((length, d) => {
    const [least, most] = [usual[d]! - stride[d]!, usual[d]! + stride[d]!];
    if (wanted !== null && (length <= least || length >= most)) {
      throw new TensorError(
        "value",
        `invalid output_size "${formatShape(lengths)}" (dim ${d} must be between ${least} and ${most})`,
      );
    }
  });
  lengths.forEach((length, d) => {
    if (length >= 0) return;
    throw new TensorError(
      "value",
      `max_unpooling: output_size must contain non-negative spatial dimensions, but got output_size[${d}]=${length}`,
    );
  });
  return lengths;
}

function check(count: number, input: Tensor, indices: Tensor): void {
  if (indices.dtype !== "int64") {
    throw new TensorError(
      "dtype",
      `elements in indices should be type int64 but got: ${indices.dtype === "bool" ? "Bool" : "Float"}`,
    );
  }
  // PyTorch unpools sequences as images of one column.
  const column = count === 1 ? [1] : [];
  const dims = Math.max(count, 2);
  const shape = [...input.shape, ...column];
  if (shape.length !== dims + 1 && shape.length !== dims + 2) {
    throw new TensorError(
      "shape",
      `Input to max_unpooling${dims}d should be a ${dims + 1}d or ${dims + 2}d Tensor, but got a tensor with ${shape.length} dimensions.`,
    );
  }
  const other = [...indices.shape, ...column];
  if (formatShape(shape) !== formatShape(other)) {
    throw new TensorError(
      "shape",
      `Expected shape of indices to be same as that of the input tensor (${formatShape(shape)}) but got indices tensor with shape: ${formatShape(other)}`,
    );
  }
}

/**
 * Zeros with the values of a max pooling of sequences at the places that it answered.
 * @param indices the places, as `maxPool1d` with `returnIndices` answers them
 */
export function maxUnpool1d(
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options?: UnpoolOptions,
): Tensor;
export function maxUnpool1d(input: Tensor, indices: Tensor, ...rest: UnpoolArguments): Tensor;
export function maxUnpool1d(input: Tensor, indices: Tensor, ...rest: unknown[]): Tensor {
  return unpool("max_unpool1d", 1, input, indices, rest);
}

/** The same for images: `maxPool2d` and its places. */
export function maxUnpool2d(
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options?: UnpoolOptions,
): Tensor;
export function maxUnpool2d(input: Tensor, indices: Tensor, ...rest: UnpoolArguments): Tensor;
export function maxUnpool2d(input: Tensor, indices: Tensor, ...rest: unknown[]): Tensor {
  return unpool("max_unpool2d", 2, input, indices, rest);
}

/** The same for volumes: `maxPool3d` and its places. */
export function maxUnpool3d(
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options?: UnpoolOptions,
): Tensor;
export function maxUnpool3d(input: Tensor, indices: Tensor, ...rest: UnpoolArguments): Tensor;
export function maxUnpool3d(input: Tensor, indices: Tensor, ...rest: unknown[]): Tensor {
  return unpool("max_unpool3d", 3, input, indices, rest);
}
