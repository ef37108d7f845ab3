// Random rotations, affine and perspective maps, and displacements.
import { TensorError } from "../../tensor/core/errors.ts";
import { rand } from "../../tensor/functions/creation/random.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../arguments.ts";
import { BuiltIn } from "../module/module.ts";
import { py, pyFloat } from "../module/repr.ts";
import { gaussianBlur } from "./filter.ts";
import { drawBelow, drawBetween, drawChance, nearbyInteger, planesOf, type Range } from "./image.ts";
import { interpolationText } from "./resample.ts";
import {
  affine,
  elasticTransform,
  perspective,
  rotate,
  type Corners,
  type Fill,
  type Point,
  type WarpInterpolation,
} from "./warp.ts";

/** A range of angles; one number stands for −d to d. */
function anglesOf(
  name: string,
  angles: number | readonly number[],
  sizes: readonly number[],
): readonly number[] {
  if (typeof angles === "number") {
    if (angles < 0) throw new TensorError("value", `If ${name} is a single number, it must be positive.`);
    return [0 - angles, angles];
  }
  checkLength(name, angles, sizes);
  return angles;
}

function checkLength(name: string, list: readonly number[], sizes: readonly number[]): void {
  if (!sizes.includes(list.length))
    throw new TensorError("value", `${name} should be a sequence of length ${sizes.join(" or ")}.`);
}

const floats = (list: readonly number[]): string => list.map(pyFloat).join(", ");

export interface RandomRotationOptions {
  /** "nearest" by default. */
  interpolation?: WarpInterpolation;
  /** Whether the result is as large as the turned image; false by default. */
  expand?: boolean;
  /** `[x, y]` from the upper left corner; the middle by default. */
  center?: Point | null;
  /** Value of pixels from outside, or one for each channel; 0 by default. */
  fill?: Fill;
}

interface RandomRotationArguments extends RandomRotationOptions {
  degrees: number | Range;
}

/**
 * An image [..., H, W] turned by a random angle; pixels from outside are `fill`. The angle is drawn as in torchvision,
 * uniformly.
 *
 * ```ts
 * new transforms.RandomRotation(15)(torch.rand(1, 28, 28));
 * ```
 * @throws TensorError "If degrees is a single number, it must be positive."
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomRotation.html
 */
export class RandomRotation extends BuiltIn {
  readonly degrees: Range;
  readonly interpolation: WarpInterpolation;
  readonly expand: boolean;
  readonly center: Point | null;
  readonly fill: Fill;

  /** @param degrees the range of angles, counter-clockwise; one number d stands for −d to d */
  constructor(degrees: number | Range, options?: RandomRotationOptions);
  constructor(...args: Call<RandomRotationArguments, "degrees interpolation expand center fill">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<RandomRotationArguments>("RandomRotation", args, {
      degrees: REQUIRED,
      interpolation: "nearest",
      expand: false,
      center: null,
      fill: 0,
    });
    this.degrees = anglesOf("degrees", bound.degrees, [2]) as Range;
    if (bound.center !== null) checkLength("center", bound.center, [2]);
    this.interpolation = bound.interpolation;
    this.expand = bound.expand;
    this.center = bound.center;
    this.fill = bound.fill;
  }

  /** Draws an angle, for `transforms.functional.rotate`. */
  static getParams(degrees: Range): number {
    return drawBetween(...degrees);
  }

  forward(image: Tensor): Tensor {
    const angle = RandomRotation.getParams(this.degrees);
    return rotate(image, angle, this.interpolation, this.expand, this.center, this.fill);
  }

  override extraRepr(): string {
    const { degrees, interpolation, expand, center, fill } = this;
    const around = center === null ? "" : `, center=${py(center)}`;
    return `degrees=[${floats(degrees)}], interpolation=${interpolation}, expand=${py(expand)}${around}, fill=${py(fill)}`;
  }
}

export interface RandomAffineOptions {
  /** Largest shifts as shares of the width and the height, from 0 to 1; none by default. */
  translate?: Range | null;
  /** Range of the scale; 1 by default. */
  scale?: Range | null;
  /** Range of the shear in degrees: one number s for −s to s along x, a range, or `[xMin, xMax, yMin, yMax]`. */
  shear?: number | readonly number[] | null;
  /** "nearest" by default. */
  interpolation?: WarpInterpolation;
  /** Value of pixels from outside, or one for each channel; 0 by default. */
  fill?: Fill;
  /** `[x, y]` from the upper left corner; the middle by default. */
  center?: Point | null;
}

interface RandomAffineArguments extends RandomAffineOptions {
  degrees: number | Range;
}

/**
 * An image [..., H, W] turned, moved, scaled and sheared at random. Drawn as in torchvision: the angle, then the shifts, the
 * scale and the shears that are asked for.
 *
 * ```ts
 * new transforms.RandomAffine(15, { translate: [0.1, 0.1], scale: [0.8, 1.2] })(torch.rand(1, 28, 28)).shape; // [1, 28, 28]
 * ```
 * @throws TensorError "translation values should be between 0 and 1", "scale values should be positive", or for negative
 * degrees
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomAffine.html
 */
export class RandomAffine extends BuiltIn {
  readonly degrees: Range;
  readonly translate: Range | null;
  readonly scale: Range | null;
  readonly shear: readonly number[] | null;
  readonly interpolation: WarpInterpolation;
  readonly fill: Fill;
  readonly center: Point | null;

  /** @param degrees the range of angles, clockwise; one number d stands for −d to d */
  constructor(degrees: number | Range, options?: RandomAffineOptions);
  constructor(
    ...args: Call<RandomAffineArguments, "degrees translate scale shear interpolation fill center">
  );
  constructor(...args: unknown[]) {
    super();
    const bound = bind<RandomAffineArguments>("RandomAffine", args, {
      degrees: REQUIRED,
      translate: null,
      scale: null,
      shear: null,
      interpolation: "nearest",
      fill: 0,
      center: null,
    });
    const { translate, scale, shear, center } = bound;
    this.degrees = anglesOf("degrees", bound.degrees, [2]) as Range;
    if (translate !== null) {
      checkLength("translate", translate, [2]);
      if (!translate.every((share) => share >= 0 && share <= 1))
        throw new TensorError("value", "translation values should be between 0 and 1");
    }
    if (scale !== null) {
      checkLength("scale", scale, [2]);
      if (scale.some((one) => one <= 0)) throw new TensorError("value", "scale values should be positive");
    }
    this.translate = translate;
    this.scale = scale;
    this.shear = shear === null ? null : anglesOf("shear", shear, [2, 4]);
    if (center !== null) checkLength("center", center, [2]);
    this.interpolation = bound.interpolation;
    this.fill = bound.fill;
    this.center = center;
  }

  /**
   * Draws the arguments of `transforms.functional.affine`.
   * @param imgSize width and height
   */
  static getParams(
    degrees: Range,
    translate: Range | null,
    scaleRanges: Range | null,
    shears: readonly number[] | null,
    imgSize: readonly [width: number, height: number],
  ): [angle: number, translations: Point, scale: number, shear: Point] {
    const angle = drawBetween(...degrees);
    const shift = (i: 0 | 1): number => {
      const most = translate === null ? 0 : translate[i] * imgSize[i];
      return translate === null ? 0 : nearbyInteger(drawBetween(-most, most));
    };
    const translations = [shift(0), shift(1)] as const;
    const scale = scaleRanges === null ? 1 : drawBetween(...scaleRanges);
    const [fromX, toX, fromY, toY] = shears ?? [];
    const shearX = fromX === undefined || toX === undefined ? 0 : drawBetween(fromX, toX);
    const shearY = fromY === undefined || toY === undefined ? 0 : drawBetween(fromY, toY);
    return [angle, translations, scale, [shearX, shearY]];
  }

  forward(image: Tensor): Tensor {
    const { degrees, translate, scale, shear, interpolation, fill, center } = this;
    const { height, width } = planesOf(image);
    const drawn = RandomAffine.getParams(degrees, translate, scale, shear, [width, height]);
    return affine(image, ...drawn, interpolation, fill, center);
  }

  override extraRepr(): string {
    const { degrees, translate, scale, shear, interpolation, fill, center } = this;
    return [
      `degrees=[${floats(degrees)}]`,
      ...(translate === null ? [] : [`translate=(${floats(translate)})`]),
      ...(scale === null ? [] : [`scale=(${floats(scale)})`]),
      ...(shear === null ? [] : [`shear=[${floats(shear)}]`]),
      ...(interpolation === "nearest" ? [] : [`interpolation=${interpolation}`]),
      ...(fill === 0 ? [] : [`fill=${py(fill)}`]),
      ...(center === null ? [] : [`center=${py(center)}`]),
    ].join(", ");
  }
}

export interface RandomPerspectiveOptions {
  /** How far the corners move, from 0 to 1; 0.5 by default. */
  distortionScale?: number;
  /** Probability; 0.5 by default. */
  p?: number;
  /** "bilinear" by default. */
  interpolation?: WarpInterpolation;
  /** Value of pixels from outside, or one for each channel; 0 by default. */
  fill?: Fill;
}

/**
 * An image [..., H, W] seen from a random side, with probability p. Drawn as in torchvision: the four corners, clockwise
 * from the upper left one.
 *
 * ```ts
 * new transforms.RandomPerspective({ distortionScale: 0.6, p: 1 })(torch.rand(3, 28, 28)).shape; // [3, 28, 28]
 * ```
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomPerspective.html
 */
export class RandomPerspective extends BuiltIn {
  readonly distortionScale: number;
  readonly p: number;
  readonly interpolation: WarpInterpolation;
  readonly fill: Fill;

  constructor(options?: RandomPerspectiveOptions);
  constructor(
    distortionScale?: number,
    p?: number,
    options?: Pick<RandomPerspectiveOptions, "interpolation" | "fill">,
  );
  constructor(...args: Call<RandomPerspectiveOptions, "distortionScale p interpolation fill">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<RandomPerspectiveOptions>("RandomPerspective", args, {
      distortionScale: 0.5,
      p: 0.5,
      interpolation: "bilinear",
      fill: 0,
    });
    this.distortionScale = bound.distortionScale;
    this.p = bound.p;
    this.interpolation = bound.interpolation;
    this.fill = bound.fill;
  }

  /** Draws the arguments of `transforms.functional.perspective`. */
  static getParams(
    width: number,
    height: number,
    distortionScale: number,
  ): [startpoints: Corners, endpoints: Corners] {
    const across = Math.trunc(distortionScale * Math.floor(width / 2)) + 1;
    const down = Math.trunc(distortionScale * Math.floor(height / 2)) + 1;
    const point = (x: number, y: number): Point => [x + drawBelow(across), y + drawBelow(down)];
    const [right, bottom] = [width - across, height - down];
    const endpoints = [point(0, 0), point(right, 0), point(right, bottom), point(0, bottom)] as const;
    const [maxX, maxY] = [width - 1, height - 1];
    return [
      [
        [0, 0],
        [maxX, 0],
        [maxX, maxY],
        [0, maxY],
      ],
      endpoints,
    ];
  }

  forward(image: Tensor): Tensor {
    const { height, width } = planesOf(image);
    if (!drawChance(this.p)) return image;
    const corners = RandomPerspective.getParams(width, height, this.distortionScale);
    return perspective(image, ...corners, this.interpolation, this.fill);
  }

  override extraRepr(): string {
    return `p=${pyFloat(this.p)}`;
  }
}

export interface ElasticTransformOptions {
  /** How far pixels move, or `[x, y]`; 50 by default. */
  alpha?: number | readonly [x: number, y: number];
  /** Smoothness of the moves, or `[x, y]`; 5 by default. */
  sigma?: number | readonly [x: number, y: number];
  /** "bilinear" by default. */
  interpolation?: WarpInterpolation;
  /** Value of pixels from outside, or one for each channel; 0 by default. */
  fill?: Fill;
}

/**
 * An image [..., H, W] as through moving water: each pixel moves at random, and its neighbours alike. Drawn as in
 * torchvision: `torch.rand` of all moves in x, then in y, which are blurred.
 *
 * ```ts
 * new transforms.ElasticTransform({ alpha: 30 })(torch.rand(3, 28, 28)).shape; // [3, 28, 28]
 * ```
 * @throws TensorError when a side of the image is at most 4 · sigma
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ElasticTransform.html
 */
export class ElasticTransform extends BuiltIn {
  readonly alpha: Point;
  readonly sigma: Point;
  readonly interpolation: WarpInterpolation;
  readonly fill: readonly number[];

  constructor(options?: ElasticTransformOptions);
  constructor(...args: Call<ElasticTransformOptions, "alpha sigma interpolation fill">);
  constructor(...args: unknown[]) {
    super();
    const { alpha, sigma, interpolation, fill } = bind<ElasticTransformOptions>("ElasticTransform", args, {
      alpha: 50,
      sigma: 5,
      interpolation: "bilinear",
      fill: 0,
    });
    const both = (name: string, value: number | Point): Point => {
      if (typeof value === "number") return [value, value];
      if (value.length !== 2)
        throw new TensorError(
          "value",
          `If ${name} is a sequence its length should be 2. Got ${(value as readonly number[]).length}`,
        );
      return value;
    };
    this.alpha = both("alpha", alpha);
    this.sigma = both("sigma", sigma);
    this.interpolation = interpolation;
    this.fill = typeof fill === "number" ? [fill] : fill;
  }

  /** Draws the displacement of `transforms.functional.elasticTransform`. @param size height and width */
  static getParams(alpha: Point, sigma: Point, size: readonly [height: number, width: number]): Tensor {
    const [height, width] = size;
    const moves = [0, 1].map((axis) => {
      const drawn = valuesOf(rand([1, 1, height, width]).value).map((x) => Math.fround(x * 2) - 1);
      const noise = fromHost(drawn, [1, 1, height, width], "float32");
      const deviation = sigma[axis]!;
      const kernel = Math.trunc(8 * deviation + 1) | 1;
      const smooth = deviation > 0 ? gaussianBlur(noise, [kernel, kernel], sigma) : noise;
      const extent = axis === 0 ? width : height;
      return valuesOf(smooth.value).map((x) => Math.fround(x * Math.fround(alpha[axis]!)) / extent);
    });
    const out = new Float32Array(2 * height * width);
    for (let i = 0; i < out.length; i++) out[i] = moves[i % 2]![i >> 1]!;
    return fromHost(out, [1, height, width, 2], "float32");
  }

  forward(image: Tensor): Tensor {
    const { height, width } = planesOf(image);
    const displacement = ElasticTransform.getParams(this.alpha, this.sigma, [height, width]);
    return elasticTransform(image, displacement, this.interpolation, this.fill);
  }

  override extraRepr(): string {
    const { alpha, sigma, interpolation, fill } = this;
    return `alpha=[${floats(alpha)}], sigma=[${floats(sigma)}], interpolation=${interpolationText(interpolation)}, fill=[${floats(fill)}]`;
  }
}
