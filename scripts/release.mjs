// @ts-check
/**
 * `npm run release -- major|minor|patch [--dry-run]`: makes a release of the checked-out main. Bumps the version, dates the
 * changelog's Unreleased section, packs a VSIX for each platform, commits and tags. Pushes nothing. See CONTRIBUTING.md.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { isMain, main, mustRun, root, ScriptError } from "./project.mjs";

const PARTS = /** @type {const} */ (["major", "minor", "patch"]);
/** Git notes on tested commits; one that begins with "passed" records a green `npm test`. */
const TESTS = "refs/notes/tests";
/** Files of which a release changes the version. */
const MANIFEST = "package.json";
const LOCK = "package-lock.json";
const CHANGELOG = "CHANGELOG.md";

/** @typedef {(typeof PARTS)[number]} Part */

/**
 * The next version by semantic versioning.
 * @param {string} version @param {Part} part
 */
export function bump(version, part) {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(version);
  if (match === null) throw new ScriptError(`${MANIFEST}: ${version} is not a version like 1.2.3.`);
  const numbers = match.slice(1).map(Number);
  const at = PARTS.indexOf(part);
  return numbers.map((number, i) => (i < at ? number : i === at ? number + 1 : 0)).join(".");
}

/**
 * Dates the Unreleased section and puts an empty one above it. Headings without entries are left out.
 * @param {string} changelog @param {string} version @param {string} date As 2026-01-31.
 * @returns {{ changelog: string, notes: string }} The new text, and the released section without its heading.
 */
export function releaseChangelog(changelog, version, date) {
  const heading = /^## \[Unreleased\]\n/m.exec(changelog);
  if (heading === null) throw new ScriptError(`${CHANGELOG}: there is no section "## [Unreleased]".`);
  if (changelog.includes(`## [${version}]`))
    throw new ScriptError(`${CHANGELOG}: version ${version} has a section already.`);
  const start = heading.index + heading[0].length;
  const next = /^## /m.exec(changelog.slice(start));
  const end = next === null ? changelog.length : start + next.index;
  const notes = changelog
    .slice(start, end)
    .split(/^(?=### )/m)
    .map((section) => section.trim())
    .filter((section) => section.replace(/^### .*/, "").trim() !== "")
    .join("\n\n");
  if (notes === "")
    throw new ScriptError(`${CHANGELOG}: Unreleased is empty, so there is nothing to release.`);
  const rest = changelog.slice(end);
  return {
    changelog: `${changelog.slice(0, start)}\n## [${version}] - ${date}\n\n${notes}\n${rest === "" ? "" : `\n${rest}`}`,
    notes,
  };
}

/**
 * Replaces the first `times` occurrences of a version, and leaves the rest of a manifest or lock file unchanged.
 * @param {string} text @param {string} from @param {string} to @param {number} times
 */
function replaceVersion(text, from, to, times) {
  let left = times;
  return text.replaceAll(`"version": "${from}"`, (found) => (left-- > 0 ? `"version": "${to}"` : found));
}

/**
 * Checks the clone, then makes the release: files, packages, commit, tag. A failed packing restores the files.
 * @param {Part} part
 * @param {object} options
 * @param {string} [options.folder] The clone.
 * @param {boolean} [options.dryRun] Only says what would be done.
 * @param {string} [options.date] As 2026-01-31; today by default.
 * @param {() => Promise<void>} [options.pack] Packs the files of the new version.
 * @param {(line: string) => void} [options.say]
 * @returns {Promise<string>} The version.
 */
export async function release(
  part,
  {
    folder = root,
    dryRun = false,
    date = new Date().toISOString().slice(0, 10),
    pack = () => mustRun("npm", ["run", "package", "--", "--target", "all"]),
    say = (line) => void process.stdout.write(`${line}\n`),
  } = {},
) {
  const git = (/** @type {string[]} */ ...args) =>
    execFileSync("git", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
  const read = (/** @type {string} */ name) => fs.readFileSync(path.join(folder, name), "utf8");
  const version = bump(JSON.parse(read(MANIFEST)).version, part);
  const tag = `v${version}`;
  checkClone(git, tag);

  const { version: current } = JSON.parse(read(MANIFEST));
  const { changelog, notes } = releaseChangelog(read(CHANGELOG), version, date);
  const files = {
    [MANIFEST]: replaceVersion(read(MANIFEST), current, version, 1),
    [LOCK]: replaceVersion(read(LOCK), current, version, 2),
    [CHANGELOG]: changelog,
  };
  const notesFile = path.join("out", `release-notes-${version}.md`);
  if (dryRun) {
    say(`Would release ${version} (now ${current}), dated ${date}:`);
    say(`- write ${Object.keys(files).join(", ")} and ${notesFile}`);
    say("- run npm run package -- --target all");
    say(`- commit "Release ${version}" and tag it ${tag}`);
    say(`\nNotes of the release:\n\n${notes}`);
    return version;
  }
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
  try {
    await pack();
  } catch (error) {
    git("checkout", "--", ...Object.keys(files));
    throw error;
  }
  fs.mkdirSync(path.join(folder, "out"), { recursive: true });
  fs.writeFileSync(path.join(folder, notesFile), `${notes}\n`);
  git("commit", "--quiet", "--message", `Release ${version}`, "--", ...Object.keys(files));
  // Lines that begin with "#" are headings here, not comments.
  git("tag", "--annotate", "--cleanup=verbatim", "--message", `Layerwise ${version}\n\n${notes}\n`, tag);
  say(`Released ${version}; its notes are in ${notesFile}. Publish it with: git push origin main ${tag}`);
  return version;
}

/**
 * Refuses a clone that can't be released: changed files, another branch, behind its upstream, untested, tag taken.
 * Asks git alone, so the upstream is as the last fetch left it.
 * @param {(...args: string[]) => string} git @param {string} tag
 */
function checkClone(git, tag) {
  const ask = (/** @type {string[]} */ ...args) => {
    try {
      return git(...args);
    } catch {
      return undefined;
    }
  };
  const changed = git("status", "--porcelain");
  if (changed !== "") throw new ScriptError(`Commit or stash these changes first:\n${changed}`);
  const branch = ask("symbolic-ref", "--short", "HEAD") ?? "a detached HEAD";
  if (branch !== "main") throw new ScriptError(`Releases are made from main; this is ${branch}.`);
  const behind = ask("rev-list", "--count", "HEAD..@{upstream}") ?? "0";
  if (behind !== "0")
    throw new ScriptError(`main is behind its upstream (commits: ${behind}): run git pull.`);
  if (!(ask("notes", `--ref=${TESTS}`, "show", "HEAD") ?? "").startsWith("passed"))
    throw new ScriptError(
      `No record says that this commit is green. Run npm test && git notes --ref=${TESTS} add -f -m passed`,
    );
  if (ask("rev-parse", "--verify", "--quiet", `refs/tags/${tag}`) !== undefined)
    throw new ScriptError(`The tag ${tag} exists already.`);
}

if (isMain(import.meta.url))
  await main(async () => {
    const { values, positionals } = parseArgs({
      options: { "dry-run": { type: "boolean", default: false } },
      allowPositionals: true,
    });
    const part = PARTS.find((name) => name === positionals[0]);
    if (part === undefined || positionals.length > 1)
      throw new ScriptError(`Usage: npm run release -- ${PARTS.join("|")} [--dry-run]`);
    await release(part, { dryRun: values["dry-run"] });
  });
