import { py } from "./repr.ts";

/**
 * Prints values separated by spaces, as Python does: models, optimizers and tensors in PyTorch's words, lists and
 * numbers in Python's.
 */
export function print(...values: unknown[]): void {
  console.log(values.map((value) => (typeof value === "string" ? value : text(value))).join(" "));
}

/** `repr` of a value. */
function text(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "string") return py(value);
  if (Array.isArray(value)) return `[${value.map(text).join(", ")}]`;
  if (value instanceof Map) return braces(value as ReadonlyMap<unknown, unknown>);
  if (Object.getPrototypeOf(value) === Object.prototype) return braces(Object.entries(value));
  return (value as { toString(): string }).toString();
}

const braces = (entries: Iterable<readonly [unknown, unknown]>): string =>
  `{${Array.from(entries, ([key, value]) => `${text(key)}: ${text(value)}`).join(", ")}}`;
