import * as v from "valibot";

/** Most pixels of a picture that a panel shows: an image of 8,192 by 8,192. A browser decodes whatever it is given. */
export const MAX_PICTURE_PIXELS = 2 ** 26;
/** Of the small pictures in reports. */
const MAX_SMALL_PIXELS = 2 ** 20;

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** "IHDR", the first chunk's name, after its length. */
const HEADER = [0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52];
const START_BYTES = 24;

/** The number of pixels of a PNG file; undefined when it doesn't begin as one. */
export function pixelsOf(bytes: Uint8Array): number | undefined {
  if (bytes.length < START_BYTES) return undefined;
  if (![...SIGNATURE, ...HEADER].every((byte, i) => bytes[i] === byte)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, START_BYTES);
  return view.getUint32(16) * view.getUint32(20);
}

function isSmallPng(base64: string): boolean {
  try {
    const start = atob(base64.slice(0, (START_BYTES / 3) * 4));
    const pixels = pixelsOf(Uint8Array.from(start, (character) => character.charCodeAt(0)));
    return pixels !== undefined && pixels <= MAX_SMALL_PIXELS;
  } catch {
    return false;
  }
}

/** A small PNG file in base64. */
export const PngText = v.pipe(v.string(), v.check(isSmallPng, "expected a small PNG file in base64"));
