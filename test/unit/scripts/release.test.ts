import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { datedSection, releaseChangelog } from "../../../scripts/package/changelog.mjs";
import { bump, release } from "../../../scripts/release.mjs";

const changelog = `# Changelog

## [Unreleased]

### Added

- A layer.

### Fixed

## [0.1.0] - 2026-01-01

- First.
`;

test("the next version follows semantic versioning, with an even minor number", () => {
  expect(bump("1.2.3", "patch")).toBe("1.2.4");
  expect(bump("1.2.3", "minor")).toBe("1.4.0");
  expect(bump("1.3.3", "minor")).toBe("1.4.0");
  expect(bump("1.3.3", "major")).toBe("2.0.0");
  expect(() => bump("1.3.3", "patch")).toThrow("1.3.3 has an odd minor number");
  expect(() => bump("1.2", "minor")).toThrow("1.2 is not a version");
});

test("the next pre-release has an odd minor number, between those of two releases", () => {
  expect(bump("1.2.3", "minor", true)).toBe("1.3.0");
  expect(bump("1.3.0", "patch", true)).toBe("1.3.1");
  expect(bump("1.3.1", "minor", true)).toBe("1.5.0");
  expect(bump("1.3.1", "major", true)).toBe("2.1.0");
  expect(() => bump("1.2.3", "patch", true)).toThrow("1.2.3 has an even minor number");
});

describe("the changelog of a release", () => {
  test("dates Unreleased, leaves empty headings out and opens a new Unreleased", () => {
    const result = releaseChangelog(changelog, "0.2.0", "2026-11-27");
    expect(result.notes).toBe("### Added\n\n- A layer.");
    expect(result.changelog).toBe(`# Changelog

## [Unreleased]

## [0.2.0] - 2026-11-27

### Added

- A layer.

## [0.1.0] - 2026-01-01

- First.
`);
  });

  test("is refused without entries, without Unreleased, or for a version that is there", () => {
    const dated = releaseChangelog(changelog, "0.2.0", "2026-11-27").changelog;
    expect(() => releaseChangelog(dated, "0.3.0", "2026-11-28")).toThrow("nothing to release");
    expect(() => releaseChangelog("# Changelog\n", "0.3.0", "2026-11-28")).toThrow("no section");
    expect(() => releaseChangelog(changelog, "0.1.0", "2026-11-28")).toThrow("has a section already");
  });

  test("says the date of a version", () => {
    expect(datedSection(changelog, "0.1.0")).toBe("2026-01-01");
    expect(datedSection(changelog, "0.2.0")).toBeUndefined();
  });

  test("can be made of this repository's", () => {
    const own = fs.readFileSync(new URL("../../../CHANGELOG.md", import.meta.url), "utf8");
    const { notes } = releaseChangelog(own, "99.0.0", "2099-01-01");
    const headings = [...notes.matchAll(/^### (.*)$/gm)].map(([, name]) => name);
    const kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
    expect(headings).toEqual(kinds.filter((kind) => headings.includes(kind)));
    expect(headings.length).toBeGreaterThan(0);
  });
});

describe("a release", () => {
  let folder: string;
  const said: string[] = [];
  const packed: string[] = [];
  let packedWith: readonly string[] = [];
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: folder, encoding: "utf8" }).trim();
  const read = (name: string): string => fs.readFileSync(path.join(folder, name), "utf8");
  interface Options {
    dryRun?: boolean;
    preRelease?: boolean;
    pack?: () => Promise<void>;
  }
  const start = (options: Options = {}): Promise<string> =>
    release("minor", {
      folder,
      date: "2026-11-27",
      say: (line) => void said.push(line),
      pack: (args) => {
        const { version } = JSON.parse(read("package.json")) as { version: string };
        packed.push(version);
        packedWith = args;
        fs.writeFileSync(path.join(folder, "out/release", version, "x.vsix"), "x");
        return Promise.resolve();
      },
      ...options,
    });

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-release-"));
    said.length = 0;
    packed.length = 0;
    const write = (name: string, text: string): void => fs.writeFileSync(path.join(folder, name), text);
    write(
      "package.json",
      '{\n  "name": "x",\n  "version": "0.1.0",\n  "engines": { "version": "0.1.0" }\n}\n',
    );
    write(
      "package-lock.json",
      '{\n  "version": "0.1.0",\n  "packages": {\n    "": { "version": "0.1.0" },\n    "y": { "version": "0.1.0" }\n  }\n}\n',
    );
    write("CHANGELOG.md", changelog);
    write(".gitignore", "out/\n");
    git("init", "--quiet", "--initial-branch=main");
    git("config", "user.name", "Test");
    git("config", "user.email", "test@example.invalid");
    git("config", "commit.gpgsign", "false");
    git("config", "tag.gpgsign", "false");
    git("add", ".");
    git("commit", "--quiet", "--message", "Begin");
    git("notes", "--ref=refs/notes/tests", "add", "-m", "passed");
  });

  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

  test("bumps the version, packs it, commits and tags with the notes", async () => {
    expect(await start()).toBe("0.2.0");
    expect(packed).toEqual(["0.2.0"]);
    expect(JSON.parse(read("package.json"))).toEqual({
      name: "x",
      version: "0.2.0",
      engines: { version: "0.1.0" },
    });
    const lock = JSON.parse(read("package-lock.json"));
    expect([lock.version, lock.packages[""].version, lock.packages.y.version]).toEqual([
      "0.2.0",
      "0.2.0",
      "0.1.0",
    ]);
    expect(read("CHANGELOG.md")).toContain("## [0.2.0] - 2026-11-27\n\n### Added\n\n- A layer.\n");
    expect(packedWith).toEqual(["--target", "all", "--out", path.join("out", "release", "0.2.0")]);
    expect(read("out/release/0.2.0/release-notes.md")).toBe("### Added\n\n- A layer.\n");
    expect(git("log", "-1", "--format=%s")).toBe("Release 0.2.0");
    expect(git("status", "--porcelain")).toBe("");
    expect(git("rev-list", "-1", "v0.2.0")).toBe(git("rev-parse", "HEAD"));
    expect(git("tag", "-l", "--format=%(contents)", "v0.2.0")).toBe(
      "Layerwise 0.2.0\n\n### Added\n\n- A layer.",
    );
  });

  test("lists the hashes of its files as sha256sum does", async () => {
    await start();
    const lines = read("out/release/0.2.0/SHA256SUMS").trimEnd().split("\n");
    const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
    expect(lines).toEqual([
      `${sha256("### Added\n\n- A layer.\n")}  release-notes.md`,
      `${sha256("x")}  x.vsix`,
    ]);
  });

  test("with --pre-release has an odd minor number and the notes of Unreleased, and leaves the changelog", async () => {
    expect(await start({ preRelease: true })).toBe("0.3.0");
    expect(packedWith).toContain("--pre-release");
    expect(read("CHANGELOG.md")).toBe(changelog);
    expect(read("out/release/0.3.0/release-notes.md")).toBe("### Added\n\n- A layer.\n");
    expect(git("tag", "-l", "--format=%(contents:subject)", "v0.3.0")).toBe("Layerwise 0.3.0 (pre-release)");
    expect(git("status", "--porcelain")).toBe("");
  });

  test("needs an entry in the changelog, whatever its channel", async () => {
    fs.writeFileSync(path.join(folder, "CHANGELOG.md"), changelog.replace("- A layer.\n", ""));
    git("commit", "--quiet", "--all", "--message", "No entry");
    git("notes", "--ref=refs/notes/tests", "add", "-m", "passed");
    for (const preRelease of [false, true])
      await expect(start({ preRelease })).rejects.toThrow("Unreleased is empty");
    expect([git("status", "--porcelain"), packed]).toEqual(["", []]);
  });

  test("with --dry-run says what it would do and changes nothing", async () => {
    const before = git("rev-parse", "HEAD");
    await start({ dryRun: true });
    expect(said.join("\n")).toContain("Would make the release 0.2.0 (now 0.1.0), dated 2026-11-27");
    expect(said.join("\n")).toContain("- A layer.");
    expect([git("rev-parse", "HEAD"), git("status", "--porcelain"), git("tag", "-l"), packed]).toEqual([
      before,
      "",
      "",
      [],
    ]);
  });

  test("restores the files when packing fails", async () => {
    await expect(start({ pack: () => Promise.reject(new Error("over 25 MB")) })).rejects.toThrow(
      "over 25 MB",
    );
    expect([git("status", "--porcelain"), git("tag", "-l")]).toEqual(["", ""]);
    expect(fs.existsSync(path.join(folder, "out/release/0.2.0"))).toBe(false);
  });

  test("needs a clean tree", async () => {
    fs.writeFileSync(path.join(folder, "new.txt"), "");
    await expect(start()).rejects.toThrow("Commit or stash these changes first:\n?? new.txt");
  });

  test("needs main", async () => {
    git("switch", "--quiet", "--create", "other");
    await expect(start()).rejects.toThrow("Releases are made from main; this is other.");
  });

  test("needs a record of green tests for this very commit", async () => {
    git("commit", "--quiet", "--allow-empty", "--message", "More");
    await expect(start()).rejects.toThrow("No record says that this commit is green.");
  });

  test("needs main to be up to date with its upstream", async () => {
    git("branch", "upstream");
    git("switch", "--quiet", "upstream");
    git("commit", "--quiet", "--allow-empty", "--message", "Theirs");
    git("switch", "--quiet", "main");
    git("branch", "--quiet", "--set-upstream-to=upstream");
    await expect(start()).rejects.toThrow("main is behind its upstream (commits: 1): run git pull.");
  });

  test("needs its tag to be free", async () => {
    git("tag", "v0.2.0");
    await expect(start()).rejects.toThrow("The tag v0.2.0 exists already.");
  });
});
