import { loadExecutor } from "../../executors/index.ts";
import type { Batch } from "../../nn/experiment/experiment.ts";
import { beginTraining, keepModes } from "../../nn/module/modes.ts";
import type { Optimizer, OptimizerStateDict } from "../../nn/optim/optimizer.ts";
import type { LrFindRequest, LrFindResult } from "../../protocol/engine.ts";
import type { UserError } from "../../protocol/errors.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { defaultStream } from "../../tensor/random/stream.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { findExperiment } from "../host/exports.ts";
import { library } from "../host/library.ts";
import { loadLimit } from "../host/loadLimit.ts";
import { prepare, type Prepared } from "./prepare.ts";
import type { Values } from "./stepResult.ts";
import { isOptimizer } from "../reporting/settings.ts";
import { TrainingStep, type BatchPlace } from "./trainingStep.ts";
import { loadUserModule } from "../host/userModule.ts";
import type { Watchdog } from "../host/watchdog.ts";
import { experimentOf, randomSeed, readWeights } from "../resume/startingWeights.ts";

/** How the rates are tried. */
export interface SweepOptions {
  /** First rate; 1e-8 by default. */
  minLr?: number | undefined;
  /** Last rate; 1 by default. */
  maxLr?: number | undefined;
  /** Optimizer steps, each with a higher rate; 100 by default. */
  steps?: number | undefined;
  /** Ends when the smoothed loss is that many times the best one; 4 by default, 0 for never. */
  earlyStopThreshold?: number | undefined;
}

/** Weight of the past in the smoothed loss. */
const BETA = 0.98;
/** Points at the beginning and at the end that the suggestion doesn't look at. */
const SKIP_BEGIN = 10;
const SKIP_END = 1;

/**
 * Trains for a moment with rates that grow exponentially, and suggests the one where the loss falls fastest. Rates,
 * smoothing and suggestion are Lightning's (`Tuner.lr_find`), but the first smoothed loss is the first loss: Lightning
 * corrects the bias for a step more than there were, which halves it. Weights, optimizer and random numbers are afterwards what
 * they were.
 * @throws TensorError for several optimizers
 */
export async function sweepRates(prepared: Prepared, options: SweepOptions = {}): Promise<LrFindResult> {
  const { minLr = 1e-8, maxLr = 1, steps = 100, earlyStopThreshold = 4 } = options;
  const { model, optimizers } = prepared;
  if (!isOptimizer(optimizers))
    throw new TensorError(
      "value",
      "lr-find: expected an experiment with one optimizer, which has one rate to find",
    );
  const optimizer: Optimizer = optimizers;
  const restore = snapshot(prepared, optimizer);
  const rate = (step: number): number => (step === 1 ? minLr : minLr * (maxLr / minLr) ** (step / steps));
  const points: LrFindResult["points"] = [];
  let average = 0;
  let best = Infinity;
  let diverged = false;
  try {
    beginTraining(model);
    for await (const { step, loss } of trainedSteps(prepared, optimizer, rate, steps)) {
      average = BETA * average + (1 - BETA) * loss;
      const smoothed = average / (1 - BETA ** step);
      diverged = step > 1 && earlyStopThreshold > 0 && !(smoothed <= earlyStopThreshold * best);
      if (smoothed < best || step === 1) best = smoothed;
      points.push({ lr: rate(step), loss: smoothed });
      if (diverged) break;
    }
  } finally {
    restore();
  }
  const suggestion = suggested(points);
  return { points, diverged, ...(suggestion === undefined ? {} : { suggestion }) };
}

/** Optimizer steps at growing rates, over as many epochs as they take, and the mean loss of each step's batches. */
async function* trainedSteps(
  prepared: Prepared,
  optimizer: Optimizer,
  rate: (step: number) => number,
  count: number,
): AsyncGenerator<{ step: number; loss: number }> {
  const training = new TrainingStep(prepared);
  const { accumulateGradBatches: added = 1 } = prepared.experiment.options;
  let step = 1;
  for (let epoch = 1; ; epoch++) {
    let losses: number[] = [];
    for (const batch of prepared.train.epoch()) {
      for (const group of optimizer.paramGroups) group.lr = rate(step);
      const accumulated = losses.length + 1;
      const steps = accumulated === added || added > prepared.train.length;
      const { loss } = await lossOf(training, batch, { epoch, step, accumulated, steps });
      if (loss === undefined)
        throw new TensorError("value", "lr-find: expected the trainStep to give a loss, as `loss`");
      losses.push(loss);
      if (!steps) continue;
      yield { step, loss: losses.reduce((sum, one) => sum + one, 0) / losses.length };
      losses = [];
      if (++step > count) return;
    }
  }
}

async function lossOf(training: TrainingStep, batch: Batch, place: BatchPlace): Promise<Values> {
  try {
    const read = await training.run(batch, place);
    return read();
  } catch (error) {
    throw await training.place(error);
  }
}

/** The rate with the steepest fall, by the differences between neighbours; undefined when there are too few points. */
export function suggested(points: LrFindResult["points"]): number | undefined {
  const looked = points.slice(SKIP_BEGIN, -SKIP_END).filter(({ loss }) => Number.isFinite(loss));
  if (looked.length < 2) return undefined;
  const loss = (i: number): number => looked[i]!.loss;
  const last = looked.length - 1;
  const slopes = looked.map((_, i) => {
    if (i === 0) return loss(1) - loss(0);
    return i === last ? loss(last) - loss(last - 1) : (loss(i + 1) - loss(i - 1)) / 2;
  });
  return looked[slopes.indexOf(Math.min(...slopes))]!.lr;
}

/** Keeps weights, optimizer and generator; answers what brings them back. */
function snapshot({ model }: Prepared, optimizer: Optimizer): () => void {
  const weights = new Map(Array.from(model.stateDict(), ([name, tensor]) => [name, copied(tensor)]));
  const state = copied<OptimizerStateDict>(optimizer.stateDict());
  const generator = defaultStream.getState();
  const restoreModes = keepModes(model);
  return () => {
    model.loadStateDict(weights);
    optimizer.zeroGrad();
    optimizer.loadStateDict(state);
    restoreModes();
    defaultStream.setState(generator);
  };
}

/** A value with copies of all its tensors. */
function copied<T>(value: T): T;
function copied(value: unknown): unknown {
  if (value instanceof Tensor) return fromHost(valuesOf(value.value).slice(), value.shape, value.dtype);
  if (Array.isArray(value)) return value.map((one) => copied<unknown>(one));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, copied<unknown>(one)]));
}

/**
 * Finds a learning rate for an experiment of a file.
 * @param fail Called when the file's code hangs, as the last message
 */
export async function findLearningRate(
  request: LrFindRequest,
  watchdog: Watchdog,
  fail: (error: UserError) => void,
): Promise<LrFindResult> {
  const weights = request.checkpoint === undefined ? undefined : readWeights(request.checkpoint);
  await loadExecutor(request.device);
  const { file, exportName } = request;
  const module = await watchdog.guard(loadLimit(file, fail), () => loadUserModule(file, { library }));
  const experiment = experimentOf(findExperiment(module, exportName).experiment, weights);
  const seed = request.seed ?? weights?.seed ?? experiment.options.seed ?? randomSeed();
  const prepared = await prepare(experiment, seed);
  if (weights !== undefined) prepared.model.loadStateDict(weights.tensors);
  return sweepRates(prepared, request.sweep);
}
