// Exports to ONNX, run by ONNX Runtime: the same numbers as here, for the recorded batch and another one.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import "../../../extension/engine/host/library.ts";
import { encodeOnnx } from "../../../extension/formats/onnx/onnxWriter.ts";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onnxGraph } from "../../../extension/nn/onnx/graph.ts";
import { tensorsIn } from "../../../extension/nn/onnx/recording.ts";
import type { Module } from "../../../extension/nn/module/module.ts";
import { valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { ACTIVATIONS, FUNCTIONS, Lambda, LANGUAGE, LAYERS, NETWORKS, type Inputs } from "./exportCases.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

let runtime: ChildProcess;
beforeAll(() => {
  runtime = fork(new URL("onnxRuntime.mjs", import.meta.url), { serialization: "advanced" });
});
afterAll(() => runtime.disconnect());

interface Result {
  dims: readonly number[];
  data: ArrayLike<number | bigint>;
}

/** Runs a model in ONNX Runtime for several inputs; returns the outputs of each. */
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

test.each([...NETWORKS, LANGUAGE, ...LAYERS, ...ACTIVATIONS, FUNCTIONS])("%s", async (_, make, inputs) => {
  torch.manualSeed(0);
  await expectSame(make(), inputs);
});

test("a batch in another place: an LSTM of [L, N, H]", async () => {
  torch.manualSeed(0);
  await expectSame(new nn.LSTM(4, 3), (n) => [torch.randn(5, n, 4)], 1);
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
      `"0: inverse can't be exported: ONNX has no linear algebra of this kind"`,
    );
    expect(refusal((x) => x.add(torch.rand(3)))).toMatchInlineSnapshot(
      `"random numbers that forward draws can't be exported"`,
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
