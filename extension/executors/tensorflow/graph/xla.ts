// Which trainings XLA compiles. Small steps cost TensorFlow more for its nodes than for what they compute; compiled, a
// step of a few thousand multiply-adds takes a fifth of the time. Compiling takes half a second, and large matrix products
// gain nothing, so it is for steps that are small and come again and again.
import { createHash } from "node:crypto";
import type { Node } from "../../../tensor/recording/graph.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import type { SteadyGraph } from "../../../tensor/recording/policy.ts";
import { numel } from "../../../tensor/core/shape.ts";
import { signatureOf } from "../../layouts.ts";
import type { Blueprint } from "./blueprint.ts";

/** Steps of one graph from which on it is compiled: about as many as it takes to win back what compiling takes. */
export const SETTLED = 4096;
/** Steps of one graph from which on XLA is at work on it, while they go on as before. */
const COMING = SETTLED / 2;
/** What a step of another graph takes off the count: graphs that take turns cost more calls than XLA saves. */
const INTERRUPTION = 32;
/** Multiply-adds of a step at most. */
const LARGEST = 3e6;
/** Numbers that a step is fed at most: as many are kept for each step of a call. */
const FED = 32_768;
/** TensorFlow nodes of a step at most: compiling takes a millisecond for each. */
export const MOST_NODES = 600;

/** Why XLA isn't to compute a training step, however often it comes; undefined for one that suits it. */
export function whyNotXla({ plan, cost }: Blueprint): string | undefined {
  if (plan.assigns.length === 0) return "it is no training step";
  const strange = plan.nodes.find((node) => !suits(node));
  if (strange !== undefined) return `${strange.op.name} is not for XLA`;
  const computed = plan.nodes.find((node) => refusing(node, plan)?.leaf === -1);
  if (computed !== undefined) return `what ${computed.op.name} might refuse is computed in the step itself`;
  if (cost > LARGEST) return `a step has more than ${LARGEST} multiply-adds`;
  const fed = plan.leaves.reduce((sum, v) => sum + (isFed(v.producer.kind) ? numel(v.shape) : 0), 0);
  const given = plan.fetches.reduce((sum, v) => sum + numel(v.shape), 0);
  return fed > FED || given > FED ? "a step takes or gives too many numbers" : undefined;
}

function suits(node: Node): boolean {
  const { xla = node.op.layout === "elementwise" } = node.op;
  return typeof xla === "function" ? xla(signatureOf(node)) : xla;
}

/** A leaf whose values have to be checked when it is fed. */
export interface Checked {
  /** Position among the plan's leaves; -1 for what is no leaf, or isn't fed each time. */
  readonly leaf: number;
  /** @throws TensorError for a value that TensorFlow's own kernel would refuse */
  readonly check: (value: number) => void;
}

/** What is to be checked for XLA in each step. */
export const checkedFor = (plan: Plan): Checked[] => plan.nodes.flatMap((node) => refusing(node, plan) ?? []);

function refusing(node: Node, plan: Plan): Checked | undefined {
  const { op, attributes } = node;
  const { refuses } = op;
  if (refuses === undefined) return undefined;
  let value = node.inputs[refuses.input]!;
  for (;;) {
    const { producer, dtype } = value;
    const leaf = plan.leaves.indexOf(value);
    // True and false are no longer the numbers that they were.
    if (leaf < 0 && producer.kind === "node" && producer.op.keepsElements === true && dtype !== "bool") {
      value = producer.inputs[0]!;
      continue;
    }
    const fed = isFed(producer.kind) || producer.kind === "node";
    return { leaf: fed ? leaf : -1, check: (one) => refuses.check(one, attributes, signatureOf(node)) };
  }
}

const isFed = (kind: string): boolean => kind === "data" || kind === "random";

/**
 * Counts a step of a graph. Whether it is compiled follows from the steps of the training alone, so that one that was
 * interrupted continues with the same numbers.
 */
export function counted({ graph, steps }: SteadyGraph, name: string): SteadyGraph {
  if (graph === name) return { graph, steps: Math.min(steps + 1, 2 * SETTLED) };
  return steps > 0 ? { graph, steps: Math.max(0, steps - INTERRUPTION) } : { graph: name, steps: 1 };
}

export const settled = ({ graph, steps }: SteadyGraph, name: string): boolean =>
  graph === name && steps > SETTLED;

/** Whether it is time to compile a graph. */
export const nearing = ({ graph, steps }: SteadyGraph, name: string): boolean =>
  graph === name && steps > COMING;

/** A plan's key without what differs between processes: numbers of storages. */
export const nameOf = ({ key }: Plan): string =>
  createHash("sha1")
    .update(key.replace(/;s\d+=/g, ";="))
    .digest("hex");
