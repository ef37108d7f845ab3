// @ts-check
/**
 * `npm run package [-- --target PLATFORM …|all|npm] [--pre-release] [--out FOLDER]`: packs a VSIX for each platform, by default
 * for this one, and the npm package. Both are release builds with a prebuilt binding for each platform that has a native engine;
 * TensorFlow itself is installed on demand. A VSIX has the platform's esbuild from npm. Writes a software bill of materials
 * (CycloneDX) beside each. The same commit gives the same bytes.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { listFiles, PackageManager } from "@vscode/vsce";
import { build } from "./build.mjs";
import { inRoot, isMain, main, mustRun, root, ScriptError } from "./project.mjs";
import { datedSection } from "./package/changelog.mjs";
import { packagedPage } from "./package/markdown.mjs";
import { packageLibrary } from "./package/npm.mjs";
import { copyBindings, PREBUILT_TARGETS } from "./package/prebuilt.mjs";
import { billOfMaterials } from "./package/sbom.mjs";
import { checkContents, megabytes, readContents } from "./package/vsix-contents.mjs";

const PLUGIN = "layerwise-ts-plugin";
const TARGETS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64", "win32-arm64"];
/** Names the npm package alone in place of a platform. */
const NPM = "npm";
const THIS_PLATFORM = `${process.platform}-${process.arch}`;

/** The date of files in packages without a release: npm's. */
const NO_DATE = "1985-10-26";

/**
 * The date of the files in a package, so that the same commit gives the same bytes: that of the version's section in the
 * changelog.
 */
export function packingDate() {
  const { version } = readManifest();
  return new Date(datedSection(fs.readFileSync(inRoot("CHANGELOG.md"), "utf8"), version) ?? NO_DATE);
}

const readManifest = () => JSON.parse(fs.readFileSync(inRoot("package.json"), "utf8"));

/**
 * Packs dist/ and checks the VSIX's contents.
 * @param {{ target?: string, esbuild?: string, out?: string, bindings?: readonly string[], preRelease?: boolean }} [options] The
 *   platform; the folder of its package `@esbuild/<target>`, by default the one in dist/, which is this platform's; the file to
 *   write; the platforms of its prebuilt bindings, by default none: compiling them takes minutes; its channel.
 * @returns {Promise<string>} The VSIX file's path.
 */
export async function packageExtension({
  target = THIS_PLATFORM,
  esbuild = inRoot("dist/node_modules/@esbuild", target),
  out = inRoot("out/layerwise.vsix"),
  bindings = [],
  preRelease = false,
} = {}) {
  const vsce = inRoot("node_modules/@vscode/vsce/vsce");
  const args = [vsce, "package", "--out", out];
  if (TARGETS.includes(target)) args.push("--target", target);
  if (preRelease) args.push("--pre-release");
  // vsce completes links with the repository's address.
  if (!hasRepository()) args.push("--allow-missing-repository", "--no-rewrite-relative-links");
  let said = "";
  await mustRun(process.execPath, args, {
    quiet: true,
    onOutput: (text) => (said += text),
    cwd: await stage(target, esbuild, bindings),
    env: {
      SOURCE_DATE_EPOCH: String(packingDate().getTime() / 1000),
      // A zip file's times are local.
      TZ: "UTC",
    },
  });
  if (/\b(?:WARNING|ERROR)\b/.test(said)) throw new ScriptError(`vsce printed warnings:\n${said}`);
  checkContents(target, await readContents(out), fs.statSync(out).size, bindings.length > 0);
  return out;
}

/** Whether the manifest names a public repository, from which a marketplace takes pictures and pages. */
const hasRepository = () => readManifest().repository !== undefined;

/**
 * Copies the shipped files into a folder. TypeScript's server finds its plugin only in a `node_modules`, which vsce ships only
 * for dependencies. All other dependencies are bundled, so this manifest lists only the plugin.
 * @param {string} target @param {string} esbuild @param {readonly string[]} bindings
 */
async function stage(target, esbuild, bindings) {
  const folder = inRoot("out/vsix");
  fs.rmSync(folder, { recursive: true, force: true });
  const files = await listFiles({ cwd: root, packageManager: PackageManager.None });
  for (const file of files) copy(file, folder, file);
  const ships = (/** @type {string} */ file) => hasRepository() || files.includes(file);
  for (const [name, page] of Object.entries({
    "README.md": "extension/README.md",
    "CHANGELOG.md": "CHANGELOG.md",
  }))
    fs.writeFileSync(path.join(folder, name), packagedPage(page, { ships, pictures: "link" }));
  fs.cpSync(esbuild, path.join(folder, "dist/node_modules/@esbuild", target), { recursive: true });
  if (bindings.length > 0) await copyBindings(path.join(folder, "dist/native/prebuilt"), bindings);
  copy("extension/tsPlugin/package.json", folder, `node_modules/${PLUGIN}/package.json`);
  const { version } = JSON.parse(fs.readFileSync(inRoot("extension/tsPlugin/package.json"), "utf8"));
  const shipped = {
    ...readManifest(),
    dependencies: { [PLUGIN]: version },
    devDependencies: {},
    scripts: {},
  };
  fs.writeFileSync(path.join(folder, "package.json"), `${JSON.stringify(shipped, null, 2)}\n`);
  // vsce warns of a folder without one, which could be a mistake.
  fs.writeFileSync(path.join(folder, ".vscodeignore"), "");
  // Modes must not depend on the clone's umask.
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) {
      const file = path.join(entry.parentPath, entry.name);
      fs.chmodSync(file, fs.statSync(file).mode & 0o100 ? 0o755 : 0o644);
    }
  return folder;
}

/** @param {string} file in the repository @param {string} folder @param {string} name in that folder */
function copy(file, folder, name) {
  const target = path.join(folder, name);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(inRoot(file), target);
}

/**
 * Downloads a platform's esbuild, with the version and hash of the lock file.
 * @param {string} target @param {string} folder An empty one. @returns {Promise<string>} The package's folder.
 */
async function fetchEsbuild(target, folder) {
  const name = `@esbuild/${target}`;
  const lock = JSON.parse(fs.readFileSync(inRoot("package-lock.json"), "utf8"));
  const { version, integrity } = lock.packages[`node_modules/${name}`];
  await mustRun("npm", ["pack", `${name}@${version}`], { quiet: true, cwd: folder });
  const [archive = ""] = fs.readdirSync(folder);
  const hash = createHash("sha512").update(fs.readFileSync(path.join(folder, archive)));
  if (`sha512-${hash.digest("base64")}` !== integrity)
    throw new ScriptError(`${name}@${version} from npm differs from its hash in package-lock.json.`);
  await mustRun("tar", ["-xzf", archive], { cwd: folder });
  return path.join(folder, "package");
}

/** Writes a package's bill of materials beside it, and prints its size. @param {string} file @param {object} bill */
function announce(file, bill) {
  fs.writeFileSync(file.replace(/\.[^.]+$/, ".cdx.json"), `${JSON.stringify(bill, null, 2)}\n`);
  process.stdout.write(`${path.relative(root, file)}  ${megabytes(fs.statSync(file).size)}\n`);
}

/** @param {readonly string[]} targets @param {{ folder: string, preRelease: boolean }} options */
async function packageRelease(targets, { folder: outputs, preRelease }) {
  const { name, version } = readManifest();
  fs.rmSync(inRoot("dist"), { recursive: true, force: true });
  fs.mkdirSync(outputs, { recursive: true });
  const packages = await build({ release: true });
  const library = await packageLibrary({ out: path.join(outputs, `${name}-${version}.tgz`) });
  const bindings = PREBUILT_TARGETS;
  const date = packingDate();
  announce(
    library,
    await billOfMaterials({ packages, file: library, esbuild: TARGETS, engines: bindings, bindings, date }),
  );
  for (const target of targets) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-esbuild-"));
    try {
      const esbuild = await fetchEsbuild(target, folder);
      const out = path.join(outputs, `${name}-${target}-${version}.vsix`);
      const bindings = PREBUILT_TARGETS.filter((one) => one === target);
      await packageExtension({ target, esbuild, out, bindings, preRelease });
      const bill = await billOfMaterials({
        packages,
        file: out,
        esbuild: [target],
        engines: [target],
        bindings,
        date,
      });
      announce(out, bill);
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  }
}

if (isMain(import.meta.url))
  await main(async () => {
    const { values, positionals } = parseArgs({
      options: {
        target: { type: "string", multiple: true, default: [] },
        "pre-release": { type: "boolean", default: false },
        out: { type: "string", default: inRoot("out") },
      },
      allowPositionals: true,
    });
    const named = [...values.target, ...positionals];
    const asked = named.length === 0 ? [THIS_PLATFORM] : named;
    const targets = asked.includes("all") ? TARGETS : asked.filter((target) => target !== NPM);
    const unknown = targets.find((target) => !TARGETS.includes(target));
    if (unknown !== undefined)
      throw new ScriptError(
        `There is no VSIX for ${unknown}; platforms: ${TARGETS.join(", ")}, all; or ${NPM}.`,
      );
    await packageRelease(targets, {
      folder: path.resolve(values.out),
      preRelease: values["pre-release"],
    });
  });
