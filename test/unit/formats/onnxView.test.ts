// The diagram of ONNX models: modules, sections of wide graphs, limits, and the details of nodes.
import { describe, expect, it } from "vitest";
import { allShown, shownFlow } from "../../../extension/diagram/flow.ts";
import { OnnxView } from "../../../extension/engine/files/onnxView.ts";
import { openOnnx } from "../../../extension/formats/onnx/onnxFile.ts";
import type { OnnxModelView } from "../../../extension/protocol/tensors/onnxFile.ts";
import { inRoot } from "../../../scripts/project.mjs";
import { int, message, model, node, tensor, text } from "./onnxCrafted.ts";

const fixture = (name: string): OnnxView =>
  new OnnxView(openOnnx(inRoot("test/fixtures/onnx", `${name}.onnx`)));
const crafted = (...graph: readonly Uint8Array[]): OnnxView =>
  new OnnxView(openOnnx("m.onnx", model(...graph)));
const named = (name: string, op: string, inputs: readonly string[], outputs: readonly string[]): Uint8Array =>
  node(op, inputs, outputs, text(3, name));
const value = (field: number, name: string): Uint8Array => message(field, text(1, name));
const NOTHING = { opened: new Set<string>(), closed: new Set<string>(), unfolded: new Set<string>() };

function shown({ flow, boxes }: OnnxModelView) {
  const details = new Map(boxes.map(({ path, detail }) => [path, detail]));
  return shownFlow(flow, NOTHING, (path) => details.get(path) ?? "");
}
const edgesOf = ({ flow }: OnnxModelView): string[] =>
  flow.edges.map(({ from, to, shape }) => `${from} > ${to} ${shape}`.trim());
const childrenOf = ({ flow }: OnnxModelView): number[] => {
  const counts = new Map<string, number>();
  for (const { parent = "" } of flow.nodes) counts.set(parent, (counts.get(parent) ?? 0) + 1);
  return [...counts.values()];
};

describe("the diagram of an ONNX model", () => {
  it("has the modules of the older exporter's names; a module of one node is one box", () => {
    const { model } = fixture("cnn");
    const stem = model.flow.nodes.find(({ id }) => id === "stem")!;
    expect(stem).toMatchObject({ kind: "module", name: "stem", className: "Conv", path: "/stem/Conv" });
    expect(model.boxes.find(({ path }) => path === "/stem/Conv")).toMatchObject({
      parameters: 112,
      detail: expect.stringContaining("strides=[2, 2] float32[4, 3, 3, 3]"),
    });
    // Three equal blocks are one box.
    const layers = shown(model).boxes.find(({ id }) => id === "layers")!;
    expect(layers.children).toMatchObject([{ id: "layers/0", repeat: 3, folded: true, lastName: "2" }]);
    expect(edgesOf(model).slice(0, 3)).toEqual([
      "~input 1 > stem [1, 3, 16, 16]",
      "stem > ~Relu [1, 4, 8, 8]",
      "~Relu > layers/0/conv1 [1, 4, 8, 8]",
    ]);
    expect(model.parameters).toBe(3 * 4 * 9 + 4 + 6 * (4 * 4 * 9 + 4) + 40 + 10);
  });

  it("has the modules of the newer exporter, with their classes", () => {
    const { model } = fixture("transformer");
    expect(model.flow.nodes.find(({ id }) => id === "encoder/layers.0/self_attn")).toMatchObject({
      className: "MultiheadAttention",
      path: "encoder.layers.0.self_attn",
      parent: "encoder/layers.0",
    });
  });

  it("counts weights that two nodes share once, also in their module", () => {
    const { model } = crafted(
      message(5, tensor("w", 1, [10], message(9, new Uint8Array(40)))),
      named("/a/Mul", "Mul", ["x", "w"], ["y"]),
      named("/a/Add", "Add", ["y", "w"], ["z"]),
      value(11, "x"),
      value(12, "z"),
    );
    expect(model.parameters).toBe(10);
    expect(model.boxes.find(({ path }) => path === "a")).toMatchObject({ parameters: 10, nodes: 2 });
  });

  it("connects what subgraphs read from outside to the node that runs them", () => {
    const { model } = fixture("everything");
    expect(edgesOf(model)).toEqual(
      expect.arrayContaining(["block/~Mul > block/~If", "~input 1 > block/~If [N]", "~Clip > ~Odd [N]"]),
    );
    expect(model.flow.nodes.some(({ name }) => name === "Constant")).toBe(false);
  });

  it("puts nodes without a module into the one around them", () => {
    const { model } = crafted(
      named("/a/Mul", "Mul", ["x", "x"], ["y"]),
      node("Unsqueeze", ["y"], ["z"]),
      node("Cast", ["z"], ["t"]),
      named("/a/b/Add", "Add", ["t", "y"], ["u"]),
      named("/a/b/Neg", "Neg", ["u"], ["v"]),
      node("Relu", ["v"], ["w"]),
      named("/c/Neg", "Neg", ["w"], ["out"]),
      value(11, "x"),
      value(12, "out"),
    );
    expect(model.flow.nodes.map(({ id }) => id)).toEqual(
      expect.arrayContaining(["a/~Unsqueeze", "a/~Cast", "a/b/~Add", "~Relu"]),
    );
  });

  it("shows weights that the older exporter names again with the nodes that read them", () => {
    const view = crafted(
      message(5, tensor("w", 1, [3], message(9, new Uint8Array(12)))),
      node("Identity", ["w"], ["w2"]),
      node("Mul", ["x", "w2"], ["y"]),
      node("Identity", ["y"], ["z"]),
      value(11, "x"),
      value(12, "z"),
    );
    expect(view.model.flow.nodes.map(({ name }) => name)).toEqual(["x", "Mul", "Identity", "z"]);
    expect(view.model.boxes).toMatchObject([{ parameters: 3 }]);
    expect(view.node("~Mul")!.inputs[1]).toMatchObject({ name: "w2", type: "float32[3]", tensor: 0 });
  });

  it("draws a constant that is an output", () => {
    const constant = node("Constant", [], ["y"], message(5, text(1, "value_int"), int(3, 1)));
    const { model } = crafted(constant, value(12, "y"));
    expect(edgesOf(model)).toEqual(["~Constant > ~output 1"]);
  });

  it("divides a wide graph into sections, at most 300 boxes on a level", () => {
    const chain = Array.from({ length: 20_000 }, (_, i) => node("Neg", [`v${i}`], [`v${i + 1}`]));
    const { model } = crafted(Buffer.concat(chain), value(11, "v0"), value(12, "v20000"));
    expect(Math.max(...childrenOf(model))).toBeLessThanOrEqual(300);
    const { boxes, edges } = shown(model);
    expect(boxes.length).toBeLessThan(15);
    // The sections are a chain too.
    expect(edges).toHaveLength(allShown(boxes).filter(({ open }) => !open).length - 1);
    expect(model.flow.nodes.length).toBeLessThan(21_000);
  });

  it("leaves nodes out where they are too many to draw", () => {
    const chain = Array.from({ length: 60_000 }, (_, i) =>
      named(`/layer${Math.floor(i / 1000)}/part${Math.floor(i / 100)}/Neg`, "Neg", [`v${i}`], [`v${i + 1}`]),
    );
    const { model } = crafted(Buffer.concat(chain), value(11, "v0"), value(12, "v60000"));
    expect(model.nodes).toBe(60_000);
    expect(model.flow.nodes.length).toBeLessThanOrEqual(20_010);
    const cut = model.boxes.filter((one) => one.cut === true);
    expect(cut[0]).toMatchObject({ nodes: 100, detail: "100 nodes" });
    // Each edge ends at boxes that are drawn.
    const ids = new Set(model.flow.nodes.map(({ id }) => id));
    expect(model.flow.edges.every(({ from, to }) => ids.has(from) && ids.has(to))).toBe(true);
    expect(shown(model).edges.length).toBeGreaterThan(0);
  });

  it("draws cycles, values that nothing computes, and equal names", () => {
    const { model } = crafted(
      named("a/b", "Add", ["z", "missing", ""], ["y"]),
      named("a/b", "Neg", ["y"], ["z"]),
      named("a/~Add", "Neg", ["z"], ["z"]),
      named("", "Neg", ["nothing"], [""]),
    );
    const ids = model.flow.nodes.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(model.boxes.map(({ path }) => path)).size).toBe(model.boxes.length);
    expect(shown(model).boxes.length).toBeGreaterThan(0);
  });

  it("has one box for many inputs", () => {
    const inputs = Array.from({ length: 65 }, (_, i) => value(11, `x${i}`));
    const { model } = crafted(
      ...inputs,
      node(
        "Sum",
        inputs.map((_, i) => `x${i}`),
        ["y"],
      ),
      value(12, "y"),
    );
    expect(model.flow.nodes.map(({ name }) => name)).toEqual(["65 inputs", "Sum", "y"]);
    expect(edgesOf(model)).toEqual(["~inputs > ~Sum", "~Sum > ~output 1"]);
    expect(model.inputs).toHaveLength(65);
  });
});

describe("a node's details", () => {
  it("have inputs with their types, the places of tensors, and the values of small ones", () => {
    const file = openOnnx(inRoot("test/fixtures/onnx/transformer.onnx"));
    const view = new OnnxView(file);
    const inputs = view.model.flow.nodes.flatMap(({ id }) => view.node(id)?.inputs ?? []);
    expect(inputs.find(({ type, value }) => type === "int64[1]" && value !== undefined)!.value).toMatch(
      /^\[-?\d+\]$/,
    );
    const embedding = view.node("embed")!;
    expect(embedding).toMatchObject({ op: "Gather", outputs: [{ type: "float32[batch, tokens, 16]" }] });
    expect(file.tensors[embedding.inputs[0]!.tensor!]!.name).toBe(embedding.inputs[0]!.name);
  });

  it("have a tensor among the attributes, and the ops of subgraphs", () => {
    const view = fixture("everything");
    const odd = view.node("~Odd")!;
    expect(odd).toMatchObject({ domain: "custom", inputs: [{ name: "clipped", type: "float32[N]" }] });
    expect(odd.attributes.find(({ name }) => name === "a_tensor")).toMatchObject({ text: "float32[1]" });
    expect(view.node("block/~If")!.subgraphs).toEqual([
      { name: "else_branch", nodes: 1, ops: [["Neg", 1]] },
      { name: "then_branch", nodes: 1, ops: [["Add", 1]] },
    ]);
    expect(view.node("block/~Mul")!.inputs[1]).toEqual({ name: "two", type: "", value: "2" });
    expect(view.node("block/~If")!.inputs[0]).toMatchObject({ type: "bool[]", value: "true" });
  });

  it("are not there for modules and unknown boxes", () => {
    const view = fixture("cnn");
    expect(view.node("layers")).toBeUndefined();
    expect(view.node("~input 1")).toBeUndefined();
    expect(view.node("constructor")).toBeUndefined();
  });

  it("don't show values that can't be read", () => {
    const broken = tensor("w", 1, [2], message(9, new Uint8Array(3)));
    const view = crafted(message(5, broken), node("Mul", ["x", "w"], ["y"]));
    expect(view.node(view.model.flow.nodes[0]!.id)!.inputs[1]).toMatchObject({
      name: "w",
      type: "float32[2]",
    });
    expect(view.node(view.model.flow.nodes[0]!.id)!.inputs[1]!.value).toBeUndefined();
  });
});
