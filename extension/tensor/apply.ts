import { TensorError } from "./errors.ts";
import { Node, scalarValue, type GradientEdge, type Value } from "./graph.ts";
import type { Meta, Op } from "./op.ts";
import { scope } from "./scope.ts";
import { Tensor } from "./tensor.ts";

/** Records an op that has several outputs. Shapes and dtypes are checked now, at the user's line. */
export function applyAll<A extends object>(op: Op<A>, inputs: readonly Tensor[], attributes: A): Tensor[] {
  const values = inputs.map((t) => t.value);
  const outputs = infer(op, values, attributes);
  let edges: (GradientEdge | undefined)[] | undefined;
  if (scope.gradients && outputs.some((m) => m.dtype === "float32")) {
    for (let i = 0; i < inputs.length; i++) {
      const edge = inputs[i]!.edge;
      if (edge !== undefined) (edges ??= Array.from({ length: inputs.length }))[i] = edge;
    }
  }
  const node = new Node(op, attributes, values, outputs, edges);
  return node.outputs.map((v, index) =>
    edges !== undefined && v.dtype === "float32" ? new Tensor(v, { node, index }) : new Tensor(v),
  );
}

/** Records an op of one output. */
export function apply<A extends object>(op: Op<A>, inputs: readonly Tensor[], attributes: A): Tensor {
  return applyAll(op, inputs, attributes)[0]!;
}

function infer<A extends object>(op: Op<A>, values: readonly Value[], attributes: A): readonly Meta[] {
  try {
    const outputs = op.infer(values, attributes);
    return Array.isArray(outputs) ? outputs : [outputs as Meta];
  } catch (error) {
    if (error instanceof TensorError) {
      error.op ??= op.name;
      if (scope.path !== "") error.module ??= scope.path;
    }
    throw error;
  }
}

/** A number as a 0-d tensor. Varying ones are inputs of a compiled graph: learning rates, step counts. */
export function scalarTensor(value: number, varying = false): Tensor {
  return new Tensor(scalarValue(value, "float32", varying));
}
