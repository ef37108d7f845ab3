// @ts-check
/** What bundling costs at run time, taken out again. */
import { parseAst } from "rolldown/parseAst";

/**
 * esbuild's helper for `keepNames` defines the name of every function, at each creation of a closure: 4 % of a small model's
 * step. Most functions have their names anyway.
 * @param {string} code
 */
export const cheaperNames = (code) =>
  code.replace(/(\bvar __name ?= ?\((\w+), ?(\w+)\) ?=> ?)(?=__defProp\()/, "$1$2.name === $3 ? $2 : ");

/**
 * Blanks calls of that helper for closures, which get their names from what they are assigned to: a call for each closure takes 3
 * to 6 % of a step, and more where tensors are small. Classes and functions of modules, whose names users see, keep theirs. What
 * is left stays in its place, for source maps.
 * @param {string} code
 */
export function withoutClosureNames(code) {
  /** @type {[from: number, to: number][]} */
  const blanks = [];
  /** @param {unknown} node @param {boolean} inside a function, or what is evaluated for each instance */
  const visit = (node, inside) => {
    if (Array.isArray(node)) for (const one of node) visit(one, inside);
    if (!isNode(node)) return;
    const { type, start, end, callee, arguments: given } = node;
    if (inside && type === "CallExpression" && callee?.name === "__name" && isClosure(given?.[0]))
      blanks.push([start, given[0].start], [given[0].end, end]);
    const within = inside || type.includes("Function") || type === "PropertyDefinition";
    for (const value of Object.values(node)) if (typeof value === "object") visit(value, within);
  };
  visit(parseAst(code).body, false);
  let [text, at] = ["", 0];
  for (const [from, to] of blanks.sort((a, b) => a[0] - b[0])) {
    text += code.slice(at, from) + code.slice(from, to).replaceAll(/[^\n]/g, " ");
    at = to;
  }
  return text + code.slice(at);
}

/** @param {unknown} value @returns {value is { type: string, start: number, end: number } & Record<string, any>} */
const isNode = (value) =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";

/** @param {unknown} value */
const isClosure = (value) =>
  isNode(value) && (value.type === "ArrowFunctionExpression" || value.type === "FunctionExpression");

/**
 * Writes comments in ASCII. Code, which esbuild writes so, is then a string of bytes for V8, of half the size.
 * @param {string} code
 */
export const asciiComments = (code) =>
  code.replace(/^\s*(?:\/\/|\/?\*).*$/gm, (line) => line.replaceAll(/[^\0-\x7f]/g, "?"));
