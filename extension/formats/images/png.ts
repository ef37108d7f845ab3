import { dirname } from "node:path";
import { PNG } from "pngjs";
import { makeFolderSync } from "../../files/folders.ts";
import type { RgbaImage } from "../../nn/data/access.ts";
import type { RgbImage } from "../../nn/files.ts";
import { writeAtomic } from "../../files/writeAtomic.ts";
import { checkPng, withoutChunks } from "./pngChunks.ts";

/**
 * Writes an image as a PNG file, whole or not at all. Makes the folder that it goes into.
 * @throws the file system's error
 */
export function writePng(file: string, image: RgbImage): void {
  const bytes = pngOf(image);
  makeFolderSync(dirname(file));
  writeAtomic(file, [bytes]);
}

/** A PNG file of an image of 3 channels, or of 4 with opacity. */
export function pngOf(image: RgbImage & { readonly channels?: 3 | 4 }): Buffer {
  const { width, height, data, channels = 3 } = image;
  if (channels === 4) return encodePng(image);
  const png = new PNG({ width, height });
  // In memory the library has a fourth channel, also where the file has none.
  png.data = Buffer.alloc(width * height * 4, 255);
  for (let i = 0, to = 0; i < data.length; i += 3, to += 4) png.data.set(data.subarray(i, i + 3), to);
  return PNG.sync.write(png, { colorType: 2 });
}

/** A PNG file of an image with opacity. */
export function encodePng({ width, height, data }: RgbaImage): Buffer {
  const png = new PNG({ width, height });
  png.data = Buffer.from(data);
  return PNG.sync.write(png);
}

/** Channels of the file itself, by its type of colour. */
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 3, 4: 2, 6: 4 };
const [GREY, COLOURS] = [0, 2];
const TYPE_OF_COLOUR = 25;

/**
 * Decodes a PNG file of any kind to 8 bits a channel.
 * @throws ImageLimit for an image that is too large; Error for a damaged one
 */
export function decodePng(bytes: Uint8Array): RgbaImage {
  checkPng(bytes);
  const read = (file: Uint8Array): PNG =>
    PNG.sync.read(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  const { width, height, data } = read(bytes);
  const type = bytes[TYPE_OF_COLOUR]!;
  // The library makes pixels of the transparent colour black; PyTorch and Pillow leave them as they are.
  const opaque = type === GREY || type === COLOURS ? withoutChunks(bytes, "tRNS") : undefined;
  if (opaque !== undefined) {
    const colours = read(opaque).data;
    for (let i = 0; i < data.length; i++) if (i % 4 !== 3) data[i] = colours[i]!;
  }
  return { width, height, data, channels: CHANNELS[type] ?? 4 };
}
