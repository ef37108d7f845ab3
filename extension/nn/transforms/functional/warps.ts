// Images whose pixels come from other places: torchvision's `transforms.functional`.
import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import * as warp from "../warp.ts";
import type { Corners, Fill, Point, WarpInterpolation } from "../warp.ts";

interface RotateArguments {
  angle: number;
  interpolation?: WarpInterpolation;
  expand?: boolean;
  center?: Point | null;
  fill?: Fill | null;
}

/**
 * Turns an image [..., H, W] counter-clockwise.
 * @param angle in degrees
 * @param interpolation "nearest" (default) or "bilinear"
 * @param expand whether the result is as large as the turned image; false by default
 * @param center `[x, y]` from the upper left corner; the middle by default
 * @param fill value of pixels from outside, or one for each channel; 0 by default
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.rotate.html
 */
export function rotate(
  img: Tensor,
  angle: number,
  interpolation?: WarpInterpolation,
  expand?: boolean,
  center?: Point | null,
  fill?: Fill | null,
): Tensor;
export function rotate(
  img: Tensor,
  ...args: Call<RotateArguments, "angle interpolation expand center fill">
): Tensor;
export function rotate(img: Tensor, ...args: unknown[]): Tensor {
  const { angle, interpolation, expand, center, fill } = bind<RotateArguments>("rotate", args, {
    angle: REQUIRED,
    interpolation: "nearest",
    expand: false,
    center: null,
    fill: null,
  });
  return warp.rotate(img, angle, interpolation, expand, center, fill);
}

interface AffineArguments {
  angle: number;
  translate: Point;
  scale: number;
  shear: number | readonly number[];
  interpolation?: WarpInterpolation;
  fill?: Fill | null;
  center?: Point | null;
}

/**
 * Turns, shears, scales and moves an image [..., H, W].
 * @param angle in degrees, clockwise
 * @param translate pixels to the right and down
 * @param scale above 0
 * @param shear degrees parallel to the x axis, or `[x, y]`
 * @param interpolation "nearest" (default) or "bilinear"
 * @param fill value of pixels from outside, or one for each channel; 0 by default
 * @param center `[x, y]` from the upper left corner; the middle by default
 * @throws TensorError "Argument scale should be positive"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.affine.html
 */
export function affine(
  img: Tensor,
  angle: number,
  translate: Point,
  scale: number,
  shear: number | readonly number[],
  interpolation?: WarpInterpolation,
  fill?: Fill | null,
  center?: Point | null,
): Tensor;
export function affine(
  img: Tensor,
  ...args: Call<AffineArguments, "angle translate scale shear interpolation fill center">
): Tensor;
export function affine(img: Tensor, ...args: unknown[]): Tensor {
  const { angle, translate, scale, shear, interpolation, fill, center } = bind<AffineArguments>(
    "affine",
    args,
    {
      angle: REQUIRED,
      translate: REQUIRED,
      scale: REQUIRED,
      shear: REQUIRED,
      interpolation: "nearest",
      fill: null,
      center: null,
    },
  );
  const sheared = checkAffine(translate, scale, shear);
  return warp.affine(img, angle, translate, scale, sheared, interpolation, fill, center);
}

interface PerspectiveArguments {
  startpoints: Corners;
  endpoints: Corners;
  interpolation?: WarpInterpolation;
  fill?: Fill | null;
}

/**
 * Distorts an image [..., H, W], so that four points come to lie at four others.
 * @param startpoints top left, top right, bottom right and bottom left `[x, y]` in the image
 * @param endpoints where they come to lie
 * @param interpolation "nearest" or "bilinear" (default)
 * @param fill value of pixels from outside, or one for each channel; 0 by default
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.perspective.html
 */
export function perspective(
  img: Tensor,
  startpoints: Corners,
  endpoints: Corners,
  interpolation?: WarpInterpolation,
  fill?: Fill | null,
): Tensor;
export function perspective(
  img: Tensor,
  ...args: Call<PerspectiveArguments, "startpoints endpoints interpolation fill">
): Tensor;
export function perspective(img: Tensor, ...args: unknown[]): Tensor {
  const { startpoints, endpoints, interpolation, fill } = bind<PerspectiveArguments>("perspective", args, {
    startpoints: REQUIRED,
    endpoints: REQUIRED,
    interpolation: "bilinear",
    fill: null,
  });
  return warp.perspective(img, startpoints, endpoints, interpolation, fill);
}

interface ElasticTransformArguments {
  displacement: Tensor;
  interpolation?: WarpInterpolation;
  fill?: Fill | null;
}

/**
 * Moves each pixel of an image [..., H, W] by its own way.
 * @param displacement [1, H, W, 2]: where the pixels come from, as shares of half the width and height
 * @param interpolation "nearest" or "bilinear" (default)
 * @param fill value of pixels from outside, or one for each channel; 0 by default
 * @throws TensorError "Argument displacement shape should be (1, 8, 8, 2), but given torch.Size([1, 2, 2, 2])"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.elastic_transform.html
 */
export function elasticTransform(
  img: Tensor,
  displacement: Tensor,
  interpolation?: WarpInterpolation,
  fill?: Fill | null,
): Tensor;
export function elasticTransform(
  img: Tensor,
  ...args: Call<ElasticTransformArguments, "displacement interpolation fill">
): Tensor;
export function elasticTransform(img: Tensor, ...args: unknown[]): Tensor {
  const { displacement, interpolation, fill } = bind<ElasticTransformArguments>("elastic_transform", args, {
    displacement: REQUIRED,
    interpolation: "bilinear",
    fill: null,
  });
  return warp.elasticTransform(img, displacement, interpolation, fill);
}

/** Returns the shear in both directions. @throws TensorError for arguments of `affine` out of range */
function checkAffine(translate: Point, scale: number, shear: number | readonly number[]): Point {
  if (translate.length !== 2)
    throw new TensorError("value", "Argument translate should be a sequence of length 2");
  if (scale <= 0) throw new TensorError("value", "Argument scale should be positive");
  if (typeof shear === "number") return [shear, 0];
  const [x, y = x] = shear;
  if (x === undefined || y === undefined || shear.length > 2)
    throw new TensorError(
      "value",
      `Shear should be a sequence containing two values. Got [${shear.join(", ")}]`,
    );
  return [x, y];
}
