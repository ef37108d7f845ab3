// Random tensors, equal to PyTorch's for equal seeds. They take their numbers in program order, when they are needed.
import type { HostArray } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import * as random from "../../random/operations.ts";
import type { RngState } from "../../random/generator.ts";
import { defaultStream, RandomStream, type ReadyDraw } from "../../random/stream.ts";
import { broadcastShapes, numel, type Shape } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { add, mul } from "../pointwise/arithmetic.ts";
import { detach } from "./conversion.ts";
import { composed, notImplemented } from "../pointwise/operands.ts";
import {
  checkedSizes,
  checkOptions,
  sizesAndOptions,
  type SizesAndOptions,
  type TensorOptions,
} from "./options.ts";
import { drawnBy, reading, unmoved } from "./sampling.ts";

export interface RandomOptions extends TensorOptions {
  /** Draws from this generator instead of the global one. */
  generator?: RandomStream;
}

/** Restarts the global generator: equal seeds give equal numbers, here and in PyTorch. */
export function manualSeed(seed: number | bigint): RandomStream {
  return defaultStream.manualSeed(seed);
}

/** Seeds the global generator from the system's entropy and returns that seed. */
export function seed(): bigint {
  return defaultStream.seed();
}

/** The seed of the global generator. */
export function initialSeed(): bigint {
  return defaultStream.initialSeed();
}

/** State of the global generator, the bytes of `torch.get_rng_state()`. */
export function getRngState(): RngState {
  return defaultStream.getState();
}

/** Continues the global generator from a state, also one of PyTorch's that was loaded as a tensor. */
export function setRngState(state: Uint8Array | Tensor): void {
  defaultStream.setState(state);
}

function floats(
  kernel: string,
  draw: (size: number) => ReadyDraw,
  shape: Shape,
  options: RandomOptions | undefined,
): Tensor {
  checkOptions(options);
  const dtype = options?.dtype ?? "float32";
  if (dtype !== "float32") notImplemented(kernel, dtype);
  const x = (options?.generator ?? defaultStream).tensor(draw(numel(shape)), shape, dtype);
  return options?.requiresGrad === true ? x.requiresGrad_() : x;
}

/** A function of sizes that draws floats. */
const drawing =
  (name: string, kernel: string, draw: (size: number) => ReadyDraw) =>
  (...args: SizesAndOptions<RandomOptions>): Tensor => {
    const { shape, options } = sizesAndOptions(args, name);
    return floats(kernel, draw, shape, options);
  };

/** Uniform numbers of [0, 1). */
export const rand = drawing("rand", "check_uniform_bounds", random.uniform);
/** Standard normal numbers. */
export const randn = drawing("randn", "normal_kernel_cpu", random.normal);

/** Uniform numbers of [0, 1) in the shape of another tensor. */
export function randLike(input: Tensor, options?: RandomOptions): Tensor {
  return rand(input.shape, { dtype: input.dtype, ...options });
}

/** Standard normal numbers in the shape of another tensor. */
export function randnLike(input: Tensor, options?: RandomOptions): Tensor {
  return randn(input.shape, { dtype: input.dtype, ...options });
}

/**
 * Integers from `low` (0) up to but not including `high`: `randint(10, [3])`, `randint(5, 10, [3])`.
 * @throws TensorError "random_ expects 'from' to be less than 'to', but got from=0 >= to=0"
 */
export function randint(high: number, size: readonly number[], options?: RandomOptions): Tensor;
export function randint(low: number, high: number, size: readonly number[], options?: RandomOptions): Tensor;
export function randint(...args: (number | readonly number[] | RandomOptions | undefined)[]): Tensor {
  const numbers = args.filter((x) => typeof x === "number");
  const shape = checkedSizes(args.find((x) => Array.isArray(x)) as readonly number[], "randint");
  const options = args.find((x) => typeof x === "object" && !Array.isArray(x)) as RandomOptions | undefined;
  checkOptions(options);
  const [low, high] = numbers.length === 1 ? [0, numbers[0]!] : [numbers[0]!, numbers[1]!];
  const dtype = options?.dtype ?? "int64";
  const wide = dtype === "int64" && (low < -(2 ** 31) || high > 2 ** 31);
  const draw = random.randint(numel(shape), low, high);
  const x = (options?.generator ?? defaultStream).tensor(draw, shape, dtype, wide);
  return options?.requiresGrad === true ? x.requiresGrad_() : x;
}

/** Integers from `low` (0) up to but not including `high` in the shape and type of another tensor. */
export function randintLike(input: Tensor, high: number, options?: RandomOptions): Tensor;
export function randintLike(input: Tensor, low: number, high: number, options?: RandomOptions): Tensor;
export function randintLike(input: Tensor, ...args: (number | RandomOptions | undefined)[]): Tensor {
  const numbers = args.filter((x) => typeof x === "number");
  const options = { dtype: input.dtype, ...args.find((x) => typeof x === "object") };
  return numbers.length === 1
    ? randint(numbers[0]!, input.shape, options)
    : randint(numbers[0]!, numbers[1]!, input.shape, options);
}

/** The numbers 0 to n − 1 in random order. */
export function randperm(n: number, options?: RandomOptions): Tensor {
  checkOptions(options);
  const dtype = options?.dtype ?? "int64";
  return (options?.generator ?? defaultStream).tensor(random.randperm(n), [n], dtype);
}

/**
 * Normal numbers: of one mean and deviation in a size, or of a mean and deviation for each place, which broadcast. Their
 * gradient is 0.
 * @throws TensorError "normal expects std >= 0.0, but found std -1"
 */
export function normal(
  mean: number | Tensor,
  std: number | Tensor = 1,
  size?: readonly number[] | RandomOptions,
  options?: RandomOptions,
): Tensor {
  const shape = Array.isArray(size) ? (size as readonly number[]) : undefined;
  const named = options ?? (shape === undefined ? (size as RandomOptions | undefined) : undefined);
  if (typeof mean === "number" && typeof std === "number") {
    const sizes = checkedSizes(shape ?? [], "normal");
    return floats("normal_kernel_cpu", (n) => random.normal(n, mean, std), sizes, named);
  }
  if (typeof std === "number") {
    if (!(std >= 0)) throw new TensorError("value", `normal expects std >= 0.0, but found std ${std}`);
  } else if (std.value.data !== undefined && !noneBelow0(std.value.data)) {
    throw new TensorError("value", "normal expects all elements of std >= 0.0");
  }
  const kind = typeof std === "number" ? 1 : typeof mean === "number" ? 2 : 3;
  const tensors = [mean, std].filter((x) => x instanceof Tensor);
  const [means, stds] = [mean, std].map((x) => (x instanceof Tensor ? detach(x) : x));
  const target = broadcastShapes(shapeOf(mean), shapeOf(std));
  return composed(() =>
    unmoved(add(mul(randn(target, named ?? {}), stds!), means!), `NormalBackward${kind}`, ...tensors),
  );
}

/** Whether no number is negative, or NaN. */
function noneBelow0(data: HostArray): boolean {
  for (let i = 0; i < data.length; i++) if (!(data[i]! >= 0)) return false;
  return true;
}

const shapeOf = (x: number | Tensor): Shape => (x instanceof Tensor ? x.shape : []);

/**
 * 1 with the probability given at each place, or with `p` everywhere, else 0. Reads the probabilities at once.
 * @throws TensorError "bernoulli expects all probabilities to be in [0, 1], but got p=2"
 */
export function bernoulli(input: Tensor, p?: number, options: { generator?: RandomStream } = {}): Tensor {
  if (p !== undefined) {
    const drawn = random.bernoulli(input.numel(), p);
    return (options.generator ?? defaultStream).tensor(drawn, input.shape, input.dtype);
  }
  if (input.dtype !== "float32") notImplemented("bernoulli_tensor_cpu_p_", input.dtype);
  const draw = random.bernoulliTensor(input.numel());
  const sample = (options.generator ?? defaultStream).tensor(reading(draw, input), input.shape, "float32");
  return unmoved(sample, "BernoulliBackward0", input);
}

/**
 * `samples` category numbers for each row of weights [C] or [N, C]. Reads the weights at once.
 * @throws TensorError "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
 */
export function multinomial(
  input: Tensor,
  samples: number,
  options: { replacement?: boolean; generator?: RandomStream } = {},
): Tensor {
  if (input.ndim !== 1 && input.ndim !== 2) {
    throw new TensorError("shape", "prob_dist must be 1 or 2 dim");
  }
  if (input.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `multinomial only supports floating-point dtypes for input, got: ${input.dtype === "bool" ? "Bool" : "Long"}`,
    );
  }
  const rows = input.ndim === 1 ? 1 : input.shape[0]!;
  const categories = input.shape[input.ndim - 1]!;
  const draw = random.multinomial(rows, categories, samples, options.replacement ?? false);
  const shape = input.ndim === 1 ? [samples] : [rows, samples];
  return (options.generator ?? defaultStream).tensor(reading(draw, input), shape, "int64");
}

/**
 * A count of the Poisson distribution for each rate. Reads the rates at once.
 * @throws TensorError "invalid Poisson rate, expected rate to be non-negative"
 */
export function poisson(input: Tensor, options: { generator?: RandomStream } = {}): Tensor {
  return unmoved(drawnBy("poisson_cpu", random.poisson, input, options.generator), "PoissonBackward0", input);
}
