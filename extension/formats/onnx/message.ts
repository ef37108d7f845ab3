/** Reads protobuf messages field by field from a file, of which only what is visited is loaded. */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { ByteSource } from "../byteSource.ts";
import { count, type Fail } from "./onnxError.ts";

/** Bytes that are loaded at a time. */
const WINDOW = 2 ** 16;
/** More than a tag with a length or a number has. */
const LONGEST_HEAD = 32;
/** Levels of messages: a graph in a loop in a branch takes twelve. */
const MAX_DEPTH = 64;
/** Fields of all messages together: forty times those of a model with ten thousand nodes. */
const MAX_FIELDS = 8_000_000;
/** Characters of all texts together. */
const MAX_TEXT = 100_000_000;

/** Bytes of a name that is decoded byte by byte. */
const SHORT_NAME = 16;

const decoder = new TextDecoder();

/** A file of protobuf messages, with the limits on what is read of it. */
export class MessageFile {
  readonly source: ByteSource;
  readonly fail: Fail;
  #start = 0;
  #bytes: Uint8Array = new Uint8Array();
  #reader = new BinaryReader(this.#bytes);
  #fields = 0;
  #text = 0;

  constructor(source: ByteSource, fail: Fail) {
    this.source = source;
    this.fail = fail;
  }

  /** The message that the whole file is. */
  root(): Message {
    return new Message(this, 0, this.source.fileBytes, 0);
  }

  /** A reader that stands at a position, with the next tag, length or number loaded. */
  at(position: number): BinaryReader {
    const offset = position - this.#start;
    const { len } = this.#reader;
    if (offset < 0 || (offset + LONGEST_HEAD > len && this.#start + len < this.source.fileBytes)) {
      const length = Math.min(WINDOW, this.source.fileBytes - position);
      this.#bytes = this.source.read(position, length);
      this.#reader = new BinaryReader(this.#bytes);
      this.#start = position;
    }
    this.#reader.pos = position - this.#start;
    return this.#reader;
  }

  /** A number of one byte at a position that is loaded; undefined for a longer one. Most are so short. */
  shortNumber(position: number): number | undefined {
    const byte = this.#bytes[position - this.#start];
    return byte !== undefined && byte < 128 ? byte : undefined;
  }

  /** Where the reader stands. */
  get position(): number {
    return this.#start + this.#reader.pos;
  }

  bytes(begin: number, end: number): Uint8Array {
    const [from, to] = [begin - this.#start, end - this.#start];
    if (from >= 0 && to <= this.#bytes.length) return this.#bytes.subarray(from, to);
    const bytes = this.source.read(begin, end - begin);
    if (bytes.length < end - begin) this.fail("the file was cut off while it was read");
    return bytes;
  }

  /** A loaded text of a few ASCII characters, as most names are: a decoder takes longer to start. Undefined for another. */
  #shortName(begin: number, end: number): string | undefined {
    const from = begin - this.#start;
    if (end - begin > SHORT_NAME || from < 0 || end - this.#start > this.#bytes.length) return undefined;
    let name = "";
    for (let at = from; at < end - this.#start; at++) {
      const byte = this.#bytes[at]!;
      if (byte >= 128) return undefined;
      name += String.fromCharCode(byte);
    }
    return name;
  }

  countField(): void {
    if (++this.#fields > MAX_FIELDS)
      this.fail(`the model has more than ${count(MAX_FIELDS)} values beside its weights, the limit`);
  }

  text(begin: number, end: number): string {
    this.#text += end - begin;
    if (this.#text > MAX_TEXT)
      this.fail(`the names in it have more than ${count(MAX_TEXT)} characters, the limit`);
    if (begin === end) return "";
    return this.#shortName(begin, end) ?? decoder.decode(this.bytes(begin, end));
  }
}

/** A message in a file, read field by field: `while (message.next()) switch (message.field) …`. */
export class Message {
  readonly begin: number;
  readonly end: number;
  /** Number of the current field. */
  field = 0;
  readonly #file: MessageFile;
  readonly #depth: number;
  #type = WireType.Varint;
  #valueBegin = 0;
  #valueEnd: number;

  constructor(file: MessageFile, begin: number, end: number, depth: number) {
    if (depth > MAX_DEPTH) file.fail(`messages are nested deeper than ${MAX_DEPTH} levels`);
    this.#file = file;
    this.begin = begin;
    this.end = end;
    this.#depth = depth;
    this.#valueEnd = begin;
  }

  /** Moves to the next field, over the current one's content. False at the end. */
  next(): boolean {
    const file = this.#file;
    if (this.#valueEnd === this.end) return false;
    file.countField();
    this.#guarded(() => {
      const reader = file.at(this.#valueEnd);
      [this.field, this.#type] = reader.tag();
      if (this.#type === WireType.LengthDelimited) {
        const length = reader.uint32();
        this.#valueBegin = file.position;
        this.#valueEnd = this.#valueBegin + length;
      } else {
        this.#valueBegin = file.position;
        // ONNX has no groups, which alone could contain more than the reader has loaded.
        if (this.#type === WireType.StartGroup) file.fail("it has groups, which no ONNX model has");
        reader.skip(this.#type, this.field);
        this.#valueEnd = file.position;
      }
    });
    if (this.#valueEnd > this.end)
      file.fail(
        this.end === file.source.fileBytes
          ? `field ${this.field} at byte ${count(this.#valueBegin)} has ${count(this.#valueEnd - this.#valueBegin)} bytes, which end after the file; the file is cut off or no ONNX model`
          : `field ${this.field} at byte ${count(this.#valueBegin)} ends after the message that contains it`,
      );
    return true;
  }

  /** Whether the current field has a length: a text, a message, or packed numbers. */
  get packed(): boolean {
    return this.#type === WireType.LengthDelimited;
  }

  /** Range of the current field's content in the file. */
  range(): [begin: number, end: number] {
    this.#demand(WireType.LengthDelimited);
    return [this.#valueBegin, this.#valueEnd];
  }

  message(): Message {
    return new Message(this.#file, ...this.range(), this.#depth + 1);
  }

  text(): string {
    return this.#file.text(...this.range());
  }

  /** The first characters of a text that is only shown. */
  shortText(most: number): string {
    const [begin, end] = this.range();
    // A cut character becomes U+FFFD, which the cut at `most` removes unless all are as long.
    const text = this.#file.text(begin, Math.min(end, begin + 4 * most));
    return text.length > most || end - begin > 4 * most ? `${text.slice(0, most)}…` : text;
  }

  /** A 64-bit integer; beyond 2^53 it is rounded. */
  integer(): number {
    this.#demand(WireType.Varint);
    return this.#file.shortNumber(this.#valueBegin) ?? Number(this.exactInteger());
  }

  exactInteger(): bigint | string {
    this.#demand(WireType.Varint);
    return this.#guarded(() => this.#file.at(this.#valueBegin).int64());
  }

  float(): number {
    this.#demand(WireType.Bit32);
    return this.#guarded(() => this.#file.at(this.#valueBegin).float());
  }

  /** Adds the integers of a repeated field, packed or not, while there are fewer than `most`. Returns false beyond. */
  integers(into: number[], most: number): boolean {
    if (this.#type === WireType.Varint) return push(into, this.integer(), most);
    return this.#packed(into, most, (reader) => Number(reader.int64()));
  }

  floats(into: number[], most: number): boolean {
    if (this.#type === WireType.Bit32) return push(into, this.float(), most);
    return this.#packed(into, most, (reader) => reader.float());
  }

  #packed(into: number[], most: number, read: (reader: BinaryReader) => number): boolean {
    const [begin, end] = this.range();
    const file = this.#file;
    return this.#guarded(() => {
      for (let at = begin; at < end; at = file.position)
        if (!push(into, read(file.at(at)), most)) return false;
      if (end !== begin && file.position !== end)
        file.fail(`the numbers at byte ${count(begin)} are cut off`);
      return true;
    });
  }

  #demand(type: WireType): void {
    if (this.#type !== type)
      this.#file.fail(`field ${this.field} at byte ${count(this.#valueBegin)} has the wrong type of value`);
  }

  /** Calls the library, whose errors don't say where. */
  #guarded<T>(read: () => T): T {
    const at = this.#valueEnd;
    try {
      return read();
    } catch (error) {
      // Of the file system, or one of ours.
      if (error instanceof Error && ("code" in error || error.name === "OnnxError")) throw error;
      const why = error instanceof Error ? error.message : String(error);
      return this.#file.fail(
        `no valid message at byte ${count(at)}: ${why}; the file is damaged or no ONNX model`,
      );
    }
  }
}

function push(into: number[], value: number, most: number): boolean {
  if (into.length >= most) return false;
  into.push(value);
  return true;
}
