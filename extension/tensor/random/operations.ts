// PyTorch's random operations. Each makes a `Draw`: values that a generator computes, or skips, later.
export type { Draw, DrawKind, NumberArray } from "./draw.ts";
export { binomial } from "./binomial.ts";
export {
  cauchy,
  exponential,
  geometric,
  leaks,
  logNormal,
  normal,
  truncNormal,
  uniform,
} from "./continuous.ts";
export {
  alphaDropoutConstants,
  bernoulli,
  bernoulliTensor,
  dropout,
  featureNoiseShape,
  multinomial,
  randint,
  randperm,
  type Weights,
} from "./discrete.ts";
export { dirichlet, poisson, standardGamma } from "./gamma.ts";
export { dirichletGrad, standardGammaGrad } from "./gammaGradient.ts";
export { vonMises } from "./vonMises.ts";
