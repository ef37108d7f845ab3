import { Device } from "../tensor/platform/device.ts";
import { isSize } from "../tensor/size.ts";
import { py } from "./repr.ts";

/**
 * Prints values separated by spaces, as Python does: models, optimizers and tensors in PyTorch's words, lists and
 * numbers in Python's.
 */
export function print(...values: unknown[]): void {
  console.log(values.map(str).join(" "));
}

/** Python's `str` of a value. */
const str = (value: unknown): string =>
  typeof value === "string" || value instanceof Device ? String(value) : text(value);

/** `repr` of a value. */
function text(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "string") return py(value);
  if (Array.isArray(value) && isSize(value)) return String(value);
  if (Array.isArray(value)) return `[${value.map(text).join(", ")}]`;
  if (value instanceof Device) return value.repr();
  if (value instanceof Map) return braces(value as ReadonlyMap<unknown, unknown>);
  const own = Object.hasOwn(value, "toString") && typeof value.toString === "function";
  if (!own && Object.getPrototypeOf(value) === Object.prototype) return braces(Object.entries(value));
  return (value as { toString(): string }).toString();
}

const braces = (entries: Iterable<readonly [unknown, unknown]>): string =>
  `{${Array.from(entries, ([key, value]) => `${text(key)}: ${text(value)}`).join(", ")}}`;
