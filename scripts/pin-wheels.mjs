// @ts-check
/**
 * `node scripts/pin-wheels.mjs`: rewrites extension/native/install/wheels.json after a change of TensorFlow's version. pip lists the
 * wheels of its index for each platform and Python, with their SHA-256; nothing is downloaded.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { inRoot, main, ScriptError } from "./project.mjs";

/** @type {Record<string, [distribution: string, tag: string]>} */
const PLATFORMS = {
  "linux-x64": ["tensorflow-cpu", "manylinux_2_27_x86_64"],
  "linux-arm64": ["tensorflow", "manylinux_2_27_aarch64"],
  "darwin-arm64": ["tensorflow", "macosx_12_0_arm64"],
  "win32-x64": ["tensorflow", "win_amd64"],
};
const PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"];

/**
 * The wheel that pip would install; undefined if its index has none.
 * @param {string} requirement @param {string} platform @param {string} python @param {string} folder
 * @returns {[name: string, sha256: string] | undefined}
 */
function wheel(requirement, platform, python, folder) {
  const report = path.join(folder, "report.json");
  fs.rmSync(report, { force: true });
  const what = [requirement, "--platform", platform, "--python-version", python];
  const how = ["--no-deps", "--only-binary=:all:", "--dry-run", "--ignore-installed", "--target", folder];
  const args = ["-m", "pip", "install", "--quiet", ...what, ...how, "--report", report];
  const { status, stderr } = spawnSync("python3", args, { cwd: folder, encoding: "utf8" });
  if (status !== 0) {
    if (/No matching distribution found/.test(stderr)) return undefined;
    throw new ScriptError(`pip can't look up ${requirement} for ${platform}:\n${stderr}`);
  }
  const { download_info: info } = JSON.parse(fs.readFileSync(report, "utf8")).install[0];
  return [path.posix.basename(new URL(info.url).pathname), info.archive_info.hashes.sha256];
}

await main(async () => {
  const source = fs.readFileSync(inRoot("extension/native/cache.ts"), "utf8");
  const version = /TENSORFLOW_VERSION = "([^"]+)"/.exec(source)?.[1];
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-wheels-"));
  /** @type {Record<string, Record<string, string>>} */
  const pins = {};
  try {
    for (const [key, [distribution, tag]] of Object.entries(PLATFORMS)) {
      // The stub in extension/native/windows is that of one Python.
      const pythons = key.startsWith("win32") ? ["3.12"] : PYTHONS;
      const found = pythons.map((python) => wheel(`${distribution}==${version}`, tag, python, folder));
      pins[key] = Object.fromEntries(found.filter((one) => one !== undefined));
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  fs.writeFileSync(inRoot("extension/native/install/wheels.json"), `${JSON.stringify(pins, null, 2)}\n`);
});
