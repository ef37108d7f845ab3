// Functions that arrange elements. Where PyTorch answers with a view, the result shares memory with the input.
import { apply } from "../../recording/apply.ts";
import { promoteTypes, SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import * as ops from "../../ops/movement/movement.ts";
import { sliceAlong } from "../../ops/movement/slicing.ts";
import { formatShape, inferReshape, normalizeDim, numel, sameShape, strides } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import {
  castTo,
  composed,
  named,
  orderedDims,
  requireMatrix,
  sizesOf,
  type Dims,
  type Sizes,
  listOf,
  type TensorList,
} from "../pointwise/operands.ts";
import { copied, ExpandView, PermuteView, reshaped, ReshapeView, SliceView, viewStrides } from "./views.ts";

/**
 * The elements in the same order under another shape, one size of which may be -1. A view where PyTorch has one.
 * @throws TensorError "shape '[3, 7]' is invalid for input of size 20"
 */
export function reshape(input: Tensor, ...shape: Sizes): Tensor {
  const target = inferReshape(sizesOf(shape), input.numel());
  return viewed(input, target, "ViewBackward0") ?? named(reshaped(input, target), "UnsafeViewBackward0");
}

/**
 * As {@link reshape}, but never a copy.
 * @throws TensorError "view size is not compatible with input tensor's size and stride …"
 */
export function view(input: Tensor, ...shape: Sizes): Tensor {
  const target = inferReshape(sizesOf(shape), input.numel());
  const result = viewed(input, target, "ViewBackward0");
  if (result !== undefined) return result;
  throw new TensorError(
    "shape",
    "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead.",
  );
}

function viewed(input: Tensor, target: readonly number[], gradient: string): Tensor | undefined {
  const before = input.viewStrides();
  if (before !== undefined && numel(target) > 0) {
    if (viewStrides(input.shape, before, target) === undefined) return undefined;
  }
  const { shape } = input;
  const steps = (base: readonly number[]): readonly number[] =>
    viewStrides(shape, base, target) ?? strides(target);
  return named(new ReshapeView(input, target, steps).make(), gradient);
}

/** A view in the shape of another tensor. */
export function viewAs(input: Tensor, other: Tensor): Tensor {
  return view(input, other.shape);
}

/** The elements in the shape of another tensor. */
export function reshapeAs(input: Tensor, other: Tensor): Tensor {
  return reshape(input, other.shape);
}

/**
 * Dimensions `startDim` (0) to `endDim` (-1) as one.
 * @throws TensorError "flatten() has invalid args: start_dim cannot come after end_dim"
 */
export function flatten(input: Tensor, startDim = 0, endDim = -1): Tensor {
  const rank = input.ndim;
  const start = normalizeDim(startDim, rank);
  const end = normalizeDim(endDim, rank);
  if (start > end) {
    throw new TensorError("value", "flatten() has invalid args: start_dim cannot come after end_dim");
  }
  if (start === end && rank > 0) return input;
  const { shape } = input;
  const size = numel(shape.slice(start, end + 1));
  return reshape(input, [...shape.slice(0, start), size, ...shape.slice(end + 1)]);
}

/**
 * One dimension split into `sizes`, one of which may be -1.
 * @throws TensorError "unflatten: Provided sizes [2, 4] don't multiply up to the size of dim 1 (6) in the input tensor"
 */
export function unflatten(input: Tensor, dim: number, sizes: readonly number[]): Tensor {
  const at = normalizeDim(dim, input.ndim);
  const length = input.shape[at]!;
  const rest = sizes.reduce((n, d) => (d === -1 ? n : n * d), 1);
  const free = sizes.includes(-1);
  if (free ? length % rest !== 0 : rest !== length) {
    throw new TensorError(
      "shape",
      `unflatten: Provided sizes ${formatShape(sizes)} don't multiply up to the size of dim ${at} (${length}) in the input tensor`,
    );
  }
  const filled = sizes.map((d) => (d === -1 ? length / rest : d));
  return view(input, [...input.shape.slice(0, at), ...filled, ...input.shape.slice(at + 1)]);
}

/** Without dimensions of length 1: all of them, or those named that are. */
export function squeeze(input: Tensor, dim?: Dims): Tensor {
  const { shape } = input;
  const rank = input.ndim;
  const dropped = dim === undefined ? undefined : orderedDims(typeof dim === "number" ? [dim] : dim, rank);
  const kept = shape.map((_, d) => d).filter((d) => shape[d] !== 1 || (dropped && !dropped.includes(d)));
  return named(whole(input, kept), dim === undefined ? "SqueezeBackward0" : "SqueezeBackward1");
}

/** With a dimension of length 1 inserted before `dim`. */
export function unsqueeze(input: Tensor, dim: number): Tensor {
  const at = normalizeDim(dim, input.ndim, 1);
  const origin = input.shape.map((_, d) => d);
  origin.splice(at, 0, -1);
  return named(whole(input, origin), "UnsqueezeBackward0");
}

/** All of a tensor, with these of its dimensions (-1: a new one). */
function whole(input: Tensor, origin: readonly number[]): Tensor {
  const { shape } = input;
  const part = { begin: shape.map(() => 0), end: shape, step: shape.map(() => 1) };
  return new SliceView(
    input,
    part,
    origin,
    origin.map((d) => (d < 0 ? 1 : shape[d]!)),
  ).make();
}

/**
 * Dimensions in another order; a view.
 * @throws TensorError "permute(): duplicate dims are not allowed."
 */
export function permute(input: Tensor, ...dims: Sizes): Tensor {
  const given = sizesOf(dims);
  if (given.length !== input.ndim) {
    throw new TensorError(
      "shape",
      `permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = ${input.ndim} is not equal to len(dims) = ${given.length}`,
    );
  }
  const order = given.map((d) => normalizeDim(d, input.ndim));
  if (new Set(order).size !== order.length) {
    throw new TensorError("value", "permute(): duplicate dims are not allowed.");
  }
  return new PermuteView(input, order).make();
}

/** Two dimensions exchanged; a view. */
export function transpose(input: Tensor, dim0: number, dim1: number): Tensor {
  const a = normalizeDim(dim0, input.ndim);
  const b = normalizeDim(dim1, input.ndim);
  const order = input.shape.map((_, d) => (d === a ? b : d === b ? a : d));
  return named(new PermuteView(input, order).make(), "TransposeBackward0");
}

/**
 * The transpose of a matrix, as a view; vectors stay as they are.
 * @throws TensorError "t() expects a tensor with <= 2 dimensions, but self is 3D"
 */
export function t(input: Tensor): Tensor {
  requireMatrix("t()", input);
  return named(input.ndim < 2 ? whole(input, [...input.shape.keys()]) : transpose(input, 0, 1), "TBackward0");
}

/** Dimensions moved to other places, the others keeping their order; a view. */
export function movedim(input: Tensor, source: Dims, destination: Dims): Tensor {
  const from = orderedDims(typeof source === "number" ? [source] : source, input.ndim);
  const to = orderedDims(typeof destination === "number" ? [destination] : destination, input.ndim);
  if (from.length !== to.length) {
    throw new TensorError(
      "value",
      `movedim: Invalid source or destination dims: source (${formatShape(from)} dims) should contain the same number of dims as destination (${formatShape(to)} dims)`,
    );
  }
  const rest = input.shape.map((_, d) => d).filter((d) => !from.includes(d));
  const order = input.shape.map((_, d) => (to.includes(d) ? from[to.indexOf(d)]! : rest.shift()!));
  return new PermuteView(input, order).make();
}

/**
 * Dimensions of length 1 repeated to a larger shape, without copying; -1 keeps a size.
 * @throws TensorError "The expanded size of the tensor (3) must match the existing size (2) at non-singleton dimension 0. …"
 */
export function expand(input: Tensor, ...shape: Sizes): Tensor {
  const given = sizesOf(shape);
  const lead = given.length - input.ndim;
  if (lead < 0) {
    throw new TensorError(
      "shape",
      `expand(torch.${SCALAR_TYPE[input.dtype]}Tensor{${formatShape(input.shape)}}, size=${formatShape(given)}): the number of sizes provided (${given.length}) must be greater or equal to the number of dimensions in the tensor (${input.ndim})`,
    );
  }
  const target = given.map((n, d) => {
    if (n !== -1) return n;
    if (d < lead) {
      throw new TensorError(
        "shape",
        `The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension ${d}`,
      );
    }
    return input.shape[d - lead]!;
  });
  return new ExpandView(input, target).make();
}

/** Expanded to the shape of another tensor. */
export function expandAs(input: Tensor, other: Tensor): Tensor {
  return expand(input, other.shape);
}

/** The input expanded to a shape it broadcasts to. */
export function broadcastTo(input: Tensor, ...shape: Sizes): Tensor {
  return expand(input, sizesOf(shape));
}

/**
 * Tensors joined along an existing dimension.
 * @throws TensorError "Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 for tensor number 1 in the list."
 */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  if (tensors.length === 0) {
    throw new TensorError("value", "torch.cat(): expected a non-empty list of Tensors");
  }
  let { dtype } = tensors[0]!;
  let filled: Tensor[] = [];
  // Batches of single samples are joined: one pass over many tensors.
  for (const x of tensors) {
    const { shape } = x.value;
    if (shape.length === 0) {
      const at = tensors.indexOf(x);
      throw new TensorError("shape", `zero-dimensional tensor (at position ${at}) cannot be concatenated`);
    }
    dtype = promoteTypes(dtype, x.dtype);
    // PyTorch skips empty vectors, whatever the others' shape.
    if (shape.length > 1 || shape[0] !== 0) filled.push(x);
  }
  if (filled.length === 0) filled = [...tensors];
  const at = normalizeDim(dim, filled[0]!.ndim);
  return apply(
    ops.cat,
    filled.map((x) => castTo(x, dtype)),
    { dim: at },
  );
}

/**
 * Tensors of one shape joined along a new dimension.
 * @throws TensorError "stack expects each tensor to be equal size, but got [2, 3] at entry 0 and [2, 4] at entry 1"
 */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  const first = tensors[0];
  if (first === undefined) throw new TensorError("value", "stack expects a non-empty TensorList");
  tensors.forEach((x, i) => {
    if (sameShape(x.shape, first.shape)) return;
    throw new TensorError(
      "shape",
      `stack expects each tensor to be equal size, but got ${formatShape(first.shape)} at entry 0 and ${formatShape(x.shape)} at entry ${i}`,
    );
  });
  const at = normalizeDim(dim, first.ndim, 1);
  const shape = first.shape.toSpliced(at, 0, 1);
  return composed(() =>
    named(
      cat(
        tensors.map((x) => reshaped(x, shape)),
        at,
      ),
      "StackBackward0",
    ),
  );
}

/** Elements in reverse order along `dims`; a copy. */
export function flip(input: Tensor, ...dims: Sizes): Tensor {
  const ordered = orderedDims(sizesOf(dims), input.ndim);
  return input.ndim === 0 ? copied(input) : apply(ops.flip, [input], { dims: ordered });
}

/** Elements moved `shifts` places along `dims`, those that fall off coming in at the other end. */
export function roll(input: Tensor, shifts: Dims, dims?: Dims): Tensor {
  const by = typeof shifts === "number" ? [shifts] : shifts;
  if (dims === undefined || (Array.isArray(dims) && dims.length === 0)) {
    if (by.length !== 1) {
      throw new TensorError("value", `shifts and dimensions must align. shifts: ${by.length}, dims:0`);
    }
    return composed(() =>
      named(reshaped(roll(reshaped(input, [input.numel()]), by, 0), input.shape), "RollBackward0"),
    );
  }
  const along = typeof dims === "number" ? [dims] : dims;
  if (input.ndim === 0)
    throw new TensorError("index", `Dimension specified as ${along[0]} but tensor has no dimensions`);
  if (by.length !== along.length) {
    throw new TensorError(
      "value",
      `shifts and dimensions must align. shifts: ${by.length}, dims:${along.length}`,
    );
  }
  const rolled = composed(() =>
    along.reduce((x, d, i) => rollOne(x, by[i]!, normalizeDim(d, x.ndim)), input),
  );
  return rolled === input ? copied(input) : rolled;
}

function rollOne(x: Tensor, shift: number, dim: number): Tensor {
  const length = x.shape[dim]!;
  const cut = length === 0 ? 0 : ((-shift % length) + length) % length;
  if (cut === 0) return x;
  const parts = [sliceAlong(x, dim, cut, length), sliceAlong(x, dim, 0, cut)];
  return named(apply(ops.cat, parts, { dim }), "RollBackward0");
}

interface MeshOptions {
  indexing?: "ij" | "xy";
}

/** Coordinates of a grid: for vectors of lengths n, m, …, as many tensors of shape [n, m, …] (`indexing` "ij"). */
export function meshgrid(...given: readonly [...TensorList, options?: MeshOptions]): Tensor[] {
  const last = given[given.length - 1];
  const named = last === undefined || last instanceof Tensor || Array.isArray(last) ? undefined : last;
  const tensors = listOf((named === undefined ? given : given.slice(0, -1)) as TensorList);
  const options = (named ?? {}) as MeshOptions;
  for (const { ndim, shape } of tensors) {
    if (ndim <= 1) continue;
    throw new TensorError(
      "shape",
      `torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got one of size ${formatShape(shape)}`,
    );
  }
  const { indexing = "ij" } = options;
  if (indexing !== "ij" && indexing !== "xy") {
    throw new TensorError(
      "value",
      `torch.meshgrid: indexing must be one of "xy" or "ij", but received: ${String(indexing)}`,
    );
  }
  const swap = indexing === "xy" && tensors.length >= 2;
  const order = tensors.map((_, i) => (swap && i < 2 ? 1 - i : i));
  const shape = order.map((i) => tensors[i]!.numel());
  return tensors.map((x, i) => {
    const at = order.indexOf(i);
    const line = shape.map((n, d) => (d === at ? n : 1));
    return expand(reshape(x, line), shape);
  });
}
