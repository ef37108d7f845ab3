// Tensors as PyTorch prints them: the rules of torch/_tensor_str.py.
import { gradientFunction } from "../recording/op.ts";
import { hasExecutor, valuesOf } from "../planning/barrier.ts";
import { numel, strides, type Shape } from "./shape.ts";
import { ComplexTensor, holdersOf } from "../complex/complexTensor.ts";
import { SparseTensor } from "../sparse/sparseTensor.ts";
import { Parameter, type Tensor } from "./tensor.ts";

/** How tensors are printed. */
export interface PrintOptions {
  /** Digits after the point. Default 4. */
  precision: number;
  /** Number of elements from which on only the edges are printed. Default 1000. */
  threshold: number;
  /** Elements at each edge of a dimension that is not printed in full. Default 3. */
  edgeitems: number;
  /** Characters per line. Default 80. */
  linewidth: number;
  /** Scientific notation: always, never, or (null) where the values call for it. */
  sciMode: boolean | null;
}

const DEFAULTS: Readonly<PrintOptions> = {
  precision: 4,
  threshold: 1000,
  edgeitems: 3,
  linewidth: 80,
  sciMode: null,
};
const PROFILES = {
  default: DEFAULTS,
  short: { ...DEFAULTS, precision: 2, edgeitems: 2 },
  full: { ...DEFAULTS, threshold: Infinity },
};

let current: PrintOptions = DEFAULTS;

/** Changes how tensors are printed from here on. `sciMode` returns to null unless it is given, as in PyTorch. */
export function setPrintOptions(options: Partial<PrintOptions> & { profile?: keyof typeof PROFILES }): void {
  const { profile, ...given } = options;
  const base = profile === undefined ? current : PROFILES[profile];
  current = { ...base, sciMode: null, ...given };
}

/** The options in use. */
export function getPrintOptions(): PrintOptions {
  return { ...current };
}

/** A tensor as PyTorch prints it. Computes its values; in the preview, which doesn't, they show as `...`. */
export function formatTensor(x: Tensor): string {
  if (x instanceof SparseTensor) return formatSparse(x);
  const prefix = "tensor(";
  const { shape } = x;
  const suffixes: string[] = [];
  let text: string;
  if (!hasExecutor() && holdersOf(x).some(({ value }) => value.data === undefined)) {
    suffixes.push(`size=${tuple(shape)}`);
    if (x.dtype !== "float32") suffixes.push(`dtype=torch.${x.dtype}`);
    text = "...";
  } else if (numel(shape) === 0) {
    if (shape.length !== 1) suffixes.push(`size=${tuple(shape)}`);
    if (x.dtype !== "float32") suffixes.push(`dtype=torch.${x.dtype}`);
    text = "[]";
  } else {
    if (current.edgeitems === 0) suffixes.push(`size=${tuple(shape)}`);
    text = new Printer(x).print(prefix.length);
  }
  const gradient = gradientName(x);
  if (gradient !== undefined) suffixes.push(`grad_fn=<${gradient}>`);
  else if (x.requiresGrad) suffixes.push("requires_grad=True");
  const result = withSuffixes(prefix + text, suffixes, prefix.length);
  return x instanceof Parameter ? `Parameter containing:\n${result}` : result;
}

function formatSparse(x: SparseTensor): string {
  const part = (name: string, t: Tensor): string => {
    const prefix = `${name}=tensor(`;
    if (t.numel() === 0) return `${prefix}[], size=${tuple(t.shape)})`;
    return `${prefix}${hasExecutor() ? new Printer(t).print("tensor(".length + prefix.length) : "..."})`;
  };
  const indent = "tensor(".length;
  const text = `tensor(${part("indices", x.places)},\n${" ".repeat(indent)}${part("values", x.stored)}`;
  const suffixes = [`size=${tuple(x.shape)}`, `nnz=${x.nnz}`, "layout=torch.sparse_coo"];
  if (x.requiresGrad) suffixes.push(`grad_fn=<${x.gradName}>`);
  return withSuffixes(text, suffixes, indent, true);
}

/** PyTorch's name of the function whose gradient a tensor carries. */
export function gradientName(x: Tensor): string | undefined {
  if (x instanceof ComplexTensor) {
    return x.isLeaf ? undefined : (x.gradName ?? gradientName(x.re) ?? gradientName(x.im));
  }
  if (!x.requiresGrad || x.edge?.node === undefined) return undefined;
  return x.edge.name ?? gradientFunction(x.edge.node.op);
}

/** A shape as Python prints a tuple: `(3,)`. */
function tuple(shape: Shape): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
}

function withSuffixes(text: string, suffixes: readonly string[], indent: number, ownLine = false): string {
  let out = text;
  let length = ownLine ? Infinity : text.length - text.lastIndexOf("\n") + 1;
  for (const suffix of suffixes) {
    if (length + suffix.length + 2 > current.linewidth) {
      out += `,\n${" ".repeat(indent)}${suffix}`;
      length = indent + suffix.length;
    } else {
      out += `, ${suffix}`;
      length += suffix.length + 2;
    }
  }
  return `${out})`;
}

/** How the element at a position is written, and at most how wide. */
interface ElementFormat {
  readonly text: (at: number) => string;
  readonly width: number;
}

/** One format for all elements, chosen by those that are shown. */
function elementFormat(x: Tensor, shown: readonly number[]): ElementFormat {
  if (x instanceof ComplexTensor) {
    const [re, im] = [elementFormat(x.re, shown), elementFormat(x.im, shown)];
    const signed = (text: string): string => (text.startsWith("-") ? text : `+${text}`);
    return {
      text: (at) => `${re.text(at)}${signed(im.text(at).trimStart())}j`,
      width: re.width + im.width + 1,
    };
  }
  const all = valuesOf(x.value);
  const values = shown.map((at) => all[at]!);
  const format =
    x.dtype === "float32"
      ? floatFormat(values)
      : x.dtype === "bool"
        ? (v: number): string => (v === 0 ? "False" : "True")
        : (v: number): string => String(v);
  // Of floats only those that are neither 0 nor infinite nor NaN decide on the width.
  const measured = x.dtype === "float32" ? values.filter((v) => v !== 0 && Number.isFinite(v)) : values;
  const width = measured.reduce((n, v) => Math.max(n, format(v).length), 1);
  return { text: (at) => format(all[at]!).padStart(width), width };
}

class Printer {
  readonly #shape: Shape;
  readonly #steps: readonly number[];
  readonly #summarize: boolean;
  readonly #format: ElementFormat;

  constructor(x: Tensor) {
    this.#shape = x.shape;
    this.#steps = strides(x.shape);
    this.#summarize = numel(x.shape) > current.threshold;
    const shown: number[] = [];
    this.#collect(0, 0, shown);
    this.#format = elementFormat(x, shown);
  }

  print(indent: number): string {
    return this.#shape.length === 0 ? this.#format.text(0) : this.#block(0, 0, indent);
  }

  /** Whether dimension `dim` shows its edges only. */
  #cut(dim: number): boolean {
    return this.#summarize && this.#shape[dim]! > 2 * current.edgeitems;
  }

  /** Indices of dimension `dim` that are shown. */
  #indices(dim: number): number[] {
    const n = this.#shape[dim]!;
    const edge = current.edgeitems;
    if (!this.#cut(dim)) return Array.from({ length: n }, (_, i) => i);
    return Array.from({ length: 2 * edge }, (_, i) => (i < edge ? i : n - 2 * edge + i));
  }

  #collect(dim: number, at: number, out: number[]): void {
    if (dim === this.#shape.length) {
      out.push(at);
      return;
    }
    for (const i of this.#indices(dim)) this.#collect(dim + 1, at + i * this.#steps[dim]!, out);
  }

  #block(dim: number, at: number, indent: number): string {
    const left = this.#shape.length - dim;
    if (left === 1) return this.#vector(at, indent);
    const parts = this.#indices(dim).map((i) => this.#block(dim + 1, at + i * this.#steps[dim]!, indent + 1));
    if (this.#cut(dim)) parts.splice(current.edgeitems, 0, "...");
    return `[${parts.join(`,${"\n".repeat(left - 1)}${" ".repeat(indent + 1)}`)}]`;
  }

  #vector(at: number, indent: number): string {
    const dim = this.#shape.length - 1;
    const items = this.#indices(dim).map((i) => this.#format.text(at + i));
    if (this.#summarize && current.edgeitems === 0) items.splice(0, items.length, "...");
    else if (this.#cut(dim)) items.splice(current.edgeitems, 0, " ...");
    const perLine = Math.max(1, Math.floor((current.linewidth - indent) / (this.#format.width + 2)));
    const lines: string[] = [];
    for (let i = 0; i < items.length; i += perLine) lines.push(items.slice(i, i + perLine).join(", "));
    return `[${lines.join(`,\n${" ".repeat(indent + 1)}`)}]`;
  }
}

/** One format for all floats of a tensor: whole numbers with a point, decimals, or scientific notation. */
function floatFormat(values: readonly number[]): (value: number) => string {
  const { precision, sciMode } = current;
  let smallest = Infinity;
  let largest = 0;
  let whole = true;
  for (const v of values) {
    if (v === 0 || !Number.isFinite(v)) continue;
    smallest = Math.min(smallest, Math.abs(v));
    largest = Math.max(largest, Math.abs(v));
    whole &&= Number.isInteger(v);
  }
  const scientific =
    largest > 0 && (sciMode ?? (largest / smallest > 1000 || largest > 1e8 || smallest < 1e-4));
  return (value) => {
    if (Number.isNaN(value)) return "nan";
    if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
    if (scientific) return exponential(value, precision);
    return whole ? `${fixed(value, 0)}.` : fixed(value, precision);
  };
}

const minus = (value: number): string => (value < 0 || Object.is(value, -0) ? "-" : "");

/** Python's `{:.4f}`: halves, which only exact ones are, go to the even digit. */
function fixed(value: number, digits: number): string {
  const size = Math.abs(value);
  if (size >= 1e21)
    return minus(value) + BigInt(size).toString() + (digits > 0 ? `.${"0".repeat(digits)}` : "");
  const tie = Number.isInteger(size * 2 ** (digits + 1)) && !Number.isInteger(size * 2 ** digits);
  const text = size.toFixed(digits);
  return minus(value) + (tie && odd(text) ? size.toFixed(digits + 1).replace(/\.?\d$/, "") : text);
}

/** Python's `{:.4e}`: at least two digits of exponent, halves to the even digit. */
function exponential(value: number, digits: number): string {
  const size = Math.abs(value);
  let text = size.toExponential(digits);
  const exact = size.toExponential(Math.min(100, digits + 30));
  const [mantissa, exponent] = exact.split("e") as [string, string];
  if (/^50*$/.test(mantissa.slice(digits + 2)) && Number(exact) === size) {
    const cut = mantissa.slice(0, digits === 0 ? 1 : digits + 2);
    if (!odd(cut)) text = `${cut}e${exponent}`;
  }
  const [m, e] = text.split("e") as [string, string];
  const power = Number(e);
  return `${minus(value)}${m}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

const odd = (digits: string): boolean => Number(digits[digits.length - 1]) % 2 === 1;
