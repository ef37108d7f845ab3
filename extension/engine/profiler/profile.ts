import { cpus } from "node:os";
import path from "node:path";
import { loadExecutor, type LoadedExecutor } from "../../executors/index.ts";
import type { Batch } from "../../nn/experiment/experiment.ts";
import { beginTraining } from "../../nn/module/modes.ts";
import type { Module } from "../../nn/module/module.ts";
import type { LayerProfile, Pass, Profile, ProfileRequest } from "../../protocol/profile.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { rand } from "../../tensor/functions/creation/random.ts";
import type { Policy } from "../../tensor/recording/policy.ts";
import { runtime, withPolicy } from "../../tensor/recording/runtime.ts";
import { hidden, noGrad } from "../../tensor/recording/scope.ts";
import { take } from "../training/batches.ts";
import { CallbackList } from "../training/callbacks.ts";
import { batchLength } from "../evaluation/evaluator.ts";
import { fallbackText } from "../reporting/explain.ts";
import { findExperiment } from "../host/exports.ts";
import { library } from "../host/library.ts";
import { loadLimit } from "../host/loadLimit.ts";
import { prepare, type Prepared } from "../training/prepare.ts";
import { isOptimizer } from "../reporting/settings.ts";
import { StepReaders } from "../training/stepReaders.ts";
import { startState } from "../training/trainerState.ts";
import { TrainingStep } from "../training/trainingStep.ts";
import { loadUserModule } from "../host/userModule.ts";
import type { Watchdog } from "../host/watchdog.ts";
import { experimentOf, randomSeed, readWeights } from "../resume/startingWeights.ts";
import { Attribution } from "./attribution.ts";
import { bytesOf, parsed, StepTimes, type Tally } from "./stopwatch.ts";

/** Steps before anything is timed: graphs are compiled, buffers are there. */
const WARM = 12;
const WARM_OP_BY_OP = 2;
const FEWEST = 3;
const MOST = 50;
/** Parts of the compiled measurement, of which the median counts. */
const WINDOWS = 7;

/** A training step that can be made again and again, on one batch. */
class RepeatedStep {
  readonly #prepared: Prepared;
  readonly #batch: Batch;
  readonly #step: TrainingStep;
  readonly #readers: StepReaders;
  #count = 0;

  constructor(prepared: Prepared) {
    this.#prepared = prepared;
    const [batch] = take(prepared.train.epoch(), 1);
    if (batch === undefined)
      throw new EngineError({ code: "value", message: "The experiment's data has no batch to train on." });
    this.#batch = batch;
    this.#step = new TrainingStep(prepared);
    const none = new CallbackList({ ...prepared.experiment.options, callbacks: [] }, () => {
      throw new Error("internal: a profile has no callbacks");
    });
    this.#readers = new StepReaders(prepared, none, startState());
    beginTraining(prepared.model);
  }

  get samples(): number {
    return batchLength(this.#batch);
  }

  /** The policy of a training. */
  get policy(): Policy {
    return this.#readers.policy;
  }

  async run(): Promise<() => unknown> {
    const place = { epoch: 1, step: ++this.#count, accumulated: 1, steps: true };
    const read = await this.#step.run(this.#batch, place);
    this.#readers.stepDone();
    return read;
  }

  get optimizers() {
    const { optimizers } = this.#prepared;
    return isOptimizer(optimizers) ? [optimizers] : Object.values(optimizers);
  }
}

/** How a step is measured, and its progress reported. */
export interface Measuring {
  executor: LoadedExecutor;
  /** Seconds for each measurement; 2 by default. */
  seconds?: number | undefined;
  tell?: (text: string) => void;
}

/**
 * Measures a training step of an experiment: as a training runs it, and op by op, layer for layer. Both on one batch, so
 * that loading data is no part of it. The experiment's model is trained by it.
 */
export async function profileStep(
  prepared: Prepared,
  { executor, seconds = 2, tell = () => {} }: Measuring,
): Promise<Omit<Profile, "file" | "exportName">> {
  const fallbacks: string[] = [];
  executor.fallbacks?.listen((fallback) => fallbacks.push(fallbackText(fallback)));
  const step = new RepeatedStep(prepared);
  return withPolicy(step.policy, async () => {
    tell("Measuring the step as a training runs it …");
    const compiles = executor.info.backend === "tensorflow";
    const whole = await timeWhole(step, seconds);
    executor.fallbacks?.settle();
    const choices = executor.choices();
    tell("Measuring it op by op …");
    const steps = await withPolicy({ deferSteps: false }, () => timeOpByOp(prepared, step, seconds));
    return {
      model: prepared.model.constructor.name,
      engine: executor.info.version,
      cpu: cpus()[0]?.model.trim() ?? "",
      batch: step.samples,
      ...summary(prepared.model, steps),
      ...(compiles ? { compiledMs: whole } : {}),
      limitGflops: largestProduct(compiles ? 1024 : 256),
      choices,
      fallbacks: compiles ? fallbacks : [...fallbacks, ...choices.filter(isSlow).map(({ why }) => why)],
    };
  });
}

const isSlow = ({ about, chosen }: { about: string; chosen: string }): boolean =>
  about === "graph" && chosen === "op by op";

/** Milliseconds of a step, many in a row as a training makes them. */
async function timeWhole(step: RepeatedStep, seconds: number): Promise<number> {
  const window = async (until: (done: number, ms: number) => boolean): Promise<number> => {
    const start = performance.now();
    for (let done = 1; ; done++) {
      const read = await step.run();
      if (!until(done, performance.now() - start)) continue;
      read();
      return (performance.now() - start) / done;
    }
  };
  const part = (1000 * seconds) / WINDOWS;
  // JavaScript that records small steps takes its time to become fast, as in a training.
  await window((done, ms) => done >= WARM && ms >= 1000 * seconds);
  const windows: number[] = [];
  for (let i = 0; i < WINDOWS; i++) windows.push(await window((_, ms) => ms >= part));
  return median(windows);
}

/** Times of each op of several steps. */
async function timeOpByOp(prepared: Prepared, step: RepeatedStep, seconds: number): Promise<StepTimes[]> {
  const attribution = new Attribution(prepared.model, step.optimizers);
  let times = new StepTimes(attribution);
  const outer = runtime.inspector;
  runtime.inspector = (plan) => times.inspector(plan);
  const all: StepTimes[] = [];
  try {
    await attribution.watch(async () => {
      const start = performance.now();
      for (let done = 0; done < WARM_OP_BY_OP + MOST; done++) {
        times = new StepTimes(attribution);
        await step.run();
        if (done >= WARM_OP_BY_OP) all.push(times);
        if (all.length >= FEWEST && performance.now() - start > 1000 * seconds) break;
      }
    });
  } finally {
    runtime.inspector = outer;
  }
  return all;
}

/** Medians over the steps, by layer and by op. */
function summary(
  model: Module,
  steps: readonly StepTimes[],
): Pick<Profile, "steps" | "layers" | "update" | "ops" | "opByOpMs" | "peakBytes"> {
  const last = steps.at(-1)!;
  const middle = (of: (step: StepTimes) => number): number => median(steps.map(of));
  const pass = (all: "layers" | "ops", key: string): Pass => {
    const { ops, multiplyAdds }: Tally = last[all].get(key) ?? { ms: 0, ops: 0, multiplyAdds: 0 };
    return { ms: middle((step) => step[all].get(key)?.ms ?? 0), ops, multiplyAdds };
  };
  const names = new Map<string, string>(model.namedModules().map(([name, m]) => [name, m.constructor.name]));
  const weights = new Map<string, number>();
  for (const [name, parameter] of model.namedParameters()) {
    const layer = name.slice(0, Math.max(0, name.lastIndexOf(".")));
    if (parameter.requiresGrad) weights.set(layer, (weights.get(layer) ?? 0) + bytesOf(parameter.value));
  }
  const layers = [...names].map(([name, className]): LayerProfile => ({
    path: name,
    className,
    forward: pass("layers", `forward ${name}`),
    backward: pass("layers", `backward ${name}`),
    activationBytes: last.activations.get(name) ?? 0,
    gradientBytes: weights.get(name) ?? 0,
  }));
  const used = layers.filter(
    ({ path: at, forward, backward, gradientBytes }) =>
      at !== "" && forward.ops + backward.ops + gradientBytes > 0,
  );
  const shown = [...used, ...layers.filter((layer) => layer.path === "")];
  const update = pass("layers", "update ");
  return {
    steps: steps.length,
    layers: shown,
    update,
    ops: [...last.ops.keys()]
      .map((key) => ({ ...parsed(key), ...pass("ops", key) }))
      .sort((a, b) => b.ms - a.ms),
    // Of the medians, so that they are parts of it: what disturbs a step doesn't disturb the same op in the next.
    opByOpMs: shown.reduce((sum, { forward, backward }) => sum + forward.ms + backward.ms, update.ms),
    peakBytes: Math.max(...steps.map((step) => step.peakBytes)),
  };
}

/** Best GFLOP/s of a matrix product of that size by itself, op by op as the layers are. */
export function largestProduct(size: number): number {
  return noGrad(() =>
    hidden(() => {
      const a = rand(size, size);
      let best = Infinity;
      for (let i = 0; i < 6; i++) {
        const start = performance.now();
        a.matmul(a).sum().item();
        best = Math.min(best, performance.now() - start);
      }
      return (2 * size ** 3) / best / 1e6;
    }),
  );
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[at]! : (sorted[at - 1]! + sorted[at]!) / 2;
}

/**
 * Measures a training step of an experiment of a file.
 * @param tell what is being done
 * @param failed called when the file's code hangs, as the last message
 */
export async function profile(
  { file, exportName, device, seed, checkpoint, seconds }: ProfileRequest,
  watchdog: Watchdog,
  { tell, failed }: { tell: (text: string) => void; failed: (error: UserError) => void },
): Promise<Profile> {
  tell(`Making the model and the data of ${path.basename(file)} …`);
  const weights = checkpoint === undefined ? undefined : readWeights(checkpoint);
  const executor = await loadExecutor(device);
  const module = await watchdog.guard(loadLimit(file, failed), () => loadUserModule(file, { library }));
  const found = findExperiment(module, exportName);
  const experiment = experimentOf(found.experiment, weights);
  const prepared = await prepare(
    experiment,
    seed ?? weights?.seed ?? experiment.options.seed ?? randomSeed(),
  );
  if (weights !== undefined) prepared.model.loadStateDict(weights.tensors);
  const measured = await profileStep(prepared, { executor, seconds, tell });
  return { file, exportName: found.exportName, ...measured };
}
