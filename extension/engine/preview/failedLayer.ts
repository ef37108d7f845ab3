import type { FailedLayer } from "../../protocol/errors.ts";
import type { Module } from "../../nn/module/module.ts";
import * as nn from "../../nn/nn.ts";
import type { DType } from "../../tensor/core/dtype.ts";
import { formatShape, type Shape } from "../../tensor/core/shape.ts";
import { tensorsIn } from "../../nn/summary/layerInfo.ts";
import { isOurs, type OpenCall } from "./callSites.ts";
import { positionOf } from "./modelSummary.ts";

/** An option of a layer that sets the length of one dimension of its input. */
interface Sized {
  readonly types: readonly (abstract new (...args: never[]) => Module)[];
  /** The layer's property, PyTorch's name of it, and its place among the arguments. */
  readonly property: string;
  readonly option: string;
  readonly argument: number;
  /** The input's length along the option's dimension; undefined if the input's rank is wrong too. */
  size(shape: Shape): number | undefined;
}

const last = (shape: Shape): number | undefined => shape.at(-1);
/** Channels are the dimension before the `dims` spatial ones. */
const channels =
  (dims: number) =>
  (shape: Shape): number | undefined =>
    shape.length === dims + 1 || shape.length === dims + 2 ? shape.at(-dims - 1) : undefined;
/** Channels of an input that has its batch. */
const second =
  (...ranks: readonly number[]) =>
  (shape: Shape): number | undefined =>
    ranks.includes(shape.length) ? shape[1] : undefined;

const inChannels = { property: "inChannels", option: "in_channels", argument: 0 };
const numFeatures = { property: "numFeatures", option: "num_features", argument: 0 };
const inputSize = { property: "inputSize", option: "input_size", argument: 0, size: last };

const SIZED: readonly Sized[] = [
  { types: [nn.Linear], property: "inFeatures", option: "in_features", argument: 0, size: last },
  { types: [nn.Conv1d, nn.ConvTranspose1d], ...inChannels, size: channels(1) },
  { types: [nn.Conv2d, nn.ConvTranspose2d], ...inChannels, size: channels(2) },
  { types: [nn.Conv3d, nn.ConvTranspose3d], ...inChannels, size: channels(3) },
  { types: [nn.BatchNorm1d], ...numFeatures, size: second(2, 3) },
  { types: [nn.BatchNorm2d], ...numFeatures, size: second(4) },
  { types: [nn.BatchNorm3d], ...numFeatures, size: second(5) },
  { types: [nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell], ...inputSize },
];

/** Describes a layer whose call failed for the editor, with a possible fix. */
export function describeFailedLayer({ module, input }: OpenCall, code: string): FailedLayer {
  const shapes = tensorsIn(input).map(({ shape }) => shape);
  const position = positionOf(module);
  const fix = fixOf(module, shapes[0]);
  const cast = code === "dtype" ? castOf(module, tensorsIn(input)[0]?.dtype) : undefined;
  return {
    className: module.constructor.name,
    detail: module.extraRepr(),
    inputs: shapes.map((shape) => formatShape(shape)),
    ...(position === undefined ? {} : { position }),
    ...(fix === undefined ? {} : { fix }),
    ...(cast === undefined ? {} : { cast }),
  };
}

function fixOf(module: Module, shape: Shape | undefined): FailedLayer["fix"] {
  // A class that extends a layer has arguments of its own.
  const sized = SIZED.find(({ types }) => types.some((type) => module.constructor === type));
  const value = shape === undefined ? undefined : sized?.size(shape);
  if (sized === undefined || value === undefined) return undefined;
  const groups: unknown = Reflect.get(module, "groups");
  if (typeof groups === "number" && value % groups !== 0) return undefined;
  if (Reflect.get(module, sized.property) === value) return undefined;
  return { option: sized.option, argument: sized.argument, value };
}

/** Layers of the library compute with floats, but for those that look up indices. */
function castOf(module: Module, dtype: DType | undefined): FailedLayer["cast"] {
  if (dtype === undefined || !isOurs(module)) return undefined;
  const wanted = module instanceof nn.Embedding || module instanceof nn.EmbeddingBag ? "int64" : "float32";
  return dtype === wanted ? undefined : wanted;
}
