// The order in which gradients visit the nodes of a graph, and the nodes that they visit.
import { fillValue, type GradientEdge, type GraphTensor, type Node } from "./graph.ts";
import { Tensor } from "../core/tensor.ts";

/** Whether each input of a node needs a gradient. */
export function wantedEdges({ edges }: Node): boolean[] {
  const needs: boolean[] = [];
  for (const edge of edges!) needs.push(edge !== undefined);
  return needs;
}

/** The part of a graph through which gradients reach some tensors: PyTorch visits no other. */
export class Paths {
  readonly #leaves = new Set<GraphTensor>();
  readonly #ends = new Map<Node, Tensor[]>();
  readonly #inner = new Map<Node, boolean[]>();

  /** @param order nodes, each after all that use it */
  constructor(order: readonly Node[], wanted: readonly Tensor[]) {
    for (const tensor of wanted) {
      const { edge } = tensor;
      if (edge?.leaf !== undefined) this.#leaves.add(edge.leaf);
      else if (edge !== undefined) {
        const { node } = edge;
        const ends = this.#ends.get(node);
        if (ends === undefined) this.#ends.set(node, [tensor]);
        else ends.push(tensor);
      }
    }
    for (let i = order.length - 1; i >= 0; i--) {
      const node = order[i]!;
      const needs = node.edges!.map((edge) => edge !== undefined && this.#leadsOn(edge));
      if (needs.includes(true)) this.#inner.set(node, needs);
    }
  }

  #leadsOn({ leaf, node }: GradientEdge): boolean {
    if (leaf !== undefined) return this.#leaves.has(leaf);
    return this.#inner.has(node) || this.#ends.has(node);
  }

  /** Which inputs of a node are on these paths; undefined for none. */
  through(node: Node): readonly boolean[] | undefined {
    return this.#inner.get(node);
  }

  /** Whether gradients that go through a node reach wanted tensors, and which of these are outputs of it. */
  behind(node: Node): { inner: boolean; ends: readonly Tensor[] } {
    return { inner: this.#inner.has(node), ends: this.#ends.get(node) ?? [] };
  }

  isWanted(leaf: GraphTensor): boolean {
    return this.#leaves.has(leaf);
  }

  /** Notes the gradients of wanted tensors that are outputs of a node. */
  collect(node: Node, grads: readonly (Tensor | null)[], result: Map<Tensor, Tensor>): void {
    for (const tensor of this.#ends.get(node) ?? []) {
      const grad = grads[tensor.edge!.node === node ? tensor.edge!.index : -1];
      if (grad) result.set(tensor, grad);
    }
  }
}

/**
 * The tensors to which edges lead for which ops have no gradient, since their outputs don't change with these inputs: leaves, or
 * what `paths` lead to. PyTorch's gradients of them are zero.
 */
export function unchanging(dropped: readonly GradientEdge[], paths: Paths | undefined): Set<Tensor> {
  const found = new Set<GraphTensor>();
  const nodes = new Set<Node>();
  const follow = ({ leaf, node }: GradientEdge): void => {
    if (node !== undefined) nodes.add(node);
    else if (paths?.isWanted(leaf) !== false) found.add(leaf);
  };
  dropped.forEach(follow);
  // Grows while it is iterated.
  for (const node of nodes) {
    const { inner, ends } = paths?.behind(node) ?? { inner: true, ends: [] };
    for (const tensor of ends) found.add(tensor);
    if (inner) for (const edge of node.edges!) if (edge !== undefined) follow(edge);
  }
  return found as Set<Tensor>;
}

/** A gradient that is zero. */
export function zeroGradient({ shape, dtype }: Tensor, createGraph: boolean): Tensor {
  const none = new Tensor(fillValue(0, shape, dtype));
  return createGraph ? none.requiresGrad_() : none;
}

/** Marks a node as freed: the values saved for its gradient are gone. */
export function free(node: Node): void {
  node.freed = true;
  if (node.stretch !== undefined) node.stretch.freed = true;
}

/** Number of walks so far: the nodes that a walk has visited have its number. */
let walks = 0;

/** Nodes between the roots and the leaves that require gradients, each after all that use it. */
export function topological(roots: readonly Tensor[], ends: readonly Node[] = []): Node[] {
  const order: Node[] = [];
  const walk = ++walks;
  for (const node of ends) node.walk = walk;
  const stack: Node[] = [];
  const next: number[] = [];
  const enter = (node: Node | undefined): void => {
    if (node === undefined || node.walk === walk) return;
    node.walk = walk;
    stack.push(node);
    next.push(0);
  };
  for (let i = roots.length - 1; i >= 0; i--) {
    enter(roots[i]!.edge?.node);
    while (stack.length > 0) {
      const last = stack.length - 1;
      const edges = stack[last]!.edges!;
      const at = next[last]!;
      if (at === edges.length) {
        order.push(stack.pop()!);
        next.pop();
      } else {
        next[last] = at + 1;
        enter(edges[at]?.node);
      }
    }
  }
  return order.reverse();
}
