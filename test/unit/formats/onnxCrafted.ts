// ONNX files put together field by field, valid or not.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

type Bytes = Uint8Array;

export const join = (...parts: readonly Bytes[]): Bytes => new Uint8Array(Buffer.concat(parts));

export const int = (field: number, value: number | bigint): Bytes =>
  new BinaryWriter().tag(field, WireType.Varint).int64(value).finish();

export const text = (field: number, value: string): Bytes =>
  new BinaryWriter().tag(field, WireType.LengthDelimited).string(value).finish();

export const message = (field: number, ...content: readonly Bytes[]): Bytes =>
  new BinaryWriter()
    .tag(field, WireType.LengthDelimited)
    .bytes(join(...content))
    .finish();

/** The beginning of a field of this length, whose content is elsewhere. */
export const head = (field: number, length: number): Bytes =>
  new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(length).finish();

export const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  ...more: readonly Bytes[]
): Bytes =>
  message(
    1,
    ...inputs.map((one) => text(1, one)),
    ...outputs.map((one) => text(2, one)),
    text(4, op),
    ...more,
  );

/** A TensorProto's name, shape and type; its elements follow. */
export const tensor = (
  name: string,
  type: number,
  shape: readonly number[],
  ...data: readonly Bytes[]
): Bytes => join(...shape.map((size) => int(1, size)), int(2, type), text(8, name), ...data);

export const model = (...graph: readonly Bytes[]): Bytes =>
  join(int(1, 8), message(7, ...graph), message(8, text(1, ""), int(2, 17)));

/** External data's entries. */
export const external = (entries: Readonly<Record<string, string>>): Bytes =>
  join(
    ...Object.entries(entries).map(([key, value]) => message(13, text(1, key), text(2, value))),
    int(14, 1),
  );
