import { clipped } from "../../protocol/text/clip.ts";
import type { FileFacts } from "../byteSource.ts";

/** An ONNX file that is refused, or a tensor of it: which file, how long it is, and what is wrong. */
export class OnnxError extends Error {
  override readonly name = "OnnxError";
  readonly file: string;

  constructor(detail: string, { file, fileBytes }: FileFacts) {
    super(`${file} (${fileBytes.toLocaleString("en-US")} bytes): ${detail}`);
    this.file = file;
  }
}

/** Refuses the file that is being read. */
export type Fail = (detail: string) => never;

export const count = (value: number): string => value.toLocaleString("en-US");

/** A text from the file as a message shows it: whole up to a length, and on one line. */
export const quote = (text: string): string => JSON.stringify(clipped(text, 100));
