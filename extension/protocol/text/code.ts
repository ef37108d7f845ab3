// Text that is written into programs.
import { jsonText, plainLine } from "./plain.ts";

/** Text within a comment of TypeScript: it neither ends the comment nor is a directive (`@ts-ignore`, `# source…`). */
export function codeComment(text: string): string {
  return plainLine(text)
    .replaceAll("*/", "*\\/")
    .replaceAll(/(^|[\s/*])(?=[@#])/g, "$1\\");
}

/** A string literal. */
export const codeString = (text: string): string => jsonText(text);

/** A property's name in a type or an object. */
export function codeKey(text: string): string {
  if (text === "__proto__") return '["__proto__"]';
  return /^[A-Za-z_$][\w$]*$/.test(text) ? text : codeString(text);
}
