// Functions that give a tensor new values: all that share its memory see them.
import { apply } from "../../recording/apply.ts";
import { allocate, SCALAR_TYPE, type HostArray } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { fillValue, Value } from "../../recording/graph.ts";
import { expand as expandOp } from "../../ops/movement/movement.ts";
import * as random from "../../random/operations.ts";
import { defaultStream, type RandomStream, type ReadyDraw } from "../../random/stream.ts";
import { broadcastShapes, numel, sameShape, strides } from "../../core/shape.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import { valuesOf } from "../../planning/barrier.ts";
import { maskedFill_ } from "../pointwise/inplace.ts";
import { C_TYPE, castTo, everywhere, named, notImplemented, type Operand } from "../pointwise/operands.ts";
import { bernoulli } from "./random.ts";
import { isContiguous } from "../shape/parts.ts";
import { expand, permute } from "../shape/shape.ts";
import { copied, overwrite } from "../shape/views.ts";

/**
 * Writes a number on the main diagonal, in place; with `wrap` the diagonal of a tall matrix begins again below itself.
 * @throws TensorError "dimensions must larger than 1", "all dimensions of input must be of equal length"
 */
export function fillDiagonal_(
  input: Tensor,
  fillValue: number | boolean,
  wrap: boolean | { wrap?: boolean } = false,
): Tensor {
  const { shape } = input;
  if (shape.length < 2) throw new TensorError("shape", "dimensions must larger than 1");
  if (shape.length > 2 && shape.some((size) => size !== shape[0])) {
    throw new TensorError("shape", "all dimensions of input must be of equal length");
  }
  const length = numel(shape);
  const columns = shape.at(-1)!;
  const around = (typeof wrap === "boolean" ? wrap : wrap.wrap === true) && shape.length === 2;
  const end = around || shape.length > 2 ? length : Math.min(length, columns * columns);
  const step = strides(shape).reduce((sum, stride) => sum + stride, 0);
  const mask = new Uint8Array(length);
  for (let i = 0; i < end; i += step) mask[i] = 1;
  return maskedFill_(input, fromHost(mask, shape, "bool"), fillValue);
}

/** All elements 0. */
export function zero_(input: Tensor): Tensor {
  return overwrite(input, new Tensor(fillValue(0, input.shape, input.dtype)), true);
}

/**
 * All elements one value.
 * @throws TensorError "fill_ only supports 0-dimension value tensor but got tensor with 1 dimensions."
 */
export function fill_(input: Tensor, value: Operand): Tensor {
  if (!(value instanceof Tensor)) {
    return overwrite(input, everywhere(Number(value), input.shape, input.dtype), true);
  }
  if (value.ndim > 0) {
    throw new TensorError(
      "shape",
      `fill_ only supports 0-dimension value tensor but got tensor with ${value.ndim} dimensions.`,
    );
  }
  return copy_(input, value);
}

/** The values of another tensor, broadcast and converted. */
export function copy_(input: Tensor, source: Tensor): Tensor {
  const { made } = Value;
  const shape = broadcastShapes(input.shape, source.shape);
  const values = castTo(source, input.dtype);
  return overwrite(
    input,
    sameShape(values.shape, shape) ? copied(values) : apply(expandOp, [values], { shape }),
    false,
    made,
  );
}

function redraw(input: Tensor, name: string, draw: ReadyDraw, generator: RandomStream | undefined): Tensor {
  if (input.dtype !== "float32") notImplemented(name, input.dtype);
  return drawInto(input, draw, generator);
}

/** Writes drawn numbers into a tensor, in the order of its elements in PyTorch's memory. */
export function drawInto(input: Tensor, draw: ReadyDraw, generator: RandomStream = defaultStream): Tensor {
  const steps = input.viewStrides();
  const order = [...input.shape.keys()];
  if (steps !== undefined) order.sort((a, b) => steps[b]! - steps[a]!);
  const sizes = order.map((d) => input.shape[d]!);
  const drawn = castTo(generator.tensor(draw, sizes, "float32"), input.dtype);
  return overwrite(input, order.every((d, i) => d === i) ? drawn : permute(drawn, invert(order)));
}

const invert = (order: readonly number[]): number[] => order.map((_, d) => order.indexOf(d));

/** Options of the functions that draw random numbers. */
export interface DrawOptions {
  /** Draws from this generator instead of the global one. */
  generator?: RandomStream;
}

/** Uniform numbers of [from, to). */
export function uniform_(input: Tensor, from = 0, to = 1, options: DrawOptions = {}): Tensor {
  const draw = random.uniform(input.numel(), from, to);
  return redraw(input, "check_uniform_bounds", draw, options.generator);
}

/** Normal numbers of a mean and standard deviation. */
export function normal_(input: Tensor, mean = 0, std = 1, options: DrawOptions = {}): Tensor {
  const draw = random.normal(input.numel(), mean, std, isContiguous(input));
  return redraw(input, "normal_kernel_cpu", draw, options.generator);
}

/** The bounds of `random_` by name. */
export interface BoundOptions extends DrawOptions {
  from?: number;
  to?: number;
}

/**
 * Whole numbers from `from` (0) up to but not including `to`: `random_(5)`, `random_(2, 5)`. Without bounds, all that
 * float32 can hold exactly, up to 2²⁴.
 * @throws TensorError "random_ expects 'from' to be less than 'to', but got from=5 >= to=5"
 */
export function random_(input: Tensor, ...args: (number | BoundOptions | undefined)[]): Tensor {
  const bounds = args.filter((x) => typeof x === "number");
  const { generator } = args.find((x) => typeof x === "object") ?? {};
  if (bounds.length === 0 && input.dtype === "int64") {
    throw new TensorError(
      "value",
      "random_: int64 values must fit into 32 bits",
      "give bounds: x.random_(0, 2 ** 31)",
    );
  }
  const most = bounds[0] ?? (input.dtype === "bool" ? 2 : 2 ** 24 + 1);
  const [from, to] = bounds.length === 2 ? [bounds[0]!, bounds[1]!] : [0, most];
  return drawInto(input, random.randint(input.numel(), from, to), generator);
}

/** 1 with probability p, or with that of each place, else 0. */
export function bernoulli_(input: Tensor, p: number | Tensor = 0.5, options: DrawOptions = {}): Tensor {
  if (p instanceof Tensor) {
    const drawn = bernoulli(expand(p, input.shape), undefined, options);
    return overwrite(input, castTo(named(drawn, "BernoulliBackward1"), input.dtype));
  }
  return drawInto(input, random.bernoulli(input.numel(), p), options.generator);
}

/**
 * Numbers of the Cauchy distribution.
 * @throws TensorError "cauchy_ expects sigma > 0.0, but found sigma=-1"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.cauchy_.html
 */
export function cauchy_(input: Tensor, median = 0, sigma = 1, options: DrawOptions = {}): Tensor {
  if (input.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `Cauchy distribution is a continuous probability distribution. dtype must be a floating point but you specified ${C_TYPE[input.dtype]}`,
    );
  }
  return drawInto(input, random.cauchy(input.numel(), median, sigma), options.generator);
}

/**
 * Numbers of trials up to the first success, each of probability p.
 * @throws TensorError "geometric_ expects p to be in (0, 1), but got p=2"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.geometric_.html
 */
export function geometric_(input: Tensor, p: number, options: DrawOptions = {}): Tensor {
  if (input.dtype === "bool") notImplemented("geometric_cpu", "bool");
  return drawInto(input, random.geometric(input.numel(), p), options.generator);
}

/**
 * Numbers whose logarithms are normal, of that mean and standard deviation.
 * @throws TensorError "log_normal_ expects std > 0.0, but found std=-2"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.log_normal_.html
 */
export function logNormal_(input: Tensor, mean = 1, std = 2, options: DrawOptions = {}): Tensor {
  return redraw(input, "log_normal_cpu", random.logNormal(input.numel(), mean, std), options.generator);
}

function mapped(input: Tensor, name: string, values: (own: HostArray) => readonly number[]): Tensor {
  if (input.requiresGrad) {
    throw new TensorError(
      "autograd",
      `Can't call ${name}() on Variable that requires grad. Use var.detach().${name}() instead.`,
    );
  }
  const data = allocate(input.dtype, input.numel());
  data.set(values(valuesOf(input.value)));
  return overwrite(input, fromHost(data, input.shape, input.dtype));
}

/**
 * Replaces each element by a function of it: reads the tensor now.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.apply_.html
 */
export const apply_ = (input: Tensor, callable: (x: number) => number): Tensor =>
  mapped(input, "apply_", (own) => Array.from(own, (x) => callable(x)));

/**
 * Replaces each element by a function of it and that of another tensor, which broadcasts: reads both now.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.map_.html
 */
export function map_(input: Tensor, other: Tensor, callable: (x: number, y: number) => number): Tensor {
  if (other.dtype !== input.dtype) {
    const type = (x: Tensor): string => `torch.${SCALAR_TYPE[x.dtype]}Tensor`;
    throw new TensorError("dtype", `map_: expected ${type(input)} for 'other' (got ${type(other)})`);
  }
  const others = valuesOf(expand(other, input.shape).value);
  return mapped(input, "map_", (own) => Array.from(own, (x, i) => callable(x, others[i]!)));
}

/** Exponential numbers of a rate. */
export function exponential_(input: Tensor, lambda = 1, options: DrawOptions = {}): Tensor {
  return redraw(
    input,
    "exponential_kernel_cpu",
    random.exponential(input.numel(), lambda),
    options.generator,
  );
}
