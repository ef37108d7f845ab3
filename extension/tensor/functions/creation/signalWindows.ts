// Windows of torch.signal.windows: symmetric by default, where torch.hannWindow and its like are periodic.
import { filled } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import type { Tensor } from "../../core/tensor.ts";
import { ones, tensor, zeros } from "./creation.ts";
import { checkOptions, type TensorOptions } from "./options.ts";
import { bartlettWindow, kaiserWindow } from "./windows.ts";

/** Options of every window. */
export interface WindowOptions extends TensorOptions {
  /** Whether the window is symmetric, as filters need it, rather than periodic, as spectra do. Default true. */
  sym?: boolean;
}

/** @throws TensorError "hann requires non-negative window length, got M=-1" */
function check(name: string, M: number, options: WindowOptions): void {
  const { dtype } = options;
  checkOptions(options);
  if (!(M >= 0)) throw new TensorError("value", `${name} requires non-negative window length, got M=${M}`);
  if (dtype !== undefined && dtype !== "float32")
    throw new TensorError("value", `${name} expects float32 or float64 dtypes, got: torch.${dtype}`);
}

function windowOf(name: string, M: number, options: WindowOptions, at: (i: number) => number): Tensor {
  check(name, M, options);
  return M === 0 ? zeros([0], options) : tensor(filled(new Float32Array(M), at), options);
}

/** The length that a window is part of: a periodic one is a longer one's beginning. */
const whole = (M: number, { sym = true }: WindowOptions): number => (sym || M <= 1 ? M : M + 1);

function positive(what: string, x: number): void {
  if (!(x > 0)) throw new TensorError("value", `${what} must be positive, got: ${x} instead.`);
}

/**
 * Σ (−1)ʲ aⱼ cos(2πij / (M − 1)), float32 of `M` values.
 * @throws TensorError "Coefficients cannot be empty"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.general_cosine.html
 */
export function generalCosine(M: number, options: WindowOptions & { a: readonly number[] }): Tensor {
  const { a, ...rest } = options;
  check("general_cosine", M, rest);
  if (M === 1) return ones([1], rest);
  if (M > 0 && a.length === 0) throw new TensorError("value", "Coefficients cannot be empty");
  const angle = (2 * Math.PI) / (whole(M, rest) - 1);
  return windowOf("general_cosine", M, rest, (i) =>
    a.reduce((sum, factor, j) => sum + (j % 2 === 0 ? factor : -factor) * Math.cos(i * j * angle), 0),
  );
}

/**
 * alpha − (1 − alpha) · cos(2πi / (M − 1)), float32 of `M` values. `alpha` is 0.54 by default.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.general_hamming.html
 */
export function generalHamming(M: number, options: WindowOptions & { alpha?: number } = {}): Tensor {
  const { alpha = 0.54, ...rest } = options;
  return generalCosine(M, { a: [alpha, 1 - alpha], ...rest });
}

/**
 * Hamming's window, float32 of `M` values: {@link generalHamming} with alpha 0.54.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.hamming.html
 */
export const hamming = (M: number, options: WindowOptions = {}): Tensor => generalHamming(M, options);

/**
 * Hann's window, float32 of `M` values: {@link generalHamming} with alpha 0.5.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.hann.html
 */
export const hann = (M: number, options: WindowOptions = {}): Tensor =>
  generalHamming(M, { ...options, alpha: 0.5 });

/**
 * Blackman's window, float32 of `M` values.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.blackman.html
 */
export const blackman = (M: number, options: WindowOptions = {}): Tensor =>
  generalCosine(M, { ...options, a: [0.42, 0.5, 0.08] });

/**
 * Nuttall's window of four terms, float32 of `M` values.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.nuttall.html
 */
export const nuttall = (M: number, options: WindowOptions = {}): Tensor =>
  generalCosine(M, { ...options, a: [0.3635819, 0.4891775, 0.1365995, 0.0106411] });

/**
 * 1 − |2i / (M − 1) − 1|, float32 of `M` values.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.bartlett.html
 */
export function bartlett(M: number, options: WindowOptions = {}): Tensor {
  check("bartlett", M, options);
  return bartlettWindow(M, options.sym === false, options);
}

/**
 * I₀(beta · √(1 − (2i / (M − 1) − 1)²)) / I₀(beta), float32 of `M` values. `beta` is 12 by default.
 * @throws TensorError "beta must be non-negative, got: -1 instead."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.kaiser.html
 */
export function kaiser(M: number, options: WindowOptions & { beta?: number } = {}): Tensor {
  const { beta = 12, ...rest } = options;
  check("kaiser", M, rest);
  if (!(beta >= 0)) throw new TensorError("value", `beta must be non-negative, got: ${beta} instead.`);
  return kaiserWindow(M, rest.sym === false, beta, rest);
}

/**
 * sin(π (i + ½) / M), float32 of `M` values.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.cosine.html
 */
export const cosine = (M: number, options: WindowOptions = {}): Tensor =>
  windowOf("cosine", M, options, (i) => Math.sin(((i + 0.5) * Math.PI) / whole(M, options)));

/**
 * exp(−|i − center| / tau), float32 of `M` values. `tau` is 1 and `center` the middle by default.
 * @throws TensorError "Center must be None for symmetric windows"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.exponential.html
 */
export function exponential(
  M: number,
  options: WindowOptions & { center?: number | null; tau?: number } = {},
): Tensor {
  const { center, tau = 1, ...rest } = options;
  check("exponential", M, rest);
  positive("Tau", tau);
  const given = center ?? undefined;
  if (given !== undefined && rest.sym !== false)
    throw new TensorError("value", "Center must be None for symmetric windows");
  const middle = given ?? (whole(M, rest) - 1) / 2;
  return windowOf("exponential", M, rest, (i) => Math.exp(-Math.abs(i - middle) / tau));
}

/**
 * exp(−½ ((i − (M − 1) / 2) / std)²), float32 of `M` values. `std` is 1 by default.
 * @throws TensorError "Standard deviation must be positive, got: 0 instead."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.gaussian.html
 */
export function gaussian(M: number, options: WindowOptions & { std?: number } = {}): Tensor {
  const { std = 1, ...rest } = options;
  check("gaussian", M, rest);
  positive("Standard deviation", std);
  const middle = (whole(M, rest) - 1) / 2;
  return windowOf("gaussian", M, rest, (i) => Math.exp(-0.5 * ((i - middle) / std) ** 2));
}
