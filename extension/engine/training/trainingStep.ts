import type { Batch, Loss, Optimizers, StepResult } from "../../nn/experiment/experiment.ts";
import type { Optimizer } from "../../nn/optim/optimizer.ts";
import { clipGradNorm_, clipGradValue_ } from "../../nn/utils/utils.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { div } from "../../tensor/functions/pointwise/arithmetic.ts";
import { pendingSteps, stepsTogether, withoutGraph } from "../../tensor/planning/barrier.ts";
import { backwardUnread } from "../../tensor/recording/autograd.ts";
import { observe } from "../../tensor/recording/runtime.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { placed } from "../host/userErrors.ts";
import type { Team } from "../parallel/team.ts";
import { GradientAccumulator } from "./accumulator.ts";
import type { CallbackList } from "./callbacks.ts";
import { forward, inputsAndTarget } from "../evaluation/evaluator.ts";
import { toNumber, type Measurement } from "./metrics.ts";
import { demandLoss, isValues, missingLoss, numbers, type Values } from "./stepResult.ts";
import type { Prepared } from "./prepare.ts";
import { isOptimizer } from "../reporting/settings.ts";
import { findCall } from "./userCall.ts";

/** Where a batch is in its training. */
export interface BatchPlace {
  epoch: number;
  /** The number of the optimizer step it belongs to. */
  step: number;
  /** Its number among those that are added up for the step, from 1. */
  accumulated: number;
  /** Whether the step follows it. */
  steps: boolean;
}

/** Trains on one batch: the step of a PyTorch script, or the experiment's own. */
export class TrainingStep {
  readonly #prepared: Prepared;
  readonly #callbacks: CallbackList | undefined;
  readonly #accumulator: GradientAccumulator | undefined;
  /** The last batches, among them all that are not computed yet. */
  readonly #recent: { readonly batch: Batch; readonly place: BatchPlace }[] = [];
  /** Whether a batch's values are read after its step: then batches of one step exchange nothing between processes. */
  readonly readsAfterStep: boolean;

  /**
   * @param leavesParts {@link StepReaders.leavesParts}
   * @throws TensorError for several optimizers without a `trainStep`
   */
  constructor(prepared: Prepared, callbacks?: CallbackList, leavesParts = false) {
    this.#prepared = prepared;
    this.#callbacks = callbacks;
    const { trainStep, accumulateGradBatches = 1 } = prepared.experiment.options;
    if (trainStep === undefined) {
      const optimizer = single(prepared.optimizers);
      if (accumulateGradBatches > 1) this.#accumulator = new GradientAccumulator(optimizer, leavesParts);
    }
    this.readsAfterStep = leavesParts && this.#accumulator !== undefined;
  }

  /**
   * Trains on a batch. The returned function reads the loss and measures the batch, also for `measurement`: it is
   * called later, so that several steps can be computed at once.
   */
  run(batch: Batch, place: BatchPlace, measurement?: Measurement): Promise<() => Values> {
    const recent = this.#recent;
    const { accumulateGradBatches = 1 } = this.#prepared.experiment.options;
    while (recent.length > (pendingSteps() + 1) * accumulateGradBatches) recent.shift();
    recent.push({ batch, place });
    return this.#run(batch, place, measurement);
  }

  /** Has an error name the user's line: of the op's call, or of the experiment if no code of the user's calls it. @returns the error to throw */
  async place(error: unknown, team?: Team): Promise<unknown> {
    const late = error instanceof TensorError && error.late && error.sites.length === 0;
    // Steps of one worker would wait for the others.
    if (late && team === undefined) await this.#findCall(error);
    return placed(error, this.#prepared.experiment.site);
  }

  async #findCall(error: TensorError): Promise<void> {
    const steps = new TrainingStep(this.#prepared);
    for (const { batch, place } of this.#recent)
      if (await findCall(error, () => steps.#run(batch, { ...place, accumulated: 1, steps: true }))) return;
  }

  async #run(batch: Batch, place: BatchPlace, measurement?: Measurement): Promise<() => Values> {
    const { experiment, model, optimizers, loss = missingLoss } = this.#prepared;
    const { trainStep } = experiment.options;
    if (trainStep === undefined) return this.#default(batch, place, loss, measurement);
    const { epoch, step } = place;
    const result = await stepsTogether(async () => {
      const given = await trainStep({ model, batch, loss, optimizer: optimizers, epoch, step });
      // The values will be read: they are computed with the step, even if they only sum up its results.
      return mapTensors(given, (x) => {
        if (x.value.producer.kind === "node") observe(x.value);
        return x;
      });
    });
    const then = mapTensors(result, withoutGraph);
    return () => numbers(then, "trainStep");
  }

  async #default(
    batch: Batch,
    { accumulated, steps }: BatchPlace,
    loss: Loss,
    measurement: Measurement | undefined,
  ): Promise<() => Values> {
    const { experiment, model, optimizers } = this.#prepared;
    const { accumulateGradBatches = 1 } = experiment.options;
    const callbacks = this.#callbacks;
    const optimizer = single(optimizers);
    const { inputs, target } = inputsAndTarget(batch);
    if (accumulated === 1) optimizer.zeroGrad();
    const output = forward(model, inputs);
    const measured = measurement?.empty === false;
    const keeps = this.readsAfterStep && !steps;
    // Unmeasured outputs needn't leave the engine. Set before `backward()`, which is
    // reused from the step before if everything was recorded alike.
    if (!measured || keeps) output.value.visible = false;
    const value: unknown = loss(output, target);
    demandLoss(value);
    if (keeps) value.value.visible = false;
    if (callbacks?.has("onBeforeBackward")) await callbacks.call("onBeforeBackward", value);
    if (accumulateGradBatches === 1) value.backward();
    else if (keeps) {
      const part = div(value, accumulateGradBatches);
      part.value.visible = false;
      backwardUnread(part);
    } else {
      observe(value.value);
      div(value, accumulateGradBatches).backward();
    }
    if (callbacks?.has("onAfterBackward")) await callbacks.call("onAfterBackward");
    if (keeps) return this.#kept(value, measured ? output : undefined, target, measurement);
    if (steps) await this.flush();
    else this.#accumulator?.hold();
    // Many steps may wait to be read, so none keeps its graph.
    const then = withoutGraph(value);
    if (!measured) return () => ({ loss: toNumber(then, "loss") });
    return this.#measured(then, withoutGraph(output), target, measurement);
  }

  /** Computes a batch of a later step, and keeps its values until then. */
  #kept(
    loss: Tensor,
    output: Tensor | undefined,
    target: Tensor,
    measurement: Measurement | undefined,
  ): () => Values {
    const [value, measured] = this.#accumulator!.hold(output === undefined ? [loss] : [loss, output]);
    return () => ({
      loss: toNumber(value!.tensor, "loss"),
      ...(measured === undefined ? {} : measurement!.add(measured.tensor, target)),
    });
  }

  #measured(loss: Tensor, output: Tensor, target: Tensor, measurement: Measurement): () => Values {
    return () => ({ loss: toNumber(loss, "loss"), ...measurement.add(output, target) });
  }

  /** Steps the optimizer with the gradients so far. */
  async flush(): Promise<void> {
    const callbacks = this.#callbacks;
    const optimizer = single(this.#prepared.optimizers);
    this.#accumulator?.release();
    if (callbacks?.has("onBeforeOptimizerStep")) await callbacks.call("onBeforeOptimizerStep");
    this.#clip(optimizer);
    optimizer.step();
  }

  #clip(optimizer: Optimizer): void {
    const { gradientClipVal, gradientClipAlgorithm = "norm" } = this.#prepared.experiment.options;
    // As in Lightning, 0 is no clipping.
    if (gradientClipVal === undefined || gradientClipVal === 0) return;
    const parameters = optimizer.paramGroups.flatMap(({ params }) => params);
    if (gradientClipAlgorithm === "norm") clipGradNorm_(parameters, gradientClipVal);
    else clipGradValue_(parameters, gradientClipVal);
  }
}

/** The one optimizer of an experiment without a step of its own. */
function single(optimizers: Optimizers): Optimizer {
  if (isOptimizer(optimizers)) return optimizers;
  throw new TensorError(
    "value",
    "experiment(): several optimizers need a trainStep, which says when each of them steps",
  );
}

/** A step's result, with each of its tensors replaced. */
function mapTensors(result: StepResult, replace: (x: Tensor) => Tensor): StepResult {
  const one = <T>(value: T | Tensor): T | Tensor => (value instanceof Tensor ? replace(value) : value);
  if (!isValues(result)) return one(result);
  return Object.fromEntries(Object.entries(result).map(([name, value]) => [name, one(value)]));
}
