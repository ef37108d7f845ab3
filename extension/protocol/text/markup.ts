// Text that is written into SVG, HTML and LaTeX.
import { plainLine } from "./plain.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "<": "&lt;",
  ">": "&gt;",
  "&": "&amp;",
  '"': "&quot;",
};

/** Text of an element, or of an attribute in double quotes. */
export const xmlText = (text: string): string =>
  plainLine(text).replaceAll(/[<>&"]/g, (character) => ENTITIES[character]!);

const TEX: Readonly<Record<string, string>> = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
};

export const texText = (text: string): string =>
  plainLine(text).replaceAll(/[\\~^#$%&_{}]/g, (character) => TEX[character] ?? `\\${character}`);
