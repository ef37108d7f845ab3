// @ts-check
/**
 * `npm run release -- major|minor|patch [--pre-release] [--dry-run]`: makes a release of the checked-out main. Bumps the version,
 * dates the changelog's Unreleased section, packs everything into out/release, commits and tags. Pushes nothing. See
 * CONTRIBUTING.md.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { releaseChangelog, unreleased } from "./package/changelog.mjs";
import { isMain, main, mustRun, root, ScriptError } from "./project.mjs";

const PARTS = /** @type {const} */ (["major", "minor", "patch"]);
/** Git notes on tested commits; one that begins with "passed" records a green `npm test`. */
const TESTS = "refs/notes/tests";
/** Files of which a release changes the version. */
const MANIFEST = "package.json";
const LOCK = "package-lock.json";
const CHANGELOG = "CHANGELOG.md";
/** Beside the packages of a release. */
const NOTES = "release-notes.md";
const SUMS = "SHA256SUMS";

/** @typedef {(typeof PARTS)[number]} Part */

/**
 * The next version by semantic versioning, with VS Code's convention for channels: releases have even minor numbers, pre-releases
 * odd ones. Marketplaces compare numbers alone, and offer a pre-release's user whatever is higher.
 * @param {string} version @param {Part} part @param {boolean} [preRelease]
 */
export function bump(version, part, preRelease = false) {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(version);
  if (match === null) throw new ScriptError(`${MANIFEST}: ${version} is not a version like 1.2.3.`);
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map(Number);
  const odd = Number(preRelease);
  if (part === "major") return `${major + 1}.${odd}.0`;
  if (part === "minor") return `${major}.${minor % 2 === odd ? minor + 2 : minor + 1}.0`;
  if (minor % 2 !== odd)
    throw new ScriptError(
      preRelease
        ? `${version} has an even minor number, that of a release: make a pre-release of minor or major.`
        : `${version} has an odd minor number, that of a pre-release: release minor or major.`,
    );
  return `${major}.${minor}.${patch + 1}`;
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
 * Checks the clone, then makes the release: files, packages, commit, tag. A failed packing restores the files. A pre-release
 * leaves the changelog: its notes are those of Unreleased, which the next release dates.
 * @param {Part} part
 * @param {object} options
 * @param {string} [options.folder] The clone.
 * @param {boolean} [options.preRelease]
 * @param {boolean} [options.dryRun] Only says what would be done.
 * @param {string} [options.date] As 2026-01-31; today by default.
 * @param {(args: readonly string[]) => Promise<void>} [options.pack] Packs the new version, with these arguments of
 *   `npm run package`.
 * @param {(line: string) => void} [options.say]
 * @returns {Promise<string>} The version.
 */
export async function release(
  part,
  {
    folder = root,
    preRelease = false,
    dryRun = false,
    date = new Date().toISOString().slice(0, 10),
    pack = (args) => mustRun("npm", ["run", "package", "--", ...args]),
    say = (line) => void process.stdout.write(`${line}\n`),
  } = {},
) {
  const git = (/** @type {string[]} */ ...args) =>
    execFileSync("git", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
  const read = (/** @type {string} */ name) => fs.readFileSync(path.join(folder, name), "utf8");
  const { version: current } = JSON.parse(read(MANIFEST));
  const version = bump(current, part, preRelease);
  const tag = `v${version}`;
  checkClone(git, tag);

  const { notes, ...dated } = preRelease
    ? unreleased(read(CHANGELOG))
    : releaseChangelog(read(CHANGELOG), version, date);
  const files = {
    [MANIFEST]: replaceVersion(read(MANIFEST), current, version, 1),
    [LOCK]: replaceVersion(read(LOCK), current, version, 2),
    ...("changelog" in dated ? { [CHANGELOG]: dated.changelog } : {}),
  };
  const kind = preRelease ? "pre-release" : "release";
  const outputs = path.join("out", "release", version);
  const args = ["--target", "all", "--out", outputs, ...(preRelease ? ["--pre-release"] : [])];
  if (dryRun) {
    say(`Would make the ${kind} ${version} (now ${current}), dated ${date}:`);
    say(`- write ${Object.keys(files).join(", ")}`);
    say(`- run npm run package -- ${args.join(" ")}`);
    say(`- write ${NOTES} and ${SUMS} there`);
    say(`- commit "Release ${version}" and tag it ${tag}`);
    say(`\nNotes of the ${kind}:\n\n${notes}`);
    return version;
  }
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
  const target = path.join(folder, outputs);
  fs.rmSync(target, { recursive: true, force: true });
  fs.mkdirSync(target, { recursive: true });
  try {
    await pack(args);
    fs.writeFileSync(path.join(target, NOTES), `${notes}\n`);
    fs.writeFileSync(path.join(target, SUMS), checksums(target));
  } catch (error) {
    git("checkout", "--", ...Object.keys(files));
    fs.rmSync(target, { recursive: true, force: true });
    throw error;
  }
  git("commit", "--quiet", "--message", `Release ${version}`, "--", ...Object.keys(files));
  // Lines that begin with "#" are headings here, not comments.
  const title = `Layerwise ${version}${preRelease ? " (pre-release)" : ""}`;
  git("tag", "--annotate", "--cleanup=verbatim", "--message", `${title}\n\n${notes}\n`, tag);
  say(
    `Made the ${kind} ${version}; its files are in ${outputs}. Publish it with: git push origin main ${tag}`,
  );
  return version;
}

/** The files of a folder with their hashes, as `sha256sum --check` reads them. @param {string} folder */
function checksums(folder) {
  const line = (/** @type {string} */ name) => {
    const hash = createHash("sha256").update(fs.readFileSync(path.join(folder, name)));
    return `${hash.digest("hex")}  ${name}\n`;
  };
  return fs.readdirSync(folder).sort().map(line).join("");
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
      options: {
        "dry-run": { type: "boolean", default: false },
        "pre-release": { type: "boolean", default: false },
      },
      allowPositionals: true,
    });
    const part = PARTS.find((name) => name === positionals[0]);
    if (part === undefined || positionals.length > 1)
      throw new ScriptError(`Usage: npm run release -- ${PARTS.join("|")} [--pre-release] [--dry-run]`);
    await release(part, { dryRun: values["dry-run"], preRelease: values["pre-release"] });
  });
