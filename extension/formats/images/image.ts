import type { RgbaImage } from "../../nn/data/access.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { ImageLimit, UnsupportedImage } from "./imageLimit.ts";
import { decodeJpeg } from "./jpeg.ts";
import { isJpeg } from "./jpegMarkers.ts";
import { decodePng } from "./png.ts";
import { isPng } from "./pngChunks.ts";

/**
 * Decodes a PNG or JPEG file to 8 bits a channel, by its first bytes: names are often wrong.
 * @param file Named in errors
 * @throws TensorError saying what is wrong with the file
 */
export function readImage(file: string, bytes: Uint8Array): RgbaImage {
  const kind = isJpeg(bytes) ? "JPEG" : isPng(bytes) ? "PNG" : undefined;
  if (kind === undefined) throw new TensorError("file", `${file}: ${otherKind(bytes)}`);
  try {
    return kind === "JPEG" ? decodeJpeg(bytes) : decodePng(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const whole = error instanceof ImageLimit || error instanceof UnsupportedImage;
    throw new TensorError(
      "file",
      `${file}: ${whole ? reason : `the ${kind} image is damaged or cut off: ${reason}`}`,
    );
  }
}

/** Formats that are not read, by how their files begin. */
const OTHERS: readonly (readonly [name: string, start: RegExp])[] = [
  ["WebP", /^RIFF[^]{4}WEBP/],
  ["BMP", /^BM/],
  ["TIFF", /^(?:II\*\0|MM\0\*)/],
  ["GIF", /^GIF8/],
];

function otherKind(bytes: Uint8Array): string {
  if (bytes.length === 0) return "the file is empty";
  const start = Buffer.from(bytes.subarray(0, 16)).toString("latin1");
  const other = OTHERS.find(([, pattern]) => pattern.test(start));
  return other === undefined
    ? "no PNG or JPEG image: its first bytes are others"
    : `a ${other[0]} image, which is not read: convert it to PNG or JPEG`;
}
