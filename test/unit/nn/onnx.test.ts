// What is exported to ONNX, run by ONNX Runtime: the same numbers as here, for the recorded batch and another one.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import "../../../extension/engine/library.ts";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { encodeOnnx } from "../../../extension/formats/onnx.ts";
import { F, nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onnxGraph } from "../../../extension/nn/onnx/graph.ts";
import { tensorsIn } from "../../../extension/nn/onnx/recording.ts";
import type { Module } from "../../../extension/nn/module.ts";
import { valuesOf } from "../../../extension/tensor/runtime.ts";
import { Autoencoder } from "../../../media/examples/autoencoder.nn.ts";
import { DigitsCNN } from "../../../media/examples/digits.nn.ts";
import { CNN } from "../../../media/examples/fashion.nn.ts";
import { Discriminator, Generator } from "../../../media/examples/gan.nn.ts";
import { IrisNet } from "../../../media/examples/iris.nn.ts";
import { NameLSTM } from "../../../media/examples/names.nn.ts";
import { SimpleNN } from "../../../media/examples/simplenn.nn.ts";
import { TemperatureRNN } from "../../../media/examples/temperature.nn.ts";
import { SentenceEncoder } from "../../../media/examples/transformer.nn.ts";

beforeAll(async () => {
  await loadExecutor("cpu");
});

type Inputs = (batch: number) => Tensor[];

let runtime: ChildProcess;
beforeAll(() => {
  runtime = fork(new URL("onnxRuntime.mjs", import.meta.url), { serialization: "advanced" });
});
afterAll(() => runtime.disconnect());

interface Result {
  dims: readonly number[];
  data: ArrayLike<number | bigint>;
}

/** What ONNX Runtime computes of a model for several inputs: the outputs of each. */
async function run(model: Uint8Array, batches: object[]): Promise<Result[][]> {
  const crash = once(runtime, "exit").then(([code, signal]) => [{ error: `exit ${code ?? signal}` }]);
  const answer = Promise.race([once(runtime, "message"), crash]);
  runtime.send({ model, batches });
  const [{ results, error }] = (await answer) as [{ results?: Result[][]; error?: string }];
  if (results === undefined) throw new Error(error);
  return results;
}

function plain(tensor: Tensor): object {
  const values = valuesOf(tensor.value);
  const data = tensor.dtype === "int64" ? BigInt64Array.from(values, BigInt) : values;
  return { type: tensor.dtype, data, dims: [...tensor.shape] };
}

/** @param dynamicDim of all inputs: the batch */
async function expectSame(model: Module, inputs: Inputs, dynamicDim = 0): Promise<void> {
  const first = inputs(2);
  const names = first.map((_, i) => `x${i}`);
  const graph = onnxGraph(model, first, {
    inputNames: names,
    dynamicAxes: Object.fromEntries(names.map((name) => [name, { [dynamicDim]: "batch" }])),
  });
  model.eval();
  const batches = [first, inputs(5)];
  const results = await run(
    encodeOnnx(graph),
    batches.map((args) => Object.fromEntries(args.map((x, i) => [names[i]!, plain(x)]))),
  );
  batches.forEach((args, at) => {
    const output = torch.noGrad(() => (model as unknown as (...args: Tensor[]) => unknown)(...args));
    const wanted = tensorsIn(output).map(({ tensor }) => tensor);
    expect(results[at]).toHaveLength(wanted.length);
    wanted.forEach((tensor, i) => {
      const { dims, data } = results[at]![i]!;
      expect(dims).toEqual([...tensor.shape]);
      const values = valuesOf(tensor.value);
      expect(data).toHaveLength(values.length);
      const apart = Array.from(data, (x, k) => Math.abs(Number(x) - values[k]!) / (1 + Math.abs(values[k]!)));
      // NaN is no number below.
      expect(apart.every((x) => x < 2e-5)).toBe(true);
    });
  });
}

const image =
  (channels: number, height: number, width = height): Inputs =>
  (n) => [torch.randn(n, channels, height, width)];
const rows =
  (...shape: number[]): Inputs =>
  (n) => [torch.randn(n, ...shape)];
const tokens =
  (count: number, length: number): Inputs =>
  (n) => [torch.randint(0, count, [n, length])];

/** A module of one function. */
class Lambda extends nn.Module {
  readonly f: (...inputs: Tensor[]) => unknown;
  constructor(f: (...inputs: Tensor[]) => unknown) {
    super();
    this.f = f;
  }
  forward(...inputs: Tensor[]): unknown {
    return this.f(...inputs);
  }
}

describe("the tutorial's networks", () => {
  test.each<[string, () => Module, Inputs]>([
    ["simplenn", () => new SimpleNN(10, 5, 2), rows(10)],
    ["iris", () => new IrisNet(), rows(4)],
    ["digits", () => new DigitsCNN(), image(1, 8)],
    ["fashion", () => new CNN(), image(1, 28)],
    ["autoencoder", () => new Autoencoder(), rows(64)],
    ["GAN's generator", () => new Generator(), rows(32)],
    ["GAN's discriminator", () => new Discriminator(), image(1, 8)],
    ["names", () => new NameLSTM(), tokens(20, 7)],
    ["temperature", () => new TemperatureRNN(), rows(14, 4)],
    ["transformer", () => new SentenceEncoder(), tokens(50, 40)],
  ])("%s", async (_, make, inputs) => {
    torch.manualSeed(0);
    await expectSame(make(), inputs);
  });

  test("BERT", async () => {
    torch.manualSeed(0);
    const config = {
      vocabSize: 40,
      hiddenSize: 16,
      numHiddenLayers: 2,
      numAttentionHeads: 2,
      intermediateSize: 32,
    };
    await expectSame(new nn.BertModel(config), tokens(40, 7));
  });
});

describe("layers", () => {
  test.each<[string, () => Module, Inputs]>([
    ["Conv1d", () => new nn.Conv1d(3, 4, 3, { padding: 1, stride: 2 }), rows(3, 9)],
    [
      "Conv2d with groups and dilation",
      () => new nn.Conv2d(4, 6, 3, { groups: 2, dilation: 2 }),
      image(4, 9),
    ],
    ["Conv3d", () => new nn.Conv3d(2, 3, 2, { padding: 1 }), rows(2, 4, 5, 6)],
    [
      "ConvTranspose2d",
      () => new nn.ConvTranspose2d(3, 4, 3, { stride: 2, padding: 1, outputPadding: 1 }),
      image(3, 5),
    ],
    ["MaxPool2d", () => new nn.MaxPool2d(3, { stride: 2, padding: 1, ceilMode: true }), image(2, 8)],
    ["AvgPool2d", () => new nn.AvgPool2d(2), image(2, 8)],
    ["AdaptiveAvgPool2d", () => new nn.AdaptiveAvgPool2d(3), image(2, 7)],
    ["BatchNorm2d", () => new nn.BatchNorm2d(3), image(3, 5)],
    [
      "BatchNorm1d without running statistics",
      () => new nn.BatchNorm1d(4, { trackRunningStats: false }),
      rows(4),
    ],
    ["LayerNorm", () => new nn.LayerNorm(6), rows(5, 6)],
    ["GroupNorm", () => new nn.GroupNorm(2, 4), image(4, 5)],
    ["InstanceNorm2d", () => new nn.InstanceNorm2d(3), image(3, 5)],
    ["RNN with relu", () => new nn.RNN(4, 3, { batchFirst: true, nonlinearity: "relu" }), rows(5, 4)],
    [
      "GRU, two layers, both directions",
      () => new nn.GRU(4, 3, { numLayers: 2, bidirectional: true, batchFirst: true }),
      rows(5, 4),
    ],
    [
      "LSTM, two layers, both directions",
      () => new nn.LSTM(4, 3, { numLayers: 2, bidirectional: true, batchFirst: true }),
      rows(5, 4),
    ],
    ["MultiheadAttention", () => new Lambda((x) => attention.forward(x, x, x)[0]), rows(5, 8)],
    [
      "TransformerEncoderLayer",
      () =>
        new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true, activation: "gelu" }),
      rows(5, 8),
    ],
    ["Upsample", () => new nn.Upsample({ scaleFactor: 2, mode: "nearest" }), image(2, 4)],
    ["PixelShuffle", () => new nn.PixelShuffle(2), image(8, 3)],
    ["Flatten and Softmax", () => new nn.Sequential(new nn.Flatten(), new nn.Softmax(1)), image(2, 3)],
  ])("%s", async (_, make, inputs) => {
    torch.manualSeed(0);
    await expectSame(make(), inputs);
  });

  const attention = new nn.MultiheadAttention(8, 2, { batchFirst: true });

  test("a batch in another place: an LSTM of [L, N, H]", async () => {
    torch.manualSeed(0);
    await expectSame(new nn.LSTM(4, 3), (n) => [torch.randn(5, n, 4)], 1);
  });

  test.each([
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.LeakyReLU,
    nn.Softplus,
    nn.SELU,
    nn.Hardtanh,
    nn.Softsign,
    nn.LogSigmoid,
  ])("$name", async (Activation) => {
    await expectSame(new Activation(), rows(9));
  });
});

test("functions of tensors", async () => {
  torch.manualSeed(0);
  const some = (x: Tensor): unknown => [
    x.floor().remainder(3),
    x.mul(3).floor().div(2, { roundingMode: "floor" }),
    x.log1p().exp().sub(x.pow(2)),
    x.gt(0.5).logicalAnd(x.lt(0.8)).any(1),
    x.argmax(1),
    x.topk(2)[0],
    x.cumsum(1),
    x.flip(1),
    x.narrow(1, 1, 2).clamp(0.2, 0.7),
    torch.cat([x, x.neg()], 1),
    torch.where(x.gt(0.5), x, x.sign()),
    x.var(1),
    x.norm(),
    F.oneHot(x.mul(3).floor().long(), 3),
    x.expand(2, -1, -1).sum([0, 2]),
    F.pad(x, [1, 2]),
    x.prod(1),
    torch.zeros(x.size(0), 2).add(x.mean()),
  ];
  await expectSame(new Lambda((x) => some(x)), (n) => [torch.rand(n, 4)]);
});

describe("what can't be exported", () => {
  const refusal = (f: (x: Tensor) => unknown, dynamic = false): string => {
    const axes = dynamic ? { dynamicAxes: { input: { 0: "batch" } } } : {};
    try {
      onnxGraph(new nn.Sequential(new Lambda((x) => f(x)) as never), torch.rand(3, 3), axes);
      return "";
    } catch (error) {
      const { message, module } = error as Error & { module?: string };
      return `${module === undefined ? "" : `${module}: `}${message}`;
    }
  };

  test("is named, with its reason and module", () => {
    expect(refusal((x) => torch.linalg.inv(x))).toMatchInlineSnapshot(
      `"0: torch.onnx.export(): inverse can't be exported: ONNX has no linear algebra of this kind"`,
    );
    expect(refusal((x) => x.add(torch.rand(3)))).toMatchInlineSnapshot(
      `"torch.onnx.export(): random numbers that forward draws can't be exported"`,
    );
    expect(
      refusal((x) => x.mul(torch.tensor(Array.from({ length: x.size(0) }, (_, i) => [i]))), true),
    ).toMatchInlineSnapshot(`"torch.onnx.export(): forward() makes a constant for each size of the batch"`);
    expect(
      refusal(
        (x) =>
          torch.cat(
            Array.from({ length: x.size(0) }, () => x),
            1,
          ),
        true,
      ),
    ).toMatchInlineSnapshot(
      `"torch.onnx.export(): forward() has other operations for another size of the batch"`,
    );
  });

  test("wrong names of inputs and axes", () => {
    const model = new nn.Linear(3, 2);
    const of = (dynamicAxes: Record<string, Record<number, string>>) => () =>
      onnxGraph(model, torch.rand(2, 3), { dynamicAxes });
    expect(of({ x: { 0: "n" } })).toThrowErrorMatchingInlineSnapshot(
      `[TensorError: torch.onnx.export(): dynamicAxes names x, but the inputs are input]`,
    );
    expect(of({ input: { 2: "n" } })).toThrowErrorMatchingInlineSnapshot(
      `[TensorError: torch.onnx.export(): dynamicAxes names dimension 2 of input, which has 2 dimensions]`,
    );
    expect(of({ input: { 0: "n", 1: "m" } })).toThrowErrorMatchingInlineSnapshot(
      `[TensorError: torch.onnx.export(): one size can be free, not both n and m]`,
    );
  });
});

test("weights keep the names of the state dict, and the model its mode", () => {
  const model = new nn.Sequential(new nn.Linear(3, 2), new nn.Dropout());
  const { initializers, nodes, inputs, outputs } = onnxGraph(model, torch.rand(2, 3), {
    dynamicAxes: { input: { 0: "batch" } },
  });
  expect(model.training).toBe(true);
  expect(initializers.map(({ name }) => name)).toEqual(["0.weight", "0.bias"]);
  expect(nodes.map(({ name, op }) => [name, op])).toEqual([
    ["/0/Gemm", "Gemm"],
    ["/0/Add", "Add"],
    ["/Identity", "Identity"],
  ]);
  expect([inputs, outputs].map(([value]) => value)).toEqual([
    { name: "input", dtype: "float32", shape: ["batch", 3] },
    { name: "output", dtype: "float32", shape: ["batch", 2] },
  ]);
});
