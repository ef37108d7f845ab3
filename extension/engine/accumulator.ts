import type { Optimizer } from "../nn/optim/optimizer.ts";
import { step as computeStep } from "../tensor/runtime.ts";
import { hidden, noGrad } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Gradients that are added up over several batches. Between two of them they are stored like parameters, so that each
 * batch is computed when it is there: a graph has the size of one batch, however many are added up.
 */
export class GradientAccumulator {
  readonly #optimizer: Optimizer;
  readonly #stored = new Map<Tensor, Tensor>();

  constructor(optimizer: Optimizer) {
    this.#optimizer = optimizer;
  }

  /** Computes the gradients so far, and leaves them to be added to. */
  hold(): void {
    for (const { params } of this.#optimizer.paramGroups) for (const p of params) this.#store(p);
    computeStep();
  }

  #store(p: Tensor): void {
    const { grad } = p;
    if (grad === null) return;
    const stored = this.#stored.get(p);
    if (stored === undefined) this.#stored.set(p, grad.persist());
    else if (stored !== grad) p.grad = noGrad(() => hidden(() => stored.write(grad)));
  }
}
