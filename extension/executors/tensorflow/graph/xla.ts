// Which trainings XLA compiles. TensorFlow's overhead per node dominates small steps; compiled, a step of a few
// thousand multiply-adds takes a fifth of the time. Compiling takes half a second, and large matrix products gain
// nothing, so it is for small steps that repeat many times.
import type { Node } from "../../../tensor/recording/graph.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import type { HotGraph } from "../../../tensor/recording/policy.ts";
import { numel } from "../../../tensor/core/shape.ts";
import { signatureOf } from "../../nhwc.ts";
import {
  MAX_XLA_ELEMENTS,
  MAX_XLA_MACS,
  XLA_COMPILE_STEPS,
  XLA_INTERRUPTION_STEPS,
  XLA_STEPS,
} from "../../tuning.ts";
import type { Blueprint } from "./blueprint.ts";

/** Reason not to compile a training step with XLA, however often it runs; undefined for a step that suits XLA. */
export function whyNotXla({ plan, cost }: Blueprint, gpu: boolean): string | undefined {
  if (gpu) return "it was measured on CPUs only";
  if (plan.assigns.length === 0) return "it is no training step";
  const strange = plan.nodes.find((node) => !suits(node));
  if (strange !== undefined) return `${strange.op.name} is not for XLA`;
  const computed = plan.nodes.find((node) => refusing(node, plan)?.leaf === -1);
  if (computed !== undefined) return `what ${computed.op.name} might refuse is computed in the step itself`;
  if (cost > MAX_XLA_MACS) return `a step has more than ${MAX_XLA_MACS} multiply-adds`;
  const fed = plan.leaves.reduce((sum, v) => sum + (isFed(v.producer.kind) ? numel(v.shape) : 0), 0);
  const given = plan.fetches.reduce((sum, v) => sum + numel(v.shape), 0);
  return fed > MAX_XLA_ELEMENTS || given > MAX_XLA_ELEMENTS
    ? "a step takes or gives too many numbers"
    : undefined;
}

function suits(node: Node): boolean {
  const { xla = node.op.layout === "elementwise" } = node.op;
  return typeof xla === "function" ? xla(signatureOf(node)) : xla;
}

/** A leaf whose values have to be checked when it is fed. */
export interface Checked {
  /** Position among the plan's leaves; -1 for a value that is no leaf, or isn't fed each time. */
  readonly leaf: number;
  /** @throws TensorError for a value that TensorFlow's own kernel would refuse */
  readonly check: (value: number) => void;
}

/** Returns the values to check in each step that XLA computes, since it refuses none. */
export const checkedFor = (plan: Plan): Checked[] => plan.nodes.flatMap((node) => refusing(node, plan) ?? []);

function refusing(node: Node, plan: Plan): Checked | undefined {
  const { op, attributes } = node;
  const { refuses } = op;
  if (refuses === undefined) return undefined;
  let value = node.inputs[refuses.input]!;
  for (;;) {
    const { producer, dtype } = value;
    const leaf = plan.leaves.indexOf(value);
    // A cast to bool loses the numbers.
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
 * Counts a step of a graph. Whether XLA computes it follows from the steps of the training alone, so that one that was
 * interrupted continues with the same numbers.
 */
export function countStep({ graph, steps }: HotGraph, name: string): HotGraph {
  if (graph === name) return { graph, steps: Math.min(steps + 1, 2 * XLA_STEPS) };
  return steps > 0
    ? { graph, steps: Math.max(0, steps - XLA_INTERRUPTION_STEPS) }
    : { graph: name, steps: 1 };
}

/** Whether XLA computes the steps of a graph. */
export const isHot = ({ graph, steps }: HotGraph, name: string): boolean =>
  graph === name && steps > XLA_STEPS;

/** Whether to start compiling a graph, so that it is ready in time. */
export const almostHot = ({ graph, steps }: HotGraph, name: string): boolean =>
  graph === name && steps > XLA_COMPILE_STEPS;
