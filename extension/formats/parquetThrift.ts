// Checks a Thrift structure before the library makes objects of it: one byte can become an object of a hundred.
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md

/** Levels of structures, and bytes of a number: 64 bits in groups of seven. */
const MAX_DEPTH = 32;
const MAX_NUMBER = 10;

/**
 * Walks over a structure.
 * @param most Values that it may have, those of lists and inner structures included
 * @throws Error for more values, deeper nesting, numbers beyond 64 bits and bytes that end within it
 */
export function demandThrift(view: DataView, offset: number, most: number): void {
  let at = offset;
  let left = most;

  const varint = (): number => {
    let result = 0;
    for (let i = 0; i < MAX_NUMBER; i++) {
      const byte = view.getUint8(at++);
      // Sizes wrap around as the library's do: both must see the same.
      result |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return result;
    }
    throw new Error("a number of more than 64 bits");
  };

  const skip = (bytes: number): void => {
    if (!(bytes >= 0 && bytes <= view.byteLength - at)) throw new Error("it ends within a value");
    at += bytes;
  };

  const value = (type: number, depth: number): void => {
    if (--left < 0) throw new Error(`more than ${most.toLocaleString("en-US")} values`);
    if (depth > MAX_DEPTH) throw new Error(`structures nested deeper than ${MAX_DEPTH} levels`);
    switch (type) {
      case 1:
      case 2:
        return;
      case 3:
        return skip(1);
      case 4:
      case 5:
      case 6:
        return void varint();
      case 7:
        return skip(8);
      case 8:
        return skip(varint());
      case 9:
        return list(depth);
      case 12:
        return struct(depth);
      default:
        throw new Error(`a value of the unknown type ${type}`);
    }
  };

  const list = (depth: number): void => {
    const header = view.getUint8(at++);
    const type = header & 0x0f;
    const length = header >> 4 === 15 ? varint() : header >> 4;
    // Every element has at least a byte; a boolean in a list, too.
    if (!(length >= 0 && length <= view.byteLength - at)) throw new Error("it ends within a list");
    for (let i = 0; i < length; i++) value(type === 1 || type === 2 ? 3 : type, depth + 1);
  };

  const struct = (depth: number): void => {
    for (;;) {
      const header = view.getUint8(at++);
      if ((header & 0x0f) === 0) return;
      if (header >> 4 === 0) varint();
      value(header & 0x0f, depth + 1);
    }
  };

  struct(0);
}
