import { TensorError } from "../../../tensor/core/errors.ts";
import { formatSize } from "../../../tensor/core/shape.ts";
import type { Parameter, Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments, type Signature } from "../../arguments.ts";
import type { Size } from "../../functional/conv/convolving.ts";
import type { Module } from "../../module/module.ts";
import { isLazy, UninitializedParameter } from "../../module/uninitialized.ts";
import { Conv1d, Conv2d, Conv3d, type ConvOptions } from "../conv/convolution.ts";
import {
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeOptions,
} from "../conv/transposedConvolution.ts";
import { firstCall, waits, type LazyModule } from "./lazyModule.ts";

/** Members common to convolutions and transposed convolutions. */
interface AnyConv extends Module {
  weight: Parameter;
  bias: Parameter | null;
  inChannels: number;
  outChannels: number;
  kernelSize: readonly number[];
  groups: number;
  resetParameters(): void;
}

type LazyArguments<O> = O & { outChannels: number; kernelSize: Size };

/** A class of lazy convolutions: the usual one without its first parameter. */
interface LazyClass<C, O, Names extends string> {
  new (outChannels: number, kernelSize: Size, options?: O): C & LazyModule;
  new (...args: Arguments<LazyArguments<O>, Names>): C & LazyModule;
}

type AnyClass = new (inChannels: number, outChannels: number, kernelSize: Size, options: object) => AnyConv;

function lazyClass(
  usual: AnyClass,
  dims: number,
  transposed: boolean,
  signature: Signature<{ outChannels: number; kernelSize: Size; bias: boolean }>,
): unknown {
  abstract class Lazy extends usual implements LazyModule {
    constructor(...args: unknown[]) {
      const { outChannels, kernelSize, bias, ...options } = bind<{
        outChannels: number;
        kernelSize: Size;
        bias: boolean;
      }>(new.target.name, args, signature);
      super(0, 0, kernelSize, { ...options, bias: false });
      Object.assign(this, { outChannels, weight: new UninitializedParameter() });
      if (bias) this.bias = new UninitializedParameter();
    }

    override resetParameters(): void {
      if (this.inChannels !== 0 && !this.hasUninitializedParams()) super.resetParameters();
    }

    hasUninitializedParams(): boolean {
      return waits(this);
    }

    initializeParameters(input: Tensor): void {
      const { groups, outChannels, kernelSize, weight, bias } = this;
      if (!this.hasUninitializedParams()) {
        // A state dict has given the weight.
        Object.assign(this, { inChannels: transposed ? weight.shape[0]! : weight.shape[1]! * groups });
        return;
      }
      const inChannels = this.channelsOf(input);
      if (inChannels % groups !== 0)
        throw new TensorError("value", "in_channels must be divisible by groups");
      Object.assign(this, { inChannels });
      const channels = transposed ? [inChannels, outChannels / groups] : [outChannels, inChannels / groups];
      if (isLazy(weight)) weight.materialize([...channels, ...kernelSize]);
      if (isLazy(bias)) bias.materialize([outChannels]);
      this.resetParameters();
    }

    forward(...args: [input: Tensor, ...rest: unknown[]]): Tensor {
      return firstCall<AnyConv>(this, usual, args);
    }

    private channelsOf({ shape }: Tensor): number {
      const unbatched = dims + 1;
      if (shape.length !== unbatched && shape.length !== unbatched + 1) {
        throw new TensorError(
          "shape",
          `Expected ${unbatched}D (unbatched) or ${unbatched + 1}D (batched) input to ${this.constructor.name}, but got input of size: ${formatSize(shape)}`,
        );
      }
      return shape.at(-unbatched)!;
    }
  }
  return Lazy;
}

const lazyConv = <C>(usual: unknown, dims: number): LazyClass<C, ConvOptions, ConvNames> =>
  lazyClass(usual as AnyClass, dims, false, CONV) as LazyClass<C, ConvOptions, ConvNames>;

const lazyTransposed = <C>(
  usual: unknown,
  dims: number,
): LazyClass<C, ConvTransposeOptions, TransposedNames> =>
  lazyClass(usual as AnyClass, dims, true, TRANSPOSED) as LazyClass<C, ConvTransposeOptions, TransposedNames>;

type ConvNames = "outChannels kernelSize stride padding dilation groups bias paddingMode";
type TransposedNames = "outChannels kernelSize stride padding outputPadding groups bias dilation paddingMode";

const CONV = {
  outChannels: REQUIRED,
  kernelSize: REQUIRED,
  stride: 1,
  padding: 0,
  dilation: 1,
  groups: 1,
  bias: true,
  paddingMode: "zeros",
} as const;

const TRANSPOSED = {
  outChannels: REQUIRED,
  kernelSize: REQUIRED,
  stride: 1,
  padding: 0,
  outputPadding: 0,
  groups: 1,
  bias: true,
  dilation: 1,
  paddingMode: "zeros",
} as const;

/**
 * {@link Conv1d} whose `inChannels` is the number of channels of the first input; from then on it is a `Conv1d`.
 *
 * ```ts
 * new nn.LazyConv1d(16, 3)(torch.randn(4, 3, 9)).shape; // [4, 16, 7]
 * ```
 * @throws TensorError "Expected 2D (unbatched) or 3D (batched) input to LazyConv1d, but got input of size: …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConv1d.html
 */
export class LazyConv1d extends lazyConv<Conv1d>(Conv1d, 1) {}

/**
 * {@link Conv2d} whose `inChannels` is the number of channels of the first input; from then on it is a `Conv2d`.
 *
 * ```ts
 * new nn.LazyConv2d(16, 3)(torch.randn(4, 3, 8, 8)).shape; // [4, 16, 6, 6]
 * ```
 * @throws TensorError "Expected 3D (unbatched) or 4D (batched) input to LazyConv2d, but got input of size: …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConv2d.html
 */
export class LazyConv2d extends lazyConv<Conv2d>(Conv2d, 2) {}

/**
 * {@link Conv3d} whose `inChannels` is the number of channels of the first input; from then on it is a `Conv3d`.
 *
 * ```ts
 * new nn.LazyConv3d(16, 3)(torch.randn(2, 3, 4, 4, 4)).shape; // [2, 16, 2, 2, 2]
 * ```
 * @throws TensorError "Expected 4D (unbatched) or 5D (batched) input to LazyConv3d, but got input of size: …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConv3d.html
 */
export class LazyConv3d extends lazyConv<Conv3d>(Conv3d, 3) {}

/**
 * {@link ConvTranspose1d} whose `inChannels` is the number of channels of the first input; from then on it is a `ConvTranspose1d`.
 *
 * ```ts
 * new nn.LazyConvTranspose1d(16, 3)(torch.randn(4, 3, 9)).shape; // [4, 16, 11]
 * ```
 * @throws TensorError "Expected 2D (unbatched) or 3D (batched) input to LazyConvTranspose1d, but got input of size: …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConvTranspose1d.html
 */
export class LazyConvTranspose1d extends lazyTransposed<ConvTranspose1d>(ConvTranspose1d, 1) {}

/**
 * {@link ConvTranspose2d} whose `inChannels` is the number of channels of the first input; from then on it is a `ConvTranspose2d`.
 *
 * ```ts
 * new nn.LazyConvTranspose2d(16, 3)(torch.randn(4, 3, 8, 8)).shape; // [4, 16, 10, 10]
 * ```
 * @throws TensorError "Expected 3D (unbatched) or 4D (batched) input to LazyConvTranspose2d, but got input of size: …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConvTranspose2d.html
 */
export class LazyConvTranspose2d extends lazyTransposed<ConvTranspose2d>(ConvTranspose2d, 2) {}

/**
 * {@link ConvTranspose3d} whose `inChannels` is the number of channels of the first input; from then on it is a `ConvTranspose3d`.
 *
 * ```ts
 * new nn.LazyConvTranspose3d(16, 3)(torch.randn(2, 3, 4, 4, 4)).shape; // [2, 16, 6, 6, 6]
 * ```
 * @throws TensorError "Expected 4D (unbatched) or 5D (batched) input to LazyConvTranspose3d, but got input of size: …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConvTranspose3d.html
 */
export class LazyConvTranspose3d extends lazyTransposed<ConvTranspose3d>(ConvTranspose3d, 3) {}
