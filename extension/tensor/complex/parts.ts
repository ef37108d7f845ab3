// How functions of complex tensors are made of functions of their parts.
import { TensorError } from "../core/errors.ts";
import { gradientName } from "../core/print.ts";
import { sameShape } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { zeros } from "../functions/creation/creation.ts";
import { add, sub } from "../functions/pointwise/arithmetic.ts";
import { composedAll, toFloat } from "../functions/pointwise/operands.ts";
import { expand } from "../functions/shape/shape.ts";
import { copied } from "../functions/shape/views.ts";
import { Value } from "../recording/graph.ts";
import { ComplexTensor } from "./complexTensor.ts";

/** Operand of a function of complex tensors. */
export type Operand = Tensor | number | boolean;

/** A function in a table of forms. */
export type Form = (...args: never[]) => unknown;

/** The real part; a real operand itself. */
export const realPart = <T extends Operand>(x: T): T | Tensor => (x instanceof ComplexTensor ? x.re : x);

/** The imaginary part; undefined of a real operand. */
export const imaginaryPart = (x: Operand): Tensor | undefined =>
  x instanceof ComplexTensor ? x.im : undefined;

/** The parts of a tensor; for a real one, itself and zeros. */
export function partsOf(x: Tensor): readonly [re: Tensor, im: Tensor] {
  return x instanceof ComplexTensor ? [x.re, x.im] : [toFloat(x), zeros(x.shape)];
}

/** The tensor as a complex one. */
export const toComplex = (x: Tensor): ComplexTensor =>
  x instanceof ComplexTensor ? x : new ComplexTensor(...partsOf(x));

/** Makes a complex tensor of two parts that a function computes; its intermediate values stay hidden from the user. */
export function complexOf(parts: () => readonly [re: Tensor, im: Tensor]): ComplexTensor {
  return new ComplexTensor(...composedAll(parts));
}

/** A part that a function leaves unchanged: a copy, in the shape of the result. */
export function unchanged(part: Tensor, shape: readonly number[]): Tensor {
  return copied(sameShape(part.shape, shape) ? part : expand(part, shape));
}

/** A function applied to each part, with the parts of further complex arguments. */
export function partwise(f: Form): (...args: unknown[]) => unknown {
  const call = f as (...args: unknown[]) => unknown;
  return (...args) => {
    const of = (part: 0 | 1): unknown => call(...args.map((x) => choose(x, part)));
    return zipped(of(0), of(1));
  };
}

function choose(x: unknown, part: 0 | 1): unknown {
  if (x instanceof ComplexTensor) return part === 0 ? x.re : x.im;
  // In a list with complex tensors, real ones have an imaginary part of zeros.
  if (Array.isArray(x) && x.some((one) => one instanceof ComplexTensor))
    return x.map((one) => (one instanceof Tensor ? partsOf(one)[part] : (one as unknown)));
  return x;
}

/** Complex tensors of two results of the same structure. */
function zipped(re: unknown, im: unknown): unknown {
  if (Array.isArray(re)) return re.map((one, i) => zipped(one, (im as unknown[])[i]));
  return re instanceof Tensor ? new ComplexTensor(re, im as Tensor) : re;
}

/** A product that is linear in each of its two operands: (a + bi)(c + di) = (ac − bd) + (ad + bc) i. */
export function bilinear(product: Form): (a: Operand, b: Operand, ...rest: unknown[]) => ComplexTensor {
  const of = product as (a: Operand, b: Operand, ...rest: unknown[]) => Tensor;
  return (a, b, ...rest) => {
    let gradient: string | undefined;
    const z = complexOf(() => {
      const [ar, ai, br, bi] = [realPart(a), imaginaryPart(a), realPart(b), imaginaryPart(b)];
      const first = of(ar, br, ...rest);
      gradient = gradientName(first);
      if (ai === undefined) return [first, of(ar, bi!, ...rest)];
      if (bi === undefined) return [first, of(ai, br, ...rest)];
      return [sub(first, of(ai, bi, ...rest)), add(of(ar, bi, ...rest), of(ai, br, ...rest))];
    });
    z.gradName = gradient;
    return z;
  };
}

/** Writes the result of a form into its first argument, as the methods with an underscore do. */
export function writing(form: Form): Form {
  const compute = form as (...args: unknown[]) => Tensor;
  return (input: Tensor, ...rest: unknown[]): Tensor => {
    if (!(input instanceof ComplexTensor)) {
      throw new TensorError(
        "dtype",
        "result type ComplexFloat can't be cast to the desired output type Float",
      );
    }
    const { made } = Value;
    return input.write(compute(input, ...rest), made, made);
  };
}
