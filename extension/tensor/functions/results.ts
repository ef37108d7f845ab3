// Results of several values: by position, by name, and in text as PyTorch's `torch.return_types`.
import type { Tensor } from "../core/tensor.ts";

/** Results by position and by name, as PyTorch's named tuples. */
export type Results<T extends Record<string, Tensor | readonly Tensor[]>> = T[keyof T][] & T;

/** Result of `max` and `min` along a dimension: also `const [values, indices] = x.max(1)`. */
// Not an array by its type: an array's own `values`, a method, would be part of the tensor's type.
export interface ValuesAndIndices extends Omit<[values: Tensor, indices: Tensor], "values"> {
  values: Tensor;
  indices: Tensor;
}

/** `toString` by the name of the function: made once, since functions are called in every step. */
const texts = new Map<string, PropertyDescriptor>();

function textOf(name: string): PropertyDescriptor {
  let text = texts.get(name);
  if (text === undefined) {
    const value = function (this: object): string {
      const parts = Object.entries(this).filter(([key]) => !/^\d/.test(key));
      return `torch.return_types.${name}(\n${parts.map(([key, part]) => `${spelled(key)}=${shown(part)}`).join(",\n")})`;
    };
    texts.set(name, (text = { value, writable: true, configurable: true }));
  }
  return text;
}

/** Converts a name to Python's style: `binEdges` to `bin_edges`. */
const spelled = (key: string): string => key.replaceAll(/(?<=[a-z])[A-Z]/g, (c) => `_${c.toLowerCase()}`);

// Not String(part), which is the number of a tensor without dimensions.
const shown = (part: unknown): string =>
  Array.isArray(part) ? `(${part.map(shown).join(", ")})` : (part as { toString(): string }).toString();

/** Makes the results `parts` of a function; PyTorch prints its `name` in front of them. */
export function results<T extends Record<string, Tensor | readonly Tensor[]>>(
  name: string,
  parts: T,
): Results<T> {
  const all = Object.values(parts) as T[keyof T][];
  return Object.defineProperty(Object.assign(all, parts), "toString", textOf(name));
}

export const valuesAndIndices = (name: string, values: Tensor, indices: Tensor): ValuesAndIndices =>
  results(name, { values, indices }) as unknown as ValuesAndIndices;
