// @ts-check
/** The Markdown pages of a package, where links lead to shipped files only. */
import fs from "node:fs";
import path from "node:path";
import { inRoot } from "../project.mjs";

/** Code, or an image or a link in Markdown's inline form: `![alt](target)`. */
const LINK = /^```.*?^```|`[^`\n]*`|(!?)\[([^\]]*)\]\(([^)\s]+)\)/gms;

/**
 * A page of the repository for a package. Links to files that the package doesn't have become their text.
 * @param {string} page Relative to the repository.
 * @param {object} options
 * @param {(file: string) => boolean} options.ships Whether the package has a file of the repository.
 * @param {"link" | "omit"} options.pictures `link`: by their path in the package, which is that in the repository.
 */
export function packagedPage(page, { ships, pictures }) {
  const text = fs.readFileSync(inRoot(page), "utf8");
  const inRepository = (/** @type {string} */ target) =>
    path.posix.join(path.posix.dirname(page), target.replace(/#.*/, ""));
  const replaced = text.replace(LINK, (whole, image, label, target) => {
    if (target === undefined || /^(?:[a-z]+:|#)/i.test(target)) return whole;
    const file = inRepository(target);
    if (image === "") return ships(file) ? whole : label;
    if (pictures === "omit") return "";
    return `![${label}](${file})`;
  });
  return pictures === "omit" ? replaced.replace(/\n{3,}/g, "\n\n") : replaced;
}
