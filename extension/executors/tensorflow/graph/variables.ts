import type { Node, Storage, Value } from "../../../tensor/recording/graph.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";

/** Whether a leaf is a written storage as it was before the step: a variable of the session. */
export const isVariable = ({ producer, data, read }: Value, written: ReadonlySet<Storage>): boolean =>
  data === undefined &&
  read === undefined &&
  producer.kind === "state" &&
  producer.version === producer.storage.version &&
  written.has(producer.storage);

/** Whether each output of a node is the next value of the variable that is its input. */
export function updatesInPlace(node: Node, plan: Plan): boolean {
  if (node.op.inPlace === undefined) return false;
  return node.outputs.every((output, i) => {
    const input = node.inputs[i]!.producer;
    const target = plan.assigns.filter((a) => a.value === output);
    return (
      target.length === 1 &&
      input.kind === "state" &&
      input.storage === target[0]!.storage &&
      input.version === input.storage.version
    );
  });
}
