import { BYTES } from "../../tensor/core/dtype.ts";
import type { Node, Value } from "../../tensor/recording/graph.ts";
import { costOf } from "../../tensor/recording/op.ts";
import { reshape } from "../../tensor/ops/movement/movement.ts";
import type { Inspector, Plan } from "../../tensor/planning/barrier.ts";
import { numel } from "../../tensor/core/shape.ts";
import type { Attribution, Phase } from "./attribution.ts";

export const bytesOf = ({ shape, dtype }: Value): number => numel(shape) * BYTES[dtype];

/** Times and counts of some nodes of a step. */
export interface Tally {
  ms: number;
  ops: number;
  multiplyAdds: number;
}

/** Times and memory of one step, op by op. */
export class StepTimes {
  /** By "phase path". */
  readonly layers = new Map<string, Tally>();
  /** By "phase op". */
  readonly ops = new Map<string, Tally>();
  /** Of each path: bytes of values that the backward pass needs. */
  readonly activations = new Map<string, number>();
  /** Most bytes of values needed at one time. */
  peakBytes = 0;
  readonly #attribution: Attribution;
  readonly #kept = new Set<Value>();

  constructor(attribution: Attribution) {
    this.#attribution = attribution;
  }

  /** Times a plan of the step. */
  inspector(plan: Plan): Inspector {
    const times: number[] = [];
    let last = performance.now();
    return {
      begin: () => void (last = performance.now()),
      node: () => {
        const now = performance.now();
        times.push(now - last);
        last = performance.now();
      },
      done: () => this.#add(plan, times),
    };
  }

  #add(plan: Plan, times: readonly number[]): void {
    plan.nodes.forEach((node, i) => {
      const { path, phase } = this.#attribution.of(node);
      const multiplyAdds = costOf(node);
      for (const [all, name] of [
        [this.layers, path],
        [this.ops, node.op.name],
      ] as const)
        tally(all, `${phase} ${name}`, times[i] ?? 0, multiplyAdds);
      if (phase === "backward") for (const input of node.inputs) this.#keep(input);
    });
    this.peakBytes = Math.max(this.peakBytes, peakOf(plan));
  }

  /** Notes that the backward pass needs a value of the forward pass. */
  #keep(value: Value): void {
    const { producer } = value;
    if (producer.kind !== "node" || this.#kept.has(value)) return;
    this.#kept.add(value);
    const { path, phase } = this.#attribution.of(producer);
    if (phase !== "forward") return;
    // Another shape of the same memory.
    if (producer.op === reshape) this.#keep(producer.inputs[0]!);
    else this.activations.set(path, (this.activations.get(path) ?? 0) + bytesOf(value));
  }
}

function tally(all: Map<string, Tally>, key: string, ms: number, multiplyAdds: number): void {
  const known = all.get(key) ?? { ms: 0, ops: 0, multiplyAdds: 0 };
  known.ms += ms;
  known.ops++;
  known.multiplyAdds += multiplyAdds;
  all.set(key, known);
}

/** Most bytes of values alive at one time, if each is freed after its last use. */
function peakOf({ nodes, assigns, fetches, lazy }: Plan): number {
  const last = new Map<Value, number>();
  nodes.forEach((node, i) => {
    for (const input of node.inputs) last.set(input, i);
  });
  for (const value of [...assigns.map((a) => a.value), ...fetches, ...lazy]) last.set(value, nodes.length);
  let [now, peak] = [0, 0];
  nodes.forEach((node: Node, i) => {
    for (const output of node.outputs) now += bytesOf(output);
    peak = Math.max(peak, now);
    for (const value of new Set([...node.inputs, ...node.outputs]))
      if (value.producer.kind === "node" && (last.get(value) ?? i) === i) now -= bytesOf(value);
  });
  return peak;
}

/** The parts of a key of {@link StepTimes}. */
export function parsed(key: string): { phase: Phase; name: string } {
  const at = key.indexOf(" ");
  return { phase: key.slice(0, at) as Phase, name: key.slice(at + 1) };
}
