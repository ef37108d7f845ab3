/** Statistics of each layer over a training: in the training panel, and on the diagram. */
import assert from "node:assert/strict";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
} from "../../../extension/protocol/views.ts";
import { test, until } from "../../harness.ts";
import { assertSmooth, frameTime } from "./frames.ts";
import { layerHost, picture, type LayerRecording } from "./layerRecordings.ts";
import { looks, type Look } from "./looks.ts";
import { called, drawn, openPanel, pixels, screenshotPage, type Panel } from "./page.ts";
import { ended, FILE, flowModel, runningAt } from "./recordings.ts";
import { open, text, type TrainingPanel } from "./trainingPage.ts";

const PATHS = ["conv1", "relu1", "conv2", "relu2", "fc"];
const ADVICE = [
  { text: "Column 3 gives the label away: its value follows from the class alone." },
  {
    layer: "relu2",
    step: 300,
    text: "9 of 16 units of the ReLU in relu2 are 0 for every sample: use a smaller learning rate.",
  },
];
const SECTION = ".section-layers";

const finished = (): LayerRecording => ({ paths: PATHS, checks: 60, advice: ADVICE });

async function openRecording(
  recording: LayerRecording,
  options: Parameters<typeof open>[1] & { live?: boolean } = {},
): Promise<TrainingPanel> {
  const { live = false, ...rest } = options;
  const panel = await open(live ? runningAt(300) : ended("finished"), {
    ...rest,
    host: { ...layerHost(recording), ...rest.host },
  });
  // The figures are there before their values.
  await panel.page.locator(`${SECTION} .values-figure h4`).first().waitFor();
  return panel;
}

/** The row of a layer: its name and the four numbers. */
const numbers = (panel: TrainingPanel, layer: string): Promise<string[]> =>
  panel.page
    .locator(`${SECTION} .layers-table tr`, {
      has: panel.page.getByRole("button", { name: layer, exact: true }),
    })
    .locator("th, td")
    .allInnerTexts()
    .then((cells) => cells.map((cell) => cell.trim()));

/** Pixels of all pictures of values, to compare. */
const pictures = (panel: Panel<object>): Promise<string[]> =>
  pixels(panel.page.locator(".values-figure canvas"));

const slider = (panel: Panel<object>) => panel.page.getByRole("slider", { name: "Position in the training" });

test("layers: numbers, advice and pictures of the last check; a run that was not watched says how", async () => {
  const panel = await openRecording(finished());
  assert.deepEqual(await numbers(panel, "conv2"), ["conv2", "0.431", "0.00306", "0.646", "–"]);
  assert.deepEqual(await numbers(panel, "relu2"), ["relu2", "–", "–", "0.746", "100 %"]);
  assert.equal(await text(panel, `${SECTION} .scrubber output`), "Step 600, epoch 18");
  const advice = panel.page.locator(`${SECTION} .layer-advice li`);
  assert.deepEqual(await advice.allInnerTexts().then((all) => all.map((one) => one.trim())), [
    "Column 3 gives the label away: its value follows from the class alone.",
    "Step 300 9 of 16 units of the ReLU in relu2 are 0 for every sample: use a smaller learning rate. relu2",
  ]);
  await panel.page.locator(".layer-advice").getByRole("button", { name: "relu2" }).click();
  await panel.page.getByRole("heading", { name: "Values of relu2" }).waitFor();
  assert.match(
    await text(panel, ".values-figure:nth-child(1)"),
    /^Weights No parameters that are trained\.$/,
  );
  const label = await panel.page.locator(".values-figure:nth-child(3) [role=img]").getAttribute("aria-label");
  assert.match(label!, /^Activations of relu2 at Step 600, epoch 18: mean 0\.4, standard deviation 0\.278$/);
  // The picture has a row for each of the table, at its height.
  const [table, strip] = await Promise.all(
    [".layers-table tbody", ".layers-strip-body"].map((name) => panel.page.locator(name).boundingBox()),
  );
  assert.ok(
    Math.abs(table!.height - strip!.height) <= 1 && Math.abs(table!.y - strip!.y) <= 1,
    JSON.stringify([table, strip]),
  );
  assert.deepEqual(await panel.complaints(), []);

  // A finding before the first check needs no layers.
  const early = await open(runningAt(300), { host: layerHost({ paths: [], checks: 0, advice: ADVICE }) });
  await early.page.locator(`${SECTION} .layer-advice`).waitFor();
  assert.match(await text(early, SECTION), /Column 3 gives the label away/);
  assert.deepEqual(await early.complaints(), []);

  const unwatched = await open(ended("finished"));
  assert.match(await text(unwatched, SECTION), /Set watch: true in the experiment/);
});

test("layers: the slider moves numbers and pictures together, by the keyboard too", async () => {
  const panel = await openRecording(finished());
  const [before, shown] = [await numbers(panel, "conv1"), await pictures(panel)];
  await slider(panel).focus();
  await panel.page.keyboard.press("Home");
  await until("the first check", async () => (await numbers(panel, "conv1"))[1] !== before[1]);
  assert.deepEqual(await numbers(panel, "conv1"), ["conv1", "1.3", "0.004", "0.2", "–"]);
  assert.equal(await slider(panel).getAttribute("aria-valuetext"), "Step 10, epoch 1");
  await until("each picture has moved", async () =>
    (await pictures(panel)).every((picture, i) => picture !== shown[i]),
  );
  for (let i = 0; i < 5; i++) await panel.page.keyboard.press("ArrowRight");
  await until(
    "the sixth check",
    async () => (await slider(panel).getAttribute("aria-valuetext")) === "Step 60, epoch 2",
  );
  await panel.page.locator('vscode-button[aria-label="Follow the End"]').click();
  await until("the end", async () => (await numbers(panel, "conv1")).join() === before.join());
  await until("the end's pictures", async () => (await pictures(panel)).join() === shown.join());
  // A click into the picture of all layers chooses the layer and the step.
  await panel.page.locator(".layers-strip-body").scrollIntoViewIfNeeded();
  const strip = (await panel.page.locator(".layers-strip-body").boundingBox())!;
  await panel.page.mouse.click(strip.x + strip.width / 4, strip.y + 2.5 * 22);
  await panel.page.getByRole("heading", { name: "Values of conv2" }).waitFor();
  await drawn(panel.page);
  assert.equal(await text(panel, `${SECTION} .scrubber output`), "Step 160, epoch 5");
});

test("layers: values that arrive late stand under their own layer's name", async () => {
  const recording = finished();
  const host = layerHost(recording);
  let answer: (() => void) | undefined;
  const panel = await openRecording(recording, {
    host: {
      layerValues: async (path) => {
        if (path === "relu2") await new Promise<void>((resolve) => (answer = resolve));
        return host.layerValues(path);
      },
    },
  });
  const values = (): Promise<string> => text(panel, ".layer-values");
  const button = panel.page.locator(".layers-table").getByRole("button", { name: "relu2", exact: true });
  await button.click();
  await until("the question", () => answer !== undefined);
  await until("the selection", async () => (await button.getAttribute("aria-pressed")) === "true");
  assert.match(await values(), /^Values of conv1 .*Weights 0 ± 0\.218 /);
  answer!();
  await panel.page.getByRole("heading", { name: "Values of relu2" }).waitFor();
  assert.match(await values(), /^Values of relu2 .*Weights No parameters that are trained\. /);
});

test("layers: a live run's end is followed unless the slider was moved", async () => {
  const recording: LayerRecording = { paths: PATHS, checks: 0 };
  const panel = await open(runningAt(300), { host: layerHost(recording) });
  await panel.page.locator(SECTION).waitFor();
  recording.checks = 3;
  await panel.page.locator(`${SECTION} .scrubber`).waitFor();
  assert.equal(await text(panel, `${SECTION} .scrubber output`), "Step 30, epoch 1");
  const at = (expected: string): Promise<boolean> =>
    until(expected, async () => (await text(panel, `${SECTION} .scrubber output`)) === expected);
  recording.checks = 7;
  await at("Step 70, epoch 3");
  await slider(panel).focus();
  await panel.page.keyboard.press("ArrowLeft");
  await at("Step 60, epoch 2");
  recording.checks = 20;
  await until("new checks", async () => (await slider(panel).getAttribute("max")) === "19");
  await at("Step 60, epoch 2");
  await panel.page.keyboard.press("End");
  await at("Step 200, epoch 6");
  recording.checks = 21;
  await at("Step 210, epoch 7");
});

test("layers: ridges and colours are chosen, kept, and saved as CSV", async () => {
  const recording = finished();
  const panel = await openRecording(recording);
  const heat = await pictures(panel);
  await panel.page.getByRole("radio", { name: "Ridge" }).check({ force: true });
  await until("ridges", async () => (await pictures(panel))[1] !== heat[1]);
  await panel.page.getByRole("radio", { name: "Dead units" }).check({ force: true });
  await until("the other scale", async () =>
    /Dead units 0 % 100 %/.test(await text(panel, ".layers-legend")),
  );
  await panel.page.getByRole("button", { name: "conv2", exact: true }).click();
  await panel.page.getByRole("heading", { name: "Values of conv2" }).waitFor();
  await panel.page.getByRole("button", { name: "Download CSV" }).click();
  const [name, base64] = (await called(panel, "saveFile")) as [string, string];
  assert.equal(name, "20260131-142501-digits-conv2.csv");
  const lines = Buffer.from(base64, "base64").toString("utf8").trim().split("\n");
  assert.equal(lines.length, 1 + 3 * 60);
  assert.match(lines[1]!, /^conv2,weights,10,0\.02,/);
  await panel.reopen();
  await panel.page.getByRole("heading", { name: "Values of conv2" }).waitFor();
  assert.equal(await panel.page.getByRole("radio", { name: "Ridge" }).isChecked(), true);
});

test("layers: names of layers are text", async () => {
  const html = '<img src=x onerror="document.title=1">';
  const panel = await openRecording({ paths: [html, "__proto__", ""], checks: 5 });
  await panel.page.getByRole("heading", { name: `Values of ${html}` }).waitFor();
  assert.deepEqual(await panel.page.locator(".layers-table tbody th").allInnerTexts(), [
    html,
    "__proto__",
    "(model)",
  ]);
  assert.equal(await panel.page.locator(`${SECTION} img`).count(), 0);
  assert.deepEqual(await panel.complaints(), []);
});

test("layers: 200 layers of a long run are scrubbed at 60 frames a second", async (note) => {
  const paths = Array.from({ length: 200 }, (_, i) => `blocks.${i}.${i % 2 === 0 ? "conv" : "relu"}`);
  const panel = await openRecording({ paths, checks: 200 });
  const moves = Array.from({ length: 40 }, (_, i) => 199 - 4 * i);
  const frame = await frameTime(panel.page, moves, (column) => {
    const input = document.querySelector<HTMLInputElement>(".section-layers input[type=range]")!;
    input.value = String(column);
    input.dispatchEvent(new Event("input"));
  });
  note(`a frame takes ${frame.toFixed(1)} ms`);
  await screenshotPage("layers-200");
  assertSmooth(frame);
});

const tall = async (panel: TrainingPanel): Promise<TrainingPanel> => {
  // Only the section: the rest of the page has pictures of its own.
  await panel.page.locator(SECTION).scrollIntoViewIfNeeded();
  return panel;
};

for (const view of ["heat", "ridge"])
  looks(`layers look right: ${view}`, `layers-${view}`, async (look: Look) => {
    const { run } = ended("finished");
    const state = { runId: run.id, file: run.file, ui: { layerView: view, layer: ["conv2"] } };
    return tall(await openRecording(finished(), { ...look, state }));
  });

const TRAINING = "20260131-142501-residual";

/** Layers of the residual model that have parameters, and its ReLUs. */
function diagramRecording(): LayerRecording {
  const paths = flowModel("residual")
    .rows.filter(({ path, weights }) => weights !== undefined || path === "stem.2")
    .map(({ path }) => path);
  return { paths, checks: 60 };
}

/** The same with pictures of its convolutions and of an attention. */
const picturedRecording = (): LayerRecording => ({
  ...diagramRecording(),
  pictures: (column) => ({
    "stem.0": picture({ kind: "map", units: 16, drawn: 8, height: 8, width: 8 }, (unit, row, at) =>
      Math.sin((unit + 1) * (row + at / 2) * 0.3 + column / 20),
    ),
    "stem.2": picture({ kind: "map", units: 16, drawn: 8, height: 1, width: 24 }, (unit, _, at) =>
      Math.max(0, Math.sin(unit + at / 3 + column / 20)),
    ),
    "stem.1": picture({ kind: "attention", units: 2, drawn: 2, height: 6, width: 12 }, (unit, row, at) =>
      Math.exp(-((row * 2 - at + unit) ** 2) / 4),
    ),
  }),
});

function openDiagram(
  recording: LayerRecording,
  { ui = {}, ...look }: Partial<Look> & { ui?: object } = {},
): Promise<Panel<ArchitectureViewMethods>> {
  const model = flowModel("residual");
  let training: string | undefined;
  let panel: Panel<ArchitectureViewMethods> | undefined;
  const snapshot = (): ArchitectureSnapshot => ({
    file: FILE,
    report: { file: FILE, models: [model], experiments: [], errors: [] },
    model: model.name,
    busy: false,
    trainings: [{ id: TRAINING, label: TRAINING }],
    ...(training === undefined ? {} : { training }),
  });
  return openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    host: {
      ready: () => Promise.resolve(snapshot()),
      ...layerHost(recording),
      chooseTraining: (id) => {
        training = id === "" ? undefined : id;
        // As the host does.
        return panel!.view.snapshot(snapshot()).then(() => undefined);
      },
    },
    state: { file: FILE, ui: { view: "diagram", ...ui } },
    ...look,
  }).then((opened) => (panel = opened));
}

async function chooseTraining(panel: Panel<ArchitectureViewMethods>): Promise<void> {
  await panel.page.locator('vscode-dropdown[aria-label="Layers of a training"]').click();
  await panel.page.getByRole("option", { name: TRAINING }).click();
  await panel.page.locator(".training-bar .scrubber").waitFor();
  await panel.page.locator(".box .heat").first().waitFor();
}

const heats = (panel: Panel<ArchitectureViewMethods>): Promise<(string | null)[]> =>
  panel.page.locator(".box .heat").evaluateAll((all) => all.map((box) => box.getAttribute("fill-opacity")));

test("layers: a training colours the diagram, and the slider moves colours, numbers and histograms", async () => {
  const panel = await openDiagram(diagramRecording(), { ui: { opened: ["stem"] } });
  await panel.page.locator(".picture .box").first().waitFor();
  assert.equal(await panel.page.locator(".box .heat").count(), 0);
  await chooseTraining(panel);
  const detail = (id: string): Promise<string | null> =>
    panel.page.locator(`.box[data-id="${id}"] .detail`).textContent();
  await panel.page.locator('.box[data-id="stem/0"]').click();
  await panel.page.locator(".details .values-figure canvas").first().waitFor();
  const end = { heats: await heats(panel), detail: await detail("stem/0"), pictures: await pictures(panel) };
  assert.match(await panel.page.locator(".details").innerText(), /In training: Step 600, epoch 18/);
  const chosen = panel.page.locator('vscode-dropdown[aria-label="Layers of a training"]');
  await until("the chosen training", async () => (await chosen.getAttribute("current-value")) === TRAINING);
  assert.match(await panel.page.locator(".training-bar .layers-legend").innerText(), /^Gradient norm/);
  await slider(panel).focus();
  await panel.page.keyboard.press("Home");
  await until("the first check", async () => (await detail("stem/0")) !== end.detail);
  await drawn(panel.page);
  assert.equal(await detail("stem/0"), "1.3");
  assert.notDeepEqual(await heats(panel), end.heats);
  assert.match(await panel.page.locator(".details").innerText(), /In training: Step 10, epoch 1/);
  await until("each histogram has moved", async () =>
    (await pictures(panel)).every((picture, i) => picture !== end.pictures[i]),
  );
  await panel.page.locator('vscode-button[aria-label="Follow the End"]').click();
  await until("the end", async () => (await detail("stem/0")) === end.detail);
  await drawn(panel.page);
  assert.deepEqual(await heats(panel), end.heats);
  for (const [name, shown] of [
    ["Training: update ratio", /^Update ratio/],
    ["Training: mean |activation|", /^Mean \|activation\|/],
  ] as const) {
    await panel.page.locator('vscode-dropdown[aria-label="Colour by"]').click();
    await panel.page.getByRole("option", { name }).click();
    await until(name, async () => shown.test(await panel.page.locator(".layers-legend").innerText()));
  }
  assert.deepEqual(await panel.complaints(), []);
});

test("layers: boxes and details draw what a layer gives, at the slider's step, and open its numbers", async () => {
  const panel = await openDiagram(picturedRecording(), { ui: { opened: ["stem"] } });
  const { page } = panel;
  await page.locator(".picture .box").first().waitFor();
  const box = page.locator('.box[data-id="stem/0"]');
  const height = async (): Promise<number> => Number(await box.locator(".frame").getAttribute("height"));
  const plain = await height();
  await chooseTraining(panel);
  const image = box.locator("image");
  await image.waitFor();
  assert.ok((await height()) > plain + 60, "two rows of pictures");
  assert.match((await box.textContent())!, /\+ 8 more/);
  assert.equal(await page.locator(".box image").count(), 3);
  const last = await image.getAttribute("href");
  await box.click();
  const pictures = page.locator(".layer-pictures");
  const first = pictures.getByRole("button").first();
  assert.match(
    (await first.getAttribute("aria-label"))!,
    /^Channel 0 of stem\.0 at Step 600, epoch 18: -?0?\.?\d+ to \S+\. Open in the tensor viewer$/,
  );
  assert.equal(await pictures.getByRole("button").count(), 8);
  assert.match(await pictures.innerText(), /first 8 of 16.*sample 0 of the validation set/s);
  await slider(panel).focus();
  await page.keyboard.press("Home");
  await until("the first check's pictures", async () => (await image.getAttribute("href")) !== last);
  await until("their names", async () =>
    /at Step 10, epoch 1/.test((await first.getAttribute("aria-label"))!),
  );
  await first.click();
  assert.deepEqual(await called(panel, "openPicture"), ["stem.0", 10]);
  // Without them, boxes are as they were.
  await page.locator("vscode-checkbox", { hasText: "Pictures" }).click();
  await until("no pictures", async () => (await page.locator(".box image").count()) === 0);
  await until("the first size", async () => (await height()) === plain);
  assert.equal(await pictures.getByRole("button").count(), 8);
  assert.deepEqual(await panel.complaints(), []);
});

looks("diagram looks right: pictures of layers", "diagram-pictures", async (look) => {
  const panel = await openDiagram(picturedRecording(), {
    ...look,
    ui: { opened: ["stem"], selected: "stem/0", heat: "none" },
  });
  await chooseTraining(panel);
  await panel.page.locator(".box image").first().waitFor();
  await panel.page.locator(".layer-pictures canvas").first().waitFor();
  return panel;
});

looks("diagram looks right: a training", "diagram-training", async (look) => {
  const panel = await openDiagram(diagramRecording(), {
    ...look,
    ui: { opened: ["stem"], selected: "stem/0", heat: "gradNorm" },
  });
  await chooseTraining(panel);
  await panel.page.locator(".details .values-figure canvas").first().waitFor();
  return panel;
});
