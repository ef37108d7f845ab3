// @ts-check
import fs from "node:fs";
import { inRoot } from "./project.mjs";

/**
 * Copies the bundled examples into a folder that may be written to. What is there already, edited or not, stays.
 * @param {string} folder
 */
export function copyExamples(folder) {
  fs.mkdirSync(folder, { recursive: true });
  fs.cpSync(inRoot("media/examples"), folder, { recursive: true, force: false });
}
