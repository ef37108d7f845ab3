// The operations that automatic augmentations choose from, and their magnitudes.
import { TensorError } from "../../tensor/core/errors.ts";
import { linspace } from "../../tensor/functions/creation/creation.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { roundHalfEven } from "../rounding.ts";
import { adjustSharpness } from "./filter.ts";
import { drawChance, planesOf } from "./image.ts";
import * as pixels from "./pixels.ts";
import { affine, rotate, type Fill, type Point, type WarpInterpolation } from "./warp.ts";

const f = Math.fround;

/** How pixels from other places are computed. */
export interface Sampling {
  readonly interpolation: WarpInterpolation;
  /** Value of pixels from outside, or one for each channel; null for 0. */
  readonly fill: Fill | null;
}

/** Largest magnitudes of a method; the smallest are 0. */
export interface Limits {
  /** Tangent of the angle. */
  readonly shear: number;
  /** Pixels, of an image with that many along the axis. */
  readonly shift: (side: number) => number;
  /** Degrees. */
  readonly angle: number;
  /** Change of a factor from 1. */
  readonly factor: number;
  /** Bits kept by the weakest and the strongest reduction of colours. */
  readonly bits: readonly [most: number, fewest: number];
}

const PUBLISHED: Limits = {
  shear: 0.3,
  shift: (side) => (150 / 331) * side,
  angle: 30,
  factor: 0.9,
  bits: [8, 4],
};

export const LIMITS = {
  AutoAugment: PUBLISHED,
  RandAugment: PUBLISHED,
  TrivialAugmentWide: { shear: 0.99, shift: () => 32, angle: 135, factor: 0.99, bits: [8, 2] },
  AugMix: { ...PUBLISHED, shift: (side) => side / 3, bits: [4, 0] },
} as const satisfies Readonly<Record<string, Limits>>;

/** Magnitudes of a kind, from the weakest to the strongest, for an image of a size. */
type Magnitudes = (
  limits: Limits,
  bins: number,
  size: { height: number; width: number },
) => ArrayLike<number>;

/** In float32, as torchvision computes them. */
const spaced = (from: number, to: number, bins: number): ArrayLike<number> =>
  valuesOf(linspace(from, to, bins).value);

const MAGNITUDES = {
  shear: ({ shear }, bins) => spaced(0, shear, bins),
  across: ({ shift }, bins, { width }) => spaced(0, shift(width), bins),
  down: ({ shift }, bins, { height }) => spaced(0, shift(height), bins),
  angle: ({ angle }, bins) => spaced(0, angle, bins),
  factor: ({ factor }, bins) => spaced(0, factor, bins),
  threshold: (_, bins) => spaced(1, 0, bins),
  bits: ({ bits: [most, fewest] }, bins) =>
    Float32Array.from({ length: bins }, (_, i) =>
      roundHalfEven(f(most - f(i / f((bins - 1) / (most - fewest))))),
    ),
} as const satisfies Readonly<Record<string, Magnitudes>>;

/** Kinds of magnitudes whose sign is drawn. */
const SIGNED: ReadonlySet<string> = new Set(["shear", "across", "down", "angle", "factor"]);

type Change = (image: Tensor, magnitude: number, sampling: Sampling) => Tensor;

/** The shear of the original method, around the upper left corner. */
const sheared = (image: Tensor, tangents: Point, { interpolation, fill }: Sampling): Tensor => {
  const degrees = (tangent: number): number => (Math.atan(tangent) * 180) / Math.PI;
  const angles = [degrees(tangents[0]), degrees(tangents[1])] as const;
  return affine(image, 0, [0, 0], 1, angles, interpolation, fill, [0, 0]);
};

const shifted = (image: Tensor, [x, y]: Point, { interpolation, fill }: Sampling): Tensor =>
  affine(image, 0, [Math.trunc(x), Math.trunc(y)], 1, [0, 0], interpolation, fill, null);

/** Operations by torchvision's names: the kind of their magnitudes, null for none, and what they do. */
const OPERATIONS = {
  Identity: [null, (image) => image],
  ShearX: ["shear", (image, x, sampling) => sheared(image, [x, 0], sampling)],
  ShearY: ["shear", (image, y, sampling) => sheared(image, [0, y], sampling)],
  TranslateX: ["across", (image, x, sampling) => shifted(image, [x, 0], sampling)],
  TranslateY: ["down", (image, y, sampling) => shifted(image, [0, y], sampling)],
  Rotate: [
    "angle",
    (image, angle, { interpolation, fill }) => rotate(image, angle, interpolation, false, null, fill),
  ],
  Brightness: ["factor", (image, change) => pixels.adjustBrightness(image, 1 + change)],
  Color: ["factor", (image, change) => pixels.adjustSaturation(image, 1 + change)],
  Contrast: ["factor", (image, change) => pixels.adjustContrast(image, 1 + change)],
  Sharpness: ["factor", (image, change) => adjustSharpness(image, 1 + change)],
  Posterize: ["bits", pixels.posterize],
  Solarize: ["threshold", pixels.solarize],
  AutoContrast: [null, pixels.autocontrast],
  Equalize: [null, pixels.equalize],
  Invert: [null, pixels.invert],
} as const satisfies Readonly<Record<string, readonly [kind: keyof typeof MAGNITUDES | null, Change]>>;

export type Operation = keyof typeof OPERATIONS;

const WARPS = ["ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"] as const;
const FACTORS = ["Brightness", "Color", "Contrast", "Sharpness"] as const;
const TONES = ["Posterize", "Solarize", "AutoContrast", "Equalize"] as const;

/** Operations that a method draws from, in torchvision's order. */
export const CHOICES = {
  /** Of RandAugment and TrivialAugmentWide. */
  all: ["Identity", ...WARPS, ...FACTORS, ...TONES],
  mixed: [...WARPS, ...TONES, ...FACTORS],
  mixedWithoutFactors: [...WARPS, ...TONES],
} as const satisfies Readonly<Record<string, readonly Operation[]>>;

/**
 * The image after an operation. A magnitude is the one of `bins` at `index()`, negative with a probability of one half;
 * neither is drawn for an operation without magnitudes.
 * @throws TensorError "index 31 is out of bounds for dimension 0 with size 31"
 */
export function augmented(
  image: Tensor,
  operation: Operation,
  limits: Limits,
  bins: number,
  index: () => number,
  sampling: Sampling,
): Tensor {
  const [kind, change]: readonly [keyof typeof MAGNITUDES | null, Change] = OPERATIONS[operation];
  if (kind === null) return change(image, 0, sampling);
  const of: Magnitudes = MAGNITUDES[kind];
  const at = index();
  const magnitude = Array.from(of(limits, bins, planesOf(image))).at(at);
  if (magnitude === undefined)
    throw new TensorError("index", `index ${at} is out of bounds for dimension 0 with size ${bins}`);
  return change(image, SIGNED.has(kind) && drawChance(0.5, true) ? -magnitude : magnitude, sampling);
}
