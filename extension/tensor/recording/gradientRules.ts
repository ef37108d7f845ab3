// Runs the gradient rules of the op table.
import { internal, TensorError } from "../core/errors.ts";
import { Tensor } from "../core/tensor.ts";
import { customGradient } from "../differentiation/customGradients.ts";
import { fillValue, type GradientEdge, type Node, type Value } from "./graph.ts";
import type { GradientContext, GradientRule, OpRecord } from "./op.ts";
import { scope } from "./scope.ts";
import { checkSaved, isLost } from "./version.ts";
import { wantedEdges } from "./walk.ts";

/**
 * The gradients of a node's inputs, by its op's rule.
 * @param needs the inputs whose gradients are wanted: by default all that have edges
 */
export function gradientsOf(
  node: Node,
  grads: readonly (Tensor | null)[],
  needs?: readonly boolean[],
): readonly (Tensor | null)[] {
  const rule = customGradient(node) ?? (node.op as OpRecord<object>).gradient;
  if (typeof rule !== "function") {
    throw new TensorError("autograd", `derivative for ${node.op.name} is not implemented: ${rule.none}`);
  }
  if (scope.sites) scope.forward = node;
  try {
    return applied(rule, node, grads, needs);
  } finally {
    scope.forward = undefined;
  }
}

function applied(
  rule: GradientRule<object>,
  node: Node,
  grads: readonly (Tensor | null)[],
  needs: readonly boolean[] | undefined,
): readonly (Tensor | null)[] {
  if (node.saved !== undefined) for (const value of node.saved) checkSaved(value, undefined, node);
  const result = rule(new Context(node, grads, needs));
  if (result.length !== node.inputs.length) {
    internal(`gradient of ${node.op.name} has ${result.length} parts for ${node.inputs.length} inputs`);
  }
  return result;
}

/** Refuses what PyTorch refuses, where that doesn't follow from the values that the rule uses. */
function checkInputs(node: Node, used: readonly boolean[]): void {
  const { inputs, edges } = node;
  for (let i = 0; i < inputs.length; i++) if (used[i] === true) checkSaved(inputs[i]!, edges![i], node);
}

/** An input or output that the gradient may not use: only its shape and type are known. */
class Lost extends Tensor {
  readonly #node: Node;

  constructor(value: Value, edge: GradientEdge | undefined, node: Node) {
    super(value, edge);
    this.#node = node;
  }

  override get value(): Value {
    const value = super.value;
    checkSaved(value, this.edge, this.#node);
    return value;
  }
}

/** Makes the tensors that a rule asks for. */
class Context implements GradientContext<object> {
  readonly grads: readonly (Tensor | null)[];
  readonly attributes: object;
  readonly #node: Node;

  readonly #needs: readonly boolean[] | undefined;
  /** Whether it was found already that the gradient may use all of them. */
  readonly #free: boolean;

  constructor(node: Node, grads: readonly (Tensor | null)[], needs: readonly boolean[] | undefined) {
    this.#node = node;
    this.#needs = needs;
    const { saves } = node.op;
    this.#free = saves !== undefined;
    if (saves !== undefined) checkInputs(node, saves(this.needs));
    this.grads = grads;
    this.attributes = node.attributes;
  }

  get inputs(): Tensor[] {
    const { inputs, edges } = this.#node;
    const tensors: Tensor[] = [];
    for (let i = 0; i < inputs.length; i++) tensors.push(this.#saved(inputs[i]!, edges![i]));
    return tensors;
  }

  #saved(value: Value, edge: GradientEdge | undefined): Tensor {
    return !this.#free && isLost(value, this.#node)
      ? new Lost(value, edge, this.#node)
      : new Tensor(value, edge);
  }

  get needs(): readonly boolean[] {
    return this.#needs ?? wantedEdges(this.#node);
  }

  get outputs(): Tensor[] {
    const node = this.#node;
    return node.outputs.map((v, index) =>
      this.#saved(v, v.dtype === "float32" ? { node, index, name: undefined, leaf: undefined } : undefined),
    );
  }

  get grad(): Tensor {
    return this.grads[0] ?? new Tensor(fillValue(0, this.#node.outputs[0]!.shape, "float32"));
  }
}
