import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { comparisonSteps } from "../../../extension/formats/comparison.ts";
import "../../../extension/engine/host/library.ts";
import { typeText } from "../../../extension/formats/onnx/graphProto.ts";
import { openOnnx } from "../../../extension/formats/onnx/onnxFile.ts";
import { encodeOnnx } from "../../../extension/formats/onnx/onnxWriter.ts";
import { lastOf, statisticsOf } from "../../../extension/formats/statistics.ts";
import { openTensors } from "../../../extension/formats/tensorSource.ts";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onnxGraph } from "../../../extension/nn/onnx/graph.ts";
import { inRoot } from "../../../scripts/project.mjs";
import { useEngine } from "../../engines.ts";
import { useFolder } from "../../folders.ts";
import { head, int, join, message, model as craft, node, tensor } from "./onnxCrafted.ts";

useEngine("cpu");

const FOLDER = inRoot("test/fixtures/onnx");
const fixture = (name: string): string => path.join(FOLDER, `${name}.onnx`);
const folder = useFolder();

interface Facts {
  ir: number;
  opsets: Record<string, number>;
  producer: string;
  nodes: [op: string, name: string, inputs: string[], outputs: string[]][];
  tensors: Record<string, [type: string, shape: number[], hex: string]>;
}
const FACTS = JSON.parse(fs.readFileSync(path.join(FOLDER, "models.json"), "utf8")) as Record<string, Facts>;
/** The onnx package's names of types that NumPy names otherwise. */
const NAMES: Record<string, string> = { float: "float32", double: "float64" };

describe("an ONNX model", () => {
  it.each(Object.entries(FACTS))("is read as the onnx package reads it: %s", (name, facts) => {
    const file = openOnnx(fixture(name));
    const { model, tensors, places } = file;
    expect(model.irVersion).toBe(facts.ir);
    expect(Object.fromEntries(model.opsets)).toEqual(facts.opsets);
    expect(model.producer).toBe(facts.producer);
    expect(model.graph.nodes.map(({ op, name, inputs, outputs }) => [op, name, inputs, outputs])).toEqual(
      facts.nodes,
    );
    for (const [tensor, [type, shape, hex]] of Object.entries(facts.tensors)) {
      const found = model.graph.initializers.find((one) => one.name === tensor)!;
      expect([found.type.name, found.shape]).toEqual([NAMES[type] ?? type, shape]);
      const read = tensors[places.get(found)!]!;
      expect(Buffer.from(read.read(0, read.byteLength)).toString("hex"), tensor).toBe(hex);
      expect(Buffer.concat([...read.parts()]).toString("hex"), tensor).toBe(hex);
      // A part that begins within a byte that two elements share.
      const size = read.byteLength / shape.reduce((product, extent) => product * extent, 1);
      expect(Buffer.from(read.read(size, read.byteLength)).toString("hex")).toBe(hex.slice(2 * size));
    }
    file.close();
  });

  it("has inputs, outputs and values with shapes, symbolic ones by name", () => {
    const cnn = openOnnx(fixture("cnn")).model.graph;
    expect(cnn.inputs.map(({ name, type }) => `${name}: ${typeText(type)}`)).toEqual([
      "image: float32[1, 3, 16, 16]",
    ]);
    const convolution = cnn.nodes.find(({ op }) => op === "Conv")!;
    expect(typeText(cnn.types.get(convolution.outputs[0]!)!)).toBe("float32[1, 4, 8, 8]");
    const transformer = openOnnx(fixture("transformer")).model.graph;
    expect([...transformer.inputs, ...transformer.outputs].map(({ type }) => typeText(type))).toEqual([
      "int64[batch, tokens]",
      "float32[batch, tokens, 50]",
    ]);
    const { inputs, outputs, types } = openOnnx(fixture("everything")).model.graph;
    // "float" is an initializer too: a default, as old files list them.
    expect(inputs.map(({ name, type }) => [name, typeText(type)])).toEqual([
      ["x", "float32[N]"],
      ["maps", "sequence of map of int64 to float32"],
    ]);
    expect(outputs.map(({ type }) => typeText(type))).toEqual(["float32[?, 7N]"]);
    expect(typeText(types.get("clipped")!)).toBe("float32[N]");
  });

  it("has the attributes, subgraphs and functions of its nodes", () => {
    const { model, tensors } = openOnnx(fixture("everything"));
    const node = (op: string) => model.graph.nodes.find((one) => one.op === op)!;
    expect(node("Odd").attributes.map(({ name, text }) => [name, text])).toEqual([
      ["a_float", "0.1"],
      ["a_tensor", ""],
      ["a_text", "text"],
      ["a_type", "float32[N, 3]"],
      ["an_int", "9223372036854775807"],
      ["floats", "[0.5, 1.5]"],
      ["ints", "[-1, 2]"],
      ["texts", "[a, b]"],
    ]);
    expect(
      node("If").attributes.map(({ name, graphs }) => [name, graphs[0]!.nodes.map(({ op }) => op)]),
    ).toEqual([
      ["else_branch", ["Neg"]],
      ["then_branch", ["Add"]],
    ]);
    expect(node("Clip").inputs).toEqual(["chosen", "", "float"]);
    expect(model.functions).toEqual([{ name: "Odd", domain: "custom", nodes: 1 }]);
    expect([model.description, [...model.metadata]]).toEqual([
      "All that the format has",
      [["author", "someone"]],
    ]);
    expect(tensors.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["yes", "/block/If.then_branch/inner", "Odd 5.a_tensor", "sparse", "at"]),
    );
    // A text has no numbers.
    expect(tensors.map(({ name }) => name)).not.toContain("texts");
  });

  it("has the modules of PyTorch's newer exporter", () => {
    const { nodes } = openOnnx(fixture("transformer")).model.graph;
    const embedding = nodes.find(({ op }) => op === "Gather")!;
    expect(embedding.scopes).toEqual(["", "embed", "embedding"]);
    expect(embedding.classes![1]).toBe("torch.nn.modules.sparse.Embedding");
  });

  it("is a file of tensors like others: statistics, and a comparison with the same weights in another file", () => {
    const [one, other] = [openTensors(fixture("cnn")), openTensors(fixture("external"))];
    expect(one.format).toBe("onnx");
    expect(one.metadata.get("producer")).toMatch(/^pytorch 2\.15/);
    const weight = one.tensors.find(({ name }) => name === "fc.weight")!;
    expect(weight).toMatchObject({ dtype: "F32", shape: [10, 4] });
    expect(statisticsOf(weight)).toMatchObject({ count: 40, nans: 0 });
    expect(lastOf(comparisonSteps(one, other))).toEqual({ changes: [], same: one.tensors.length });
  });

  it("is read back as Layerwise exports it", () => {
    class Network extends nn.Module {
      conv = new nn.Conv2d(1, 4, 3);
      fc = new nn.Linear(4, 2);
      forward(x: Tensor): Tensor {
        return this.fc(this.conv(x).relu().mean([2, 3]));
      }
    }
    const graph = onnxGraph(new Network(), [torch.randn(1, 1, 8, 8)], {
      dynamicAxes: { input: { 0: "batch" } },
    });
    const { model, tensors } = openOnnx("model.onnx", encodeOnnx(graph));
    expect(model).toMatchObject({ producer: "Layerwise", irVersion: 8 });
    expect(model.graph.nodes.map(({ op, name, inputs, outputs }) => ({ op, name, inputs, outputs }))).toEqual(
      graph.nodes.map(({ op, name, inputs, outputs }) => ({ op, name, inputs, outputs })),
    );
    expect(model.graph.inputs.map(({ type }) => type.shape)).toEqual(graph.inputs.map(({ shape }) => shape));
    const convolution = model.graph.nodes.find(({ op }) => op === "Conv")!;
    expect(typeText(model.graph.types.get(convolution.outputs[0]!)!)).toBe("float32[batch, 4, 6, 6]");
    for (const { name, shape, data } of graph.initializers) {
      const read = tensors.find((one) => one.name === name)!;
      expect(read.shape).toEqual(shape);
      if (read.dtype === "F32")
        expect(new Float32Array(read.read(0, read.byteLength).slice().buffer)).toEqual(data);
    }
  });

  it("says shapes of an export's values only where the batch's name says them exactly", () => {
    class Longer extends nn.Module {
      forward(x: Tensor): Tensor {
        const both = torch.cat([x, x], 0);
        return torch
          .cat([both, torch.ones(1, 3)], 0)
          .sum(0)
          .add(1);
      }
    }
    const graph = onnxGraph(new Longer(), [torch.randn(2, 3)], { dynamicAxes: { input: { 0: "batch" } } });
    const shapes = graph.values.map(({ shape }) => shape.join());
    expect(shapes).toContain("2*batch,3");
    // Not that of 2·batch + 1.
    expect(shapes.filter((shape) => shape.includes("batch"))).toHaveLength(1);
    expect(shapes).toContain("3");
  });

  it("gives equal names of tensors a number", () => {
    const one = message(5, tensor("w", 2, [1], message(9, Uint8Array.of(7))));
    const { tensors } = openOnnx("m.onnx", craft(one, one, one));
    expect(tensors.map(({ name }) => name)).toEqual(["w", "w (2)", "w (3)"]);
  });

  it("reads no weights to be opened, however large they are", () => {
    const file = path.join(folder, "large.onnx");
    // Two gigabytes of one tensor, without blocks on the disk, between other fields of the graph.
    const bytes = 2 ** 31 - 2 ** 20;
    const about = join(tensor("w", 1, [bytes / 4]), head(9, bytes));
    const after = node("Neg", ["w"], ["y"]);
    const inside = join(head(5, about.length + bytes), about);
    const start = join(int(1, 8), head(7, inside.length + bytes + after.length), inside);
    fs.writeFileSync(file, start);
    fs.truncateSync(file, start.length + bytes);
    fs.appendFileSync(file, after);
    const before = process.memoryUsage().rss;
    const onnx = openOnnx(file);
    const { model, tensors } = onnx;
    expect(model.graph.nodes).toMatchObject([{ op: "Neg", inputs: ["w"] }]);
    expect(tensors[0]!.byteLength).toBe(bytes);
    expect([...tensors[0]!.read(bytes - 8, bytes)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 27);
    onnx.close();
  });
});
