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
export { Transform } from "./transform.ts";
