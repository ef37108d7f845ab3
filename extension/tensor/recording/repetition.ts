// A loop that reads nothing, such as sampling from a diffusion model, records one graph of all its iterations. Cut into pieces that
// equal each other, it takes one plan.
import { MAX_PERIOD, MIN_PIECE_NODES, REPEATING_NODES } from "../tuning.ts";
import type { Node, Value } from "./graph.ts";

/** Finds where a graph that becomes long repeats itself. */
export class Repetition {
  /** Nodes of a piece, where the graph was found to repeat itself and begins after a cut. */
  #piece = 0;
  /** Number of nodes from which the graph is compared with itself. */
  #due = REPEATING_NODES;
  /** Whether a piece ends with the graph recorded so far. */
  #cuts = false;

  /**
   * Whether a piece ends with the nodes recorded so far: a whole number of periods, none of whose nodes has a gradient. To
   * be asked after nodes recorded outside of all functions: values inside are not readable.
   */
  ends(recorded: readonly Node[]): boolean {
    const { length } = recorded;
    if (length < this.#due) return false;
    const isPiece = length === this.#piece;
    this.#due = Math.max(REPEATING_NODES, 2 * length);
    // Nodes of a backward() that was taken over are missing.
    const hasGradients = recorded.some(
      (node: Node | undefined) => node === undefined || node.edges !== undefined,
    );
    const period = hasGradients || isPiece || length < REPEATING_NODES ? 0 : periodOf(recorded);
    if (period > 0) this.#piece = period * Math.ceil(MIN_PIECE_NODES / period);
    this.#cuts = period > 0 || (isPiece && !hasGradients);
    return this.#cuts;
  }

  /** Notes that another graph begins. */
  begin(): void {
    if (!this.#cuts) this.#piece = 0;
    this.#due = this.#piece || REPEATING_NODES;
    this.#cuts = false;
  }
}

/**
 * The number of nodes after which all ops are the same again, of the longest end of the graph that has had at least two such
 * periods; 0 if there is none.
 */
function periodOf(recorded: readonly (Node | undefined)[]): number {
  const ops = recorded.slice(-2 * MAX_PERIOD).map((node) => node?.op);
  ops.reverse();
  // For each beginning, the longest shorter one that is its end, too: Knuth, Morris and Pratt, "Fast pattern matching in strings" (1977).
  const borders = [0];
  for (let i = 1, border = 0; i < ops.length; i++) {
    while (border > 0 && ops[i] !== ops[border]) border = borders[border - 1]!;
    if (ops[i] === ops[border]) border++;
    borders.push(border);
  }
  for (let length = ops.length; length >= MIN_PIECE_NODES; length--) {
    const period = length - borders[length - 1]!;
    if (2 * period <= length) return period;
  }
  return 0;
}

/** Values that the next iteration may need, which all others are computed with. */
export function lastValues(recorded: readonly Node[]): Value[] {
  const last: Value[] = [];
  for (const { outputs } of recorded)
    for (const value of outputs) if (value.visible && !value.wasInput && !value.ready) last.push(value);
  return last;
}
