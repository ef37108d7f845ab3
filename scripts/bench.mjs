// `npm run bench`: Layerwise and PyTorch eager on the same machine in one interleaved run, outputs checked.
//   --quick          fewer, shorter windows
//   --only NAME,…    these workloads; the small mlp-sgd is measured only by name
//   --json FILE      compares with the figures in FILE, then overwrites them
//   --scaling        instead measures the cost of a step by its sizes, and writes docs/performance.md
//   --cluster        instead measures exchanges of several processes and a sweep of 40 trials, which fails on a quiet machine
//                    if it breaks what docs/sweeps.md says; --page writes docs/scaling.md, --trials leaves out the exchanges
//   --runs           instead measures runs from outside: cold and warm start, memory, response times
//   --watch          instead measures what watching the layers costs a training, by processor time; with --only, of these networks
//   --memory         instead measures the peak memory of fine-tuning BERT-base (installs transformers)
//   --programs [NAME …]  instead measures programs of test/programs at realistic sizes, in plain loops
//       --rounds N, --engine wasm, --limit SECONDS a run; --json FILE writes the figures, --page the table of docs/performance.md
//   --functions [NAME …]  instead measures single functions, forward and backward; without names it prints the slow ones;
//       --json FILE, --engine wasm, and --page for docs/performance.md
//   --rivals         also measures tfjs-node op by op, wasm, torch.compile and JAX (installs JAX); --page writes the table of
//                    docs/performance.md
import { cpus } from "node:os";
import fs from "node:fs";
import { parseArgs } from "node:util";
import { ensureNativeEngine } from "./native-engine.mjs";
import { inRoot, ScriptError } from "./project.mjs";
import { setup } from "./setup.mjs";
import { COMPILERS, markdown, ratioToBest } from "./bench/networks.mjs";
import { writeTable } from "./bench/programs.mjs";
import { busy, geomean, median, othersShare, QUIET, worker } from "./bench/processes.mjs";
import { torchPython } from "./torch.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    programs: { type: "boolean", default: false },
    functions: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    engine: { type: "string", default: "native" },
    limit: { type: "string", default: "180" },
    page: { type: "boolean", default: false },
    trials: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string" },
    rivals: { type: "boolean", default: false },
    scaling: { type: "boolean", default: false },
    cluster: { type: "boolean", default: false },
    runs: { type: "boolean", default: false },
    memory: { type: "boolean", default: false },
    watch: { type: "boolean", default: false },
  },
});
const NAMES = ["simple", "mlp", "cnn", "rnn", "lstm-5", "lstm-128", "transformer", "autoencoder", "gan"];
const WINDOWS = options.quick ? 3 : 7;
const SECONDS = options.quick ? 0.3 : 0.5;
/** Warm-up steps before the measurement, and their time limit in ms. */
const [SETTLED, SETTLING] = [5000, options.quick ? 2000 : 5000];
/** Number of steps whose losses must agree, and the tolerance: rounding errors grow from step to step. */
const CHECKED = 20;
const TOLERANCE = 1e-4;

await setup();
if (!(await ensureNativeEngine()))
  throw new ScriptError("The bench measures the native engine, and it can't be installed here.");
if (options.programs) {
  const { programs } = await import("./bench/programs.mjs");
  const [rounds, limit] = [Number(options.rounds), Number(options.limit)];
  const equal = await programs(positionals, { ...options, rounds, limit });
  process.exit(equal ? 0 : 1);
}
if (options.functions) {
  const { functions } = await import("./bench/functions.mjs");
  process.exit((await functions(positionals, options)) ? 0 : 1);
}
if (positionals.length > 0) throw new ScriptError(`Unknown argument ${positionals.join(" ")}.`);
if (options.watch) {
  const { watch } = await import("./bench/watch.mjs");
  process.exit((await watch(options.only?.split(","), options.quick)) > 0 ? 1 : 0);
}
const { bundleWorker } = await import("./bench/bundle.mjs");
const bundle = await bundleWorker("worker");

const names = options.only?.split(",") ?? NAMES;
if (options.scaling) {
  const { scaling } = await import("./bench/scaling.mjs");
  await scaling(names);
  process.exit();
}
if (options.cluster) {
  const { cluster } = await import("./bench/cluster/measure.mjs");
  const problems = await cluster(options);
  for (const problem of problems) console.error(problem);
  process.exit(problems.length > 0 ? 1 : 0);
}
if (options.runs) {
  const { runs } = await import("./bench/runs.mjs");
  process.exit((await runs(names, options.quick)) > 0 ? 1 : 0);
}
if (options.memory) {
  const { memory } = await import("./bench/memory.mjs");
  process.exit((await memory(options.quick)) ? 0 : 1);
}
const python = await torchPython();
const rivals = options.rivals
  ? await (await import("./bench/rivals.mjs")).rivalsOf(python, bundle)
  : undefined;
const earlier = readEarlier(options.json);
const rows = [];
for (const name of names) rows.push(await measure(name));

const mean = (key) => geomean(rows.map((r) => r[key]));
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
  `steps a second, medians; geometric means of the ratios ${mean("ratio").toFixed(2)}, looking at each step ${mean("everyStepRatio").toFixed(2)}`,
);
if (rivals !== undefined) printRivals(Object.keys(rivals));
if (earlier !== undefined) printChanges(earlier);
if (options.page) await writeTable("networks", markdown(rows));
if (options.json !== undefined) {
  const record = {
    machine: { cpu: cpus()[0]?.model, cores: cpus().length },
    versions: { node: process.version, layerwise: rows[0].ourVersion, torch: rows[0].torchVersion },
    geomean: mean("ratio"),
    min: Math.min(...rows.map((r) => r.ratio)),
    everyStepGeomean: mean("everyStepRatio"),
    workloads: rows.map(({ figures }) => figures),
  };
  fs.writeFileSync(options.json, `${JSON.stringify(record, undefined, 2)}\n`);
}
const problems = rows.filter((r) => r.problem !== undefined);
for (const r of problems) console.error(`${r.name}: ${r.problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;

/** Measures three processes in turns: Layerwise in a training, Layerwise with each loss read, PyTorch. */
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
    // Compile programs and warm caches.
    for (const one of all) await one.ask({ do: "window", seconds: SECONDS });
    // The JavaScript engine optimizes the code for some thousands of steps.
    for (const one of [ours, each]) {
      const until = performance.now() + SETTLING;
      for (let steps = 0; steps < SETTLED && performance.now() < until;) {
        const { stepsPerSecond } = await one.ask({ do: "window", seconds: SECONDS });
        steps += stepsPerSecond * SECONDS;
      }
    }
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
      : mine.whole >= count - 2
        ? undefined
        : `only ${mine.whole} of ${count} steps ran as a whole`;
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
    if (rivals !== undefined) {
      const { measureRivals } = await import("./bench/rivals.mjs");
      for (const one of [each, torch]) one.close();
      figures.rivals = await measureRivals(rivals, name, ours, {
        windows: Math.min(WINDOWS, 5),
        seconds: SECONDS,
      });
    }
    return { ...figures, figures, ourVersion, torchVersion, problem };
  } finally {
    for (const one of all) one.close();
  }
}

/** Prints the steps per second of each rival, and Layerwise's speed relative to it. */
function printRivals(names) {
  console.log(`\nsteps a second of others (Layerwise, in turns with each, is so many times as fast)`);
  const cell = (text) => text.padStart(18);
  console.log(`${"workload".padEnd(13)}${names.map(cell).join("")}`);
  const notes = [];
  for (const { name, rivals: found } of rows) {
    const cells = names.map((rival) => {
      const one = found[rival];
      if (typeof one === "string") {
        notes.push(`${name}, ${rival}: ${one}`);
        return "–";
      }
      const { stepsPerSecond, ratio } = one;
      return `${stepsPerSecond.toFixed(stepsPerSecond < 10 ? 1 : 0)} (${ratio.toFixed(ratio < 10 ? 2 : 1)})`;
    });
    console.log(`${name.padEnd(13)}${cells.map(cell).join("")}`);
  }
  const ratios = (rival) =>
    rows.flatMap(({ rivals: { [rival]: one } }) => (typeof one === "object" ? [one.ratio] : []));
  const means = names.map((rival) => (ratios(rival).length === 0 ? "–" : geomean(ratios(rival)).toFixed(2)));
  console.log(`${"mean".padEnd(13)}${means.map((mean) => cell(`(${mean})`)).join("")}`);
  const best = rows.map(ratioToBest);
  if (best.every((ratio) => ratio !== undefined))
    console.log(`against the best of ${COMPILERS.join(", ")}: ${geomean(best).toFixed(2)}`);
  const wasm = rows.flatMap(({ rivals: { "our wasm": own, "tfjs wasm": other } }) =>
    typeof own === "object" && typeof other === "object" ? [other.ratio / own.ratio] : [],
  );
  if (wasm.length > 0)
    console.log(
      `our wasm against tfjs's: ${geomean(wasm).toFixed(2)}, at least ${Math.min(...wasm).toFixed(2)}`,
    );
  for (const note of notes) console.log(note);
}

/** Reads the figures of an earlier run; undefined if there are none. */
function readEarlier(file) {
  if (file === undefined || !fs.existsSync(file)) return undefined;
  try {
    return JSON.parse(fs.readFileSync(file, "utf8"));
  } catch {
    console.error(`${file} has no figures to compare with.`);
    return undefined;
  }
}

/** Prints each workload's change since an earlier run: in steps per second, and relative to PyTorch in the same run. */
function printChanges({ workloads, machine }) {
  const known = new Map((workloads ?? []).map((one) => [one.name, one]));
  const compared = rows.filter(({ name }) => known.has(name));
  if (compared.length === 0) return;
  const change = (now, then) => `${now >= then ? "+" : ""}${(100 * (now / then - 1)).toFixed(1)} %`;
  console.log(
    `\nsince the last recorded run${machine?.cpu === cpus()[0]?.model ? "" : ` (on ${machine?.cpu})`}`,
  );
  for (const { name, layerwise, ratio } of compared) {
    const then = known.get(name);
    const cells = [
      `${then.layerwise.toFixed(0)} -> ${layerwise.toFixed(0)}`,
      change(layerwise, then.layerwise),
    ];
    cells.push(`${then.ratio.toFixed(2)} -> ${ratio.toFixed(2)} times PyTorch`);
    console.log(`${name.padEnd(13)}${cells[0].padStart(20)}${cells[1].padStart(10)}   ${cells[2]}`);
  }
  const [now, then] = [compared.map((r) => r.ratio), compared.map(({ name }) => known.get(name).ratio)];
  console.log(`geometric mean ${geomean(then).toFixed(2)} -> ${geomean(now).toFixed(2)} times PyTorch`);
}
