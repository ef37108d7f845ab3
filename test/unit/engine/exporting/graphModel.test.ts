// Exports for TensorFlow.js, loaded by its own converter: the same numbers as here, for any batch.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import { describe, expect, test } from "vitest";
import "../../../../extension/engine/host/library.ts";
import { graphModel } from "../../../../extension/engine/exporting/graphModel.ts";
import { graphModelFiles } from "../../../../extension/engine/exporting/graphModelFiles.ts";
import { WEB_OPS } from "../../../../extension/engine/exporting/webOps.ts";
import { nn, torch, type Tensor } from "../../../../extension/nn/index.ts";
import type { Module } from "../../../../extension/nn/module/module.ts";
import { tensorsIn } from "../../../../extension/nn/onnx/recording.ts";
import { valuesOf } from "../../../../extension/tensor/planning/barrier.ts";
import {
  ACTIVATIONS,
  FUNCTIONS,
  Lambda,
  LANGUAGE,
  LAYERS,
  NETWORKS,
  type Inputs,
} from "../../nn/exportCases.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const exported = (model: Module, inputs: Inputs, size: number, axis?: string) =>
  graphModel(model, inputs, size, { inputs: inputs(1).map((_, i) => `x${i}`), outputs: ["y"] }, axis);

/** The model as TensorFlow.js reads the files. */
async function loaded(model: ReturnType<typeof exported>) {
  const files = new Map(graphModelFiles(model).map(({ name, chunks }) => [name, Buffer.concat(chunks)]));
  const { modelTopology, weightsManifest, ...rest } = JSON.parse(String(files.get("model.json"))) as {
    modelTopology: object;
    weightsManifest: [{ paths: string[]; weights: tf.io.WeightsManifestEntry[] }];
  };
  const [{ paths, weights }] = weightsManifest;
  expect([...paths, "model.json"]).toEqual([...files.keys()]);
  const weightData = Uint8Array.from(Buffer.concat(paths.map((path) => files.get(path)!))).buffer;
  const artifacts = { ...rest, modelTopology, weightSpecs: weights, weightData };
  return loadGraphModel({ load: () => Promise.resolve(artifacts) });
}

const plain = (tensor: Tensor): tf.Tensor =>
  tf.tensor(valuesOf(tensor.value), [...tensor.shape], tensor.dtype === "int64" ? "int32" : tensor.dtype);

test.each([...NETWORKS, LANGUAGE, ...LAYERS, ...ACTIVATIONS, FUNCTIONS])("%s", async (_, make, inputs) => {
  torch.manualSeed(0);
  const model = make();
  const run = await loaded(exported(model, inputs, 2, "batch"));
  model.eval();
  for (const size of [2, 5]) {
    const args = inputs(size);
    const output = torch.noGrad(() => (model as unknown as (...args: Tensor[]) => unknown)(...args));
    const wanted = tensorsIn(output).map(({ tensor }) => tensor);
    const feeds = Object.fromEntries(args.map((x, i) => [`x${i}`, plain(x)]));
    const results = [run.execute(feeds)].flat();
    expect(results).toHaveLength(wanted.length);
    wanted.forEach((tensor, i) => {
      const result = results[i]!;
      expect(result.shape).toEqual([...tensor.shape]);
      const values = valuesOf(tensor.value);
      const apart = Array.from(
        result.dataSync(),
        (x, k) => Math.abs(x - values[k]!) / (1 + Math.abs(values[k]!)),
      );
      expect(apart).toHaveLength(values.length);
      // NaN is no number below.
      expect(apart.every((x) => x < 2e-5)).toBe(true);
    });
  }
  run.dispose();
});

describe("what can't be exported", () => {
  const refusal = (f: (x: Tensor) => unknown, axis?: string): string => {
    const model = new nn.Sequential(new Lambda((x) => f(x)) as never);
    try {
      exported(model, (n) => [torch.rand(n, 3)], 3, axis);
      return "";
    } catch (error) {
      const { message, module } = error as Error & { module?: string };
      return `${module === undefined ? "" : `${module}: `}${message}`;
    }
  };

  test("is named, with its reason and module", () => {
    expect(refusal((x) => torch.linalg.inv(x))).toMatchInlineSnapshot(
      `"0: inverse can't be exported: TensorFlow.js has no MatrixInverse"`,
    );
    expect(refusal((x) => x.add(torch.rand(3)))).toMatchInlineSnapshot(
      `"random numbers that forward draws can't be exported"`,
    );
    const column = (x: Tensor): Tensor => torch.tensor(Array.from({ length: x.size(0) }, (_, i) => [i]));
    expect(refusal((x) => x.mul(column(x)), "batch")).toMatchInlineSnapshot(
      `"forward() makes a constant for each size of the batch, so the model can't be exported for any size"`,
    );
    const copies = (x: Tensor): Tensor[] => Array.from({ length: x.size(0) }, () => x);
    expect(refusal((x) => torch.cat(copies(x), 1), "batch")).toMatchInlineSnapshot(
      `"forward() has other operations for another size of the batch, so the model can't be exported for any size"`,
    );
  });
});

test("the converter knows every op of the list, and something writes it", () => {
  const known = folderTexts("node_modules/@tensorflow/tfjs-converter/dist/operations/op_list", /\.js$/);
  const used =
    folderTexts("extension/tensor/ops", /\.ts$/) +
    folderTexts("extension/tensor/lowering", /\.ts$/) +
    folderTexts("extension/engine/exporting", /(Model|Size)\.ts$/);
  const ops = [...WEB_OPS];
  expect(ops.filter((op) => !known.includes(`'tfOpName': '${op}'`))).toEqual([]);
  expect(ops.filter((op) => !used.includes(`"${op}"`))).toEqual([]);
});

/** The texts of a folder's files, one after the other. */
function folderTexts(folder: string, names: RegExp): string {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => names.test(name))
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .join("\n");
}

test("weights keep the names of the state dict, and what is made of them alone is made once", () => {
  const model = new nn.Sequential(new nn.Conv2d(1, 2, 3), new nn.Flatten(), new nn.Linear(8, 2));
  const { nodes, inputs, outputs } = exported(model, (n) => [torch.rand(n, 1, 4, 4)], 2, "batch");
  expect(nodes.map(({ name, op }) => `${op} ${name}`)).toMatchInlineSnapshot(`
    [
      "Placeholder x0",
      "Const constant/any",
      "Reshape Reshape",
      "Const 0.weight/transposed",
      "Conv2D 0/Conv2D",
      "Const 0.bias",
      "BiasAdd 0/BiasAdd",
      "Const constant_2",
      "Transpose Transpose",
      "Const constant_3/any",
      "Reshape 1/Reshape",
      "Const 2.weight",
      "MatMul 2/MatMul",
      "Const 2.bias",
      "BiasAdd 2/BiasAdd",
      "Identity y",
    ]
  `);
  expect([inputs, outputs].map(([one]) => one!.value)).toEqual([
    { name: "x0", dtype: "float32", shape: ["batch", 1, 4, 4] },
    { name: "y", dtype: "float32", shape: ["batch", 2] },
  ]);
});
