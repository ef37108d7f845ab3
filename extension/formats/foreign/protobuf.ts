import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** Reads the fields of a message that are asked for, and skips others. @throws Error for bytes that are no message */
export function readFields(
  bytes: Uint8Array,
  fields: Readonly<Record<number, (reader: BinaryReader, type: WireType) => void>>,
): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const read = fields[field];
    if (read === undefined) reader.skip(type, field);
    else read(reader, type);
  }
}

/** Reads numbers that stand alone or packed. */
export function numbers(
  into: number[],
  one: (reader: BinaryReader) => number,
  most = 10_000,
): (reader: BinaryReader, type: WireType) => void {
  return (reader, type) => {
    if (type !== WireType.LengthDelimited) {
      const value = one(reader);
      if (into.length < most) into.push(value);
      return;
    }
    const packed = new BinaryReader(reader.bytes());
    while (packed.pos < packed.len) {
      const value = one(packed);
      if (into.length < most) into.push(value);
    }
  };
}
