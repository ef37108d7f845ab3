// PyTorch's torch.nn.functional, the `F` that users import.
export * from "./activation/activation.ts";
export { scaledDotProductAttention } from "./attention/attention.ts";
export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
} from "./pooling/averagePooling.ts";
export { batchNorm, instanceNorm } from "./norm/batchNorm.ts";
export { conv1d, conv2d, conv3d } from "./conv/convolution.ts";
export { crossEntropy, nllLoss } from "./loss/crossEntropy.ts";
export { ctcLoss } from "./loss/ctcLoss.ts";
export {
  alphaDropout,
  dropout,
  dropout1d,
  dropout2d,
  dropout3d,
  featureAlphaDropout,
} from "./activation/dropout.ts";
export { embedding, oneHot } from "./embedding/embedding.ts";
export { embeddingBag } from "./embedding/embeddingBag.ts";
export { fold, unfold } from "./conv/fold.ts";
export { affineGrid, gridSample } from "./vision/gridSample.ts";
export {
  celu_,
  elu_,
  hardtanh_,
  leakyRelu_,
  relu_,
  rrelu_,
  selu_,
  threshold_,
} from "./activation/inPlace.ts";
export { interpolate } from "./vision/interpolate.ts";
export { bilinear, linear } from "./linear.ts";
export { binaryCrossEntropy, binaryCrossEntropyWithLogits } from "./loss/binaryCrossEntropy.ts";
export { gaussianNllLoss, klDiv, poissonNllLoss } from "./loss/likelihood.ts";
export { huberLoss, l1Loss, mseLoss, smoothL1Loss } from "./loss/loss.ts";
export {
  cosineEmbeddingLoss,
  hingeEmbeddingLoss,
  marginRankingLoss,
  multilabelMarginLoss,
  multilabelSoftMarginLoss,
  multiMarginLoss,
  softMarginLoss,
} from "./loss/marginLoss.ts";
export { tripletMarginLoss, tripletMarginWithDistanceLoss } from "./loss/tripletLoss.ts";
export { cosineSimilarity, pairwiseDistance, pdist } from "../../tensor/functions/reduction/distance.ts";
export { multiHeadAttentionForward } from "./attention/multiHeadAttention.ts";
export { groupNorm, layerNorm, localResponseNorm, normalize, rmsNorm } from "./norm/normalization.ts";
export { pad } from "./vision/pad.ts";
export {
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
} from "./pooling/pooling.ts";
export { lpPool1d, lpPool2d, lpPool3d } from "./pooling/powerPooling.ts";
export { convTranspose1d, convTranspose2d, convTranspose3d } from "./conv/transposedConvolution.ts";
export { gumbelSoftmax, rrelu } from "./activation/randomActivation.ts";
export { channelShuffle, pixelShuffle, pixelUnshuffle } from "./vision/rearranging.ts";
export { logSoftmax, softmax, softmin } from "./activation/softmax.ts";
export { maxUnpool1d, maxUnpool2d, maxUnpool3d } from "./pooling/unpooling.ts";
