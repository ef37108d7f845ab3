import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import * as average from "../../functional/pooling/averagePooling.ts";
import type { Size } from "../../functional/conv/convolving.ts";
import * as F from "../../functional/pooling/pooling.ts";
import { BuiltIn } from "../../module/module.ts";
import { py } from "../../module/repr.ts";
import { SpatialLayer } from "../spatial.ts";

/** The result of max pooling: with the positions of the maxima when they were asked for. */
type MaxPooled<Indices extends boolean> = Indices extends true ? F.ValuesAndIndices : Tensor;

interface IndicesOption<Indices extends boolean> {
  /** Also answer where each maximum was: its position in the flattened image. */
  returnIndices?: Indices;
}

type MaxOptions<Indices extends boolean> = F.MaxPoolOptions & IndicesOption<Indices>;
type MaxArguments<Indices extends boolean = boolean> = MaxOptions<Indices> & { kernelSize: Size };

const MAXIMA = [F.maxPool1d, F.maxPool2d, F.maxPool3d];

/** Max pooling over one, two or three spatial dimensions. */
abstract class MaxPool<Indices extends boolean> extends SpatialLayer {
  kernelSize: Size;
  stride: Size;
  padding: Size;
  dilation: Size;
  returnIndices: boolean;
  ceilMode: boolean;

  constructor(kernelSize: Size, options?: MaxOptions<Indices>);
  constructor(kernelSize: Size, stride: Size | null, padding?: Size, dilation?: Size);
  constructor(
    ...args: Arguments<MaxArguments<Indices>, "kernelSize stride padding dilation returnIndices ceilMode">
  );
  constructor(...args: unknown[]) {
    super();
    const bound = bind<MaxArguments>(this.constructor.name, args, {
      kernelSize: REQUIRED,
      stride: null,
      padding: 0,
      dilation: 1,
      returnIndices: false,
      ceilMode: false,
    });
    this.kernelSize = bound.kernelSize;
    this.stride = bound.stride ?? bound.kernelSize;
    this.padding = bound.padding;
    this.dilation = bound.dilation;
    this.returnIndices = bound.returnIndices;
    this.ceilMode = bound.ceilMode;
  }

  forward(input: Tensor): MaxPooled<Indices> {
    const { kernelSize, stride, padding, dilation, ceilMode, returnIndices } = this;
    const pool = this.functionFor(MAXIMA);
    const options = { stride, padding, dilation, ceilMode };
    const pooled = returnIndices
      ? pool(input, kernelSize, { ...options, returnIndices })
      : pool(input, kernelSize, options);
    return pooled as MaxPooled<Indices>;
  }

  override extraRepr(): string {
    return `kernel_size=${py(this.kernelSize)}, stride=${py(this.stride)}, padding=${py(this.padding)}, dilation=${py(this.dilation)}, ceil_mode=${py(this.ceilMode)}`;
  }
}

/**
 * Largest value of every window of sequences [N, C, L] or [C, L].
 *
 * ```ts
 * new nn.MaxPool1d(3, { stride: 2 })(torch.randn(20, 16, 50)).shape; // [20, 16, 24]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html
 */
export class MaxPool1d<Indices extends boolean = false> extends MaxPool<Indices> {
  protected static override readonly dims = 1;
}

/**
 * Largest value of every window of images [N, C, H, W] or [C, H, W].
 *
 * - `stride` is the kernel's size by default; `ceilMode` keeps windows that reach beyond the image
 * - output height ⌊(H + 2 padding − dilation (kH − 1) − 1) / stride⌋ + 1, width likewise
 *
 * ```ts
 * new nn.MaxPool2d(2)(torch.randn(8, 16, 28, 28)).shape; // [8, 16, 14, 14]
 * ```
 * @throws TensorError "Given input size: (1x1x1). Calculated output size: (1x0x0). Output size is too small"
 */
export class MaxPool2d<Indices extends boolean = false> extends MaxPool<Indices> {
  protected static override readonly dims = 2;
}

/**
 * Largest value of every window of volumes [N, C, D, H, W] or [C, D, H, W].
 *
 * ```ts
 * new nn.MaxPool3d(2)(torch.randn(1, 3, 4, 6, 8)).shape; // [1, 3, 2, 3, 4]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool3d.html
 */
export class MaxPool3d<Indices extends boolean = false> extends MaxPool<Indices> {
  protected static override readonly dims = 3;
}

type Avg1dOptions = Omit<average.AvgPoolOptions, "divisorOverride">;
type AvgArguments = average.AvgPoolOptions & { kernelSize: Size };

/** Average pooling of images and volumes. */
abstract class AvgPool extends BuiltIn {
  kernelSize: Size;
  stride: Size;
  padding: Size;
  ceilMode: boolean;
  countIncludePad: boolean;
  divisorOverride: number | null;

  constructor(kernelSize: Size, options?: average.AvgPoolOptions);
  constructor(
    kernelSize: Size,
    stride: Size | null,
    padding?: Size,
    ceilMode?: boolean,
    countIncludePad?: boolean,
    divisorOverride?: number | null,
  );
  constructor(
    ...args: Arguments<AvgArguments, "kernelSize stride padding ceilMode countIncludePad divisorOverride">
  );
  constructor(...args: unknown[]) {
    super();
    const bound = bind<AvgArguments>(this.constructor.name, args, {
      kernelSize: REQUIRED,
      stride: null,
      padding: 0,
      ceilMode: false,
      countIncludePad: true,
      divisorOverride: null,
    });
    this.kernelSize = bound.kernelSize;
    this.stride = bound.stride ?? bound.kernelSize;
    this.padding = bound.padding;
    this.ceilMode = bound.ceilMode;
    this.countIncludePad = bound.countIncludePad;
    this.divisorOverride = bound.divisorOverride;
  }

  protected options(): average.AvgPoolOptions {
    const { stride, padding, ceilMode, countIncludePad, divisorOverride } = this;
    return { stride, padding, ceilMode, countIncludePad, divisorOverride };
  }

  override extraRepr(): string {
    const { stride, padding } = this;
    return `kernel_size=${py(this.kernelSize)}, stride=${py(stride)}, padding=${py(padding)}`;
  }
}

/**
 * Mean of every window of sequences [N, C, L] or [C, L].
 *
 * ```ts
 * new nn.AvgPool1d(2)(torch.tensor([[[1, 3, 5.5, 6.5]]])).tolist(); // [[[2, 6]]]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html
 */
export class AvgPool1d extends BuiltIn {
  kernelSize: readonly number[];
  stride: readonly number[];
  padding: readonly number[];
  ceilMode: boolean;
  countIncludePad: boolean;

  constructor(kernelSize: Size, options?: Avg1dOptions);
  constructor(
    kernelSize: Size,
    stride: Size | null,
    padding?: Size,
    ceilMode?: boolean,
    countIncludePad?: boolean,
  );
  constructor(
    ...args: Arguments<
      Avg1dOptions & { kernelSize: Size },
      ["kernelSize", "stride", "padding", "ceilMode", "countIncludePad"]
    >
  );
  constructor(...args: unknown[]) {
    super();
    const bound = bind<Avg1dOptions & { kernelSize: Size }>("AvgPool1d", args, {
      kernelSize: REQUIRED,
      stride: null,
      padding: 0,
      ceilMode: false,
      countIncludePad: true,
    });
    this.kernelSize = [bound.kernelSize].flat();
    this.stride = [bound.stride ?? bound.kernelSize].flat();
    this.padding = [bound.padding].flat();
    this.ceilMode = bound.ceilMode;
    this.countIncludePad = bound.countIncludePad;
  }

  forward(input: Tensor): Tensor {
    const { stride, padding, ceilMode, countIncludePad } = this;
    return average.avgPool1d(input, this.kernelSize, { stride, padding, ceilMode, countIncludePad });
  }

  override extraRepr(): string {
    const { stride, padding } = this;
    return `kernel_size=${py(this.kernelSize)}, stride=${py(stride)}, padding=${py(padding)}`;
  }
}

/**
 * Mean of every window of images [N, C, H, W] or [C, H, W]. Zeros of the padding count unless `countIncludePad` is
 * false.
 *
 * ```ts
 * new nn.AvgPool2d(3, { stride: 2 })(torch.randn(2, 3, 9, 9)).shape; // [2, 3, 4, 4]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html
 */
export class AvgPool2d extends AvgPool {
  forward(input: Tensor): Tensor {
    return average.avgPool2d(input, this.kernelSize, this.options());
  }
}

/**
 * Mean of every window of volumes [N, C, D, H, W] or [C, D, H, W].
 *
 * ```ts
 * new nn.AvgPool3d(2)(torch.randn(1, 3, 4, 6, 8)).shape; // [1, 3, 2, 3, 4]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool3d.html
 */
export class AvgPool3d extends AvgPool {
  forward(input: Tensor): Tensor {
    return average.avgPool3d(input, this.kernelSize, this.options());
  }
}
