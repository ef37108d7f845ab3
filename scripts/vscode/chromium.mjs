// @ts-check
/** Finds Chromium for the browser tests; installs it with its fonts as root on Debian. */
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const APPLICATIONS = [
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const PACKAGES = ["chromium", "fonts-dejavu-core"];

/**
 * The browser's executable.
 * @param {{ log?: (text: string) => void }} [options]
 */
export function ensureChromium({ log = console.log } = {}) {
  const found = findChromium();
  if (found) return found;
  if (!isRoot() || spawnSync("apt-get", ["--version"]).status !== 0)
    throw new Error(
      "The browser tests need Chromium or Chrome. On Debian or Ubuntu: " +
        `sudo apt-get install ${PACKAGES.join(" ")}. Elsewhere: install it and, unless it is on PATH, set LAYERWISE_CHROMIUM to its executable.`,
    );
  log(`Installing ${PACKAGES.join(", ")} with apt-get`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  execFileSync("apt-get", ["update", "-qq"], { env, stdio: ["ignore", "ignore", "inherit"] });
  const install = ["install", "-y", "-qq", "--no-install-recommends", ...PACKAGES];
  execFileSync("apt-get", install, { env, stdio: ["ignore", "ignore", "inherit"] });
  const installed = findChromium();
  if (!installed) throw new Error("apt-get installed chromium, but it is not on PATH.");
  return installed;
}

/** @returns {string | undefined} */
function findChromium() {
  const named = process.env["LAYERWISE_CHROMIUM"];
  if (named) {
    if (!fs.existsSync(named)) throw new Error(`LAYERWISE_CHROMIUM names ${named}, which does not exist.`);
    return named;
  }
  const folders = (process.env["PATH"] ?? "").split(path.delimiter).filter(Boolean);
  const candidates = NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return [...candidates, ...APPLICATIONS].find((file) => fs.existsSync(file));
}

/** Chromium's sandbox refuses to run as root. */
export const isRoot = () => process.getuid?.() === 0;
