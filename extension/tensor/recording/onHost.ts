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
import { MAX_COPIED_ELEMENTS, MAX_MOVES_ON_READ, MAX_SCATTERED_ELEMENTS } from "../tuning.ts";

/**
 * Whether the user's own loop moves elements that are on the host. A module's graph stays whole, as exports and diagrams
 * need it. So does that of a training, whose next steps are predicted from its batches.
 */
export function movesOnHost<A extends object>(
  op: Op<A>,
  inputs: readonly Tensor[],
  values: readonly Value[],
): boolean {
  if (op.moves !== true || scope.depth > 0) return false;
  if (!isAllowed() || scope.onNode !== undefined) return false;
  for (let i = 0; i < inputs.length; i++) {
    const t = inputs[i]!;
    if (t.edge !== undefined || t.storage !== undefined) return false;
    if (values[i]!.producer.kind === "state") return false;
  }
  // Numbers everywhere alone stay numbers, which need no array.
  let known = false;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const data = dataAtHand(value);
    if (data instanceof Float64Array || (data === undefined && numberOf(value) === undefined)) return false;
    if (data !== undefined) known = true;
  }
  return known;
}

/** The number that a value is everywhere, which keeps no array for it; undefined for other values. */
function numberOf({ producer, dtype }: Value): number | undefined {
  let from = producer;
  while (from.kind === "node") {
    const input = from.op.keepsElements === true ? from.inputs[0]! : undefined;
    if (input?.dtype !== dtype) return undefined;
    from = input.producer;
  }
  return from.kind === "scalar" || from.kind === "fill" ? from.value : undefined;
}

/** The elements of a value that {@link movesOnHost} has found at hand. */
const elementsOf = (value: Value): HostArray =>
  value.data ?? allocate(value.dtype, numel(value.shape)).fill(numberOf(value)!);

/**
 * Returns the values if they are on the host, or can be brought there without the executor: outputs of ops that only move
 * elements, and draws of up to 65,536 numbers. Undefined otherwise, and for draws of a training, which are inputs of its graph.
 */
export function dataAtHand(value: Value): HostArray | undefined {
  const { data, producer } = value;
  if (data !== undefined) return data;
  if (producer.kind === "node") return movedWhenRead(value) ? value.data : undefined;
  if (producer.kind !== "random" || numel(value.shape) > MAX_COPIED_ELEMENTS || !isAllowed())
    return undefined;
  return (value.data = producer.draw.values());
}

/** Whether values may be computed on the host: not beside a training's graph, nor where an inspector is shown each op. */
function isAllowed(): boolean {
  const { executor, inspector, policy } = runtime;
  return executor !== undefined && inspector === undefined && !policy.compileAtOnce;
}

/** Computes a value on the host that is made of elements there, such as one row of a result: whether it could. */
export function movedWhenRead(value: Value, most = MAX_MOVES_ON_READ): boolean {
  const { producer, ready } = value;
  if (ready || producer.kind !== "node" || producer.op.moves !== true || most === 0) return false;
  if (producer.outputs.length !== 1 || !isAllowed()) return false;
  const { inputs, op, attributes } = producer;
  for (const input of inputs) {
    if (input.data instanceof Float64Array) return false;
    if (input.data !== undefined || numberOf(input) !== undefined) continue;
    if (input.ready || !movedWhenRead(input, most - 1)) return false;
  }
  const moved = movedOnHost(op, inputs, value, attributes);
  if (moved === undefined) return false;
  value.data = moved.data;
  // Inside a forward, what is read there may still be exported as it was recorded.
  if (scope.depth === 0) value.settle();
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
  if (kernel === copy) return dataValue(elementsOf(values[0]!), shape, dtype);
  if (kernel === undefined || size > (kernel.scattered ? MAX_SCATTERED_ELEMENTS : MAX_COPIED_ELEMENTS))
    return undefined;
  const data: HostArray = allocate(dtype, size);
  kernel(values.map(elementsOf), [data]);
  return dataValue(data, shape, dtype);
}
