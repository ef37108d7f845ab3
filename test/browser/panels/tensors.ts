/** The editor of a file of tensors: its table, values on demand, comparison, errors. */
import assert from "node:assert/strict";
import type { TensorComparison, TensorFile } from "../../../extension/protocol/tensorFile.ts";
import type { TensorStatistics } from "../../../extension/protocol/tensorValues.ts";
import type { TensorsHostMethods, TensorsViewMethods } from "../../../extension/protocol/views.ts";
import { test, until } from "../../harness.ts";
import { inspect, looks } from "./looks.ts";
import { called, openPanel, type Panel, type PanelOptions } from "./page.ts";

type Editor = Panel<TensorsViewMethods>;

const FILE: TensorFile = {
  file: "/home/user/digits/model.safetensors",
  format: "safetensors",
  bytes: 247_512,
  metadata: [
    ["format", "pt"],
    ["model", "DigitsCNN"],
  ],
  tensors: [
    { name: "conv1.weight", dtype: "F32", shape: [16, 1, 3, 3], bytes: 576 },
    { name: "conv1.bias", dtype: "F32", shape: [16], bytes: 64 },
    { name: "bn1.num_batches_tracked", dtype: "I64", shape: [], bytes: 8 },
    { name: "conv2.weight", dtype: "F32", shape: [32, 16, 3, 3], bytes: 18_432 },
    { name: "fc.weight", dtype: "F32", shape: [10, 1568], bytes: 62_720 },
    { name: "fc.bias", dtype: "F32", shape: [10], bytes: 40 },
  ],
};

const bell = Array.from({ length: 20 }, (_none, bin) =>
  Math.round(800 * Math.exp(-(((bin - 9.5) / 4) ** 2))),
);

function statisticsOf(index: number): TensorStatistics {
  const bad = index === 4 ? 3 : 0;
  const count = bell.reduce((sum, one) => sum + one);
  return {
    count,
    min: -0.31,
    max: 0.29,
    mean: 0.0021,
    std: 0.081,
    zeros: 12,
    nans: bad,
    infinities: 0,
    histogram: bell,
  };
}

const COMPARISON: TensorComparison = {
  changes: [
    { name: "fc.weight", change: "shape", shape: [10, 1568], other: [10, 784] },
    { name: "conv3.weight", change: "added", shape: [64, 32, 3, 3], dtype: "F32" },
    {
      name: "conv2.weight",
      change: "type",
      dtype: "F32",
      other: "F16",
      largest: 0.00012,
      changed: 4390,
      elements: 4608,
    },
    { name: "conv1.bias", change: "values", largest: 0.0123, changed: 16, elements: 16 },
  ],
  same: 3,
};

export function openFile(options: Partial<PanelOptions<TensorsHostMethods>> = {}): Promise<Editor> {
  return openPanel<TensorsHostMethods, TensorsViewMethods>({
    view: "tensors",
    ...options,
    host: {
      ready: () => Promise.resolve({ tensors: FILE, checkpoint: true }),
      statistics: (index) => Promise.resolve(statisticsOf(index)),
      choose: () => Promise.resolve("/home/user/digits/best.safetensors"),
      compare: () => Promise.resolve(COMPARISON),
      ...options.host,
    },
  });
}

const names = (editor: Editor): Promise<string[]> => editor.page.locator(".tensors tbody th").allInnerTexts();

const press = (editor: Editor, name: string): Promise<void> =>
  editor.page.locator(`vscode-button[aria-label="${name}"]`).first().click();

const inFile = FILE.tensors.map(({ name }) => name);

test("tensors: a run's checkpoint is evaluated and trained on from its editor; another file isn't", async () => {
  const panel = await openFile();
  await panel.page.locator('vscode-button[aria-label="Evaluate"]').click();
  await called(panel, "evaluate");
  await panel.page.locator('vscode-button[aria-label="Train from Checkpoint"]').click();
  await called(panel, "trainOn");
  const other = await openFile({
    host: { ready: () => Promise.resolve({ tensors: FILE, checkpoint: false }) },
  });
  assert.equal(await other.page.locator('vscode-button[aria-label="Evaluate"]').count(), 0);
});

test("tensors: the table is sorted both ways and back, and filtered by words", async () => {
  const editor = await openFile();
  assert.deepEqual(await names(editor), inFile);
  const size = editor.page.getByRole("button", { name: "Size" });
  const shows = (expected: string[]): Promise<unknown> =>
    until(expected.join(), async () => (await names(editor)).join() === expected.join());
  const bySize = [...FILE.tensors].sort((a, b) => a.bytes - b.bytes).map(({ name }) => name);
  await size.click();
  await shows(bySize);
  assert.equal(await editor.page.locator("th[aria-sort]").getAttribute("aria-sort"), "ascending");
  await size.click();
  await shows(bySize.toReversed());
  await size.click();
  await shows(inFile);
  await editor.page.getByLabel("Filter tensors").fill("conv f32");
  await shows(["conv1.weight", "conv1.bias", "conv2.weight"]);
  await editor.reopen();
  await shows(["conv1.weight", "conv1.bias", "conv2.weight"]);
  await editor.page.getByLabel("Filter tensors").fill("nothing like it");
  await editor.page.getByText("No tensor matches.").waitFor();
});

test("tensors: a tensor opens as a table", async () => {
  const editor = await openFile();
  await press(editor, "View conv2.weight as a table");
  assert.deepEqual(await called(editor, "view"), [3]);
});

test("tensors: values are read once, on demand, also from the keyboard", async () => {
  const editor = await openFile();
  const twistie = editor.page.getByRole("button", { name: "Show the values of fc.weight" });
  await twistie.focus();
  await editor.page.keyboard.press("Enter");
  await editor.page.getByRole("img", { name: /Distribution of fc\.weight/ }).waitFor();
  assert.match(await editor.page.locator("tr.open").innerText(), /3 NaN/);
  await editor.page.keyboard.press("Enter");
  await until("folded again", async () => (await editor.page.locator(".looked").count()) === 0);
  await editor.page.keyboard.press("Enter");
  await editor.page.locator(".looked").waitFor();
  assert.deepEqual(
    editor.calls.filter(({ method }) => method === "statistics").map(({ args }) => args),
    [[4]],
  );
});

test("tensors: complex numbers and tensors without elements say so in place of values", async () => {
  const tensors = [
    { name: "spectrum", dtype: "C64", shape: [2], bytes: 16 },
    { name: "nothing", dtype: "F32", shape: [0, 3], bytes: 0 },
  ] as const;
  const file = { ...FILE, tensors: tensors.map((one) => ({ ...one, shape: [...one.shape] })) };
  const nan = Number.NaN;
  const none = {
    count: 0,
    min: nan,
    max: nan,
    mean: nan,
    std: nan,
    zeros: 0,
    nans: 0,
    infinities: 0,
    histogram: [],
  };
  const editor = await openFile({
    host: {
      ready: () => Promise.resolve({ tensors: file, checkpoint: false }),
      statistics: (index) => Promise.resolve(index === 0 ? null : none),
    },
  });
  await editor.page
    .locator('vscode-button[aria-label="Show All Values"], vscode-button:has-text("Show All Values")')
    .first()
    .click();
  await until("both", async () => (await editor.page.locator("td.values span").count()) === 2);
  assert.deepEqual(await editor.page.locator("td.values").allInnerTexts(), [
    "not real numbers",
    "no elements",
  ]);
  await editor.page.getByRole("button", { name: "Show the values of nothing" }).click();
  assert.equal(await editor.page.locator(".looked").innerText(), "no elements");
});

test("tensors: looking at all says how far it is, and is cancelled", async () => {
  let fail: (error: unknown) => void = () => undefined;
  const editor = await openFile({
    host: {
      statistics: (index) =>
        index < 2
          ? Promise.resolve(statisticsOf(index))
          : new Promise((_resolve, reject) => {
              fail = reject;
            }),
    },
  });
  await press(editor, "Show All Values");
  await editor.page.getByText("Reading bn1.num_batches_tracked…").waitFor();
  await until("its question", () =>
    editor.calls.some(({ method, args: [index] }) => method === "statistics" && index === 2),
  );
  await editor.view.progress(0.4);
  const bar = editor.page.getByRole("progressbar", { name: "Progress" });
  await until("its share", async () => (await bar.getAttribute("aria-valuenow")) === "40");
  await press(editor, "Cancel");
  await called(editor, "cancel");
  // As it crosses postMessage.
  fail({ code: "cancelled", message: "Cancelled." });
  await until("an end", async () => (await bar.count()) === 0);
  assert.equal(await editor.page.getByRole("alert").count(), 0);
  assert.equal(await editor.page.locator(".tensors .values span").count(), 2);
});

test("tensors: compared with another file, and told that one is damaged", async () => {
  let damaged = false;
  const editor = await openFile({
    host: {
      compare: () =>
        damaged
          ? Promise.reject(new Error("best.safetensors: the header is cut off"))
          : Promise.resolve(COMPARISON),
    },
  });
  await press(editor, "Compare With…");
  await editor.page.getByRole("heading", { name: "Compared with best.safetensors" }).waitFor();
  const rows = await editor.page.locator(".changes tbody tr").allInnerTexts();
  assert.match(rows[0]!, /fc\.weight\s+shape\s+\[10, 1568\] → \[10, 784\]/);
  assert.match(rows[2]!, /type\s+F32 → F16; 4,390 of 4,608, by 0\.0001 at most/);
  assert.match(rows[3]!, /16 of 16, by 0\.0123 at most/);
  await press(editor, "Close Comparison");
  await called(editor, "forget");
  damaged = true;
  await press(editor, "Compare With…");
  assert.match(await editor.page.getByRole("alert").innerText(), /the header is cut off/);
  assert.equal((await names(editor)).length, inFile.length, "the file itself is still there");
});

test("tensors: a file that can't be read says why, and is tried again", async () => {
  let damaged = true;
  const editor = await openFile({
    host: {
      ready: () =>
        damaged
          ? Promise.reject(new Error('model.pth: the file asks for "posix.system", which is not allowed'))
          : Promise.resolve({ tensors: FILE, checkpoint: false }),
    },
  });
  assert.match(await editor.page.getByRole("alert").innerText(), /posix\.system/);
  await inspect(editor, "tensors-unreadable");
  damaged = false;
  await press(editor, "Try Again");
  await until("the table", async () => (await names(editor)).length === inFile.length);
});

test("tensors: many thousands are drawn on request, and a changed file is read again", async () => {
  const tensors = Array.from({ length: 3000 }, (_none, index) => ({
    name: `layer.${index}.weight`,
    dtype: "F16",
    shape: [64, 64],
    bytes: 8192,
  }));
  let now = { ...FILE, tensors };
  const editor = await openFile({
    host: { ready: () => Promise.resolve({ tensors: now, checkpoint: false }) },
  });
  assert.equal((await names(editor)).length, 500);
  await press(editor, "Show All");
  await until("all of them", async () => (await names(editor)).length === 3000);
  now = { ...FILE, tensors: tensors.slice(0, 7) };
  await editor.view.changed();
  await until("the new file", async () => (await names(editor)).length === 7);
});

looks("tensors look right", "tensors", async (look) => {
  const editor = await openFile(look);
  await press(editor, "Compare With…");
  await editor.page.locator(".changes").waitFor();
  await editor.page.getByRole("button", { name: "Show the values of fc.weight" }).click();
  await editor.page.locator(".looked").waitFor();
  await press(editor, "Show All Values");
  const values = editor.page.locator(".tensors .values > span:first-child");
  await until("all values", async () => (await values.count()) === inFile.length);
  return editor;
});
