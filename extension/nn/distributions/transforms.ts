// PyTorch's torch.distributions.transforms.
export { ComposeTransform, IndependentTransform, ReshapeTransform } from "./composedTransforms.ts";
export {
  AbsTransform,
  AffineTransform,
  ExpTransform,
  PowerTransform,
  SigmoidTransform,
  SoftplusTransform,
  TanhTransform,
} from "./elementwiseTransforms.ts";
export { CatTransform, CumulativeDistributionTransform, StackTransform } from "./partTransforms.ts";
export { Transform } from "./transform.ts";
export {
  CorrCholeskyTransform,
  LowerCholeskyTransform,
  PositiveDefiniteTransform,
  SoftmaxTransform,
  StickBreakingTransform,
} from "./vectorTransforms.ts";
