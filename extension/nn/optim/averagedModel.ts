// Averages of a model's weights over its training: SWA and EMA.
import { TensorError } from "../../tensor/core/errors.ts";
import { add, div, lerp, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { item } from "../../tensor/functions/creation/conversion.ts";
import { copy_ } from "../../tensor/functions/creation/filling.ts";
import { add_ } from "../../tensor/functions/pointwise/inplace.ts";
import { constant } from "../../tensor/functions/pointwise/operands.ts";
import { hidden, noGrad } from "../../tensor/recording/scope.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, type Call } from "../arguments.ts";
import { deepcopy } from "../module/copy.ts";
import { BuiltIn, type Given, type Module, type Result } from "../module/module.ts";
import { BatchNormBase } from "../modules/norm/batchNorm.ts";

/** The next average of one parameter, from the average, the parameter and how many were averaged so far. */
export type AverageFunction = (averaged: Tensor, current: Tensor, numAveraged: Tensor) => Tensor;
/** Writes the next averages of all parameters into the first list. */
export type MultiAverageFunction = (
  averaged: readonly Tensor[],
  current: readonly Tensor[],
  numAveraged: Tensor,
) => void;

interface EmaOptions {
  /** The share of the average that stays; 0.999 by default. */
  decay?: number;
}

function boundDecay(callee: string, args: readonly unknown[]): number {
  const { decay } = bind<EmaOptions>(callee, args, { decay: 0.999 });
  if (decay >= 0 && decay <= 1) return decay;
  throw new TensorError(
    "value",
    `Invalid decay value ${decay} provided. Please provide a value in [0,1] range.`,
  );
}

/**
 * Exponential moving average: decay · average + (1 − decay) · parameter.
 * @throws TensorError "Invalid decay value 2 provided. Please provide a value in [0,1] range."
 */
export function getEmaAvgFn(...args: Call<EmaOptions, "decay">): AverageFunction {
  const decay = boundDecay("get_ema_avg_fn", args);
  return (averaged, current) => add(mul(averaged, decay), mul(current, 1 - decay));
}

/** Equal average: average + (parameter − average) / (n + 1). */
export function getSwaAvgFn(): AverageFunction {
  return (averaged, current, n) => add(averaged, div(sub(current, averaged), add(n, 1)));
}

/** As {@link getEmaAvgFn}, for all parameters at once. */
export function getEmaMultiAvgFn(...args: Call<EmaOptions, "decay">): MultiAverageFunction {
  const decay = boundDecay("get_ema_multi_avg_fn", args);
  return (averaged, current) =>
    noGrad(() => averaged.forEach((x, i) => copy_(x, lerp(x, current[i]!, 1 - decay))));
}

/** As {@link getSwaAvgFn}, for all parameters at once. */
export function getSwaMultiAvgFn(): MultiAverageFunction {
  return (averaged, current, n) =>
    noGrad(() => averaged.forEach((x, i) => copy_(x, lerp(x, current[i]!, div(1, add(n, 1))))));
}

export interface AveragedModelOptions {
  /** Accepted, without effect: there is one device. */
  device?: unknown;
  /** Default: {@link getSwaAvgFn}. */
  avgFn?: AverageFunction | null;
  /** In place of avgFn, for all parameters at once. */
  multiAvgFn?: MultiAverageFunction | null;
  /** Averages buffers too (running statistics), instead of copying them. Default false. */
  useBuffers?: boolean;
}

/**
 * A copy of a model whose parameters are averages over those that the model had: stochastic weight averaging (Izmailov et
 * al. 2018, https://arxiv.org/abs/1803.05407), or an exponential moving average with {@link getEmaMultiAvgFn}. The first
 * update copies the parameters.
 *
 * ```ts
 * const model = new nn.Linear(4, 2);
 * const average = new optim.swaUtils.AveragedModel(model, { multiAvgFn: optim.swaUtils.getEmaMultiAvgFn(0.99) });
 * average.updateParameters(model); // after each optimizer.step()
 * average(torch.randn(3, 4));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.AveragedModel.html
 *
 * @throws TensorError "Only one of avg_fn and multi_avg_fn should be provided"
 */
export class AveragedModel<M extends Module = Module> extends BuiltIn {
  readonly module: M;
  declare readonly nAveraged: Tensor;
  readonly avgFn: AverageFunction | null;
  readonly multiAvgFn: MultiAverageFunction | null;
  readonly useBuffers: boolean;

  constructor(model: M, ...rest: Call<AveragedModelOptions, "device avgFn multiAvgFn useBuffers">) {
    super();
    const { avgFn, multiAvgFn, useBuffers } = bind<AveragedModelOptions>("AveragedModel", rest, {
      device: null,
      avgFn: null,
      multiAvgFn: null,
      useBuffers: false,
    });
    if (avgFn !== null && multiAvgFn !== null) {
      throw new TensorError("value", "Only one of avg_fn and multi_avg_fn should be provided");
    }
    this.module = deepcopy(model);
    this.registerBuffer("nAveraged", constant(0, "int64"));
    this.avgFn = avgFn;
    this.multiAvgFn = multiAvgFn;
    this.useBuffers = useBuffers;
  }

  forward(...input: Given<M>): Result<M> {
    return (this.module as unknown as (...input: unknown[]) => Result<M>)(...input);
  }

  /** Takes the parameters that the model has now into the average. */
  updateParameters(model: Module): void {
    noGrad(() =>
      hidden(() => {
        const members = (m: Module): Tensor[] => [...m.parameters(), ...(this.useBuffers ? m.buffers() : [])];
        const [averaged, current] = [members(this.module), members(model)];
        if (item(this.nAveraged) === 0) averaged.forEach((x, i) => copy_(x, current[i]!));
        else this.average(averaged, current);
        if (!this.useBuffers) {
          const buffers = model.buffers();
          this.module.buffers().forEach((b, i) => copy_(b, buffers[i]!));
        }
        add_(this.nAveraged, 1);
      }),
    );
  }

  private average(averaged: Tensor[], current: Tensor[]): void {
    const n = this.nAveraged;
    if (this.multiAvgFn !== null) {
      // Lists of one type, as PyTorch makes them.
      for (const floats of [true, false]) {
        const own = averaged.flatMap((x, i) => ((x.dtype === "float32") === floats ? [i] : []));
        if (own.length === 0) continue;
        this.multiAvgFn(
          own.map((i) => averaged[i]!),
          own.map((i) => current[i]!),
          n,
        );
      }
      return;
    }
    const next = this.avgFn ?? getSwaAvgFn();
    averaged.forEach((x, i) => copy_(x, next(x, current[i]!, n)));
  }
}

/**
 * Recomputes the running statistics of a model's BatchNorm layers, as means over all batches: after averaging weights.
 * @param loader batches; of lists the first member is the model's input
 */
export function updateBn(loader: Iterable<unknown>, model: Module): void {
  const layers = model.modules().filter((m) => m instanceof BatchNormBase);
  if (layers.length === 0) return;
  const momenta = layers.map((m) => m.momentum);
  const { training } = model;
  for (const layer of layers) layer.resetRunningStats();
  model.train();
  noGrad(() => {
    for (const layer of layers) layer.momentum = null;
    for (const batch of loader) {
      const input: unknown = Array.isArray(batch) ? batch[0] : batch;
      (model as unknown as (input: unknown) => unknown)(input);
    }
  });
  layers.forEach((layer, i) => (layer.momentum = momenta[i]!));
  model.train(training);
}
