/** Attributes of all recurrent ops. */
export interface Sequences {
  /**
   * Sequences that are still running at each step, the longest first: rows of a step come after those of the step
   * before, as in a PackedSequence. Never grows.
   */
  readonly sizes: readonly number[];
  /** Whether the layer has biases: what there is no bias for is zeros, and costs nothing. */
  readonly bias: boolean;
}

/** Attributes of plain recurrent layers. */
export interface RnnAttributes extends Sequences {
  readonly nonlinearity: "tanh" | "relu";
}
