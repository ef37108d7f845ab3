import { Value } from "../../../tensor/recording/graph.ts";
import { apply } from "../../../tensor/recording/apply.ts";
import { SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { relu as reluOf } from "../../../tensor/functions/pointwise/elementwise.ts";
import { composed, constant, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import * as activations from "../../../tensor/ops/elementwise/activations.ts";
import * as op from "../../../tensor/ops/elementwise/elementwise.ts";
import * as pieces from "../../../tensor/ops/elementwise/piecewise.ts";
import { reshape } from "../../../tensor/ops/movement/movement.ts";
import { slice } from "../../../tensor/ops/movement/slicing.ts";
import { normalizeDim } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";

const f = (o: typeof op.add, ...inputs: Tensor[]): Tensor => apply(o, inputs, {});
const c = constant;
const times = (x: Tensor, by: number): Tensor => f(op.mul, x, c(by));
const plus = (x: Tensor, by: number): Tensor => f(op.add, x, c(by));
const choose = (condition: Tensor, x: Tensor, y: Tensor): Tensor => f(op.where, condition, x, y);

/** A formula of float tensors as one function, written back to the input when asked to. */
function elementwise(
  kernel: string,
  gradient: string,
  input: Tensor,
  inplace: boolean,
  formula: (x: Tensor) => Tensor,
): Tensor {
  if (input.dtype !== "float32") notImplemented(kernel, input.dtype);
  const { made } = Value;
  // A function that is one of PyTorch's own, and no formula there, saves its input.
  const saved = inplace || gradient === "SubBackward0" ? [] : [input];
  const result = composed(() => named(formula(input), gradient, ...saved));
  return inplace ? input.write(result, undefined, made) : result;
}

export interface InPlace {
  /** Overwrite the input. */
  inplace?: boolean;
}

/** max(x, 0). */
export function relu(input: Tensor, inplace = false): Tensor {
  const { made } = Value;
  const result = reluOf(input);
  return inplace ? input.write(result, undefined, made) : result;
}

/** min(max(x, 0), 6). */
export function relu6(input: Tensor, inplace = false): Tensor {
  return hardtanhOf(input, 0, 6, inplace);
}

/** x where it is positive, else negativeSlope · x. */
export function leakyRelu(input: Tensor, negativeSlope = 0.01, inplace = false): Tensor {
  return elementwise("leaky_relu_cpu", "LeakyReluBackward0", input, inplace, (x) =>
    apply(activations.leakyRelu, [x], { slope: negativeSlope }),
  );
}

/**
 * x where it is positive, else weight · x.
 * @param weight one number, or one per channel (dimension 1)
 */
export function prelu(input: Tensor, weight: Tensor): Tensor {
  const count = weight.numel();
  if (count !== 1) {
    if (input.ndim === 0) throw new TensorError("shape", "Not allow zero-dim input tensor.");
    const channels = input.ndim < 2 ? 1 : input.shape[1]!;
    if (channels !== count) {
      throw new TensorError(
        "shape",
        `Mismatch of parameter numbers and input channel size. Found parameter numbers = ${count} and channel size = ${channels}.`,
      );
    }
  }
  if (weight.ndim > 1) {
    throw new TensorError(
      "shape",
      `prelu: Expected \`weight\` to be a scalar or 1D tensor, but got: ndim = ${weight.ndim}`,
    );
  }
  if (weight.dtype !== input.dtype) {
    throw new TensorError(
      "dtype",
      `prelu: Type promoting not supported. Got ${SCALAR_TYPE[input.dtype]} and ${SCALAR_TYPE[weight.dtype]}`,
    );
  }
  return elementwise("prelu_cpu", "PreluKernelBackward0", input, false, (x) => {
    const shape = x.shape.map((_, d) => (d === 1 || (d === 0 && x.ndim === 1) ? count : 1));
    const positive = f(op.gt, x, c(0));
    // Without the positive elements, whose gradient would be 0 times a weight that may be infinite.
    const rest = choose(positive, c(0), x);
    return choose(positive, x, f(op.mul, apply(reshape, [weight], { shape }), rest));
  });
}

/** scale · alpha · (e^(x · inputScale) − 1) where x is not positive, else scale · x: also where x is NaN, as in PyTorch. */
function eluOf(
  name: string,
  input: Tensor,
  inplace: boolean,
  alpha: number,
  scale = 1,
  inputScale = 1,
): Tensor {
  return elementwise("elu_cpu", `${name}Backward0`, input, inplace, (x) =>
    apply(pieces.scaledElu, [x], { below: alpha * scale, above: scale, steepness: inputScale }),
  );
}

/** x where it is positive, else alpha · (eˣ − 1). */
export function elu(input: Tensor, alpha = 1, inplace = false): Tensor {
  return eluOf("Elu", input, inplace, alpha);
}

/** elu with the alpha and scale that keep mean 0 and variance 1. */
export function selu(input: Tensor, inplace = false): Tensor {
  return eluOf("Elu", input, inplace, 1.6732632423543772, 1.0507009873554805);
}

/** x where it is positive, else alpha · (e^(x / alpha) − 1). */
export function celu(input: Tensor, alpha = 1, inplace = false): Tensor {
  if (alpha === 0) throw new TensorError("value", "ZeroDivisionError: alpha cannot be 0 for CELU");
  return eluOf("Elu", input, inplace, alpha, 1, 1 / alpha);
}

interface GeluOptions {
  /** "tanh" computes the approximation by tanh. */
  approximate?: "none" | "tanh";
}

/** x · Φ(x), Φ the normal distribution function. */
export function gelu(input: Tensor, options?: GeluOptions): Tensor;
export function gelu(input: Tensor, approximate?: "none" | "tanh"): Tensor;
export function gelu(input: Tensor, ...rest: unknown[]): Tensor {
  const { approximate } = bind<GeluOptions>("gelu", rest, { approximate: "none" });
  if (approximate !== "none" && approximate !== "tanh") {
    throw new TensorError("value", "approximate argument must be either none or tanh.");
  }
  const kind = approximate === "none" ? activations.gelu : activations.geluTanh;
  return elementwise("GeluKernelImpl", "GeluBackward0", input, false, (x) => f(kind, x));
}

/** x · sigmoid(x). */
export function silu(input: Tensor, inplace = false): Tensor {
  return elementwise("silu_cpu", "SiluBackward0", input, inplace, (x) => f(activations.silu, x));
}

/** x · tanh(softplus(x)). */
export function mish(input: Tensor, inplace = false): Tensor {
  return elementwise("mish_cpu", "MishBackward0", input, inplace, (x) =>
    f(op.mul, x, f(op.tanh, f(op.softplus, x))),
  );
}

/** ln(1 + e^(beta · x)) / beta; x itself where beta · x is above the threshold (20). */
export function softplus(input: Tensor, beta = 1, threshold = 20): Tensor {
  return elementwise("softplus_cpu", "SoftplusBackward0", input, false, (x) => {
    const scaled = beta === 1 ? x : times(x, beta);
    const soft = f(op.softplus, scaled);
    return choose(f(op.gt, scaled, c(threshold)), x, beta === 1 ? soft : times(soft, 1 / beta));
  });
}

/** x / (1 + |x|). */
export function softsign(input: Tensor): Tensor {
  return elementwise("abs_cpu", "DivBackward0", input, false, (x) => f(op.div, x, plus(f(op.abs, x), 1)));
}

/** x moved into [minVal, maxVal]: ±1 by default. */
export function hardtanh(input: Tensor, minVal = -1, maxVal = 1, inplace = false): Tensor {
  if (minVal > maxVal) throw new TensorError("value", "min_val cannot be greater than max_val");
  return hardtanhOf(input, minVal, maxVal, inplace);
}

/** Unlike clamp, no gradient passes on the bounds themselves. */
function hardtanhOf(input: Tensor, min: number, max: number, inplace: boolean): Tensor {
  return elementwise("hardtanh_cpu", "HardtanhBackward0", input, inplace, (x) =>
    apply(pieces.hardtanh, [x], { min, max }),
  );
}

/** min(max(x + 3, 0), 6) / 6. NaN gets no gradient, as in PyTorch. */
export function hardsigmoid(input: Tensor, inplace = false): Tensor {
  return elementwise("hardsigmoid_cpu", "HardsigmoidBackward0", input, inplace, (x) =>
    apply(pieces.hardsigmoid, [x], {}),
  );
}

/** x · hardsigmoid(x). */
export function hardswish(input: Tensor, inplace = false): Tensor {
  return elementwise("hardswish_cpu", "HardswishBackward0", input, inplace, (x) =>
    apply(pieces.hardswish, [x], {}),
  );
}

/** ln(sigmoid(x)), without overflow. */
export function logsigmoid(input: Tensor): Tensor {
  return elementwise("log_sigmoid_cpu", "LogSigmoidBackward0", input, false, (x) =>
    apply(pieces.logSigmoid, [x], {}),
  );
}

/** x − tanh(x). */
export function tanhshrink(input: Tensor): Tensor {
  return elementwise("tanh", "SubBackward0", input, false, (x) => f(op.sub, x, f(op.tanh, x)));
}

/** x where |x| is above lambd (0.5), else 0. */
export function hardshrink(input: Tensor, lambd = 0.5): Tensor {
  return elementwise("hardshrink_cpu", "HardshrinkBackward0", input, false, (x) =>
    apply(pieces.hardshrink, [x], { lambd }),
  );
}

/** x moved towards 0 by lambd (0.5), 0 in between. */
export function softshrink(input: Tensor, lambd = 0.5): Tensor {
  if (lambd < 0) {
    throw new TensorError(
      "value",
      `lambda must be in range [0, 3.40282e+38] for input dtype Float, but found ${lambd}`,
    );
  }
  return elementwise("softshrink_cpu", "SoftshrinkBackward0", input, false, (x) =>
    apply(pieces.softshrink, [x], { lambd }),
  );
}

/** x where it is above the threshold, else `value`. */
export function threshold(input: Tensor, threshold: number, value: number, inplace = false): Tensor {
  return elementwise("threshold_cpu", "ThresholdBackward0", input, inplace, (x) =>
    apply(pieces.threshold, [x], { threshold, value }),
  );
}

/** One half of dimension `dim` (the last by default) times the sigmoid of the other. */
export function glu(input: Tensor, dim = -1): Tensor {
  if (input.ndim === 0) {
    throw new TensorError("shape", "glu does not support scalars because halving size must be even");
  }
  const at = normalizeDim(dim, input.ndim);
  const length = input.shape[at]!;
  if (length % 2 !== 0) {
    throw new TensorError("shape", `Halving dimension must be even, but dimension ${at} is size ${length}`);
  }
  return elementwise("glu_cpu", "GluBackward0", input, false, (x) => {
    const half = (from: number): Tensor =>
      apply(slice, [x], {
        begin: x.shape.map((_, d) => (d === at ? from : 0)),
        end: x.shape.map((n, d) => (d === at ? from + length / 2 : n)),
        step: x.shape.map(() => 1),
      });
    return f(op.mul, half(0), f(op.sigmoid, half(length / 2)));
  });
}

/** 1 / (1 + e⁻ˣ). */
export { sigmoid, tanh } from "../../../tensor/functions/pointwise/elementwise.ts";
