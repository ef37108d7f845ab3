import { TensorError } from "../../tensor/core/errors.ts";
import { composed } from "../../tensor/functions/pointwise/operands.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as constraints from "./constraints.ts";
import { Distribution } from "./distribution.ts";
import { sumRightmost, type SampleShape, type Validate } from "./helpers.ts";

interface IndependentArguments<D extends Distribution> {
  baseDistribution: D;
  reinterpretedBatchNdims: number;
  validateArgs?: boolean | null;
}

/**
 * A distribution whose last `reinterpretedBatchNdims` batch dimensions count as parts of one event: `logProb` and
 * `entropy` sum over them.
 *
 * ```ts
 * const { Independent, Normal } = torch.distributions;
 * new Independent(new Normal(torch.zeros(3), torch.ones(3)), 1).eventShape; // [3]
 * ```
 * @throws TensorError "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual 2 vs 1"
 * @see https://docs.pytorch.org/docs/stable/distributions.html#independent
 */
export class Independent<D extends Distribution = Distribution> extends Distribution {
  readonly baseDist: D;
  readonly reinterpretedBatchNdims: number;
  override readonly hasRsample: boolean;
  override readonly hasEnumerateSupport: boolean;

  constructor(baseDistribution: D, reinterpretedBatchNdims: number, validate?: Validate);
  constructor(options: IndependentArguments<D>);
  constructor(...args: unknown[]) {
    const bound = bind<IndependentArguments<D>>("Independent", args, {
      baseDistribution: REQUIRED,
      reinterpretedBatchNdims: REQUIRED,
      validateArgs: null,
    });
    const base = bound.baseDistribution as D;
    const dims = bound.reinterpretedBatchNdims;
    const { length } = base.batchShape;
    if (dims > length) {
      throw new TensorError(
        "shape",
        `Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual ${dims} vs ${length}`,
      );
    }
    const shape = [...base.batchShape, ...base.eventShape];
    super(shape.slice(0, length - dims), shape.slice(length - dims), bound);
    this.baseDist = base;
    this.reinterpretedBatchNdims = dims;
    this.hasRsample = base.hasRsample;
    this.hasEnumerateSupport = dims === 0 && base.hasEnumerateSupport;
  }

  override get support(): constraints.Constraint {
    const { support } = this.baseDist;
    return this.reinterpretedBatchNdims === 0
      ? support
      : constraints.independent(support, this.reinterpretedBatchNdims);
  }

  override get mean(): Tensor {
    return this.baseDist.mean;
  }

  override get mode(): Tensor {
    return this.baseDist.mode;
  }

  override get variance(): Tensor {
    return this.baseDist.variance;
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    return this.baseDist.sample(sampleShape);
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    return this.baseDist.rsample(sampleShape);
  }

  override logProb(value: Tensor): Tensor {
    return composed(() => sumRightmost(this.baseDist.logProb(value), this.reinterpretedBatchNdims));
  }

  override entropy(): Tensor {
    return composed(() => sumRightmost(this.baseDist.entropy(), this.reinterpretedBatchNdims));
  }

  override enumerateSupport(expand: boolean | { expand?: boolean } = true): Tensor {
    if (this.reinterpretedBatchNdims > 0) {
      throw new TensorError("unsupported", "Enumeration over cartesian product is not implemented");
    }
    return this.baseDist.enumerateSupport(expand);
  }

  override expand(batchShape: Shape): this {
    const inner = this.eventShape.slice(0, this.reinterpretedBatchNdims);
    return this.with({ batchShape, baseDist: this.baseDist.expand([...batchShape, ...inner]) });
  }

  override toString(): string {
    return `Independent(${this.baseDist.toString()}, ${this.reinterpretedBatchNdims})`;
  }
}
