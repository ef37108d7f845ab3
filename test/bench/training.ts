// A training as the run engine makes it, in the bench's own process.
import path from "node:path";
import { CheckpointPolicy } from "../../extension/engine/resume/checkpointPolicy.ts";
import { Checkpoints } from "../../extension/engine/resume/checkpoints.ts";
import { LoopControl } from "../../extension/engine/training/control.ts";
import { limitsOf } from "../../extension/engine/training/limits.ts";
import { prepare } from "../../extension/engine/training/prepare.ts";
import { Reporter } from "../../extension/engine/reporting/reporter.ts";
import { RunDirectory } from "../../extension/engine/reporting/runDirectory.ts";
import { Trainer } from "../../extension/engine/training/trainer.ts";
import { Generators } from "../../extension/engine/resume/trainingState.ts";
import { Experiment, type ExperimentOptions } from "../../extension/nn/experiment/experiment.ts";
import { listGenerators } from "../../extension/tensor/random/stream.ts";
import { startingRecord } from "../../extension/protocol/engine.ts";
import type { MetricRow } from "../../extension/protocol/run.ts";

/** @param folder Where its run directory is made */
export async function openTraining(
  options: ExperimentOptions,
  { name, folder }: { name: string; folder: string },
) {
  const experiment = new Experiment(options);
  const generators = listGenerators();
  const prepared = await prepare(experiment, 0);
  generators.end();
  const limits = limitsOf(options, options.epochs, prepared);
  const losses: number[] = [];
  const reporter = new Reporter((event, ...rest) => {
    if (event === "metrics")
      for (const row of rest[0] as readonly MetricRow[])
        if (row.kind === "step") losses.push(row.values["loss"]!);
  });
  const directory = new RunDirectory(
    path.join(folder, `${name}-${performance.now()}`),
    startingRecord({
      kind: "train",
      file: `${name}.nn.ts`,
      exportName: "default",
      directory: folder,
      device: "native",
      outlive: false,
    }),
    () => {},
  );
  reporter.attach(directory);
  const control = new LoopControl();
  const policy = new CheckpointPolicy(experiment.options, false);
  const checkpoints = new Checkpoints(directory, prepared.model, policy, { onProblem: () => {} });
  const trainer = new Trainer(prepared, limits, {
    reporter,
    control,
    checkpoints,
    resumption: {
      generators: new Generators(generators.made),
      facts: { seed: 0, epochs: 1, model: "", experiment: "", source: "", executor: "", node: "" },
    },
    note: () => {},
  });
  return { trainer, control, reporter, losses, directory: directory.path, done: () => trainer.run() };
}
