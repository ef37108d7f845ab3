import { TensorError } from "../../../tensor/core/errors.ts";
import { fill_, zero_ } from "../../../tensor/functions/creation/filling.ts";
import { add_ } from "../../../tensor/functions/pointwise/inplace.ts";
import { castTo, constant } from "../../../tensor/functions/pointwise/operands.ts";
import { squeeze, unsqueeze } from "../../../tensor/functions/shape/shape.ts";
import { apply } from "../../../tensor/recording/apply.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import { div } from "../../../tensor/ops/elementwise/elementwise.ts";
import { hidden, noGrad } from "../../../tensor/recording/scope.ts";
import { Tensor, type Parameter } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import { batchNorm, instanceNorm } from "../../functional/norm/batchNorm.ts";
import { ones_, zeros_ } from "../../init.ts";
import { BuiltIn } from "../../module/module.ts";
import { floatOrNone, py, pyFloat } from "../../module/repr.ts";
import { warnOnce } from "../../warnings.ts";
import { emptyParameter } from "../linear.ts";

export interface NormOptions {
  /** Added to the variance; 1e-5 by default. */
  eps?: number;
  /** How far the running statistics move with every batch, 0.1 by default; null makes them the mean of all batches. */
  momentum?: number | null;
  /** Whether there is a weight, and a bias, per channel. */
  affine?: boolean;
  /** Whether running statistics are kept, and used in evaluation. */
  trackRunningStats?: boolean;
  /** False leaves the bias out; true by default. */
  bias?: boolean;
}

type NormArguments = { numFeatures: number } & NormOptions;

/** Base class of layers with running statistics: their parameters and buffers. */
abstract class NormBase extends BuiltIn {
  /** Whether weights, bias and running statistics exist by default. */
  protected static readonly on: boolean = true;
  numFeatures: number;
  eps: number;
  momentum: number | null;
  affine: boolean;
  trackRunningStats: boolean;
  weight: Parameter | null;
  bias: Parameter | null;
  declare runningMean: Tensor | null;
  declare runningVar: Tensor | null;
  declare numBatchesTracked: Tensor | null;

  constructor(numFeatures: number, options?: NormOptions);
  constructor(
    numFeatures: number,
    eps?: number,
    momentum?: number | null,
    affine?: boolean,
    trackRunningStats?: boolean,
    options?: Pick<NormOptions, "bias">,
  );
  constructor(...args: Arguments<NormArguments, "numFeatures eps momentum affine trackRunningStats bias">);
  constructor(...args: unknown[]) {
    super();
    const { on } = new.target;
    const bound = bind<NormArguments>(this.constructor.name, args, {
      numFeatures: REQUIRED,
      eps: 1e-5,
      momentum: 0.1,
      affine: on,
      trackRunningStats: on,
      bias: true,
    });
    const { numFeatures, affine, trackRunningStats } = bound;
    this.numFeatures = numFeatures;
    this.eps = bound.eps;
    this.momentum = bound.momentum;
    this.affine = affine;
    this.trackRunningStats = trackRunningStats;
    this.weight = affine ? emptyParameter([numFeatures]) : null;
    this.bias = affine && bound.bias ? emptyParameter([numFeatures]) : null;
    const buffer = (value: number): Tensor | null =>
      trackRunningStats ? new Tensor(fillValue(value, [numFeatures], "float32")) : null;
    this.registerBuffer("runningMean", buffer(0));
    this.registerBuffer("runningVar", buffer(1));
    this.registerBuffer("numBatchesTracked", trackRunningStats ? constant(0, "int64") : null);
    this.resetParameters();
  }

  /** Running mean 0, variance 1, no batch seen. */
  resetRunningStats(): void {
    if (!this.trackRunningStats) return;
    zero_(this.runningMean!);
    fill_(this.runningVar!, 1);
    zero_(this.numBatchesTracked!);
  }

  /** Also weights 1 and biases 0. */
  resetParameters(): void {
    this.resetRunningStats();
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  /** @internal State dicts older than this buffer, and those without PyTorch's version numbers, may lack it. */
  override mayLack(key: string): boolean {
    return key === "num_batches_tracked";
  }

  override extraRepr(): string {
    return `${this.numFeatures}, eps=${pyFloat(this.eps)}, momentum=${floatOrNone(this.momentum)}, affine=${py(this.affine)}, bias=${py(this.bias !== null)}, track_running_stats=${py(this.trackRunningStats)}`;
  }
}

/** @throws TensorError "expected 4D input (got 3D input)" */
function checkDimensions(input: Tensor, ...allowed: readonly number[]): void {
  if (allowed.includes(input.ndim)) return;
  throw new TensorError(
    "shape",
    `expected ${allowed.map((n) => `${n}D`).join(" or ")} input (got ${input.ndim}D input)`,
  );
}

/** Base class of BatchNorm1d, 2d and 3d. */
export abstract class BatchNormBase extends NormBase {
  /** Allowed ranks of the input. */
  declare protected static readonly ranks: readonly number[];

  forward(input: Tensor): Tensor {
    this.checkInput(input);
    const { training, trackRunningStats } = this;
    return this.normalize(input, training && trackRunningStats ? this.countBatch() : (this.momentum ?? 0));
  }

  protected checkInput(input: Tensor): void {
    checkDimensions(input, ...(this.constructor as typeof BatchNormBase).ranks);
  }

  /** @param momentum How far the running statistics move */
  protected normalize(input: Tensor, momentum: number | Tensor): Tensor {
    const { training, trackRunningStats, runningMean, runningVar } = this;
    const used = !training || trackRunningStats;
    return batchNorm(
      input,
      used ? runningMean : null,
      used ? runningVar : null,
      this.weight,
      this.bias,
      training || (runningMean === null && runningVar === null),
      momentum,
      this.eps,
    );
  }

  /** Counts a batch; returns how far the statistics move with it. */
  private countBatch(): number | Tensor {
    const { momentum, numBatchesTracked: count } = this;
    if (count === null) return momentum ?? 0;
    return hidden(() =>
      noGrad(() => {
        add_(count, 1);
        return momentum ?? apply(div, [constant(1), castTo(count, "float32")], {});
      }),
    );
  }
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias, per channel.
 *
 * In training with mean and biased variance of the batch; the running statistics move towards its mean and unbiased
 * variance. In evaluation with the running statistics, if they are kept.
 *
 * - weight [C] of ones and bias [C] of zeros
 * - buffers runningMean [C] of zeros, runningVar [C] of ones, numBatchesTracked 0
 * - input and output [N, C] or [N, C, L]
 *
 * Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167
 *
 * ```ts
 * new nn.BatchNorm1d(100)(torch.randn(20, 100)).shape; // [20, 100]
 * ```
 * @throws TensorError "Expected more than 1 value per channel when training, got input size torch.Size([1, 3])"
 */
export class BatchNorm1d extends BatchNormBase {
  protected static override readonly ranks = [2, 3];
}

/**
 * {@link BatchNorm1d} of images [N, C, H, W].
 *
 * ```ts
 * new nn.BatchNorm2d(3)(torch.randn(4, 3, 8, 8)).shape; // [4, 3, 8, 8]
 * ```
 * @throws TensorError "expected 4D input (got 3D input)"
 */
export class BatchNorm2d extends BatchNormBase {
  protected static override readonly ranks = [4];
}

/**
 * {@link BatchNorm1d} of volumes [N, C, D, H, W].
 *
 * ```ts
 * new nn.BatchNorm3d(3)(torch.randn(2, 3, 4, 4, 4)).shape; // [2, 3, 4, 4, 4]
 * ```
 */
export class BatchNorm3d extends BatchNormBase {
  protected static override readonly ranks = [5];
}

abstract class InstanceNormBase extends NormBase {
  protected static override readonly on: boolean = false;
  /** Rank of an input without a batch. */
  declare protected static readonly unbatched: number;

  forward(input: Tensor): Tensor {
    const { numFeatures } = this;
    const { unbatched } = this.constructor as typeof InstanceNormBase;
    checkDimensions(input, unbatched, unbatched + 1);
    const dim = input.ndim - unbatched;
    const channels = input.shape[dim]!;
    if (channels !== numFeatures) {
      if (this.affine) {
        throw new TensorError(
          "shape",
          `expected input's size at dim=${dim} to match num_features (${numFeatures}), but got: ${channels}.`,
        );
      }
      warnOnce(
        `input's size at dim=${dim} does not match num_features. You can silence this warning by not passing in num_features, which is not used because affine=False`,
      );
    }
    return dim === 1 ? this.normalized(input) : squeeze(this.normalized(unsqueeze(input, 0)), 0);
  }

  private normalized(input: Tensor): Tensor {
    return instanceNorm(
      input,
      this.runningMean,
      this.runningVar,
      this.weight,
      this.bias,
      this.training || !this.trackRunningStats,
      this.momentum ?? 0,
      this.eps,
    );
  }
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias, with mean and biased variance of every channel of every sample.
 *
 * - no weight and bias unless `affine`: then [C] of ones and zeros
 * - no running statistics unless `trackRunningStats`: then those of {@link BatchNorm1d}, used in evaluation
 * - input and output [N, C, L] or [C, L]
 *
 * Ulyanov, Vedaldi and Lempitsky 2016, https://arxiv.org/abs/1607.08022
 *
 * ```ts
 * new nn.InstanceNorm1d(4, { affine: true })(torch.randn(2, 4, 9)).shape; // [2, 4, 9]
 * ```
 * @throws TensorError "Expected more than 1 spatial element when training, got input size torch.Size([1, 3, 1])"
 */
export class InstanceNorm1d extends InstanceNormBase {
  protected static override readonly unbatched = 2;
}

/**
 * {@link InstanceNorm1d} of images [N, C, H, W] or [C, H, W].
 *
 * ```ts
 * new nn.InstanceNorm2d(4)(torch.randn(2, 4, 6, 6)).shape; // [2, 4, 6, 6]
 * ```
 */
export class InstanceNorm2d extends InstanceNormBase {
  protected static override readonly unbatched = 3;
}

/**
 * {@link InstanceNorm1d} of volumes [N, C, D, H, W] or [C, D, H, W].
 *
 * ```ts
 * new nn.InstanceNorm3d(4)(torch.randn(2, 4, 3, 3, 3)).shape; // [2, 4, 3, 3, 3]
 * ```
 */
export class InstanceNorm3d extends InstanceNormBase {
  protected static override readonly unbatched = 4;
}
