import type { Operand } from "../../tensor/functions/pointwise/operands.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { Distribution } from "./distribution.ts";
import { binaryLogits, type Optional } from "./helpers.ts";

export interface ProbabilityArguments {
  probs?: Optional<number | Tensor>;
  logits?: Optional<number | Tensor>;
  validateArgs?: boolean | null;
}

/** Defaults of {@link ProbabilityArguments}. */
export const PROBABILITIES = { probs: null, logits: null, validateArgs: null } as const;

/** Which of the two was given: see {@link OfProbabilities}. */
export type Given = "probs" | "logits";

/** @throws TensorError "Either `probs` or `logits` must be specified, but not both." */
export function oneOf<T extends Operand>(probs: Optional<T>, logits: Optional<T>): { name: Given; value: T } {
  const [p, l] = [probs ?? null, logits ?? null];
  if (p !== null && l === null) return { name: "probs", value: p as T };
  if (p === null && l !== null) return { name: "logits", value: l as T };
  throw new TensorError("value", "Either `probs` or `logits` must be specified, but not both.");
}

/** A distribution of probabilities or logits: the other one is computed when it is read. */
export abstract class OfProbabilities extends Distribution {
  /** The one that was given. */
  protected readonly given: Given;

  constructor(
    given: Given,
    parameter: Tensor,
    shapes: { batchShape: Shape; eventShape?: Shape },
    options: { validateArgs?: boolean | null },
  ) {
    super(shapes.batchShape, shapes.eventShape ?? [], options);
    this.given = given;
    // An own property in place of the accessor: texts and checks name those that were given.
    Object.defineProperty(this, given, { value: parameter, enumerable: true, configurable: true });
  }

  get probs(): Tensor {
    return this.cached("probs", () => this.probsOf(this.logits));
  }

  get logits(): Tensor {
    return this.cached("logits", () => this.logitsOf(this.probs));
  }

  get paramShape(): Shape {
    return this[this.given].shape;
  }

  protected probsOf(logits: Tensor): Tensor {
    return logits.sigmoid();
  }

  protected logitsOf(probs: Tensor): Tensor {
    return binaryLogits(probs);
  }
}
