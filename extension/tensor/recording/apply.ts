import { TensorError, WHOLE_HINT } from "../core/errors.ts";
import { isList, Node, scalarValue, type GradientEdge, type SampleRecording, type Value } from "./graph.ts";
import { movedOnHost, movesOnHost } from "./onHost.ts";
import type { Meta, Op } from "./op.ts";
import { computeNow, computePiece } from "../planning/barrier.ts";
import { runtime } from "./runtime.ts";
import { scope } from "./scope.ts";
import { denseStrides, formatShape, numel, sameShape } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { MAX_PENDING_BYTES } from "../tuning.ts";

// Everything here runs for every op of every step: plain loops, and no array that isn't kept.

/** Records an op that has several outputs. Shapes and dtypes are checked now, at the user's line. */
export function applyAll<A extends object>(op: Op<A>, inputs: readonly Tensor[], attributes: A): Tensor[] {
  const node = record(op, inputs, valuesOf(inputs), attributes);
  return node.outputs.map((_, index) => output(node, index));
}

/** Records an op of one output, or moves elements that are on the host. */
export function apply<A extends object>(op: Op<A>, inputs: readonly Tensor[], attributes: A): Tensor {
  const values = valuesOf(inputs);
  const moved = movesOnHost(op, inputs, values) ? atOnce(op, values, attributes) : undefined;
  if (moved !== undefined) return new Tensor(moved);
  const result = output(record(op, inputs, values, attributes), 0);
  return op.layout === "elementwise" ? inOrderOf(result, inputs) : result;
}

/** PyTorch gives a result the memory order of the first input of its shape: dropout, for example, draws in that order. */
function inOrderOf(result: Tensor, inputs: readonly Tensor[]): Tensor {
  const { shape } = result.value;
  for (const input of inputs) {
    if (!sameShape(input.value.shape, shape)) continue;
    const steps = input.viewStrides();
    return steps === undefined ? result : result.laidOut(denseStrides(shape, steps));
  }
  return result;
}

function valuesOf(inputs: readonly Tensor[]): Value[] {
  const values: Value[] = [];
  for (let i = 0; i < inputs.length; i++) values.push(inputs[i]!.value);
  return values;
}

function atOnce<A extends object>(op: Op<A>, values: readonly Value[], attributes: A): Value | undefined {
  const meta = infer(op, values, attributes);
  return isList(meta) ? undefined : movedOnHost(op, values, meta, attributes);
}

function output(node: Node, index: number): Tensor {
  const value = node.outputs[index]!;
  return node.edges !== undefined && value.dtype === "float32"
    ? new Tensor(value, { node, index, name: undefined, leaf: undefined })
    : new Tensor(value);
}

function record<A extends object>(
  op: Op<A>,
  inputs: readonly Tensor[],
  values: readonly Value[],
  attributes: A,
): Node {
  const outputs = infer(op, values, attributes);
  let edges: (GradientEdge | undefined)[] | undefined;
  if (scope.gradients && hasFloat(outputs)) {
    for (const t of inputs) {
      if (t.edge === undefined) continue;
      edges = [];
      for (const each of inputs) edges.push(each.edge);
      break;
    }
  }
  if (scope.sample !== undefined) {
    const sample = sampleOf(scope.sample, values);
    if (sample !== undefined) return sample.add(op, attributes, values, outputs, edges);
  }
  const node = new Node(op, attributes, values, outputs, edges);
  countPending(node);
  const surplus = runtime.trace.add(node);
  if (surplus.length > 0) computeNow(surplus);
  if (scope.depth === 0) computePiece();
  return node;
}

/**
 * Computes the inputs of a node that would make too large a graph: a program that writes to part after part of a tensor, and reads
 * nothing, would run out of memory.
 */
function countPending({ inputs, outputs, edges }: Node): void {
  let bytes = 0;
  for (const input of inputs) if (input.pendingBytes > bytes && !input.ready) bytes = input.pendingBytes;
  if (bytes > MAX_PENDING_BYTES && !runtime.policy.compileAtOnce) {
    computeNow([...inputs, ...runtime.trace.cut(0)]);
    bytes = 0;
  }
  // Only what the user's own loop records, and what PyTorch wouldn't hold for a gradient: a model is as large as the user made it.
  const { depth, hidden, gradients } = scope;
  // A function of several ops records without gradients only where the user does, or where it is `backward()` or an optimizer.
  const isOwn = depth === 0 || (depth === hidden && gradients);
  if (isOwn && edges === undefined) for (const { shape } of outputs) bytes += 4 * numel(shape);
  for (const output of outputs) output.pendingBytes = bytes;
}

/** The innermost recording of one sample that an input belongs to. */
function sampleOf(innermost: SampleRecording, inputs: readonly Value[]): SampleRecording | undefined {
  let sample: SampleRecording | undefined = innermost;
  for (; sample !== undefined; sample = sample.outer) {
    for (const input of inputs) if (sample.has(input)) return sample;
  }
  return undefined;
}

const hasFloat = (outputs: Meta | readonly Meta[]): boolean =>
  isList(outputs) ? outputs.some((m) => m.dtype === "float32") : outputs.dtype === "float32";

function infer<A extends object>(op: Op<A>, values: readonly Value[], attributes: A): Meta | readonly Meta[] {
  try {
    const meta = op.infer(values, attributes);
    if (isList(meta)) for (const { shape } of meta) checkWhole(shape);
    else checkWhole(meta.shape);
    return meta;
  } catch (error) {
    if (error instanceof TensorError) {
      error.op ??= op.name;
      if (scope.path !== "") error.module ??= scope.path;
    }
    throw error;
  }
}

/** @throws TensorError for a size with a fraction, as a division makes it that Python writes as `//` */
function checkWhole(shape: readonly number[]): void {
  for (let d = 0; d < shape.length; d++) {
    if (Number.isInteger(shape[d])) continue;
    throw new TensorError(
      "shape",
      `sizes must be integers, but the result would have shape ${formatShape(shape)}`,
      WHOLE_HINT,
    );
  }
}

/** A number as a 0-d tensor. Varying ones are inputs of a compiled graph: learning rates, step counts. */
export function scalarTensor(value: number, varying = false): Tensor {
  return new Tensor(scalarValue(value, "float32", varying));
}
