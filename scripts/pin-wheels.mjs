// @ts-check
/**
 * `node scripts/pin-wheels.mjs`: rewrites wheels.json and gpuWheels.json of extension/native/install after a change of TensorFlow's
 * version. pip lists the wheels of its index for each platform and Python, with their SHA-256; nothing is downloaded.
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
/** Of the build for GPUs, and of the packages of CUDA's libraries that its metadata name. */
const GPU_TAGS = [
  ...Array.from({ length: 23 }, (_, i) => `manylinux_2_${27 - i}_x86_64`),
  ...["manylinux2014", "manylinux2010", "manylinux1"].map((name) => `${name}_x86_64`),
];
const PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"];

/** @typedef {[name: string, sha256: string]} Pin */

/**
 * The wheels that pip would install; none if its index has none.
 * @param {string} requirement @param {readonly string[]} platforms @param {string} python @param {string} folder
 * @param {readonly string[]} more
 * @returns {Pin[]}
 */
function wheels(requirement, platforms, python, folder, more = ["--no-deps"]) {
  const report = path.join(folder, "report.json");
  fs.rmSync(report, { force: true });
  const tags = platforms.flatMap((platform) => ["--platform", platform]);
  const what = [requirement, ...tags, "--python-version", python];
  const how = [...more, "--only-binary=:all:", "--dry-run", "--ignore-installed", "--target", folder];
  const args = ["-m", "pip", "install", "--quiet", ...what, ...how, "--report", report];
  const { status, stderr } = spawnSync("python3", args, { cwd: folder, encoding: "utf8" });
  if (status !== 0) {
    if (/No matching distribution found/.test(stderr)) return [];
    throw new ScriptError(`pip can't look up ${requirement} for ${platforms[0]}:\n${stderr}`);
  }
  /** @type {{ download_info: { url: string, archive_info: { hashes: { sha256: string } } } }[]} */
  const found = JSON.parse(fs.readFileSync(report, "utf8")).install;
  return found.map(({ download_info: info }) => [
    path.posix.basename(new URL(info.url).pathname),
    info.archive_info.hashes.sha256,
  ]);
}

/** @param {string} name @param {object} pins */
const write = (name, pins) =>
  fs.writeFileSync(inRoot("extension/native/install", name), `${JSON.stringify(pins, null, 2)}\n`);

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
      const requirement = `${distribution}==${version}`;
      pins[key] = Object.fromEntries(pythons.flatMap((python) => wheels(requirement, [tag], python, folder)));
    }
    const tensorflow = PYTHONS.flatMap((python) =>
      wheels(`tensorflow==${version}`, GPU_TAGS, python, folder),
    );
    const all = wheels(`tensorflow[and-cuda]==${version}`, GPU_TAGS, "3.12", folder, []);
    const cuda = all.filter(([name]) => name.startsWith("nvidia_"));
    if (cuda.length === 0) throw new ScriptError("pip's index has no CUDA for this TensorFlow.");
    write("gpuWheels.json", Object.fromEntries([...tensorflow, ...cuda]));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  write("wheels.json", pins);
});
