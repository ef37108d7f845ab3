import type { ModelReport, TensorType } from "../../protocol/preview.ts";
import { bracketEnds, endOfBrackets, maskSource } from "../../source/sourceMask.ts";
import type { Fact } from "./previewFacts.ts";

const NAME = /[\p{L}\p{N}_$]/u;
const KEYWORDS = new Set(["if", "for", "while", "switch", "catch", "with", "function", "return"]);

/**
 * Returns the types of a variable at a place of the text: those of its last assignment before that place, in text order.
 * @param facts Calls, at their places in that text
 * @param models Reports with the inputs of `forward`
 */
export function variableTypes(
  text: string,
  offset: number,
  facts: readonly Fact[],
  models: readonly ModelReport[],
): TensorType[] | undefined {
  const masked = maskSource(text);
  const word = wordAt(masked, offset);
  // `this.x` and `tensor.shape` are not variables.
  if (word === undefined || /[.?]\s*$/.test(masked.slice(Math.max(0, word.start - 3), word.start)))
    return undefined;
  const method = methodAround(masked, offset);
  if (method === undefined) return undefined;
  const assigned = assignments(masked, word.name, method.body, Math.max(word.end, offset));
  const calls = facts.filter(({ kind }) => kind === "call");
  for (const { end, start } of assigned.toReversed()) {
    // The right side of an assignment still sees the old value.
    if (word.start > start && word.start < end) continue;
    const fact = calls.find((one) => one.end === end && one.start >= start);
    return fact === undefined ? undefined : only(fact.calls.map(({ outputs }) => outputs));
  }
  const place = method.parameters.indexOf(word.name);
  const owner = classAround(masked, offset);
  if (place < 0 || method.name !== "forward" || owner === undefined) return undefined;
  return only(
    models
      .flatMap(({ calls: all }) => all ?? [])
      .filter(({ name }) => name === owner)
      .map(({ inputs }) => inputs.slice(place, place + 1)),
  );
}

/** The types if all calls agree. */
function only(types: readonly (readonly TensorType[])[]): TensorType[] | undefined {
  const [first] = types;
  if (first === undefined || first.length === 0) return undefined;
  const key = JSON.stringify(first);
  return types.every((one) => JSON.stringify(one) === key) ? [...first] : undefined;
}

function wordAt(masked: string, offset: number): { name: string; start: number; end: number } | undefined {
  let start = offset;
  let end = offset;
  while (start > 0 && NAME.test(masked[start - 1]!)) start--;
  while (end < masked.length && NAME.test(masked[end]!)) end++;
  return end === start ? undefined : { name: masked.slice(start, end), start, end };
}

interface Method {
  name: string;
  parameters: string[];
  /** Where its body begins. */
  body: number;
}

/** The innermost named function whose parameters or body contain an offset. */
function methodAround(masked: string, offset: number): Method | undefined {
  let found: Method | undefined;
  const endOf = bracketEnds(masked);
  for (const match of masked.matchAll(/(?<![\w$])([\w$]+)\s*\(([^()]*)\)\s*(?::[^{;=()]+)?\{/g)) {
    const name = match[1]!;
    if (match.index > offset || KEYWORDS.has(name)) continue;
    const body = match.index + match[0].length;
    if (endOf(body - 1) < offset) continue;
    const parameters = match[2]!.split(",").map((one) => /^\s*\.*([\w$]+)/.exec(one)?.[1] ?? "");
    found = { name, parameters, body };
  }
  return found;
}

function classAround(masked: string, offset: number): string | undefined {
  let found: string | undefined;
  const endOf = bracketEnds(masked);
  for (const match of masked.matchAll(/\bclass\s+([\w$]+)[^{]{0,500}\{/g))
    if (match.index < offset && endOf(match.index + match[0].length - 1) > offset) found = match[1];
  return found;
}

/** More than a variable that people write has around a place. */
const MOST_ASSIGNMENTS = 100;

/** Right sides of the last assignments to a variable from `from` to `to`. */
function assignments(
  masked: string,
  name: string,
  from: number,
  to: number,
): { start: number; end: number }[] {
  const escaped = name.replaceAll("$", "\\$");
  const pattern = new RegExp(`(?<![\\w$.])${escaped}\\s*(?::[^=;()]{1,500})?=(?![=>])\\s*`, "g");
  pattern.lastIndex = from;
  const found: number[] = [];
  for (let match = pattern.exec(masked); match !== null; match = pattern.exec(masked)) {
    if (match.index >= to) break;
    found.push(match.index + match[0].length);
  }
  return found.slice(-MOST_ASSIGNMENTS).map((start) => ({ start, end: endOfExpression(masked, start) }));
}

function endOfExpression(masked: string, start: number): number {
  let i = start;
  for (; i < masked.length; i++) {
    const char = masked[i]!;
    if ("([{".includes(char)) i = endOfBrackets(masked, i) - 1;
    else if (";,)}]".includes(char)) break;
    // A continued line begins with a dot or an operator.
    else if (char === "\n" && !/^\s*[.?*+/&|:-]/.test(masked.slice(i + 1, i + 80))) break;
  }
  return (
    start +
    masked
      .slice(start, i)
      .trimEnd()
      .replace(/(?<!!)!+$/, "").length
  );
}
