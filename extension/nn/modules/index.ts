export * from "./activation/activation.ts";
export * from "./pooling/adaptivePooling.ts";
export { MultiheadAttention, NonDynamicallyQuantizableLinear } from "./attention/attention.ts";
export {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
} from "./norm/batchNorm.ts";
export { ModuleList, Sequential } from "./containers/containers.ts";
export { Conv1d, Conv2d, Conv3d } from "./conv/convolution.ts";
export { CTCLoss } from "./loss/ctcLoss.ts";
export { CosineSimilarity, PairwiseDistance } from "./loss/distance.ts";
export { DataParallel } from "./dataParallel.ts";
export * from "./dropout.ts";
export * from "./embedding.ts";
export * from "./lazy/lazyConv.ts";
export { LazyLinear } from "./lazy/lazyLinear.ts";
export * from "./lazy/lazyNorm.ts";
export { Bilinear, Identity, Linear } from "./linear.ts";
export { LinearCrossEntropyLoss } from "./loss/linearCrossEntropyLoss.ts";
export {
  BCELoss,
  BCEWithLogitsLoss,
  CrossEntropyLoss,
  GaussianNLLLoss,
  HuberLoss,
  KLDivLoss,
  L1Loss,
  MSELoss,
  NLLLoss,
  PoissonNLLLoss,
  SmoothL1Loss,
} from "./loss/loss.ts";
export * from "./loss/marginLoss.ts";
export * from "./norm/normalization.ts";
export { SyncBatchNorm } from "./norm/syncBatchNorm.ts";
export * from "./vision/padding.ts";
export { ParameterDict, ModuleDict } from "./containers/dictionaries.ts";
export { ParameterList } from "./containers/parameterContainers.ts";
export * from "./activation/piecewise.ts";
export * from "./pooling/pooling.ts";
export * from "./pooling/fractionalPooling.ts";
export { AdaptiveLogSoftmaxWithLoss } from "./adaptiveSoftmax.ts";
export { RReLU } from "./activation/randomActivation.ts";
export * from "./vision/rearranging.ts";
export { GRU, LSTM, RNN, type LstmState } from "./recurrent/recurrent.ts";
export * from "./recurrent/recurrentCells.ts";
export * from "./vision/shape.ts";
export * from "./activation/softmax.ts";
export { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from "./conv/transposedConvolution.ts";
export * from "./pooling/unpooling.ts";
export { Upsample, UpsamplingBilinear2d, UpsamplingNearest2d } from "./vision/upsampling.ts";
export { Transformer, TransformerDecoder, TransformerEncoder } from "./attention/transformer.ts";
export {
  TransformerDecoderLayer,
  TransformerEncoderLayer,
  type Activation,
  type TransformerLayerOptions,
} from "./attention/transformerLayers.ts";
