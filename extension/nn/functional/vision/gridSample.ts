import { kindOf, TensorError } from "../../../tensor/core/errors.ts";
import { div, mul } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { linspace, ones } from "../../../tensor/functions/creation/creation.ts";
import { bmm } from "../../../tensor/functions/linalg/linalg.ts";
import { composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { expand, reshape, stack, transpose } from "../../../tensor/functions/shape/shape.ts";
import type { GridAttributes, GridMode, GridPadding } from "../../../tensor/ops/spatial/gridPlaces.ts";
import { gridSample as op } from "../../../tensor/ops/spatial/gridSample.ts";
import { apply } from "../../../tensor/recording/apply.ts";
import { formatShape, numel, range, type Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { warnOnce } from "../../warnings.ts";

export type { GridMode, GridPadding };

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
  if (input.dtype !== "float32")
    notImplemented(`grid_sampler_${input.ndim - 2}d_cpu_kernel_impl`, input.dtype);
  if (bound.alignCorners === null) warnOnce(`Default grid_sample and affine_grid ${CHANGED}`);
  const alignCorners = bound.alignCorners ?? false;
  const attributes: GridAttributes = { mode, paddingMode, alignCorners };
  return composed(() =>
    named(apply(op, [input, grid], attributes), `GridSampler${input.ndim - 2}DBackward0`),
  );
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
