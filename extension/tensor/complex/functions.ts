// Functions that make complex tensors of real ones, and real ones of complex ones. Most take real tensors too.
import { SCALAR_TYPE } from "../core/dtype.ts";
import { TensorError } from "../core/errors.ts";
import type { Tensor } from "../core/tensor.ts";
import { mul } from "../functions/pointwise/arithmetic.ts";
import { eq, isnan, lt, where } from "../functions/pointwise/elementwise.ts";
import { onesLike } from "../functions/creation/creation.ts";
import { composed, named, toFloat } from "../functions/pointwise/operands.ts";
import { broadcastTensors } from "../functions/shape/joining.ts";
import { select } from "../functions/shape/parts.ts";
import { copied } from "../functions/shape/views.ts";
import { stack, transpose, view } from "../functions/shape/shape.ts";
import { stepOf } from "../functions/pointwise/slopes.ts";
import { ComplexTensor } from "./complexTensor.ts";
import { complexOf } from "./parts.ts";
import { argument, conjugate, fromPolar } from "./pointwise.ts";

/** A part of a complex tensor as the user gets it: a view. */
const part = (x: Tensor): Tensor => named(view(x, x.shape), "SelectBackward0");

/** Both floats, and of one shape. */
function pair(a: Tensor, b: Tensor): readonly [Tensor, Tensor] {
  if (a.dtype !== "float32" || b.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `Expected both inputs to be Half, Float or Double tensors but got ${SCALAR_TYPE[a.dtype]} and ${SCALAR_TYPE[b.dtype]}`,
    );
  }
  return broadcastTensors(a, b) as [Tensor, Tensor];
}

/**
 * The complex tensor real + imag · i, of the shape that the two broadcast to.
 * @throws TensorError "Expected both inputs to be Half, Float or Double tensors but got Long and Float"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.complex.html
 */
export function complex(real: Tensor, imag: Tensor): Tensor {
  return called(
    "ComplexBackward0",
    complexOf(() => {
      const [re, im] = pair(real, imag);
      return [copied(re), copied(im)];
    }),
  );
}

/**
 * The complex tensor abs · (cos angle + i · sin angle), of the shape that the two broadcast to.
 * @throws TensorError "Expected both inputs to be Half, Float or Double tensors but got Long and Float"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.polar.html
 */
export function polar(abs: Tensor, angle: Tensor): Tensor {
  return called(
    "PolarBackward0",
    complexOf(() => {
      const [length, turn] = pair(abs, angle);
      const { re, im } = fromPolar(length, turn);
      return [re, im];
    }),
  );
}

/** Gives a complex result PyTorch's name for the gradient of the function that made it. */
export function called(gradient: string, z: ComplexTensor): ComplexTensor {
  z.gradName = gradient;
  return z;
}

/**
 * Pairs of real numbers, [..., 2], as a complex tensor [...] that shares their memory.
 * @throws TensorError "Tensor must have a last dimension of size 2"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.view_as_complex.html
 */
export function viewAsComplex(input: Tensor): Tensor {
  if (input.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: ${SCALAR_TYPE[input.dtype]}`,
    );
  }
  if (input.ndim === 0) throw new TensorError("shape", "Input tensor must have one or more dimensions");
  if (input.shape.at(-1) !== 2) {
    throw new TensorError("shape", "Tensor must have a last dimension of size 2");
  }
  return new ComplexTensor(select(input, -1, 0), select(input, -1, 1), "ViewAsComplexBackward0");
}

/**
 * A complex tensor [...] as pairs of real numbers, [..., 2]: a copy, where PyTorch has a view.
 * @throws TensorError "view_as_real is only supported for complex tensors"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.view_as_real.html
 */
export function viewAsReal(input: Tensor): Tensor {
  if (!(input instanceof ComplexTensor)) {
    throw new TensorError("dtype", "view_as_real is only supported for complex tensors");
  }
  return composed(() => named(stack([input.re, input.im], -1), "ViewAsRealBackward0"));
}

/**
 * The real part, which shares the tensor's memory; of a real tensor itself.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.real.html
 */
export const real = (input: Tensor): Tensor => (input instanceof ComplexTensor ? part(input.re) : input);

/**
 * The imaginary part, which shares the tensor's memory.
 * @throws TensorError "imag is not implemented for tensors with non-complex dtypes."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.imag.html
 */
export function imag(input: Tensor): Tensor {
  if (input instanceof ComplexTensor) return part(input.im);
  throw new TensorError("dtype", "imag is not implemented for tensors with non-complex dtypes.");
}

/**
 * The angle of each number in (−π, π]: of real numbers 0, or π of negative ones. Its gradient at 0 is 0.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.angle.html
 */
export function angle(input: Tensor): Tensor {
  if (input instanceof ComplexTensor) return named(argument(input), "AngleBackward0");
  return composed(() => {
    const x = toFloat(input);
    return named(stepOf(where(isnan(x), NaN, mul(lt(x, 0), Math.PI)), x), "AngleBackward0");
  });
}

/**
 * The complex conjugates, real − imag · i: a copy, where PyTorch has a view. Of a real tensor itself.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.conj.html
 */
export const conj = (input: Tensor): Tensor =>
  input instanceof ComplexTensor ? called("ConjBackward0", conjugate(input)) : input;

/**
 * The same as {@link conj}, which computes the conjugates at once.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.conj_physical.html
 */
export const conjPhysical = conj;

/**
 * The tensor itself: {@link conj} has computed the conjugates.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.resolve_conj.html
 */
export const resolveConj = (input: Tensor): Tensor => input;

/**
 * Whether elements are complex numbers.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.is_complex.html
 */
export const isComplex = (input: Tensor): boolean => input instanceof ComplexTensor;

/**
 * Where the imaginary part is 0: everywhere in real tensors.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.isreal.html
 */
export const isreal = (input: Tensor): Tensor =>
  input instanceof ComplexTensor ? eq(input.im, 0) : onesLike(input, { dtype: "bool" });

/**
 * The last two dimensions exchanged, and complex numbers conjugated: a copy of a complex tensor, of a real one a view.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.adjoint.html
 */
export const adjoint = (input: Tensor): Tensor =>
  input instanceof ComplexTensor
    ? conj(new ComplexTensor(transpose(input.re, -2, -1), transpose(input.im, -2, -1)))
    : transpose(input, -2, -1);
