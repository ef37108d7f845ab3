import { Device } from "../tensor/platform/device.ts";
import { isDTypeName } from "../tensor/platform/checkedDType.ts";
import { isNamed } from "../tensor/signatures/bind.ts";
import { OrderedDict, viewOf } from "./module/orderedDict.ts";
import { py } from "./module/repr.ts";

/** Arguments of {@link print} by name. */
export interface PrintArguments {
  /** Separator of the values. Default " ". */
  sep?: string | null;
  /** Text after the last value. Default a line break; an unfinished line is written once it ends. */
  end?: string | null;
  /** Without effect: lines are written at once. */
  flush?: boolean;
}

const NAMES: readonly string[] = ["sep", "end", "flush"] satisfies (keyof PrintArguments)[];

/** The unfinished line. */
let begun = "";

/**
 * Prints values separated by spaces, as Python does: models, optimizers and tensors in PyTorch's words, types as
 * `torch.float32`, lists and numbers in Python's. The last argument may be an object of `sep`, `end` and `flush`.
 */
export function print(...values: unknown[]): void {
  const last = values.at(-1);
  const named = isNamed(last) && isArguments(last) ? last : undefined;
  const { sep, end } = named ?? {};
  const shown = named === undefined ? values : values.slice(0, -1);
  const lines = (begun + shown.map(str).join(sep ?? " ") + (end ?? "\n")).split("\n");
  if (begun === "" && lines.length === 1) globalThis.process?.once("exit", finish);
  begun = lines.pop()!;
  if (lines.length > 0) console.log(lines.join("\n"));
}

/** Writes an unfinished line at the end of the program. */
function finish(): void {
  if (begun !== "") console.log(begun);
  begun = "";
}

function isArguments(x: Readonly<Record<string, unknown>>): x is PrintArguments & Record<string, unknown> {
  const names = Object.keys(x);
  return names.length > 0 && names.every((name) => NAMES.includes(name));
}

/** Python's `str` of a value. */
export function str(value: unknown): string {
  if (typeof value === "string") return isDTypeName(value) ? `torch.${value}` : value;
  return value instanceof Device ? String(value) : text(value);
}

/** `repr` of a value. */
function text(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "string") return py(value);
  // Sizes, and results by name.
  if (Array.isArray(value) && Object.hasOwn(value, "toString")) return String(value);
  if (Array.isArray(value)) return `[${value.map(text).join(", ")}]`;
  if (value instanceof Device) return value.repr();
  if (value instanceof OrderedDict) return `OrderedDict([${items(value)}])`;
  if (value instanceof Set) return value.size === 0 ? "set()" : `{${Array.from(value, text).join(", ")}}`;
  if (value instanceof Map) return braces(value as ReadonlyMap<unknown, unknown>);
  const view = viewOf(value);
  if (view !== undefined) {
    const pairs = view.type === "odict_items";
    const shown = pairs ? items(view.elements() as Pairs) : Array.from(view.elements(), text).join(", ");
    return `${view.type}([${shown}])`;
  }
  const own = Object.hasOwn(value, "toString") && typeof value.toString === "function";
  if (!own && Object.getPrototypeOf(value) === Object.prototype) return braces(Object.entries(value));
  return (value as { toString(): string }).toString();
}

type Pairs = Iterable<readonly [unknown, unknown]>;

const items = (entries: Pairs): string =>
  Array.from(entries, ([key, value]) => `(${text(key)}, ${text(value)})`).join(", ");

const braces = (entries: Pairs): string =>
  `{${Array.from(entries, ([key, value]) => `${text(key)}: ${text(value)}`).join(", ")}}`;
