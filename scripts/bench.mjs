// `npm run bench`: Layerwise and PyTorch eager on the same machine in one interleaved run, outputs checked.
//   --quick        fewer, shorter windows
//   --json FILE    writes the figures
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { cpus } from "node:os";
import fs from "node:fs";
import { parseArgs } from "node:util";
import { inRoot } from "./project.mjs";
import { setup } from "./setup.mjs";
import { torchPython } from "./torch.mjs";

const { values: options } = parseArgs({
  options: { quick: { type: "boolean", default: false }, json: { type: "string" } },
});
const WINDOWS = options.quick ? 5 : 15;
const SECONDS = options.quick ? 0.3 : 0.5;
/** A window counts only while other processes use less than this share of a core. */
const QUIET = 0.12;

await setup();
const { build } = await import("esbuild");
const bundle = inRoot("out", "bench", "worker.js");
await build({
  entryPoints: [inRoot("test", "bench", "worker.ts")],
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  outfile: bundle,
  packages: "external",
  logLevel: "warning",
});

const ours = worker(process.execPath, [bundle]);
const torch = worker(await torchPython(), [inRoot("test", "bench", "torchWorker.py")]);
const rows = [];
try {
  for (const name of ["mlp"]) rows.push(await measure(name));
} finally {
  ours.close();
  torch.close();
}
const geomean = Math.exp(rows.reduce((s, r) => s + Math.log(r.ratio), 0) / rows.length);
console.log(
  `\n${"workload".padEnd(12)}${"layerwise".padStart(12)}${"pytorch".padStart(12)}${"ratio".padStart(8)}`,
);
for (const r of rows)
  console.log(
    `${r.name.padEnd(12)}${r.layerwise.toFixed(0).padStart(12)}${r.torch.toFixed(0).padStart(12)}${r.ratio.toFixed(2).padStart(8)}   ${r.quiet} of ${r.windows} windows quiet, weights within ${r.weightError.toExponential(1)}`,
  );
console.log(`steps a second, medians; geometric mean of the ratios ${geomean.toFixed(2)}`);
if (options.json !== undefined) {
  const record = {
    machine: { cpu: cpus()[0]?.model, cores: cpus().length },
    versions: { node: process.version, layerwise: rows[0].ourVersion, torch: rows[0].torchVersion },
    geomean,
    min: Math.min(...rows.map((r) => r.ratio)),
    workloads: rows.map(({ name, layerwise, torch: t, ratio }) => ({ name, layerwise, torch: t, ratio })),
  };
  fs.writeFileSync(options.json, `${JSON.stringify(record, undefined, 2)}\n`);
}
if (rows.some((r) => r.problem !== undefined)) {
  for (const r of rows) if (r.problem) console.error(`${r.name}: ${r.problem}`);
  process.exitCode = 1;
}

async function measure(name) {
  const [a, b] = [await ours.ask({ do: "open", name }), await torch.ask({ do: "open", name })];
  const count = 100;
  const [x, y] = [await ours.ask({ do: "steps", count }), await torch.ask({ do: "steps", count })];
  const lossError = Math.max(...x.losses.map((l, i) => Math.abs(l - y.losses[i])));
  const [v, w] = [(await ours.ask({ do: "weights" })).weights, (await torch.ask({ do: "weights" })).weights];
  let weightError = 0;
  for (const [key, values] of Object.entries(w))
    values.forEach((value, i) => (weightError = Math.max(weightError, Math.abs(value - v[key][i]))));
  const samples = [];
  for (let i = 0; i < WINDOWS; i++) {
    const before = busy();
    const mine = (await ours.ask({ do: "window", seconds: SECONDS })).stepsPerSecond;
    const theirs = (await torch.ask({ do: "window", seconds: SECONDS })).stepsPerSecond;
    samples.push({ mine, theirs, quiet: othersShare(before, busy()) < QUIET });
    process.stderr.write(`\r${name}: window ${i + 1} of ${WINDOWS}  `);
  }
  process.stderr.write("\r\x1b[K");
  const quiet = samples.filter((s) => s.quiet);
  const used = quiet.length >= 3 ? quiet : samples;
  const compiled = x.counters.compiledRuns >= count - 2;
  const problem =
    !(lossError < 1e-5) || !(weightError < 1e-5)
      ? `results differ after ${count} steps: loss by ${lossError}, weights by ${weightError}`
      : compiled
        ? undefined
        : `only ${x.counters.compiledRuns} of ${count} steps ran compiled`;
  return {
    name,
    layerwise: median(used.map((s) => s.mine)),
    torch: median(used.map((s) => s.theirs)),
    ratio: median(used.map((s) => s.mine / s.theirs)),
    quiet: quiet.length,
    windows: samples.length,
    weightError,
    ourVersion: a.version,
    torchVersion: b.version,
    problem,
  };
}

function median(values) {
  const sorted = [...values].sort((p, q) => p - q);
  const at = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[at] : (sorted[at - 1] + sorted[at]) / 2;
}

/** Processor time spent by everybody and by the two workers, in ticks of 10 ms; undefined where /proc is missing. */
function busy() {
  if (!fs.existsSync("/proc/stat")) return undefined;
  const all = fs.readFileSync("/proc/stat", "utf8").split("\n")[0].trim().split(/\s+/).slice(1).map(Number);
  const own = [ours.pid, torch.pid, process.pid].reduce((sum, pid) => {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return sum + Number(fields[11]) + Number(fields[12]);
  }, 0);
  return { at: performance.now(), others: all[0] + all[1] + all[2] + all[5] + all[6] + (all[7] ?? 0) - own };
}

function othersShare(before, after) {
  if (before === undefined || after === undefined) return 0;
  return ((after.others - before.others) * 10) / (after.at - before.at);
}

function worker(command, args) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const waiting = [];
  createInterface(child.stdout).on("line", (line) => waiting.shift()?.resolve(JSON.parse(line)));
  child.on("exit", (code) =>
    waiting.forEach((w) => w.reject(new Error(`${command} ended with code ${code}`))),
  );
  return {
    pid: child.pid,
    ask: (message) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.stdin.write(`${JSON.stringify(message)}\n`);
      }),
    close: () => child.stdin.end(),
  };
}
