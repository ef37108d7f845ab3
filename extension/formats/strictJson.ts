/** A JSON value as written: whole numbers are `bigint`, others `number`; objects are maps in the order of the text. */
export type JsonValue = string | bigint | number | boolean | null | JsonValue[] | Map<string, JsonValue>;

export type JsonDefect =
  | { readonly kind: "syntax"; readonly at: number; readonly expected: string }
  | { readonly kind: "duplicate"; readonly at: number; readonly key: string }
  | { readonly kind: "depth"; readonly at: number; readonly limit: number }
  | {
      /** Too many items of an array, or members of an object, which `path` leads to. */
      readonly kind: "count";
      readonly at: number;
      readonly path: readonly string[];
      readonly count: number;
      readonly limit: number;
    };

/** Limits of a text, so that a small one can't fill the memory. */
export interface JsonLimits {
  /** Levels of nesting. */
  readonly depth: number;
  /** Items of an array. Default: no limit. */
  readonly items?: number;
  /** Members of an object, by the keys that lead to it. Default: no limit. */
  readonly members?: (path: readonly string[]) => number;
}

/** Why a text is refused; `at` is the position of the offending character. */
export class JsonError extends Error {
  override readonly name = "JsonError";
  readonly defect: JsonDefect;

  constructor(defect: JsonDefect) {
    super(describeDefect(defect));
    this.defect = defect;
  }
}

function describeDefect(defect: JsonDefect): string {
  switch (defect.kind) {
    case "syntax":
      return `expected ${defect.expected} at position ${defect.at}`;
    case "duplicate":
      return `the key ${JSON.stringify(defect.key.slice(0, 100))} is there twice, at position ${defect.at}`;
    case "depth":
      return `nested deeper than ${defect.limit} levels at position ${defect.at}`;
    case "count": {
      const [count, limit] = [defect.count, defect.limit].map((one) => one.toLocaleString("en-US"));
      return `${count} values at position ${defect.at}; the limit is ${limit}`;
    }
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** Long enough for 64 bits; longer ones would only cost time. */
const WHOLE = /^(?:0|-?[1-9][0-9]{0,19})$/;
/** Matches a text that is no valid Unicode, which UTF-8 cannot hold. */
export const LONE_SURROGATE = /\p{Surrogate}/u;
const CONSTANTS: Readonly<Record<string, readonly [word: string, value: boolean | null]>> = {
  t: ["true", true],
  f: ["false", false],
  n: ["null", null],
};

/**
 * Parses JSON from a source that is not trusted. Unlike `JSON.parse` it refuses a key that occurs twice in an object
 * (of which `JSON.parse` keeps the last), values beyond the limits and unpaired surrogates, keeps whole numbers
 * apart from `1.0` and `1e3`, and gives no key, not even `__proto__`, a meaning.
 *
 * @param reduce replaces each member of the outermost object as soon as it is read; by default it stays
 * @throws JsonError
 */
export function parseStrictJson<T = JsonValue>(
  text: string,
  { depth: maxDepth, items: maxItems = Infinity, members: maxMembers }: JsonLimits,
  reduce?: (key: string, value: JsonValue) => T,
): JsonValue | Map<string, T> {
  let at = 0;
  const path: string[] = [];

  const fail = (expected: string): never => {
    throw new JsonError({ kind: "syntax", at, expected });
  };
  const space = (): void => {
    for (;;) {
      const c = text.charCodeAt(at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      at++;
    }
  };
  const take = (character: string): boolean => {
    if (text[at] !== character) space();
    if (text[at] !== character) return false;
    at++;
    return true;
  };

  const string = (keep: boolean): string => {
    space();
    if (text[at] !== '"') fail("a string");
    const start = at++;
    let escaped = false;
    for (; ; at++) {
      const c = text.charCodeAt(at);
      if (c === 0x22) break;
      if (!(c >= 0x20)) fail("the end of a string");
      if (c !== 0x5c) continue;
      escaped = true;
      at++;
    }
    at++;
    if (!escaped) return keep ? text.slice(start + 1, at - 1) : "";
    try {
      const value = JSON.parse(text.slice(start, at)) as string;
      if (!LONE_SURROGATE.test(value)) return value;
    } catch {
      // A wrong escape sequence is reported below, as an unpaired surrogate is.
    }
    at = start;
    return fail("a string with valid escapes");
  };

  // Values beyond a limit are skipped and counted: the message says how many there are.
  const count = (start: number, found: number, limit: number): void => {
    if (found > limit)
      throw new JsonError({ kind: "count", at: start, path: [...path], count: found, limit });
  };

  const object = (depth: number, keep: boolean): Map<string, JsonValue> => {
    const start = at;
    const members = new Map<string, JsonValue>();
    if (take("}")) return members;
    const limit = maxMembers?.(path) ?? Infinity;
    let found = 0;
    do {
      space();
      const position = at;
      const kept = keep && found < limit;
      const key = string(kept);
      if (kept && members.has(key)) throw new JsonError({ kind: "duplicate", at: position, key });
      if (!take(":")) fail("':'");
      path.push(key);
      const one = value(depth, kept);
      path.pop();
      found++;
      if (kept) members.set(key, depth === 1 && reduce !== undefined ? (reduce(key, one) as JsonValue) : one);
    } while (take(","));
    if (!take("}")) fail("',' or '}'");
    count(start, found, limit);
    return members;
  };

  const array = (depth: number, keep: boolean): JsonValue[] => {
    const start = at;
    const items: JsonValue[] = [];
    if (take("]")) return items;
    let found = 0;
    do {
      const kept = keep && found < maxItems;
      const one = value(depth, kept);
      found++;
      if (kept) items.push(one);
    } while (take(","));
    if (!take("]")) fail("',' or ']'");
    count(start, found, maxItems);
    return items;
  };

  /** Passes over a whole number of at most 15 digits, the usual kind; false when it is something else. */
  const digits = (): boolean => {
    const start = at;
    let end = at;
    for (; end - start < 16; end++) {
      const c = text.charCodeAt(end);
      if (!(c >= 0x30 && c <= 0x39)) break;
    }
    const next = text[end];
    const zero = text[start] === "0" && end > start + 1;
    if (end === start || end - start > 15 || zero || (next !== "," && next !== "]" && next !== "}"))
      return false;
    at = end;
    return true;
  };

  const value = (depth: number, keep = true): JsonValue => {
    if (text.charCodeAt(at) <= 0x20) space();
    const begin = at;
    if (digits()) return keep ? BigInt(Number(text.slice(begin, at))) : 0n;
    const first = text[at];
    if (first === '"') return string(keep);
    if (first === "{" || first === "[") {
      if (depth === maxDepth) throw new JsonError({ kind: "depth", at, limit: maxDepth });
      at++;
      return first === "{" ? object(depth + 1, keep) : array(depth + 1, keep);
    }
    const constant = first === undefined ? undefined : CONSTANTS[first];
    if (constant !== undefined && text.startsWith(constant[0], at)) {
      at += constant[0].length;
      return constant[1];
    }
    NUMBER.lastIndex = at;
    const literal = NUMBER.exec(text)?.[0];
    if (literal === undefined) return fail("a value");
    at += literal.length;
    if (!keep) return 0n;
    return WHOLE.test(literal) ? BigInt(literal) : Number(literal);
  };

  const result = value(0);
  space();
  if (at !== text.length) fail("the end of the text");
  return result;
}
