// Steps that differ only in how their batch is prepared, such as by random shifts and flips: the preparation is
// computed first, and the rest of all steps shares one plan.
import type { Node, Value } from "../recording/graph.ts";
import { costOf } from "../recording/op.ts";
import type { Plan, Request } from "./executor.ts";
import { buildPlan } from "./plan.ts";
import { MAX_PREPARED_BODIES, MIN_PREPARED_MACS } from "../tuning.ts";

/** By key of a plan without its preparation: the key of the whole, or undefined where there were several. */
const bodies = new Map<string, string | undefined>();

/**
 * Returns the plan of values to compute before a step, so that the rest has the plan of an earlier step.
 * @returns undefined where the step is computed as a whole
 */
export function preparationOf(plan: Plan, request: Request): Plan | undefined {
  const { nodes, key, assigns, lazy } = plan;
  if (assigns.length + lazy.length === 0) return undefined;
  if (nodes.reduce((sum, node) => sum + costOf(node), 0) < MIN_PREPARED_MACS) return undefined;
  const prepared = nodesBefore(nodes);
  if (prepared.size === 0) return undefined;
  const body = buildPlan(request, prepared);
  const known = bodies.has(body.key);
  const varies = known && bodies.get(body.key) !== key;
  bodies.delete(body.key);
  bodies.set(body.key, known && varies ? undefined : key);
  if (bodies.size > MAX_PREPARED_BODIES) bodies.delete(bodies.keys().next().value!);
  if (!varies) return undefined;
  const requested = body.leaves.filter(({ producer }) => producer.kind === "node" && prepared.has(producer));
  return buildPlan({ requested, assigns: [], lazy: [], held: [] });
}

/** A request without values that are computed already. */
export const remaining = (request: Request): Request => {
  const pending = (values: readonly Value[]): Value[] => values.filter(({ ready }) => !ready);
  return { ...request, requested: pending(request.requested), held: pending(request.held) };
};

/** Nodes that don't depend on anything a training changes. */
function nodesBefore(nodes: readonly Node[]): Set<Node> {
  const found = new Set<Node>();
  const isGiven = ({ ready, producer }: Value): boolean =>
    producer.kind === "node" ? ready || found.has(producer) : producer.kind !== "state";
  for (const node of nodes) if (node.edges === undefined && node.inputs.every(isGiven)) found.add(node);
  return found;
}
