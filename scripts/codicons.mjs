// @ts-check
/** VS Code's icons, for webviews. */
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const folder = path.dirname(createRequire(import.meta.url).resolve("@vscode/codicons/package.json"));

export const codiconFont = path.join(folder, "dist", "codicon.ttf");

/** The icons' styles. Their font URL has no query, so that it matches the pages' preload links. */
export const codiconStyles = () =>
  fs.readFileSync(path.join(folder, "dist", "codicon.css"), "utf8").replace(/(codicon\.ttf)\?\w+/, "$1");
