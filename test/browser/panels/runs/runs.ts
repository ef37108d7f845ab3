/** The training panel with several runs: live controls, comparison, exports. */
import assert from "node:assert/strict";
import type { MetricRow } from "../../../../extension/protocol/run.ts";
import type { ListedRun, TrainingSnapshot } from "../../../../extension/protocol/views.ts";
import { test, until } from "../../../harness.ts";
import { looks } from "../looks.ts";
import { assertSmooth, frameTime } from "../frames.ts";
import { called, drawn, screenshotPage } from "../page.ts";
import { ended, recording, runningAt } from "../recordings.ts";
import { Folder, names, open, press, type TrainingPanel } from "./folder.ts";
import { chart, picture } from "../trainingPage.ts";

const legend = async (panel: TrainingPanel, name: string): Promise<string[]> =>
  (await chart(panel, name).locator(".legend li").allInnerTexts()).map((text) =>
    text.replaceAll(/\s+/g, " "),
  );

const event: MetricRow = {
  kind: "event",
  step: 200,
  epoch: 6,
  time: 0.7,
  values: { lr: 0.0005 },
  text: "lr changed by hand from 0.002 to 0.0005.",
};

/** A running training whose rate was changed by hand. */
function steered(): TrainingSnapshot {
  const { rows, progress, ...rest } = runningAt(420);
  const rated = rows.map((row) =>
    row.kind === "epoch" ? { ...row, values: { ...row.values, lr: row.step < 200 ? 0.002 : 0.0005 } } : row,
  );
  return {
    ...rest,
    run: { ...rest.run, metrics: { ...rest.run.metrics, lr: 0.0005 } },
    rows: [...rated, event].sort((a, b) => a.step - b.step),
    ...(progress ? { progress: { ...progress, memory: 412_000_000, tensors: 96, processor: 1.84 } } : {}),
  };
}

test("runs: epochs and the learning rate can be changed while a run trains", async () => {
  const snapshot = steered();
  const panel = await open(snapshot, new Folder(snapshot, 0));
  const epochs = panel.page.getByLabel("More epochs", { exact: true });
  await epochs.fill("2.5");
  await press(panel, "Run: More epochs");
  await drawn(panel.page);
  assert.equal(await epochs.getAttribute("aria-invalid"), "true");
  assert.deepEqual(panel.calls, []);
  await epochs.fill("25");
  await epochs.press("Enter");
  assert.deepEqual(await called(panel, "addEpochs"), [25]);
  await panel.page.getByLabel("Steps, then pause", { exact: true }).fill("500");
  await press(panel, "Run: Steps, then pause");
  assert.deepEqual(await called(panel, "step"), [500]);
  const rate = panel.page.getByLabel("Learning rate", { exact: true });
  assert.equal(await rate.getAttribute("placeholder"), "0.0005");
  await rate.fill("1e-4");
  // Redrawing meanwhile must not discard text that is being typed.
  await panel.view.rows(recording().rows.slice(420, 430));
  await drawn(panel.page);
  assert.equal(await rate.inputValue(), "1e-4");
  await press(panel, "Set: Learning rate");
  assert.deepEqual(await called(panel, "setLearningRate"), [0.0001]);
  assert.match(
    await panel.page.locator(".progress-facts").innerText(),
    /Memory\s+412 MB\s+Tensors\s+96\s+Processor\s+1\.8 cores/,
  );
});

test("runs: with several optimizers, each has its rate", async () => {
  const { run, ...rest } = runningAt(200);
  const snapshot = { ...rest, run: { ...run, metrics: { loss: 1, lr_generator: 0.01, lr_critic: 0.02 } } };
  const panel = await open(snapshot, new Folder(snapshot, 0));
  await panel.page.getByLabel("Learning rate (critic)", { exact: true }).fill("0.5");
  await press(panel, "Set: Learning rate (critic)");
  assert.deepEqual(await called(panel, "setLearningRate"), [0.5, "critic"]);
});

test("runs: a refusal is told, and a run that is over can't be steered", async () => {
  const snapshot = runningAt(200);
  const panel = await open(snapshot, new Folder(snapshot, 0), {
    host: { addEpochs: () => Promise.reject(new Error("OneCycleLR was made for the run's length")) },
  });
  await press(panel, "Run: More epochs");
  assert.deepEqual(await called(panel, "addEpochs"), [10]);
  await panel.page.getByRole("alert").getByText("More epochs: OneCycleLR was made").waitFor();
  await panel.view.record({ ...snapshot.run, state: "finished" }, false);
  await panel.page.locator(".steering").waitFor({ state: "detached" });
});

test("runs: an event is a mark on the curves and a line below them", async () => {
  const snapshot = runningAt(420);
  const panel = await open(snapshot, new Folder(snapshot, 0));
  const before = await picture(panel, "loss");
  await panel.view.rows([event]);
  await panel.page.getByText("Step 200 lr changed by hand from 0.002 to 0.0005.").waitFor();
  await drawn(panel.page);
  assert.notEqual(await picture(panel, "loss"), before);
});

test("runs: others are drawn beside this one, in colours that stay theirs", async () => {
  const snapshot = ended("finished");
  const folder = new Folder(snapshot, 3);
  folder.label(folder.runs[1]!.run.id, { name: "wide", tags: [], archived: false });
  const panel = await open(snapshot, folder);
  const [second, third] = [folder.runs[2]!.run.id, folder.runs[3]!.run.id];
  for (const name of ["wide", second])
    await panel.page.getByRole("checkbox", { name: `Draw ${name}`, exact: true }).check();
  await until("two more runs", async () => (await legend(panel, "loss")).length === 7);
  const readings = await legend(panel, "loss");
  assert.match(readings[3]!, /^wide 0\.0717$/);
  assert.match(readings[4]!, /^wide, validation 0\.0943$/);
  assert.match(
    (await chart(panel, "loss").getByRole("group").getAttribute("aria-label")) ?? "",
    /2 other runs/,
  );
  const colour = (name: string): Promise<string> =>
    panel.page
      .locator("tr", { hasText: name })
      .locator(".run-colour")
      .evaluate((swatch) => getComputedStyle(swatch).backgroundColor);
  const kept = await colour(second);
  assert.notEqual(kept, await colour("wide"));
  await panel.page.getByRole("checkbox", { name: "Draw wide", exact: true }).uncheck();
  await panel.page.getByRole("checkbox", { name: `Draw ${third}`, exact: true }).check();
  await until("the third run's curve", async () => (await legend(panel, "loss")).join().includes(third));
  assert.equal(await colour(second), kept);
  await panel.reopen();
  await until("the same runs again", async () => (await legend(panel, "loss")).length === 7);
  assert.equal(await colour(second), kept);
  // A run that is over is read once each time the panel is opened.
  assert.equal(folder.lookedAt.filter((id) => id === second).length, 2);
});

test("runs: those dropped from the side bar, or named by the host, are drawn beside this one", async () => {
  const snapshot = ended("finished");
  const folder = new Folder(snapshot, 3);
  const [, { run: first }, { run: second }, { run: third }] = folder.runs as [
    ListedRun,
    ListedRun,
    ListedRun,
    ListedRun,
  ];
  const panel = await open({ ...snapshot, compare: [first.id] }, folder);
  const drawn = (id: string): Promise<unknown> =>
    until(`the curve of ${id}`, async () => (await legend(panel, "loss")).join().includes(id));
  await drawn(first.id);
  // A run, and a checkpoint of another, as VS Code names the items of its trees.
  const handles = [
    `1/c:\\net\\.layerwise\\runs\\${second.id}`,
    `1//net/.layerwise/runs/${third.id}/checkpoints/a.b`,
  ];
  const taken = await panel.page.evaluate((itemHandles) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.setData("application/vnd.code.tree.layerwise.runs", JSON.stringify({ itemHandles }));
    const send = (name: string): boolean =>
      !document.body.dispatchEvent(new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true }));
    return [send("dragover"), send("drop")];
  }, handles);
  assert.deepEqual(taken, [true, true]);
  await drawn(second.id);
  await drawn(third.id);
  await drawn(first.id);
});

test("runs: a training that was interrupted is resumed, one that is finished can't be", async () => {
  const snapshot = ended("stopped", {}, 250);
  const panel = await open(snapshot, new Folder(snapshot, 0));
  await press(panel, "Resume");
  assert.deepEqual(await called(panel, "resumeRun"), []);
  await panel.view.record(runningAt(260).run, true);
  await panel.page.locator('vscode-button[aria-label="Pause"]').waitFor();
  const { run } = ended("finished");
  await panel.view.record(run, false);
  await panel.page.locator('vscode-button[aria-label="Train Again"]').waitFor();
  assert.equal(await panel.page.locator('vscode-button[aria-label="Resume"]').count(), 0);
});

test("runs: curves are exported as data and as pictures", async () => {
  const snapshot = steered();
  const panel = await open(snapshot, new Folder(snapshot, 0));
  const exported = async (format: string): Promise<{ name: string; data: Buffer }> => {
    panel.calls.length = 0;
    await panel.page.getByRole("button", { name: format, exact: true }).click();
    const [name, data] = (await called(panel, "saveFile")) as [string, string];
    return { name, data: Buffer.from(data, "base64") };
  };
  const { id } = snapshot.run;
  const csv = await exported("CSV");
  assert.equal(csv.name, `${id}.csv`);
  assert.match(csv.data.toString(), new RegExp(`^run,metric,kind,step,epoch,time,value\n${id},loss,step,1,`));
  const png = await exported("PNG");
  assert.equal(png.data.subarray(1, 4).toString(), "PNG");
  assert.ok(png.data.length > 10_000);
  const svg = await exported("SVG");
  const drawn = await panel.page.evaluate((text) => {
    const { documentElement } = new DOMParser().parseFromString(text, "image/svg+xml");
    return { name: documentElement.nodeName, lines: documentElement.querySelectorAll("polyline").length };
  }, svg.data.toString());
  assert.deepEqual(drawn.name, "svg");
  assert.ok(drawn.lines >= 4);
  const tex = await exported("pgfplots");
  assert.equal(tex.name, `${id}.tex`);
  assert.match(tex.data.toString(), /\\addlegendentry\{Validation\}/);
  assert.deepEqual(await panel.complaints(), []);
});

const sendRow = (row: MetricRow): void => window.postMessage({ t: "q", m: "rows", a: [[row]] }, "*");

test("runs: ten of them with a hundred thousand points are drawn in time", async (note) => {
  const snapshot = runningAt(400);
  const folder = new Folder(snapshot, 9);
  const count = 11_000;
  const rows = Array.from({ length: count }, (_none, i): MetricRow => {
    const loss = 2 * Math.exp(-i / 4000) + 0.1 * Math.abs(Math.sin(i * 12.9898));
    return { kind: "step", step: i + 1, epoch: 1, time: i / 500, values: { loss } };
  });
  const panel = await open(snapshot, folder, { host: { rowsOf: () => Promise.resolve(rows) } });
  await until("the runs", async () => (await names(panel)).length === 10);
  const one = await frameTime(panel.page, recording().rows.slice(400, 420), sendRow);
  for (const { run } of folder.runs.slice(1))
    await panel.page.getByRole("checkbox", { name: `Draw ${run.id}` }).check();
  await until("ten runs", async () => (await legend(panel, "loss")).length === 12, 20_000);
  const ten = await frameTime(panel.page, recording().rows.slice(420, 440), sendRow);
  note(`a frame takes ${ten.toFixed(1)} ms, of one run ${one.toFixed(1)} ms`);
  await screenshotPage("training-ten-runs");
  assertSmooth(ten);
}, 60_000);

looks("training looks right: compared", "training-compared", async (look) => {
  const snapshot = steered();
  const folder = new Folder(snapshot, 4);
  folder.label(folder.runs[1]!.run.id, { name: "wide", tags: ["dropout"], archived: false });
  const panel = await open(snapshot, folder, look);
  for (const name of ["wide", folder.runs[3]!.run.id])
    await panel.page.getByRole("checkbox", { name: `Draw ${name}`, exact: true }).check();
  await until("the curves", async () => (await legend(panel, "loss")).length === 7);
  return panel;
});
