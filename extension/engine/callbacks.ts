import type { Callbacks, ExperimentOptions, TrainContext } from "../nn/experiment.ts";

type Name = keyof Callbacks;
/** What a callback is given after the context. */
type Rest<N extends Name> =
  Parameters<NonNullable<Callbacks[N]>> extends [TrainContext, ...infer R] ? R : never;

/** An experiment's callbacks, called one after the other. */
export class CallbackList {
  readonly #all: readonly Callbacks[];
  readonly #context: (name: Name) => TrainContext;

  /** @param context Makes what the callbacks of this name see */
  constructor({ callbacks = [] }: ExperimentOptions, context: (name: Name) => TrainContext) {
    this.#all = isList(callbacks) ? callbacks : [callbacks];
    this.#context = context;
  }

  has(name: Name): boolean {
    return this.#all.some((one) => one[name] !== undefined);
  }

  async call<N extends Name>(name: N, ...rest: Rest<N>): Promise<void> {
    for (const one of this.#all) {
      const callback = one[name] as ((context: TrainContext, ...rest: Rest<N>) => unknown) | undefined;
      // As methods: a class may keep what it needs.
      if (callback !== undefined) await callback.call(one, this.#context(name), ...rest);
    }
  }
}

function isList(callbacks: object): callbacks is readonly Callbacks[] {
  return Array.isArray(callbacks);
}
