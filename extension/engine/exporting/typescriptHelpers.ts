import { RECURRENT } from "./typescriptRecurrent.ts";

/** Functions that exported TypeScript is made of, and those that they call. */
export interface Helper {
  readonly text: string;
  readonly uses?: readonly string[];
}

/** Only those that a model needs are written to its file. */
export const HELPERS: Readonly<Record<string, Helper>> = {
  map: {
    text: `
/** A function of every element. */
function map(x: Float32Array, f: (x: number) => number): Float32Array {
  return x.map((value) => f(value));
}`,
  },
  map2: {
    text: `
/** A function of the elements at the same place. */
function map2(x: Float32Array, y: Float32Array, f: (x: number, y: number) => number): Float32Array {
  return x.map((value, i) => f(value, y[i]!));
}`,
  },
  map3: {
    text: `
/** A function of the elements at the same place. */
function map3(
  x: Float32Array,
  y: Float32Array,
  z: Float32Array,
  f: (x: number, y: number, z: number) => number,
): Float32Array {
  return x.map((value, i) => f(value, y[i]!, z[i]!));
}`,
  },
  walk: {
    text: `
/** Visits elements of a shape in their order: which it is, and its place in an array with these strides. */
function walk(
  shape: readonly number[],
  strides: readonly number[],
  start: number,
  visit: (i: number, place: number) => void,
): void {
  const at = shape.map(() => 0);
  const count = shape.reduce((n, size) => n * size, 1);
  for (let i = 0, place = start; i < count; i++) {
    visit(i, place);
    for (let d = shape.length - 1; d >= 0; d--) {
      place += strides[d]!;
      if (++at[d]! < shape[d]!) break;
      place -= strides[d]! * shape[d]!;
      at[d] = 0;
    }
  }
}`,
  },
  view: {
    uses: ["walk"],
    text: `
/** Elements of x in another order, some left out or repeated. */
function view(x: Float32Array, shape: readonly number[], strides: readonly number[], start = 0): Float32Array {
  const y = new Float32Array(shape.reduce((n, size) => n * size, 1));
  walk(shape, strides, start, (i, place) => (y[i] = x[place]!));
  return y;
}`,
  },
  place: {
    uses: ["walk"],
    text: `
/** An array of \`length\` values with the elements of x, of a shape, put among them. */
function place(
  x: Float32Array,
  shape: readonly number[],
  strides: readonly number[],
  start: number,
  length: number,
  value: number,
): Float32Array {
  const y = new Float32Array(length).fill(value);
  walk(shape, strides, start, (i, at) => (y[at] = x[i]!));
  return y;
}`,
  },
  overlay: {
    uses: ["walk"],
    text: `
/** An array of \`length\` zeros with the elements of x, of a shape, added to them. */
function overlay(
  x: Float32Array,
  shape: readonly number[],
  strides: readonly number[],
  length: number,
): Float32Array {
  const y = new Float32Array(length);
  walk(shape, strides, 0, (i, at) => (y[at]! += x[i]!));
  return y;
}`,
  },
  linear: {
    text: `
/** The products of each row of x [rows, inner] with each row of the weights [columns, inner]. */
function linear(x: Float32Array, weight: Float32Array, rows: number, inner: number, columns: number): Float32Array {
  const y = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += x[i * inner + k]! * weight[j * inner + k]!;
      y[i * columns + j] = sum;
    }
  }
  return y;
}`,
  },
  matmul: {
    text: `
/** Matrix products x [batch, rows, inner] · y [batch, inner, columns]. */
function matmul(
  x: Float32Array,
  y: Float32Array,
  batch: number,
  rows: number,
  inner: number,
  columns: number,
): Float32Array {
  const z = new Float32Array(batch * rows * columns);
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let k = 0; k < inner; k++)
          sum += x[(n * rows + i) * inner + k]! * y[(n * inner + k) * columns + j]!;
        z[(n * rows + i) * columns + j] = sum;
      }
    }
  }
  return z;
}`,
  },
  reduce: {
    text: `
/** One number of each row of \`width\` numbers. */
function reduce(x: Float32Array, width: number, f: (row: Float32Array) => number): Float32Array {
  return Float32Array.from({ length: x.length / width }, (_, i) => f(x.subarray(i * width, (i + 1) * width)));
}`,
  },
  eachRow: {
    text: `
/** Each row of \`width\` numbers made another row. */
function eachRow(x: Float32Array, width: number, f: (row: Float32Array) => Float32Array): Float32Array {
  const y = new Float32Array(x.length);
  for (let at = 0; at < x.length; at += width) y.set(f(x.subarray(at, at + width)), at);
  return y;
}`,
  },
  sum: {
    text: `
function sum(row: Float32Array): number {
  let total = 0;
  for (const x of row) total += x;
  return total;
}`,
  },
  product: {
    text: `
const product = (row: Float32Array): number => row.reduce((total, x) => total * x, 1);`,
  },
  mean: {
    uses: ["sum"],
    text: `
const mean = (row: Float32Array): number => sum(row) / row.length;`,
  },
  max: {
    text: `
const max = (row: Float32Array): number => row.reduce((most, x) => Math.max(most, x), -Infinity);`,
  },
  min: {
    text: `
const min = (row: Float32Array): number => row.reduce((least, x) => Math.min(least, x), Infinity);`,
  },
  norm: {
    text: `
/** Euclidean length. */
function norm(row: Float32Array): number {
  let total = 0;
  for (const x of row) total += x * x;
  return Math.sqrt(total);
}`,
  },
  argmax: {
    text: `
const argmax = (row: Float32Array): number => row.reduce((best, x, i) => (x > row[best]! ? i : best), 0);`,
  },
  argmin: {
    text: `
const argmin = (row: Float32Array): number => row.reduce((best, x, i) => (x < row[best]! ? i : best), 0);`,
  },
  softmax: {
    uses: ["max", "sum"],
    text: `
function softmax(row: Float32Array): Float32Array {
  const most = max(row);
  const powers = row.map((x) => Math.exp(x - most));
  const total = sum(powers);
  return powers.map((x) => x / total);
}`,
  },
  logSoftmax: {
    uses: ["max", "sum"],
    text: `
function logSoftmax(row: Float32Array): Float32Array {
  const most = max(row);
  const logTotal = Math.log(sum(row.map((x) => Math.exp(x - most))));
  return row.map((x) => x - most - logTotal);
}`,
  },
  normalized: {
    uses: ["mean"],
    text: `
/** With mean 0 and variance 1. */
function normalized(row: Float32Array, epsilon: number): Float32Array {
  const center = mean(row);
  const deviation = Math.sqrt(mean(row.map((x) => (x - center) ** 2)) + epsilon);
  return row.map((x) => (x - center) / deviation);
}`,
  },
  cumulative: {
    text: `
/** Running sums. */
function cumulative(row: Float32Array): Float32Array {
  let total = 0;
  return row.map((x) => (total += x));
}`,
  },
  largest: {
    text: `
/** The indices of the k largest numbers, the largest first. */
function largest(row: Float32Array, k: number): number[] {
  return Array.from(row.keys())
    .sort((i, j) => row[j]! - row[i]! || i - j)
    .slice(0, k);
}`,
  },
  topk: {
    uses: ["largest"],
    text: `
/** The k largest numbers of each row, and where they are. */
function topk(x: Float32Array, width: number, k: number): [values: Float32Array, indices: Float32Array] {
  const indices = new Float32Array((x.length / width) * k);
  for (let row = 0; row * width < x.length; row++)
    indices.set(largest(x.subarray(row * width, (row + 1) * width), k), row * k);
  return [indices.map((index, i) => x[Math.floor(i / k) * width + index]!), indices];
}`,
  },
  gather: {
    text: `
/** Of each of \`outer\` blocks of \`size\` rows of \`inner\` numbers, the rows of these indices. */
function gather(x: Float32Array, indices: Float32Array, outer: number, size: number, inner: number): Float32Array {
  const y = new Float32Array(outer * indices.length * inner);
  for (let block = 0; block < outer; block++) {
    indices.forEach((given, i) => {
      const index = given < 0 ? given + size : given;
      if (!(index >= 0 && index < size)) throw new RangeError(\`index \${given} is out of range: there are \${size}\`);
      const from = (block * size + index) * inner;
      y.set(x.subarray(from, from + inner), (block * indices.length + i) * inner);
    });
  }
  return y;
}`,
  },
  pick: {
    text: `
/** Of each row of \`width\` numbers, those of \`count\` indices of its own. */
function pick(x: Float32Array, indices: Float32Array, width: number, count: number): Float32Array {
  return indices.map((index, i) => x[Math.floor(i / count) * width + index]!);
}`,
  },
  concat: {
    text: `
/** Parts side by side: of each in turn as many numbers as its width says. */
function concat(parts: readonly Float32Array[], widths: readonly number[]): Float32Array {
  const y = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  for (let row = 0, at = 0; at < y.length; row++) {
    parts.forEach((part, i) => {
      const width = widths[i]!;
      y.set(part.subarray(row * width, (row + 1) * width), at);
      at += width;
    });
  }
  return y;
}`,
  },
  roundEven: {
    text: `
/** To the nearest integer, halves to the even one. */
function roundEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}`,
  },
  sigmoid: {
    text: `
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));`,
  },
  erf: {
    text: `
/** The error function: its series near 0, a continued fraction far from it. */
function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let [term, total] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n++) {
      term *= (-x * x) / n;
      total += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * total;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * (size + fraction)));
}`,
  },
  ...RECURRENT,
};

/** Helpers and what they call, each once, in the order of the table. */
export function withUses(names: Iterable<string>): string[] {
  const found = new Set(names);
  // A set hands out what is added to it on the way.
  for (const name of found) for (const used of HELPERS[name]!.uses ?? []) found.add(used);
  return Object.keys(HELPERS).filter((name) => found.has(name));
}
