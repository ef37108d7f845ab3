import type {
  Callbacks,
  CallbackState,
  ExperimentOptions,
  TrainContext,
} from "../../nn/experiment/experiment.ts";

type Name = Exclude<keyof Callbacks, keyof CallbackState>;
/** Arguments of a callback after the context. */
type Rest<N extends Name> =
  Parameters<NonNullable<Callbacks[N]>> extends [TrainContext, ...infer R] ? R : never;

/** An experiment's callbacks, called one after the other. */
export class CallbackList {
  readonly #all: readonly Callbacks[];
  readonly #context: (name: Name) => TrainContext;

  /** @param context Makes the context of the callbacks of a name */
  constructor({ callbacks = [] }: ExperimentOptions, context: (name: Name) => TrainContext) {
    this.#all = isList(callbacks) ? callbacks : [callbacks];
    this.#context = context;
  }

  has(name: Name): boolean {
    return this.#all.some((one) => one[name] !== undefined);
  }

  /** State of each callback; null for one without state. */
  state(): unknown[] {
    return this.#all.map((one) => one.stateDict?.() ?? null);
  }

  /** Restores the callbacks from a {@link state}. */
  restore(states: readonly unknown[]): void {
    this.#all.forEach((one, i) => {
      const state = states[i] ?? null;
      if (state !== null) one.loadStateDict?.(state);
    });
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
