// KL divergences of pairs of distributions, by their classes.
import { TensorError } from "../../../tensor/core/errors.ts";
import { fullLike } from "../../../tensor/functions/creation/creation.ts";
import { solve } from "../../../tensor/functions/linalg/decompositions.ts";
import { where } from "../../../tensor/functions/pointwise/elementwise.ts";
import { composed } from "../../../tensor/functions/pointwise/operands.ts";
import { xlogy } from "../../../tensor/functions/pointwise/special.ts";
import { broadcastShapes, sameShape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { softplus } from "../../functional/activation/activation.ts";
import { Bernoulli, Geometric } from "../bernoulli.ts";
import { Categorical, OneHotCategorical } from "../categorical.ts";
import { Cauchy, Gumbel, Laplace, Uniform } from "../continuous.ts";
import type { Distribution } from "../distribution.ts";
import { Beta, Dirichlet } from "../dirichlet.ts";
import { Exponential, Gamma, Poisson } from "../gamma.ts";
import { EULER, spread, sumRightmost } from "../helpers.ts";
import { Independent } from "../independent.ts";
import { LowRankMultivariateNormal } from "../further/lowRankMultivariateNormal.ts";
import { halfLogDeterminant, mahalanobis, MultivariateNormal } from "../multivariateNormal.ts";
import { Normal } from "../normal.ts";
import { HalfNormal, TransformedDistribution } from "../transformedDistribution.ts";

/** A class of distributions; how it is made doesn't matter. */
export type Kind<D extends Distribution> = abstract new (...args: never[]) => D;
type Divergence<P, Q> = (p: P, q: Q) => Tensor;

interface Entry {
  readonly p: Kind<Distribution>;
  readonly q: Kind<Distribution>;
  readonly divergence: Divergence<Distribution, Distribution>;
}

const registry: Entry[] = [];

/**
 * Registers the divergence of two classes: `registerKl(Mine, Normal)((p, q) => …)`. Of several that fit, the one of the most
 * specific classes counts; of two for the same classes, the later.
 */
export function registerKl<P extends Distribution, Q extends Distribution>(p: Kind<P>, q: Kind<Q>) {
  return <F extends Divergence<P, Q>>(divergence: F): F => {
    register(p, q, divergence);
    return divergence;
  };
}

/** @internal */
export function register<P extends Distribution, Q extends Distribution>(
  p: Kind<P>,
  q: Kind<Q>,
  divergence: Divergence<P, Q>,
): void {
  registry.unshift({ p, q, divergence: divergence as unknown as Entry["divergence"] });
}

/** How many classes lie between an object's and one that it extends. */
function distance(object: Distribution, kind: Kind<Distribution>): number {
  let steps = 0;
  for (let proto = Object.getPrototypeOf(object) as object; proto !== kind.prototype; steps++) {
    proto = Object.getPrototypeOf(proto) as object;
  }
  return steps;
}

/**
 * The Kullback-Leibler divergence ∫ p log(p / q) of two distributions, of shape batchShape.
 *
 * ```ts
 * const { klDivergence, Normal } = torch.distributions;
 * klDivergence(new Normal(1, 1), new Normal(0, 1)).item(); // 0.5
 * ```
 * @throws TensorError "No KL(p || q) is implemented for p type Normal and q type Bernoulli"
 * @see https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.kl
 */
export function klDivergence(p: Distribution, q: Distribution): Tensor {
  let best: { entry: Entry; steps: readonly [number, number] } | undefined;
  for (const entry of registry) {
    if (!(p instanceof entry.p && q instanceof entry.q)) continue;
    const steps = [distance(p, entry.p), distance(q, entry.q)] as const;
    const nearer =
      best === undefined ||
      steps[0] < best.steps[0] ||
      (steps[0] === best.steps[0] && steps[1] < best.steps[1]);
    if (nearer) best = { entry, steps };
  }
  if (best === undefined) {
    throw new TensorError(
      "unsupported",
      `No KL(p || q) is implemented for p type ${p.constructor.name} and q type ${q.constructor.name}`,
    );
  }
  const { divergence } = best.entry;
  return composed(() => divergence(p, q));
}

/** p(x > 0) · log(p / q), where p and q are sums of exponentials of their logits. */
register(Bernoulli, Bernoulli, (p, q) => {
  const part = (weight: Tensor, impossible: Tensor, absent: Tensor, difference: Tensor): Tensor =>
    where(absent, 0, where(impossible, Infinity, weight.mul(difference)));
  const heads = softplus(q.logits.neg()).sub(softplus(p.logits.neg()));
  const tails = softplus(q.logits).sub(softplus(p.logits));
  return part(p.probs, q.probs.eq(0), p.probs.eq(0), heads).add(
    part(p.probs.neg().add(1), q.probs.eq(1), p.probs.eq(1), tails),
  );
});

register(Beta, Beta, (p, q) => {
  const [p1, p0, q1, q0] = [p.concentration1, p.concentration0, q.concentration1, q.concentration0];
  const [sumP, sumQ] = [p1.add(p0), q1.add(q0)];
  const t1 = q1.lgamma().add(q0.lgamma()).add(sumP.lgamma());
  const t2 = p1.lgamma().add(p0.lgamma()).add(sumQ.lgamma());
  const t3 = p1.sub(q1).mul(p1.digamma());
  const t4 = p0.sub(q0).mul(p0.digamma());
  return t1.sub(t2).add(t3).add(t4).add(sumQ.sub(sumP).mul(sumP.digamma()));
});

function categorical(p: Categorical, q: Categorical): Tensor {
  const terms = p.probs.mul(p.logits.sub(q.logits));
  return where(p.probs.eq(0), 0, where(q.probs.eq(0), Infinity, terms)).sum(-1);
}

register(Categorical, Categorical, categorical);
register(OneHotCategorical, OneHotCategorical, (p, q) => categorical(p.categorical, q.categorical));

register(Dirichlet, Dirichlet, (p, q) => {
  const [sumP, sumQ] = [p.concentration.sum(-1), q.concentration.sum(-1)];
  const t1 = sumP.lgamma().sub(sumQ.lgamma());
  const t2 = p.concentration.lgamma().sub(q.concentration.lgamma()).sum(-1);
  const t4 = p.concentration.digamma().sub(sumP.digamma().unsqueeze(-1));
  return t1.sub(t2).add(p.concentration.sub(q.concentration).mul(t4).sum(-1));
});

register(Exponential, Exponential, (p, q) => {
  const ratio = q.rate.div(p.rate);
  return ratio.log().neg().add(ratio).sub(1);
});

register(Gamma, Gamma, (p, q) => {
  const t1 = q.concentration.mul(p.rate.div(q.rate).log());
  const t2 = q.concentration.lgamma().sub(p.concentration.lgamma());
  const t3 = p.concentration.sub(q.concentration).mul(p.concentration.digamma());
  return t1
    .add(t2)
    .add(t3)
    .add(q.rate.sub(p.rate).mul(p.concentration.div(p.rate)));
});

register(Gumbel, Gumbel, (p, q) => {
  const ratio = p.scale.div(q.scale);
  const [ours, theirs] = [p.loc.div(q.scale), q.loc.div(q.scale)];
  const t1 = ratio.log().neg().sub(theirs).add(ours);
  const t3 = theirs.add(ratio.add(1).lgamma()).sub(ours).exp();
  return t1
    .add(ratio.mul(EULER))
    .add(t3)
    .sub(1 + EULER);
});

register(Geometric, Geometric, (p, q) =>
  p.entropy().neg().sub(q.probs.neg().log1p().div(p.probs)).sub(q.logits),
);

register(Laplace, Laplace, (p, q) => {
  const ratio = p.scale.div(q.scale);
  const gap = p.loc.sub(q.loc).abs();
  const t3 = ratio.mul(gap.neg().div(p.scale).exp());
  return ratio.log().neg().add(gap.div(q.scale)).add(t3).sub(1);
});

/** A normal distribution of vectors. */
type OfVectors = MultivariateNormal | LowRankMultivariateNormal;

/** A lower factor of its covariance. */
const factorOf = (d: OfVectors): Tensor => (d instanceof MultivariateNormal ? d.factor : d.scaleTril);

function ofVectors(p: OfVectors, q: OfVectors): Tensor {
  if (!sameShape(p.eventShape, q.eventShape)) {
    throw new TensorError(
      "shape",
      "KL-divergence between two Multivariate Normals with different event shapes cannot be computed",
    );
  }
  const n = p.eventShape[0]!;
  const [from, to] = [factorOf(p), factorOf(q)];
  const shape = [...broadcastShapes(to.shape.slice(0, -2), from.shape.slice(0, -2)), n, n];
  const ratio = solve(spread(to.tril(), shape), spread(from, shape));
  const trace = ratio.square().sum([-2, -1]);
  const logs = halfLogDeterminant(to).sub(halfLogDeterminant(from));
  return logs.add(
    trace
      .add(mahalanobis(to, q.loc.sub(p.loc)))
      .sub(n)
      .mul(0.5),
  );
}
register(MultivariateNormal, MultivariateNormal, ofVectors);
register(LowRankMultivariateNormal, LowRankMultivariateNormal, ofVectors);
register(LowRankMultivariateNormal, MultivariateNormal, ofVectors);
register(MultivariateNormal, LowRankMultivariateNormal, ofVectors);

function normal(p: Normal, q: Normal): Tensor {
  const ratio = p.scale.div(q.scale).square();
  const gap = p.loc.sub(q.loc).div(q.scale).square();
  return ratio.add(gap).sub(1).sub(ratio.log()).mul(0.5);
}

register(Normal, Normal, normal);
register(HalfNormal, HalfNormal, (p, q) => normal(p.baseDist as Normal, q.baseDist as Normal));

register(Poisson, Poisson, (p, q) => p.rate.mul(p.rate.log().sub(q.rate.log())).sub(p.rate.sub(q.rate)));

register(Cauchy, Cauchy, (p, q) => {
  const t1 = p.scale.add(q.scale).square().add(p.loc.sub(q.loc).square()).log();
  return t1.sub(p.scale.mul(4).mul(q.scale).log());
});

register(Uniform, Uniform, (p, q) => {
  const ratio = q.high.sub(q.low).div(p.high.sub(p.low)).log();
  return where(q.low.gt(p.low).logicalOr(q.high.lt(p.high)), Infinity, ratio);
});

register(Independent, Independent, (p, q) => {
  if (p.reinterpretedBatchNdims !== q.reinterpretedBatchNdims) {
    throw new TensorError("unsupported", "KL of Independent needs equal reinterpreted_batch_ndims");
  }
  return sumRightmost(klDivergence(p.baseDist, q.baseDist), p.reinterpretedBatchNdims);
});

register(TransformedDistribution, TransformedDistribution, (p, q) => {
  const same =
    p.transforms.length === q.transforms.length && p.transforms.every((t, i) => t.equals(q.transforms[i]!));
  if (!same || !sameShape(p.eventShape, q.eventShape)) {
    throw new TensorError("unsupported", "KL of TransformedDistribution needs equal transforms");
  }
  return klDivergence(p.baseDist, q.baseDist);
});

// Pairs of two classes.

/** @internal */
export const infinite = (x: Tensor): Tensor => fullLike(x, Infinity);

register(Normal, Laplace, (p, q) => {
  const gap = p.loc.sub(q.loc);
  const [ratio, relative] = [p.scale.div(q.scale), gap.div(p.scale)];
  const t2 = p.scale.mul(Math.sqrt(2 / Math.PI)).mul(relative.square().mul(-0.5).exp());
  const t3 = gap.mul(relative.mul(Math.SQRT1_2).erf());
  return t2
    .add(t3)
    .div(q.scale)
    .sub(ratio.log())
    .sub(0.5 * (1 + Math.log(0.5 * Math.PI)));
});

register(Laplace, Normal, (p, q) => {
  const variance = q.scale.square();
  const ratio = p.scale.square().div(variance);
  const t1 = ratio
    .mul(2 / Math.PI)
    .log()
    .mul(0.5);
  return ratio.sub(t1).add(p.loc.sub(q.loc).square().mul(0.5).div(variance)).sub(1);
});

register(Uniform, Normal, (p, q) => {
  const width = p.high.sub(p.low);
  const t1 = q.scale
    .mul(Math.sqrt(2 * Math.PI))
    .div(width)
    .log();
  const t3 = p.high.add(p.low).sub(q.loc.mul(2)).div(2).square();
  return t1.add(width.square().div(12).add(t3).mul(0.5).div(q.scale.square()));
});

register(Beta, Normal, (p, q) => {
  const { mean } = p;
  const second = p.variance.add(mean.square());
  const variance = q.scale.square();
  const t3 = second.mul(0.5).sub(q.loc.mul(mean)).add(q.loc.square().mul(0.5));
  return variance
    .mul(2 * Math.PI)
    .log()
    .mul(0.5)
    .sub(p.entropy())
    .add(t3.div(variance));
});

register(Beta, Uniform, (p, q) => {
  const outside = q.low.gt(0).logicalOr(q.high.lt(1));
  return where(outside, Infinity, q.high.sub(q.low).log().sub(p.entropy()));
});

register(Uniform, Beta, (p, q) => {
  const width = p.high.sub(p.low);
  const area = (a: Tensor, b: Tensor): Tensor => xlogy(b, b).sub(xlogy(a, a));
  const one = (x: Tensor): Tensor => x.neg().add(1);
  const t2 = q.concentration1.sub(1).mul(area(p.low, p.high).sub(width)).div(width);
  const t3 = q.concentration0
    .sub(1)
    .mul(area(one(p.low), one(p.high)).add(width))
    .div(width);
  const sum = q.concentration1.add(q.concentration0);
  const t4 = q.concentration1.lgamma().add(q.concentration0.lgamma()).sub(sum.lgamma());
  return where(p.high.gt(1).logicalOr(p.low.lt(0)), Infinity, t3.add(t4).sub(width.log()).sub(t2));
});

register(Exponential, Gamma, (p, q) => {
  const ratio = q.rate.div(p.rate);
  const t1 = q.concentration.mul(ratio.log()).neg();
  return t1
    .add(ratio)
    .add(q.concentration.lgamma())
    .add(q.concentration.mul(EULER))
    .sub(1 + EULER);
});

register(Gamma, Exponential, (p, q) =>
  q.rate.mul(p.concentration).div(p.rate).sub(p.entropy()).sub(q.rate.log()),
);

register(Bernoulli, Poisson, (p, q) => p.entropy().neg().sub(p.probs.mul(q.rate.log()).sub(q.rate)));

register(Poisson, Bernoulli, (p) => infinite(p.rate));
