import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** The bytes of a message. */
export function message(write: (w: BinaryWriter) => void): Uint8Array {
  const w = new BinaryWriter();
  write(w);
  return w.finish();
}

/** Writes a message, or packed numbers, as a field. */
export function nested(w: BinaryWriter, field: number, write: (w: BinaryWriter) => void): void {
  w.tag(field, WireType.LengthDelimited).fork();
  write(w);
  w.join();
}
