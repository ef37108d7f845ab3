// @ts-check
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("..", import.meta.url));

/**
 * Copies the bundled examples into a folder that may be written to. What is there already, edited or not, stays.
 * @param {string} folder
 */
export function copyExamples(folder) {
  fs.mkdirSync(folder, { recursive: true });
  fs.cpSync(path.join(repository, "media/examples"), folder, { recursive: true, force: false });
}
