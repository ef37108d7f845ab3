// @ts-check
/**
 * Collects the extension host's texts for translators. The build writes them to {@link BUNDLE}, where VS Code looks up
 * translations. The manifest's texts are in package.nls.json, those of the views in webview/shared/strings.ts.
 */
import fs from "node:fs";
import path from "node:path";
import { parseAst } from "rolldown/parseAst";
import { inRoot } from "./project.mjs";

export const BUNDLE = "dist/l10n/bundle.l10n.json";

/** @typedef {{ type: string, start: number, end: number } & Record<string, any>} Node */

/**
 * The TypeScript files beneath a folder, by their paths in the repository.
 * @param {string} folder @returns {string[]}
 */
export const sourcesOf = (folder) =>
  fs
    .readdirSync(inRoot(folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => path.posix.join(folder, name.replaceAll("\\", "/")))
    .sort();

/** @param {string} code @returns {Node} */
export const parse = (code) => parseAst(code, { lang: "ts" });

/** @param {string} file In the repository. @returns {Node} */
export const syntaxOf = (file) => parse(fs.readFileSync(inRoot(file), "utf8"));

/**
 * Walks a syntax tree in pre-order; `visit` returns false to skip a node's children.
 * @param {Node} node @param {(node: Node) => boolean | void} visit
 */
export function walk(node, visit) {
  if (visit(node) === false) return;
  for (const value of Object.values(node))
    for (const child of Array.isArray(value) ? value : [value])
      if (child !== null && typeof child === "object" && typeof child.type === "string") walk(child, visit);
}

/** Whether a node is a call of `vscode.l10n.t`. @param {Node} node */
export const isTranslated = (node) =>
  node.type === "CallExpression" &&
  node.callee.property?.name === "t" &&
  node.callee.object.property?.name === "l10n";

/** @returns {Record<string, string>} Each text of the extension host, mapped to itself, in alphabetical order. */
export function messages() {
  /** @type {Set<string>} */
  const found = new Set();
  for (const file of sourcesOf("extension/editor"))
    walk(syntaxOf(file), (node) => {
      if (!isTranslated(node)) return;
      const [text] = node.arguments;
      if (typeof text?.value !== "string")
        throw new Error(`${file}: l10n.t needs a text that is written out`);
      found.add(text.value);
    });
  return Object.fromEntries([...found].sort().map((text) => [text, text]));
}
