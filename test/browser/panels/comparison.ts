/** Two versions of a model compared, and the values of a checkpoint. */
import assert from "node:assert/strict";
import type { ModelReport } from "../../../extension/protocol/preview.ts";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
} from "../../../extension/protocol/views.ts";
import type { WeightStatistics } from "../../../extension/protocol/tensorValues.ts";
import { test, until } from "../../harness.ts";
import { inspect, looks } from "./looks.ts";
import { called, openPanel, type Panel, type ThemeName } from "./page.ts";
import { FILE, flowModel } from "./recordings.ts";

const SIDES = [
  { id: "working", label: "Working file" },
  { id: "head", label: "Git HEAD" },
  { id: "run:20260131-142501-digits", label: "Run 20260131-142501-digits" },
  { id: "file", label: "Another file…" },
];

const report = (...models: ModelReport[]) => ({ file: FILE, models, experiments: [], errors: [] });

const compared = (before: ModelReport, now: ModelReport): ArchitectureSnapshot => ({
  file: FILE,
  model: now.name,
  report: report(now),
  lastGood: now,
  busy: false,
  sides: SIDES,
  comparison: { base: "head", of: "working", report: report(before) },
});

type ArchitecturePanel = Panel<ArchitectureViewMethods>;

function open(
  snapshot: ArchitectureSnapshot,
  { ui = {}, ...look }: { ui?: object; theme?: ThemeName; width?: number } = {},
): Promise<ArchitecturePanel> {
  return openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    host: { ready: () => Promise.resolve(snapshot) },
    state: { file: FILE, ui: { view: "diagram", ...ui } },
    scale: 1.5,
    ...look,
  });
}

const OPENED = { opened: ["blocks"], closed: ["stem", "blocks/0", "blocks/3", "blocks/4"] };

test("comparison: added, removed and changed boxes and edges are marked; what is inside is told outside", async () => {
  const panel = await open(compared(flowModel("residualBefore"), flowModel("residual")), { ui: OPENED });
  const change = (id: string) => panel.page.locator(`.box[data-id="${id}"]`).getAttribute("class");
  await panel.page.locator('.box[data-id="blocks/4"]').waitFor();
  assert.match((await change("blocks/4")) ?? "", /change-added/);
  assert.match((await change("dropout")) ?? "", /change-removed/);
  assert.match((await change("stem")) ?? "", /change-inside/);
  assert.doesNotMatch((await change("blocks/3")) ?? "", /change-/);
  // The sum of two pools is new, so the way past it is gone.
  assert.match((await change("~add")) ?? "", /change-added/);
  const edge = (from: string, to: string) =>
    panel.page.locator(`.edge[data-from="${from}"][data-to="${to}"]`).getAttribute("class");
  assert.match((await edge("dropout", "head")) ?? "", /edge-removed/);
  assert.match((await edge("~add", "head")) ?? "", /edge-added/);
  assert.equal(await panel.page.locator('.box[data-id="dropout"] .change-sign text').textContent(), "−");

  const bar = await panel.page.locator(".comparison").innerText();
  for (const part of ["6 added", "1 removed", "1 changed", "stem.2", "Tanh → ReLU", "+18,624"])
    assert.ok(bar.includes(part), `${part} is in ${bar}`);
  await panel.page.getByRole("button", { name: "stem.2", exact: true }).click();
  await until("the changed layer is selected", async () =>
    /selected/.test((await change("stem/2").catch(() => "")) ?? ""),
  );
  await panel.page.locator(".details .change-notes", { hasText: "Tanh → ReLU" }).waitFor();
  await panel.page.getByRole("button", { name: "End comparison" }).click();
  await called(panel, "endComparison");
});

test("comparison: the table shows the same, and has no way to the lines of what is gone", async () => {
  const panel = await open(compared(flowModel("residualBefore"), flowModel("residual")), {
    ui: { view: "summary" },
  });
  const row = (path: string) => panel.page.locator(`.layers tr[title="${path}"]`);
  assert.match((await row("blocks.4").getAttribute("class")) ?? "", /change-added/);
  assert.match((await row("stem.2").innerText()).replaceAll(/\s+/g, " "), /changed.*Tanh → ReLU/);
  assert.match((await row("blocks").innerText()).replaceAll(/\s+/g, " "), /\+18,624/);
  assert.equal(await row("dropout").locator("button").count(), 0);
});

test("comparison: a choice asks the host; one that is given up leaves nothing behind", async () => {
  const model = flowModel("residual");
  const panel = await open({
    file: FILE,
    model: model.name,
    report: report(model),
    busy: false,
    sides: SIDES,
  });
  const choose = async (name: string): Promise<void> => {
    await panel.page.getByRole("combobox", { name: "Compare with" }).click();
    await panel.page.getByRole("option", { name }).click();
  };
  await choose("Another file…");
  assert.deepEqual(await called(panel, "compare"), ["file", "working"]);
  panel.calls.length = 0;
  await panel.page.getByRole("combobox", { name: "Compare with", exact: true }).waitFor();
  await choose("Git HEAD");
  assert.deepEqual(await called(panel, "compare"), ["head", "working"]);
});

test("comparison: why there is nothing to compare with is told", async () => {
  const { comparison, ...rest } = compared(flowModel("residual"), flowModel("residual"));
  const error = {
    code: "git",
    message: "digits.nn.ts can't be compared with git's HEAD: not a git repository",
  };
  const panel = await open({
    ...rest,
    comparison: { ...comparison!, report: { ...report(), errors: [error] } },
  });
  await panel.page.getByText("not a git repository").waitFor();
  await panel.view.snapshot({
    ...rest,
    comparison: { base: "head", of: "working", report: report(flowModel("residual")) },
  });
  await panel.page.getByText("No difference").waitFor();
});

/** Of the checkpoint of a training; one of its tensors is broken. */
const tensors = (): WeightStatistics[] => {
  const values = {
    count: 4608,
    min: -0.41,
    max: 0.39,
    mean: 0.0021,
    std: 0.083,
    zeros: 12,
    nans: 0,
    infinities: 0,
  };
  const histogram = [1, 4, 9, 30, 80, 160, 300, 420, 600, 700, 690, 560, 430, 310, 170, 90, 40, 10, 3, 1];
  return [
    { name: "stem.0.weight", dtype: "F32", shape: [16, 1, 3, 3], ...values, histogram },
    { name: "stem.0.bias", dtype: "F32", shape: [8], ...values, nans: 3, infinities: 1, histogram },
    { name: "stem.1.running_mean", dtype: "F32", shape: [16], ...values, histogram },
  ];
};

const withWeights = (): ArchitectureSnapshot => {
  const model = flowModel("residual");
  const file = "/home/ada/.layerwise/runs/20260131-142501-digits/checkpoints/best.safetensors";
  return {
    file: FILE,
    model: model.name,
    report: report(model),
    busy: false,
    sides: SIDES,
    weightFiles: [
      { id: file, label: "20260131-142501-digits: best.safetensors" },
      { id: "file", label: "Another file…" },
    ],
    weights: { id: file, tensors: tensors() },
  };
};

test("values: a layer's tensors in a checkpoint, with what is wrong with them", async () => {
  const panel = await open(withWeights(), { ui: { selected: "stem/0" } });
  await panel.page.locator(".histogram").first().waitFor();
  const shown = (await panel.page.locator(".details").innerText()).replaceAll(/\s+/g, " ");
  assert.match(shown, /min, max -0\.41, 0\.39 mean ± std 0\.0021 ± 0\.083 zeros 12/);
  assert.match(shown, /bias has shape \[8\] in the checkpoint/);
  assert.match(shown, /NaN, infinite 3, 1/);
  await panel.page.locator('.outline tr[data-path="stem.1"] button').click();
  await panel.page.getByText("weight is not in the checkpoint").waitFor();
  await panel.page.getByText("running_mean").waitFor();
});

looks("comparison looks right", "comparison", async (look) => {
  const snapshot = compared(flowModel("residualBefore"), flowModel("residual"));
  const panel = await open(snapshot, { ui: { ...OPENED, selected: "blocks/4" }, ...look });
  await panel.page.locator(".picture").waitFor();
  return panel;
});
test("comparison looks right: table", async () => {
  const snapshot = compared(flowModel("residualBefore"), flowModel("residual"));
  await inspect(await open(snapshot, { ui: { view: "summary" } }), "comparison-table");
});
test("values look right", async () => {
  const panel = await open(withWeights(), { ui: { selected: "stem/0" }, theme: "light" });
  await panel.page.locator(".histogram").first().scrollIntoViewIfNeeded();
  await inspect(panel, "values-light");
});
