// PyTorch's torch.nn.attention: which kernel computes attention, and masks for it.
import { TensorError } from "../tensor/core/errors.ts";
import type { Tensor } from "../tensor/core/tensor.ts";
import { isNamed } from "../tensor/signatures/bind.ts";
import * as torch from "./torchFunctions.ts";

/** Kernels of `F.scaledDotProductAttention`, for {@link sdpaKernel}. */
export const SDPBackend = {
  ERROR: -1,
  MATH: 0,
  FLASH_ATTENTION: 1,
  EFFICIENT_ATTENTION: 2,
  CUDNN_ATTENTION: 3,
  OVERRIDEABLE: 4,
} as const;
export type SDPBackend = (typeof SDPBackend)[keyof typeof SDPBackend];

/**
 * Runs `body` with the kernels that attention may use: PyTorch's `with sdpa_kernel(…):`. Without effect, since one implementation
 * computes all of it, with the values of `SDPBackend.MATH`.
 *
 * ```ts
 * const out = nn.attention.sdpaKernel(nn.attention.SDPBackend.MATH, () => F.scaledDotProductAttention(q, k, v));
 * ```
 * @param options setPriority: whether the order of the kernels is their priority
 * @returns what `body` returns
 * @throws TensorError for a kernel that isn't one of `SDPBackend`
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.sdpa_kernel.html
 */
export function sdpaKernel<T>(backends: SDPBackend | readonly SDPBackend[], body: () => T): T;
export function sdpaKernel<T>(
  backends: SDPBackend | readonly SDPBackend[],
  options: { setPriority?: boolean },
  body: () => T,
): T;
export function sdpaKernel<T>(backends: SDPBackend | readonly SDPBackend[], ...rest: unknown[]): T {
  const known: readonly unknown[] = Object.values(SDPBackend);
  const list: readonly unknown[] = Array.isArray(backends) ? backends : [backends];
  if (!list.every((one) => known.includes(one))) {
    throw new TensorError(
      "value",
      "Backend must be an instance of SDPBackend or a list of SDPBackend instances",
    );
  }
  const body = isNamed(rest[0]) ? rest[1] : rest[0];
  if (typeof body !== "function") {
    throw new TensorError(
      "value",
      "sdpaKernel(): argument 'body' must be a function",
      "write sdpaKernel(backend, () => …) where PyTorch has with sdpa_kernel(backend):",
    );
  }
  return (body as () => T)();
}

/** The mask [L, S] with which query i sees the keys 0 to i + shift. */
function causal(name: string, size: readonly number[], shift: (l: number, s: number) => number): Tensor {
  if (size.length !== 2) throw new TensorError("value", `${name} only supports 2D tensors`);
  const [l, s] = size as [number, number];
  return torch.ones(l, s, { dtype: "bool" }).tril(shift(l, s));
}

/**
 * Masks for `attnMask` of `F.scaledDotProductAttention`, as bool tensors [L, S]: true where a query may see a key. PyTorch's are of a
 * class of their own.
 */
export const bias = {
  /** Query i sees keys 0 to i: what `isCausal` does. */
  causalUpperLeft: (...size: number[]): Tensor => causal("causal_upper_left", size, () => 0),
  /** The last query sees all keys: queries that continue a cached sequence. A query that sees no key gives zeros, in PyTorch NaN. */
  causalLowerRight: (...size: number[]): Tensor => causal("causal_lower_right", size, (l, s) => s - l),
} as const;
