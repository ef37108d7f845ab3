import { TensorError } from "../../tensor/core/errors.ts";
import type { Communicator } from "../../tensor/distributed/communicator.ts";
import { runtime } from "../../tensor/recording/runtime.ts";

/** Most exchanges of one kind between two steps: a graph that grows without a step is a mistake. */
const MOST = 64;

/** Names of the exchanges of one module, the same in each step, so that all steps are one graph. */
export class ExchangeKeys {
  readonly #group: Communicator;
  readonly #keys: number[] = [];
  #since = -1;
  #used = 0;

  constructor(group: Communicator) {
    this.#group = group;
  }

  /** The name of the next exchange of this step. */
  next(): number {
    if (this.#since !== runtime.writings) {
      this.#since = runtime.writings;
      this.#used = 0;
    }
    if (this.#used >= MOST)
      throw new TensorError("value", `more than ${MOST} exchanges of a module without an optimizer step`);
    return (this.#keys[this.#used++] ??= this.#group.nextKey());
  }
}
