// TensorBoard's event files: records of protobuf messages, each with its length and checksums, appended one by one.
// https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** One event: values at a step, a text, or that what was written for later steps is to be forgotten. */
export interface TensorBoardEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  /** Optimizer steps done. */
  readonly step: number;
  readonly scalars?: Readonly<Record<string, number>>;
  /** Markdown by tag. */
  readonly texts?: Readonly<Record<string, string>>;
  /** The training resumes at this step: later steps in this file, or those before it, are void. */
  readonly restart?: boolean;
}

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
export function eventRecord({ wallTime, step, scalars, texts, restart }: TensorBoardEvent): Uint8Array {
  return record(
    message((w) => {
      w.tag(1, WireType.Bit64).double(wallTime);
      w.tag(2, WireType.Varint).int64(step);
      if (scalars !== undefined || texts !== undefined) {
        nested(w, 5, (summary) => {
          for (const [tag, value] of Object.entries(scalars ?? {})) scalar(summary, tag, value);
          for (const [tag, value] of Object.entries(texts ?? {})) text(summary, tag, value);
        });
      }
      // SessionLog.START, as PyTorch's SummaryWriter writes it for `purge_step`.
      if (restart === true) nested(w, 7, (log) => log.tag(1, WireType.Varint).int32(1));
    }),
  );
}

function scalar(summary: BinaryWriter, tag: string, value: number): void {
  nested(summary, 1, (one) => {
    one.tag(1, WireType.LengthDelimited).string(tag);
    one.tag(2, WireType.Bit32).float(value);
  });
}

const DT_STRING = 7;

function text(summary: BinaryWriter, tag: string, value: string): void {
  nested(summary, 1, (one) => {
    one.tag(1, WireType.LengthDelimited).string(`${tag}/text_summary`);
    nested(one, 8, (tensor) => {
      tensor.tag(1, WireType.Varint).int32(DT_STRING);
      nested(tensor, 2, (shape) => nested(shape, 2, (size) => size.tag(1, WireType.Varint).int64(1)));
      tensor.tag(8, WireType.LengthDelimited).string(value);
    });
    nested(one, 9, (metadata) => {
      nested(metadata, 1, (plugin) => plugin.tag(1, WireType.LengthDelimited).string("text"));
    });
  });
}

function message(write: (w: BinaryWriter) => void): Uint8Array {
  const w = new BinaryWriter();
  write(w);
  return w.finish();
}

function nested(w: BinaryWriter, field: number, write: (w: BinaryWriter) => void): void {
  w.tag(field, WireType.LengthDelimited).fork();
  write(w);
  w.join();
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
