import type { Node } from "../tensor/recording/graph.ts";
import type { Plan } from "../tensor/planning/barrier.ts";
import { scope } from "../tensor/recording/scope.ts";
import { formatShape } from "../tensor/core/shape.ts";

/** An automatic choice, and its reason. */
export interface Choice {
  /** Name of the graph; "" for a choice about the whole process. */
  readonly graph: string;
  /** Subject of the choice: "graph", "batch", "threads". */
  readonly about: string;
  readonly chosen: string;
  readonly why: string;
}

/** A training's graph that is computed op by op, and the cause. */
export interface Fallback {
  readonly graph: string;
  readonly why: string;
  readonly op: string;
  /** Dotted path of the module that called the op; "" outside all modules. */
  readonly module: string;
  /** Stack of the user's call, where it is known. */
  readonly site: Error | undefined;
}

/**
 * Reports the first fallback. A model whose graphs change falls back in every step, so one report is enough, and the user's
 * line, which isn't kept while graphs compile, can be found in the next step.
 */
export class Fallbacks {
  /** The report of the first fallback, kept until a listener is set. */
  #told: Fallback | undefined;
  #pending: Fallback | undefined;
  #listener: ((fallback: Fallback) => void) | undefined;

  /** Whether no fallback was reported yet. */
  get wanted(): boolean {
    return this.#told === undefined;
  }

  listen(listener: (fallback: Fallback) => void): void {
    this.#listener = listener;
    if (this.#told !== undefined) listener(this.#told);
  }

  note(fallback: Fallback): void {
    if (fallback.site === undefined && this.#pending === undefined) {
      this.#pending = fallback;
      scope.sites = true;
      return;
    }
    this.#tell(fallback);
  }

  /** Reports a pending fallback without a source line, at the end. */
  settle(): void {
    if (this.#pending !== undefined && this.wanted) this.#tell(this.#pending);
  }

  #tell(fallback: Fallback): void {
    if (this.#pending !== undefined) scope.sites = false;
    this.#told = fallback;
    this.#listener?.(fallback);
  }
}

/** Name of a plan in messages: its kind, and its number of ops. */
export const graphName = ({ assigns, lazy }: Plan, ops: number): string =>
  `${assigns.length > 0 ? "training step" : lazy.length > 0 ? "gradients" : "evaluation"} of ${ops} ops`;

/** Description of every node of a plan, for {@link firstDifference}. */
export type Outline = readonly NodeOutline[];

interface NodeOutline {
  readonly shown: string;
  readonly attributes: string;
}

export const outlineOf = ({ nodes }: Plan): Outline => nodes.map(outline);

function outline({ op, attributes, outputs }: Node): NodeOutline {
  const shapes = outputs.map(({ shape }) => formatShape(shape)).join(" and ");
  return { shown: `${op.name} ${shapes}`, attributes: JSON.stringify(attributes) };
}

/** Characters of an op's settings that are shown. */
const SHOWN = 60;

/** Returns the first node in which a plan differs from another, and the descriptions of both. */
export function firstDifference(
  before: Outline,
  { nodes }: Plan,
): { node: Node; got: string; expected: string } {
  const own = nodes.map(outline);
  const differs = own.findIndex(
    ({ shown, attributes }, i) => shown !== before[i]?.shown || attributes !== before[i]?.attributes,
  );
  // One graph is longer, or reads or writes other values.
  const at = differs < 0 ? nodes.length - 1 : differs;
  const [now, then] = [own[at]!, before[at]];
  // Where the shapes are the same, a setting of the op differs, such as where a slice ends.
  const text = ({ shown, attributes }: NodeOutline): string =>
    now.shown === then?.shown ? `${shown} ${attributes.slice(0, SHOWN)}` : shown;
  return { node: nodes[at]!, got: text(now), expected: then === undefined ? "nothing" : text(then) };
}
