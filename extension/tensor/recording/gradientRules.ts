// Runs the gradient rules of the op table.
import { internal, TensorError } from "../core/errors.ts";
import { Tensor } from "../core/tensor.ts";
import { customGradient } from "../differentiation/customGradients.ts";
import { fillValue, type Node } from "./graph.ts";
import type { GradientContext, GradientRule, OpRecord } from "./op.ts";
import { scope } from "./scope.ts";

/** The gradients of a node's inputs, by its op's rule. */
export function gradientsOf(node: Node, grads: readonly (Tensor | null)[]): readonly (Tensor | null)[] {
  const rule = customGradient(node) ?? (node.op as OpRecord<object>).gradient;
  if (typeof rule !== "function") {
    throw new TensorError("autograd", `derivative for ${node.op.name} is not implemented: ${rule.none}`);
  }
  if (scope.sites) scope.forward = node;
  try {
    return applied(rule, node, grads);
  } finally {
    scope.forward = undefined;
  }
}

function applied(
  rule: GradientRule<object>,
  node: Node,
  grads: readonly (Tensor | null)[],
): readonly (Tensor | null)[] {
  const result = rule(new Context(node, grads));
  if (result.length !== node.inputs.length) {
    internal(`gradient of ${node.op.name} has ${result.length} parts for ${node.inputs.length} inputs`);
  }
  return result;
}

/** Makes the tensors that a rule asks for. */
class Context implements GradientContext<object> {
  readonly grads: readonly (Tensor | null)[];
  readonly attributes: object;
  readonly #node: Node;

  constructor(node: Node, grads: readonly (Tensor | null)[]) {
    this.#node = node;
    this.grads = grads;
    this.attributes = node.attributes;
  }

  get inputs(): Tensor[] {
    const { inputs, edges } = this.#node;
    const tensors: Tensor[] = [];
    for (let i = 0; i < inputs.length; i++) tensors.push(new Tensor(inputs[i]!, edges![i]));
    return tensors;
  }

  get outputs(): Tensor[] {
    const node = this.#node;
    return node.outputs.map(
      (v, index) =>
        new Tensor(v, v.dtype === "float32" ? { node, index, name: undefined, leaf: undefined } : undefined),
    );
  }

  get grad(): Tensor {
    return this.grads[0] ?? new Tensor(fillValue(0, this.#node.outputs[0]!.shape, "float32"));
  }

  get needs(): boolean[] {
    const { edges } = this.#node;
    const needs: boolean[] = [];
    for (let i = 0; i < edges!.length; i++) needs.push(edges![i] !== undefined);
    return needs;
  }
}
