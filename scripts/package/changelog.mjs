// @ts-check
/** The changelog's sections, in the form of Keep a Changelog. */
import { ScriptError } from "../project.mjs";

const FILE = "CHANGELOG.md";

/**
 * The entries of the Unreleased section. Headings without entries are left out.
 * @param {string} changelog
 * @returns {{ notes: string, start: number, end: number }} The entries, and where the section begins and ends in the text.
 */
export function unreleased(changelog) {
  const heading = /^## \[Unreleased\]\n/m.exec(changelog);
  if (heading === null) throw new ScriptError(`${FILE}: there is no section "## [Unreleased]".`);
  const start = heading.index + heading[0].length;
  const next = /^## /m.exec(changelog.slice(start));
  const end = next === null ? changelog.length : start + next.index;
  const notes = changelog
    .slice(start, end)
    .split(/^(?=### )/m)
    .map((section) => section.trim())
    .filter((section) => section.replace(/^### .*/, "").trim() !== "")
    .join("\n\n");
  if (notes === "") throw new ScriptError(`${FILE}: Unreleased is empty, so there is nothing to release.`);
  return { notes, start, end };
}

/**
 * Dates the Unreleased section and puts an empty one above it.
 * @param {string} changelog @param {string} version @param {string} date As 2026-01-31.
 * @returns {{ changelog: string, notes: string }} The new text, and the released section without its heading.
 */
export function releaseChangelog(changelog, version, date) {
  if (changelog.includes(`## [${version}]`))
    throw new ScriptError(`${FILE}: version ${version} has a section already.`);
  const { notes, start, end } = unreleased(changelog);
  const rest = changelog.slice(end);
  return {
    changelog: `${changelog.slice(0, start)}\n## [${version}] - ${date}\n\n${notes}\n${rest === "" ? "" : `\n${rest}`}`,
    notes,
  };
}

/**
 * The date of a version's section; undefined if it has none.
 * @param {string} changelog @param {string} version @returns {string | undefined}
 */
export function datedSection(changelog, version) {
  const sections = changelog.matchAll(/^## \[([^\]]+)\] - (\d{4}-\d\d-\d\d)$/gm);
  return [...sections].find(([, name]) => name === version)?.[2];
}
