// Functions that users register: their order, and handles that remove them.

/** The user's function, whose parameters may have narrower types than what it is called with. */
export type Narrowing<A extends unknown[], R> = { hook(...args: A): R }["hook"];

/** Takes back what made it. */
export interface RemovableHandle {
  remove(): void;
}

export interface HookOptions {
  /** Runs before those that are there already. Default false. */
  prepend?: boolean;
  /** Passes the arguments by name to hooks of `forward`, as an object of their own. Default false. */
  withKwargs?: boolean;
}

/** Hooks of one kind in the order in which they run. */
export class Hooks<T> {
  private entries: readonly { readonly hook: T }[] = [];
  private list: readonly T[] = [];

  get size(): number {
    return this.entries.length;
  }

  add(hook: T, { prepend = false }: HookOptions = {}): RemovableHandle {
    const entry = { hook };
    this.become(prepend ? [entry, ...this.entries] : [...this.entries, entry]);
    return { remove: () => this.become(this.entries.filter((e) => e !== entry)) };
  }

  /** Takes a hook out, wherever it was added: a copy of a module has no handles. */
  remove(hook: T): void {
    this.become(this.entries.filter((entry) => entry.hook !== hook));
  }

  /** The same hooks in a list of their own, after those of `first`. */
  after(first: Hooks<T>): Hooks<T> {
    const all = new Hooks<T>();
    all.become([...first.entries, ...this.entries]);
    return all;
  }

  private become(entries: readonly { readonly hook: T }[]): void {
    this.entries = entries;
    this.list = entries.map(({ hook }) => hook);
  }

  /** Every call of a module asks for it: an array's own is the cheapest. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.list[Symbol.iterator]();
  }
}

/** The hooks of both lists. Modules that none concerns, almost all, make no list. */
export function merged<T>(first: Hooks<unknown>, second: Hooks<T>): Hooks<T> {
  return first.size === 0 ? second : second.after(first as Hooks<T>);
}

/** Hooks of every module, of which globalHooks.ts knows the types. */
export const globalHooks = {
  beforeForward: new Hooks<unknown>(),
  afterForward: new Hooks<unknown>(),
  beforeBackward: new Hooks<unknown>(),
  afterBackward: new Hooks<unknown>(),
};
