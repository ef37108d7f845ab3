import type { Choice, Fallback } from "../../executors/choices.ts";
import type { LoadedExecutor } from "../../executors/index.ts";
import { userFrames } from "../host/stackTraces.ts";

/** Why a graph is computed op by op, with the user's line: for a run's log. */
export function fallbackText({ graph, why, op, module, site }: Fallback): string {
  const place = site === undefined ? undefined : userFrames(site)[0];
  const within = module === "" ? "" : ` in ${module}`;
  const at = place === undefined ? "" : ` at ${place.file}:${place.line}:${place.column}`;
  return `Not compiled, and slower for it: a ${graph}. ${capital(why)} (op ${op}${within}${at}). A model whose sizes are the same in every step is compiled once.`;
}

/** A choice of the engine's, in one line. */
export const choiceText = ({ graph, about, chosen, why }: Choice): string =>
  `${graph === "" ? "" : `${capital(graph)}: `}${about} ${chosen} (${why})`;

const capital = (text: string): string => `${text[0]!.toUpperCase()}${text.slice(1)}`;

/** Reports each choice as soon as it is made: `--explain`. */
export class Explainer {
  readonly #executor: LoadedExecutor;
  readonly #tell: (text: string) => void;
  readonly #told = new Set<string>();

  constructor(executor: LoadedExecutor, tell: (text: string) => void) {
    this.#executor = executor;
    this.#tell = tell;
  }

  look(): void {
    for (const choice of this.#executor.choices()) {
      // Measured figures keep changing: the first ones are enough.
      const name = `${choice.graph} ${choice.about}`;
      if (this.#told.has(name)) continue;
      this.#told.add(name);
      this.#tell(choiceText(choice));
    }
  }
}
