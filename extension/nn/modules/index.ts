export * from "./activation.ts";
export * from "./adaptivePooling.ts";
export { MultiheadAttention, NonDynamicallyQuantizableLinear } from "./attention.ts";
export {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
} from "./batchNorm.ts";
export { ModuleList, Sequential } from "./containers.ts";
export { Conv1d, Conv2d, Conv3d } from "./convolution.ts";
export { CTCLoss } from "./ctcLoss.ts";
export { CosineSimilarity, PairwiseDistance } from "./distance.ts";
export * from "./dropout.ts";
export * from "./embedding.ts";
export { Bilinear, Identity, Linear } from "./linear.ts";
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
} from "./loss.ts";
export * from "./marginLoss.ts";
export * from "./normalization.ts";
export * from "./padding.ts";
export { ParameterDict, ModuleDict } from "./dictionaries.ts";
export { ParameterList } from "./parameterContainers.ts";
export * from "./piecewise.ts";
export * from "./pooling.ts";
export { RReLU } from "./randomActivation.ts";
export * from "./rearranging.ts";
export { GRU, LSTM, RNN, type LstmState } from "./recurrent.ts";
export * from "./recurrentCells.ts";
export * from "./shape.ts";
export * from "./softmax.ts";
export { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from "./transposedConvolution.ts";
export * from "./unpooling.ts";
export { Upsample, UpsamplingBilinear2d, UpsamplingNearest2d } from "./upsampling.ts";
export { Transformer, TransformerDecoder, TransformerEncoder } from "./transformer.ts";
export {
  TransformerDecoderLayer,
  TransformerEncoderLayer,
  type Activation,
  type TransformerLayerOptions,
} from "./transformerLayers.ts";
