import type { Parameter, Tensor } from "../../../tensor/core/tensor.ts";
import { constant } from "../../../tensor/functions/pointwise/operands.ts";
import { bind, type Arguments } from "../../arguments.ts";
import type { Module } from "../../module/module.ts";
import { isLazy, UninitializedBuffer, UninitializedParameter } from "../../module/uninitialized.ts";
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  type NormOptions,
} from "../norm/batchNorm.ts";
import { firstCall, waits, type LazyModule } from "./lazyModule.ts";

interface AnyNorm extends Module {
  numFeatures: number;
  weight: Parameter | null;
  bias: Parameter | null;
  runningMean: Tensor | null;
  runningVar: Tensor | null;
  numBatchesTracked: Tensor | null;
  resetParameters(): void;
}

type AnyClass = new (numFeatures: number, options: NormOptions) => AnyNorm;

/** A class of lazy normalizations: the usual one without its first parameter. */
interface LazyClass<C> {
  new (options?: NormOptions): C & LazyModule;
  new (...args: Arguments<NormOptions, "eps momentum affine trackRunningStats bias">): C & LazyModule;
}

function lazyNorm<C extends Module>(
  usual: new (numFeatures: number, options?: NormOptions) => C,
): LazyClass<C> {
  abstract class Lazy extends (usual as unknown as AnyClass) implements LazyModule {
    constructor(...args: unknown[]) {
      // As in PyTorch, weights and statistics are the default of instances, too.
      const { affine, trackRunningStats, bias, ...options } = bind<NormOptions>(new.target.name, args, {
        eps: 1e-5,
        momentum: 0.1,
        affine: true,
        trackRunningStats: true,
        bias: true,
      });
      super(0, { ...options, affine: false, trackRunningStats: false, bias: false });
      Object.assign(this, { affine, trackRunningStats });
      if (affine) {
        this.weight = new UninitializedParameter();
        if (bias) this.bias = new UninitializedParameter();
      }
      if (trackRunningStats) {
        this.runningMean = new UninitializedBuffer();
        this.runningVar = new UninitializedBuffer();
        this.numBatchesTracked = constant(0, "int64").persist();
      }
    }

    override resetParameters(): void {
      if (this.numFeatures !== 0 && !this.hasUninitializedParams()) super.resetParameters();
    }

    hasUninitializedParams(): boolean {
      return waits(this);
    }

    initializeParameters(input: Tensor): void {
      const members = [this.weight, this.bias, this.runningMean, this.runningVar];
      const waiting = members.filter(isLazy);
      // A state dict may have given them.
      const known = members.find((member) => member !== null && !isLazy(member));
      const numFeatures = known?.shape[0] ?? input.shape[1]!;
      Object.assign(this, { numFeatures });
      for (const member of waiting) member.materialize([numFeatures]);
      if (waiting.length > 0) this.resetParameters();
    }

    forward(input: Tensor): Tensor {
      return firstCall<AnyNorm>(this, usual, [input]);
    }
  }
  return Lazy as unknown as LazyClass<C>;
}

/**
 * {@link BatchNorm1d} whose `numFeatures` is the second size of the first input; from then on it is a `BatchNorm1d`.
 *
 * ```ts
 * new nn.LazyBatchNorm1d()(torch.randn(4, 3, 9)).shape; // [4, 3, 9]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm1d.html
 */
export class LazyBatchNorm1d extends lazyNorm<BatchNorm1d>(BatchNorm1d) {}

/**
 * {@link BatchNorm2d} whose `numFeatures` is the second size of the first input; from then on it is a `BatchNorm2d`.
 *
 * ```ts
 * new nn.LazyBatchNorm2d()(torch.randn(4, 3, 8, 8)).shape; // [4, 3, 8, 8]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm2d.html
 */
export class LazyBatchNorm2d extends lazyNorm<BatchNorm2d>(BatchNorm2d) {}

/**
 * {@link BatchNorm3d} whose `numFeatures` is the second size of the first input; from then on it is a `BatchNorm3d`.
 *
 * ```ts
 * new nn.LazyBatchNorm3d()(torch.randn(2, 3, 4, 4, 4)).shape; // [2, 3, 4, 4, 4]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm3d.html
 */
export class LazyBatchNorm3d extends lazyNorm<BatchNorm3d>(BatchNorm3d) {}

/**
 * {@link InstanceNorm1d} whose `numFeatures` is the second size of the first input; from then on it is a `InstanceNorm1d`. `affine` and
 * `trackRunningStats` are true by default, as in PyTorch.
 *
 * ```ts
 * new nn.LazyInstanceNorm1d()(torch.randn(4, 3, 9)).shape; // [4, 3, 9]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm1d.html
 */
export class LazyInstanceNorm1d extends lazyNorm<InstanceNorm1d>(InstanceNorm1d) {}

/**
 * {@link InstanceNorm2d} whose `numFeatures` is the second size of the first input; from then on it is a `InstanceNorm2d`. `affine` and
 * `trackRunningStats` are true by default, as in PyTorch.
 *
 * ```ts
 * new nn.LazyInstanceNorm2d()(torch.randn(4, 3, 8, 8)).shape; // [4, 3, 8, 8]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm2d.html
 */
export class LazyInstanceNorm2d extends lazyNorm<InstanceNorm2d>(InstanceNorm2d) {}

/**
 * {@link InstanceNorm3d} whose `numFeatures` is the second size of the first input; from then on it is a `InstanceNorm3d`. `affine` and
 * `trackRunningStats` are true by default, as in PyTorch.
 *
 * ```ts
 * new nn.LazyInstanceNorm3d()(torch.randn(2, 3, 4, 4, 4)).shape; // [2, 3, 4, 4, 4]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm3d.html
 */
export class LazyInstanceNorm3d extends lazyNorm<InstanceNorm3d>(InstanceNorm3d) {}
