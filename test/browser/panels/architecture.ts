/** The architecture panel: the picker, links to the source, folding, views. */
import assert from "node:assert/strict";
import type { ModelReport } from "../../../extension/protocol/preview.ts";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
} from "../../../extension/protocol/views.ts";
import { test, until } from "../../harness.ts";
import { syntaxError } from "./errors.ts";
import { called, drawn, openPanel, type Panel } from "./page.ts";
import { FILE, models } from "./recordings.ts";

type ArchitecturePanel = Panel<ArchitectureViewMethods>;

async function open(snapshot: ArchitectureSnapshot, view = "Summary"): Promise<ArchitecturePanel> {
  const panel = await openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    host: { ready: () => Promise.resolve(snapshot) },
  });
  await panel.page.getByRole("radio", { name: view }).check({ force: true });
  await drawn(panel.page);
  return panel;
}

/** The recorded models; their layers are created on lines 11, 12, … of the file. */
function snapshotOf(model: string): ArchitectureSnapshot {
  const located = models().map((report): ModelReport => {
    const rows = report.rows.map((row, index) => ({
      ...row,
      position: { file: FILE, line: 10 + index, column: 5 },
    }));
    return { ...report, rows };
  });
  const report = { file: FILE, models: located, experiments: [], errors: [] };
  return { file: FILE, model, report, busy: false };
}

const layers = (panel: ArchitecturePanel): Promise<(string | null)[]> =>
  panel.page.locator(".layers tbody tr").evaluateAll((rows) => rows.map((row) => row.getAttribute("title")));

test("architecture: the picker asks the host for another model", async () => {
  const panel = await open(snapshotOf("DigitsCNN"));
  await panel.page.locator("vscode-dropdown").click();
  await panel.page.locator("vscode-option", { hasText: "ResidualNet" }).click();
  assert.deepEqual(await called(panel, "select"), ["ResidualNet"]);
  await panel.view.snapshot(snapshotOf("ResidualNet"));
  await panel.page.getByRole("heading", { name: "ResidualNet", level: 1 }).waitFor();
  assert.equal(panel.calls.length, 1, "the host's own choice is not a choice of the user");
});

test("architecture: a layer leads to its line, with the mouse and with the keyboard", async () => {
  const panel = await open(snapshotOf("DigitsCNN"));
  await panel.page.locator('.layers tr[title="conv2"] .shape').click();
  assert.deepEqual(await called(panel, "openSource"), [FILE, 14, 5]);
  panel.calls.length = 0;
  await panel.page.getByRole("button", { name: "Go to fc1 in the source" }).focus();
  await panel.page.keyboard.press("Enter");
  assert.deepEqual(await called(panel, "openSource"), [FILE, 16, 5]);
  assert.equal(panel.calls.length, 1);
});

test("architecture: blocks fold, and stay folded when the panel was hidden", async () => {
  const panel = await open(snapshotOf("ResidualNet"));
  const all = await layers(panel);
  assert.equal(all.length, models()[1]!.rows.length - 1);
  await panel.page.getByRole("button", { name: "Collapse layers", exact: true }).click();
  const folded = ["stem", "stem.0", "stem.1", "stem.2", "layers", "pool", "flatten", "head"];
  await until("the block folds", async () => (await layers(panel)).length === folded.length);
  assert.deepEqual(await layers(panel), folded);
  // A folded block shows the share of all that is in it.
  assert.match(await panel.page.locator('tr[title="layers"]').innerText(), /97\.8 %/);
  await panel.reopen();
  assert.deepEqual(await layers(panel), folded);
  await panel.page.getByRole("button", { name: "Expand layers", exact: true }).click();
  await until("the block unfolds", async () => (await layers(panel)).length === all.length);
});

test("architecture: the numbers are those of the report", async () => {
  const panel = await open(snapshotOf("DigitsCNN"));
  const figures = (await panel.page.locator(".figures").innerText()).replaceAll(/\s+/g, " ");
  assert.equal(
    figures,
    "Parameters 13,706 Multiply-adds 2.94 M Parameter size 54.8 kB Activation size 255 kB Input [32, 1, 8, 8] Output [32, 10]",
  );
  assert.match(
    await panel.page.locator('tr[title="fc1"]').innerText(),
    /\[32, 64\]\s+8,256\s+60\.2 %\s+262 k/,
  );
});

test("architecture: the printed model is what print(model) prints", async () => {
  const panel = await open(snapshotOf("ResidualNet"), "Printed");
  await panel.page.locator(".printed").waitFor();
  assert.equal(await panel.page.locator(".printed").textContent(), models()[1]!.text);
});

test("architecture: the diagram shows the called layers from input to output", async () => {
  const panel = await open(snapshotOf("DigitsCNN"), "Diagram");
  await panel.page.locator(".diagram").waitFor();
  const names = await panel.page.locator(".node-name").allInnerTexts();
  assert.deepEqual(names, ["conv1", "relu", "pool", "conv2", "flatten", "fc1", "dropout", "fc2"]);
  await panel.page.getByRole("button", { name: "Go to conv2 in the source" }).click();
  assert.deepEqual(await called(panel, "openSource"), [FILE, 14, 5]);
});

test("architecture: Train trains the experiment that builds the model", async () => {
  const panel = await open(snapshotOf("ResidualNet"));
  await panel.page.locator('vscode-button[aria-label="Train"]').click();
  assert.deepEqual(await called(panel, "train"), ["residual"]);
  await panel.page.locator('vscode-button[aria-label="Data"]').click();
  assert.deepEqual(await called(panel, "showData"), ["residual"]);
});

test("architecture: the next file takes the panel, with nothing of the last one's; a locked panel says so", async () => {
  const panel = await open(snapshotOf("ResidualNet"), "Summary");
  await panel.page.getByRole("button", { name: "Collapse layers", exact: true }).click();
  const other = FILE.replace("digits", "others");
  const next = snapshotOf("ResidualNet");
  const began = performance.now();
  await panel.view.snapshot({ file: other, busy: true });
  // The last model stays while the next one is built, for 120 ms.
  const busy = await panel.page.getByText("Building the model").count();
  if (performance.now() - began < 120) assert.equal(busy, 0);
  await panel.view.snapshot({ ...next, file: other, report: { ...next.report!, file: other } });
  await panel.page.getByRole("button", { name: "others.nn.ts", exact: true }).waitFor();
  assert.equal((await layers(panel)).length, models()[1]!.rows.length - 1, "all unfolded");
  assert.equal(await panel.page.title(), "Architecture of others.nn.ts");
  await panel.page.getByRole("button", { name: "Keep others.nn.ts in this panel" }).click();
  assert.deepEqual(await called(panel, "lock"), [true]);
  await panel.view.snapshot({ ...next, file: other, locked: true });
  await panel.page.getByRole("button", { name: "Follow the active file in this panel" }).click();
  await until("it is unlocked", () =>
    panel.calls.some(({ method, args }) => method === "lock" && args[0] === false),
  );
});

test("architecture: a file that takes long to build says so in the panel of the last one", async () => {
  const panel = await open(snapshotOf("DigitsCNN"));
  await panel.view.snapshot({ file: FILE.replace("digits", "others"), busy: true });
  await panel.page.getByText("Building the model").waitFor();
  assert.equal(await panel.page.locator(".layers").count(), 0);
});

test("architecture: what would run code waits for the user's request, or for trust", async () => {
  const panel = await open(snapshotOf("DigitsCNN"));
  await panel.view.snapshot({ file: FILE, busy: false, unbuilt: "request" });
  await panel.page.getByText("No code has run yet.").waitFor();
  await panel.page.locator('vscode-button[aria-label="Run and Preview"]').click();
  assert.deepEqual(await called(panel, "build"), []);
  await panel.view.snapshot({ file: FILE, busy: false, unbuilt: "trust" });
  await panel.page.locator('vscode-button[aria-label="Manage Workspace Trust"]').click();
  assert.deepEqual(await called(panel, "manageTrust"), []);
  await panel.view.snapshot({ ...snapshotOf("DigitsCNN"), outdated: true });
  await panel.page.locator('vscode-button[aria-label="Refresh"]').click();
  await until("it is built again", () => panel.calls.filter(({ method }) => method === "build").length === 2);
});

test("architecture: an error stands above the last good model, and goes when it is mended", async () => {
  const good = snapshotOf("DigitsCNN");
  const panel = await open(good);
  const { report, ...rest } = good;
  const broken = { ...report!, models: [], errors: [syntaxError()] };
  await panel.view.snapshot({ ...rest, report: broken, lastGood: report!.models[0]! });
  await panel.page.getByRole("alert").getByText('Expected ")" but found ";"').waitFor();
  assert.equal(await panel.page.locator(".stale .layers tbody tr").count(), 8);
  assert.equal(await panel.page.locator('vscode-button[aria-label="Train"]').count(), 0);
  await panel.page.getByRole("button", { name: "digits.nn.ts:14:41" }).click();
  assert.deepEqual(await called(panel, "openSource"), [FILE, 14, 41]);
  await panel.view.snapshot(good);
  await until("the error goes", async () => (await panel.page.getByRole("alert").count()) === 0);
  assert.equal(await panel.page.locator(".stale").count(), 0);
});

test("architecture: a class that can't be built is chosen and shown with its error; another's model is not", async () => {
  const { report, ...rest } = snapshotOf("DigitsCNN");
  const shown = { ...rest, unbuiltModels: ["Throws"] };
  const panel = await open({ ...shown, report: report! });
  await panel.page.locator("vscode-dropdown").click();
  await panel.page.locator("vscode-option", { hasText: "Throws" }).click();
  assert.deepEqual(await called(panel, "select"), ["Throws"]);
  const errors = [{ code: "error", message: "hidden must be positive" }];
  await panel.view.snapshot({ ...shown, model: "Throws", report: { ...report!, errors } });
  await panel.page.getByRole("heading", { name: "Throws", level: 1 }).waitFor();
  await panel.page.getByRole("alert").getByText("hidden must be positive").waitFor();
  assert.equal(await panel.page.locator(".layers").count(), 0);
});

test("architecture: a model whose forward reads a value says where, and that its figures are an estimate", async () => {
  const { report, ...rest } = snapshotOf("DigitsCNN");
  const [model] = report!.models;
  const places = [{ file: FILE, line: 8, column: 15 }];
  const reading = (complete: boolean): ArchitectureSnapshot => ({
    ...rest,
    report: { ...report!, models: [{ ...model!, reads: { places, complete } }] },
  });
  const panel = await open(reading(true));
  await panel.page.getByText(/reads a value at.*takes it as 0.*an estimate/s).waitFor();
  await panel.page.getByRole("button", { name: "digits.nn.ts:8:15" }).click();
  assert.deepEqual(await called(panel, "openSource"), [FILE, 8, 15]);
  await panel.view.snapshot(reading(false));
  await panel.page.getByText(/what follows is not shown/).waitFor();
});
