// Python's dicts of a file: objects that have a Map's methods, and Maps whose entries are properties.

/**
 * A Map whose entries are properties too, to read, write, add and delete: `delete state["fc1.weight"]`. A Map's own
 * members keep their names.
 */
export function entryMap<K, V>(entries: Iterable<readonly [K, V]> = []): Map<K, V> {
  const map = new Map(entries);
  const isEntry = (key: string | symbol): boolean => typeof key === "string" && !(key in map);
  const proxy: Map<K, V> = new Proxy(map, {
    get(_, key) {
      if (isEntry(key)) return map.get(key as K);
      if (key === "set") return (name: K, value: V) => (map.set(name, value), proxy);
      const member: unknown = Reflect.get(map, key, map);
      // A Map's methods work on the Map itself only.
      return typeof member === "function" && key !== "constructor" ? (member.bind(map) as unknown) : member;
    },
    has: (_, key) => key in map || map.has(key as K),
    set(_, key, value) {
      if (!isEntry(key)) return Reflect.set(map, key, value);
      map.set(key as K, value as V);
      return true;
    },
    deleteProperty(_, key) {
      if (!isEntry(key)) return Reflect.deleteProperty(map, key);
      map.delete(key as K);
      return true;
    },
  });
  return proxy;
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
