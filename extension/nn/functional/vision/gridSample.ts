import { kindOf, TensorError } from "../../../tensor/core/errors.ts";
import {
  add,
  clamp,
  div,
  fmod,
  mul,
  remainder,
  sub,
} from "../../../tensor/functions/pointwise/arithmetic.ts";
import { detach } from "../../../tensor/functions/creation/conversion.ts";
import { arange, linspace, ones } from "../../../tensor/functions/creation/creation.ts";
import {
  abs,
  eq,
  floor,
  ge,
  gt,
  le,
  logicalAnd,
  lt,
  round,
  where,
} from "../../../tensor/functions/pointwise/elementwise.ts";
import { indexSelect } from "../../../tensor/functions/indexing/gathering.ts";
import { bmm } from "../../../tensor/functions/linalg/linalg.ts";
import { castTo, composed, named } from "../../../tensor/functions/pointwise/operands.ts";
import { stepOf } from "../../../tensor/functions/pointwise/slopes.ts";
import { sum as total } from "../../../tensor/functions/reduction/reduction.ts";
import { select } from "../../../tensor/functions/shape/parts.ts";
import {
  expand,
  movedim,
  reshape,
  stack,
  transpose,
  unsqueeze,
} from "../../../tensor/functions/shape/shape.ts";
import { formatShape, numel, range, type Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { warnOnce } from "../../warnings.ts";

export type GridMode = "bilinear" | "nearest" | "bicubic";
export type GridPadding = "zeros" | "border" | "reflection";

export interface GridSampleOptions {
  /** How places between pixels are filled. Default "bilinear". */
  mode?: GridMode;
  /** Values outside the input. Default "zeros". */
  paddingMode?: GridPadding;
  /** Whether −1 and 1 are the centres of the outer pixels, and not their outer edges. Default false. */
  alignCorners?: boolean | null;
}

const CHANGED =
  "behavior has changed to align_corners=False since 1.3.0. Please specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.";

/**
 * Values of images [N, C, H, W] at the places of a grid [N, Ho, Wo, 2], whose (x, y) run from −1 to 1: [N, C, Ho, Wo].
 * Volumes [N, C, D, H, W] take grids [N, Do, Ho, Wo, 3].
 * @throws TensorError "grid_sampler(): expected grid to have size 2 in last dimension, but got grid with sizes [1, 2, 2, 3]"
 */
export function gridSample(input: Tensor, grid: Tensor, options?: GridSampleOptions): Tensor;
export function gridSample(
  input: Tensor,
  grid: Tensor,
  mode?: GridMode,
  paddingMode?: GridPadding,
  alignCorners?: boolean | null,
): Tensor;
export function gridSample(input: Tensor, grid: Tensor, ...rest: unknown[]): Tensor {
  const bound = bind<GridSampleOptions>("grid_sample", rest, {
    mode: "bilinear",
    paddingMode: "zeros",
    alignCorners: null,
  });
  const { mode, paddingMode } = bound;
  check(input, grid, mode, paddingMode);
  if (bound.alignCorners === null) warnOnce(`Default grid_sample and affine_grid ${CHANGED}`);
  const alignCorners = bound.alignCorners ?? false;
  const sizes = input.shape.slice(2);
  return composed(() => {
    // The grid has x first, the input's dimensions end with it.
    const places = sizes.map((size, d) =>
      pixelOf(select(grid, -1, sizes.length - 1 - d), size, alignCorners, sizes.length === 3),
    );
    const inside = (x: Tensor, size: number): Tensor => padded(x, size, paddingMode, alignCorners);
    const axes =
      mode === "bicubic"
        ? places.map((x, d) => cubic(x).map(([at, weight]): Tap => [inside(at, sizes[d]!), weight]))
        : places.map((x, d) => (mode === "nearest" ? nearest : linear)(inside(x, sizes[d]!)));
    const sum = sampled(input, grid.shape.slice(1, -1), axes);
    // Places on pixels have gradients of 0, which optimizers with momentum or weight decay tell from none.
    const result = mode === "nearest" && grid.requiresGrad ? stepOf(sum, unsqueeze(total(grid, -1), 1)) : sum;
    return named(result, `GridSampler${sizes.length}DBackward0`);
  });
}

function check(input: Tensor, grid: Tensor, mode: string, padding: string): void {
  if (!["bilinear", "nearest", "bicubic"].includes(mode)) {
    throw new TensorError(
      "value",
      `nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '${mode}'`,
    );
  }
  if (!["zeros", "border", "reflection"].includes(padding)) {
    throw new TensorError(
      "value",
      `nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: '${padding}'`,
    );
  }
  const sizes = `input with sizes ${formatShape(input.shape)} and grid with sizes ${formatShape(grid.shape)}`;
  if (input.shape[0] !== grid.shape[0]) {
    throw new TensorError(
      "shape",
      `grid_sampler(): expected grid and input to have same batch size, but got ${sizes}`,
    );
  }
  const dims = input.ndim - 2;
  if (grid.shape.at(-1) !== dims) {
    throw new TensorError(
      "shape",
      `grid_sampler(): expected grid to have size ${dims} in last dimension, but got grid with sizes ${formatShape(grid.shape)}`,
    );
  }
  const bare = input.shape.indexOf(0, 2);
  if (bare >= 0) {
    throw new TensorError(
      "shape",
      `grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes ${formatShape(input.shape)} with dimension ${bare} being empty`,
    );
  }
  if ((dims !== 2 && dims !== 3) || grid.ndim !== input.ndim) {
    throw new TensorError(
      "shape",
      `grid_sampler(): expected ${dims === 2 || dims === 3 ? input.ndim : "4D or 5"}D input and grid with same number of dimensions, but got ${sizes}`,
    );
  }
}

/**
 * Converts a place from −1 to 1 into a pixel's number, rounded as in PyTorch: one unit less, and a place on a pixel
 * falls short of it and has another gradient. PyTorch's kernel of images fuses multiplication and addition, that of
 * volumes doesn't.
 */
function pixelOf(x: Tensor, size: number, alignCorners: boolean, volume: boolean): Tensor {
  const from = add(x, 1);
  if (alignCorners) return mul(from, (size - 1) / 2);
  const pixel = sub(mul(from, size / 2), 0.5);
  return volume ? pixel : add(pixel, lostProduct(detach(from), size / 2));
}

/** Returns the rounding error of x · factor, for a factor of up to 13 bits: Dekker's product of halves of x. */
function lostProduct(x: Tensor, factor: number): Tensor {
  const shifted = mul(x, 2 ** 13 + 1);
  const high = sub(shifted, sub(shifted, x));
  return add(sub(mul(high, factor), mul(x, factor)), mul(sub(x, high), factor));
}

/** Moves places outside the input inside, unless outside values are zeros. */
function padded(x: Tensor, size: number, padding: GridPadding, alignCorners: boolean): Tensor {
  if (padding === "zeros") return x;
  if (padding === "border") return clipped(x, size - 1);
  const [low, span] = alignCorners ? [0, size - 1] : [-0.5, size];
  if (span === 0) return mul(x, 0);
  const distance = abs(sub(x, low));
  const extra = fmod(distance, span);
  const even = eq(remainder(floor(div(distance, span)), 2), 0);
  return clipped(add(where(even, extra, sub(span, extra)), low), size - 1);
}

/** Clamps to 0 and `last`. As in PyTorch, whose `clamp` differs there, a place on the border itself has no gradient. */
function clipped(x: Tensor, last: number): Tensor {
  const between = logicalAnd(gt(x, 0), lt(x, last));
  return clamp(where(between, x, detach(x)), 0, last);
}

/** Pixels along one dimension and their weights. */
type Tap = readonly [at: Tensor, weight: Tensor | undefined];

const nearest = (x: Tensor): Tap[] => [[round(x), undefined]];

function linear(x: Tensor): Tap[] {
  const before = floor(x);
  const part = sub(x, before);
  return [
    [before, sub(1, part)],
    [add(before, 1), part],
  ];
}

/** Keys' cubic convolution with a = −3/4. */
function cubic(x: Tensor): [at: Tensor, weight: Tensor][] {
  const a = -0.75;
  const before = floor(x);
  const part = sub(x, before);
  const near = (t: Tensor): Tensor => add(mul(mul(sub(mul(t, a + 2), a + 3), t), t), 1);
  const far = (t: Tensor): Tensor => sub(mul(add(mul(sub(mul(t, a), 5 * a), t), 8 * a), t), 4 * a);
  const weights = [far(add(part, 1)), near(part), near(sub(1, part)), far(sub(2, part))];
  return weights.map((weight, i) => [add(before, i - 1), weight]);
}

/** The sum over all combinations of taps, one along each dimension; pixels outside count as zero. */
function sampled(input: Tensor, outer: Shape, axes: readonly (readonly Tap[])[]): Tensor {
  const [batch, channels, ...sizes] = input.shape as [number, number, ...number[]];
  const rows = reshape(movedim(input, 1, -1), [batch * numel(sizes), channels]);
  const first = reshape(mul(arange(batch), numel(sizes)), [batch, ...outer.map(() => 1)]);
  let combinations: readonly Tap[][] = [[]];
  for (const taps of axes)
    combinations = combinations.flatMap((chosen) => taps.map((tap) => [...chosen, tap]));
  const terms = combinations.map((taps) => {
    let [index, inside, weight]: [Tensor | undefined, Tensor | undefined, Tensor | undefined] = [
      undefined,
      undefined,
      undefined,
    ];
    taps.forEach(([at, w], d) => {
      const size = sizes[d]!;
      const within = logicalAnd(ge(at, 0), le(at, size - 1));
      const whole = castTo(clamp(where(within, at, 0), 0, size - 1), "int64");
      index = index === undefined ? whole : add(mul(index, size), whole);
      inside = inside === undefined ? within : logicalAnd(inside, within);
      if (w !== undefined) weight = weight === undefined ? w : mul(weight, w);
    });
    const values = indexSelect(rows, 0, reshape(add(index!, first), [-1]));
    const factor = weight === undefined ? castTo(inside!, "float32") : where(inside!, weight, 0);
    return mul(reshape(values, [batch, ...outer, channels]), reshape(factor, [batch, ...outer, 1]));
  });
  return movedim(
    terms.reduce((sum, term) => add(sum, term)),
    -1,
    1,
  );
}

export interface AffineGridOptions {
  /** As in {@link gridSample}. Default false. */
  alignCorners?: boolean | null;
}

/**
 * The grid of a batch of affine maps [N, 2, 3] for images of a size [N, C, H, W]: [N, H, W, 2], for {@link gridSample}. Maps
 * [N, 3, 4] are for volumes.
 * @throws TensorError "Expected a batch of 2D affine matrices of shape Nx2x3 for size [1, 1, 2, 2]. Got …"
 */
export function affineGrid(
  theta: Tensor,
  size: Shape,
  ...rest: [options?: AffineGridOptions | boolean | null]
): Tensor {
  const bound = bind<AffineGridOptions>("affine_grid", rest, { alignCorners: null });
  if (theta.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `Expected theta to have floating point type, but got torch.${theta.dtype}`,
    );
  }
  if (!Array.isArray(size))
    throw new TensorError("value", `affine_grid(): size must be a list of ints, not ${kindOf(size)}`);
  const dims = size.length - 2;
  if (dims !== 2 && dims !== 3) {
    throw new TensorError(
      "value",
      "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size " +
        `${formatShape(size)}.`,
    );
  }
  if (theta.ndim !== 3 || theta.shape[1] !== dims || theta.shape[2] !== dims + 1) {
    throw new TensorError(
      "shape",
      `Expected a batch of ${dims}D affine matrices of shape Nx${dims}x${dims + 1} for size ${formatShape(size)}. Got torch.Size(${formatShape(theta.shape)}).`,
    );
  }
  if (Math.min(...size) <= 0) {
    throw new TensorError("value", `Expected non-zero, positive output size. Got ${formatShape(size)}`);
  }
  if (bound.alignCorners === null) warnOnce(`Default grid_sample and affine_grid ${CHANGED}`);
  const [batch, , ...lengths] = size as [number, number, ...number[]];
  return composed(() => {
    const axis = (d: number): Tensor => {
      const n = lengths[d]!;
      const line = n === 1 ? linspace(0, 0, 1) : linspace(-1, 1, n);
      const scaled = bound.alignCorners === true ? line : div(mul(line, n - 1), n);
      return expand(
        reshape(
          scaled,
          range(dims).map((k) => (k === d ? n : 1)),
        ),
        lengths,
      );
    };
    const base = stack([...range(dims).map(axis).reverse(), ones(lengths)], -1);
    const points = expand(reshape(base, [1, numel(lengths), dims + 1]), [batch, numel(lengths), dims + 1]);
    const grid = bmm(points, transpose(theta, 1, 2));
    return named(reshape(grid, [batch, ...lengths, dims]), "AffineGridGeneratorBackward0");
  });
}
