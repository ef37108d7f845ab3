// Windows that spectra are taken in. Each step is rounded as PyTorch's float32 tensors round it.
import { filled } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import type { Tensor } from "../../core/tensor.ts";
import { ones, tensor, zeros } from "./creation.ts";
import { checkOptions, type TensorOptions } from "./options.ts";

const { fround } = Math;

/** The window of `length` values that `at` gives from position and last position. A periodic one is a longer one's beginning. */
function windowOf(
  name: string,
  length: number,
  periodic: boolean,
  options: TensorOptions | undefined,
  at: (i: number, last: number) => number,
): Tensor {
  checkOptions(options);
  if (options?.dtype !== undefined && options.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `${name}_window expects floating point dtypes, got: torch.${options.dtype}`,
    );
  }
  if (!Number.isInteger(length) || length < 0) {
    throw new TensorError(
      "value",
      `${name}_window requires non-negative window_length, got window_length=${length}`,
    );
  }
  if (length === 0) return zeros([0], options ?? {});
  if (length === 1) return ones([1], options ?? {});
  const last = periodic ? length : length - 1;
  return tensor(
    filled(new Float32Array(length), (i) => at(i, last)),
    { dtype: "float32", ...options },
  );
}

/**
 * alpha - beta · cos(2πi / (N - 1)), float32 of `windowLength` values. With `periodic`, N is `windowLength` + 1.
 * @throws TensorError for a negative length or a type other than float32
 * @see https://docs.pytorch.org/docs/stable/generated/torch.hamming_window.html
 */
export function hammingWindow(
  windowLength: number,
  periodic = true,
  alpha = 0.54,
  beta = 0.46,
  options?: TensorOptions,
): Tensor {
  return windowOf("hamming", windowLength, periodic, options, (i, last) => cosine(i, last, alpha, beta));
}

/**
 * ½ (1 - cos(2πi / (N - 1))), float32 of `windowLength` values. With `periodic`, N is `windowLength` + 1.
 * @throws TensorError for a negative length or a type other than float32
 * @see https://docs.pytorch.org/docs/stable/generated/torch.hann_window.html
 */
export function hannWindow(windowLength: number, periodic = true, options?: TensorOptions): Tensor {
  return windowOf("hann", windowLength, periodic, options, (i, last) => cosine(i, last, 0.5, 0.5));
}

function cosine(i: number, last: number, alpha: number, beta: number): number {
  const angle = fround(i * fround((Math.PI * 2) / last));
  return fround(fround(fround(Math.cos(angle)) * fround(-beta)) + fround(alpha));
}

/**
 * 0.42 - 0.5 · cos(2πi / (N - 1)) + 0.08 · cos(4πi / (N - 1)), float32 of `windowLength` values. With `periodic`, N is
 * `windowLength` + 1.
 * @throws TensorError for a negative length or a type other than float32
 * @see https://docs.pytorch.org/docs/stable/generated/torch.blackman_window.html
 */
export function blackmanWindow(windowLength: number, periodic = true, options?: TensorOptions): Tensor {
  const wave = (angle: number, factor: number): number =>
    fround(fround(Math.cos(fround(angle))) * fround(factor));
  return windowOf("blackman", windowLength, periodic, options, (i, last) => {
    const angle = fround(i * fround(Math.PI / last));
    return fround(fround(wave(angle * 4, 0.08) - wave(angle * 2, 0.5)) + fround(0.42));
  });
}

/**
 * 1 - |2i / (N - 1) - 1|, float32 of `windowLength` values. With `periodic`, N is `windowLength` + 1.
 * @throws TensorError for a negative length or a type other than float32
 * @see https://docs.pytorch.org/docs/stable/generated/torch.bartlett_window.html
 */
export function bartlettWindow(windowLength: number, periodic = true, options?: TensorOptions): Tensor {
  return windowOf("bartlett", windowLength, periodic, options, (i, last) => {
    const rising = fround(i * fround(2 / last));
    return i <= Math.floor(last / 2) ? rising : fround(2 - rising);
  });
}

/**
 * I₀(beta · √(1 - (2i / (N - 1) - 1)²)) / I₀(beta), float32 of `windowLength` values, where I₀ is the modified Bessel
 * function of order zero. With `periodic`, N is `windowLength` + 1.
 * @throws TensorError for a negative length or a type other than float32
 * @see https://docs.pytorch.org/docs/stable/generated/torch.kaiser_window.html
 */
export function kaiserWindow(
  windowLength: number,
  periodic = true,
  beta = 12,
  options?: TensorOptions,
): Tensor {
  const whole = besselI0(beta);
  return windowOf("kaiser", windowLength, periodic, options, (i, last) => {
    const place = (2 * i) / last - 1;
    return besselI0(beta * Math.sqrt(Math.max(0, 1 - place * place))) / whole;
  });
}

/** The modified Bessel function of the first kind and order zero: the sum of ((x/2)ᵏ / k!)². */
function besselI0(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * Number.EPSILON; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
