// The segments of a JPEG file, before it is decoded: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B
import { MAX_PICTURE_PIXELS } from "../../protocol/pictures.ts";
import { ImageLimit, UnsupportedImage } from "./imageLimit.ts";

/** Most passes over the image: a progressive file usually has ten, but a small file may have thousands. */
const MAX_SCANS = 100;
/** Pixels of all passes. */
const MAX_PASSED = 2 ** 30;
/** Bytes of a frame's header: bits, height, width and the number of components. */
const FRAME_BYTES = 6;
const SIGNATURE = [0xff, 0xd8, 0xff];
const [DHT, JPG, DAC, RST0, RST7, EOI, SOS, TEM] = [0xc4, 0xc8, 0xcc, 0xd0, 0xd7, 0xd9, 0xda, 0x01];

/** Whether a file begins as a JPEG file does. */
export const isJpeg = (bytes: Uint8Array): boolean => SIGNATURE.every((byte, i) => bytes[i] === byte);

/** Header of a JPEG image. */
export interface JpegHeader {
  readonly width: number;
  readonly height: number;
  /** Grey has one, colours have three. */
  readonly components: number;
}

/**
 * Checks what the decoder assumes: that the image is not too large, has grey or colours, and is complete.
 * @throws ImageLimit for an image that is too large; Error for a damaged one
 */
export function checkJpeg(bytes: Uint8Array): JpegHeader {
  let header: JpegHeader | undefined;
  let scans = 0;
  for (const { marker, body } of segments(bytes)) {
    if (marker === EOI && header !== undefined && scans > 0) return header;
    if (marker === EOI) break;
    if (isFrame(marker)) {
      if (header !== undefined) throw new Error("it has two headers");
      header = headerOf(body);
      checkHeader(header);
    }
    if (marker !== SOS) continue;
    scans++;
    const passed = scans * (header?.width ?? 0) * (header?.height ?? 0);
    if (scans > MAX_SCANS || passed > MAX_PASSED)
      throw new ImageLimit(`the image has more than ${scans - 1} scans, the limit for its size`);
  }
  throw new Error(header === undefined ? "it has no header" : "it is cut off");
}

/** Width and height, by the beginning of a JPEG file; undefined when they are not in it. */
export function jpegSize(bytes: Uint8Array): { width: number; height: number } | undefined {
  for (const { marker, body } of segments(bytes)) {
    if (!isFrame(marker) || body.length < FRAME_BYTES) continue;
    const { width, height } = headerOf(body);
    return { width, height };
  }
  return undefined;
}

/** The segments of a file: their markers, and what comes after their lengths. */
function* segments(bytes: Uint8Array): Iterable<{ marker: number; body: Uint8Array }> {
  for (let at = markerFrom(bytes, 2); at + 1 < bytes.length;) {
    const marker = bytes[at + 1]!;
    const alone = marker === EOI || marker === TEM || (marker >= RST0 && marker <= RST7);
    if (!alone && at + 4 > bytes.length) return;
    const length = alone ? 0 : bytes[at + 2]! * 256 + bytes[at + 3]!;
    yield { marker, body: bytes.subarray(at + 4, at + 2 + length) };
    at = markerFrom(bytes, at + 2 + length);
  }
}

/** The first byte of the next marker; the end when there is none. Compressed data has a 0 after each 0xff. */
function markerFrom(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1];
    if (next !== 0 && next !== 0xff) return at;
  }
  return bytes.length;
}

const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== DHT && marker !== JPG && marker !== DAC;

function headerOf(body: Uint8Array): JpegHeader {
  if (body.length < FRAME_BYTES) throw new Error("its header is cut off");
  const [, h1, h0, w1, w0, components] = body as unknown as readonly [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { width: w1 * 256 + w0, height: h1 * 256 + h0, components };
}

function checkHeader({ width, height, components }: JpegHeader): void {
  if (width === 0 || height === 0) throw new Error("it has no pixels");
  if (width * height > MAX_PICTURE_PIXELS) throw ImageLimit.of(width, height);
  if (components !== 1 && components !== 3)
    throw new UnsupportedImage(
      components === 4
        ? "the image has the four colours of printing (CMYK), which are not read: convert it to RGB"
        : `the image has ${components} colours for each pixel, which are not read: convert it to RGB`,
    );
}
