/** The editor of ONNX models: the graph, a node's details, tensors, comparison, errors. */
import assert from "node:assert/strict";
import { OnnxView } from "../../../extension/engine/files/onnxView.ts";
import { openOnnx } from "../../../extension/formats/onnx/onnxFile.ts";
import type { OnnxHostMethods, OnnxSnapshot, TensorsViewMethods } from "../../../extension/protocol/views.ts";
import { inRoot } from "../../../scripts/project.mjs";
import { test, until } from "../../harness.ts";
import { looks } from "./looks.ts";
import { called, openPanel, type Panel, type PanelOptions } from "./page.ts";

type Editor = Panel<TensorsViewMethods>;
type Options = Partial<PanelOptions<OnnxHostMethods>>;

/** A model of PyTorch's, as the host has it. */
function model(name: string): { snapshot: OnnxSnapshot; view: OnnxView } {
  const file = openOnnx(inRoot("test/fixtures/onnx", `${name}.onnx`));
  const view = new OnnxView(file);
  const tensors = file.tensors.map(({ name, dtype, shape, byteLength }) => ({
    name,
    dtype,
    shape: [...shape],
    bytes: byteLength,
  }));
  const path = `/home/user/${name}.onnx`;
  const listed = {
    file: path,
    format: "onnx" as const,
    bytes: file.fileBytes,
    metadata: [...file.model.metadata],
    tensors,
  };
  return { snapshot: { tensors: listed, checkpoint: false, model: view.model }, view };
}

function open(name: string, options: Options = {}): Promise<Editor> {
  const { snapshot, view } = model(name);
  return openPanel<OnnxHostMethods, TensorsViewMethods>({
    view: "onnx",
    ...options,
    host: {
      ready: () => Promise.resolve(snapshot),
      node: (id) => Promise.resolve(view.node(id) ?? null),
      choose: () => Promise.resolve("/home/user/other.onnx"),
      ...options.host,
    },
  });
}

const box = (editor: Editor, id: string) => editor.page.locator(`.box[data-id="${id}"]`);
const detailsOf = (editor: Editor): Promise<string> => editor.page.locator(".details").innerText();

test("onnx: the graph is drawn by modules, repeated blocks folded, with the shapes of values", async () => {
  const editor = await open("cnn");
  await box(editor, "~input 1").waitFor();
  const labels = await editor.page.locator(".edge-shape").allTextContents();
  assert.ok(labels.includes("[1, 4, 8, 8]"), labels.join());
  assert.equal(await editor.page.locator(".badge text").textContent(), "3 ×");
  assert.match(
    await editor.page.locator(".figures").first().innerText(),
    /Parameters[^]*1\.05 k[^]*Nodes[^]*\d/,
  );
  assert.match(await editor.page.locator(".facts").innerText(), /pytorch 2\.15[^]*opset 17/);
  assert.deepEqual(await editor.complaints(), []);
});

test("onnx: a node's details have its attributes, and open its weights", async () => {
  const editor = await open("cnn");
  await box(editor, "stem").click();
  await until("attributes", async () => /kernel_shape\s+\[3, 3\]/.test(await detailsOf(editor)));
  const details = await detailsOf(editor);
  assert.match(details, /Conv[^]*stem\.weight[^]*float32\[4, 3, 3, 3\][^]*strides\s+\[2, 2\]/);
  await editor.page.getByRole("button", { name: "stem.weight" }).click();
  const [index] = await called(editor, "view");
  assert.equal(model("cnn").snapshot.tensors.tensors[index as number]!.name, "stem.weight");
});

test("onnx: without a selection the details list inputs and outputs; an input box shows its own", async () => {
  const editor = await open("everything");
  await box(editor, "~output 1").waitFor();
  assert.match(
    await detailsOf(editor),
    /All that the format has[^]*x\s+float32\[N\][^]*maps\s+sequence of map/,
  );
  await box(editor, "~output 1").click();
  await until("the output", async () =>
    /y\s+Output of the model[^]*float32\[\?, 7N\]/.test(await detailsOf(editor)),
  );
});

test("onnx: constants stand in a node's details, subgraphs with their ops", async () => {
  const editor = await open("everything");
  await box(editor, "block").waitFor();
  assert.equal(await box(editor, "~Constant").count(), 0);
  await box(editor, "block/~Mul").click();
  await until("the factor", async () => /two[^]*2/.test(await detailsOf(editor)));
  await box(editor, "block/~If").click();
  await until("branches", async () => /then_branch\s+1 node: Add/.test(await detailsOf(editor)));
  await box(editor, "~Clip").click();
  await until("an input left out", async () => /\(left out\)/.test(await detailsOf(editor)));
});

test("onnx: keys move along the graph, open modules and search", async () => {
  const editor = await open("transformer");
  await box(editor, "encoder").waitFor();
  await editor.page.locator(".viewport").focus();
  await editor.page.keyboard.press("/");
  await editor.page.keyboard.type("softmax");
  await editor.page.getByText("found").waitFor();
  await editor.page.keyboard.press("Enter");
  await until("a match is selected", async () => (await editor.page.locator(".box.selected").count()) > 0);
  await editor.page.locator(".viewport").focus();
  await editor.page.keyboard.press("Escape");
  await editor.page.keyboard.press("ArrowDown");
  await until("a box is selected", async () => (await editor.page.locator(".box.selected").count()) > 0);
});

test("onnx: tensors are a table of the same editor, which a reload shows again", async () => {
  const editor = await open("cnn");
  await editor.page.getByText("Tensors", { exact: true }).last().click();
  await editor.page.locator(".tensors tbody tr").first().waitFor();
  await editor.page.getByLabel("Filter tensors").fill("fc");
  await until("filtered", async () => (await editor.page.locator(".tensors tbody tr").count()) === 2);
  await editor.reopen();
  await until("filtered again", async () => (await editor.page.locator(".tensors tbody tr").count()) === 2);
  await editor.page.locator('vscode-button[aria-label="View fc.bias as a table"]').click();
  await called(editor, "view");
});

test("onnx: another model is compared by its weights", async () => {
  const editor = await open("cnn", {
    host: {
      compare: () =>
        Promise.resolve({
          changes: [{ name: "fc.weight", change: "values", largest: 0.5, changed: 3, elements: 40 }],
          same: 15,
        }),
    },
  });
  await editor.page.locator('vscode-button[aria-label="Compare With…"]').click();
  await editor.page.locator(".changes tbody tr").waitFor();
  assert.match(await editor.page.locator(".changes").innerText(), /fc\.weight[^]*3 of 40/);
});

test("onnx: a file that can't be read says why, and is tried again", async () => {
  let failed = true;
  const { snapshot } = model("cnn");
  const editor = await open("cnn", {
    host: {
      ready: () =>
        failed
          ? Promise.reject({ code: "file", message: "m.onnx (3 bytes): no ONNX model: it has no graph" })
          : Promise.resolve(snapshot),
    },
  });
  await editor.page.getByText("it has no graph").waitFor();
  failed = false;
  await editor.page.locator('vscode-button[aria-label="Try Again"]').click();
  await box(editor, "stem").waitFor();
});

looks("onnx models look right", "onnx", async (look) => {
  const editor = await open("cnn", look);
  await box(editor, "stem").click();
  await until("attributes", async () => /kernel_shape/.test(await detailsOf(editor)));
  return editor;
});

looks("onnx transformers look right", "onnx-transformer", async (look) => {
  const editor = await open("transformer", look);
  await box(editor, "encoder").waitFor();
  return editor;
});
