import { expect, test } from "vitest";
import { F, nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

const zeros = (...size: number[]): Tensor => torch.zeros(size);
const ints = (...size: number[]): Tensor => torch.zeros(size, { dtype: "int64" });

const bceWithLogits = (options: { weight?: Tensor; posWeight?: Tensor }): Tensor =>
  F.binaryCrossEntropyWithLogits(zeros(2), zeros(2), options);

/** Messages as PyTorch 2.15 words them: each was printed by the same call there. */
const CASES: [message: string, call: () => unknown][] = [
  [
    "addmm: mat1 and mat2 shapes cannot be multiplied (32x100 and 784x128)",
    () => new nn.Linear(784, 128)(zeros(32, 100)),
  ],
  [
    "addmm: mat1 and mat2 shapes cannot be multiplied (1x100 and 784x128)",
    () => new nn.Linear(784, 128)(zeros(100)),
  ],
  [
    "mm: mat1 and mat2 shapes cannot be multiplied (32x100 and 784x128)",
    () => new nn.Linear(784, 128, false)(zeros(4, 8, 100)),
  ],
  [
    "both arguments to linear need to be at least 1D, but they are 0D and 2D",
    () => new nn.Linear(784, 128)(zeros()),
  ],
  [
    "mat1 and mat2 must have the same dtype, but got Long and Float",
    () => new nn.Linear(784, 128)(ints(4, 784)),
  ],
  [
    "self and mat2 must have the same dtype, but got Long and Float",
    () => F.linear(zeros(2, 3), zeros(4, 3), ints(4)),
  ],
  [
    "mixed dtype (CPU): expect parameter to have scalar type of Float",
    () => F.layerNorm(zeros(1, 2), [2], null, ints(2)),
  ],
  [
    "mixed dtype (CPU): expect parameter to have scalar type of Float",
    () => F.groupNorm(zeros(1, 2), 1, ints(2)),
  ],
  [
    "mixed dtype (CPU): expect parameter to have scalar type of Float",
    () => F.batchNorm(zeros(3, 2), ints(2), ints(2)),
  ],
  ["prelu: Type promoting not supported. Got Float and Long", () => F.prelu(zeros(2, 2), ints(2))],
  [
    "All tensors must have the same dtype, got input1: float, input2: float, weight: float, bias: long int",
    () => F.bilinear(zeros(1, 2), zeros(1, 2), zeros(3, 2, 2), ints(3)),
  ],
  [
    "self and mat2 must have the same dtype, but got Long and Float",
    () => torch.addmm(ints(2), zeros(2, 2), zeros(2, 2)),
  ],
  [
    "Input dtypes must be the same, got: input long int, batch1: float, batch2: float",
    () => torch.baddbmm(ints(2), zeros(1, 2, 2), zeros(1, 2, 2)),
  ],
  [
    "Given groups=1, weight of size [8, 3, 3, 3], expected input[1, 1, 8, 8] to have 3 channels, but got 1 channels instead",
    () => new nn.Conv2d(3, 8, 3)(zeros(1, 1, 8, 8)),
  ],
  [
    "Given groups=2, weight of size [8, 2, 3, 3], expected input[1, 3, 8, 8] to have 4 channels, but got 3 channels instead",
    () => new nn.Conv2d(4, 8, 3, { groups: 2 })(zeros(1, 3, 8, 8)),
  ],
  [
    "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [8, 8]",
    () => new nn.Conv2d(3, 8, 3)(zeros(8, 8)),
  ],
  [
    "Calculated padded input size per channel: (2 x 2). Kernel size: (3 x 3). Kernel size can't be greater than actual input size",
    () => new nn.Conv2d(3, 8, 3)(zeros(1, 3, 2, 2)),
  ],
  [
    "Input type (long int) and bias type (float) should be the same",
    () => new nn.Conv2d(3, 8, 3)(ints(1, 3, 8, 8)),
  ],
  ["in_channels must be divisible by groups", () => new nn.Conv2d(3, 8, 3, { groups: 2 })],
  ["out_channels must be divisible by groups", () => new nn.Conv2d(4, 9, 3, { groups: 2 })],
  ["groups must be a positive integer", () => new nn.Conv2d(4, 8, 3, { groups: 0 })],
  ["non-positive stride is not supported", () => new nn.Conv2d(4, 8, 3, 0)(zeros(1, 4, 8, 8))],
  ["negative padding is not supported", () => new nn.Conv2d(4, 8, 3, { padding: -1 })(zeros(1, 4, 8, 8))],
  [
    "Invalid padding string 'foo', should be one of {'same', 'valid'}",
    () => new nn.Conv2d(4, 8, 3, { padding: "foo" as "same" }),
  ],
  ["padding='same' is not supported for strided convolutions", () => new nn.Conv2d(4, 8, 3, 2, "same")],
  [
    "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (4, 4) at dimension 3 of input [1, 1, 4, 4]",
    () => new nn.Conv2d(1, 1, 3, { padding: 4, paddingMode: "reflect" })(zeros(1, 1, 4, 4)),
  ],
  [
    "Padding value causes wrapping around more than once.",
    () => new nn.Conv2d(1, 1, 3, { padding: 5, paddingMode: "circular" })(zeros(1, 1, 4, 4)),
  ],
  ["non-empty 3D or 4D (batch mode) tensor expected for input", () => new nn.MaxPool2d(2)(zeros(8, 8))],
  [
    "Given input size: (1x1x1). Calculated output size: (1x0x0). Output size is too small",
    () => new nn.MaxPool2d(2)(zeros(1, 1, 1, 1)),
  ],
  [
    "pad should be at most half of effective kernel size, but got pad=2, kernel_size=2 and dilation=1",
    () => new nn.MaxPool2d(2, { padding: 2 })(zeros(1, 1, 4, 4)),
  ],
  ["stride should not be zero", () => new nn.MaxPool2d(2, 0)(zeros(1, 1, 4, 4))],
  ["divisor must be not zero", () => new nn.AvgPool2d(2, { divisorOverride: 0 })(zeros(1, 1, 4, 4))],
  ["dropout probability has to be between 0 and 1, but got 1.5", () => new nn.Dropout(1.5)],
  ["result type Float can't be cast to the desired output type Long", () => F.dropout(ints(2), 0.5)],
  ["Dimension out of range (expected to be in range of [-2, 1], but got 2)", () => F.softmax(zeros(2, 3), 2)],
  ["\"softmax_lastdim_kernel_impl\" not implemented for 'Long'", () => F.softmax(ints(2, 3), 1)],
  [
    "Expected input batch_size (4) to match target batch_size (3).",
    () => F.crossEntropy(zeros(4, 3), ints(3)),
  ],
  [
    "Expected floating point type for target with class probabilities, got Long",
    () => F.crossEntropy(zeros(4, 3), ints(4, 3)),
  ],
  ["expected target dtype to be Long or Byte, but got Float", () => F.crossEntropy(zeros(4, 3), zeros(4))],
  [
    "0D or 1D target tensor expected, multi-target not supported",
    () => F.crossEntropy(zeros(4, 3), zeros(4, 2)),
  ],
  ["Target 10 is out of bounds.", () => F.crossEntropy(zeros(2, 3), torch.tensor([0, 10]))],
  ["Target -1 is out of bounds.", () => F.crossEntropy(zeros(2, 3), torch.tensor([0, -1]))],
  [
    "weight tensor should be defined either for all 3 classes or no classes but got weight tensor of shape: [2]",
    () => F.crossEntropy(zeros(4, 3), ints(4), zeros(2)),
  ],
  ["Expected target size [4, 5], got [4, 4]", () => F.crossEntropy(zeros(4, 3, 5), ints(4, 4))],
  [
    "label_smoothing must be between 0.0 and 1.0. Got: 2",
    () => F.crossEntropy(zeros(4, 3), ints(4), { labelSmoothing: 2 }),
  ],
  [
    "foo is not a valid value for reduction",
    () => F.crossEntropy(zeros(4, 3), ints(4), { reduction: "foo" as "sum" }),
  ],
  [
    "ignore_index is not supported for floating point target",
    () => F.crossEntropy(zeros(4, 3), zeros(4, 3), { ignoreIndex: 1 }),
  ],
  [
    "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1",
    () => zeros(4, 3).add(zeros(4, 2)),
  ],
  [
    "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1",
    () => zeros(2, 3).add(zeros(3, 2)),
  ],
  ["\"mse_cpu\" not implemented for 'Long'", () => F.mseLoss(ints(4, 3), ints(4, 3))],
  [
    "Using a target size (torch.Size([4])) that is different to the input size (torch.Size([4, 1])) is deprecated. Please ensure they have the same size.",
    () => F.binaryCrossEntropy(zeros(4, 1), zeros(4)),
  ],
  [
    "all elements of input should be between 0 and 1",
    () => F.binaryCrossEntropy(torch.tensor([1.5]), zeros(1)),
  ],
  [
    "all elements of target should be between 0 and 1",
    () => F.binaryCrossEntropy(torch.tensor([0.5]), torch.tensor([2.5])),
  ],
  ["Found dtype Long but expected Float", () => F.binaryCrossEntropy(torch.tensor([0.5]), ints(1))],
  [
    "Target size (torch.Size([4])) must be the same as input size (torch.Size([4, 1]))",
    () => F.binaryCrossEntropyWithLogits(zeros(4, 1), zeros(4)),
  ],
  ...(
    [
      ["nll_loss_forward", "weight", (p) => F.crossEntropy(zeros(2, 2), ints(2), { weight: p })],
      ["nll_loss_forward", "weight", (p) => F.nllLoss(zeros(2, 2), ints(2), p)],
      ["nll_loss2d_forward", "weight", (p) => F.crossEntropy(zeros(2, 2, 3), ints(2, 3), { weight: p })],
      ["multi_margin_loss", "weight", (p) => F.multiMarginLoss(zeros(2, 2), ints(2), { weight: p })],
      ["binary_cross_entropy", "weight", (p) => F.binaryCrossEntropy(zeros(2), zeros(2), p)],
      ["binary_cross_entropy_with_logits", "weight", (p) => bceWithLogits({ weight: p })],
      ["binary_cross_entropy_with_logits", "pos_weight", (p) => bceWithLogits({ posWeight: p })],
      ["soft_margin_loss", "target", (p) => F.softMarginLoss(zeros(2), p)],
      ["native_batch_norm", "running_mean", (p) => F.batchNorm(zeros(3, 2), p, torch.ones(2))],
      ["native_batch_norm", "running_var", (p) => F.instanceNorm(zeros(3, 2, 4), zeros(2), p)],
      [
        "fractional_max_pool2d",
        "random_samples",
        (p) =>
          F.fractionalMaxPool2d(zeros(1, 1, 5, 5), 2, { outputSize: 2, _randomSamples: p.reshape(1, 1, 2) }),
      ],
    ] as [name: string, argument: string, call: (parameter: Tensor) => unknown][]
  ).map(([name, argument, call]): [string, () => unknown] => [
    `The function '${name}' is not differentiable with respect to argument '${argument}'. This input cannot have requires_grad True.`,
    () => {
      const parameter = new nn.Parameter(torch.ones(2));
      torch.noGrad(() => call(parameter));
      return call(parameter);
    },
  ]),
  [
    "flatten() has invalid args: start_dim cannot come after end_dim",
    () => new nn.Flatten(1, 0)(zeros(2, 3, 4)),
  ],
  [
    "unflatten: Provided sizes [2, 5] don't multiply up to the size of dim 1 (3) in the input tensor",
    () => new nn.Unflatten(1, [2, 5])(zeros(2, 3)),
  ],
  ["Trying to create tensor with negative dimension -1: [2, -1]", () => new nn.Linear(-1, 2)],
  [
    "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions",
    () => nn.init.xavierUniform_(zeros(3)),
  ],
  ["element 0 of tensors does not require grad and does not have a grad_fn", () => zeros(1).sum().backward()],
  [
    "grad can be implicitly created only for scalar outputs",
    () => new nn.Linear(2, 2)(zeros(1, 2)).backward(),
  ],
];

test.each(CASES)("%s", (message, call) => {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(TensorError);
  expect((thrown as TensorError).message).toBe(message);
});

test.each([
  ["Linear", () => new nn.Linear(3, 2), undefined, "undefined"],
  ["Conv2d", () => new nn.Conv2d(3, 2, 1), [1, 2], "list"],
  ["LSTM", () => new nn.LSTM(3, 2), null, "null"],
  ["ReLU", () => new nn.ReLU(), "text", "string"],
])("%s names an input that is no tensor", (name, make, input, kind) => {
  const call = make() as unknown as (x: unknown) => unknown;
  expect(() => call(input)).toThrow(`${name}(): argument 1 must be Tensor, not ${kind}`);
});

test("keeps the error of a user's own module", () => {
  class Own extends nn.Module {
    forward(x: { a: { b: number } }): number {
      return x.a.b;
    }
  }
  expect(() => new Own()({} as never)).toThrow(TypeError);
});
