// Trains an experiment in this process, and keeps all that a run would report.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect } from "vitest";
import { CheckpointPolicy } from "../../../extension/engine/resume/checkpointPolicy.ts";
import { Checkpoints } from "../../../extension/engine/resume/checkpoints.ts";
import { LoopControl } from "../../../extension/engine/training/control.ts";
import { limitsOf } from "../../../extension/engine/training/limits.ts";
import { prepare, type Prepared } from "../../../extension/engine/training/prepare.ts";
import { Reporter } from "../../../extension/engine/reporting/reporter.ts";
import { RunDirectory } from "../../../extension/engine/reporting/runDirectory.ts";
import { Trainer } from "../../../extension/engine/training/trainer.ts";
import { cutMetrics, loadTraining } from "../../../extension/engine/resume/trainingFile.ts";
import { Generators } from "../../../extension/engine/resume/trainingState.ts";
import { savePoint, type TrainerState } from "../../../extension/engine/training/trainerState.ts";
import {
  data,
  experiment,
  nn,
  optim,
  torch,
  type Batch,
  type Experiment,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import { listGenerators } from "../../../extension/tensor/random/stream.ts";
import { startingRecord } from "../../../extension/protocol/engine.ts";
import type { MetricRow, RunRecord } from "../../../extension/protocol/run.ts";

export interface Trained {
  prepared: Prepared;
  state: TrainerState;
  rows: MetricRow[];
  /** The log, without the run's ends of lines. */
  log: string[];
  record: RunRecord;
  /** Names of the existing files of weights. */
  files: string[];
}

/** How a training is interrupted and resumed. */
export interface Interruption {
  /** The run directory, which stays; by default one that is deleted. */
  folder?: string;
  /** Stops after that many batches of this process. */
  stopAfter?: number;
  /** Resumes from the folder's last save. */
  resume?: boolean;
}

export async function train(
  experiment: Experiment,
  seed = 0,
  { folder: kept, stopAfter = Infinity, resume = false }: Interruption = {},
): Promise<Trained> {
  const folder = kept ?? fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-training-"));
  try {
    const directory = new RunDirectory(
      folder,
      startingRecord({
        kind: "train",
        file: "/net.nn.ts",
        exportName: "default",
        directory: folder,
        device: "cpu",
        outlive: false,
      }),
      () => undefined,
    );
    const rows: MetricRow[] = [];
    const log: string[] = [];
    const reporter = new Reporter((event, ...args) => {
      if (event === "metrics") rows.push(...(args[0] as MetricRow[]));
      if (event === "log") log.push(...(args[1] as string).split("\n"));
    });
    reporter.attach(directory);
    const generators = listGenerators();
    const prepared = await prepare(experiment, seed);
    generators.end();
    const { options } = experiment;
    const limits = limitsOf(options, options.epochs, prepared);
    const policy = new CheckpointPolicy(options, limits.validation > 0);
    const checkpoints: Checkpoints = new Checkpoints(directory, prepared.model, policy, {
      onProblem: (text) => log.push(text),
      check: () => trainer.check(),
      onSave: ({ kind, epoch, step }, file) =>
        trainer.saved({ kind, file: path.relative(folder, file), epoch, step }),
    });
    const control = new LoopControl();
    const from = resume ? loadTraining(folder, (text) => log.push(text)) : undefined;
    if (resume) cutMetrics(folder, from?.state ?? { step: 0, completed: 0 });
    const facts = { seed, epochs: 0, model: "", experiment: "", source: "", executor: "", node: "" };
    const trainer = new Trainer(prepared, limits, {
      reporter,
      control,
      checkpoints,
      resumption: { generators: new Generators(generators.made), facts, from },
      note: () => undefined,
    });
    let batches = 0;
    const counted = function* (epoch: Iterable<Batch>): Iterable<Batch> {
      for (const batch of epoch) {
        yield batch;
        if (++batches === stopAfter) control.stop("request");
      }
    };
    const { train } = prepared;
    const [run, rest] = [train.epoch.bind(train), train.epochAfter.bind(train)];
    train.epoch = () => counted(run());
    train.epochAfter = (count) => {
      const epoch = rest(count);
      // Those that were passed over count, as they do where they are made.
      if (epoch !== undefined) batches += count;
      return epoch && counted(epoch);
    };
    await trainer.run();
    reporter.flush();
    if (control.stopping === undefined) checkpoints.saveFinal(savePoint(trainer.state));
    reporter.flush();
    const names = fs.readdirSync(path.join(folder, "checkpoints")).sort();
    const files = names.filter((name) => name.endsWith(".safetensors"));
    return { prepared, state: trainer.state, rows, log, record: directory.record, files };
  } finally {
    if (kept === undefined) fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Values of all of a model's weights. */
export function weightsOf({ model }: Pick<Prepared, "model">): number[] {
  return [...model.stateDict().values()].flatMap((tensor) => [...tensor.toTypedArray()]);
}

/**
 * Stops a training after every few batches, resumes it each time, and compares the results.
 * @param before Run before each of its parts, and before the training that nothing interrupts: a new process, as it were
 */
export async function compareResumed(
  make: () => Experiment,
  stops: readonly number[],
  folder: string,
  before: () => Promise<unknown> = async () => undefined,
): Promise<void> {
  await before();
  const whole = await train(make(), 3);
  const expected = weightsOf(whole.prepared);
  await before();
  let parts = await train(make(), 3, { folder, stopAfter: stops[0]! });
  for (const stopAfter of [...stops.slice(1), Infinity]) {
    await before();
    parts = await train(make(), 3, { folder, stopAfter, resume: true });
  }
  expect(weightsOf(parts.prepared)).toEqual(expected);
  const { seconds: _, kept: __, ...state } = whole.state;
  expect(parts.state).toMatchObject(state);
  expect(parts.log).toEqual(whole.log);
  // The curves have every point once.
  const rows = fs
    .readFileSync(path.join(folder, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  const timeless = (row: object): object => ({ ...row, time: 0, spent: undefined });
  expect(rows.map(timeless)).toEqual(whole.rows.map(timeless));
}

/** A small experiment on random data, which tests change. */
export class Net extends nn.Module {
  fc = new nn.Linear(3, 2);
  forward(x: Tensor): Tensor {
    return this.fc(x);
  }
}

export type Parameters = ConstructorParameters<typeof optim.SGD>[0];

export const options = {
  seed: 0,
  model: () => new Net(),
  data: () => new data.TensorDataset(torch.randn(10, 3), torch.randint(0, 2, [10])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters: Parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  batchSize: 4,
  epochs: 3,
} satisfies ExperimentOptions;

export const held = { ...options, validation: 0.3 };
export const trained = (changes: Partial<ExperimentOptions>): Promise<Trained> =>
  train(experiment({ ...options, ...changes }));
