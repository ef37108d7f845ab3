// The encodings of the golden cases (test/fixtures/golden/README.md), and how values are compared with them.
import { createHash } from "node:crypto";
import { torch } from "../../extension/nn/index.ts";
import type { DType } from "../../extension/tensor/core/dtype.ts";
import { valuesOf } from "../../extension/tensor/planning/barrier.ts";
import { formatShape, numel, sameShape } from "../../extension/tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../extension/tensor/core/tensor.ts";

/** A case of a format or a feature that the library does not have. */
export class Unsupported extends Error {
  override readonly name = "Unsupported";
}

export interface JsonTensor {
  dtype: string;
  shape: number[];
  data?: (number | boolean)[];
  b64f32?: string;
  /** Wants a gradient. */
  grad?: boolean;
}

/** A big tensor by its first, last and some other values, sums and a hash. */
export interface JsonDigest {
  dtype: string;
  shape: number[];
  digest: {
    numel: number;
    first: number[];
    last: number[];
    stride: number;
    sample: number[];
    sum: number;
    sumsq: number;
    sha256: string;
  };
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** |got − expected| ≤ abs + rel · |expected|; `exact`: every bit. */
export interface Tolerance {
  readonly abs: number;
  readonly rel: number;
  readonly exact?: boolean;
}

export const EXACT: Tolerance = { abs: 0, rel: 0, exact: true };

export function isTensor(x: unknown): x is JsonTensor {
  return (
    typeof x === "object" && x !== null && "shape" in x && "dtype" in x && ("data" in x || "b64f32" in x)
  );
}

const DTYPES = new Set<string>(["float32", "int64", "bool", "complex64"] satisfies DType[]);

/**
 * Elements in order, of complex numbers pairs of real ones.
 * @throws Unsupported for element types the library doesn't have
 */
export function values({ dtype, data, b64f32 }: JsonTensor): Float32Array | Int32Array | Uint8Array {
  if (!DTYPES.has(dtype)) throw new Unsupported(`dtype ${dtype}`);
  if (b64f32 !== undefined) {
    const bytes = Uint8Array.from(Buffer.from(b64f32, "base64"));
    return new Float32Array(bytes.buffer);
  }
  const numbers = data!.map(Number);
  if (dtype === "float32" || dtype === "complex64") return Float32Array.from(numbers);
  return dtype === "int64" ? Int32Array.from(numbers) : Uint8Array.from(numbers);
}

export function decode(t: JsonTensor): Tensor {
  if (t.dtype !== "complex64") return fromHost(values(t), t.shape, t.dtype as DType);
  const all = values(t);
  const part = (at: 0 | 1): Tensor =>
    fromHost(
      Float32Array.from({ length: numel(t.shape) }, (_, i) => all[2 * i + at]!),
      t.shape,
      "float32",
    );
  return torch.complex(part(0), part(1));
}

/** Complex numbers as pairs of real ones; other tensors as they are. */
export const inPairs = (x: Tensor): Tensor => (x.isComplex() ? torch.viewAsReal(x) : x);

/** Compares a tensor with what is expected of it; answers the difference, or null. */
export function compare(got: Tensor, expected: JsonTensor | JsonDigest, tolerance: Tolerance): string | null {
  if (!sameShape(got.shape, expected.shape)) {
    return `shape ${formatShape(got.shape)} instead of ${formatShape(expected.shape)}`;
  }
  if (got.dtype !== expected.dtype) return `dtype ${got.dtype} instead of ${expected.dtype}`;
  const data = valuesOf(got.value);
  if (data.length !== numel(expected.shape)) return `${data.length} values`;
  if ("digest" in expected) return compareDigest(data, expected.digest, tolerance);
  return compareValues(data, values(expected), expected.dtype === "float32" ? tolerance : EXACT);
}

export function compareValues(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
): string | null {
  if (got.length !== expected.length) return `${got.length} values instead of ${expected.length}`;
  let worst = 0;
  let at = -1;
  for (let i = 0; i < got.length; i++) {
    const error = excess(got[i]!, expected[i]!, tolerance);
    if (error > worst) {
      worst = error;
      at = i;
    }
  }
  if (at < 0) return null;
  const times = tolerance.exact === true ? "" : ` (${worst.toPrecision(2)} times the tolerance)`;
  return `value ${at} is ${got[at]} instead of ${expected[at]}${times}`;
}

/** How many times the tolerance two numbers differ; 0 when they agree. */
function excess(got: number, expected: number, { abs, rel, exact }: Tolerance): number {
  if (Number.isNaN(expected)) return Number.isNaN(got) ? 0 : Infinity;
  if (got === expected) return 0;
  if (exact === true || !Number.isFinite(expected) || !Number.isFinite(got)) return Infinity;
  const times = Math.abs(got - expected) / (abs + rel * Math.abs(expected));
  return times > 1 ? times : 0;
}

function compareDigest(
  data: ArrayLike<number> & Iterable<number> & ArrayBufferView,
  d: JsonDigest["digest"],
  tolerance: Tolerance,
): string | null {
  if (tolerance.exact === true) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return createHash("sha256").update(bytes).digest("hex") === d.sha256 ? null : "sha256 differs";
  }
  const all = Array.from(data);
  const parts: [string, number[], number[]][] = [
    ["first", all.slice(0, d.first.length), d.first],
    ["last", all.slice(all.length - d.last.length), d.last],
    ["sample", all.filter((_, i) => i % d.stride === 0).slice(0, d.sample.length), d.sample],
  ];
  for (const [name, got, expected] of parts) {
    const difference = compareValues(got, Float32Array.from(expected), tolerance);
    if (difference !== null) return `${name}: ${difference}`;
  }
  const sum = all.reduce((s, x) => s + x, 0);
  const slack = tolerance.abs * Math.sqrt(d.numel) * 4 + Math.abs(d.sum) * 1e-6;
  if (Math.abs(sum - d.sum) > slack + 1e-9) return `sum ${sum} instead of ${d.sum}`;
  const squares = all.reduce((s, x) => s + x * x, 0);
  if (Math.abs(squares - d.sumsq) > 1e-5 * (1 + d.sumsq))
    return `sum of squares ${squares} instead of ${d.sumsq}`;
  return null;
}

/** Tensors by name, all of them; the first differences joined. */
export function compareAll(
  got: ReadonlyMap<string, Tensor>,
  expected: Readonly<Record<string, JsonTensor | JsonDigest>>,
  tolerance: Tolerance,
  what = "",
): string | null {
  const names = [...got.keys()];
  const wanted = Object.keys(expected);
  if (names.join("\n") !== wanted.join("\n")) {
    return `${what}names [${names.join(", ")}] instead of [${wanted.join(", ")}]`;
  }
  return firstOf(
    wanted.map((name) => prefixed(`${what}${name}`, compare(got.get(name)!, expected[name]!, tolerance))),
  );
}

export const prefixed = (name: string, difference: string | null): string | null =>
  difference === null ? null : `${name}: ${difference}`;

/** The first two differences. */
export function firstOf(differences: readonly (string | null)[]): string | null {
  const found = differences.filter((d) => d !== null);
  return found.length === 0 ? null : found.slice(0, 2).join("; ");
}
