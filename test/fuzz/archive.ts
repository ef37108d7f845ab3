import { crc32, deflateRawSync } from "node:zlib";

/** A file around a pickle, as PyTorch lays it out; a pickle without a PROTO gets one. */
export function craft(
  pickle: string | Uint8Array,
  storages: Record<string, Uint8Array> = {},
  { deflate = false, extra = "", root = "a" } = {},
): Buffer {
  const body = typeof pickle === "string" ? Buffer.from(pickle, "latin1") : pickle;
  const files: [string, Uint8Array][] = [
    [`${root}/data.pkl`, Buffer.concat([Uint8Array.of(0x80, 2), body])],
    [`${root}/version`, Buffer.from("3\n")],
    ...Object.entries(storages).map(([key, bytes]): [string, Uint8Array] => [`${root}/data/${key}`, bytes]),
  ];
  if (extra !== "") files.unshift([`${root}/${extra}`, Buffer.from("x")]);
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, content] of files) {
    const stored = deflate ? deflateRawSync(content) : content;
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(deflate ? 8 : 0, 8);
    head.writeUInt32LE(crc32(content), 14);
    head.writeUInt32LE(stored.length, 18);
    head.writeUInt32LE(content.length, 22);
    head.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    head.copy(central, 10, 8, 26);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(at, 42);
    parts.push(head, Buffer.from(name), Buffer.from(stored));
    directory.push(central, Buffer.from(name));
    at += 30 + name.length + stored.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}
