// Largest and smallest elements, and where they are.
import { TensorError } from "../../core/errors.ts";
import { normalizeDim, reducedShape } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { gatherLast } from "../../ops/movement/elements.ts";
import * as ops from "../../ops/reduction/reduction.ts";
import { call } from "../../ops/expressions.ts";
import { apply } from "../../recording/apply.ts";
import type { Op } from "../../recording/op.ts";
import { maximum, minimum } from "../pointwise/arithmetic.ts";
import { castTo, composed, constant, named, type Operand } from "../pointwise/operands.ts";
import { valuesAndIndices, type ValuesAndIndices } from "../results.ts";
import { turned } from "../shape/along.ts";
import { copied, reshaped } from "../shape/views.ts";
import {
  extremum,
  optionsOf,
  type DimArgument,
  type KeepdimArgument,
  type ReduceOptions,
  type Reduction,
} from "./options.ts";

/** Signatures of `max` and `min`. */
export interface Extreme {
  (input: Tensor): Tensor;
  (input: Tensor, other: Tensor): Tensor;
  (input: Tensor, dim: number | ReduceOptions, keepdim?: KeepdimArgument): ValuesAndIndices;
}

/** Parts in which `max` and `min` differ. */
interface Kind {
  readonly name: "max" | "min";
  readonly ofTwo: (input: Tensor, other: Tensor) => Tensor;
  readonly value: Op<Reduction>;
  readonly index: Op<{ dim: number }>;
}

function extreme(kind: Kind): Extreme {
  const f = (input: Tensor, dim?: Operand | ReduceOptions, keepdim?: KeepdimArgument): unknown => {
    if (dim instanceof Tensor) return kind.ofTwo(input, dim);
    if (dim === undefined) return ofAll(kind, input);
    return along(kind, input, optionsOf(dim as DimArgument, keepdim));
  };
  return f as Extreme;
}

/** Largest element of all, or along a dimension with its index, or of two tensors element by element. */
export const max = extreme({ name: "max", ofTwo: maximum, value: ops.amax, index: ops.argmax });
/** Smallest element of all, or along a dimension with its index, or of two tensors element by element. */
export const min = extreme({ name: "min", ofTwo: minimum, value: ops.amin, index: ops.argmin });

function ofAll({ name, value }: Kind, input: Tensor): Tensor {
  if (input.numel() === 0) {
    throw new TensorError(
      "shape",
      `${name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument.`,
    );
  }
  return named(extremum(value, input, {}), name === "max" ? "MaxBackward1" : "MinBackward1");
}

function along({ name, index }: Kind, input: Tensor, options: ReduceOptions): ValuesAndIndices {
  if (typeof options.dim !== "number") {
    throw new TensorError(
      "value",
      `${name}() reduces one dimension: use ${name === "max" ? "amax" : "amin"}`,
    );
  }
  const dim = normalizeDim(options.dim, input.ndim);
  if (input.ndim === 0) return valuesAndIndices(name, copied(input), new Tensor(constant(0, "int64").value));
  const chosen = indexAlong(name, index, input, dim);
  const shape = reducedShape(input.shape, [dim], options.keepdim ?? false);
  const values = composed(() => {
    const rows = [...reducedShape(input.shape, [dim], false), 1];
    const picked = call(gatherLast, turned(input, dim), reshaped(chosen, rows));
    return named(reshaped(picked, shape), name === "max" ? "MaxBackward0" : "MinBackward0");
  });
  return valuesAndIndices(name, values, reshaped(chosen, shape));
}

function indexAlong(name: string, op: Op<{ dim: number }>, input: Tensor, dim: number): Tensor {
  if (input.shape[dim] === 0) {
    throw new TensorError("index", `${name}(): Expected reduction dim ${dim} to have non-zero size.`);
  }
  return apply(op, [castTo(input, input.dtype === "bool" ? "int64" : input.dtype)], { dim });
}

const argument =
  (name: "argmax" | "argmin", op: Op<{ dim: number }>) =>
  (input: Tensor, dim?: number | null | ReduceOptions, keepdim?: KeepdimArgument): Tensor => {
    const options = optionsOf(dim, keepdim);
    const kept = options.keepdim ?? false;
    if (options.dim === undefined || options.dim === null) {
      if (input.numel() === 0) {
        throw new TensorError(
          "index",
          `${name}(): Expected reduction dim to be specified for input.numel() == 0.`,
        );
      }
      const flat = composed(() => indexAlong(name, op, reshaped(input, [input.numel()]), 0));
      return kept ? reshaped(flat, Array<number>(input.ndim).fill(1)) : flat;
    }
    if (typeof options.dim !== "number") throw new TensorError("value", `${name}() reduces one dimension`);
    const at = normalizeDim(options.dim, input.ndim);
    if (input.ndim === 0) return constant(0, "int64");
    const found = indexAlong(name, op, input, at);
    return kept ? reshaped(found, reducedShape(input.shape, [at], true)) : found;
  };

/** Index of the first largest element: of the flattened tensor, or along a dimension. */
export const argmax = argument("argmax", ops.argmax);
/** Index of the first smallest element: of the flattened tensor, or along a dimension. */
export const argmin = argument("argmin", ops.argmin);
