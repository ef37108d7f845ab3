// PyTorch's torch.distributions.
export { Bernoulli, Geometric } from "./bernoulli.ts";
export {
  Categorical,
  Multinomial,
  OneHotCategorical,
  OneHotCategoricalStraightThrough,
} from "./categorical.ts";
export { Binomial, NegativeBinomial } from "./binomial.ts";
export * as constraints from "./constraints.ts";
export { Cauchy, Gumbel, Laplace, StudentT, Uniform } from "./continuous.ts";
export { Distribution } from "./distribution.ts";
export { ContinuousBernoulli } from "./further/continuousBernoulli.ts";
export { GeneralizedPareto } from "./further/generalizedPareto.ts";
export { LKJCholesky } from "./further/lkjCholesky.ts";
export { LowRankMultivariateNormal } from "./further/lowRankMultivariateNormal.ts";
export { VonMises } from "./further/vonMises.ts";
export { Beta, Dirichlet } from "./dirichlet.ts";
export { Chi2, Exponential, FisherSnedecor, Gamma, Poisson } from "./gamma.ts";
export { Independent } from "./independent.ts";
export { klDivergence, registerKl } from "./kl/pairs.ts";
/** Divergences of pairs of distributions, and their registration: PyTorch's `torch.distributions.kl`. */
export * as kl from "./kl/pairs.ts";
export { MixtureSameFamily } from "./mixtureSameFamily.ts";
export { MultivariateNormal } from "./multivariateNormal.ts";
export { Normal } from "./normal.ts";
export { HalfCauchy, InverseGamma, Kumaraswamy, Pareto, Weibull } from "./powers.ts";
export { RelaxedBernoulli, RelaxedOneHotCategorical } from "./relaxed.ts";
export { HalfNormal, LogisticNormal, LogNormal, TransformedDistribution } from "./transformedDistribution.ts";
export * as transforms from "./transforms.ts";
// PyTorch exports the transforms here as well.
export {
  AbsTransform,
  AffineTransform,
  CatTransform,
  ComposeTransform,
  CorrCholeskyTransform,
  CumulativeDistributionTransform,
  ExpTransform,
  IndependentTransform,
  LowerCholeskyTransform,
  PositiveDefiniteTransform,
  PowerTransform,
  ReshapeTransform,
  SigmoidTransform,
  SoftmaxTransform,
  SoftplusTransform,
  StackTransform,
  StickBreakingTransform,
  TanhTransform,
  Transform,
} from "./transforms.ts";
