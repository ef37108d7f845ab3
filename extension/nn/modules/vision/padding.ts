import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import type { Size } from "../../functional/conv/convolving.ts";
import { pad } from "../../functional/vision/pad.ts";
import { py } from "../../module/repr.ts";
import { tuple } from "../conv/convolution.ts";
import { SpatialLayer } from "../spatial.ts";

interface PaddingArguments {
  /** Cells on every side, or those before and after each dimension, the last one first; negative ones cut off. */
  padding: Size;
}

/** Padding with the input's own values. */
abstract class RepeatingPad extends SpatialLayer {
  padding: readonly number[];

  constructor(padding: Size);
  constructor(options: PaddingArguments);
  constructor(...args: unknown[]) {
    super();
    const { padding } = bind<PaddingArguments>(this.constructor.name, args, { padding: REQUIRED });
    this.padding = tuple(padding, 2 * new.target.dims);
  }

  override extraRepr(): string {
    return py(this.padding);
  }
}

abstract class ReflectionPad extends RepeatingPad {
  forward(input: Tensor): Tensor {
    return pad(input, this.padding, "reflect");
  }
}

abstract class ReplicationPad extends RepeatingPad {
  forward(input: Tensor): Tensor {
    return pad(input, this.padding, "replicate");
  }
}

abstract class CircularPad extends RepeatingPad {
  forward(input: Tensor): Tensor {
    const count = this.padding.length / 2;
    if (Number.isInteger(count) && input.ndim !== count + 1 && input.ndim !== count + 2) {
      throw new TensorError(
        "shape",
        `expected ${count + 1}D or ${count + 2}D input (got ${input.ndim}D input)`,
      );
    }
    return pad(input, this.padding, "circular");
  }
}

abstract class ZeroPad extends RepeatingPad {
  readonly value = 0;

  forward(input: Tensor): Tensor {
    return pad(input, this.padding, "constant", this.value);
  }
}

interface ConstantArguments extends PaddingArguments {
  value: number;
}

/** Padding with one value. */
abstract class ConstantPad extends SpatialLayer {
  padding: readonly number[];
  value: number;

  constructor(padding: Size, value: number);
  constructor(...args: Arguments<ConstantArguments, "padding value">);
  constructor(...args: unknown[]) {
    super();
    const { padding, value } = bind<ConstantArguments>(this.constructor.name, args, {
      padding: REQUIRED,
      value: REQUIRED,
    });
    this.padding = tuple(padding, 2 * new.target.dims);
    this.value = value;
  }

  forward(input: Tensor): Tensor {
    return pad(input, this.padding, "constant", this.value);
  }

  override extraRepr(): string {
    return `padding=${py(this.padding)}, value=${py(this.value)}`;
  }
}

/**
 * Padding of sequences [N, C, L] or [C, L] with the values next to the border, mirrored at the outermost one. `padding` is one width for all sides or [before, after].
 *
 * ```ts
 * new nn.ReflectionPad1d(1)(torch.randn(2, 4)).shape; // [2, 6]
 * ```
 * @throws TensorError "Argument #4: Padding size should be less than the corresponding input dimension, but got: …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad1d.html
 */
export class ReflectionPad1d extends ReflectionPad {
  protected static override readonly dims = 1;
}

/**
 * Padding of images [N, C, H, W] or [C, H, W] with the values next to the border, mirrored at the outermost one. `padding` is one width for all sides or [left, right, top, bottom].
 *
 * ```ts
 * new nn.ReflectionPad2d(1)(torch.randn(2, 3, 5)).shape; // [2, 5, 7]
 * ```
 * @throws TensorError "Argument #4: Padding size should be less than the corresponding input dimension, but got: …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad2d.html
 */
export class ReflectionPad2d extends ReflectionPad {
  protected static override readonly dims = 2;
}

/**
 * Padding of volumes [N, C, D, H, W] or [C, D, H, W] with the values next to the border, mirrored at the outermost one. `padding` is one width for all sides or [left, right, top, bottom, front, back].
 *
 * ```ts
 * new nn.ReflectionPad3d(1)(torch.randn(2, 2, 3, 4)).shape; // [2, 4, 5, 6]
 * ```
 * @throws TensorError "Argument #4: Padding size should be less than the corresponding input dimension, but got: …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad3d.html
 */
export class ReflectionPad3d extends ReflectionPad {
  protected static override readonly dims = 3;
}

/**
 * Padding of sequences [N, C, L] or [C, L] with the value of the border. `padding` is one width for all sides or [before, after].
 *
 * ```ts
 * new nn.ReplicationPad1d(1)(torch.randn(2, 4)).shape; // [2, 6]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad1d.html
 */
export class ReplicationPad1d extends ReplicationPad {
  protected static override readonly dims = 1;
}

/**
 * Padding of images [N, C, H, W] or [C, H, W] with the value of the border. `padding` is one width for all sides or [left, right, top, bottom].
 *
 * ```ts
 * new nn.ReplicationPad2d(1)(torch.randn(2, 3, 5)).shape; // [2, 5, 7]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad2d.html
 */
export class ReplicationPad2d extends ReplicationPad {
  protected static override readonly dims = 2;
}

/**
 * Padding of volumes [N, C, D, H, W] or [C, D, H, W] with the value of the border. `padding` is one width for all sides or [left, right, top, bottom, front, back].
 *
 * ```ts
 * new nn.ReplicationPad3d(1)(torch.randn(2, 2, 3, 4)).shape; // [2, 4, 5, 6]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad3d.html
 */
export class ReplicationPad3d extends ReplicationPad {
  protected static override readonly dims = 3;
}

/**
 * Padding of sequences [N, C, L] or [C, L] with what lies at the opposite border. `padding` is one width for all sides or [before, after].
 *
 * ```ts
 * new nn.CircularPad1d(1)(torch.randn(2, 4)).shape; // [2, 6]
 * ```
 * @throws TensorError "Padding value causes wrapping around more than once."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad1d.html
 */
export class CircularPad1d extends CircularPad {
  protected static override readonly dims = 1;
}

/**
 * Padding of images [N, C, H, W] or [C, H, W] with what lies at the opposite border. `padding` is one width for all sides or [left, right, top, bottom].
 *
 * ```ts
 * new nn.CircularPad2d(1)(torch.randn(2, 3, 5)).shape; // [2, 5, 7]
 * ```
 * @throws TensorError "Padding value causes wrapping around more than once."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad2d.html
 */
export class CircularPad2d extends CircularPad {
  protected static override readonly dims = 2;
}

/**
 * Padding of volumes [N, C, D, H, W] or [C, D, H, W] with what lies at the opposite border. `padding` is one width for all sides or [left, right, top, bottom, front, back].
 *
 * ```ts
 * new nn.CircularPad3d(1)(torch.randn(2, 2, 3, 4)).shape; // [2, 4, 5, 6]
 * ```
 * @throws TensorError "Padding value causes wrapping around more than once."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad3d.html
 */
export class CircularPad3d extends CircularPad {
  protected static override readonly dims = 3;
}

/**
 * Padding of sequences [N, C, L] or [C, L] with one value. `padding` is one width for all sides or [before, after].
 *
 * ```ts
 * new nn.ConstantPad1d(1, 3.5)(torch.randn(2, 4)).shape; // [2, 6]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad1d.html
 */
export class ConstantPad1d extends ConstantPad {
  protected static override readonly dims = 1;
}

/**
 * Padding of images [N, C, H, W] or [C, H, W] with one value. `padding` is one width for all sides or [left, right, top, bottom].
 *
 * ```ts
 * new nn.ConstantPad2d(1, 3.5)(torch.randn(2, 3, 5)).shape; // [2, 5, 7]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad2d.html
 */
export class ConstantPad2d extends ConstantPad {
  protected static override readonly dims = 2;
}

/**
 * Padding of volumes [N, C, D, H, W] or [C, D, H, W] with one value. `padding` is one width for all sides or [left, right, top, bottom, front, back].
 *
 * ```ts
 * new nn.ConstantPad3d(1, 3.5)(torch.randn(2, 2, 3, 4)).shape; // [2, 4, 5, 6]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad3d.html
 */
export class ConstantPad3d extends ConstantPad {
  protected static override readonly dims = 3;
}

/**
 * Padding of sequences [N, C, L] or [C, L] with zeros. `padding` is one width for all sides or [before, after].
 *
 * ```ts
 * new nn.ZeroPad1d(1)(torch.randn(2, 4)).shape; // [2, 6]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad1d.html
 */
export class ZeroPad1d extends ZeroPad {
  protected static override readonly dims = 1;
}

/**
 * Padding of images [N, C, H, W] or [C, H, W] with zeros. `padding` is one width for all sides or [left, right, top, bottom].
 *
 * ```ts
 * new nn.ZeroPad2d(1)(torch.randn(2, 3, 5)).shape; // [2, 5, 7]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad2d.html
 */
export class ZeroPad2d extends ZeroPad {
  protected static override readonly dims = 2;
}

/**
 * Padding of volumes [N, C, D, H, W] or [C, D, H, W] with zeros. `padding` is one width for all sides or [left, right, top, bottom, front, back].
 *
 * ```ts
 * new nn.ZeroPad3d(1)(torch.randn(2, 2, 3, 4)).shape; // [2, 4, 5, 6]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad3d.html
 */
export class ZeroPad3d extends ZeroPad {
  protected static override readonly dims = 3;
}
