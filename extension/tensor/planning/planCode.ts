// A plan as numbers, and their hash: a graph of thousands of nodes as text took longer to write than to compute, and the
// texts of all graphs that a program has seen took more memory than their results.
import type { Leaf, Value } from "../recording/graph.ts";

/** What comes next: no two plans write the same numbers. */
const [INPUT, STATE, FILL, SCALAR, VARYING, NODE, END, INTEGER, FLOAT, TRUE, FALSE, LIST, JSON_TEXT] = [
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
];

const DTYPES = { float32: 0, int64: 1, bool: 2 };

const FLOATS = new Float64Array(1);
const BITS = new Int32Array(FLOATS.buffer);

/** Numbers of one plan after the other: {@link clear} begins the next. */
export class PlanCode {
  #words = new Int32Array(4096);
  #length = 0;

  clear(): void {
    this.#length = 0;
  }

  /** Writes a whole number of 32 bits. */
  word(x: number): void {
    if (this.#length === this.#words.length) {
      const words = new Int32Array(2 * this.#length);
      words.set(this.#words);
      this.#words = words;
    }
    this.#words[this.#length++] = x;
  }

  /** Writes what a leaf is, without the values that may change. */
  leaf(value: Value): void {
    const { producer, shape, dtype } = value;
    const kind = kindOf(producer as Leaf, value);
    this.word(kind);
    this.word(DTYPES[dtype]);
    this.word(shape.length);
    for (let i = 0; i < shape.length; i++) this.word(shape[i]!);
    if (kind === FILL && producer.kind === "fill") this.#float(producer.value);
  }

  /** Begins a node; references to its inputs follow. */
  node(name: string, attributes: object, inputs: number): void {
    this.word(NODE);
    this.#text(name);
    for (const key in attributes) {
      const value = (attributes as Readonly<Record<string, unknown>>)[key];
      if (value === undefined) continue;
      this.#text(key);
      this.#value(value);
    }
    this.word(END);
    this.word(inputs);
  }

  #value(value: unknown): void {
    if (typeof value === "number") {
      if ((value | 0) === value && !Object.is(value, -0)) {
        this.word(INTEGER);
        this.word(value);
      } else this.#float(value);
    } else if (typeof value === "boolean") this.word(value ? TRUE : FALSE);
    else if (Array.isArray(value)) {
      this.word(LIST);
      this.word(value.length);
      for (let i = 0; i < value.length; i++) this.#value(value[i]);
    } else {
      this.word(JSON_TEXT);
      this.#text(JSON.stringify(value));
    }
  }

  #float(x: number): void {
    FLOATS[0] = x;
    this.word(FLOAT);
    this.word(BITS[0]!);
    this.word(BITS[1]!);
  }

  #text(text: string): void {
    // No kind of what follows is negative.
    this.word(-1 - text.length);
    for (let i = 0; i < text.length; i += 2) this.word(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
  }

  /** MurmurHash3 of all numbers, 128 bits. Equal in all processes. */
  hash(): string {
    const length = this.#length;
    while (this.#length % 4 > 0) this.word(0);
    const words = this.#words;
    let [a, b, c, d] = [length, length, length, length];
    for (let i = 0; i < length; i += 4) {
      a ^= Math.imul(turned(Math.imul(words[i]!, M1), 15), M2);
      a = (Math.imul((turned(a, 19) + b) | 0, 5) + 0x561ccd1b) | 0;
      b ^= Math.imul(turned(Math.imul(words[i + 1]!, M2), 16), M3);
      b = (Math.imul((turned(b, 17) + c) | 0, 5) + 0x0bcaa747) | 0;
      c ^= Math.imul(turned(Math.imul(words[i + 2]!, M3), 17), M4);
      c = (Math.imul((turned(c, 15) + d) | 0, 5) + 0x96cd1c35) | 0;
      d ^= Math.imul(turned(Math.imul(words[i + 3]!, M4), 18), M1);
      d = (Math.imul((turned(d, 13) + a) | 0, 5) + 0x32ac3b17) | 0;
    }
    const sum = (a + b + c + d) | 0;
    const mixed = [sum, (b + sum) | 0, (c + sum) | 0, (d + sum) | 0].map(finished);
    const all = mixed.reduce((x, y) => (x + y) | 0);
    return mixed
      .map((x, i) => (i === 0 ? all : (x + all) | 0) >>> 0)
      .map(hex)
      .join("");
  }
}

const [M1, M2, M3, M4] = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93];

const turned = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

function finished(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

const hex = (x: number): string => x.toString(16).padStart(8, "0");

function kindOf(leaf: Leaf, value: Value): number {
  if (leaf.kind === "fill" && value.data === undefined) return FILL;
  if (leaf.kind === "scalar") return leaf.varying ? VARYING : SCALAR;
  // Equal models share what only reads them, but each has its own variables: assigned ones are named by the plan.
  return leaf.kind === "state" ? STATE : INPUT;
}
