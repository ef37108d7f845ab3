import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import type { Size } from "../../functional/conv/convolving.ts";
import { fractionalMaxPool2d, fractionalMaxPool3d } from "../../functional/pooling/fractionalPooling.ts";
import type { ValuesAndIndices } from "../../functional/pooling/pooling.ts";
import { py } from "../../module/repr.ts";
import { tuple } from "../conv/convolution.ts";
import { SpatialLayer } from "../spatial.ts";

interface Options<Indices extends boolean> {
  /** Lengths of the output. */
  outputSize?: Size | null;
  /** Lengths of the output as shares of the input's, between 0 and 1. */
  outputRatio?: Size | null;
  /** Also answer where each maximum was: its position in the flattened input. */
  returnIndices?: Indices;
  /** Numbers of [0, 1) that place the windows, [N, C, dimensions]; drawn at each call by default. */
  _randomSamples?: Tensor | null;
}

type Given = Options<boolean> & { kernelSize: Size };

type PoolArguments<Indices extends boolean> = Arguments<
  Options<Indices> & { kernelSize: Size },
  "kernelSize outputSize outputRatio returnIndices"
>;

/** By the number of dimensions; there is none of one. */
const POOLING = [null, fractionalMaxPool2d, fractionalMaxPool3d];

abstract class FractionalMaxPool<Indices extends boolean> extends SpatialLayer {
  kernelSize: readonly number[];
  outputSize: readonly number[] | null;
  outputRatio: readonly number[] | null;
  returnIndices: boolean;
  declare _randomSamples: Tensor | null;

  constructor(...args: PoolArguments<Indices>) {
    super();
    const { dims } = new.target;
    const { name } = this.constructor;
    const bound = bind<Given>(name, args, {
      kernelSize: REQUIRED,
      outputSize: null,
      outputRatio: null,
      returnIndices: false,
      _randomSamples: null,
    });
    const { outputSize, outputRatio } = bound;
    if (outputSize === null && outputRatio === null) {
      throw new TensorError("value", `${name} requires specifying either an output size, or a pooling ratio`);
    }
    if (outputSize !== null && outputRatio !== null) {
      throw new TensorError("value", "only one of output_size and output_ratio may be specified");
    }
    this.kernelSize = tuple(bound.kernelSize, dims);
    this.outputSize = outputSize === null ? null : tuple(outputSize, dims);
    this.outputRatio = outputRatio === null ? null : tuple(outputRatio, dims);
    this.returnIndices = bound.returnIndices;
    if (this.outputRatio?.every((ratio) => ratio > 0 && ratio < 1) === false) {
      throw new TensorError("value", `output_ratio must be between 0 and 1 (got ${py(outputRatio)})`);
    }
    this.registerBuffer("_randomSamples", bound._randomSamples);
  }

  forward(input: Tensor): Indices extends true ? ValuesAndIndices : Tensor {
    const { kernelSize, outputSize, outputRatio, returnIndices, _randomSamples } = this;
    const options = { outputSize, outputRatio, _randomSamples };
    const pool = this.functionFor(POOLING)!;
    const pooled = returnIndices
      ? pool(input, kernelSize, { ...options, returnIndices })
      : pool(input, kernelSize, options);
    return pooled as Indices extends true ? ValuesAndIndices : Tensor;
  }
}

/**
 * Largest values of images [N, C, H, W] or [C, H, W] over as many windows as `outputSize` or `outputRatio` says. Where they are is
 * drawn at each call and for each channel; windows overlap where the kernel is larger than a step.
 *
 * ```ts
 * new nn.FractionalMaxPool2d(3, { outputSize: [13, 12] })(torch.randn(2, 4, 50, 32)).shape; // [2, 4, 13, 12]
 * new nn.FractionalMaxPool2d(3, { outputRatio: 0.5 })(torch.randn(2, 4, 50, 32)).shape; // [2, 4, 25, 16]
 * ```
 * @throws TensorError "FractionalMaxPool2d requires specifying either an output size, or a pooling ratio"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool2d.html
 */
export class FractionalMaxPool2d<Indices extends boolean = false> extends FractionalMaxPool<Indices> {
  protected static override readonly dims = 2;
}

/**
 * Largest values of volumes [N, C, D, H, W] or [C, D, H, W] over as many windows as `outputSize` or `outputRatio` says, placed as
 * those of {@link FractionalMaxPool2d}.
 *
 * ```ts
 * new nn.FractionalMaxPool3d(2, { outputSize: 4 })(torch.randn(1, 2, 9, 8, 7)).shape; // [1, 2, 4, 4, 4]
 * ```
 * @throws TensorError "only one of output_size and output_ratio may be specified"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool3d.html
 */
export class FractionalMaxPool3d<Indices extends boolean = false> extends FractionalMaxPool<Indices> {
  protected static override readonly dims = 3;
}
