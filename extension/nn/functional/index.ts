// PyTorch's torch.nn.functional, the `F` that users import.
export * from "./activation.ts";
export { scaledDotProductAttention } from "./attention.ts";
export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
} from "./averagePooling.ts";
export { batchNorm, instanceNorm } from "./batchNorm.ts";
export { conv1d, conv2d, conv3d } from "./convolution.ts";
export { crossEntropy, nllLoss } from "./crossEntropy.ts";
export { ctcLoss } from "./ctcLoss.ts";
export { alphaDropout, dropout, dropout1d, dropout2d, dropout3d, featureAlphaDropout } from "./dropout.ts";
export { embedding, oneHot } from "./embedding.ts";
export { embeddingBag } from "./embeddingBag.ts";
export { fold, unfold } from "./fold.ts";
export { affineGrid, gridSample } from "./gridSample.ts";
export { celu_, elu_, hardtanh_, leakyRelu_, relu_, rrelu_, selu_, threshold_ } from "./inPlace.ts";
export { interpolate } from "./interpolate.ts";
export { bilinear, linear } from "./linear.ts";
export { binaryCrossEntropy, binaryCrossEntropyWithLogits } from "./binaryCrossEntropy.ts";
export { gaussianNllLoss, klDiv, poissonNllLoss } from "./likelihood.ts";
export { huberLoss, l1Loss, mseLoss, smoothL1Loss } from "./loss.ts";
export {
  cosineEmbeddingLoss,
  hingeEmbeddingLoss,
  marginRankingLoss,
  multilabelMarginLoss,
  multilabelSoftMarginLoss,
  multiMarginLoss,
  softMarginLoss,
} from "./marginLoss.ts";
export { tripletMarginLoss, tripletMarginWithDistanceLoss } from "./tripletLoss.ts";
export { cosineSimilarity, pairwiseDistance, pdist } from "../../tensor/functions/distance.ts";
export { multiHeadAttentionForward } from "./multiHeadAttention.ts";
export { groupNorm, layerNorm, localResponseNorm, normalize, rmsNorm } from "./normalization.ts";
export { pad } from "./pad.ts";
export {
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
} from "./pooling.ts";
export { lpPool1d, lpPool2d, lpPool3d } from "./powerPooling.ts";
export { convTranspose1d, convTranspose2d, convTranspose3d } from "./transposedConvolution.ts";
export { gumbelSoftmax, rrelu } from "./randomActivation.ts";
export { channelShuffle, pixelShuffle, pixelUnshuffle } from "./rearranging.ts";
export { logSoftmax, softmax, softmin } from "./softmax.ts";
export { maxUnpool1d, maxUnpool2d, maxUnpool3d } from "./unpooling.ts";
