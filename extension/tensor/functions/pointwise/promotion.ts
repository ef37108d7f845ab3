// Common types of operands.
import { demandComputable, promoteScalar, promoteTypes, type DType } from "../../core/dtype.ts";
import type { Op } from "../../recording/op.ts";
import { Tensor } from "../../core/tensor.ts";
import { castTo, scalarOf, type Operand } from "./operands.ts";
import { call } from "../../ops/expressions.ts";

/** PyTorch's type of an operation on two operands. */
export function resultType(a: Operand, b: Operand): DType {
  if (a instanceof Tensor)
    return b instanceof Tensor ? promoteTypes(a.dtype, b.dtype) : scalarType(a.dtype, b);
  return b instanceof Tensor ? scalarType(b.dtype, a) : promoteScalar(promoteScalar("bool", a), b);
}

function scalarType(dtype: DType, scalar: number | boolean): DType {
  if (dtype !== "float32" && typeof scalar === "number") demandComputable(scalar);
  return promoteScalar(dtype, scalar);
}

/** An operand as a tensor of a type. */
export function operand(x: Operand, dtype: DType): Tensor {
  return x instanceof Tensor ? castTo(x, dtype) : scalarOf(x, dtype);
}

/** The op on both operands, converted to `dtype` (their common type by default). */
export function binary(op: Op<object>, a: Operand, b: Operand, dtype = resultType(a, b)): Tensor {
  return call(op, operand(a, dtype), operand(b, dtype));
}

/** Both operands as tensors of their common type. */
export function promoted(a: Operand, b: Operand): [Tensor, Tensor] {
  const dtype = resultType(a, b);
  return [operand(a, dtype), operand(b, dtype)];
}

export interface Scales {
  /** Of the input. Default 1. */
  beta?: number;
  /** Of the product. Default 1. */
  alpha?: number;
}

/** The factors converted to the type of the sum, as PyTorch does it: those of integers lose their fractions. */
export function scalesOf(dtype: DType, { beta = 1, alpha = 1 }: Scales): Required<Scales> {
  const converted = (x: number): number =>
    dtype === "bool" ? Math.sign(Math.abs(x)) : dtype === "int64" ? Math.trunc(x) : x;
  return { beta: converted(beta), alpha: converted(alpha) };
}
