// Runs golden cases against the library: see scripts/parity.mjs.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { loadExecutor } from "../../extension/executors/index.ts";
import { setWarningSink } from "../../extension/nn/warnings.ts";
import { Device } from "../../extension/protocol/device.ts";
import { TensorError } from "../../extension/tensor/core/errors.ts";
import { changePolicy } from "../../extension/tensor/recording/runtime.ts";
import { Unsupported } from "./format.ts";
import { runErrorsItem, type ErrorsExpectation, type ErrorsSpec } from "./kinds/errors.ts";
import { runFilesItem, writeFilesItem, type FilesExpectation, type FilesSpec } from "./kinds/files.ts";
import { runGradItem, type GradExpectation, type GradSpec } from "./kinds/grad.ts";
import { runInitItem, type InitExpectation, type InitSpec } from "./kinds/init.ts";
import { runOptimItem, type OptimExpectation, type OptimSpec } from "./kinds/optim.ts";
import { runReprItem, type ReprExpectation, type ReprSpec } from "./kinds/repr.ts";
import { runRngItem, type RngExpectation, type RngSpec } from "./kinds/rng.ts";
import {
  runTrajectoryItem,
  type TrajectoryExpectation,
  type TrajectorySpec,
  type TrajectoryTolerance,
} from "./kinds/trajectory.ts";
import { cacheWithBinding } from "./otherBinding.ts";

interface GoldenCase {
  name: string;
  kind: string;
  tolerance: unknown;
  spec: { items: { id: string }[] };
  expect: { items: { id: string }[] };
}

type Bounds = { abs: number; rel: number };

/** Runs an item; answers what differs, or null. */
type Runner = (spec: object, expected: object, tolerance: unknown, folder: string) => string | null;

/** The kinds of cases, in the order in which they are run. */
const KINDS: Readonly<Record<string, Runner>> = {
  repr: (spec, expected) => runReprItem(spec as ReprSpec, expected as ReprExpectation),
  init: (spec, expected, t) => runInitItem(spec as InitSpec, expected as InitExpectation, t as Bounds),
  rng: (spec, expected) => runRngItem(spec as RngSpec, expected as RngExpectation),
  grad: (spec, expected, t) => runGradItem(spec as GradSpec, expected as GradExpectation, t as Bounds),
  optim: (spec, expected, t) => runOptimItem(spec as OptimSpec, expected as OptimExpectation, t as Bounds),
  trajectory: (spec, expected, t) =>
    runTrajectoryItem(spec as TrajectorySpec, expected as TrajectoryExpectation, t as TrajectoryTolerance),
  errors: (spec, expected) => runErrorsItem(spec as ErrorsSpec, expected as ErrorsExpectation),
  files: (spec, expected, _, folder) => runFilesItem(spec as FilesSpec, expected as FilesExpectation, folder),
};

type Status = "passed" | "failed" | "unsupported";

interface Result {
  kind: string;
  case: string;
  id: string;
  status: Status;
  reason?: string;
}

const USAGE = `Usage: npm run parity -- DIR... [--kind KIND] [--every N] [--engine native|gpu|kernels|wasm|cpu] [--prebuilt]
                         [--json FILE] [--write OUT]

Runs the golden cases below every DIR and compares the library with PyTorch's numbers.
  --kind KIND    only cases of this kind (${Object.keys(KINDS).join(", ")}); may be repeated
  --every N      only every Nth item of a case, the first one among them
  --engine NAME  what computes: native (TensorFlow), gpu, kernels, wasm or cpu; default: the best there is
  --prebuilt     native with the binding that is shipped, which Zig compiles, instead of the one compiled here
  --json FILE    writes the result of every item to FILE
  --write OUT    writes what the items of kind files hold into the folder OUT, each under its id
`;

function runItem(
  run: Runner,
  file: GoldenCase,
  i: number,
  folder: string,
): Pick<Result, "status" | "reason"> {
  const [spec, expected] = [file.spec.items[i]!, file.expect.items[i]];
  try {
    if (expected?.id !== spec.id) return { status: "failed", reason: "nothing is expected of this item" };
    const difference = run(spec, expected, file.tolerance, folder);
    return difference === null ? { status: "passed" } : { status: "failed", reason: difference };
  } catch (error) {
    if (error instanceof Unsupported) return { status: "unsupported", reason: error.message };
    if (error instanceof TensorError && error.code === "unsupported")
      return { status: "unsupported", reason: error.message };
    return {
      status: "failed",
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}

/** Writes the items of kind `files` below a folder, for other programs to read. */
function writeFiles(folder: string, out: string): void {
  mkdirSync(out, { recursive: true });
  let count = 0;
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".json"))) {
    const { spec, expect } = JSON.parse(readFileSync(path.join(folder, name), "utf8")) as GoldenCase;
    spec.items.forEach((item, i) => {
      if (writeFilesItem(item as FilesSpec, expect.items[i] as FilesExpectation, out) !== null) count++;
    });
  }
  process.stdout.write(`wrote ${count} files to ${out}\n`);
}

function runKind(kind: string, folder: string, every: number): Result[] {
  const run = KINDS[kind]!;
  const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return files.sort().flatMap((name) => {
    const file = JSON.parse(readFileSync(path.join(folder, name), "utf8")) as GoldenCase;
    return file.spec.items.flatMap(({ id }, i) =>
      i % every === 0 ? [{ kind, case: file.name, id, ...runItem(run, file, i, folder) }] : [],
    );
  });
}

function report(kind: string, results: readonly Result[], seconds: number): void {
  const counts = (["passed", "failed", "unsupported"] as const).map(
    (status) => `${results.filter((r) => r.status === status).length} ${status}`,
  );
  process.stdout.write(`${kind.padEnd(11)} ${counts.join(", ")} (${seconds.toFixed(1)} s)\n`);
  for (const { status, case: name, id, reason } of results)
    if (status !== "passed")
      process.stdout.write(`  ${status.padEnd(11)} ${kind}/${name}#${id}: ${reason}\n`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      kind: { type: "string", multiple: true },
      every: { type: "string", default: "1" },
      engine: { type: "string" },
      // The path of a binding: scripts/parity.mjs makes it of --prebuilt.
      binding: { type: "string" },
      json: { type: "string" },
      write: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const engine = values.engine ?? "auto";
  const unknown = values.kind?.find((kind) => KINDS[kind] === undefined);
  const device = Device.options.find((name) => name === engine);
  const every = Number(values.every);
  const wrong = unknown !== undefined || device === undefined || !(Number.isInteger(every) && every > 0);
  if (values.help === true || positionals.length === 0 || wrong) {
    process.stdout.write(USAGE);
    if (unknown !== undefined) process.stdout.write(`unknown kind: ${unknown}\n`);
    if (device === undefined) process.stdout.write(`unknown engine: ${engine}\n`);
    return values.help === true ? 0 : 2;
  }
  if (values.binding !== undefined && device !== "wasm" && device !== "cpu")
    process.env["LAYERWISE_CACHE"] = cacheWithBinding(
      values.binding,
      path.join(import.meta.dirname, "cache"),
    );
  const { info } = await loadExecutor(device);
  process.stdout.write(`${info.version}${info.reason === undefined ? "" : ` (${info.reason})`}\n`);
  // As on a GPU, where the binding's own kernels compute nothing.
  if (device === "gpu") changePolicy({ smallPlans: false });
  // Some cases are about inputs that PyTorch warns of.
  setWarningSink(() => {});
  const results: Result[] = [];
  for (const directory of positionals) {
    const present = new Set(readdirSync(directory));
    const kinds = Object.keys(KINDS).filter(
      (kind) => present.has(kind) && (values.kind?.includes(kind) ?? true),
    );
    for (const kind of kinds) {
      const start = performance.now();
      const found = runKind(kind, path.join(directory, kind), every);
      report(kind, found, (performance.now() - start) / 1000);
      results.push(...found);
      if (kind === "files" && values.write !== undefined)
        writeFiles(path.join(directory, kind), values.write);
    }
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
  const number = (status: Status): number => results.filter((r) => r.status === status).length;
  process.stdout.write(
    `${number("passed")} passed, ${number("failed")} failed, ${number("unsupported")} skipped\n`,
  );
  // A folder without cases is a mistake, not a success.
  return number("failed") > 0 || results.length === 0 ? 1 : 0;
}

process.exitCode = await main();
