import { isTuple, PickleKeys } from "./pickleKeys.ts";
import { PICKLE, quote, type Budget, type Fail } from "./pthError.ts";

export { isTuple } from "./pickleKeys.ts";

/** A Python dict with the order of insertion in its type. */
export class OrderedDict<K = unknown, V = unknown> extends Map<K, V> {
  /** Attributes set on the object, such as the `_metadata` of a state dict. */
  attributes: ReadonlyMap<unknown, unknown> | undefined;
}

/** The attributes of a plain object of Python, such as parsed arguments. */
export class Namespace extends Map<unknown, unknown> {}

/**
 * A class or function that a pickle names and that is on the list of allowed ones. Nothing is looked up by its name.
 */
export class PickleGlobal {
  /** Python's dotted path. */
  readonly path: string;
  /** Computes the result of calling it; undefined if it may only be named. */
  readonly call: ((args: readonly unknown[]) => unknown) | undefined;

  constructor(path: string, call?: (args: readonly unknown[]) => unknown) {
    this.path = path;
    this.call = call;
  }
}

/** Resolves the names and ids in a pickle. */
export interface PickleWorld {
  /** @throws PthError "global" for a name that is not allowed */
  global(module: string, name: string): unknown;
  /** The object that a persistent id refers to. */
  persistent(id: unknown): unknown;
}

/** About what an empty object takes, so that a small file can't fill the memory with them. */
const DICT_BYTES = 200;
const LIST_BYTES = 64;
const ITEM_BYTES = 16;
const MEMO_BYTES = 40;
/** Values on the stack, and marks, that are paid for at once. */
const STACK_STEP = 4096;

/** What `ArgumentParser.parse_args()` returns: the one class whose objects are read. */
export const NAMESPACE = "argparse.Namespace";

const MAX_NAME = 512;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a pickle with the operations that PyTorch's `weights_only` reader has, and no others. Dicts become `Map`s,
 * lists arrays, tuples frozen arrays, integers numbers where those hold them exactly, else bigints.
 */
export class Unpickler {
  /** Where the pickle ended. */
  end = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #world: PickleWorld;
  readonly #fail: Fail;
  readonly #budget: Budget;
  #at: number;
  readonly #stack: unknown[] = [];
  /** Where each open MARK is on the stack. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  /** How far the stack and the marks have grown, as the budget knows. */
  #paid = 0;
  readonly #keys = new PickleKeys();

  constructor(bytes: Uint8Array, at: number, world: PickleWorld, fail: Fail, budget: Budget) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = at;
    this.#world = world;
    this.#fail = fail;
    this.#budget = budget;
  }

  /** @throws PthError */
  load(): unknown {
    const start = this.#at;
    for (;;) {
      const position = this.#at;
      const opcode = this.#byte();
      if (opcode === 0x2e /* STOP */) {
        const value = this.#pop();
        if (this.#stack.length > 0) this.#bad("it ends with values left over");
        this.end = this.#at;
        return value;
      }
      if (opcode === 0x80 /* PROTO */) this.#protocol(position === start);
      else if (!this.#literal(opcode) && !this.#container(opcode) && !this.#object(opcode)) {
        const name = `0x${opcode.toString(16).padStart(2, "0")}`;
        this.#bad(
          `operation ${name} at byte ${position} is none of those that tensors and plain data need; files of another pickle protocol must be saved again with protocol 2`,
        );
      }
    }
  }

  #protocol(first: boolean): void {
    const protocol = this.#byte();
    if (!first || protocol < 2 || protocol > 5) this.#bad(`unknown pickle protocol ${protocol}`);
  }

  /** Handles opcodes of constants, numbers and texts. */
  #literal(opcode: number): boolean {
    switch (opcode) {
      case 0x4e /* NONE */:
        this.#push(null);
        return true;
      case 0x88 /* NEWTRUE */:
      case 0x89 /* NEWFALSE */:
        this.#push(opcode === 0x88);
        return true;
      case 0x4a /* BININT */:
        this.#push(this.#view.getInt32(this.#skip(4), true));
        return true;
      case 0x4b /* BININT1 */:
        this.#push(this.#byte());
        return true;
      case 0x4d /* BININT2 */:
        this.#push(this.#view.getUint16(this.#skip(2), true));
        return true;
      case 0x47 /* BINFLOAT */:
        this.#push(this.#view.getFloat64(this.#skip(8), false));
        return true;
      case 0x8a /* LONG1 */:
        this.#push(this.#long(this.#byte()));
        return true;
      case 0x58 /* BINUNICODE */:
        this.#push(this.#text(this.#view.getUint32(this.#skip(4), true)));
        return true;
      case 0x55 /* SHORT_BINSTRING: the text of Python 2 */:
        this.#push(this.#text(this.#byte()));
        return true;
      default:
        return false;
    }
  }

  /** Handles opcodes of tuples, lists, dicts, and the memo. */
  #container(opcode: number): boolean {
    switch (opcode) {
      case 0x28 /* MARK */:
        this.#marks.push(this.#stack.length);
        this.#pay();
        return true;
      case 0x29 /* EMPTY_TUPLE */:
        this.#tuple([]);
        return true;
      case 0x85 /* TUPLE1 */:
      case 0x86 /* TUPLE2 */:
      case 0x87 /* TUPLE3 */:
        this.#tuple(this.#popMany(opcode - 0x84));
        return true;
      case 0x74 /* TUPLE */:
        this.#tuple(this.#popMark());
        return true;
      case 0x5d /* EMPTY_LIST */:
        this.#budget.take(LIST_BYTES, PICKLE);
        this.#push([]);
        return true;
      case 0x61 /* APPEND */:
        this.#append(this.#popMany(1));
        return true;
      case 0x65 /* APPENDS */:
        this.#append(this.#popMark());
        return true;
      case 0x7d /* EMPTY_DICT */:
        this.#budget.take(DICT_BYTES, PICKLE);
        this.#push(new Map());
        return true;
      case 0x8f /* EMPTY_SET */:
        this.#budget.take(DICT_BYTES, PICKLE);
        this.#push(new Set());
        return true;
      case 0x73 /* SETITEM */:
        this.#setItems(this.#popMany(2));
        return true;
      case 0x75 /* SETITEMS */:
        this.#setItems(this.#popMark());
        return true;
      case 0x71 /* BINPUT */:
        this.#keep(this.#byte());
        return true;
      case 0x72 /* LONG_BINPUT */:
        this.#keep(this.#view.getUint32(this.#skip(4), true));
        return true;
      case 0x68 /* BINGET */:
        this.#recall(this.#byte());
        return true;
      case 0x6a /* LONG_BINGET */:
        this.#recall(this.#view.getUint32(this.#skip(4), true));
        return true;
      default:
        return false;
    }
  }

  /** Handles opcodes that name a class or function, or call one. */
  #object(opcode: number): boolean {
    switch (opcode) {
      case 0x63 /* GLOBAL */:
        this.#push(this.#world.global(this.#line(), this.#line()));
        return true;
      case 0x52 /* REDUCE */: {
        const args = this.#pop();
        const called = this.#pop();
        if (!(called instanceof PickleGlobal) || called.call === undefined)
          this.#fail("global", `${describe(called)} must not be called`);
        if (!isTuple(args)) this.#bad(`${called.path} is called with ${describe(args)}, expected a tuple`);
        this.#budget.take(DICT_BYTES, PICKLE);
        this.#push(called.call(args));
        return true;
      }
      case 0x81 /* NEWOBJ */: {
        const args = this.#pop();
        const made = this.#pop();
        if (!(made instanceof PickleGlobal) || made.path !== NAMESPACE || !isTuple(args) || args.length > 0)
          return this.#fail("global", `objects of ${describe(made)} must not be made`);
        this.#budget.take(DICT_BYTES, PICKLE);
        this.#push(new Namespace());
        return true;
      }
      case 0x62 /* BUILD */: {
        const state = this.#pop();
        const object = this.#top();
        if (!(object instanceof OrderedDict || object instanceof Namespace))
          this.#fail("global", `${describe(object)} must not be given attributes`);
        if (!(state instanceof Map)) this.#bad("attributes that are no dict");
        if (object instanceof Namespace) {
          this.#budget.take(4 * ITEM_BYTES * state.size, PICKLE);
          for (const [key, value] of state) object.set(key, value);
        } else object.attributes = state as ReadonlyMap<unknown, unknown>;
        return true;
      }
      case 0x51 /* BINPERSID */:
        this.#budget.take(DICT_BYTES, PICKLE);
        this.#push(this.#world.persistent(this.#pop()));
        return true;
      default:
        return false;
    }
  }

  #push(value: unknown): void {
    this.#stack.push(value);
    if (this.#stack.length > this.#paid) this.#pay();
  }

  /** Takes memory for the stack and the marks, which a byte of the pickle can grow by an entry. */
  #pay(): void {
    const wanted = this.#stack.length + this.#marks.length;
    if (wanted <= this.#paid) return;
    this.#budget.take(STACK_STEP * ITEM_BYTES, PICKLE);
    this.#paid += STACK_STEP;
  }

  #keep(index: number): void {
    const known = this.#memo.size;
    this.#memo.set(index, this.#top());
    if (this.#memo.size > known) this.#budget.take(MEMO_BYTES, PICKLE);
  }

  /** Number of values above the last MARK. */
  get #depth(): number {
    return this.#stack.length - (this.#marks.at(-1) ?? 0);
  }

  #top(): unknown {
    if (this.#depth < 1) this.#bad("an operation finds no value on the stack");
    return this.#stack.at(-1);
  }

  #pop(): unknown {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): unknown[] {
    if (this.#depth < count) this.#bad("an operation finds too few values on the stack");
    return this.#stack.splice(this.#stack.length - count);
  }

  #popMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) this.#bad("an operation finds no mark on the stack");
    return this.#stack.splice(mark);
  }

  #tuple(items: unknown[]): void {
    this.#budget.take(LIST_BYTES + ITEM_BYTES * items.length, PICKLE);
    Object.freeze(items);
    this.#push(items);
  }

  #append(items: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list) || Object.isFrozen(list))
      this.#bad(`${describe(list)} is appended to, expected a list`);
    this.#budget.take(ITEM_BYTES * items.length, PICKLE);
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly unknown[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map)) this.#bad(`an item of ${describe(dict)} is set, expected a dict`);
    if (items.length % 2 !== 0) this.#bad("a key without a value");
    this.#budget.take(2 * ITEM_BYTES * items.length, PICKLE);
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      this.#checkKey(key);
      dict.set(key, items[i + 1]);
    }
  }

  /** @throws PthError "pickle" for what can't be a key; "limit" for one that is large */
  #checkKey(key: unknown): void {
    const size = this.#keys.sizeOf(key);
    if (typeof size === "number") return this.#budget.take(ITEM_BYTES * size, PICKLE);
    const [defect, problem] = size;
    return defect === "limit"
      ? this.#fail("limit", `the key of a dict is ${problem}`)
      : this.#bad(`${describe(key)} is the key of a dict: ${problem}`);
  }

  #recall(index: number): void {
    if (!this.#memo.has(index)) this.#bad(`value ${index} is recalled, but was never kept`);
    this.#push(this.#memo.get(index));
  }

  #long(length: number): number | bigint {
    const at = this.#skip(length);
    const hex = Buffer.from(this.#bytes.subarray(at, at + length))
      .reverse()
      .toString("hex");
    const value = BigInt.asIntN(8 * length, BigInt(`0x${hex === "" ? "0" : hex}`));
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  #text(length: number): string {
    const at = this.#skip(length);
    this.#budget.take(2 * length, PICKLE);
    try {
      return utf8.decode(this.#bytes.subarray(at, at + length));
    } catch {
      return this.#bad(`the text at byte ${at} is not valid UTF-8`);
    }
  }

  /** A line of a name, without its end. */
  #line(): string {
    const start = this.#at;
    const end = this.#bytes.subarray(start, start + MAX_NAME).indexOf(0x0a);
    if (end < 0) this.#bad(`the name at byte ${start} has no end`);
    this.#at = start + end + 1;
    try {
      return utf8.decode(this.#bytes.subarray(start, start + end));
    } catch {
      return this.#bad(`the name at byte ${start} is not valid UTF-8`);
    }
  }

  #byte(): number {
    return this.#bytes[this.#skip(1)]!;
  }

  /** Position of the next `length` bytes, which are read by this. */
  #skip(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) this.#bad("it ends in the middle of an operation");
    this.#at = at + length;
    return at;
  }

  #bad(detail: string): never {
    return this.#fail("pickle", `the pickle is invalid: ${detail}`);
  }
}

/** Describes a value for messages. */
export function describe(value: unknown): string {
  if (value instanceof PickleGlobal) return value.path;
  if (value === null) return "None";
  if (Array.isArray(value)) return Object.isFrozen(value) ? "a tuple" : "a list";
  if (value instanceof OrderedDict) return "an OrderedDict";
  if (value instanceof Map) return "a dict";
  if (typeof value === "string") return quote(value);
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return `${value}`;
  return typeof value === "object" ? `a ${value.constructor.name}` : typeof value;
}
