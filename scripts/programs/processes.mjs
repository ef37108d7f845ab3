// @ts-check
/** Runs a program of test/programs in a separate process: with Layerwise, or with PyTorch. */
import { spawn } from "node:child_process";
import fs from "node:fs";
import process from "node:process";
import { inRoot, ScriptError } from "../project.mjs";

/** @typedef {import("./compare.mjs").Program} Program */

const LIMIT_SECONDS = 120;
/** A warning on standard error, worded as Python words it. */
const WARNING = /^[A-Z][A-Za-z]*Warning: /;
/** PyTorch runs a program several times when it records. */
const RECORD_LIMIT_SECONDS = 480;

/**
 * Runs `NAME.nn.ts` with `layerwise run`, through a file that imports it and writes its exports to a file.
 * @param {string} name
 * @param {string} engine
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<Program>}
 * @throws {ScriptError} when the program fails, prints an error or takes too long
 */
export async function runTypeScript(name, engine, env) {
  const folder = workplace(engine, name);
  const [file, output] = [`${folder}/main.nn.ts`, `${folder}/output.json`];
  // A dynamic import, so that the clock starts before the program does.
  fs.writeFileSync(
    file,
    `import fs from "node:fs";
const started = performance.now();
const program = await import(${JSON.stringify(inRoot("test", "programs", name, `${name}.nn.ts`))});
const seconds = (performance.now() - started) / 1000;
const { losses, checks = {} } = program;
fs.writeFileSync(${JSON.stringify(output)}, JSON.stringify({ losses, checks, seconds }));
`,
  );
  // `npm run check` has checked the types.
  const args = [inRoot("dist", "cli.js"), "run", file, "--device", engine, "--no-check"];
  const { stdout, stderr } = await outputOf(process.execPath, args, folder, env, LIMIT_SECONDS);
  const errors = linesOf(stderr).filter((line) => line.trim() !== "");
  const warnings = errors.filter((line) => WARNING.test(line));
  if (warnings.length < errors.length)
    throw new ScriptError(`The program printed an error.\n${stderr.trim()}`);
  if (!fs.existsSync(output)) throw new ScriptError("The program ended before its last line.");
  return { ...JSON.parse(fs.readFileSync(output, "utf8")), text: linesOf(stdout), warnings };
}

/**
 * Runs `NAME.py` with PyTorch.
 * @param {string} python
 * @param {string} name
 * @param {{ noise: boolean }} options Whether to run it several times, to measure its noise.
 * @returns {Promise<Program & { torch: string, noise: { losses: number[], checks?: Record<string, number> }, weight: string | null }>}
 */
export async function runPython(python, name, { noise }) {
  const folder = workplace("pytorch", name);
  const output = `${folder}/output.json`;
  const program = inRoot("test", "programs", name, `${name}.py`);
  const args = [inRoot("test", "programs", "record.py"), program, output, ...(noise ? ["--noise"] : [])];
  await outputOf(python, args, folder, {}, noise ? RECORD_LIMIT_SECONDS : LIMIT_SECONDS);
  return JSON.parse(fs.readFileSync(output, "utf8"));
}

/**
 * Makes an empty folder for the program's files.
 * @param {string[]} parts
 */
function workplace(...parts) {
  const folder = inRoot("out", "programs", ...parts);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

/** @param {string} text */
function linesOf(text) {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/**
 * Returns what a command prints.
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} env
 * @param {number} limit Seconds.
 * @returns {Promise<{ stdout: string, stderr: string }>}
 * @throws {ScriptError} when the command fails or reaches the limit
 */
export async function outputOf(command, args, cwd, env, limit) {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr, late] = ["", "", false];
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 5000).unref();
  }, limit * 1000);
  const code = await new Promise((resolve, reject) => {
    child.once("error", (error) => reject(new ScriptError(`${command}: ${error.message}`)));
    child.once("close", resolve);
  });
  clearTimeout(timer);
  if (late) throw new ScriptError(`The program took longer than ${limit} seconds.\n${stderr.trim()}`);
  if (code !== 0) throw new ScriptError(`Exit code ${code}.\n${stderr.trim()}`);
  return { stdout, stderr };
}
