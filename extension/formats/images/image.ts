import type { RgbaImage } from "../../nn/data/access.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { ImageLimit } from "./imageLimit.ts";
import { decodeJpeg } from "./jpeg.ts";
import { isJpeg } from "./jpegMarkers.ts";
import { decodePng } from "./png.ts";

/**
 * Decodes a PNG or JPEG file to 8 bits a channel, by its first bytes: names are often wrong.
 * @param file Named in errors
 * @throws TensorError saying what is wrong with the file
 */
export function readImage(file: string, bytes: Uint8Array): RgbaImage {
  const jpeg = isJpeg(bytes);
  try {
    return jpeg ? decodeJpeg(bytes) : decodePng(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const kind = error instanceof ImageLimit ? "" : `no ${jpeg ? "JPEG" : "PNG"} image: `;
    throw new TensorError("file", `${file}: ${kind}${reason}`);
  }
}
