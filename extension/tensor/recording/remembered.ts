import type { Node } from "./graph.ts";
import { Numbering, type Template } from "./template.ts";
import type { Plan, Request } from "../planning/executor.ts";
import {
  MAX_COMPARED_GRAPHS,
  MAX_REMEMBERED_NODES,
  MAX_TRACED_SIZES,
  MAX_TRACES_OF_A_SIZE,
} from "../tuning.ts";

/** Templates of graphs that were seen several times. */
export class RememberedGraphs {
  /** By number of nodes, and the last one first. The number of the graph that was added last comes last. */
  readonly #known = new Map<number, Template[]>();
  #nodes = 0;

  add(template: Template): void {
    const known = this.#known;
    const alike = known.get(template.length) ?? [];
    known.delete(template.length);
    known.set(template.length, alike);
    alike.unshift(template);
    this.#nodes += template.length;
    if (alike.length > MAX_TRACES_OF_A_SIZE) this.#forget(alike.pop()!);
    while (known.size > MAX_TRACED_SIZES || (known.size > 1 && this.#nodes > MAX_REMEMBERED_NODES)) {
      const [size, forgotten] = known.entries().next().value!;
      known.delete(size);
      for (const one of forgotten) this.#forget(one);
    }
    while (alike.length > 1 && this.#nodes > MAX_REMEMBERED_NODES) this.#forget(alike.pop()!);
  }

  /** Returns the plan of recorded nodes, if they equal a graph that is remembered. */
  find(recorded: readonly Node[], request: Request): { template: Template; plan: Plan } | undefined {
    const alike = this.#known.get(recorded.length);
    if (alike === undefined) return undefined;
    const numbering = new Numbering(recorded);
    for (const { inputs } of recorded) for (const value of inputs) numbering.code(value);
    numbering.request(request);
    let compared = 0;
    for (let i = 0; i < alike.length && compared < MAX_COMPARED_GRAPHS; i++) {
      const template = alike[i]!;
      // Most differ in the size of a batch.
      if (!template.fits(numbering, false)) continue;
      compared++;
      if (!template.matches(numbering, recorded, 0, recorded.length, false)) continue;
      const plan = template.plan(numbering, recorded, request);
      if (plan === undefined) continue;
      if (i > 0) {
        alike.splice(i, 1);
        alike.unshift(template);
      }
      return { template, plan };
    }
    return undefined;
  }

  /** Cuts the chain of steps: once its first one is old, a minor collection would keep all that follow. */
  #forget(template: Template): void {
    template.next = undefined;
    this.#nodes -= template.length;
  }
}
