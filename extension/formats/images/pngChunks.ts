// The chunks of a PNG file, before it is decoded: https://www.w3.org/TR/png-3/
import { inflateSync } from "node:zlib";
import { MAX_PICTURE_PIXELS } from "../../protocol/pictures.ts";
import { ImageLimit } from "./imageLimit.ts";

/** Most bytes that deflate can expand one byte to. */
const MAX_EXPANSION = 1032;
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const CHUNK_BYTES = 12;
const HEADER_BYTES = 13;
const PALETTE_BYTES = 3 * 256;
const [IHDR, PLTE, IDAT] = [0x49484452, 0x504c5445, 0x49444154];
/** Samples of a pixel by the type of colour. */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Adam7: where each pass begins, and its steps, in x and y. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Whether a file begins as a PNG file does. */
export const isPng = (bytes: Uint8Array): boolean => SIGNATURE.every((byte, i) => bytes[i] === byte);

/**
 * The same file without chunks of a type.
 * @returns undefined where there are none
 */
export function withoutChunks(bytes: Uint8Array, type: string): Uint8Array | undefined {
  const kept: Uint8Array[] = [bytes.subarray(0, SIGNATURE.length)];
  let found = false;
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE.length; at + CHUNK_BYTES <= bytes.length;) {
    const end = at + CHUNK_BYTES + file.readUInt32BE(at);
    if (file.toString("latin1", at + 4, at + 8) === type) found = true;
    else kept.push(bytes.subarray(at, end));
    at = end;
  }
  return found ? Buffer.concat(kept) : undefined;
}

/**
 * Checks what the decoder assumes: that the chunks are inside the file, that the image is not too large, and that
 * its data expand to no more than its pixels.
 * @throws ImageLimit for an image that is too large; Error for a damaged one
 */
export function checkPng(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: Header | undefined;
  const data: Uint8Array[] = [];
  let dataBytes = 0;
  for (let at = SIGNATURE.length; at + CHUNK_BYTES <= bytes.length;) {
    const length = view.getUint32(at);
    const end = at + CHUNK_BYTES + length;
    if (end > bytes.length) throw new Error("a chunk goes beyond the end of the file");
    const type = view.getUint32(at + 4);
    if (header === undefined) {
      if (type !== IHDR || length !== HEADER_BYTES) throw new Error("it has no header");
      header = headerAt(view, at + 8);
    } else if (type === IHDR) throw new Error("it has two headers");
    if (type === PLTE && length > PALETTE_BYTES)
      throw new Error(`its palette has ${count(length)} bytes; the limit is ${PALETTE_BYTES}`);
    if (type === IDAT) {
      dataBytes += length;
      if (header.interlaced) data.push(bytes.subarray(at + 8, at + 8 + length));
    }
    at = end;
  }
  if (header === undefined) throw new Error("it has no header");
  const expected = header.interlaced
    ? interlacedBytes(header)
    : rowsBytes(header, header.width, header.height);
  if (expected > MAX_EXPANSION * dataBytes)
    throw new Error(
      `its ${count(header.width)} × ${count(header.height)} pixels can't be in ${count(dataBytes)} bytes of data`,
    );
  // The decoder has no limit for these.
  if (header.interlaced) inflateSync(Buffer.concat(data), { maxOutputLength: expected });
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly interlaced: boolean;
}

function headerAt(view: DataView, at: number): Header {
  const [width, height] = [view.getUint32(at), view.getUint32(at + 4)];
  const samples = SAMPLES[view.getUint8(at + 9)];
  if (samples === undefined) throw new Error("its type of colour is unknown");
  if (width === 0 || height === 0) throw new Error("it has no pixels");
  if (width * height > MAX_PICTURE_PIXELS) throw ImageLimit.of(width, height);
  return { width, height, bits: samples * view.getUint8(at + 8), interlaced: view.getUint8(at + 12) !== 0 };
}

/** Bytes of rows before they are compressed: each has a filter's number. */
function rowsBytes({ bits }: Header, width: number, height: number): number {
  return width === 0 ? 0 : (Math.ceil((width * bits) / 8) + 1) * height;
}

function interlacedBytes(header: Header): number {
  const steps = (size: number, from: number, step: number): number =>
    Math.max(0, Math.ceil((size - from) / step));
  return PASSES.reduce(
    (sum, [x, y, dx, dy]) => sum + rowsBytes(header, steps(header.width, x, dx), steps(header.height, y, dy)),
    0,
  );
}

const count = (value: number): string => value.toLocaleString("en-US");
