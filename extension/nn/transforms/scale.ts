// Transforms of types and scales.
import { TensorError } from "../../tensor/core/errors.ts";
import type { DType } from "../../tensor/core/dtype.ts";
import { sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { mm } from "../../tensor/functions/linalg/linalg.ts";
import { reshape } from "../../tensor/functions/shape/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../arguments.ts";
import { BuiltIn } from "../module/module.ts";
import { py, pyFloat } from "../module/repr.ts";
import * as convert from "./convert.ts";

/**
 * An image of 8 bits a channel as a tensor float32 [C, H, W] from 0 to 1. A tensor is returned unchanged: the
 * images of `data.ImageFolder` and of the bundled sets are tensors from 0 to 1.
 *
 * ```ts
 * new transforms.ToTensor()({ width: 1, height: 1, data: [255, 0, 51] }); // [3, 1, 1]: 1, 0, 0.2
 * ```
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ToTensor.html
 */
export class ToTensor extends BuiltIn {
  forward(image: Tensor | convert.RawImage): Tensor {
    return convert.toTensor(image);
  }
}

/**
 * Converts the dtype of an image, and its scale. Images of files are float32 from 0 to 1 already, and stay as they are.
 * White is 1 in float32 and bool, and 2⁶³ − 1 in int64: there are no images of 8 bits.
 *
 * ```ts
 * new transforms.ConvertImageDtype(torch.float32)(torch.tensor([[true, false]])); // [[1, 0]]
 * ```
 * @throws TensorError "The cast from torch.float32 to torch.int64 cannot be performed safely."
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ConvertImageDtype.html
 */
export class ConvertImageDtype extends BuiltIn {
  readonly dtype: DType;

  constructor(dtype: DType) {
    super();
    this.dtype = bind<{ dtype: DType }>("ConvertImageDtype", [dtype], { dtype: REQUIRED }).dtype;
  }

  forward(image: Tensor): Tensor {
    return convert.convertImageDtype(image, this.dtype);
  }
}

interface NormalizeArguments {
  mean: readonly number[];
  std: readonly number[];
  inplace?: boolean;
}

/**
 * (x − mean) / std, channel by channel. Of [..., C, H, W]; `mean` and `std` have C numbers, or one.
 *
 * ```ts
 * new transforms.Normalize([0.5], [0.5])(torch.rand(1, 8, 8)); // from -1 to 1
 * ```
 * @throws TensorError for a std of 0, another type or fewer dimensions
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Normalize.html
 */
export class Normalize extends BuiltIn {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly inplace: boolean;

  constructor(mean: readonly number[], std: readonly number[], inplace?: boolean);
  constructor(...args: Call<NormalizeArguments, "mean std inplace">);
  constructor(...args: unknown[]) {
    super();
    const { mean, std, inplace } = bind<NormalizeArguments>("Normalize", args, {
      mean: REQUIRED,
      std: REQUIRED,
      inplace: false,
    });
    this.mean = mean;
    this.std = std;
    this.inplace = inplace;
  }

  forward(image: Tensor): Tensor {
    return convert.normalize(image, this.mean, this.std, this.inplace);
  }

  override extraRepr(): string {
    return `mean=${py(this.mean)}, std=${py(this.std)}`;
  }
}

interface LinearTransformationArguments {
  transformationMatrix: Tensor;
  meanVector: Tensor;
}

/**
 * (x − mean) · matrix of images as flat vectors, such as whitening. Of [..., C, H, W], with a matrix [D, D] and a mean [D]
 * where D = C · H · W.
 *
 * ```ts
 * new transforms.LinearTransformation(torch.eye(12), torch.zeros(12))(torch.rand(3, 2, 2)).shape; // [3, 2, 2]
 * ```
 * @throws TensorError when the matrix isn't square, or the sizes differ
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.LinearTransformation.html
 */
export class LinearTransformation extends BuiltIn {
  readonly transformationMatrix: Tensor;
  readonly meanVector: Tensor;

  constructor(transformationMatrix: Tensor, meanVector: Tensor);
  constructor(...args: Call<LinearTransformationArguments, "transformationMatrix meanVector">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<LinearTransformationArguments>("LinearTransformation", args, {
      transformationMatrix: REQUIRED,
      meanVector: REQUIRED,
    });
    const { transformationMatrix: matrix, meanVector: mean } = bound;
    if (matrix.size(0) !== matrix.size(1))
      throw new TensorError(
        "shape",
        `transformation_matrix should be square. Got ${py(matrix.shape)} rectangular matrix.`,
      );
    if (mean.size(0) !== matrix.size(0))
      throw new TensorError(
        "shape",
        `mean_vector should have the same length ${mean.size(0)} as any one of the dimensions of the transformation_matrix [${py(matrix.shape)}]`,
      );
    if (mean.dtype !== matrix.dtype)
      throw new TensorError(
        "dtype",
        `Input tensors should have the same dtype. Got torch.${matrix.dtype} and torch.${mean.dtype}`,
      );
    this.transformationMatrix = matrix;
    this.meanVector = mean;
  }

  forward(image: Tensor): Tensor {
    const [channels, height, width] = image.shape.slice(-3) as [number, number, number];
    const size = channels * height * width;
    const rows = this.transformationMatrix.shape[0]!;
    if (size !== rows)
      throw new TensorError(
        "shape",
        `Input tensor and transformation matrix have incompatible shape.[${channels} x ${height} x ${width}] != ${rows}`,
      );
    return reshape(
      mm(sub(reshape(image, -1, size), this.meanVector), this.transformationMatrix),
      image.shape,
    );
  }

  override toString(): string {
    const text = (x: Tensor): string => nested(x.tolist());
    return `LinearTransformation(transformation_matrix=${text(this.transformationMatrix)}, mean_vector=${text(this.meanVector)})`;
  }
}

/** Floats in lists, as Python prints them. */
const nested = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map(nested).join(", ")}]` : pyFloat(Number(value));
