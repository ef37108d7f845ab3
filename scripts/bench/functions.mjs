// @ts-check
/** `npm run bench -- --functions`: single functions, forward and backward, with Layerwise and PyTorch in turns. */
import fs from "node:fs";
import process from "node:process";
import { inRoot, ScriptError } from "../project.mjs";
import { torchPython } from "../torch.mjs";
import { bundleWorker } from "./bundle.mjs";
import { geomean, worker } from "./processes.mjs";

/**
 * A random tensor. f: normal, p: from 0 to 1, u: from 0.1 to 1.1, v: from 1.1 to 2.1, g: from -1 to 1, s: sorted,
 * e: symmetric positive definite matrices, o: ones, z: zeros, b: bools, l: logarithms of probabilities, i: integers below high,
 * n: integers of high, r: a permutation.
 * @typedef {{ kind: string, high?: number, shape: number[] }} TensorSpec
 */

/** @typedef {{ text: string, name: string, args: unknown[], options: Record<string, unknown> }} Case */

const TENSOR = /^([a-z])(?:(\d+):)?(\d+(?:x\d+)*)$/;
/** Time of a measurement in seconds. */
const SECONDS = 0.15;
/** The table shows the functions below this ratio, and counts them. */
const SLOW = 0.5;

/** @param {string} word @returns {TensorSpec | undefined} */
function tensorOf(word) {
  const [, kind, high, shape] = TENSOR.exec(word) ?? [];
  if (kind === undefined || shape === undefined) return undefined;
  return { kind, ...(high !== undefined && { high: Number(high) }), shape: shape.split("x").map(Number) };
}

/** @param {string} word */
function valueOf(word) {
  const tensor = tensorOf(word);
  if (tensor !== undefined) return { tensor };
  const listed = word.startsWith("[") ? word.slice(1, -1).split(",").map(tensorOf) : [undefined];
  if (!listed.includes(undefined)) return listed.map((one) => ({ tensor: one }));
  return JSON.parse(word);
}

/** A line of test/bench/functions.txt. @param {string} text @returns {Case} */
export function parseCase(text) {
  const [name = "", ...words] = text.split(" ");
  const values = words.map(valueOf);
  const last = values.at(-1);
  const hasOptions = words.at(-1)?.startsWith("{") === true;
  return { text, name, args: hasOptions ? values.slice(0, -1) : values, options: hasOptions ? last : {} };
}

/**
 * Prints the slow functions and both means.
 * @param {string[]} named Names of functions; no name means all.
 * @param {{ json?: string, engine: string }} options
 */
export async function functions(named, { json, engine }) {
  const lines = fs.readFileSync(inRoot("test", "bench", "functions.txt"), "utf8").split("\n");
  const cases = lines.filter((line) => line !== "" && !line.startsWith("#")).map(parseCase);
  const chosen = cases.filter(({ name }) => named.length === 0 || named.includes(name));
  if (chosen.length === 0) throw new ScriptError(`test/bench/functions.txt has no ${named.join(", ")}.`);
  const ours = worker(process.execPath, ["--expose-gc", await bundleWorker("functionsWorker"), engine]);
  const torch = worker(await torchPython(), [inRoot("test", "bench", "functionsWorker.py")]);
  const rows = [];
  for (const one of chosen) {
    const command = { ...one, seconds: SECONDS };
    try {
      const theirs = await torch.ask(command);
      const mine = await ours.ask(command);
      for (const way of ["forward", "backward"]) {
        if (theirs[way] === null) continue;
        if (mine[way] === undefined) throw new Error(`Layerwise has no ${way}`);
        rows.push({
          text: one.text,
          way,
          ours: mine[way],
          torch: theirs[way],
          ratio: theirs[way] / mine[way],
        });
      }
      process.stderr.write(`\r\x1b[K${one.text}`);
    } catch (error) {
      console.log(`${one.text}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  process.stderr.write("\r\x1b[K");
  ours.close();
  torch.close();
  rows.sort((p, q) => p.ratio - q.ratio);
  for (const { text, way, ours: mine, torch: theirs, ratio } of rows) {
    if (ratio >= SLOW && named.length === 0) continue;
    const times = `${mine.toFixed(3).padStart(9)} ms ${theirs.toFixed(3).padStart(9)} ms`;
    console.log(`${ratio.toFixed(2).padStart(5)} ${times}  ${way.padEnd(8)}  ${text}`);
  }
  for (const way of ["forward", "backward"]) {
    const ratios = rows.filter((row) => row.way === way).map(({ ratio }) => ratio);
    const slow = ratios.filter((ratio) => ratio < SLOW).length;
    if (ratios.length > 0)
      console.log(`${way}: mean ${geomean(ratios).toFixed(2)}, ${slow} of ${ratios.length} below ${SLOW}`);
  }
  if (json !== undefined) fs.writeFileSync(json, `${JSON.stringify(rows, undefined, 2)}\n`);
}
