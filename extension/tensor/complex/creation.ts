// Complex forms of functions that make tensors.
import type { Shape } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { eye, full, ones, tensor, zeros, type TensorData } from "../functions/creation/creation.ts";
import { sizesAndOptions, type SizesAndOptions, type TensorOptions } from "../functions/creation/options.ts";
import { rand, randn, type RandomOptions } from "../functions/creation/random.ts";
import { mul } from "../functions/pointwise/arithmetic.ts";
import { composed } from "../functions/pointwise/operands.ts";
import { copied } from "../functions/shape/views.ts";
import { select } from "../functions/shape/parts.ts";
import { ComplexTensor } from "./complexTensor.ts";
import { partsOf, realPart, toComplex, type Form } from "./parts.ts";

/** Options of the parts. */
const ofParts = <O extends TensorOptions>(options: O | undefined): O =>
  ({ ...options, dtype: "float32", requiresGrad: false }) as O;

function made(re: Tensor, im: Tensor, options: TensorOptions | undefined): Tensor {
  const z = new ComplexTensor(re, im);
  return options?.requiresGrad === true ? z.requiresGrad_() : z;
}

/** A complex tensor of a shape, with options that {@link made} has yet to follow. */
type Make = (shape: Shape, options: RandomOptions | undefined) => Tensor;

const filled =
  (make: typeof zeros): Make =>
  (shape, options) =>
    made(make(shape, ofParts(options)), zeros(shape), options);

/** Pairs of draws: the variance of both parts together is that of one real number. */
const drawn =
  (draw: typeof rand, factor: number): Make =>
  (shape, options) => {
    const pairs = draw([...shape, 2], ofParts(options));
    const scaled = factor === 1 ? pairs : composed(() => mul(pairs, factor));
    return made(copied(select(scaled, -1, 0)), copied(select(scaled, -1, 1)), options);
  };

const sized =
  (name: string, make: Make) =>
  (...args: SizesAndOptions<RandomOptions>): Tensor => {
    const { shape, options } = sizesAndOptions(args, name);
    return make(shape, options);
  };

/** A function that takes shape and type of a tensor: its complex form, or `f` where another type is requested. */
const like = (make: Make) => (f: Form) => (input: Tensor, options?: RandomOptions) =>
  (options?.dtype ?? "complex64") === "complex64"
    ? make(input.shape, options)
    : (f as (x: Tensor, o: unknown) => Tensor)(realPart(input), options);

const MAKERS = {
  zeros: filled(zeros),
  ones: filled(ones),
  empty: filled(zeros),
  rand: drawn(rand, 1),
  randn: drawn(randn, Math.SQRT1_2),
};

/** Complex tensors, as `tensor` and `full` make them of real values. */
export const CREATION: Readonly<Record<string, Form>> = {
  ...Object.fromEntries(Object.entries(MAKERS).map(([name, make]) => [name, sized(name, make)])),
  full: (size: readonly number[], value: Tensor | number | boolean, options?: TensorOptions) =>
    made(full(size, Number(value), ofParts(options)), zeros(size), options),
  eye: (n: number, m?: number | null, options?: TensorOptions) => {
    const re = eye(n, m, ofParts(options));
    return made(re, zeros(re.shape), options);
  },
  tensor: (data: TensorData, options?: TensorOptions) => {
    if (!(data instanceof ComplexTensor)) {
      const re = tensor(data, ofParts(options));
      return made(re, zeros(re.shape), options);
    }
    if ((options?.dtype ?? "complex64") !== "complex64") return tensor(data.re, options);
    return made(tensor(data.re), tensor(data.im), options);
  },
  asTensor: (data: TensorData) => {
    if (data instanceof Tensor) return toComplex(data);
    return new ComplexTensor(...partsOf(tensor(data, { dtype: "float32" })));
  },
};

/** By name, what makes the complex form of a function of a tensor's shape from the function. */
export const LIKE: Readonly<Record<string, (f: Form) => Form>> = {
  zerosLike: like(MAKERS.zeros),
  onesLike: like(MAKERS.ones),
  emptyLike: like(MAKERS.zeros),
  randLike: like(MAKERS.rand),
  randnLike: like(MAKERS.randn),
};
