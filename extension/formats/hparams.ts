// Messages of TensorBoard's page of hyperparameters.
// https://github.com/tensorflow/tensorboard/tree/master/tensorboard/plugins/hparams: api.proto, plugin_data.proto
import { WireType, type BinaryWriter } from "@bufbuild/protobuf/wire";
import type { HparamsPart, Hyperparameter } from "../nn/utils/tensorboard/events.ts";
import { message, nested } from "./protobufWriter.ts";

const TAGS = { experiment: "experiment", start: "session_start_info", end: "session_end_info" } as const;

export const hparamsTag = ({ kind }: HparamsPart): string => `_hparams_/${TAGS[kind]}`;

/** DATA_TYPE_… by JavaScript's types. */
const DATA_TYPES = { string: 1, boolean: 2, number: 3 } as const;
const STATUS_SUCCESS = 1;

/** The bytes of `HParamsPluginData`. */
export function hparamsContent(part: HparamsPart): Uint8Array {
  return message((w) => {
    if (part.kind === "experiment") nested(w, 2, (experiment) => writeExperiment(experiment, part));
    else if (part.kind === "start")
      nested(w, 3, (start) => {
        for (const [name, value] of Object.entries(part.parameters))
          nested(start, 1, (entry) => {
            entry.tag(1, WireType.LengthDelimited).string(name);
            nested(entry, 2, (one) => writeValue(one, value));
          });
      });
    else nested(w, 4, (end) => end.tag(1, WireType.Varint).int32(STATUS_SUCCESS));
  });
}

function writeExperiment(
  w: BinaryWriter,
  { parameters, domains, metrics }: HparamsPart & { readonly kind: "experiment" },
): void {
  for (const [name, value] of Object.entries(parameters))
    nested(w, 4, (info) => {
      info.tag(1, WireType.LengthDelimited).string(name);
      info.tag(4, WireType.Varint).int32(DATA_TYPES[typeof value as keyof typeof DATA_TYPES]);
      const domain = domains[name];
      if (domain !== undefined)
        nested(info, 5, (list) => {
          for (const one of domain) nested(list, 1, (item) => writeValue(item, one));
        });
    });
  for (const metric of metrics)
    nested(w, 5, (info) => nested(info, 1, (name) => name.tag(2, WireType.LengthDelimited).string(metric)));
}

/** A `google.protobuf.Value`. */
function writeValue(w: BinaryWriter, value: Hyperparameter): void {
  if (typeof value === "number") w.tag(2, WireType.Bit64).double(value);
  else if (typeof value === "string") w.tag(3, WireType.LengthDelimited).string(value);
  else w.tag(4, WireType.Varint).bool(value);
}
