// Values as Python prints them: the pieces of print(model) and print(optimizer).

import { pyFloat } from "../../tensor/core/pyFloat.ts";

export { pyFloat };

/** `inFeatures` → `in_features`: the name PyTorch has for one of ours. `W1` is one of PyTorch's own. */
export function snakeCase(name: string): string {
  let known = snakeCased.get(name);
  if (known === undefined) {
    if (snakeCased.size >= MOST_NAMES) snakeCased.clear();
    known = /^[A-Z]/.test(name) ? name : name.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
    snakeCased.set(name, known);
  }
  return known;
}

/** Names converted so far: a loop needs those of all parameters in each step. */
const snakeCased = new Map<string, string>();
const MOST_NAMES = 4096;

/** A parameter that PyTorch declares a float, whole or not; None where it may be that. */
export const floatOrNone = (x: number | null): string => (x === null ? "None" : pyFloat(x));

/** Values that Python prints: None, booleans, numbers, strings and tuples of them. */
export type PyValue = null | undefined | boolean | number | string | readonly PyValue[];

/**
 * `repr` of the Python value a JavaScript one stands for: whole numbers print as ints, arrays as tuples, strings
 * quoted, null as None.
 */
export function py(value: PyValue): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : pyFloat(value);
  if (typeof value === "string") return pyString(value);
  return value.length === 1 ? `(${py(value[0])},)` : `(${value.map(py).join(", ")})`;
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** `repr` of a Python string: in single quotes unless it has some and no double ones, unprintable characters escaped. */
function pyString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replaceAll(/[\\'\p{C}\p{Z}]/gu, (character) => {
    if (character === " " || (character === "'" && quote === '"')) return character;
    const short = character === "'" ? "\\'" : ESCAPES[character];
    if (short !== undefined) return short;
    const code = character.codePointAt(0)!;
    const digits = code.toString(16);
    if (code <= 0xff) return `\\x${digits.padStart(2, "0")}`;
    return code <= 0xffff ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
  });
  return `${quote}${escaped}${quote}`;
}

/** A module and its children, as `print(model)` shows them. */
export function treeText(
  name: string,
  extra: string,
  children: readonly [name: string, text: string][],
): string {
  const lines = children.map(([child, text]) => `(${child}): ${text.replaceAll("\n", "\n  ")}`);
  if (lines.length === 0 && !extra.includes("\n")) return `${name}(${extra})`;
  if (extra !== "") lines.unshift(...extra.split("\n"));
  return `${name}(\n  ${lines.join("\n  ")}\n)`;
}
