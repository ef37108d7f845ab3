import type { Optimizer } from "../../nn/optim/optimizer.ts";
import { step as computeStep } from "../../tensor/planning/barrier.ts";
import { hidden, noGrad } from "../../tensor/recording/scope.ts";
import { Tensor } from "../../tensor/core/tensor.ts";

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
    const params = this.#optimizer.paramGroups.flatMap((group) => group.params);
    const gradients: [p: Tensor, grad: Tensor][] = [];
    for (const p of params) if (p.ownGrad !== null) gradients.push([p, p.ownGrad]);
    for (const [p, grad] of gradients) {
      this.#store(p, grad);
      p.grad = null;
    }
    computeStep();
    // What the next batch adds is stored again only if another one follows.
    for (const [p, grad] of gradients) {
      grad.replace(this.#stored.get(p)!.value, undefined);
      p.grad = grad;
    }
  }

  #store(p: Tensor, grad: Tensor): void {
    const stored = this.#stored.get(p);
    if (stored === undefined) {
      const made = new Tensor(grad.value).persist();
      made.storage!.addsUp = true;
      this.#stored.set(p, made);
    } else noGrad(() => hidden(() => stored.write(grad)));
  }
}
