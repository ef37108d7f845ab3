// The functions of torch.fft. Transforms over several dimensions take them one after another.
import { TensorError } from "../core/errors.ts";
import { range } from "../core/shape.ts";
import type { Tensor } from "../core/tensor.ts";
import { ComplexTensor } from "../complex/complexTensor.ts";
import { called } from "../complex/functions.ts";
import { complexOf, partwise } from "../complex/parts.ts";
import { tensor, zeros } from "../functions/creation/creation.ts";
import type { TensorOptions } from "../functions/creation/options.ts";
import { composed, named, type Dims } from "../functions/pointwise/operands.ts";
import { roll } from "../functions/shape/shape.ts";
import { complexToComplex, halfToReal, realToHalf, type Parts } from "./dft.ts";
import {
  along,
  checkedDim,
  checkedLength,
  dimensions,
  partsFrom,
  realInput,
  resized,
  scaleOf,
  type Norm,
} from "./dims.ts";
import { half, type Sign } from "./tables.ts";

export type { Norm } from "./dims.ts";

/** A length, or null for that of the input. */
type Length = number | null;
/** Lengths along the dimensions, or null for those of the input. */
type Lengths = Dims | null;

/** The last two dimensions. */
const LAST_TWO = [-2, -1];

interface Plan {
  readonly dims: readonly number[];
  readonly lengths: readonly number[];
  readonly norm: Norm | null | undefined;
  /** −1 for forward transforms. */
  readonly sign: Sign;
}

const one = (x: Tensor, n: Length | undefined, dim: number): Pick<Plan, "dims" | "lengths"> => {
  const at = checkedDim(dim, x.ndim);
  return { dims: [at], lengths: [n ?? x.shape[at]!] };
};

/** Complex transforms of parts along some of the dimensions of a plan. */
function transformed(x: Parts, { dims, lengths, norm, sign }: Plan, count = dims.length): Parts {
  let y = x;
  for (let i = 0; i < count; i++) y = resized(y, dims[i]!, lengths[i]!);
  for (let i = 0; i < count; i++) {
    const scale = scaleOf(norm, lengths[i]!, sign < 0);
    y = along(y, dims[i]!, (part) => complexToComplex(part, sign, scale));
  }
  return y;
}

function complexTransform(input: Tensor, plan: Plan): Tensor {
  plan.lengths.forEach(checkedLength);
  scaleOf(plan.norm, 1, true);
  const z = complexOf(() => {
    const { re, im } = transformed(partsFrom(input), plan);
    return [re, im ?? zeros(re.shape)];
  });
  return called("FftC2CBackward0", z);
}

/** Half the spectrum of real numbers along the last dimension of a plan, then complex transforms along the others. */
function halfTransform(name: string, gradient: string, input: Tensor, plan: Plan): Tensor {
  const x = realInput(name, input);
  const { dims, lengths, norm, sign } = plan;
  if (dims.length === 0) throw new TensorError("value", `${name} must transform at least one axis`);
  lengths.forEach(checkedLength);
  const [dim, n] = [dims.at(-1)!, lengths.at(-1)!];
  const scale = scaleOf(norm, n, sign < 0);
  const z = complexOf(() => {
    const given = resized({ re: x, im: undefined }, dim, n);
    const first = along(given, dim, ({ re }) => realToHalf(re, sign, scale));
    const { re, im } = transformed(first, plan, dims.length - 1);
    return [re, im!];
  });
  return called(gradient, z);
}

/** The real numbers of half a spectrum along the last dimension of a plan, after complex transforms along the others. */
function realTransform(name: string, input: Tensor, plan: Plan, last: Length | undefined): Tensor {
  const { dims, lengths, norm, sign } = plan;
  if (dims.length === 0) throw new TensorError("value", `${name} must transform at least one axis`);
  const dim = dims.at(-1)!;
  const n = checkedLength(last ?? 2 * (input.shape[dim]! - 1));
  lengths.slice(0, -1).forEach(checkedLength);
  const scale = scaleOf(norm, n, sign < 0);
  return composed(() => {
    const others = transformed(partsFrom(input), plan, dims.length - 1);
    const given = resized(others, dim, half(n));
    const { re } = along(given, dim, (x) => ({ re: halfToReal(x, n, sign, scale), im: undefined }));
    return named(re, "FftC2RBackward0");
  });
}

/** The length of the last dimension of several, if one is given: that of the input is half of it. */
function lastOf(s: Lengths | undefined): number | undefined {
  const length = typeof s === "number" ? s : s?.at(-1);
  return length === -1 ? undefined : length;
}

const several = (x: Tensor, s: Lengths | undefined, dim: Dims | null | undefined) =>
  dimensions(x.shape, s, dim);

/**
 * The discrete Fourier transform of a complex or real signal.
 * @param n length of the signal, which is cut off or padded with zeros; by default that of the dimension
 * @param dim default -1
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, of the input's shape but for the lengths given
 * @throws TensorError "Invalid number of data points (0) specified", 'Invalid normalization mode: "x"'
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.fft.html
 */
export const fft = (input: Tensor, n?: Length, dim = -1, norm?: Norm | null): Tensor =>
  complexTransform(input, { ...one(input, n, dim), norm, sign: -1 });

/**
 * The inverse of {@link fft}.
 * @param n length of the signal, which is cut off or padded with zeros; by default that of the dimension
 * @param dim default -1
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, of the input's shape but for the lengths given
 * @throws TensorError "Invalid number of data points (0) specified", 'Invalid normalization mode: "x"'
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.ifft.html
 */
export const ifft = (input: Tensor, n?: Length, dim = -1, norm?: Norm | null): Tensor =>
  complexTransform(input, { ...one(input, n, dim), norm, sign: 1 });

/**
 * The transform of a real signal, without the half that mirrors the other.
 * @param n length of the signal, which is cut off or padded with zeros; by default that of the dimension
 * @param dim default -1
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, with n / 2 + 1 elements along the last of the dimensions
 * @throws TensorError "rfft expects a real input tensor, but got ComplexFloat"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.rfft.html
 */
export const rfft = (input: Tensor, n?: Length, dim = -1, norm?: Norm | null): Tensor =>
  halfTransform("rfft", "FftR2CBackward0", input, { ...one(input, n, dim), norm, sign: -1 });

/**
 * The inverse of {@link rfft}: the real signal of half a spectrum. An odd length must be given.
 * @param n length of the result; 2 · (m − 1) by default for m input elements
 * @param dim default -1
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns real
 * @throws TensorError "Invalid number of data points (0) specified", 'Invalid normalization mode: "x"'
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.irfft.html
 */
export const irfft = (input: Tensor, n?: Length, dim = -1, norm?: Norm | null): Tensor =>
  realTransform("irfft", input, { ...one(input, n, dim), norm, sign: 1 }, n);

/**
 * The transform of a signal that is the conjugate of its mirror image, of which the first half is given.
 * @param n length of the result; 2 · (m − 1) by default for m input elements
 * @param dim default -1
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns real
 * @throws TensorError "Invalid number of data points (0) specified", 'Invalid normalization mode: "x"'
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.hfft.html
 */
export const hfft = (input: Tensor, n?: Length, dim = -1, norm?: Norm | null): Tensor =>
  realTransform("hfft", input, { ...one(input, n, dim), norm, sign: -1 }, n);

/**
 * The inverse of {@link hfft}.
 * @param n length of the signal, which is cut off or padded with zeros; by default that of the dimension
 * @param dim default -1
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, with n / 2 + 1 elements along the last of the dimensions
 * @throws TensorError "ihfft expects a real input tensor, but got ComplexFloat"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.ihfft.html
 */
export const ihfft = (input: Tensor, n?: Length, dim = -1, norm?: Norm | null): Tensor =>
  halfTransform("ihfft", "ConjBackward0", input, { ...one(input, n, dim), norm, sign: 1 });

/**
 * The discrete Fourier transform over two dimensions.
 * @param s lengths along the dimensions, which are cut off or padded with zeros; by default, or where -1, those of the input
 * @param dim default [-2, -1]
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, of the input's shape but for the lengths given
 * @throws TensorError "FFT dims must be unique", "When given, dim and shape arguments must have the same length"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.fft2.html
 */
export const fft2 = (input: Tensor, s?: Lengths, dim: Dims = LAST_TWO, norm?: Norm | null): Tensor =>
  complexTransform(input, { ...several(input, s, dim), norm, sign: -1 });

/**
 * The inverse of {@link fft2}.
 * @param s lengths along the dimensions, which are cut off or padded with zeros; by default, or where -1, those of the input
 * @param dim default [-2, -1]
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, of the input's shape but for the lengths given
 * @throws TensorError "FFT dims must be unique", "When given, dim and shape arguments must have the same length"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.ifft2.html
 */
export const ifft2 = (input: Tensor, s?: Lengths, dim: Dims = LAST_TWO, norm?: Norm | null): Tensor =>
  complexTransform(input, { ...several(input, s, dim), norm, sign: 1 });

/**
 * The transform of real numbers over two dimensions, without the half of the last that mirrors the other.
 * @param s lengths along the dimensions, which are cut off or padded with zeros; by default, or where -1, those of the input
 * @param dim default [-2, -1]
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, with n / 2 + 1 elements along the last of the dimensions
 * @throws TensorError "rfftn expects a real-valued input tensor, but got ComplexFloat"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.rfft2.html
 */
export const rfft2 = (input: Tensor, s?: Lengths, dim: Dims = LAST_TWO, norm?: Norm | null): Tensor =>
  halfTransform("rfftn", "FftR2CBackward0", input, { ...several(input, s, dim), norm, sign: -1 });

/**
 * The inverse of {@link rfft2}. An odd length of the last dimension must be given.
 * @param s lengths of the result along the dimensions; by default those of the input, of the last 2 · (m − 1)
 * @param dim default [-2, -1]
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns real
 * @throws TensorError "FFT dims must be unique", "When given, dim and shape arguments must have the same length"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.irfft2.html
 */
export const irfft2 = (input: Tensor, s?: Lengths, dim: Dims = LAST_TWO, norm?: Norm | null): Tensor =>
  realTransform("irfftn", input, { ...several(input, s, dim), norm, sign: 1 }, lastOf(s));

/**
 * {@link hfft} over the last of two dimensions, and {@link fft} over the others.
 * @param s lengths of the result along the dimensions; by default those of the input, of the last 2 · (m − 1)
 * @param dim default [-2, -1]
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns real
 * @throws TensorError "FFT dims must be unique", "When given, dim and shape arguments must have the same length"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.hfft2.html
 */
export const hfft2 = (input: Tensor, s?: Lengths, dim: Dims = LAST_TWO, norm?: Norm | null): Tensor =>
  realTransform("hfftn", input, { ...several(input, s, dim), norm, sign: -1 }, lastOf(s));

/**
 * The inverse of {@link hfft2}.
 * @param s lengths along the dimensions, which are cut off or padded with zeros; by default, or where -1, those of the input
 * @param dim default [-2, -1]
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, with n / 2 + 1 elements along the last of the dimensions
 * @throws TensorError "ihfftn expects a real-valued input tensor, but got ComplexFloat"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.ihfft2.html
 */
export const ihfft2 = (input: Tensor, s?: Lengths, dim: Dims = LAST_TWO, norm?: Norm | null): Tensor =>
  halfTransform("ihfftn", "ConjBackward0", input, { ...several(input, s, dim), norm, sign: 1 });

/**
 * The discrete Fourier transform over several dimensions.
 * @param s lengths along the dimensions, which are cut off or padded with zeros; by default, or where -1, those of the input
 * @param dim by default the last of as many as `s` has, or all
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, of the input's shape but for the lengths given
 * @throws TensorError "FFT dims must be unique", "When given, dim and shape arguments must have the same length"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.fftn.html
 */
export const fftn = (input: Tensor, s?: Lengths, dim?: Dims | null, norm?: Norm | null): Tensor =>
  complexTransform(input, { ...several(input, s, dim), norm, sign: -1 });

/**
 * The inverse of {@link fftn}.
 * @param s lengths along the dimensions, which are cut off or padded with zeros; by default, or where -1, those of the input
 * @param dim by default the last of as many as `s` has, or all
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, of the input's shape but for the lengths given
 * @throws TensorError "FFT dims must be unique", "When given, dim and shape arguments must have the same length"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.ifftn.html
 */
export const ifftn = (input: Tensor, s?: Lengths, dim?: Dims | null, norm?: Norm | null): Tensor =>
  complexTransform(input, { ...several(input, s, dim), norm, sign: 1 });

/**
 * The transform of real numbers over several dimensions, without the half of the last that mirrors the other.
 * @param s lengths along the dimensions, which are cut off or padded with zeros; by default, or where -1, those of the input
 * @param dim by default the last of as many as `s` has, or all
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, with n / 2 + 1 elements along the last of the dimensions
 * @throws TensorError "rfftn expects a real-valued input tensor, but got ComplexFloat"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.rfftn.html
 */
export const rfftn = (input: Tensor, s?: Lengths, dim?: Dims | null, norm?: Norm | null): Tensor =>
  halfTransform("rfftn", "FftR2CBackward0", input, { ...several(input, s, dim), norm, sign: -1 });

/**
 * The inverse of {@link rfftn}. An odd length of the last dimension must be given.
 * @param s lengths of the result along the dimensions; by default those of the input, of the last 2 · (m − 1)
 * @param dim by default the last of as many as `s` has, or all
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns real
 * @throws TensorError "FFT dims must be unique", "When given, dim and shape arguments must have the same length"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.irfftn.html
 */
export const irfftn = (input: Tensor, s?: Lengths, dim?: Dims | null, norm?: Norm | null): Tensor =>
  realTransform("irfftn", input, { ...several(input, s, dim), norm, sign: 1 }, lastOf(s));

/**
 * {@link hfft} over the last of several dimensions, and {@link fft} over the others.
 * @param s lengths of the result along the dimensions; by default those of the input, of the last 2 · (m − 1)
 * @param dim by default the last of as many as `s` has, or all
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns real
 * @throws TensorError "FFT dims must be unique", "When given, dim and shape arguments must have the same length"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.hfftn.html
 */
export const hfftn = (input: Tensor, s?: Lengths, dim?: Dims | null, norm?: Norm | null): Tensor =>
  realTransform("hfftn", input, { ...several(input, s, dim), norm, sign: -1 }, lastOf(s));

/**
 * The inverse of {@link hfftn}.
 * @param s lengths along the dimensions, which are cut off or padded with zeros; by default, or where -1, those of the input
 * @param dim by default the last of as many as `s` has, or all
 * @param norm which direction has the factor 1/n: "backward" (default: the inverse), "forward", or "ortho" (√ of it each)
 * @returns complex, with n / 2 + 1 elements along the last of the dimensions
 * @throws TensorError "ihfftn expects a real-valued input tensor, but got ComplexFloat"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.ihfftn.html
 */
export const ihfftn = (input: Tensor, s?: Lengths, dim?: Dims | null, norm?: Norm | null): Tensor =>
  halfTransform("ihfftn", "ConjBackward0", input, { ...several(input, s, dim), norm, sign: 1 });

/** The first `count` frequencies of n, of which those from `negative` on are negative. */
function frequencies(
  [count, negative]: readonly [number, number],
  n: number,
  d: number,
  options?: TensorOptions,
): Tensor {
  const data = new Float32Array(count);
  for (let k = 0; k < count; k++) data[k] = (k < negative ? k : k - n) / (n * d);
  return tensor(data, { dtype: "float32", ...options });
}

/**
 * The frequencies of {@link fft}, in cycles per unit: [0, 1, …, (n − 1) / 2, −n / 2, …, −1] / (n · d).
 * @param n length of the signal
 * @param d distance between two samples; default 1
 * @returns [n], float32
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.fftfreq.html
 */
export function fftfreq(n: number, d = 1, options?: TensorOptions): Tensor {
  return frequencies([n, Math.ceil(n / 2)], n, d, options);
}

/**
 * The frequencies of {@link rfft}, in cycles per unit: [0, 1, …, n / 2] / (n · d).
 * @param n length of the signal
 * @param d distance between two samples; default 1
 * @returns [n / 2 + 1], float32
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.rfftfreq.html
 */
export const rfftfreq = (n: number, d = 1, options?: TensorOptions): Tensor =>
  frequencies([half(n), half(n)], n, d, options);

const shifting =
  (shift: (n: number) => number) =>
  (input: Tensor, dim?: Dims | null): Tensor => {
    const given = typeof dim === "number" ? [dim] : (dim ?? range(input.ndim));
    const dims = given.map((d) => checkedDim(d, input.ndim));
    const shifts = dims.map((d) => shift(input.shape[d]!));
    if (!(input instanceof ComplexTensor)) return roll(input, shifts, dims);
    return partwise(roll)(input, shifts, dims) as Tensor;
  };

/**
 * Spectra with the frequency 0 moved to the middle of the dimensions, all by default.
 * @returns of the input's shape and type
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.fftshift.html
 */
export const fftshift = shifting((n) => Math.floor(n / 2));

/**
 * The inverse of {@link fftshift}.
 * @returns of the input's shape and type
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fft.ifftshift.html
 */
export const ifftshift = shifting((n) => Math.ceil(n / 2));
