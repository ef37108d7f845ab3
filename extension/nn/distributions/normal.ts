import { composed } from "../../tensor/functions/pointwise/operands.ts";
import { normal, randn } from "../../tensor/functions/creation/random.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as constraints from "./constraints.ts";
import { Distribution } from "./distribution.ts";
import { broadcastAll, spread, type SampleShape, type Validate } from "./helpers.ts";

export interface LocationScaleArguments {
  loc: number | Tensor;
  scale: number | Tensor;
  validateArgs?: boolean | null;
}

/** A distribution that is moved by `loc` and stretched by `scale`. */
export abstract class LocationScale extends Distribution {
  override readonly hasRsample = true;
  loc: Tensor;
  scale: Tensor;

  constructor(loc: number | Tensor, scale: number | Tensor, validate?: Validate);
  constructor(options: LocationScaleArguments);
  constructor(...args: unknown[]) {
    const { loc, scale, validateArgs } = bind<LocationScaleArguments>(new.target.name, args, {
      loc: REQUIRED,
      scale: REQUIRED,
      validateArgs: null,
    });
    const [center, width] = broadcastAll(loc, scale);
    super(center.shape, [], { validateArgs });
    this.loc = center;
    this.scale = width;
    this.validateParameters({ loc, scale });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { loc: constraints.real, scale: constraints.positive };
  }

  override get support(): constraints.Constraint {
    return constraints.real;
  }

  override get mean(): Tensor {
    return this.loc;
  }

  override get mode(): Tensor {
    return this.loc;
  }

  /** (x − loc) / scale. */
  protected standardized(value: Tensor): Tensor {
    return value.sub(this.loc).div(this.scale);
  }
}

/**
 * The normal distribution of mean `loc` and standard deviation `scale`, which broadcast.
 *
 * ```ts
 * const x = new torch.distributions.Normal(0, 1);
 * x.logProb(torch.tensor(0.5)).item().toFixed(4); // "-1.0439"
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#normal
 */
export class Normal extends LocationScale {
  override get stddev(): Tensor {
    return this.scale;
  }

  override get variance(): Tensor {
    return composed(() => this.scale.square());
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    const shape = this.extended(sampleShape);
    return noGrad(() => this.guarded(() => normal(spread(this.loc, shape), spread(this.scale, shape))));
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const noise = randn(this.extended(sampleShape));
    return this.guarded(() => this.loc.add(noise.mul(this.scale)));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const distance = x.sub(this.loc).square().neg().div(this.scale.square().mul(2));
      return distance.sub(this.scale.log()).sub(Math.log(Math.sqrt(2 * Math.PI)));
    });
  }

  override cdf(value: Tensor): Tensor {
    return this.scored(value, (x) =>
      x.sub(this.loc).mul(this.scale.reciprocal()).div(Math.SQRT2).erf().add(1).mul(0.5),
    );
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => this.loc.add(this.scale.mul(value.mul(2).sub(1).erfinv()).mul(Math.SQRT2)));
  }

  override entropy(): Tensor {
    return composed(() => this.scale.log().add(0.5 + 0.5 * Math.log(2 * Math.PI)));
  }
}
