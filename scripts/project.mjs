// @ts-check
/** Shared by all scripts. Imports only Node's modules, since it runs before packages are installed. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** @param {string[]} parts */
export const inRoot = (...parts) => path.join(root, ...parts);

/** A failed command or a missing tool: the user sees its message without a stack. */
export class ScriptError extends Error {}

/**
 * Runs a command, by default in the repository, and waits for it.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, quiet?: boolean, onOutput?: (text: string) => void }} [options]
 *   `quiet` holds the output back unless the command fails; `onOutput` gets it while it also goes to the terminal.
 * @returns {Promise<number>} The exit code; 128 + n after signal n.
 */
export function run(command, args, { cwd = root, env = {}, quiet = false, onOutput } = {}) {
  const piped = quiet || onOutput !== undefined;
  // npm is a .cmd file on Windows, which only a shell starts.
  const shell = process.platform === "win32" && command === "npm";
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["inherit", piped ? "pipe" : "inherit", piped ? "pipe" : "inherit"],
    shell,
  });
  /** @type {Buffer[]} */
  const held = [];
  for (const [stream, target] of /** @type {const} */ ([
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ]))
    stream?.on("data", (/** @type {Buffer} */ chunk) => {
      if (quiet) held.push(chunk);
      else target.write(chunk);
      onOutput?.(chunk.toString());
    });
  // On Ctrl-C the terminal signals the command too. It may end gracefully (a training saves its weights) before this process.
  let interrupted = false;
  const interrupt = (/** @type {NodeJS.Signals} */ signal) => {
    interrupted = true;
    if (signal === "SIGTERM") child.kill(signal);
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  return new Promise((resolve, reject) => {
    child.once("error", (error) => reject(new ScriptError(`${command}: ${error.message}`, { cause: error })));
    child.once("close", (code, signal) => {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
      if (interrupted) process.exit(130);
      const exit = code ?? 128 + (signal === "SIGINT" ? 2 : signal === "SIGTERM" ? 15 : 9);
      if (exit !== 0 && quiet) process.stderr.write(Buffer.concat(held));
      resolve(exit);
    });
  });
}

/**
 * Like {@link run}, but a failure is an error.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {Parameters<typeof run>[2]} [options]
 */
export async function mustRun(command, args, options) {
  const exit = await run(command, args, options);
  if (exit !== 0) throw new ScriptError(`${[command, ...args].join(" ")} failed (exit code ${exit}).`);
}

/**
 * Digest of the contents and names of files. Walks folders and skips missing paths.
 * @param {readonly string[]} paths Relative to the repository.
 */
export function digest(paths) {
  const hash = createHash("sha256");
  /** @param {string} relative */
  const add = (relative) => {
    const absolute = inRoot(relative);
    const stat = fs.statSync(absolute, { throwIfNoEntry: false });
    if (stat?.isDirectory()) for (const name of fs.readdirSync(absolute).sort()) add(`${relative}/${name}`);
    else if (stat?.isFile() && !relative.endsWith(".tsbuildinfo"))
      hash.update(relative).update("\0").update(fs.readFileSync(absolute)).update("\0");
  };
  for (const name of paths) add(name);
  return hash.digest("hex");
}

/**
 * Runs a step unless its stamp file holds the digest of its input. The stamp is deleted first and written last, so an interrupted
 * step is repeated.
 * @param {string} stamp Relative to the repository.
 * @param {string} key
 * @param {() => Promise<void>} step
 * @returns {Promise<boolean>} Whether the step ran.
 */
export async function unlessStamped(stamp, key, step) {
  const file = inRoot(stamp);
  if (fs.existsSync(file) && fs.readFileSync(file, "utf8") === key) return false;
  fs.rmSync(file, { force: true });
  await step();
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, key);
  return true;
}

/**
 * Runs a script's main function. A failure prints one line and sets exit code 1.
 * @param {() => Promise<number | void>} body Resolves to the exit code.
 */
export async function main(body) {
  try {
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    const text = error instanceof ScriptError ? error.message : inspect(error);
    process.stderr.write(`${text}\n`);
    process.exitCode = 1;
  }
}

/**
 * Whether a module is the program that Node was started with.
 * @param {string} url The module's `import.meta.url`.
 */
export const isMain = (url) =>
  process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(url);
