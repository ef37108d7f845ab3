// Values as Python prints them: the pieces of print(model) and print(optimizer).

/** `inFeatures` → `in_features`: the name PyTorch has for one of ours. */
export function snakeCase(name: string): string {
  let known = snakeCased.get(name);
  if (known === undefined) {
    if (snakeCased.size >= MOST_NAMES) snakeCased.clear();
    snakeCased.set(name, (known = name.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)));
  }
  return known;
}

/** Names converted so far: a loop needs those of all parameters in each step. */
const snakeCased = new Map<string, string>();
const MOST_NAMES = 4096;

/** `repr` of a Python float: `1.0`, `1e-05`, `0.1`, `1e+16`. */
export function pyFloat(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (x === 0) return Object.is(x, -0) ? "-0.0" : "0.0";
  const [digits, exponent] = x.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  if (power < -4 || power >= 16) {
    const sign = power < 0 ? "-" : "+";
    return `${digits}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  if (Number.isInteger(x)) return `${x}.0`;
  return String(x);
}

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
