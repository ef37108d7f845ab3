// Arguments that a caller passes on from optional parameters of its own: options, an option or a place may be undefined.
import { torch, nn, F, optim, data, transforms, distributions, type Tensor } from "layerwise";

declare const x: Tensor;
declare const slope: number | undefined;
declare const flag: boolean | undefined;
declare const model: nn.Linear;
declare const sgd: optim.SGD;
declare const set: data.TensorDataset;

/** An object of options, or none. */
type Maybe<T> = T | undefined;

export function layers(
  leaky: Maybe<{ negativeSlope?: number; inplace?: boolean }>,
  padding: Maybe<{ padding?: number; bias?: boolean }>,
  norm: Maybe<{ eps?: number; affine?: boolean }>,
  pooling: Maybe<{ stride?: number; ceilMode?: boolean }>,
  loss: Maybe<{ reduction?: "sum" | "mean" | "none" }>,
): nn.Module[] {
  return [
    new nn.LeakyReLU(leaky),
    new nn.LeakyReLU(slope),
    new nn.LeakyReLU(slope, flag),
    new nn.LeakyReLU(slope, { inplace: flag }),
    new nn.LeakyReLU({ negativeSlope: slope }),
    new nn.ELU(slope, flag),
    new nn.ReLU(flag),
    new nn.ReLU({ inplace: flag }),
    new nn.Dropout(slope, flag),
    new nn.Softmax(slope),
    new nn.Linear(2, 3, flag),
    new nn.Linear(2, 3, { bias: flag }),
    new nn.Conv2d(1, 2, 3, padding),
    new nn.Conv2d(1, 2, 3, slope, { bias: flag }),
    new nn.ConvTranspose1d(1, 2, 3, padding),
    new nn.BatchNorm2d(3, norm),
    new nn.BatchNorm2d(3, slope),
    new nn.SyncBatchNorm(3, { eps: slope }),
    new nn.LayerNorm(3, slope, flag),
    new nn.GroupNorm(1, 3, { affine: flag }),
    new nn.MaxPool2d(3, pooling),
    new nn.MaxPool2d(3, 2, 1, undefined, flag, flag),
    new nn.AvgPool2d(2, undefined, undefined, undefined, flag, slope),
    new nn.AdaptiveMaxPool1d(2, flag),
    new nn.Embedding(5, 3, { paddingIdx: slope }),
    new nn.EmbeddingBag(5, 3, undefined, undefined, undefined, "sum", undefined, undefined, flag),
    new nn.LSTM(2, 3, slope, { bidirectional: flag }),
    new nn.MultiheadAttention(4, 2, slope),
    new nn.TransformerEncoderLayer(4, 2, { dropout: slope }),
    new nn.Upsample({ scaleFactor: 2, alignCorners: flag }),
    new nn.MSELoss(loss),
    new nn.CrossEntropyLoss(loss),
    new nn.CrossEntropyLoss({ labelSmoothing: slope }),
    new nn.GaussianNLLLoss({ full: flag, eps: slope }),
    new nn.TripletMarginWithDistanceLoss({ margin: slope }),
    new nn.CosineSimilarity(loss === undefined ? undefined : { dim: 1 }),
  ];
}

export function functions(
  dim: number | undefined,
  options: Maybe<{ dim?: number; keepdim?: boolean }>,
  named: Maybe<{ alpha?: number }>,
): Tensor[] {
  return [
    F.leakyRelu(x, slope, flag),
    F.leakyRelu(x, { negativeSlope: slope }),
    F.celu(x, named),
    F.dropout(x, slope, flag),
    F.maxPool2d(x, 2, dim),
    F.avgPool2d(x, 2, { stride: dim }),
    F.crossEntropy(x, x, { labelSmoothing: slope }),
    F.interpolate(x, { scaleFactor: 2, alignCorners: flag }),
    torch.sum(x, dim),
    torch.sum(x, options),
    torch.cat([x, x], options),
    torch.stack([x, x], dim),
    torch.add(x, x, named),
    torch.clamp(x, slope, slope),
    torch.argmax(x, options),
    torch.argsort(x, { descending: flag }),
    torch.searchsorted(x, x, { right: flag }),
    torch.segmentReduce(x, "sum", { lengths: x, initial: slope }),
    torch.fft.fft(x, dim),
    torch.fft.fft(x, options),
    torch.linalg.norm(x, { keepdim: flag }),
    x.sum(options),
    x.mean(dim, flag),
    x.flatten(dim),
    x.softmax(1),
  ];
}

export function trainings(
  settings: Maybe<{ lr?: number; momentum?: number }>,
  loading: Maybe<{ batchSize?: number; shuffle?: boolean }>,
  schedule: Maybe<{ gamma?: number }>,
): unknown[] {
  return [
    new optim.SGD(model.parameters(), settings),
    new optim.SGD(model.parameters(), slope, slope),
    new optim.Adam(model.parameters(), { lr: slope, amsgrad: flag }),
    new optim.lrScheduler.StepLR(sgd, 2, schedule),
    new optim.lrScheduler.MultiStepLR(sgd, [1], slope),
    new optim.lrScheduler.LambdaLR(sgd, (epoch) => epoch, slope),
    new optim.lrScheduler.CyclicLR(sgd, 0.1, 0.2, slope, slope, "triangular2", slope),
    new optim.lrScheduler.OneCycleLR(sgd, 0.2, slope, undefined, undefined, 0.3, "cos", flag, slope),
    new optim.lrScheduler.SequentialLR(sgd, [], [], slope),
    new optim.swaUtils.SWALR(sgd, 0.1, slope, "linear"),
    new data.DataLoader(set, loading),
    new data.DataLoader(set, 4, flag),
    new transforms.RandomHorizontalFlip(slope),
    new distributions.Normal(0, 1, { validateArgs: flag }),
  ];
}

// @ts-expect-error -- no such option, though it may be undefined
void new nn.LeakyReLU(flag === true ? { slope: 1 } : undefined);
// @ts-expect-error -- outFeatures is required
void new nn.Linear(2, slope);
