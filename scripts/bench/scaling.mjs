/**
 * The cost of a training step by its sizes, and where the time goes: `npm run bench -- --scaling` measures it and writes
 * docs/performance.md, whose text is below.
 */
import fs from "node:fs";
import os from "node:os";
import { inRoot, mustRun } from "../project.mjs";
import { bundleWorker } from "./bundle.mjs";
import { worker } from "./processes.mjs";
import { programsSection } from "./programs.mjs";

const PAGE = inRoot("docs", "performance.md");
/** Seconds of each measurement; a step has two, compiled and op by op. */
const SECONDS = 2;

const SIZES = { kind: "mlp", batch: 64, width: 256, depth: 2, length: 32 };
/** The sweeps: the size that varies, and the network. */
const SWEEPS = {
  batch: { title: "Batch", of: "MLP, 2 × 256", base: SIZES, values: [1, 8, 64, 512, 4096] },
  width: { title: "Width", of: "MLP of 2 layers, batch 64", base: SIZES, values: [16, 64, 256, 1024, 2048] },
  depth: { title: "Layers", of: "MLP of 256, batch 64", base: SIZES, values: [1, 4, 16, 64] },
  lstm: {
    title: "Steps of the sequence",
    of: "LSTM of 64, batch 32",
    base: { ...SIZES, kind: "lstm", batch: 32, width: 64 },
    varies: "length",
    values: [8, 32, 128, 512],
  },
  transformer: {
    title: "Tokens",
    of: "Transformer layer of 128 with 4 heads, batch 8",
    base: { ...SIZES, kind: "transformer", batch: 8, width: 128 },
    varies: "length",
    values: [16, 64, 256, 512],
  },
};

/** @param {readonly string[]} names of the bench's workloads */
export async function scaling(names) {
  const bundle = await bundleWorker("scalingWorker");
  const cores = os.availableParallelism();
  /** Runs each command in a separate process, like a training. */
  const ask = async (command, env = {}) => {
    const one = worker(process.execPath, [bundle], { env, quiet: true });
    try {
      return await one.ask({ ...command, seconds: SECONDS });
    } finally {
      one.close();
    }
  };
  // All cores inside one op: the maximum for a single product.
  const { gflops, version } = await ask({ do: "limit" }, { TF_NUM_INTRAOP_THREADS: String(cores) });
  const tables = {};
  for (const [name, { base, varies = name, values, title, of }] of Object.entries(SWEEPS)) {
    const rows = [];
    for (const value of values) {
      tell(`${title} ${value}`);
      rows.push({ value, ...(await ask({ do: "sizes", sizes: { ...base, [varies]: value } })) });
    }
    tables[name] = sweepTable(title, of, rows, gflops);
  }
  tell("overheads");
  const short = await ask({ do: "sizes", sizes: { ...SIZES, kind: "chain", depth: 50 } });
  const long = await ask({ do: "sizes", sizes: { ...SIZES, kind: "chain", depth: 450 } });
  const { ms: call } = await ask({ do: "call" });
  const rows = [];
  for (const name of names) {
    tell(name);
    rows.push({ name, ...(await ask({ do: "workload", name })) });
  }
  process.stderr.write("\r\x1b[K");
  const rest = programsSection(fs.readFileSync(PAGE, "utf8"));
  fs.writeFileSync(PAGE, `${page({ gflops, version, cores, tables, short, long, call, rows })}\n${rest}`);
  await mustRun(process.execPath, [inRoot("node_modules", "oxfmt/bin/oxfmt"), PAGE]);
  console.log(`wrote ${PAGE}`);
}

const tell = (text) => process.stderr.write(`\r\x1b[K${text}`);
const digits = (value) => (value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(2))));
const time = (ms) => (ms < 0.1 ? `${digits(1000 * ms)} µs` : `${digits(ms)} ms`);
const speed = ({ multiplyAdds, compiledMs }) => (2 * multiplyAdds) / compiledMs / 1e6;
const percent = (share) => `${digits(100 * share)} %`;

const table = (header, rows) =>
  [header, header.map((_, i) => (i === 0 ? "---" : "---:")), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");

function sweepTable(title, of, rows, limit) {
  const header = [title, "a step", "op by op", "GFLOP/s", "of the limit", "shards"];
  const choice = ({ choices }, about) => choices.findLast((one) => one.about === about)?.chosen ?? "–";
  const cells = rows.map((row) => [
    row.value,
    time(row.compiledMs),
    time(row.opByOpMs),
    digits(speed(row)),
    percent(speed(row) / limit),
    choice(row, "batch").replace(" shards", ""),
  ]);
  return `${of}, forward, backward and SGD:\n\n${table(header, cells)}`;
}

function page({ gflops, version, cores, tables, short, long, call, rows }) {
  const ops = long.ops - short.ops;
  const perOp = (key) => (long[key] - short[key]) / ops;
  const dearest = (all) => all.map(({ name, share }) => `${name} ${percent(share)}`).join(", ");
  const workloads = rows.map((row) => [
    row.name,
    row.ops,
    `${digits((2 * row.multiplyAdds) / 1e6)}`,
    time(row.compiledMs),
    time(row.opByOpMs),
    digits(speed(row)),
    percent(speed(row) / gflops),
    dearest(row.dearest),
  ]);
  const cpu = os.cpus()[0]?.model.trim() ?? "an unknown processor";
  return `# What a training step costs

<!-- Written by "npm run bench -- --scaling": change its text in scripts/bench/scaling.mjs. The last section is kept. -->

One command measures the figures of this page, except for the last section's, and writes them here:

\`\`\`sh
npm run bench -- --scaling
\`\`\`

They are of ${cores} cores of ${cpu}, ${version} and Node ${process.versions.node}. A step is forward, loss, backward and
update of one batch, without loading data; times are medians. "A step" is a step in a training: compiled, and computed while
JavaScript records the next one if no code reads in between. "Op by op" is the time of the same ops in the interpreter, as
\`layerwise profile\` measures them. Compiled steps are faster because ops are fused, run in parallel, and need no call each. For
your own models, use \`layerwise profile FILE\`; \`layerwise train FILE --explain\` prints what the engine chose, and why.

The limit: a single product of two matrices of 2048 × 2048, on all cores, reaches **${digits(gflops)} GFLOP/s** here (a
multiply-add is two operations). No step can be faster than its multiply-adds at that speed.

## Overheads

- An op of eight numbers in a long chain takes ${time(perOp("compiledMs"))} in a compiled step, ${time(perOp("opByOpMs"))} op by op: the difference
  between steps of ${short.ops} and of ${long.ops} ops, forward and backward.
- The smallest step (one weight, one sample), in a hand-written loop that reads each loss before the next step,
  takes ${time(call)}: recording, one call into TensorFlow, reading one number.

## Batch

${tables.batch}

Until the cores are busy, a larger batch costs almost nothing; beyond that, it costs its multiply-adds.

## Width

${tables.width}

## Depth

${tables.depth}

## Sequence length

${tables.lstm}

A recurrent layer computes the steps of the sequence one after another: its cost grows with the length, not with the width,
until the products are large.

${tables.transformer}

Attention compares all tokens with all: beyond a few hundred tokens its cost grows with the square of the length.

## Where the time goes

The networks of \`npm run bench\`. Networks with small products are far from the limit: overhead per op and memory
traffic dominate their time. "Most expensive ops" are shares of the time op by op.

${table(
  ["network", "ops", "MFLOP", "a step", "op by op", "GFLOP/s", "of the limit", "most expensive ops"],
  workloads,
)}
`;
}
