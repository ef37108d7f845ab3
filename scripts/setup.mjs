// @ts-check
/**
 * Prepares a clone: installs the packages of the lock file and builds, each only if its input changed. Safe to interrupt and to
 * repeat.
 */
import fs from "node:fs";
import { digest, inRoot, isMain, main, mustRun, ScriptError, unlessStamped } from "./project.mjs";

const OLDEST_NODE = [20, 19];

/** All inputs of a build. */
const SOURCES = [
  "extension",
  "webview",
  "scripts/build.mjs",
  "scripts/l10n.mjs",
  "scripts/package/notices.mjs",
  "scripts/project.mjs",
  "package.json",
  "package-lock.json",
  "tsconfig.base.json",
];

export async function setup() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE;
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor))
    throw new ScriptError(
      `Layerwise needs Node ${OLDEST_NODE.join(".")} or newer; this is ${process.versions.node}.`,
    );
  await installPackages();
  await buildIfChanged();
}

/** Installs packages without their install scripts: none is needed, and some download from hosts that may be blocked. */
async function installPackages() {
  const key = `${digest(["package-lock.json"])} ${process.platform}-${process.arch}`;
  await unlessStamped("node_modules/.layerwise-stamp", key, async () => {
    if (packagesMatch()) return;
    process.stdout.write("Installing npm packages …\n");
    await mustRun("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { quiet: true });
  });
}

/** Whether npm's record of node_modules, which it writes last, has all packages of the lock file. */
function packagesMatch() {
  /** @typedef {{ version?: string, integrity?: string, optional?: boolean }} Package */
  /** @param {string} file @returns {Record<string, Package>} */
  const read = (file) => JSON.parse(fs.readFileSync(inRoot(file), "utf8")).packages;
  try {
    const installed = read("node_modules/.package-lock.json");
    return Object.entries(read("package-lock.json")).every(([place, wanted]) => {
      const found = installed[place];
      if (place === "") return true;
      if (found === undefined) return wanted.optional === true;
      return found.version === wanted.version && found.integrity === wanted.integrity;
    });
  } catch {
    return false;
  }
}

async function buildIfChanged() {
  await unlessStamped("dist/.layerwise-stamp", digest(SOURCES), async () => {
    process.stdout.write("Building …\n");
    await mustRun(process.execPath, [inRoot("scripts", "build.mjs")], { quiet: true });
  });
  if (!fs.existsSync(inRoot("dist", "cli.js")))
    throw new ScriptError("The build left no dist/cli.js: run npm run build and read its output.");
}

if (isMain(import.meta.url)) await main(setup);
