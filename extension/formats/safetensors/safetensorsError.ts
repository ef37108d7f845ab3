import { clipped } from "../../protocol/text/clip.ts";

/** Defect of a safetensors file, or of tensors to be written to one. Sizes and positions are in bytes. */
export type SafetensorsDefect =
  | { readonly code: "file-too-short" }
  | { readonly code: "header-too-large"; readonly headerBytes: bigint; readonly limit: number }
  | { readonly code: "header-truncated"; readonly headerBytes: number }
  | { readonly code: "header-start" }
  | { readonly code: "header-utf8" }
  | { readonly code: "header-json"; readonly at: number; readonly expected: string }
  | { readonly code: "header-depth"; readonly at: number; readonly limit: number }
  | { readonly code: "duplicate-key"; readonly key: string }
  | { readonly code: "metadata"; readonly key?: string }
  | { readonly code: "metadata-count"; readonly count: number; readonly limit: number }
  | { readonly code: "tensors"; readonly count: number; readonly limit: number }
  | { readonly code: "rank"; readonly tensor: string; readonly count: number; readonly limit: number }
  | {
      readonly code: "field-count";
      readonly tensor: string;
      readonly field: string;
      readonly count: number;
      readonly limit: number;
    }
  | { readonly code: "tensor-info"; readonly tensor: string }
  | { readonly code: "missing-field"; readonly tensor: string; readonly field: string }
  | { readonly code: "unknown-dtype"; readonly tensor: string; readonly dtype: string }
  | { readonly code: "shape"; readonly tensor: string }
  | { readonly code: "offsets"; readonly tensor: string }
  | { readonly code: "overflow"; readonly tensor: string; readonly shape: readonly number[] }
  | {
      readonly code: "size-mismatch";
      readonly tensor: string;
      readonly dtype: string;
      readonly shape: readonly number[];
      readonly expected: number;
      readonly actual: number;
    }
  | { readonly code: "hole"; readonly tensor: string; readonly begin: number; readonly previousEnd: number }
  | {
      readonly code: "overlap";
      readonly tensor: string;
      readonly begin: number;
      readonly previousEnd: number;
    }
  | { readonly code: "data-truncated"; readonly declared: number; readonly actual: number }
  | { readonly code: "trailing-data"; readonly declared: number; readonly actual: number }
  | { readonly code: "file-changed"; readonly tensor: string }
  | { readonly code: "no-such-tensor"; readonly tensor: string; readonly known: number }
  | { readonly code: "reserved-name" }
  | { readonly code: "not-unicode"; readonly text: string }
  | { readonly code: "duplicate-name"; readonly tensor: string };

/** A safetensors file that is refused: which file, how long it is, and what is wrong, as data and as text. */
export class SafetensorsError extends Error {
  override readonly name = "SafetensorsError";
  readonly defect: SafetensorsDefect;
  readonly file: string;
  readonly fileBytes: number | undefined;

  /** @param fileBytes Length of the file; undefined for one that is being written. */
  constructor(defect: SafetensorsDefect, file: string, fileBytes?: number) {
    const length = fileBytes === undefined ? "" : ` (${bytes(fileBytes)})`;
    super(`${file}${length}: ${describe(defect)}`);
    this.defect = defect;
    this.file = file;
    this.fileBytes = fileBytes;
  }
}

function describe(defect: SafetensorsDefect): string {
  switch (defect.code) {
    case "file-too-short":
      return "too short for a safetensors file, which starts with 8 bytes of header length";
    case "header-too-large":
      return `the header would be ${bytes(defect.headerBytes)}, above the limit of ${bytes(defect.limit)}; this is probably no safetensors file`;
    case "header-truncated":
      return `the header of ${bytes(defect.headerBytes)} goes beyond the end of the file; the file is cut off or no safetensors file`;
    case "header-start":
      return "the header does not start with '{'; this is no safetensors file";
    case "header-utf8":
      return "the header is not valid UTF-8";
    case "header-json":
      return `the header is not valid JSON: expected ${defect.expected} at position ${defect.at}`;
    case "header-depth":
      return `the header is nested deeper than ${defect.limit} levels at position ${defect.at}`;
    case "duplicate-key":
      return `the header has the key ${quote(defect.key)} twice in one object`;
    case "metadata":
      return defect.key === undefined
        ? "__metadata__ must be an object of strings"
        : `__metadata__ must be an object of strings, but ${quote(defect.key)} is none`;
    case "metadata-count":
      return `__metadata__ has ${number(defect.count)} texts; the limit is ${number(defect.limit)}`;
    case "tensors":
      return `the header has ${number(defect.count)} tensors; the limit is ${number(defect.limit)}`;
    case "rank":
      return `tensor ${quote(defect.tensor)} has ${number(defect.count)} dimensions; the limit is ${number(defect.limit)}`;
    case "field-count":
      return `tensor ${quote(defect.tensor)}: ${defect.field === "" ? "its description" : quote(defect.field)} has ${number(defect.count)} values; the limit is ${number(defect.limit)}`;
    case "tensor-info":
      return `tensor ${quote(defect.tensor)} must be described by an object`;
    case "missing-field":
      return `tensor ${quote(defect.tensor)} has no ${defect.field}`;
    case "unknown-dtype":
      return `tensor ${quote(defect.tensor)} has the unknown dtype ${quote(defect.dtype)}`;
    case "shape":
      return `tensor ${quote(defect.tensor)}: shape must be a list of whole numbers from 0 to 2^53-1`;
    case "offsets":
      return `tensor ${quote(defect.tensor)}: data_offsets must be two whole numbers, begin <= end`;
    case "overflow":
      return `tensor ${quote(defect.tensor)}: shape ${shape(defect.shape)} has more bytes than can be counted`;
    case "size-mismatch":
      return `tensor ${quote(defect.tensor)}: ${defect.dtype} of shape ${shape(defect.shape)} takes ${bytes(defect.expected)}, but there are ${bytes(defect.actual)}`;
    case "hole":
      return `tensor ${quote(defect.tensor)} begins at ${defect.begin}, leaving a hole after ${defect.previousEnd}`;
    case "overlap":
      return `tensor ${quote(defect.tensor)} begins at ${defect.begin}, inside the tensor before it, which ends at ${defect.previousEnd}`;
    case "data-truncated":
      return `the header declares ${bytes(defect.declared)} of data, but only ${bytes(defect.actual)} follow it; ${bytes(defect.declared - defect.actual)} are missing`;
    case "trailing-data":
      return `the header declares ${bytes(defect.declared)} of data, but ${bytes(defect.actual)} follow it`;
    case "file-changed":
      return `the file was cut off while tensor ${quote(defect.tensor)} was read`;
    case "no-such-tensor":
      return `no tensor ${quote(defect.tensor)} among the ${defect.known} of the file`;
    case "reserved-name":
      return "no tensor can be named __metadata__";
    case "not-unicode":
      return `${quote(defect.text)} has unpaired surrogates and cannot be written`;
    case "duplicate-name":
      return `two tensors are named ${quote(defect.tensor)}`;
  }
}

function bytes(count: number | bigint): string {
  return `${count.toLocaleString("en-US")} bytes`;
}

function number(count: number): string {
  return count.toLocaleString("en-US");
}

/** Names come from the file: shown whole up to a length, and on one line. */
function quote(name: string): string {
  return JSON.stringify(clipped(name, 100));
}

function shape(extents: readonly number[]): string {
  return extents.length <= 16 ? `[${extents.join(", ")}]` : `[${extents.slice(0, 16).join(", ")}, …]`;
}
