// @ts-check
/** `npm run bench -- --programs`: the programs of test/programs at realistic sizes, with PyTorch and with Layerwise in turns. */
import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { inRoot, mustRun, ScriptError } from "../project.mjs";
import { torchPython } from "../torch.mjs";
import { QUIET } from "./processes.mjs";
import { compareLosses, figuresOf, HEADER, markdown, rowOf, summary } from "./programFigures.mjs";
import { runsOf } from "./programRuns.mjs";

/**
 * An entry of test/bench/programs.json.
 * @typedef {object} Entry
 * @property {import("./programSizes.mjs").Sizes} sizes
 * @property {number} [lossesPerStep] The default is 1.
 * @property {number} [checked] The number of losses to compare, for trainings that aren't reproducible for long.
 */

const PAGE = inRoot("docs", "performance.md");
const WIDTHS = HEADER.map((title, i) => (i === 0 ? 23 : Math.max(title.length, 9) + 2));

/**
 * Measures the programs, prints a table and writes the figures.
 * @param {string[]} named No name means all programs.
 * @param {{ rounds: number, engine: string, limit: number, json?: string, page: boolean }} options limit: seconds a run.
 * @returns {Promise<boolean>} Whether all programs ran with equal losses.
 */
export async function programs(named, { rounds, engine, limit, json, page }) {
  if (!(rounds >= 1 && limit > 0)) throw new ScriptError("--rounds and --limit are positive numbers.");
  /** @type {Record<string, Entry>} */
  const all = JSON.parse(fs.readFileSync(inRoot("test", "bench", "programs.json"), "utf8"));
  const unknown = named.filter((name) => all[name] === undefined);
  if (unknown.length > 0)
    throw new ScriptError(
      `test/bench/programs.json has no sizes for ${unknown.join(", ")}; it has ${Object.keys(all).join(", ")}.`,
    );
  const python = await torchPython();
  const rows = [];
  let failures = 0;
  print(HEADER);
  for (const [name, entry] of Object.entries(all)) {
    if (named.length > 0 && !named.includes(name)) continue;
    try {
      const { row, notes } = await measure(name, entry, rounds, { python, engine, limit });
      rows.push(row);
      print(rowOf(row));
      for (const note of notes) console.log(`    ${note}`);
      if (!row.equal) failures++;
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error;
      failures++;
      print([name, "FAILED"]);
      console.log(error.message.replaceAll(/^/gm, "    "));
    }
  }
  if (rows.length > 0) console.log(summary(rows));
  const machine = { cpu: os.cpus()[0]?.model, cores: os.cpus().length, node: process.version };
  const figures = { machine, engine, rounds, programs: rows };
  if (json !== undefined) fs.writeFileSync(json, `${JSON.stringify(figures, undefined, 2)}\n`);
  if (page) await writeTable("programs", markdown(rows));
  return failures === 0;
}

/** @param {string[]} cells */
function print(cells) {
  const padded = cells.map((cell, i) =>
    i === 0 ? cell.padEnd(WIDTHS[i] ?? 0) : cell.padStart(WIDTHS[i] ?? 0),
  );
  console.log(padded.join("").trimEnd());
}

/**
 * Runs a program with PyTorch and Layerwise in turns. Rounds that other processes disturb are repeated once.
 * @param {string} name
 * @param {Entry} entry
 * @param {number} rounds
 * @param {Parameters<typeof runsOf>[2]} options
 */
async function measure(name, { sizes, lossesPerStep = 1, checked }, rounds, options) {
  const run = runsOf(name, sizes, options);
  /** @type {{ torch: import("./programRuns.mjs").Run, ours: import("./programRuns.mjs").Run }[]} */
  const measured = [];
  const quiet = () => measured.filter(({ torch, ours }) => Math.max(torch.others, ours.others) < QUIET);
  while (measured.length < rounds || (quiet().length < rounds && measured.length < 2 * rounds))
    measured.push({ torch: await run.torch(), ours: await run.ours() });
  const notes = measured.flatMap(({ torch, ours }) => compareLosses(ours.losses, torch.losses, checked));
  const used = quiet().length > 0 ? quiet() : measured;
  const row = {
    name,
    equal: notes.length === 0,
    quiet: `${quiet().length} of ${measured.length} rounds`,
    torch: figuresOf(
      used.map(({ torch }) => torch),
      lossesPerStep,
    ),
    ours: figuresOf(
      used.map(({ ours }) => ours),
      lossesPerStep,
    ),
  };
  const others = Math.max(...used.flatMap(({ torch, ours }) => [torch.others, ours.others]));
  if (others >= QUIET)
    notes.push(`Not quiet: other processes used up to ${Math.round(100 * others)} % of a core.`);
  return { row, notes: [...new Set(notes)] };
}

/** The section of docs/performance.md about the programs, which is its last one. @param {string} page */
export const programsSection = (page) => page.slice(page.indexOf("## Programs as users write them"));

/**
 * Replaces a table in docs/performance.md.
 * @param {string} name as in the comments around it
 * @param {string} table
 */
export async function writeTable(name, table) {
  const text = fs.readFileSync(PAGE, "utf8");
  const between = new RegExp(`(<!-- ${name} -->\n)[^]*(\n<!-- end of ${name} -->)`);
  if (!between.test(text)) throw new ScriptError(`docs/performance.md has no place for the ${name}' table.`);
  fs.writeFileSync(
    PAGE,
    text.replace(between, (_, start, end) => `${start}\n${table}\n${end}`),
  );
  await mustRun(process.execPath, [inRoot("node_modules", "oxfmt/bin/oxfmt"), PAGE]);
}
