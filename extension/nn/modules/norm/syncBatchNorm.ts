import type { Tensor } from "../../../tensor/core/tensor.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { numel } from "../../../tensor/core/shape.ts";
import { add, mul, rsqrt, sub } from "../../../tensor/ops/elementwise/elementwise.ts";
import { div } from "../../../tensor/ops/elementwise/elementwise.ts";
import { allReduce } from "../../../tensor/ops/distributed/collective.ts";
import { call, constant, filled } from "../../../tensor/ops/expressions.ts";
import { reshape } from "../../../tensor/ops/movement/movement.ts";
import { sum } from "../../../tensor/ops/movement/movement.ts";
import { apply, applyAll } from "../../../tensor/recording/apply.ts";
import { defaultGroup, isInitialized } from "../../distributed/processGroup.ts";
import { ExchangeKeys } from "../../distributed/exchangeKeys.ts";
import { followStatistics } from "../../functional/norm/statistics.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import type { Module } from "../../module/module.ts";
import { BatchNormBase, type NormOptions } from "./batchNorm.ts";

type SyncArguments = { numFeatures: number; processGroup?: null } & NormOptions;

/**
 * {@link BatchNorm1d} of inputs of any rank from 2, whose statistics in training are those of the samples of all processes of
 * the group. Alone, or in a training by `layerwise train --workers`, it does what `BatchNorm2d` does: such a training
 * has the statistics of the whole batch anyway.
 *
 * - weight [C] of ones and bias [C] of zeros
 * - buffers runningMean [C] of zeros, runningVar [C] of ones, numBatchesTracked 0
 * - input and output [N, C, *]
 *
 * ```ts
 * new nn.SyncBatchNorm(3)(torch.randn(4, 3, 8, 8)).shape; // [4, 3, 8, 8]
 * ```
 * @throws TensorError "expected at least 2D input (got 1D input)"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SyncBatchNorm.html
 */
export class SyncBatchNorm extends BatchNormBase {
  #keys: ExchangeKeys | undefined;

  /** @param options `processGroup`: null for the group of all processes, the only one there is */
  constructor(numFeatures: number, options?: NormOptions & { processGroup?: null });
  constructor(
    numFeatures: number,
    eps?: number,
    momentum?: number | null,
    affine?: boolean,
    trackRunningStats?: boolean,
    processGroup?: null,
    options?: Pick<NormOptions, "bias">,
  );
  constructor(
    ...args: Arguments<SyncArguments, "numFeatures eps momentum affine trackRunningStats processGroup">
  );
  constructor(...args: unknown[]) {
    const { processGroup, numFeatures, ...options } = bind<SyncArguments>("SyncBatchNorm", args, {
      numFeatures: REQUIRED,
      eps: 1e-5,
      momentum: 0.1,
      affine: true,
      trackRunningStats: true,
      processGroup: null,
      bias: true,
    });
    super(numFeatures, options);
    if (processGroup !== null)
      throw new TypeError("SyncBatchNorm: processGroup must be null, the group of all processes");
  }

  /**
   * Replaces all batch norm layers of a module, which keep their parameters and statistics.
   * @returns the module, or the new layer if the module is one itself
   */
  static convertSyncBatchnorm<M extends Module>(module: M): M | SyncBatchNorm {
    if (module instanceof BatchNormBase && !(module instanceof SyncBatchNorm)) return converted(module);
    for (const [name, child] of module.namedChildren()) {
      const next = SyncBatchNorm.convertSyncBatchnorm(child);
      if (next !== child) module.setSubmodule(name, next);
    }
    return module;
  }

  protected override checkInput(input: Tensor): void {
    if (input.ndim < 2)
      throw new TensorError("shape", `expected at least 2D input (got ${input.ndim}D input)`);
  }

  protected override normalize(input: Tensor, momentum: number | Tensor): Tensor {
    const batch = this.training || this.runningMean === null || this.runningVar === null;
    if (!batch || !isInitialized() || defaultGroup().size === 1) return super.normalize(input, momentum);
    return this.synchronized(input, momentum);
  }

  /** By the statistics of all processes, which may have different numbers of samples. */
  private synchronized(input: Tensor, momentum: number | Tensor): Tensor {
    const { shape } = input;
    const channels = shape[1]!;
    const dims = [...shape.keys()].filter((d) => d !== 1);
    const group = defaultGroup();
    const keys = (this.#keys ??= new ExchangeKeys(group));
    const exchange = (...own: Tensor[]): Tensor[] =>
      applyAll(allReduce, own, { size: group.size, key: keys.next(), timeout: group.timeout });
    const total = (x: Tensor): Tensor => apply(sum, [x], { dims, keepdim: false });
    const wide = (x: Tensor): Tensor =>
      apply(reshape, [x], { shape: shape.map((n, d) => (d === 1 ? n : 1)) });
    const [sums, count] = exchange(total(input), filled(numel(shape) / channels, [1])) as [Tensor, Tensor];
    const mean = call(div, sums, count);
    const distance = call(sub, input, wide(mean));
    const [squares] = exchange(total(call(mul, distance, distance))) as [Tensor];
    const variance = call(div, squares, count);
    const { runningMean, runningVar, weight, bias } = this;
    if (runningMean !== null && runningVar !== null && this.training)
      followStatistics(runningMean, runningVar, momentum, () => [
        mean,
        call(div, squares, call(sub, count, constant(1))),
      ]);
    let y = call(mul, distance, wide(call(rsqrt, call(add, variance, constant(this.eps)))));
    if (weight !== null) y = call(mul, y, wide(weight));
    return bias === null ? y : call(add, y, wide(bias));
  }
}

function converted(layer: BatchNormBase): SyncBatchNorm {
  const { numFeatures, eps, momentum, affine, trackRunningStats } = layer;
  const next = new SyncBatchNorm(numFeatures, { eps, momentum, affine, trackRunningStats });
  for (const name of ["weight", "bias", "runningMean", "runningVar", "numBatchesTracked"] as const)
    Object.assign(next, { [name]: layer[name] });
  next.training = layer.training;
  return next;
}
