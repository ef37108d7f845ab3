// Models that are exported in every format: a call of each is compared with what its file computes.
import { F, nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import type { Module } from "../../../extension/nn/module/module.ts";
import { Autoencoder } from "../../../media/examples/autoencoder.nn.ts";
import { DigitsCNN } from "../../../media/examples/digits.nn.ts";
import { CNN } from "../../../media/examples/fashion.nn.ts";
import { Discriminator, Generator } from "../../../media/examples/gan.nn.ts";
import { IrisNet } from "../../../media/examples/iris.nn.ts";
import { NameLSTM } from "../../../media/examples/names.nn.ts";
import { SimpleNN } from "../../../media/examples/simplenn.nn.ts";
import { TemperatureRNN } from "../../../media/examples/temperature.nn.ts";
import { SentenceEncoder } from "../../../media/examples/transformer.nn.ts";

/** Arguments for a batch of a size. */
export type Inputs = (batch: number) => Tensor[];
export type Case = readonly [name: string, make: () => Module, inputs: Inputs];

const image =
  (channels: number, height: number, width = height): Inputs =>
  (n) => [torch.randn(n, channels, height, width)];
const rows =
  (...shape: number[]): Inputs =>
  (n) => [torch.randn(n, ...shape)];
const tokens =
  (count: number, length: number): Inputs =>
  (n) => [torch.randint(0, count, [n, length])];

/** A module of one function. */
export class Lambda extends nn.Module {
  readonly f: (...inputs: Tensor[]) => unknown;
  constructor(f: (...inputs: Tensor[]) => unknown) {
    super();
    this.f = f;
  }
  forward(...inputs: Tensor[]): unknown {
    return this.f(...inputs);
  }
}

export const NETWORKS: readonly Case[] = [
  ["simplenn", () => new SimpleNN(10, 5, 2), rows(10)],
  ["iris", () => new IrisNet(), rows(4)],
  ["digits", () => new DigitsCNN(), image(1, 8)],
  ["fashion", () => new CNN(), image(1, 28)],
  ["autoencoder", () => new Autoencoder(), rows(64)],
  ["GAN's generator", () => new Generator(), rows(32)],
  ["GAN's discriminator", () => new Discriminator(), image(1, 8)],
  ["names", () => new NameLSTM(), tokens(20, 7)],
  ["temperature", () => new TemperatureRNN(), rows(14, 4)],
  ["transformer", () => new SentenceEncoder(), tokens(50, 40)],
];

const BERT = {
  vocabSize: 40,
  hiddenSize: 16,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  intermediateSize: 32,
};

export const LANGUAGE: Case = ["BERT", () => new nn.BertModel(BERT), tokens(40, 7)];

const attention = new nn.MultiheadAttention(8, 2, { batchFirst: true });

export const LAYERS: readonly Case[] = [
  ["Conv1d", () => new nn.Conv1d(3, 4, 3, { padding: 1, stride: 2 }), rows(3, 9)],
  ["Conv2d with groups and dilation", () => new nn.Conv2d(4, 6, 3, { groups: 2, dilation: 2 }), image(4, 9)],
  ["Conv3d", () => new nn.Conv3d(2, 3, 2, { padding: 1 }), rows(2, 4, 5, 6)],
  [
    "ConvTranspose2d",
    () => new nn.ConvTranspose2d(3, 4, 3, { stride: 2, padding: 1, outputPadding: 1 }),
    image(3, 5),
  ],
  ["MaxPool2d", () => new nn.MaxPool2d(3, { stride: 2, padding: 1, ceilMode: true }), image(2, 8)],
  ["AvgPool2d", () => new nn.AvgPool2d(2), image(2, 8)],
  ["AdaptiveAvgPool2d", () => new nn.AdaptiveAvgPool2d(3), image(2, 7)],
  ["BatchNorm2d", () => new nn.BatchNorm2d(3), image(3, 5)],
  [
    "BatchNorm1d without running statistics",
    () => new nn.BatchNorm1d(4, { trackRunningStats: false }),
    rows(4),
  ],
  ["LayerNorm", () => new nn.LayerNorm(6), rows(5, 6)],
  ["GroupNorm", () => new nn.GroupNorm(2, 4), image(4, 5)],
  ["InstanceNorm2d", () => new nn.InstanceNorm2d(3), image(3, 5)],
  ["RNN with relu", () => new nn.RNN(4, 3, { batchFirst: true, nonlinearity: "relu" }), rows(5, 4)],
  [
    "GRU, two layers, both directions",
    () => new nn.GRU(4, 3, { numLayers: 2, bidirectional: true, batchFirst: true }),
    rows(5, 4),
  ],
  [
    "LSTM, two layers, both directions",
    () => new nn.LSTM(4, 3, { numLayers: 2, bidirectional: true, batchFirst: true }),
    rows(5, 4),
  ],
  ["MultiheadAttention", () => new Lambda((x) => attention.forward(x, x, x)[0]), rows(5, 8)],
  [
    "TransformerEncoderLayer",
    () => new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true, activation: "gelu" }),
    rows(5, 8),
  ],
  ["Upsample", () => new nn.Upsample({ scaleFactor: 2, mode: "nearest" }), image(2, 4)],
  ["PixelShuffle", () => new nn.PixelShuffle(2), image(8, 3)],
  ["Flatten and Softmax", () => new nn.Sequential(new nn.Flatten(), new nn.Softmax(1)), image(2, 3)],
];

export const ACTIVATIONS: readonly Case[] = [
  nn.ELU,
  nn.GELU,
  nn.SiLU,
  nn.Mish,
  nn.Hardswish,
  nn.LeakyReLU,
  nn.Softplus,
  nn.SELU,
  nn.Hardtanh,
  nn.Softsign,
  nn.LogSigmoid,
].map((Activation) => [Activation.name, () => new Activation(), rows(9)]);

const some = (x: Tensor): unknown => [
  x.floor().remainder(3),
  x.mul(3).floor().div(2, { roundingMode: "floor" }),
  x.log1p().exp().sub(x.pow(2)),
  x.gt(0.5).float().mul(x).sinc(),
  x.gt(0.5).logicalAnd(x.lt(0.8)).any(1),
  x.argmax(1),
  x.topk(2)[0],
  x.cumsum(1),
  x.flip(1),
  x.narrow(1, 1, 2).clamp(0.2, 0.7),
  torch.cat([x, x.neg()], 1),
  torch.where(x.gt(0.5), x, x.sign()),
  x.var(1),
  x.norm(),
  F.oneHot(x.mul(3).floor().long(), 3),
  x.expand(2, -1, -1).sum([0, 2]),
  F.pad(x, [1, 2]),
  x.prod(1),
  torch.zeros(x.size(0), 2).add(x.mean()),
];

export const FUNCTIONS: Case = [
  "functions of tensors",
  () => new Lambda((x) => some(x)),
  (n) => [torch.rand(n, 4)],
];
