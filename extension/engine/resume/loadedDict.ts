// Python's dicts of a file: objects that have a Map's methods, and Maps whose entries are properties.

/** A Map whose entries are properties too: `state["fc1.weight"]`. A Map's own members keep their names. */
export class EntryMap extends Map<unknown, unknown> {
  override set(key: unknown, value: unknown): this {
    super.set(key, value);
    if (typeof key === "string" && !(key in this)) {
      Object.defineProperty(this, key, {
        get: () => this.get(key),
        set: (next: unknown) => {
          this.set(key, next);
        },
        configurable: true,
      });
    }
    return this;
  }
}

type Dict = Record<string, unknown>;

const METHODS: Readonly<Record<string | symbol, (dict: Dict) => unknown>> = {
  get: (dict) => (key: string) => (Object.hasOwn(dict, key) ? dict[key] : undefined),
  has: (dict) => (key: string) => Object.keys(dict).includes(key),
  set: (dict) => (key: string, value: unknown) => {
    Object.defineProperty(dict, key, { value, writable: true, enumerable: true, configurable: true });
    return dict;
  },
  delete: (dict) => (key: string) => Object.keys(dict).includes(key) && Reflect.deleteProperty(dict, key),
  keys: (dict) => () => Object.keys(dict).values(),
  values: (dict) => () => Object.values(dict).values(),
  entries: (dict) => () => Object.entries(dict).values(),
  forEach: (dict) => (visit: (value: unknown, key: string) => void) =>
    Object.entries(dict).forEach(([key, value]) => visit(value, key)),
  [Symbol.iterator]: (dict) => () => Object.entries(dict).values(),
};

/** An object of these entries that answers a Map's methods, where no entry has their name. */
export function entryObject(entries: readonly (readonly [string, unknown])[]): Dict {
  const dict: Dict = Object.fromEntries(entries);
  for (const name of Reflect.ownKeys(METHODS))
    if (!Object.hasOwn(dict, name))
      Object.defineProperty(dict, name, { value: METHODS[name]!(dict), writable: true, configurable: true });
  if (!Object.hasOwn(dict, "size"))
    Object.defineProperty(dict, "size", { get: () => Object.keys(dict).length, configurable: true });
  return dict;
}
