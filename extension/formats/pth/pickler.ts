import { PthDtype } from "./pthObjects.ts";
import { isTuple, OrderedDict } from "./unpickler.ts";

/** A value that a `.pth` file can't hold: where it is, and what it is. */
export class UnwritableError extends Error {
  override readonly name = "UnwritableError";

  constructor(path: string, what: string) {
    super(`${path === "" ? "the value" : path} is ${what}, which can't be saved; tensors and plain data can`);
  }
}

/** How objects that are no plain data are written. */
export interface PickleObjects {
  /** Writes an object; false for one that it does not know. */
  write(object: object, to: Pickler): boolean;
}

const MAX_DEPTH = 100;

/** Writes values as a pickle of protocol 2, which every PyTorch reads. The inverse of the `Unpickler`. */
export class Pickler {
  #bytes = Buffer.alloc(1024);
  #length = 0;
  readonly #memo = new Map<unknown, number>();
  readonly #objects: PickleObjects;
  readonly #path: string[] = [];

  constructor(objects: PickleObjects) {
    this.#objects = objects;
  }

  /** @throws UnwritableError */
  dump(value: unknown): Uint8Array {
    this.#put(0x80, 2);
    this.value(value);
    this.#put(0x2e /* STOP */);
    return this.#bytes.subarray(0, this.#length);
  }

  value(value: unknown): void {
    switch (typeof value) {
      case "boolean":
        return this.#put(value ? 0x88 : 0x89);
      case "number":
        return this.#number(value);
      case "bigint":
        return this.#long(value);
      case "string":
        return this.#text(value);
      case "object":
        return value === null ? this.#put(0x4e) : this.#object(value);
      case "undefined":
      case "function":
      case "symbol":
        return this.#refuse(typeof value === "undefined" ? "undefined" : `a ${typeof value}`);
    }
  }

  /** A class or function, by its Python path. */
  global(module: string, name: string): void {
    const key = `c${module}\n${name}\n`;
    if (this.#recall(key)) return;
    this.#raw(Buffer.from(key));
    this.#keep(key);
  }

  /** Writes a call of the function that `call` writes, with the arguments that `args` write. */
  reduce(call: () => void, args: readonly (() => void)[]): void {
    call();
    this.tuple(args);
    this.#put(0x52 /* REDUCE */);
  }

  /** The object that a persistent id refers to. */
  persistent(id: readonly (() => void)[]): void {
    this.tuple(id);
    this.#put(0x51 /* BINPERSID */);
  }

  tuple(items: readonly (() => void)[]): void {
    if (items.length === 0) return this.#put(0x29 /* EMPTY_TUPLE */);
    if (items.length > 3) this.#put(0x28 /* MARK */);
    for (const item of items) item();
    // TUPLE1 to TUPLE3, or everything from the mark on.
    this.#put(items.length > 3 ? 0x74 : 0x84 + items.length);
  }

  /** Writes an object that may be referred to again. */
  shared(object: object, write: () => void): void {
    if (this.#recall(object)) return;
    write();
    this.#keep(object);
  }

  #object(object: object): void {
    if (this.#path.length > MAX_DEPTH) this.#refuse(`nested deeper than ${MAX_DEPTH} levels`);
    if (isTuple(object)) return this.tuple(object.map((item, i) => () => this.#within(i, item)));
    if (Array.isArray(object)) return this.#container(object, () => this.#put(0x5d /* EMPTY_LIST */));
    if (object instanceof OrderedDict) return this.#orderedDict(object);
    if (object instanceof Map) return this.#container(object, () => this.#put(0x7d /* EMPTY_DICT */));
    if (object instanceof Set) return this.#set(object);
    if (object instanceof Uint8Array) return this.#binary(object);
    if (object instanceof PthDtype) return this.global("torch", object.name);
    if (!this.#objects.write(object, this))
      this.#refuse(`an object of ${object.constructor?.name ?? "no class"}`);
  }

  /** Writes a list or dict, first empty, then its items into it. */
  #container(object: readonly unknown[] | ReadonlyMap<unknown, unknown>, begin: () => void): void {
    if (this.#recall(object)) return;
    begin();
    this.#keep(object);
    this.#items(object);
  }

  #items(object: readonly unknown[] | ReadonlyMap<unknown, unknown>): void {
    if ((object instanceof Map ? object.size : (object as readonly unknown[]).length) === 0) return;
    this.#put(0x28 /* MARK */);
    if (object instanceof Map) {
      for (const [key, value] of object as ReadonlyMap<unknown, unknown>) {
        this.#within("key", key);
        this.#within(String(key), value);
      }
      this.#put(0x75 /* SETITEMS */);
    } else {
      (object as readonly unknown[]).forEach((item, i) => this.#within(i, item));
      this.#put(0x65 /* APPENDS */);
    }
  }

  #orderedDict(dict: OrderedDict): void {
    if (this.#recall(dict)) return;
    this.reduce(() => this.global("collections", "OrderedDict"), []);
    this.#keep(dict);
    this.#items(dict);
    if (dict.attributes === undefined) return;
    this.value(dict.attributes);
    this.#put(0x62 /* BUILD */);
  }

  /** Protocol 2 has Python 2's name of the module. */
  #set(set: ReadonlySet<unknown>): void {
    this.shared(set, () =>
      this.reduce(() => this.global("__builtin__", "set"), [() => this.value([...set])]),
    );
  }

  #binary(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString("latin1");
    this.reduce(() => this.global("_codecs", "encode"), [() => this.value(text), () => this.value("latin1")]);
  }

  #within(key: string | number, value: unknown): void {
    this.#path.push(typeof key === "number" ? `[${key}]` : `[${JSON.stringify(key)}]`);
    this.value(value);
    this.#path.pop();
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      const at = this.#grow(9);
      this.#bytes[at] = 0x47; /* BINFLOAT */
      this.#bytes.writeDoubleBE(value, at + 1);
    } else if (value >= 0 && value < 0x100) {
      this.#put(0x4b /* BININT1 */, value);
    } else if (value >= 0 && value < 0x10000) {
      this.#put(0x4d /* BININT2 */, value & 0xff, value >> 8);
    } else if (value === (value | 0)) {
      const at = this.#grow(5);
      this.#bytes[at] = 0x4a; /* BININT */
      this.#bytes.writeInt32LE(value, at + 1);
    } else {
      this.#long(BigInt(value));
    }
  }

  #long(value: bigint): void {
    let length = 0;
    while (BigInt.asIntN(8 * length, value) !== value) length++;
    if (length > 255) this.#refuse(`an integer of ${length} bytes`);
    this.#put(0x8a /* LONG1 */, length);
    for (let i = 0; i < length; i++) this.#put(Number(BigInt.asUintN(8, value >> BigInt(8 * i))));
  }

  #text(text: string): void {
    // Keys of globals begin with "c".
    const key = `X${text}`;
    if (this.#recall(key)) return;
    const bytes = Buffer.from(text, "utf8");
    if (/\p{Surrogate}/u.test(text)) this.#refuse("a text with unpaired surrogates");
    const at = this.#grow(5);
    this.#bytes[at] = 0x58; /* BINUNICODE */
    this.#bytes.writeUInt32LE(bytes.length, at + 1);
    this.#raw(bytes);
    this.#keep(key);
  }

  /** Writes a reference to a value that was written before; false if it was not. */
  #recall(value: unknown): boolean {
    const index = this.#memo.get(value);
    if (index === undefined) return false;
    if (index < 0x100) this.#put(0x68 /* BINGET */, index);
    else this.#indexed(0x6a /* LONG_BINGET */, index);
    return true;
  }

  #keep(value: unknown): void {
    const index = this.#memo.size;
    this.#memo.set(value, index);
    if (index < 0x100) this.#put(0x71 /* BINPUT */, index);
    else this.#indexed(0x72 /* LONG_BINPUT */, index);
  }

  #indexed(opcode: number, index: number): void {
    const at = this.#grow(5);
    this.#bytes[at] = opcode;
    this.#bytes.writeUInt32LE(index, at + 1);
  }

  #put(...bytes: number[]): void {
    const at = this.#grow(bytes.length);
    bytes.forEach((byte, i) => (this.#bytes[at + i] = byte));
  }

  #raw(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Makes room for `count` more bytes; returns their position. */
  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(2 * this.#bytes.length, this.#length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }

  #refuse(what: string): never {
    throw new UnwritableError(this.#path.join(""), what);
  }
}
