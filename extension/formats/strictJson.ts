/** A JSON value as written: whole numbers are `bigint`, all others `number`; objects are maps in the order of the text. */
export type JsonValue = string | bigint | number | boolean | null | JsonValue[] | Map<string, JsonValue>;

export type JsonDefect =
  | { readonly kind: "syntax"; readonly at: number; readonly expected: string }
  | { readonly kind: "duplicate"; readonly at: number; readonly key: string }
  | { readonly kind: "depth"; readonly at: number; readonly limit: number };

/** Why a text is refused; `at` is the position of the offending character. */
export class JsonError extends Error {
  override readonly name = "JsonError";
  readonly defect: JsonDefect;

  constructor(defect: JsonDefect) {
    super(`${defect.kind} at position ${defect.at}`);
    this.defect = defect;
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** Long enough for 64 bits; longer ones would only cost time. */
const WHOLE = /^(?:0|-?[1-9][0-9]{0,19})$/;
/** Matches a text that is no valid Unicode, which UTF-8 cannot hold. */
export const LONE_SURROGATE = /\p{Surrogate}/u;
const CONSTANTS = new Map<string, boolean | null>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

/**
 * Parses JSON from a source that is not trusted. Unlike `JSON.parse` it refuses a key that occurs twice in an object
 * (of which `JSON.parse` keeps the last), nesting beyond `maxDepth` and unpaired surrogates, keeps whole numbers
 * apart from `1.0` and `1e3`, and gives no key, not even `__proto__`, a meaning.
 *
 * @throws JsonError
 */
export function parseStrictJson(text: string, maxDepth: number): JsonValue {
  let at = 0;

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
    space();
    if (text[at] !== character) return false;
    at++;
    return true;
  };

  const string = (): string => {
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
    if (!escaped) return text.slice(start + 1, at - 1);
    try {
      const value = JSON.parse(text.slice(start, at)) as string;
      if (!LONE_SURROGATE.test(value)) return value;
    } catch {
      // A wrong escape sequence is told below, as an unpaired surrogate is.
    }
    at = start;
    return fail("a string with valid escapes");
  };

  const object = (depth: number): Map<string, JsonValue> => {
    const members = new Map<string, JsonValue>();
    if (take("}")) return members;
    do {
      space();
      const position = at;
      const key = string();
      if (members.has(key)) throw new JsonError({ kind: "duplicate", at: position, key });
      if (!take(":")) fail("':'");
      members.set(key, value(depth));
    } while (take(","));
    if (!take("}")) fail("',' or '}'");
    return members;
  };

  const array = (depth: number): JsonValue[] => {
    const items: JsonValue[] = [];
    if (take("]")) return items;
    do items.push(value(depth));
    while (take(","));
    if (!take("]")) fail("',' or ']'");
    return items;
  };

  const value = (depth: number): JsonValue => {
    space();
    const first = text[at];
    if (first === '"') return string();
    if (first === "{" || first === "[") {
      if (depth === maxDepth) throw new JsonError({ kind: "depth", at, limit: maxDepth });
      at++;
      return first === "{" ? object(depth + 1) : array(depth + 1);
    }
    for (const [word, constant] of CONSTANTS) {
      if (!text.startsWith(word, at)) continue;
      at += word.length;
      return constant;
    }
    NUMBER.lastIndex = at;
    const literal = NUMBER.exec(text)?.[0];
    if (literal === undefined) return fail("a value");
    at += literal.length;
    return WHOLE.test(literal) ? BigInt(literal) : Number(literal);
  };

  const result = value(0);
  space();
  if (at !== text.length) fail("the end of the text");
  return result;
}
