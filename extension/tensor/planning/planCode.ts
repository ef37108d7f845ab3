// Encodes a plan as numbers and hashes them: as text, a graph of thousands of nodes took longer to write than to
// compute, and the texts of all graphs that a program has seen took more memory than their results.
import { hash } from "node:crypto";
import { isFill, type Leaf, type Value } from "../recording/graph.ts";

/** Codes of the kind of item that follows: no two plans write the same numbers. */
const [INPUT, STATE, FILL, SCALAR, VARYING, NODE, END, INTEGER, FLOAT, TRUE, FALSE, LIST, JSON_TEXT] = [
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
];

const DTYPES = { float32: 0, int64: 1, bool: 2, complex64: 3 };

const FLOATS = new Float64Array(1);
const BITS = new Int32Array(FLOATS.buffer);

/** Writes the numbers of one plan at a time: {@link clear} begins the next. */
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

  /** Writes a leaf without the values that may change. */
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
    // Negative, unlike every code of a kind.
    this.word(-1 - text.length);
    for (let i = 0; i < text.length; i += 2) this.word(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
  }

  /** Names the plan: equal in all processes. SHA-1 takes 2 µs for a small plan; a JavaScript loop starts slow. */
  hash(): string {
    return hash("sha1", this.#words.subarray(0, this.#length));
  }
}

function kindOf(leaf: Leaf, value: Value): number {
  if (isFill(value)) return FILL;
  if (leaf.kind === "scalar") return leaf.varying ? VARYING : SCALAR;
  // Equal models share graphs that only read them, but each has its own variables: the plan names the assigned ones.
  return leaf.kind === "state" ? STATE : INPUT;
}
