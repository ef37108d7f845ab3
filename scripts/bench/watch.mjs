/**
 * Measures what watching costs, with `watch: true` and its defaults: processor time of whole trainings with and without it, in
 * pairs of processes that run at the same time, so that the machine's load meets both alike. `npm run bench -- --watch`.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { root } from "../project.mjs";
import { bundleWorker } from "./bundle.mjs";
import { median } from "./processes.mjs";

const run = promisify(execFile);

/** Share of a training's time that watching may take. */
export const BOUND = 0.05;
/** Networks by the kinds of their layers, one of the size of the examples and a larger one. */
const NETWORKS = ["iris", "mlp", "digits", "cnn", "names", "lstm-128", "encoder", "transformer"];
/** Seconds of processor time of a training, and steps from which its length is estimated. */
const SECONDS = { full: 20, quick: 10 };
const ESTIMATED = 400;

/**
 * @param {readonly string[] | undefined} only Some of the networks
 * @param {boolean} quick
 * @returns {Promise<number>} The number of networks over the bound.
 */
export async function watch(only, quick) {
  const bundle = await bundleWorker("watchWorker");
  /** @param {string} name @param {number} steps @param {boolean} watched */
  const train = async (name, steps, watched) => {
    const { stdout } = await run(process.execPath, [
      bundle,
      root,
      name,
      String(steps),
      watched ? "watch" : "off",
    ]);
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  };
  console.log(
    `\n${"network".padEnd(13)}${["steps", "off", "watched", "cost", "checks", "pictures"].map((one) => one.padStart(11)).join("")}`,
  );
  let over = 0;
  for (const name of only ?? NETWORKS) {
    const [few, more] = [await train(name, ESTIMATED, false), await train(name, 3 * ESTIMATED, false)];
    const step = Math.max(1e-5, (more.seconds - few.seconds) / (2 * ESTIMATED));
    const steps = Math.round((quick ? SECONDS.quick : SECONDS.full) / step / 100) * 100;
    /** @type {{ off: number, watched: number, checks: number, pictures: number }[]} */
    const pairs = [];
    for (let i = 0; i < (quick ? 3 : 7); i++) {
      const [off, watched] = await Promise.all([train(name, steps, false), train(name, steps, true)]);
      pairs.push({ ...watched, off: off.seconds, watched: watched.seconds });
    }
    const costs = pairs.map((pair) => pair.watched / pair.off - 1);
    const cost = median(costs);
    if (cost > BOUND) over++;
    const cells = [
      steps.toLocaleString("en"),
      `${median(pairs.map(({ off }) => off)).toFixed(2)} s`,
      `${median(pairs.map(({ watched }) => watched)).toFixed(2)} s`,
      `${(100 * cost).toFixed(1)} %`,
      String(median(pairs.map(({ checks }) => checks))),
      String(median(pairs.map(({ pictures }) => pictures))),
    ];
    const spread = costs.map((one) => (100 * one).toFixed(1)).join(", ");
    console.log(`${name.padEnd(13)}${cells.map((one) => one.padStart(11)).join("")}   ${spread}`);
  }
  console.log(over === 0 ? `all below ${100 * BOUND} %` : `${over} over ${100 * BOUND} %`);
  return over;
}
