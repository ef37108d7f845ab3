// @ts-check
/** Runs a program of test/programs at other sizes: with PyTorch, and with Layerwise. */
import fs from "node:fs";
import process from "node:process";
import { inRoot, ScriptError } from "../project.mjs";
import { outputOf } from "../programs/processes.mjs";
import { busy, othersShare } from "./processes.mjs";
import { resize } from "./programSizes.mjs";

/** @typedef {import("./programFigures.mjs").Run & { others: number }} Run others: share of a core that other processes used. */

/**
 * Writes a program's texts with the sizes, and returns functions that run them.
 * @param {string} name
 * @param {import("./programSizes.mjs").Sizes} sizes
 * @param {{ python: string, engine: string, limit: number }} options limit: seconds a run.
 */
export function runsOf(name, sizes, { python, engine, limit }) {
  const folder = inRoot("out", "bench", "programs", name);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const write = (/** @type {string} */ file, /** @type {"TypeScript" | "Python"} */ language) => {
    const text = fs.readFileSync(inRoot("test", "programs", name, file), "utf8");
    fs.writeFileSync(`${folder}/${file}`, resize(text, language, sizes, file));
    return `${folder}/${file}`;
  };
  const [output, main] = [`${folder}/run.json`, `${folder}/main.nn.ts`];
  const py = write(`${name}.py`, "Python");
  fs.writeFileSync(main, mainProgram(write(`${name}.nn.ts`, "TypeScript"), output));

  /** @param {string} who @param {string} command @param {string[]} args @returns {Promise<Run>} */
  const run = async (who, command, args) => {
    fs.rmSync(output, { force: true });
    const before = busy([]);
    try {
      await outputOf(command, args, folder, {}, limit);
      if (!fs.existsSync(output)) throw new ScriptError("The program ended before its last line.");
    } catch (error) {
      throw error instanceof ScriptError ? new ScriptError(`${who}: ${error.message.trim()}`) : error;
    }
    return { ...JSON.parse(fs.readFileSync(output, "utf8")), others: othersShare(before, busy([])) };
  };
  const worker = inRoot("test", "bench", "programWorker.py");
  // `npm run check` has checked the types of the program.
  const cli = [inRoot("dist", "cli.js"), "run", main, "--device", engine, "--no-check"];
  return {
    torch: () => run("PyTorch", python, [worker, py, output]),
    ours: () => run("Layerwise", process.execPath, cli),
  };
}

/**
 * A program that runs another one, and writes its losses with the time of each.
 * @param {string} program
 * @param {string} output
 */
const mainProgram = (program, output) => `import fs from "node:fs";
const losses: number[] = [];
const times: number[] = [];
Object.defineProperty(losses, "push", {
  value(...values: number[]) {
    for (const value of values) {
      times.push(performance.now());
      losses[losses.length] = value;
    }
    return losses.length;
  },
});
Object.assign(globalThis, { recordedLosses: losses });
// A dynamic import, so that the clock starts before the program does.
const started = performance.now();
await import(${JSON.stringify(program)});
const total = performance.now() - started;
const peakMb = process.resourceUsage().maxRSS / 1024;
const result = { losses, times: times.map((at) => at - started), total, peakMb };
fs.writeFileSync(${JSON.stringify(output)}, JSON.stringify(result));
`;
