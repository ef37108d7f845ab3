// Whether a tensor fits into memory, asked before anything of its size is made.
import { constants } from "node:buffer";
import { totalmem } from "node:os";
import { TensorError } from "./errors.ts";
import { formatShape, numel, type Shape } from "./shape.ts";

/** Bytes of an element on the host: int64 is computed in 32 bits. */
const ELEMENT = 4;
/** Kernels count elements in 32 bits. */
const COUNTED = 2 ** 31 - 1;
const MOST = Math.min(COUNTED, constants.MAX_LENGTH / ELEMENT, totalmem() / ELEMENT);

/** @throws TensorError "not enough memory for a tensor of size [2147483648]" */
export function demandMemory(shape: Shape): void {
  if (numel(shape) > MOST)
    throw new TensorError("value", `not enough memory for a tensor of size ${formatShape(shape)}`);
}
