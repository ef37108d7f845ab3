import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import type { Size } from "../../functional/conv/convolving.ts";
import {
  checkNorm,
  lpPool1d,
  lpPool2d,
  lpPool3d,
  type LPPoolOptions,
} from "../../functional/pooling/powerPooling.ts";
import {
  maxUnpool1d,
  maxUnpool2d,
  maxUnpool3d,
  type UnpoolOptions,
} from "../../functional/pooling/unpooling.ts";
import { py } from "../../module/repr.ts";
import { tuple } from "../conv/convolution.ts";
import { SpatialLayer } from "../spatial.ts";

type UnpoolArguments = Omit<UnpoolOptions, "outputSize"> & { kernelSize: Size };
type Lengths = readonly number[] | null;
/** The lengths of the output, as an argument or by name. */
type OutputSize = Lengths | { outputSize?: Lengths };

const UNPOOLING = [maxUnpool1d, maxUnpool2d, maxUnpool3d];
const POWER_POOLING = [lpPool1d, lpPool2d, lpPool3d];

/** Inverse of max pooling over one, two or three spatial dimensions. */
abstract class MaxUnpool extends SpatialLayer {
  kernelSize: readonly number[];
  stride: readonly number[];
  padding: readonly number[];

  constructor(kernelSize: Size, options?: Omit<UnpoolArguments, "kernelSize">);
  constructor(kernelSize: Size, stride: Size | null, padding?: Size);
  constructor(...args: Arguments<UnpoolArguments, "kernelSize stride padding">);
  constructor(...args: unknown[]) {
    super();
    const { dims } = new.target;
    const bound = bind<UnpoolArguments>(this.constructor.name, args, {
      kernelSize: REQUIRED,
      stride: null,
      padding: 0,
    });
    this.kernelSize = tuple(bound.kernelSize, dims);
    this.stride = tuple(bound.stride ?? bound.kernelSize, dims);
    this.padding = tuple(bound.padding, dims);
  }

  forward(input: Tensor, indices: Tensor, outputSize: OutputSize = null): Tensor {
    const { kernelSize, stride, padding } = this;
    const wanted = bind<{ outputSize?: Lengths }>("forward", [outputSize], { outputSize: null });
    const unpool = this.functionFor(UNPOOLING);
    return unpool(input, indices, kernelSize, { stride, padding, ...wanted });
  }

  override extraRepr(): string {
    return `kernel_size=${py(this.kernelSize)}, stride=${py(this.stride)}, padding=${py(this.padding)}`;
  }
}

/**
 * Zeros with the maxima of {@link MaxPool1d} of sequences at the places where they were. `outputSize` of the call
 * chooses between the sizes that are pooled to the input's.
 *
 * ```ts
 * const [y, places] = new nn.MaxPool1d(2, { returnIndices: true })(torch.randn(1, 2, 8));
 * new nn.MaxUnpool1d(2)(y, places).shape; // [1, 2, 8]
 * ```
 * @throws TensorError "Expected shape of indices to be same as that of the input tensor …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool1d.html
 */
export class MaxUnpool1d extends MaxUnpool {
  protected static override readonly dims = 1;
}

/**
 * Zeros with the maxima of {@link MaxPool2d} of images at the places where they were. `outputSize` of the call
 * chooses between the sizes that are pooled to the input's.
 *
 * ```ts
 * const [y, places] = new nn.MaxPool2d(2, { returnIndices: true })(torch.randn(1, 2, 8, 8));
 * new nn.MaxUnpool2d(2)(y, places).shape; // [1, 2, 8, 8]
 * ```
 * @throws TensorError "Expected shape of indices to be same as that of the input tensor …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html
 */
export class MaxUnpool2d extends MaxUnpool {
  protected static override readonly dims = 2;
}

/**
 * Zeros with the maxima of {@link MaxPool3d} of volumes at the places where they were. `outputSize` of the call
 * chooses between the sizes that are pooled to the input's.
 *
 * ```ts
 * const [y, places] = new nn.MaxPool3d(2, { returnIndices: true })(torch.randn(1, 1, 4, 4, 4));
 * new nn.MaxUnpool3d(2)(y, places).shape; // [1, 1, 4, 4, 4]
 * ```
 * @throws TensorError "Expected shape of indices to be same as that of the input tensor …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool3d.html
 */
export class MaxUnpool3d extends MaxUnpool {
  protected static override readonly dims = 3;
}

type LPArguments = LPPoolOptions & { normType: number; kernelSize: Size };

/** Power-average pooling over one, two or three spatial dimensions. */
abstract class LPPool extends SpatialLayer {
  normType: number;
  kernelSize: Size;
  stride: Size | null;
  ceilMode: boolean;

  constructor(normType: number, kernelSize: Size, options?: LPPoolOptions);
  constructor(normType: number, kernelSize: Size, stride: Size | null, ceilMode?: boolean);
  constructor(...args: Arguments<LPArguments, "normType kernelSize stride ceilMode">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<LPArguments>(this.constructor.name, args, {
      normType: REQUIRED,
      kernelSize: REQUIRED,
      stride: null,
      ceilMode: false,
    });
    checkNorm(bound.normType);
    this.normType = bound.normType;
    this.kernelSize = bound.kernelSize;
    this.stride = bound.stride;
    this.ceilMode = bound.ceilMode;
  }

  forward(input: Tensor): Tensor {
    const pool = this.functionFor(POWER_POOLING);
    return pool(input, this.normType, this.kernelSize, this.stride, this.ceilMode);
  }

  override extraRepr(): string {
    return `norm_type=${py(this.normType)}, kernel_size=${py(this.kernelSize)}, stride=${py(this.stride)}, ceil_mode=${py(this.ceilMode)}`;
  }
}

/**
 * (Σ xᵖ)^(1/p) over every window of sequences [N, C, L] or [C, L], with p = normType: 1 is sum pooling, ∞ max pooling.
 *
 * ```ts
 * new nn.LPPool1d(2, 3, { stride: 2 })(torch.randn(20, 16, 50)).shape; // [20, 16, 24]
 * ```
 * @throws TensorError "norm_type must be a non-zero value, but got 0"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool1d.html
 */
export class LPPool1d extends LPPool {
  protected static override readonly dims = 1;
}

/**
 * (Σ xᵖ)^(1/p) over every window of images [N, C, H, W] or [C, H, W], with p = normType: 1 is sum pooling, ∞ max pooling.
 *
 * ```ts
 * new nn.LPPool2d(2, 3, { stride: 2 })(torch.randn(2, 3, 9, 9)).shape; // [2, 3, 4, 4]
 * ```
 * @throws TensorError "norm_type must be a non-zero value, but got 0"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool2d.html
 */
export class LPPool2d extends LPPool {
  protected static override readonly dims = 2;
}

/**
 * (Σ xᵖ)^(1/p) over every window of volumes [N, C, D, H, W] or [C, D, H, W], with p = normType: 1 is sum pooling, ∞ max pooling.
 *
 * ```ts
 * new nn.LPPool3d(2, 3, { stride: 2 })(torch.randn(1, 2, 5, 5, 5)).shape; // [1, 2, 2, 2, 2]
 * ```
 * @throws TensorError "norm_type must be a non-zero value, but got 0"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool3d.html
 */
export class LPPool3d extends LPPool {
  protected static override readonly dims = 3;
}
