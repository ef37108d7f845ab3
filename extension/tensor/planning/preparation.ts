// Steps that differ only in how their batch is prepared, such as by random shifts and flips: the preparation is
// computed first, and the rest of all steps shares one plan.
import { numel } from "../core/shape.ts";
import type { Node, Value } from "../recording/graph.ts";
import { costOf } from "../recording/op.ts";
import type { Plan, Request } from "./executor.ts";
import { buildPlan } from "./plan.ts";
import { MAX_PREPARED_BODIES, MIN_PREPARED_MACS } from "../tuning.ts";

/** By key of a plan without its preparation: the key of the whole, or undefined where there were several. */
const bodies = new Map<string, string | undefined>();
/**
 * Checksums of such plans. Naming a plan takes as long as building it, and one with a checksum of its own isn't an earlier one: a program
 * whose steps all differ would name each in vain.
 */
const checksums = new Set<number>();

/**
 * Returns the plan of values to compute before a step, so that the rest has the plan of an earlier step.
 * @returns undefined where the step is computed as a whole
 */
export function preparationOf(plan: Plan, request: Request): Plan | undefined {
  const { nodes, key, assigns, lazy } = plan;
  if (assigns.length + lazy.length === 0) return undefined;
  if (!hasMacs(nodes, MIN_PREPARED_MACS)) return undefined;
  const { prepared, checksum } = nodesBefore(nodes);
  if (prepared.size === 0) return undefined;
  if (!checksums.has(checksum)) {
    if (checksums.size === MAX_PREPARED_BODIES) checksums.clear();
    checksums.add(checksum);
    return undefined;
  }
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

function hasMacs(nodes: readonly Node[], least: number): boolean {
  let macs = 0;
  return nodes.some((node) => (macs += costOf(node)) >= least);
}

/** A request without values that are computed already. */
export const remaining = (request: Request): Request => {
  const pending = (values: readonly Value[]): Value[] => values.filter(({ ready }) => !ready);
  return { ...request, requested: pending(request.requested), held: pending(request.held) };
};

/** Nodes that don't depend on anything a training changes, and a checksum of all others. */
function nodesBefore(nodes: readonly Node[]): { prepared: Set<Node>; checksum: number } {
  const prepared = new Set<Node>();
  const isGiven = ({ ready, producer }: Value): boolean =>
    producer.kind === "node" ? ready || prepared.has(producer) : producer.kind !== "state";
  let checksum = 0;
  for (const node of nodes) {
    const { edges, inputs, outputs } = node;
    if (edges === undefined && inputs.every(isGiven)) prepared.add(node);
    else checksum = (31 * checksum + 7 * inputs.length + numel(outputs[0]!.shape)) | 0;
  }
  return { prepared, checksum };
}
