/** Printed parts of a dict's view: the name of its type in Python, and its elements. */
interface View {
  readonly type: string;
  elements(): Iterable<unknown>;
}

const views = new WeakMap<object, View>();

/** Python's view behind an iterator over the keys, values or items of an {@link OrderedDict}; undefined for others. */
export const viewOf = (iterator: object): View | undefined => views.get(iterator);

function view<T extends object>(type: string, elements: () => T & Iterable<unknown>): T {
  const iterator = elements();
  views.set(iterator, { type, elements });
  return iterator;
}

/** A `Map` that `print` shows as Python's `OrderedDict`, and its keys, values and items as views of one. */
export class OrderedDict<V> extends Map<string, V> {
  override keys(): MapIterator<string> {
    return view("odict_keys", () => super.keys());
  }

  override values(): MapIterator<V> {
    return view("odict_values", () => super.values());
  }

  override entries(): MapIterator<[string, V]> {
    return view("odict_items", () => super.entries());
  }
}
