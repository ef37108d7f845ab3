// @ts-check
/** `npm run bench -- --functions`: single functions, forward and backward, with Layerwise and PyTorch in turns. */
import fs from "node:fs";
import process from "node:process";
import { inRoot, ScriptError } from "../project.mjs";
import { torchPython } from "../torch.mjs";
import { bundleWorker } from "./bundle.mjs";
import { geomean, worker } from "./processes.mjs";
import { writeTable } from "./programs.mjs";

/**
 * A random tensor. f: normal, p: from 0 to 1, u: from 0.1 to 1.1, v: from 1.1 to 2.1, g: from -1 to 1, s: sorted,
 * e: symmetric positive definite matrices, o: ones, z: zeros, b: bools, l: logarithms of probabilities, i: integers below high,
 * n: integers of high, r: a permutation.
 * @typedef {{ kind: string, high?: number, shape: number[] }} TensorSpec
 */

/** @typedef {{ text: string, name: string, args: unknown[], options: Record<string, unknown> }} Case */

const TENSOR = /^([a-z])(?:(\d+):)?(\d+(?:x\d+)*)$/;
/** Time of a measurement in seconds. */
const SECONDS = 0.1;
/** Functions below this ratio are printed, and counted. */
const SLOW = 0.5;
/** Those below this one are on the page. */
const VERY_SLOW = 0.2;

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

/** @typedef {{ text: string, way: "forward" | "backward", ours: number, torch: number, ratio: number }} Row times in ms */

/** The cases of test/bench/functions.txt. */
export function allCases() {
  const lines = fs.readFileSync(inRoot("test", "bench", "functions.txt"), "utf8").split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map(parseCase);
}

/**
 * Prints the slow functions, and the means of all.
 * @param {string[]} named Names of functions; no name means all.
 * @param {{ json?: string, engine: string, page: boolean }} options
 * @returns {Promise<boolean>} Whether all could be measured.
 */
export async function functions(named, { json, engine, page }) {
  const chosen = allCases().filter(({ name }) => named.length === 0 || named.includes(name));
  if (chosen.length === 0) throw new ScriptError(`test/bench/functions.txt has no ${named.join(", ")}.`);
  const ours = worker(process.execPath, [await bundleWorker("functionsWorker"), engine]);
  const torch = worker(await torchPython(), [inRoot("test", "bench", "functionsWorker.py")]);
  /** @type {Row[]} */
  const rows = [];
  let failures = 0;
  for (const one of chosen) {
    try {
      rows.push(...(await measure(one, ours, torch)));
      process.stderr.write(`\r\x1b[K${one.text}`);
    } catch (error) {
      failures++;
      console.log(`${one.text}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  process.stderr.write("\r\x1b[K");
  ours.close();
  torch.close();
  rows.sort((p, q) => p.ratio - q.ratio);
  for (const row of rows) if (row.ratio < SLOW || named.length > 0) console.log(textOf(row));
  const means = summary(rows);
  console.log(means.join("\n"));
  if (json !== undefined) fs.writeFileSync(json, `${JSON.stringify(rows, undefined, 2)}\n`);
  if (page) await writeTable("functions", markdown(rows, means));
  return failures === 0;
}

/**
 * @param {Case} one
 * @param {import("./processes.mjs").Worker} ours
 * @param {import("./processes.mjs").Worker} torch
 */
async function measure(one, ours, torch) {
  const command = { ...one, seconds: SECONDS };
  const theirs = await torch.ask(command);
  const mine = await ours.ask(command);
  /** @type {Row[]} */
  const rows = [];
  for (const way of /** @type {const} */ (["forward", "backward"])) {
    if (theirs[way] === null) continue;
    if (mine[way] === undefined) throw new Error(`Layerwise has no ${way}`);
    rows.push({ text: one.text, way, ours: mine[way], torch: theirs[way], ratio: theirs[way] / mine[way] });
  }
  return rows;
}

/** @param {Row} row */
function textOf({ text, way, ours, torch, ratio }) {
  const times = `${ours.toFixed(3).padStart(9)} ms ${torch.toFixed(3).padStart(9)} ms`;
  return `${ratio.toFixed(2).padStart(5)} ${times}  ${way.padEnd(8)}  ${text}`;
}

/** @param {Row[]} rows */
function summary(rows) {
  return ["forward", "backward"].flatMap((way) => {
    const ratios = rows.filter((row) => row.way === way).map(({ ratio }) => ratio);
    if (ratios.length === 0) return [];
    const slow = ratios.filter((ratio) => ratio < SLOW).length;
    return [
      `${way}: geometric mean ${geomean(ratios).toFixed(2)}, ${slow} of ${ratios.length} below ${SLOW}`,
    ];
  });
}

/**
 * @param {Row[]} rows
 * @param {string[]} means
 */
function markdown(rows, means) {
  const digits = (/** @type {number} */ ms) => (ms >= 100 ? ms.toFixed(0) : ms.toPrecision(2));
  const lines = rows
    .filter(({ ratio }) => ratio < VERY_SLOW)
    .map(
      ({ text, way, ours, torch, ratio }) =>
        `| \`${text}\` | ${way} | ${digits(ours)} | ${digits(torch)} | ${ratio.toFixed(2)} |`,
    );
  return [
    ...means.map((text) => `- ${text}`),
    "",
    "| function | | Layerwise ms | PyTorch ms | ratio |",
    "| --- | --- | ---: | ---: | ---: |",
    ...lines,
  ].join("\n");
}
