import type { Node } from "../recording/graph.ts";
import type { GradientRule } from "../recording/op.ts";

/** Gradient rules that take the place of the op's own. Beside the graph, since hardly any node has one. */
const rules = new WeakMap<Node, GradientRule<object>>();
let any = false;

/** Whether a node's gradient may be the user's own: such a backward is recorded each time. */
export const anyCustomGradients = (): boolean => any;

export const customGradient = (node: Node): GradientRule<object> | undefined =>
  any ? rules.get(node) : undefined;

/** Has `rule` compute the gradients of a node's inputs. */
export function setCustomGradient(node: Node, rule: GradientRule<object>): void {
  rules.set(node, rule);
  any = true;
}
