import type { Optimizer } from "../../nn/optim/optimizer.ts";
import { mul } from "../../tensor/ops/elementwise/elementwise.ts";
import { constant } from "../../tensor/ops/expressions.ts";
import { step as computeStep } from "../../tensor/planning/barrier.ts";
import { apply } from "../../tensor/recording/apply.ts";
import { observe } from "../../tensor/recording/runtime.ts";
import { hidden, noGrad } from "../../tensor/recording/scope.ts";
import { sameShape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";

/**
 * Gradients that are added up over several batches. Between two batches they are stored like parameters, so that each
 * batch is computed as it comes: a graph has the size of one batch, however many are added up.
 */
export class GradientAccumulator {
  readonly #optimizer: Optimizer;
  readonly #stored = new Map<Tensor, Tensor>();
  /** Storage for values of batches, which the batches of the next step use again. */
  readonly #places: Tensor[] = [];
  #kept: Kept[] = [];
  readonly #unread: boolean;

  /** @param unread whether no code reads gradients between two batches: then each process keeps its part of them */
  constructor(optimizer: Optimizer, unread = false) {
    this.#optimizer = optimizer;
    this.#unread = unread;
  }

  /**
   * Computes the gradients so far, and keeps them for the next batch to add to.
   * @param values of the batch that are read later: stored like gradients, so that no process needs the others' parts
   * before the step
   */
  hold(values: readonly Tensor[] = []): readonly Kept[] {
    const params = this.#optimizer.paramGroups.flatMap((group) => group.params);
    const gradients: [p: Tensor, grad: Tensor][] = [];
    for (const p of params) if (p.ownGrad !== null) gradients.push([p, p.ownGrad]);
    for (const [p, grad] of gradients) {
      this.#stored.set(p, store(this.#stored.get(p), grad));
      p.grad = null;
    }
    const kept = values.map((x) => this.#keep(x));
    computeStep();
    // The next batch's sum is stored again only if another batch follows.
    for (const [p, grad] of gradients) {
      const { value } = this.#stored.get(p)!;
      if (this.#unread) value.visible = false;
      grad.replace(value, undefined);
      p.grad = grad;
    }
    return kept;
  }

  #keep(x: Tensor): Kept {
    const at = this.#kept.length;
    const before = this.#places[at];
    const fits = before !== undefined && sameShape(before.shape, x.shape);
    const place = store(fits ? before : undefined, x);
    this.#places[at] = place;
    const kept = new Kept(place);
    this.#kept.push(kept);
    return kept;
  }

  /** Computes the kept values with the next step, whose exchange adds up their parts. */
  release(): void {
    for (const kept of this.#kept) observe(kept.tensor.value);
    this.#kept = [];
  }
}

/** A value of a batch that is stored until the step. */
export class Kept {
  readonly #place: Tensor;
  #tensor: Tensor | undefined;

  constructor(place: Tensor) {
    this.#place = place;
  }

  /**
   * The value of all processes: reading it before the step needs an exchange. It is a node of its own, since the next
   * step's batches use the storage again.
   */
  get tensor(): Tensor {
    return (this.#tensor ??= noGrad(() => hidden(() => apply(mul, [this.#place, constant(1)], {}))));
  }
}

/** Stores a value; where there are several processes, each stores its part of it. */
function store(place: Tensor | undefined, x: Tensor): Tensor {
  if (place === undefined) {
    const made = new Tensor(x.value).persist();
    made.storage!.addsUp = true;
    return made;
  }
  noGrad(() => hidden(() => place.write(new Tensor(x.value))));
  return place;
}
