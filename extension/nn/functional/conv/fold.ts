import { filled } from "../../../tensor/core/dtype.ts";
import { ofFunction } from "../../../tensor/recording/version.ts";
import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { indexAdd, indexSelect } from "../../../tensor/ops/movement/indexing.ts";
import { pad, permute, reshape } from "../../../tensor/ops/movement/movement.ts";
import { slice } from "../../../tensor/ops/movement/slicing.ts";
import { fromHost, type Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import type { Size } from "./convolving.ts";

export interface UnfoldOptions {
  /** Distance of a block's cells; 1 by default. */
  dilation?: Size;
  /** Zeros around the image; 0 by default. */
  padding?: Size;
  /** Distance of the blocks; 1 by default. */
  stride?: Size;
}

type Pair = readonly [height: number, width: number];

interface Blocks {
  readonly kernel: Pair;
  readonly dilation: Pair;
  readonly padding: Pair;
  readonly stride: Pair;
}

function pair(name: string, value: Size): Pair {
  if (typeof value === "number") return [value, value];
  if (value.length === 1) return [value[0]!, value[0]!];
  if (value.length === 2) return [value[0]!, value[1]!];
  throw new TensorError("value", `It is expected ${name} equals to 2, but got size ${value.length}`);
}

function blocks(options: Required<UnfoldOptions> & { kernelSize: Size }): Blocks {
  const kernel = pair("kernel_size", options.kernelSize);
  const dilation = pair("dilation", options.dilation);
  const padding = pair("padding", options.padding);
  const stride = pair("stride", options.stride);
  const positive = (what: string, name: string, [h, w]: Pair): void => {
    if (h > 0 && w > 0) return;
    throw new TensorError(
      "value",
      `${what} should be greater than zero, but got ${name}_height: ${h} ${name}_width: ${w}`,
    );
  };
  positive("kernel size", "kernel", kernel);
  positive("dilation", "dilation", dilation);
  if (padding[0] < 0 || padding[1] < 0) {
    throw new TensorError(
      "value",
      `padding should be non-negative, but got pad_height: ${padding[0]} pad_width: ${padding[1]}`,
    );
  }
  positive("stride", "stride", stride);
  return { kernel, dilation, padding, stride };
}

const text = ([h, w]: Pair): string => `(${h}, ${w})`;

/** How many blocks lie along each dimension. */
const counts = ([h, w]: Pair, { kernel, dilation, padding, stride }: Blocks): Pair => {
  const along = (d: 0 | 1, length: number): number =>
    Math.floor((length + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1) / stride[d]) + 1;
  return [along(0, h), along(1, w)];
};

/** For each cell of the kernel and each block, the place in the padded dimension. */
function places({ kernel, dilation, stride }: Blocks, d: 0 | 1, count: number): Tensor {
  const table = filled(
    new Int32Array(kernel[d] * count),
    (i) => Math.floor(i / count) * dilation[d] + (i % count) * stride[d],
  );
  return ofFunction(fromHost(table, [table.length], "int64"));
}

/**
 * Blocks of images [N, C, H, W] or [C, H, W] as the columns of [N, C kH kW, L]: what a convolution multiplies with.
 * @throws TensorError "Given input with spatial size …, kernel_size=…, calculated shape of the array of sliding blocks as …"
 */
export function unfold(input: Tensor, kernelSize: Size, options?: UnfoldOptions): Tensor;
export function unfold(
  input: Tensor,
  kernelSize: Size,
  dilation?: Size,
  padding?: Size,
  stride?: Size,
): Tensor;
export function unfold(input: Tensor, ...rest: unknown[]): Tensor {
  const b = blocks(
    bind<UnfoldOptions & { kernelSize: Size }>("unfold", rest, {
      kernelSize: REQUIRED,
      dilation: 1,
      padding: 0,
      stride: 1,
    }),
  );
  const { ndim, shape } = input;
  if ((ndim !== 3 && ndim !== 4) || shape.slice(ndim - 3).includes(0)) {
    throw new TensorError(
      "shape",
      `Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: [${shape.join(", ")}]`,
    );
  }
  const [c, h, w] = shape.slice(-3) as [number, number, number];
  const [rows, columns] = counts([h, w], b);
  if (rows < 1 || columns < 1) {
    throw new TensorError(
      "shape",
      `Given input with spatial size (${h}, ${w}), kernel_size=${text(b.kernel)}, dilation=${text(b.dilation)}, padding=${text(b.padding)}, calculated shape of the array of sliding blocks as (${rows}, ${columns}), but its components must be at least one.`,
    );
  }
  if (input.dtype !== "float32") notImplemented("im2col_out_cpu", input.dtype);
  return composed(() => {
    const n = ndim === 4 ? shape[0]! : 1;
    const [ph, pw] = b.padding;
    const images = apply(reshape, [input], { shape: [n, c, h, w] });
    const around = [0, 0, ph, pw];
    const padded = ph + pw === 0 ? images : apply(pad, [images], { before: around, after: around, value: 0 });
    const high = apply(indexSelect, [padded, places(b, 0, rows)], { dim: 2 });
    const wide = apply(indexSelect, [high, places(b, 1, columns)], { dim: 3 });
    const [kh, kw] = b.kernel;
    const cells = apply(reshape, [wide], { shape: [n * c, kh, rows, kw, columns] });
    const turned = apply(permute, [cells], { order: [0, 1, 3, 2, 4] });
    const result = [c * kh * kw, rows * columns];
    const lead = ndim === 4 ? [n] : [];
    return named(apply(reshape, [turned], { shape: [...lead, ...result] }), "Im2ColBackward0");
  });
}

/**
 * The blocks of {@link unfold} [N, C kH kW, L] or [C kH kW, L] added up in images of `outputSize`.
 * @throws TensorError "Given output_size=…, expected size of input's dimension 2 to match the calculated number of sliding blocks …"
 */
export function fold(input: Tensor, outputSize: Size, kernelSize: Size, options?: UnfoldOptions): Tensor;
export function fold(
  input: Tensor,
  outputSize: Size,
  kernelSize: Size,
  dilation?: Size,
  padding?: Size,
  stride?: Size,
): Tensor;
export function fold(input: Tensor, ...rest: unknown[]): Tensor {
  const { outputSize, ...options } = bind<UnfoldOptions & { outputSize: Size; kernelSize: Size }>(
    "fold",
    rest,
    { outputSize: REQUIRED, kernelSize: REQUIRED, dilation: 1, padding: 0, stride: 1 },
  );
  const size = pair("output_size", outputSize);
  const b = blocks(options);
  const [kh, kw] = b.kernel;
  const [rows, columns] = counts(size, b);
  checkColumns(input, size, b, [rows, columns]);
  if (input.dtype !== "float32") notImplemented("col2im_out_cpu", input.dtype);
  return composed(() => {
    const n = input.ndim === 3 ? input.shape[0]! : 1;
    const c = input.shape[input.ndim - 2]! / (kh * kw);
    const [ph, pw] = b.padding;
    const cells = apply(reshape, [input], { shape: [n * c, kh, kw, rows, columns] });
    const turned = apply(permute, [cells], { order: [0, 1, 3, 2, 4] });
    const wide = apply(reshape, [turned], { shape: [n, c, kh * rows, kw * columns] });
    const [h, w] = [size[0] + 2 * ph, size[1] + 2 * pw];
    const high = apply(indexAdd, [wide, places(b, 1, columns)], { dim: 3, length: w });
    const padded = apply(indexAdd, [high, places(b, 0, rows)], { dim: 2, length: h });
    const cut = apply(slice, [padded], {
      begin: [0, 0, ph, pw],
      end: [n, c, ph + size[0], pw + size[1]],
      step: [1, 1, 1, 1],
    });
    const images = ph + pw === 0 ? padded : cut;
    const shape = input.ndim === 3 ? [n, c, ...size] : [c, ...size];
    return named(apply(reshape, [images], { shape }), "Col2ImBackward0");
  });
}

function checkColumns(input: Tensor, size: Pair, b: Blocks, [rows, columns]: Pair): void {
  const { ndim, shape } = input;
  if ((ndim !== 2 && ndim !== 3) || shape.slice(ndim - 2).includes(0)) {
    throw new TensorError(
      "shape",
      `Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: [${shape.join(", ")}]`,
    );
  }
  const [cells, length] = shape.slice(-2) as [number, number];
  const [kh, kw] = b.kernel;
  if (cells % (kh * kw) !== 0) {
    throw new TensorError(
      "shape",
      `Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)=${cells} and kernel_size=${text(b.kernel)}.`,
    );
  }
  if (length !== rows * columns || rows < 1 || columns < 1) {
    throw new TensorError(
      "shape",
      `Given output_size=${text(size)}, kernel_size=${text(b.kernel)}, dilation=${text(b.dilation)}, padding=${text(b.padding)}, stride=${text(b.stride)}, expected size of input's dimension 2 to match the calculated number of sliding blocks ${rows} * ${columns} = ${rows * columns}, but got input.size(2)=${length}.`,
    );
  }
}
