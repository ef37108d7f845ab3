import type { Tensor } from "../../../tensor/core/tensor.ts";
import { reading } from "../../../tensor/functions/creation/sampling.ts";
import { where } from "../../../tensor/functions/pointwise/elementwise.ts";
import { composed } from "../../../tensor/functions/pointwise/operands.ts";
import { stack } from "../../../tensor/functions/shape/shape.ts";
import * as random from "../../../tensor/random/operations.ts";
import { defaultStream } from "../../../tensor/random/stream.ts";
import { noGrad } from "../../../tensor/recording/scope.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import * as constraints from "../constraints.ts";
import { Distribution } from "../distribution.ts";
import { broadcastAll, readNow, spread, type SampleShape, type Validate } from "../helpers.ts";

/** Coefficients of rising powers of (x / 3.75)² and of 3.75 / x, for I₀ and I₁ (Abramowitz and Stegun, 9.8). */
const NEAR = [
  [1, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.360768e-1, 0.45813e-2],
  [0.5, 0.87890594, 0.51498869, 0.15084934, 0.2658733e-1, 0.301532e-2, 0.32411e-3],
] as const;
const FAR = [
  [
    0.39894228, 0.1328592e-1, 0.225319e-2, -0.157565e-2, 0.916281e-2, -0.2057706e-1, 0.2635537e-1,
    -0.1647633e-1, 0.392377e-2,
  ],
  [
    0.39894228, -0.3988024e-1, -0.362018e-2, 0.163801e-2, -0.1031555e-1, 0.2282967e-1, -0.2895312e-1,
    0.1787654e-1, -0.420059e-2,
  ],
] as const;

const polynomial = (x: Tensor, coefficients: readonly number[]): Tensor =>
  coefficients.slice(0, -1).reduceRight((sum, c) => sum.mul(x).add(c), x.mul(0).add(coefficients.at(-1)!));

/** ln Iₙ(x) of positive x. */
function logBessel(x: Tensor, order: 0 | 1): Tensor {
  const near = polynomial(x.div(3.75).square(), NEAR[order]);
  const small = (order === 1 ? x.abs().mul(near) : near).log();
  const large = x.sub(x.log().mul(0.5)).add(polynomial(x.reciprocal().mul(3.75), FAR[order]).log());
  return where(x.lt(3.75), small, large);
}

interface VonMisesArguments {
  loc: number | Tensor;
  concentration: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * Angles in radians, of a density proportional to e^(concentration · cos(x − loc)). `sample()` reads the parameters at once, and
 * gives angles of [−π, π).
 *
 * ```ts
 * new torch.distributions.VonMises(torch.tensor(0.5), torch.tensor(4)).mean.item(); // 0.5
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#vonmises
 */
export class VonMises extends Distribution {
  readonly loc: Tensor;
  readonly concentration: Tensor;

  constructor(loc: number | Tensor, concentration: number | Tensor, validate?: Validate);
  constructor(options: VonMisesArguments);
  constructor(...args: unknown[]) {
    const { loc, concentration, validateArgs } = bind<VonMisesArguments>("VonMises", args, {
      loc: REQUIRED,
      concentration: REQUIRED,
      validateArgs: null,
    });
    const [a, b] = broadcastAll(loc, concentration);
    super(a.shape, [], { validateArgs });
    this.loc = a;
    this.concentration = b;
    this.validateParameters({ loc, concentration });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { loc: constraints.real, concentration: constraints.positive };
  }

  override get support(): constraints.Constraint {
    return constraints.real;
  }

  /** The mean direction. */
  override get mean(): Tensor {
    return this.loc;
  }

  override get mode(): Tensor {
    return this.loc;
  }

  /** The circular variance, 1 − I₁ / I₀ of the concentration. */
  override get variance(): Tensor {
    return composed(() => {
      const ratio = logBessel(this.concentration, 1).sub(logBessel(this.concentration, 0)).exp();
      return ratio.neg().add(1);
    });
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    const shape = this.extended(sampleShape);
    return noGrad(() =>
      this.guarded(() => {
        const both = stack([spread(this.loc, shape), spread(this.concentration, shape)]);
        readNow(both);
        this.validateParameters({ concentration: this.concentration });
        const draw = random.vonMises(both.numel() / 2);
        return defaultStream.tensor(reading(draw, both), shape, "float32");
      }),
    );
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const cosine = this.concentration.mul(x.sub(this.loc).cos());
      return cosine.sub(Math.log(2 * Math.PI)).sub(logBessel(this.concentration, 0));
    });
  }
}
