/** Tensors of an ONNX file: what they are, and where their elements are. */
import { DTYPE_BYTES } from "../tensorData.ts";
import { type DataType, dataType } from "./dataTypes.ts";
import type { Message } from "./message.ts";
import { count, quote } from "./onnxError.ts";

/** As PyTorch allows, and safetensors files. */
const MAX_RANK = 64;
/** Entries of external data: place, offset, length, checksum. */
const MAX_ENTRIES = 64;

type Range = readonly [begin: number, end: number];

/** Where a tensor's elements are. */
export type Place =
  | { readonly kind: "raw"; readonly range: Range }
  /** In a field of its type, packed. */
  | { readonly kind: "typed"; readonly ranges: readonly Range[] }
  /** In a file beside the model. */
  | { readonly kind: "external"; readonly entries: ReadonlyMap<string, string> };

/** A tensor as an ONNX file describes it. */
export interface ModelTensor {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly number[];
  readonly elements: number;
  /** Bytes of its elements as they are read. */
  readonly byteLength: number;
  readonly place: Place;
  /** Why its elements can't be read: the model's graph can be shown without them. */
  readonly problem?: string;
}

/** TensorProto's fields of elements, by their numbers. */
const TYPED: Readonly<Record<number, DataType["field"]>> = {
  4: "float",
  5: "int32",
  6: "string",
  7: "int64",
  10: "double",
  11: "uint64",
};
const EXTERNAL = 1;

/** Reads a TensorProto without its elements. */
export function readTensor(message: Message): ModelTensor {
  const shape: number[] = [];
  let [name, number, location] = ["", 0, 0];
  let ranked = true;
  let raw: Range | undefined;
  // Most tensors have neither, and a model may have hundreds of thousands.
  let typed: Map<DataType["field"], Range[]> | undefined;
  let entries: Map<string, string> | undefined;
  let unpacked = false;
  while (message.next()) {
    const { field } = message;
    if (field === 1) ranked &&= message.integers(shape, MAX_RANK);
    else if (field === 2) number = message.integer();
    else if (field === 8) name = message.text();
    else if (field === 9) raw = message.range();
    else if (field === 13) readEntry(message.message(), (entries ??= new Map()));
    else if (field === 14) location = message.integer();
    else if (TYPED[field] !== undefined && TYPED[field] !== "string") {
      if (!message.packed) unpacked = true;
      else {
        typed ??= new Map();
        const ranges = typed.get(TYPED[field]);
        if (ranges === undefined) typed.set(TYPED[field], [message.range()]);
        else ranges.push(message.range());
      }
    }
  }
  const type = dataType(number);
  const elements = shape.reduce((product, extent) => product * extent, 1);
  const place: Place =
    location === EXTERNAL
      ? { kind: "external", entries: entries ?? new Map() }
      : placed(raw, type, typed?.get(type.field) ?? []);
  const known = { name, type, shape, elements, place };
  if (!ranked) return { ...known, ...unreadable(`it has more than ${MAX_RANK} dimensions, the limit`) };
  if (
    !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0) ||
    !Number.isSafeInteger(elements * 16)
  )
    return { ...known, ...unreadable(`its shape [${shape.join(", ")}] is none`) };
  if (type.stored === undefined)
    return { ...known, ...unreadable(`its elements are of the type ${quote(type.name)}`) };
  if (unpacked) return { ...known, ...unreadable("its elements are not packed") };
  const byteLength = Math.ceil(elements * DTYPE_BYTES[type.stored]);
  const expected = storedBytes(known);
  if (place.kind === "raw" && place.range[1] - place.range[0] !== expected)
    return {
      ...known,
      byteLength,
      problem: `${type.name} of shape [${shape.join(", ")}] takes ${count(expected)} bytes, but there are ${count(place.range[1] - place.range[0])}`,
    };
  return { name, type, shape, elements, place, byteLength };
}

/** Floats are in their field as they are in `raw_data`. */
function placed(raw: Range | undefined, { field }: DataType, ranges: readonly Range[]): Place {
  const range = raw ?? (field === "float" || field === "double" ? ranges[0] : undefined);
  return range === undefined || (raw === undefined && ranges.length > 1)
    ? { kind: "typed", ranges }
    : { kind: "raw", range };
}

const unreadable = (problem: string): Pick<ModelTensor, "byteLength" | "problem"> => ({
  byteLength: 0,
  problem,
});

/** Bytes of its elements in `raw_data` or in a file of their own. */
export function storedBytes({ type, elements }: Pick<ModelTensor, "type" | "elements">): number {
  return Math.ceil(
    type.bits === undefined ? elements * DTYPE_BYTES[type.stored!] : (elements * type.bits) / 8,
  );
}

function readEntry(message: Message, entries: Map<string, string>): void {
  const [key, value] = readPair(message);
  if (entries.size < MAX_ENTRIES) entries.set(key, value);
}

/** A StringStringEntryProto. */
export function readPair(message: Message, most = 4096): [key: string, value: string] {
  let [key, value] = ["", ""];
  while (message.next()) {
    if (message.field === 1) key = message.shortText(most);
    else if (message.field === 2) value = message.shortText(most);
  }
  return [key, value];
}
