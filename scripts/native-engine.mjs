// @ts-check
/** Installs the native engine for `npm start` and `npm test` if possible; else one line says what runs instead. */
import { spawnSync } from "node:child_process";
import { inRoot, run } from "./project.mjs";

const cli = inRoot("dist", "cli.js");

/**
 * @typedef {{ backend: string, state: string, reason?: string, version?: string, missing: string[] }} Status
 *   What `layerwise engine status --json` prints.
 */

/** @returns {Status} */
function status() {
  const { stdout, stderr } = spawnSync(process.execPath, [cli, "engine", "status", "--json"], {
    encoding: "utf8",
  });
  if (stdout === "") throw new Error(`layerwise engine status failed: ${stderr}`);
  return JSON.parse(stdout);
}

/**
 * Needs a build. Never fails: without the native engine, the wasm engine computes the same numbers more slowly.
 * @returns {Promise<boolean>} Whether it is installed.
 */
export async function ensureNativeEngine() {
  let now = status();
  if (now.state === "not-installed" || now.state === "broken") {
    await installSystemPackages();
    now = status();
    if (now.missing.length === 0) {
      process.stdout.write("Installing the native engine (TensorFlow, once per user) …\n");
      const exit = await run(process.execPath, [cli, "engine", "install"]);
      if (exit === 130) process.exit(130);
      // The installer has said why.
      now = exit === 0 ? status() : { ...now, reason: "the native engine could not be installed" };
    }
  }
  const engine = now.version === undefined ? now.backend : `TensorFlow ${now.version}`;
  process.stdout.write(`Engine: ${engine}${now.reason === undefined ? "" : ` (${now.reason})`}\n`);
  return now.version !== undefined;
}

/** As root on Debian, installs missing tools. Elsewhere, the installer's message lists them. */
async function installSystemPackages() {
  if (process.platform !== "linux" || process.getuid?.() !== 0 || !runs("apt-get", ["--version"])) return;
  const python = runs("python3", ["--version"]);
  const pip = (python && runs("python3", ["-m", "pip", "--version"])) || runs("pip3", ["--version"]);
  const compiler = ["g++", "c++", "clang++"].some((name) => runs(name, ["--version"]));
  // A tool that is installed but not on PATH is hidden on purpose.
  const packages = [
    ...(pip || isInstalled(python ? "python3-pip" : "python3") ? [] : ["python3-pip"]),
    ...(compiler || isInstalled("g++") ? [] : ["g++"]),
  ];
  if (packages.length === 0) return;
  process.stdout.write(`Installing ${packages.join(" and ")} with apt-get …\n`);
  const options = { quiet: true, env: { DEBIAN_FRONTEND: "noninteractive" } };
  await run("apt-get", ["update", "-qq"], options);
  await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], options);
}

/** @param {string} command @param {string[]} args */
const runs = (command, args) => spawnSync(command, args, { stdio: "ignore" }).status === 0;

/** @param {string} name */
const isInstalled = (name) =>
  spawnSync("dpkg-query", ["-W", "-f=${Status}", name], { encoding: "utf8" }).stdout ===
  "install ok installed";
