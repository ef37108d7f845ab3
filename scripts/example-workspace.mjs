// @ts-check
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { inRoot } from "./project.mjs";

/** The workspace of `npm start` and `npm run vscode`, so that VS Code shows the first trainings. */
export const exampleWorkspace = inRoot("out", "example-workspace");

/** Records the hashes of the copies, to detect edited files. */
const RECORD = ".layerwise/examples.json";

/**
 * Copies the bundled examples into a writable folder. Edited copies stay; others are updated.
 * @param {string} folder
 */
export function copyExamples(folder) {
  const record = path.join(folder, RECORD);
  /** @type {Record<string, string>} */
  const copied = fs.existsSync(record) ? JSON.parse(fs.readFileSync(record, "utf8")) : {};
  fs.mkdirSync(path.dirname(record), { recursive: true });
  for (const name of fs.readdirSync(inRoot("media/examples"))) {
    const source = inRoot("media/examples", name);
    const target = path.join(folder, name);
    if (fs.existsSync(target) && digest(target) !== (copied[name] ?? digest(source))) continue;
    fs.copyFileSync(source, target);
    copied[name] = digest(source);
  }
  fs.writeFileSync(record, JSON.stringify(copied, undefined, 2));
}

/** @param {string} file */
const digest = (file) => createHash("sha256").update(fs.readFileSync(file)).digest("hex");
