// Changes of valid files, drawn with a seed.
import { crc32 } from "node:zlib";

/** Numbers from 0 on, below a limit, by a seed (mulberry32). */
export class Draws {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

/** Numbers at the edges of what fields hold. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Bytes with one to six changes. */
export function mutated(draws: Draws, file: Buffer): Buffer {
  let bytes = Buffer.from(file);
  for (let i = 1 + draws.below(6); i > 0; i--) bytes = changed(draws, bytes);
  return bytes;
}

function changed(draws: Draws, bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  if (bytes.length === 0) return Buffer.from([draws.below(256)]);
  const at = draws.below(bytes.length);
  const end = Math.min(bytes.length, at + 1 + draws.below(16));
  switch (draws.below(8)) {
    case 0:
    case 1:
      bytes[at] = draws.below(256);
      return bytes;
    case 2:
      bytes[at]! ^= 1 << draws.below(8);
      return bytes;
    case 3:
      if (at + 4 <= bytes.length) {
        if (draws.below(2) === 0) bytes.writeUInt32LE(draws.pick(EDGES), at);
        else bytes.writeUInt32BE(draws.pick(EDGES), at);
      }
      return bytes;
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 5:
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.alloc(end - at, draws.below(256)),
        bytes.subarray(at),
      ]);
    case 6:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    default: {
      const other = draws.below(bytes.length);
      [bytes[at], bytes[other]] = [bytes[other]!, bytes[at]!];
      return bytes;
    }
  }
}

const OPERATIONS = [
  "N", "\x88", "\x89", "J\xff\xff\xff\x7f", "K\x01", "M\x02\0", "G?\xf0\0\0\0\0\0\0", "\x8a\x01\x05", "X\x01\0\0\0a",
  "U\x01b", "(", ")", "\x85", "\x86", "\x87", "t", "]", "a", "e", "}", "\x8f", "s", "u", "q\0", "q\x01", "r\0\0\0\x80",
  "h\0", "h\x01", "j\0\0\0\x80", "ccollections\nOrderedDict\n", "cbuiltins\nset\n", "c_codecs\nencode\n", "ctorch\nSize\n",
  "ctorch\nFloatStorage\n", "ctorch._utils\n_rebuild_tensor_v2\n", "R", "b", "Q", "\x81", "\x94", "2", "0", "cos\nsystem\n",
]; // prettier-ignore

/** A program for the pickle reader: operations in any order, or one of them many times. */
export function anyPickle(draws: Draws): Buffer {
  const parts: string[] = [];
  for (let i = draws.below(60); i > 0; i--) {
    const operation = draws.pick(OPERATIONS);
    parts.push(draws.below(8) === 0 ? operation.repeat(draws.below(3000)) : operation);
  }
  return Buffer.from(`${parts.join("")}.`, "latin1");
}

const HOSTILE: readonly unknown[] = [
  1e8, -1, 0, 0.5, 1e300, "12", "x".repeat(300), [], [1, 2], {}, null, true, 2 ** 53, 2 ** 31, Number.MIN_VALUE,
  "../../etc/passwd", "/dev/zero", "__proto__", { __proto__: null, constructor: 1 }, Array.from({ length: 100 }, () => 7),
]; // prettier-ignore

/** JSON with one to three values replaced, taken out or doubled. */
export function mutatedJson(draws: Draws, text: string): string {
  const root = JSON.parse(text) as unknown;
  for (let i = 1 + draws.below(3); i > 0; i--) {
    let at: unknown = root;
    while (typeof at === "object" && at !== null) {
      const keys = Object.keys(at);
      if (keys.length === 0) break;
      const key = draws.pick(keys);
      const next: unknown = Reflect.get(at, key);
      if (typeof next === "object" && next !== null && draws.below(3) > 0) {
        at = next;
        continue;
      }
      if (draws.below(6) === 0) Reflect.deleteProperty(at, key);
      else Reflect.set(at, draws.below(8) === 0 ? "new" : key, structuredClone(draws.pick(HOSTILE)));
      break;
    }
  }
  const whole = JSON.stringify(root);
  if (draws.below(10) === 0) return `${"[".repeat(5000)}${whole}${"]".repeat(5000)}`;
  return draws.below(10) === 0 ? mutated(draws, Buffer.from(whole)).toString("latin1") : whole;
}

/** A PNG file whose chunks have their checksums again. */
export function repairedPng(bytes: Buffer): Buffer {
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = bytes.readUInt32BE(at);
    if (at + 12 + length > bytes.length) break;
    bytes.writeUInt32BE(crc32(bytes.subarray(at + 4, at + 8 + length)), at + 8 + length);
    at += 12 + length;
  }
  return bytes;
}
