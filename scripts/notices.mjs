// @ts-check
/** The licences of the packages inside the bundles: their authors ask for them to go along. */
import fs from "node:fs";
import { inRoot } from "./project.mjs";

/**
 * One text with each package's name, version, licence and copyright.
 * @param {Iterable<string>} files Files that are bundled or copied, relative to the repository.
 */
export function thirdPartyNotices(files) {
  /** @type {Set<string>} */
  const folders = new Set();
  for (const file of files) {
    const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
    if (folder !== undefined) folders.add(folder);
  }
  const notices = [...folders].map((folder) => {
    const { name, version, license } = JSON.parse(fs.readFileSync(inRoot(folder, "package.json"), "utf8"));
    const texts = fs
      .readdirSync(inRoot(folder))
      .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
      .map((file) => fs.readFileSync(inRoot(folder, file), "utf8").trim());
    return [`${name} ${version} (${license})`, ...texts].join("\n\n");
  });
  const rule = `\n\n${"-".repeat(80)}\n\n`;
  return `Layerwise contains these packages.${rule}${[...new Set(notices)].sort().join(rule)}\n`;
}
