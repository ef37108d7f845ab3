/**
 * Blanks out comments, strings, template text and regular expressions, with the same length and lines. A pattern found in the
 * result is code, at its offset in the source. Code inside `${…}` stays.
 */
export function maskSource(source: string): string {
  const out = source.split("");
  const blank = (from: number, to: number): void => {
    for (let i = from; i < to && i < out.length; i++) if (out[i] !== "\n" && out[i] !== "\r") out[i] = " ";
  };
  /** Brace depths at which a `${` opened: its `}` returns to the template's text. */
  const templates: number[] = [];
  let depth = 0;
  let i = 0;
  /** Last character of code before this one: it tells a regular expression from a division. */
  let previous = "";

  const skipTemplate = (start: number): number => {
    let end = start;
    while (end < source.length && source[end] !== "`") {
      if (source[end] === "\\") end += 2;
      else if (source.startsWith("${", end)) {
        blank(start, end);
        templates.push(depth++);
        return end + 2;
      } else end++;
    }
    blank(start, end);
    return end + 1;
  };

  while (i < source.length) {
    const char = source[i] ?? "";
    const two = source.slice(i, i + 2);
    if (two === "//") {
      const end = endOfLine(source, i);
      blank(i, end);
      i = end;
    } else if (two === "/*") {
      const close = source.indexOf("*/", i + 2);
      const end = close < 0 ? source.length : close + 2;
      blank(i, end);
      i = end;
    } else if (char === '"' || char === "'") {
      const end = endOfString(source, i);
      blank(i + 1, end - 1);
      previous = char;
      i = end;
    } else if (char === "`") {
      previous = char;
      i = skipTemplate(i + 1);
    } else if (char === "/" && startsRegex(source, i, previous)) {
      const end = endOfRegex(source, i);
      blank(i, end);
      previous = ")";
      i = end;
    } else {
      if (char === "{") depth++;
      else if (char === "}" && --depth === templates.at(-1)) {
        templates.pop();
        i = skipTemplate(i + 1);
        continue;
      }
      if (char.trim() !== "") previous = char;
      i++;
    }
  }
  return out.join("");
}

function endOfLine(source: string, from: number): number {
  const end = source.indexOf("\n", from);
  return end < 0 ? source.length : end;
}

/** One past the closing quote; an unclosed string ends with its line, as it does for the compiler. */
function endOfString(source: string, start: number): number {
  const quote = source[start];
  for (let i = start + 1; i < source.length; i++) {
    if (source[i] === "\\") i++;
    else if (source[i] === quote) return i + 1;
    else if (source[i] === "\n") return i;
  }
  return source.length;
}

function startsRegex(source: string, at: number, previous: string): boolean {
  if (previous === "" || "(,=:[!&|?{};+-*%<>~^".includes(previous)) return true;
  return /\b(?:return|typeof|case|in|of|void|delete|throw|new)\s*$/.test(
    source.slice(Math.max(0, at - 12), at),
  );
}

function endOfRegex(source: string, start: number): number {
  let inClass = false;
  for (let i = start + 1; i < source.length; i++) {
    const char = source[i];
    if (char === "\\") i++;
    else if (char === "\n") return i;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return i + 1;
  }
  return source.length;
}

const PAIRS: Readonly<Record<string, string>> = { "(": ")", "{": "}", "[": "]", "<": ">" };

/** Whether a bracket closes: `=>` inside type arguments doesn't. */
const closes = (masked: string, at: number): boolean => masked[at] !== ">" || masked[at - 1] !== "=";

/** One past the bracket that closes the one at `open`, in masked source; its length when nothing closes it. */
export function endOfBrackets(masked: string, open: number): number {
  const opening = masked[open] ?? "";
  const closing = PAIRS[opening];
  let depth = 0;
  for (let i = open; i < masked.length; i++) {
    if (masked[i] === opening) depth++;
    else if (masked[i] === closing && closes(masked, i) && --depth === 0) return i + 1;
  }
  return masked.length;
}

export type EndOfBrackets = (open: number) => number;

/** {@link endOfBrackets} for many brackets of a text, which may be nested: in one pass. */
export function bracketEnds(masked: string): EndOfBrackets {
  const ends = new Map<number, number>();
  const open: Record<string, number[]> = { ")": [], "}": [], "]": [], ">": [] };
  for (const { 0: bracket, index } of masked.matchAll(/[(){}[\]<>]/g)) {
    const closing = PAIRS[bracket];
    if (closing !== undefined) open[closing]!.push(index);
    else if (closes(masked, index)) {
      const from = open[bracket]!.pop();
      if (from !== undefined) ends.set(from, index + 1);
    }
  }
  return (from) => ends.get(from) ?? masked.length;
}
