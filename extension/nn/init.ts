// PyTorch's torch.nn.init: each function overwrites a tensor and returns it. Values are drawn when they are needed.
import { TensorError } from "../tensor/core/errors.ts";
import { fillValue } from "../tensor/recording/graph.ts";
import { drawInto } from "../tensor/functions/creation/filling.ts";
import { qr } from "../tensor/functions/linalg/decompositions.ts";
import { mul } from "../tensor/functions/pointwise/arithmetic.ts";
import { sign } from "../tensor/functions/pointwise/elementwise.ts";
import { diagonal } from "../tensor/functions/shape/orientation.ts";
import { isContiguous } from "../tensor/functions/shape/parts.ts";
import { reshape, transpose } from "../tensor/functions/shape/shape.ts";
import { normal, randperm, truncNormal, uniform } from "../tensor/random/operations.ts";
import { defaultStream, type RandomStream, type ReadyDraw } from "../tensor/random/stream.ts";
import { hidden, noGrad } from "../tensor/recording/scope.ts";
import { numel, type Shape } from "../tensor/core/shape.ts";
import { fromHost, Tensor } from "../tensor/core/tensor.ts";
import { bind, REQUIRED } from "./arguments.ts";
import { warnOnce } from "./warnings.ts";

export type FanMode = "fan_in" | "fan_out";
export type Nonlinearity =
  | "linear"
  | "conv1d"
  | "conv2d"
  | "conv3d"
  | "conv_transpose1d"
  | "conv_transpose2d"
  | "conv_transpose3d"
  | "sigmoid"
  | "tanh"
  | "relu"
  | "leaky_relu"
  | "selu";

/** Where a draw takes its numbers; the global generator by default. */
export interface Drawn {
  generator?: RandomStream | null;
}

/**
 * The factor by which a nonlinearity shrinks the spread of its input: 5/3 for tanh, √2 for relu,
 * √(2 / (1 + slope²)) for leaky_relu, 3/4 for selu, 1 for linear ones and sigmoid.
 * @param param the slope of leaky_relu, 0.01 by default
 */
export function calculateGain(nonlinearity: Nonlinearity, param?: number | null): number {
  switch (nonlinearity) {
    case "tanh":
      return 5 / 3;
    case "relu":
      return Math.SQRT2;
    case "leaky_relu":
      return Math.sqrt(2 / (1 + (param ?? 0.01) ** 2));
    case "selu":
      return 3 / 4;
    case "linear":
    case "conv1d":
    case "conv2d":
    case "conv3d":
    case "conv_transpose1d":
    case "conv_transpose2d":
    case "conv_transpose3d":
    case "sigmoid":
      return 1;
    default:
      throw new TensorError("value", `Unsupported nonlinearity ${String(nonlinearity)}`);
  }
}

/**
 * How many inputs reach one output of a weight [out, in, kernel…] and how many outputs one input reaches.
 * @throws TensorError for fewer than 2 dimensions
 */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  if (shape.length < 2) {
    throw new TensorError(
      "shape",
      "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions",
    );
  }
  const kernel = numel(shape.slice(2));
  return { fanIn: shape[1]! * kernel, fanOut: shape[0]! * kernel };
}

function overwrite(tensor: Tensor, next: Tensor): Tensor {
  return noGrad(() => tensor.write(next));
}

function draw(tensor: Tensor, values: ReadyDraw, generator: RandomStream | null): Tensor {
  return noGrad(() => drawInto(tensor, values, generator ?? undefined));
}

/** As {@link draw}, of what PyTorch draws into a tensor of its own. */
function drawRowMajor(tensor: Tensor, values: ReadyDraw, generator: RandomStream | null): Tensor {
  return overwrite(tensor, (generator ?? defaultStream).tensor(values, tensor.shape, "float32"));
}

interface Uniform extends Drawn {
  a?: number;
  b?: number;
}

/** Uniform over [a, b); 0 and 1 by default. */
export function uniform_(tensor: Tensor, options?: Uniform): Tensor;
export function uniform_(tensor: Tensor, a?: number, b?: number, options?: Drawn): Tensor;
export function uniform_(tensor: Tensor, ...rest: unknown[]): Tensor {
  const { a, b, generator } = bind<Uniform>("uniform_", rest, { a: 0, b: 1, generator: null });
  return draw(tensor, uniform(tensor.numel(), a, b), generator);
}

interface Normal extends Drawn {
  mean?: number;
  std?: number;
}

/** Normal with a mean (0) and a standard deviation (1). */
export function normal_(tensor: Tensor, options?: Normal): Tensor;
export function normal_(tensor: Tensor, mean?: number, std?: number, options?: Drawn): Tensor;
export function normal_(tensor: Tensor, ...rest: unknown[]): Tensor {
  const { mean, std, generator } = bind<Normal>("normal_", rest, { mean: 0, std: 1, generator: null });
  return draw(tensor, normal(tensor.numel(), mean, std, isContiguous(tensor)), generator);
}

/** Normal, drawn again until it lies in [a, b]; −2 and 2 by default. */
export function truncNormal_(tensor: Tensor, options?: Normal & Uniform): Tensor;
export function truncNormal_(
  tensor: Tensor,
  mean?: number,
  std?: number,
  a?: number,
  b?: number,
  options?: Drawn,
): Tensor;
export function truncNormal_(tensor: Tensor, ...rest: unknown[]): Tensor {
  const { mean, std, a, b, generator } = bind<Normal & Uniform>("trunc_normal_", rest, {
    mean: 0,
    std: 1,
    a: -2,
    b: 2,
    generator: null,
  });
  return draw(tensor, truncNormal(tensor.numel(), mean, std, a, b, isContiguous(tensor)), generator);
}

/** One number everywhere. */
export function constant_(tensor: Tensor, val: number): Tensor;
export function constant_(tensor: Tensor, options: { val: number }): Tensor;
export function constant_(tensor: Tensor, ...rest: unknown[]): Tensor {
  const { val } = bind<{ val: number }>("constant_", rest, { val: REQUIRED });
  return overwrite(tensor, new Tensor(fillValue(val, tensor.shape, tensor.dtype)));
}

export function ones_(tensor: Tensor): Tensor {
  return constant_(tensor, 1);
}

export function zeros_(tensor: Tensor): Tensor {
  return constant_(tensor, 0);
}

interface Gain extends Drawn {
  gain?: number;
}

/** Uniform over ±gain · √(6 / (fan_in + fan_out)): Glorot's. */
export function xavierUniform_(tensor: Tensor, options?: Gain): Tensor;
export function xavierUniform_(tensor: Tensor, gain?: number, options?: Drawn): Tensor;
export function xavierUniform_(tensor: Tensor, ...rest: unknown[]): Tensor {
  const { gain, generator } = bind<Gain>("xavier_uniform_", rest, { gain: 1, generator: null });
  const { fanIn, fanOut } = fans(tensor.shape);
  const bound = Math.sqrt(3) * gain * Math.sqrt(2 / (fanIn + fanOut));
  return draw(tensor, uniform(tensor.numel(), -bound, bound), generator);
}

/** Normal with standard deviation gain · √(2 / (fan_in + fan_out)): Glorot's. */
export function xavierNormal_(tensor: Tensor, options?: Gain): Tensor;
export function xavierNormal_(tensor: Tensor, gain?: number, options?: Drawn): Tensor;
export function xavierNormal_(tensor: Tensor, ...rest: unknown[]): Tensor {
  const { gain, generator } = bind<Gain>("xavier_normal_", rest, { gain: 1, generator: null });
  const { fanIn, fanOut } = fans(tensor.shape);
  const std = gain * Math.sqrt(2 / (fanIn + fanOut));
  return draw(tensor, normal(tensor.numel(), 0, std, isContiguous(tensor)), generator);
}

interface Kaiming extends Drawn {
  /** Slope of leaky_relu. */
  a?: number;
  mode?: FanMode;
  nonlinearity?: Nonlinearity;
}

/** gain / √fan, He's standard deviation. */
function kaiming(name: string, tensor: Tensor, rest: readonly unknown[]): [number, RandomStream | null] {
  const { a, mode, nonlinearity, generator } = bind<Kaiming>(name, rest, {
    a: 0,
    mode: "fan_in",
    nonlinearity: "leaky_relu",
    generator: null,
  });
  const { fanIn, fanOut } = fans(tensor.shape);
  if (mode !== "fan_in" && mode !== "fan_out") {
    throw new TensorError(
      "value",
      `Mode ${String(mode)} not supported, please use one of ['fan_in', 'fan_out']`,
    );
  }
  return [calculateGain(nonlinearity, a) / Math.sqrt(mode === "fan_in" ? fanIn : fanOut), generator];
}

/** Whether a tensor has no elements, of which there is no spread: its fan may be 0. */
function isEmpty(tensor: Tensor): boolean {
  if (tensor.numel() > 0) return false;
  warnOnce("Initializing zero-element tensors is a no-op");
  return true;
}

/** Uniform over ±gain · √(3 / fan): He's. The nonlinearity is leaky_relu of slope `a` (0), the fan fan_in. */
export function kaimingUniform_(tensor: Tensor, options?: Kaiming): Tensor;
export function kaimingUniform_(
  tensor: Tensor,
  a?: number,
  mode?: FanMode,
  nonlinearity?: Nonlinearity,
  options?: Drawn,
): Tensor;
export function kaimingUniform_(tensor: Tensor, ...rest: unknown[]): Tensor {
  if (isEmpty(tensor)) return tensor;
  const [std, generator] = kaiming("kaiming_uniform_", tensor, rest);
  const bound = Math.sqrt(3) * std;
  return draw(tensor, uniform(tensor.numel(), -bound, bound), generator);
}

/** Normal with standard deviation gain / √fan: He's. */
export function kaimingNormal_(tensor: Tensor, options?: Kaiming): Tensor;
export function kaimingNormal_(
  tensor: Tensor,
  a?: number,
  mode?: FanMode,
  nonlinearity?: Nonlinearity,
  options?: Drawn,
): Tensor;
export function kaimingNormal_(tensor: Tensor, ...rest: unknown[]): Tensor {
  if (isEmpty(tensor)) return tensor;
  const [std, generator] = kaiming("kaiming_normal_", tensor, rest);
  return draw(tensor, normal(tensor.numel(), 0, std, isContiguous(tensor)), generator);
}

/**
 * Ones on the diagonal of a matrix, else zeros.
 * @throws TensorError "Only tensors with 2 dimensions are supported"
 */
export function eye_(tensor: Tensor): Tensor {
  if (tensor.ndim !== 2) throw new TensorError("value", "Only tensors with 2 dimensions are supported");
  const [rows, columns] = tensor.shape as [number, number];
  const data = new Float32Array(rows * columns);
  for (let i = 0; i < Math.min(rows, columns); i++) data[i * columns + i] = 1;
  return overwrite(tensor, fromHost(data, tensor.shape, "float32"));
}

/**
 * A convolution's weight that passes as many channels through as it can, in each of the groups.
 * @throws TensorError "Only tensors with 3, 4, or 5 dimensions are supported"
 */
export function dirac_(tensor: Tensor, groups?: number): Tensor;
export function dirac_(tensor: Tensor, options?: { groups?: number }): Tensor;
export function dirac_(tensor: Tensor, ...rest: unknown[]): Tensor {
  const { groups } = bind<{ groups?: number }>("dirac_", rest, { groups: 1 });
  const { shape } = tensor;
  if (shape.length < 3 || shape.length > 5) {
    throw new TensorError("value", "Only tensors with 3, 4, or 5 dimensions are supported");
  }
  const [out, input, ...kernel] = shape as [number, number, ...number[]];
  if (out % groups !== 0) throw new TensorError("value", "dim 0 must be divisible by groups");
  const size = numel(kernel);
  const middle = kernel.reduce((at, length) => at * length + Math.floor(length / 2), 0);
  const data = new Float32Array(tensor.numel());
  const perGroup = out / groups;
  for (let g = 0; g < groups; g++)
    for (let d = 0; d < Math.min(perGroup, input); d++)
      data[((g * perGroup + d) * input + d) * size + middle] = 1;
  return overwrite(tensor, fromHost(data, shape, "float32"));
}

/** A matrix [size 0, the rest] with orthonormal rows or columns, whichever are fewer, times `gain`. */
export function orthogonal_(tensor: Tensor, options?: Gain): Tensor;
export function orthogonal_(tensor: Tensor, gain?: number, options?: Drawn): Tensor;
export function orthogonal_(tensor: Tensor, ...rest: unknown[]): Tensor {
  const { gain, generator } = bind<Gain>("orthogonal_", rest, { gain: 1, generator: null });
  if (tensor.ndim < 2) {
    throw new TensorError("value", "Only tensors with 2 or more dimensions are supported");
  }
  if (tensor.numel() === 0) return tensor;
  const rows = tensor.shape[0]!;
  const columns = tensor.numel() / rows;
  const wide = rows < columns;
  const drawn = (generator ?? defaultStream).tensor(normal(tensor.numel()), [rows, columns], "float32");
  return noGrad(() =>
    hidden(() => {
      const { Q, R } = qr(wide ? transpose(drawn, 0, 1) : drawn);
      // A decomposition is unique up to signs: those of R's diagonal make the result uniform.
      const basis = mul(Q, mul(sign(diagonal(R)), gain));
      return overwrite(tensor, reshape(wide ? transpose(basis, 0, 1) : basis, tensor.shape));
    }),
  );
}

interface Sparse extends Drawn {
  sparsity: number;
  std?: number;
}

/**
 * A matrix of normal values (standard deviation 0.01), of which a fraction `sparsity` in every column is 0.
 * @throws TensorError "Only tensors with 2 dimensions are supported"
 */
export function sparse_(tensor: Tensor, options: Sparse): Tensor;
export function sparse_(tensor: Tensor, sparsity: number, std?: number, options?: Drawn): Tensor;
export function sparse_(tensor: Tensor, ...rest: unknown[]): Tensor {
  const { sparsity, std, generator } = bind<Sparse>("sparse_", rest, {
    sparsity: REQUIRED,
    std: 0.01,
    generator: null,
  });
  if (tensor.ndim !== 2) throw new TensorError("value", "Only tensors with 2 dimensions are supported");
  const [rows, columns] = tensor.shape as [number, number];
  const zeros = Math.ceil(sparsity * rows);
  const values = normal(tensor.numel(), 0, std);
  const order = randperm(rows);
  return drawRowMajor(
    tensor,
    {
      fill: (stream, out) => {
        values.fill(stream, out as Float32Array);
        const row = new Int32Array(rows);
        for (let c = 0; c < columns; c++) {
          order.fill(stream, row);
          for (let i = 0; i < zeros; i++) out[row[i]! * columns + c] = 0;
        }
      },
      skip: (stream) => {
        values.skip(stream);
        for (let c = 0; c < columns; c++) order.skip(stream);
      },
    },
    generator,
  );
}
