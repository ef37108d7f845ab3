// PyTorch's torch.nn.functional, the `F` that users import.
export * from "./activation/activation.ts";
export { scaledDotProductAttention } from "./attention/attention.ts";
export * from "./pooling/averagePooling.ts";
export * from "./norm/batchNorm.ts";
export * from "./conv/convolution.ts";
export * from "./loss/crossEntropy.ts";
export * from "./loss/ctcLoss.ts";
export {
  alphaDropout,
  dropout,
  dropout1d,
  dropout2d,
  dropout3d,
  featureAlphaDropout,
} from "./activation/dropout.ts";
export { embedding, oneHot } from "./embedding/embedding.ts";
export * from "./embedding/embeddingBag.ts";
export * from "./conv/fold.ts";
export * from "./vision/gridSample.ts";
export * from "./activation/inPlace.ts";
export * from "./vision/interpolate.ts";
export { bilinear, linear } from "./linear.ts";
export * from "./loss/binaryCrossEntropy.ts";
export * from "./loss/likelihood.ts";
export * from "./loss/linearCrossEntropy.ts";
export * from "./loss/loss.ts";
export * from "./loss/marginLoss.ts";
export * from "./loss/tripletLoss.ts";
export { cosineSimilarity, pairwiseDistance, pdist } from "../../tensor/functions/reduction/distance.ts";
export { multiHeadAttentionForward } from "./attention/multiHeadAttention.ts";
export * from "./norm/normalization.ts";
export * from "./vision/pad.ts";
export {
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
} from "./pooling/pooling.ts";
export { lpPool1d, lpPool2d, lpPool3d } from "./pooling/powerPooling.ts";
export * from "./conv/transposedConvolution.ts";
export * from "./activation/randomActivation.ts";
export * from "./vision/rearranging.ts";
export * from "./activation/softmax.ts";
export * from "./pooling/unpooling.ts";
export * from "./pooling/fractionalPooling.ts";
export * from "./vision/upsample.ts";
