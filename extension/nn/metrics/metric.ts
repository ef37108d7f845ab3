import type { Tensor } from "../../tensor/core/tensor.ts";

/**
 * A measure of a whole data set, gathered batch by batch: what `compute()` says doesn't depend on how the set was cut
 * into batches.
 *
 * ```ts
 * const f1 = new metrics.F1Score({ average: "weighted" });
 * for (const [x, y] of loader) f1.update(model(x), y);
 * print(f1.compute());
 * ```
 */
export abstract class Metric<Options extends object = object, Result = number> {
  readonly options: Readonly<Options>;

  constructor(options: Options) {
    this.options = options;
  }

  /** Takes in a batch: what the model says, and what is right. */
  abstract update(output: Tensor, target: Tensor): void;

  /** The measure of all that was taken in since the last reset; NaN when that was nothing. */
  abstract compute(): Result;

  /** Forgets what was taken in. */
  abstract reset(): void;

  /** Takes in what another metric of the same kind has taken in. */
  abstract merge(other: this): void;

  /** Another metric like this one, that has taken in nothing. */
  fresh(): this {
    return new (this.constructor as new (options: Readonly<Options>) => this)(this.options);
  }
}
