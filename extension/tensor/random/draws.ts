// PyTorch's random operations as draws: see `Draw` for what one is.
export type { Draw, DrawKind, NumberArray } from "./draw.ts";
export { exponential, leaks, normal, truncNormal, uniform } from "./continuous.ts";
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
