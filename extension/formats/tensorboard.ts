// TensorBoard's event files: records of protobuf messages, each with its length and checksums, appended one by one.
// https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto
import { WireType, type BinaryWriter } from "@bufbuild/protobuf/wire";
import type {
  EventHistogram,
  EventImage,
  SummaryEvent,
  SummaryValue,
} from "../nn/utils/tensorboard/events.ts";
import { hparamsContent, hparamsTag } from "./hparams.ts";
import { pngOf } from "./images/png.ts";
import { message, nested } from "./protobufWriter.ts";

/** The record that every event file begins with. */
export function fileVersion(wallTime: number): Uint8Array {
  return record(
    message((w) => {
      w.tag(1, WireType.Bit64).double(wallTime);
      w.tag(3, WireType.LengthDelimited).string("brain.Event:2");
    }),
  );
}

/** The record of an event, to be appended to a file. */
export function eventRecord({ wallTime, step, values = [], hparams, restart }: SummaryEvent): Uint8Array {
  return record(
    message((w) => {
      w.tag(1, WireType.Bit64).double(wallTime);
      if (step !== undefined) w.tag(2, WireType.Varint).int64(step);
      if (values.length > 0 || hparams !== undefined) {
        nested(w, 5, (summary) => {
          for (const value of values) nested(summary, 1, (one) => summaryValue(one, value));
          if (hparams !== undefined)
            nested(summary, 1, (one) => {
              one.tag(1, WireType.LengthDelimited).string(hparamsTag(hparams));
              plugin(one, "hparams", hparamsContent(hparams));
            });
        });
      }
      // SessionLog.START, as PyTorch's SummaryWriter writes it for `purge_step`.
      if (restart === true) nested(w, 7, (log) => log.tag(1, WireType.Varint).int32(1));
    }),
  );
}

const DT_FLOAT = 1;
const DT_DOUBLE = 2;
const DT_STRING = 7;

function summaryValue(w: BinaryWriter, value: SummaryValue): void {
  w.tag(1, WireType.LengthDelimited).string("text" in value ? `${value.tag}/text_summary` : value.tag);
  if ("text" in value) text(w, value.text);
  else if ("histogram" in value) nested(w, 5, (one) => histogram(one, value.histogram));
  else if ("image" in value) nested(w, 4, (one) => image(one, value.image));
  else if (value.style === undefined) w.tag(2, WireType.Bit32).float(value.scalar);
  else scalarTensor(w, value.scalar, value.style);
}

/** A scalar as TensorFlow 2 writes it. */
function scalarTensor(w: BinaryWriter, scalar: number, style: "float" | "double"): void {
  nested(w, 8, (tensor) => {
    tensor.tag(1, WireType.Varint).int32(style === "float" ? DT_FLOAT : DT_DOUBLE);
    if (style === "float") nested(tensor, 5, (packed) => packed.float(scalar));
    else nested(tensor, 6, (packed) => packed.double(scalar));
  });
  plugin(w, "scalars");
}

function text(w: BinaryWriter, value: string): void {
  nested(w, 8, (tensor) => {
    tensor.tag(1, WireType.Varint).int32(DT_STRING);
    nested(tensor, 2, (shape) => nested(shape, 2, (size) => size.tag(1, WireType.Varint).int64(1)));
    tensor.tag(8, WireType.LengthDelimited).string(value);
  });
  plugin(w, "text");
}

function histogram(
  w: BinaryWriter,
  { min, max, num, sum, sumSquares, limits, counts }: EventHistogram,
): void {
  for (const [i, value] of [min, max, num, sum, sumSquares].entries())
    w.tag(i + 1, WireType.Bit64).double(value);
  for (const [field, values] of [
    [6, limits],
    [7, counts],
  ] as const)
    nested(w, field, (packed) => {
      for (const value of values) packed.double(value);
    });
}

function image(w: BinaryWriter, one: EventImage): void {
  for (const [i, size] of [one.height, one.width, one.channels].entries())
    w.tag(i + 1, WireType.Varint).int32(size);
  w.tag(4, WireType.LengthDelimited).bytes(pngOf(one));
}

/** The plugin of TensorBoard that shows a value. */
function plugin(w: BinaryWriter, name: string, content?: Uint8Array): void {
  nested(w, 9, (metadata) =>
    nested(metadata, 1, (data) => {
      data.tag(1, WireType.LengthDelimited).string(name);
      if (content !== undefined) data.tag(2, WireType.LengthDelimited).bytes(content);
    }),
  );
}

/** A TFRecord: length, checksum of the length, data, checksum of the data. */
export function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return bytes;
}

/** CRC-32C by bytes: Castagnoli's polynomial 0x1EDC6F41, reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** A CRC-32C rotated by 15 bits plus a constant: a checksum of data that has checksums in it stays a good one. */
export function maskedCrc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  crc = (crc ^ 0xffffffff) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
