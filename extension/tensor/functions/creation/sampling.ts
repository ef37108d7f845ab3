// Draws that depend on the values of a tensor, and the gradients that go through some of them.
import type { HostArray } from "../../core/dtype.ts";
import * as random from "../../random/operations.ts";
import { defaultStream, type RandomStream, type ReadyDraw } from "../../random/stream.ts";
import { hasExecutor, valuesOf } from "../../planning/barrier.ts";
import { scope } from "../../recording/scope.ts";
import { numel, type Shape } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { add, mul, sub } from "../pointwise/arithmetic.ts";
import { detach } from "./conversion.ts";
import { composed, named, notImplemented } from "../pointwise/operands.ts";
import { stepOf } from "../pointwise/slopes.ts";
import { stack } from "../shape/shape.ts";
import { sum } from "../reduction/reduction.ts";

/**
 * A draw that depends on a tensor's values. They are computed now, since a draw may run in the middle of a barrier;
 * the preview, which computes nothing, never runs it.
 */
export function reading<Out extends random.NumberArray>(
  draw: random.Draw<Out, Float32Array>,
  input: Tensor,
): ReadyDraw {
  const { value } = input;
  const known = hasExecutor() ? (valuesOf(value) as Float32Array) : undefined;
  const values = (): Float32Array => known ?? (valuesOf(value) as Float32Array);
  return {
    fill: (generator, out) => draw.fill(generator, out as Out, values()),
    skip: (generator) => draw.skip(generator, values()),
  };
}

/** Values of a distribution whose parameter, one for each value, is `input`. */
export function drawnBy(
  kernel: string,
  draw: (size: number) => random.Draw<Float32Array, Float32Array>,
  input: Tensor,
  generator: RandomStream = defaultStream,
): Tensor {
  if (input.dtype !== "float32") notImplemented(kernel, input.dtype);
  return generator.tensor(reading(draw(input.numel()), input), input.shape, "float32");
}

/** Values of a distribution without parameters, in PyTorch `torch.empty(shape).exponential_()` and the like. */
export function drawn(draw: (size: number) => random.Draw, shape: Shape): Tensor {
  return defaultStream.tensor(draw(numel(shape)), shape, "float32");
}

/**
 * A value of the standard Gamma distribution for each shape parameter, PyTorch's `torch._standard_gamma`. Reads the
 * parameters at once. The gradient is that of implicit reparameterization.
 */
export function standardGamma(concentration: Tensor, generator: RandomStream = defaultStream): Tensor {
  const sample = drawnBy("gamma_cpu", random.standardGamma, concentration, generator);
  if (!scope.gradients || !concentration.requiresGrad) return sample;
  return composed(() => {
    const rate = derivative(generator, [concentration, sample], random.standardGammaGrad);
    return named(add(sample, mul(rate, change(concentration))), "StandardGammaBackward0");
  });
}

/**
 * Rows of the Dirichlet distribution, PyTorch's `torch._sample_dirichlet`. Reads the parameters at once. The gradient is
 * that of implicit reparameterization.
 */
export function sampleDirichlet(concentration: Tensor): Tensor {
  const categories = concentration.shape[concentration.ndim - 1]!;
  const draw = (size: number): random.Draw<Float32Array, Float32Array> => random.dirichlet(size, categories);
  const sample = drawnBy("dirichlet", draw, concentration);
  if (!scope.gradients || !concentration.requiresGrad) return sample;
  return composed(() => {
    const rate = derivative(defaultStream, [concentration, sample], (alpha, x, i, alphas) => {
      let total = 0;
      const row = i - (i % categories);
      for (let k = row; k < row + categories; k++) total = Math.fround(total + alphas[k]!);
      return random.dirichletGrad(x, alpha, total);
    });
    const moved = mul(rate, change(concentration));
    const result = sub(add(sample, moved), mul(sample, sum(moved, -1, true)));
    return named(result, "_DirichletBackward");
  });
}

/** A number of successes for each number of trials and probability, PyTorch's `torch.binomial`. Reads both at once. */
export function binomial(count: Tensor, prob: Tensor): Tensor {
  const both = stack([count, prob]);
  return defaultStream.tensor(reading(random.binomial(prob.numel()), both), prob.shape, "float32");
}

/** A draw whose gradient by its parameters is 0, as that of PyTorch's. */
export function unmoved(sample: Tensor, gradient: string, ...parameters: readonly Tensor[]): Tensor {
  if (!scope.gradients || !parameters.some((x) => x.requiresGrad)) return sample;
  return composed(() => named(stepOf(sample, ...parameters), gradient));
}

/** Zero, with the gradient of x: what a sample that was drawn of x is moved by. */
const change = (x: Tensor): Tensor => sub(x, detach(x));

/** The derivatives of samples by their parameters, computed on the host if a gradient needs them. */
function derivative(
  generator: RandomStream,
  [parameter, sample]: readonly [Tensor, Tensor],
  of: (parameter: number, sample: number, index: number, parameters: HostArray) => number,
): Tensor {
  const [from, to] = [parameter.value, sample.value];
  const fill = (_: unknown, out: HostArray): void => {
    const [parameters, samples] = [valuesOf(from), valuesOf(to)];
    for (let i = 0; i < out.length; i++) out[i] = of(parameters[i]!, samples[i]!, i, parameters);
  };
  return generator.tensor({ fill, skip() {} }, sample.shape, "float32");
}
