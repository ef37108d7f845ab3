// `npm run bench`: Layerwise and PyTorch eager on the same machine in one interleaved run, outputs checked.
//   --quick          fewer, shorter windows
//   --only NAME,…    these workloads; mlp-sgd, a small one, is measured only when it is named
//   --json FILE      writes the figures
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { cpus } from "node:os";
import fs from "node:fs";
import { parseArgs } from "node:util";
import { inRoot } from "./project.mjs";
import { setup } from "./setup.mjs";
import { torchPython } from "./torch.mjs";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string" },
  },
});
const NAMES = ["simple", "mlp", "cnn", "rnn", "lstm-5", "lstm-128", "transformer", "autoencoder", "gan"];
const WINDOWS = options.quick ? 3 : 7;
const SECONDS = options.quick ? 0.3 : 0.5;
/** Steps whose losses have to agree, and how far: rounding grows from step to step. */
const CHECKED = 20;
const TOLERANCE = 1e-4;
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
  alias: { layerwise: inRoot("extension", "nn", "index.ts") },
  logLevel: "warning",
});

const python = await torchPython();
const names = options.only?.split(",") ?? NAMES;
const rows = [];
for (const name of names) rows.push(await measure(name));

const geomean = (key) => Math.exp(rows.reduce((sum, r) => sum + Math.log(r[key]), 0) / rows.length);
const columns = [
  "workload",
  "layerwise",
  "pytorch",
  "ratio",
  "each step",
  "first step",
  "peak MB",
  "PyTorch",
];
console.log(`\n${columns.map((c, i) => (i === 0 ? c.padEnd(13) : c.padStart(11))).join("")}`);
for (const r of rows) {
  const cells = [r.layerwise.toFixed(0), r.torch.toFixed(0), r.ratio.toFixed(2), r.everyStepRatio.toFixed(2)];
  cells.push(`${r.firstStepMs.toFixed(0)} ms`, r.peakMb.toFixed(0), r.torchPeakMb.toFixed(0));
  const note = `${r.quiet} of ${r.windows} windows quiet, losses within ${r.lossError.toExponential(1)}`;
  console.log(`${r.name.padEnd(13)}${cells.map((c) => c.padStart(11)).join("")}   ${note}`);
}
console.log(
  `steps a second, medians; geometric means of the ratios ${geomean("ratio").toFixed(2)}, looking at each step ${geomean("everyStepRatio").toFixed(2)}`,
);
if (options.json !== undefined) {
  const record = {
    machine: { cpu: cpus()[0]?.model, cores: cpus().length },
    versions: { node: process.version, layerwise: rows[0].ourVersion, torch: rows[0].torchVersion },
    geomean: geomean("ratio"),
    min: Math.min(...rows.map((r) => r.ratio)),
    everyStepGeomean: geomean("everyStepRatio"),
    workloads: rows.map(({ figures }) => figures),
  };
  fs.writeFileSync(options.json, `${JSON.stringify(record, undefined, 2)}\n`);
}
const problems = rows.filter((r) => r.problem !== undefined);
for (const r of problems) console.error(`${r.name}: ${r.problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;

/** Three processes take turns: Layerwise as it trains, Layerwise looked at in every step, PyTorch. */
async function measure(name) {
  const [ours, each, torch] = [
    worker(process.execPath, [bundle]),
    worker(process.execPath, [bundle]),
    worker(python, [inRoot("test", "bench", "torchWorker.py")]),
  ];
  const all = [ours, each, torch];
  try {
    const { version: ourVersion } = await ours.ask({ do: "version" });
    const { version: torchVersion } = await torch.ask({ do: "version" });
    const count = 100;
    const mine = await ours.ask({ do: "steps", name, count });
    const theirs = await torch.ask({ do: "steps", name, count });
    const errors = mine.losses.map((l, i) => Math.abs(l - theirs.losses[i]) / (1 + Math.abs(l)));
    const lossError = Math.max(...errors.slice(0, CHECKED));
    await ours.ask({ do: "start", name, everyStep: false });
    const { startMs: firstStepMs } = await each.ask({ do: "start", name, everyStep: true });
    await torch.ask({ do: "start", name });
    // Programs are compiled, caches warm.
    for (const one of all) await one.ask({ do: "window", seconds: SECONDS });
    const samples = [];
    for (let i = 0; i < WINDOWS; i++) {
      const before = busy(all);
      const sample = {};
      for (const [key, one] of [
        ["ours", ours],
        ["torch", torch],
        ["each", each],
      ])
        sample[key] = (await one.ask({ do: "window", seconds: SECONDS })).stepsPerSecond;
      samples.push({ ...sample, quiet: othersShare(before, busy(all)) < QUIET });
      process.stderr.write(`\r${name}: window ${i + 1} of ${WINDOWS}  `);
    }
    process.stderr.write("\r\x1b[K");
    const quiet = samples.filter((s) => s.quiet);
    const used = quiet.length >= 3 ? quiet : samples;
    const { peakMb } = await ours.ask({ do: "peak" });
    const { peakMb: torchPeakMb } = await torch.ask({ do: "peak" });
    const problem = !(mine.losses.length === count && lossError < TOLERANCE)
      ? `losses differ in the first ${CHECKED} of ${mine.losses.length} steps by ${lossError}`
      : mine.compiledRuns >= count - 2
        ? undefined
        : `only ${mine.compiledRuns} of ${count} steps ran compiled`;
    const figures = {
      name,
      layerwise: median(used.map((s) => s.ours)),
      torch: median(used.map((s) => s.torch)),
      ratio: median(used.map((s) => s.ours / s.torch)),
      everyStepRatio: median(used.map((s) => s.each / s.torch)),
      firstStepMs,
      peakMb,
      torchPeakMb,
      quiet: quiet.length,
      windows: samples.length,
      lossError,
    };
    return { ...figures, figures, ourVersion, torchVersion, problem };
  } finally {
    for (const one of all) one.close();
  }
}

function median(values) {
  const sorted = [...values].sort((p, q) => p - q);
  const at = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[at] : (sorted[at - 1] + sorted[at]) / 2;
}

/** Processor time spent by everybody but the workers, in ticks of 10 ms; undefined where /proc is missing. */
function busy(workers) {
  if (!fs.existsSync("/proc/stat")) return undefined;
  const all = fs.readFileSync("/proc/stat", "utf8").split("\n")[0].trim().split(/\s+/).slice(1).map(Number);
  const own = [process.pid, ...workers.map((w) => w.pid)].reduce((sum, pid) => {
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
