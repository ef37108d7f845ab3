// KL divergences of distributions of different classes, and of those that others are made of.
import { TensorError } from "../../../tensor/core/errors.ts";
import { where } from "../../../tensor/functions/pointwise/elementwise.ts";
import { xlogy } from "../../../tensor/functions/pointwise/special.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { valuesOf } from "../../../tensor/planning/barrier.ts";
import { Binomial } from "../binomial.ts";
import { Gumbel, Laplace, Uniform } from "../continuous.ts";
import { Beta } from "../dirichlet.ts";
import type { Distribution } from "../distribution.ts";
import { ContinuousBernoulli } from "../further/continuousBernoulli.ts";
import { Exponential, Gamma, Poisson } from "../gamma.ts";
import { EULER } from "../helpers.ts";
import { Normal } from "../normal.ts";
import { Pareto } from "../powers.ts";
import { infinite, register, type Kind } from "./kl.ts";

export { klDivergence, registerKl } from "./kl.ts";

register(Binomial, Binomial, (p, q) => {
  const fewer = p.totalCount.lt(q.totalCount);
  if (valuesOf(fewer.value).some((x) => x !== 0)) {
    throw new TensorError(
      "unsupported",
      "KL between Binomials where q.total_count > p.total_count is not implemented",
    );
  }
  const each = p.probs.mul(p.logits.sub(q.logits)).add(p.probs.neg().log1p()).sub(q.probs.neg().log1p());
  return where(p.totalCount.gt(q.totalCount), Infinity, p.totalCount.mul(each));
});

register(Pareto, Pareto, (p, q) => {
  const ratio = q.alpha.div(p.alpha);
  const kl = q.alpha.mul(p.scale.div(q.scale).log()).sub(ratio.log()).add(ratio).sub(1);
  return where(p.scale.lt(q.scale), Infinity, kl);
});

register(Pareto, Exponential, (p, q) => {
  const product = p.scale.mul(q.rate);
  const t3 = p.alpha.mul(product).div(p.alpha.sub(1));
  const kl = p.alpha.div(product).log().sub(p.alpha.reciprocal()).add(t3).sub(1);
  return where(p.alpha.le(1), Infinity, kl);
});

/** log Γ(α) − α log β of a Gamma distribution. */
const normalizer = (q: Gamma): Tensor => q.concentration.lgamma().sub(q.concentration.mul(q.rate.log()));

register(Pareto, Gamma, (p, q) => {
  const common = p.scale.log().add(p.alpha.reciprocal());
  const t3 = q.concentration.neg().add(1).mul(common);
  const t4 = q.rate.mul(p.alpha).mul(p.scale).div(p.alpha.sub(1));
  const kl = p.alpha.log().sub(common).add(normalizer(q)).add(t3).add(t4).sub(1);
  return where(p.alpha.le(1), Infinity, kl);
});

register(Pareto, Normal, (p, q) => {
  const common = p.scale.div(p.alpha.sub(1));
  const t1 = q.scale
    .mul(Math.sqrt(2 * Math.PI))
    .mul(p.alpha)
    .div(p.scale)
    .log();
  const t3 = p.alpha.mul(common.square()).div(p.alpha.sub(2));
  const t4 = p.alpha.mul(common).sub(q.loc).square();
  const kl = t1
    .sub(p.alpha.reciprocal())
    .add(t3.add(t4).div(q.scale.square().mul(2)))
    .sub(1);
  return where(p.alpha.le(2), Infinity, kl);
});

register(Exponential, Gumbel, (p, q) => {
  const [product, ratio] = [p.rate.mul(q.scale), q.loc.div(q.scale)];
  const t2 = ratio.exp().mul(product).div(product.add(1));
  return product.log().sub(1).sub(ratio).add(t2).add(product.reciprocal());
});

register(Exponential, Normal, (p, q) => {
  const [variance, square] = [q.scale.square(), p.rate.square()];
  const t1 = square
    .mul(variance)
    .mul(2 * Math.PI)
    .log()
    .mul(0.5);
  const rest = square.reciprocal().sub(q.loc.div(p.rate)).add(q.loc.square().mul(0.5));
  return t1.sub(1).add(rest.div(variance));
});

register(Gamma, Gumbel, (p, q) => {
  const { concentration: alpha } = p;
  const [product, ratio] = [p.rate.mul(q.scale), q.loc.div(q.scale)];
  const t1 = alpha.sub(1).mul(alpha.digamma()).sub(alpha.lgamma()).sub(alpha);
  const t2 = product.log().add(alpha.div(product));
  const t3 = ratio.exp().mul(product.reciprocal().add(1).pow(alpha.neg())).sub(ratio);
  return t1.add(t2).add(t3);
});

register(Gamma, Normal, (p, q) => {
  const { concentration: alpha } = p;
  const [variance, square] = [q.scale.square(), p.rate.square()];
  const t1 = square
    .mul(variance)
    .mul(2 * Math.PI)
    .log()
    .mul(0.5)
    .sub(alpha)
    .sub(alpha.lgamma());
  const t2 = alpha.square().add(alpha).mul(0.5).div(square);
  const rest = t2.sub(q.loc.mul(alpha).div(p.rate)).add(q.loc.square().mul(0.5));
  return t1.add(alpha.sub(1).mul(alpha.digamma())).add(rest.div(variance));
});

register(Gumbel, Normal, (p, q) => {
  const ratio = p.scale.div(q.scale);
  const t2 = ratio
    .mul(Math.PI / 2)
    .square()
    .div(3);
  const t3 = p.loc.add(p.scale.mul(EULER)).sub(q.loc).div(q.scale).square().mul(0.5);
  return t2
    .add(t3)
    .sub(ratio.div(Math.sqrt(2 * Math.PI)).log())
    .sub(EULER + 1);
});

register(Normal, Gumbel, (p, q) => {
  const [mean, loc] = [p.loc.div(q.scale), q.loc.div(q.scale)];
  const variance = p.scale.div(q.scale).square();
  const t3 = variance.mul(0.5).sub(mean).add(loc).exp();
  return mean
    .sub(loc)
    .sub(variance.log().mul(0.5))
    .add(t3)
    .sub(0.5 * (1 + Math.log(2 * Math.PI)));
});

register(Beta, Exponential, (p, q) => q.rate.mul(p.mean).sub(p.entropy()).sub(q.rate.log()));

register(Beta, Gamma, (p, q) => {
  const sum = p.concentration1.add(p.concentration0);
  const t3 = q.concentration.sub(1).mul(p.concentration1.digamma().sub(sum.digamma()));
  return normalizer(q).sub(p.entropy()).sub(t3).add(q.rate.mul(p.concentration1).div(sum));
});

/** The mean of x over a uniform distribution. */
const middle = (p: Uniform): Tensor => p.high.add(p.low).div(2);
/** The mean of log x. */
function meanLog(p: Uniform): Tensor {
  const width = p.high.sub(p.low);
  return xlogy(p.high, p.high).sub(xlogy(p.low, p.low)).sub(width).div(width);
}

register(Uniform, Exponential, (p, q) => {
  const kl = q.rate.mul(middle(p)).sub(p.high.sub(p.low).mul(q.rate).log());
  return where(p.low.lt(0), Infinity, kl);
});

register(Uniform, Gamma, (p, q) => {
  const t3 = q.concentration.neg().add(1).mul(meanLog(p));
  const kl = normalizer(q)
    .sub(p.high.sub(p.low).log())
    .add(t3)
    .add(q.rate.mul(middle(p)));
  return where(p.low.lt(0), Infinity, kl);
});

register(Uniform, Gumbel, (p, q) => {
  const ratio = q.scale.div(p.high.sub(p.low));
  const [high, low] = [p.high.sub(q.loc).div(q.scale), p.low.sub(q.loc).div(q.scale)];
  const t2 = ratio.mul(high.neg().exp().sub(low.neg().exp()));
  return ratio.log().add(high.add(low).mul(0.5)).sub(t2);
});

register(Uniform, Pareto, (p, q) => {
  const t1 = q.alpha.mul(q.scale.pow(q.alpha)).mul(p.high.sub(p.low)).log();
  const kl = meanLog(p).mul(q.alpha.add(1)).sub(t1);
  return where(p.low.lt(q.scale), Infinity, kl);
});

/** The mean of log q(x) where x has this mean. */
const meanScore = (mean: Tensor, q: ContinuousBernoulli): Tensor =>
  mean.mul(q.logits).add(q.probs.neg().log1p()).add(q.logNorm());

register(ContinuousBernoulli, ContinuousBernoulli, (p, q) =>
  p.mean
    .mul(p.logits.sub(q.logits))
    .add(p.logNorm().add(p.probs.neg().log1p()))
    .sub(q.logNorm().add(q.probs.neg().log1p())),
);

register(ContinuousBernoulli, Exponential, (p, q) => q.rate.mul(p.mean).sub(p.entropy()).sub(q.rate.log()));

register(ContinuousBernoulli, Normal, (p, q) => {
  const t2 = q.loc
    .div(q.scale)
    .square()
    .add(Math.log(2 * Math.PI))
    .mul(0.5)
    .add(q.scale.log());
  const t3 = p.variance.add(p.mean.square()).sub(q.loc.mul(p.mean).mul(2));
  return t2.sub(p.entropy()).add(t3.div(q.scale.square().mul(2)));
});

// PyTorch has infinity where the distribution of q's values begins at 0 or ends at 1, too.
register(ContinuousBernoulli, Uniform, (p, q) =>
  where(q.low.ge(0).logicalOr(q.high.le(1)), Infinity, q.high.sub(q.low).log().sub(p.entropy())),
);

register(Beta, ContinuousBernoulli, (p, q) => p.entropy().add(meanScore(p.mean, q)).neg());

// As above.
register(Uniform, ContinuousBernoulli, (p, q) =>
  where(p.high.ge(1).logicalOr(p.low.le(0)), Infinity, p.entropy().add(meanScore(p.mean, q)).neg()),
);

// Where p has values that q doesn't.
const positive: readonly Kind<Distribution>[] = [
  Beta,
  ContinuousBernoulli,
  Exponential,
  Gamma,
  Pareto,
  Uniform,
];
for (const kind of positive) {
  register(Normal, kind, (p) => infinite(p.loc));
  register(Laplace, kind, (p) => infinite(p.loc));
  register(Gumbel, kind, (p) => infinite(p.loc));
}
const bounded: readonly Kind<Distribution>[] = [Beta, ContinuousBernoulli, Pareto, Uniform];
for (const kind of bounded) {
  register(Exponential, kind, (p) => infinite(p.rate));
  register(Gamma, kind, (p) => infinite(p.concentration));
}
register(Beta, Pareto, (p) => infinite(p.concentration1));
register(ContinuousBernoulli, Pareto, (p) => infinite(p.probs));
register(Pareto, ContinuousBernoulli, (p) => infinite(p.scale));
register(Pareto, Beta, (p) => infinite(p.scale));
register(Pareto, Uniform, (p) => infinite(p.scale));
register(Poisson, Binomial, (p) => infinite(p.rate));
