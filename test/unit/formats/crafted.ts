import { expect } from "vitest";
import { PthError, readPth } from "../../../extension/formats/pth/pth.ts";
import { processorClock } from "../../bounds.ts";

export { craft } from "../../fuzz/archive.ts";

export function refusal(file: Uint8Array, maxBytes?: number): PthError {
  const before = process.memoryUsage().arrayBuffers;
  const taken = processorClock();
  try {
    readPth(file, maxBytes === undefined ? {} : { maxBytes });
  } catch (error) {
    expect(error).toBeInstanceOf(PthError);
    expect(taken()).toBeLessThan(1000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200 * 2 ** 20);
    return error as PthError;
  }
  throw new Error("loaded");
}

export const text = (value: string): string => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
export const storage = (type = "FloatStorage", count = "K\x04", key = "0"): string =>
  `(${text("storage")}ctorch\n${type}\n${text(key)}${text("cpu")}${count}tQ`;
export const tensor = (
  shape: string,
  strides: string,
  offset = "K\x00",
  more = "",
  from = storage(),
): string => `ctorch._utils\n_rebuild_tensor_v2\n(${from}${offset}${shape}${strides}\x89Nt${more}R`;
export const floats = { 0: Buffer.from(Float32Array.of(1, 2, 3, 4).buffer) };
