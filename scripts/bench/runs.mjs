/** Measures runs from outside: start-up, memory, response times. `npm run bench -- --runs`. */
import { root } from "../project.mjs";
import { bundleWorker } from "./bundle.mjs";
import { median, worker } from "./processes.mjs";

/**
 * Limits in milliseconds: from the click to the first step's loss, in a new and in a warm process; until a run answers, in 95 of
 * 100 cases, and at most; and how long the calling process is blocked.
 */
const COLD = { transformer: 1200 };
const BOUNDS = { cold: 900, warm: 300, answer: 100, slowest: 1000, blocked: 10, growthMb: 16 };
/** Steps of a workload with short steps: memory must not grow in their second half. */
const STEPS = 20_000;

/** @param {readonly string[]} names @param {boolean} quick @returns The number of violated bounds. */
export async function runs(names, quick) {
  const one = worker(process.execPath, [await bundleWorker("runsWorker"), root], { quiet: true });
  const cell = (/** @type {number} */ value, unit = "ms") => `${value.toFixed(0)} ${unit}`.padStart(11);
  const columns = ["cold start", "warm start", "answers in", "at most", "host waits", "memory", "growth"];
  console.log(`\n${"workload".padEnd(13)}${columns.map((column) => column.padStart(11)).join("")}`);
  const { cold: usual, warm: spare, answer, slowest, blocked, growthMb } = BOUNDS;
  const bounds = [...[usual, spare, answer, slowest, blocked].map((ms) => cell(ms)), " ".repeat(11)];
  const others = Object.entries(COLD).map(([name, ms]) => `cold start of ${name} ${ms} ms`);
  console.log(`${"bound".padEnd(13)}${bounds.join("")}${cell(growthMb, "MB")}   ${others.join(", ")}`);
  let missed = 0;
  for (const name of names) {
    const cold = [];
    const warm = [];
    for (let i = 0; i < (quick ? 1 : 3); i++) {
      cold.push((await one.ask({ name, warm: false, seconds: 0, steps: 0 })).firstStepMs);
      warm.push((await one.ask({ name, warm: true, seconds: 0, steps: 0 })).firstStepMs);
    }
    const long = await one.ask({ name, warm: false, seconds: 3, steps: name === "simple" ? STEPS : 0 });
    const growth = long.lateMb - long.earlyMb;
    const problems = [
      [median(cold) > (COLD[name] ?? BOUNDS.cold), "cold start"],
      [median(warm) > BOUNDS.warm, "warm start"],
      [long.answerMs > BOUNDS.answer, "answers"],
      [long.slowestAnswerMs > BOUNDS.slowest, "slowest answer"],
      [long.hostBlockedMs > BOUNDS.blocked, "host"],
      [growth > BOUNDS.growthMb, "growth"],
    ].flatMap(([over, what]) => (over ? [what] : []));
    missed += problems.length;
    const cells = [cell(median(cold)), cell(median(warm)), cell(long.answerMs)];
    cells.push(cell(long.slowestAnswerMs), cell(long.hostBlockedMs));
    cells.push(cell(long.lateMb, "MB"), cell(growth, "MB"));
    const note = problems.length === 0 ? "" : `   over its bound: ${problems.join(", ")}`;
    console.log(`${name.padEnd(13)}${cells.join("")}   ${long.steps} steps${note}`);
  }
  one.close();
  console.log(missed === 0 ? "all bounds are kept" : `${missed} bounds are not kept`);
  return missed;
}
