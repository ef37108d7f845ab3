import { plainText } from "./plain.ts";

/** Text that a spreadsheet takes for a formula, also in East Asian width. */
const FORMULA = /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/;
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;

/** A cell of a CSV file (RFC 4180). An apostrophe keeps spreadsheets from computing text; numbers stay numbers. */
export function csvCell(value: string | number): string {
  if (typeof value === "number") return String(value);
  const plain = plainText(value);
  const text = FORMULA.test(plain) && !NUMBER.test(plain) ? `'${plain}` : plain;
  // Semicolons and tabs separate cells where the user's spreadsheet says so.
  return /[",;\t\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
