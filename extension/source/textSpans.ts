import { endOfBrackets } from "./sourceMask.ts";

/** A range of a text, by offsets. */
export interface Span {
  readonly start: number;
  /** One past the last character. */
  readonly end: number;
}

/** An edit, as VS Code reports it. */
export interface TextChange {
  readonly rangeOffset: number;
  readonly rangeLength: number;
  readonly text: string;
}

/** Shifts a span by an edit; undefined if the edit changed one of its ends. */
export function shifted<T extends Span>(
  span: T,
  { rangeOffset, rangeLength, text }: TextChange,
): T | undefined {
  const changeEnd = rangeOffset + rangeLength;
  const delta = text.length - rangeLength;
  if (changeEnd <= span.start) return { ...span, start: span.start + delta, end: span.end + delta };
  if (rangeOffset >= span.end) return span;
  if (rangeOffset >= span.start && changeEnd < span.end) return { ...span, end: span.end + delta };
  return undefined;
}

/** Returns a function from places of a text, 1-based as in the protocol, to offsets. */
export function offsetFinder(text: string): (place: { line: number; column: number }) => number {
  const starts = [0];
  for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) starts.push(i + 1);
  return ({ line, column }) => Math.min((starts[line - 1] ?? text.length) + column - 1, text.length);
}

export interface CallSpan extends Span {
  /** One past the callee's name. */
  readonly nameEnd: number;
  /** Where the arguments begin, one past the bracket; undefined when there are none. */
  readonly argumentsStart: number | undefined;
}

const CALLEE = /(?:new\s+)?[\p{L}\p{N}_$]+(?:\??\.[\p{L}\p{N}_$]+)*/uy;
const TO_ARGUMENTS = /\s*!?\s*(?:\?\.)?\s*/y;

/** The span of the call whose callee begins at `start`, arguments included. */
export function callSpan(masked: string, start: number): CallSpan {
  CALLEE.lastIndex = start;
  const nameEnd = start + (CALLEE.exec(masked)?.[0].length ?? 0);
  TO_ARGUMENTS.lastIndex = nameEnd;
  let open = nameEnd + (TO_ARGUMENTS.exec(masked)?.[0].length ?? 0);
  if (masked[open] === "<") open = endOfBrackets(masked, open);
  if (masked[open] !== "(") return { start, end: nameEnd, nameEnd, argumentsStart: undefined };
  return { start, end: endOfBrackets(masked, open), nameEnd, argumentsStart: open + 1 };
}

/** The last name of what is called: `Linear` of `new nn.Linear(3, 2)`. */
export const calleeName = (masked: string, { start, nameEnd }: CallSpan): string =>
  /(?<![\p{L}\p{N}_$])[\p{L}\p{N}_$]*$/u.exec(masked.slice(start, nameEnd))![0];

/** The spans of a call's arguments, trimmed. */
export function argumentsOf(masked: string, { argumentsStart, end }: CallSpan): Span[] {
  if (argumentsStart === undefined) return [];
  const found: Span[] = [];
  let from = argumentsStart;
  const add = (to: number): void => {
    const text = masked.slice(from, to);
    const start = from + (text.length - text.trimStart().length);
    if (text.trim() !== "") found.push({ start, end: start + text.trim().length });
    from = to + 1;
  };
  for (let i = argumentsStart; i < end - 1; i++) {
    const char = masked[i]!;
    if ("([{".includes(char)) i = endOfBrackets(masked, i) - 1;
    else if (char === ",") add(i);
  }
  add(end - 1);
  return found;
}

/** Whether an expression is a number, `784`, or a product of numbers, `32 * 2 * 2`. */
export const isLiteral = (expression: string): boolean => /^[\d_]+(?:\s*[*+]\s*[\d_]+)*$/.test(expression);
