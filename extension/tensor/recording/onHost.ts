// Parts of tensors that are on the host, such as a sample of a data set: copied where they are taken, without a graph.
import { allocate, type HostArray } from "../core/dtype.ts";
import type { Meta } from "../core/meta.ts";
import { numel } from "../core/shape.ts";
import type { Tensor } from "../core/tensor.ts";
import { copy } from "../planning/plain.ts";
import { dataValue, type Value } from "./graph.ts";
import type { Op } from "./op.ts";
import { runtime } from "./runtime.ts";
import { scope } from "./scope.ts";

/** Elements copied at once at most: up to here, the copy takes no longer than recording and running one op (10-20 µs). */
const MOST = 65_536;

/**
 * Whether the user's own loop moves elements that are on the host. A module's graph stays whole, as exports and diagrams
 * need it. So does that of a training, whose next steps are predicted from its batches.
 */
export function movesOnHost<A extends object>(op: Op<A>, inputs: readonly Tensor[]): boolean {
  if (op.moves !== true || scope.depth > 0) return false;
  const { executor, inspector, policy } = runtime;
  if (executor === undefined || inspector !== undefined || policy.compileAtOnce) return false;
  if (scope.onNode !== undefined) return false;
  for (const t of inputs) {
    if (t.edge !== undefined || t.storage !== undefined) return false;
    const { value } = t;
    const { data } = value;
    if (data === undefined || data instanceof Float64Array || value.producer.kind === "state") return false;
  }
  return true;
}

/** The output of an op that {@link movesOnHost}; undefined where it is too large. */
export function movedOnHost<A extends object>(
  op: Op<A>,
  values: readonly Value[],
  output: Meta,
  attributes: A,
): Value | undefined {
  const { shape, dtype } = output;
  const size = numel(shape);
  const kernel = op.plain?.({ inputs: values, outputs: [output] }, attributes);
  if (kernel === copy) return dataValue(values[0]!.data!, shape, dtype);
  if (kernel === undefined || size > MOST) return undefined;
  const data: HostArray = allocate(dtype, size);
  kernel(
    values.map((value) => value.data!),
    [data],
  );
  return dataValue(data, shape, dtype);
}
