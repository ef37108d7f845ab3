// Which trainings XLA compiles. Small steps cost TensorFlow more for its nodes than for what they compute; compiled, a
// step of a few thousand multiply-adds takes a fifth of the time. Compiling takes half a second, and large matrix products
// gain nothing, so it is for steps that are small and come again and again.
import { createHash } from "node:crypto";
import { costOf } from "../../tensor/op.ts";
import type { Plan, SteadyGraph } from "../../tensor/runtime.ts";
import { numel } from "../../tensor/shape.ts";

/** Steps of one graph from which on it is compiled: about as many as it takes to win back what compiling takes. */
export const SETTLED = 4096;
/** What a step of another graph takes off the count: graphs that take turns cost more calls than XLA saves. */
const INTERRUPTION = 32;
/** Multiply-adds of a step at most. */
const LARGEST = 3e6;
/** Numbers that a step is fed at most: as many are kept for each step of a call. */
const FED = 32_768;
/** TensorFlow nodes of a step at most: compiling takes a millisecond for each. */
export const MOST_NODES = 600;

/** Why XLA isn't to compute a training step, however often it comes; undefined for one that suits it. */
export function whyNotXla(plan: Plan): string | undefined {
  if (plan.assigns.length === 0 || plan.lazy.length > 0) return "steps of it are computed one by one";
  const strange = plan.nodes.find(({ op }) => op.xla !== true && op.layout !== "elementwise");
  if (strange !== undefined) return `${strange.op.name} is not for XLA`;
  const cost = plan.nodes.reduce((sum, node) => sum + costOf(node), 0);
  if (cost > LARGEST) return `a step has more than ${LARGEST} multiply-adds`;
  const fed = plan.leaves.reduce((sum, v) => sum + (isFed(v.producer.kind) ? numel(v.shape) : 0), 0);
  const given = plan.fetches.reduce((sum, v) => sum + numel(v.shape), 0);
  return fed > FED || given > FED ? "a step takes or gives too many numbers" : undefined;
}

const isFed = (kind: string): boolean => kind === "data" || kind === "random";

/**
 * Counts a step of a graph. Whether it is compiled follows from the steps of the training alone, so that one that was
 * interrupted goes on with the very same numbers.
 */
export function counted({ graph, steps }: SteadyGraph, name: string): SteadyGraph {
  if (graph === name) return { graph, steps: Math.min(steps + 1, 2 * SETTLED) };
  return steps > 0 ? { graph, steps: Math.max(0, steps - INTERRUPTION) } : { graph: name, steps: 1 };
}

export const settled = ({ graph, steps }: SteadyGraph, name: string): boolean =>
  graph === name && steps > SETTLED;

/** A plan's key without what differs between processes: numbers of storages. */
export const nameOf = ({ key }: Plan): string =>
  createHash("sha1")
    .update(key.replace(/;s\d+=/g, ";="))
    .digest("hex");
