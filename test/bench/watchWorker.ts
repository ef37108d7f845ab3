// One training from its first step to its last, watched or not, in a process of its own: `watchWorker.js ROOT NAME STEPS
// WATCH` prints the processor time of the training in seconds, the steps, and the checks of the layers.
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { loadExecutor } from "../../extension/executors/index.ts";
import { LOADERS } from "../../extension/formats/datasets.ts";
import { setBundledSets } from "../../extension/nn/data/bundled.ts";
import { data, type Batch, type Experiment, type ExperimentOptions } from "../../extension/nn/index.ts";
import { openTraining } from "./training.ts";
import { WORKLOADS } from "./workloads/all.ts";

/** Some read their data where they are loaded. */
const EXAMPLES: Record<string, () => Promise<{ default: Experiment }>> = {
  iris: () => import("../../media/examples/iris.nn.ts"),
  digits: () => import("../../media/examples/digits.nn.ts"),
  names: () => import("../../media/examples/names.nn.ts"),
  encoder: () => import("../../media/examples/transformer.nn.ts"),
};

/** The batch that a workload repeats as a set of samples: layers are drawn only for samples that have numbers. */
function listed(options: ExperimentOptions): ExperimentOptions {
  const given = (options.data as () => Iterable<Batch>)();
  for (const batch of given) {
    const length = batch[0]!.shape[0]!;
    return { ...options, data: new data.TensorDataset(...batch), batchSize: length, shuffle: false };
  }
  throw new Error("The workload has no batch.");
}

const [root = "", name = "", count = "", watch = ""] = process.argv.slice(2);
const sets = path.join(root, "media", "data");
setBundledSets({
  samples: (set) => LOADERS[set](sets),
  text: (file) => fs.readFileSync(path.join(sets, file), "utf8"),
});
const options = (await EXAMPLES[name]?.())?.default.options ?? listed(WORKLOADS[name]!.options);
const folder = fs.mkdtempSync(path.join(tmpdir(), "layerwise-bench-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
await loadExecutor("native");
const { trainer, reporter, done, directory } = await openTraining(
  { ...options, callbacks: {}, epochs: 1_000_000, maxSteps: Number(count), watch: watch === "watch" },
  { name, folder },
);
const writing = setInterval(() => reporter.flush(), 100);
const before = process.cpuUsage();
await done();
reporter.flush();
const { user, system } = process.cpuUsage(before);
clearInterval(writing);
const lines = (file: string): number => {
  const full = path.join(directory, file);
  return fs.existsSync(full) ? fs.readFileSync(full, "utf8").trim().split("\n").length : 0;
};
const figures = {
  seconds: (user + system) / 1e6,
  steps: trainer.state.step,
  checks: lines("layers.jsonl"),
  pictures: lines("layer-pictures.jsonl"),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit();
