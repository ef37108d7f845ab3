// Building blocks of gradients.
import type { DType } from "../core/dtype.ts";
import { Tensor } from "../core/tensor.ts";
import type { Shape } from "../core/shape.ts";
import { apply } from "../recording/apply.ts";
import { fillValue } from "../recording/graph.ts";
import type { Op } from "../recording/op.ts";

/** Records an op without attributes. */
export const call = (op: Op<object>, ...inputs: Tensor[]): Tensor => apply(op, inputs, {});

/** A number that broadcasts. */
export const constant = (value: number, dtype: DType = "float32"): Tensor => filled(value, [], dtype);

/** One number everywhere. */
export const filled = (value: number, shape: Shape, dtype: DType = "float32"): Tensor =>
  new Tensor(fillValue(value, shape, dtype));

export const zeros = (shape: Shape, dtype?: DType): Tensor => filled(0, shape, dtype);
