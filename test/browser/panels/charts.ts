/** Curves of the training panel: drawing, zoom, keyboard, long runs. */
import assert from "node:assert/strict";
import { BOUNDS } from "../../bounds.ts";
import { patience } from "../../patience.ts";
import type { MetricRow } from "../../../extension/protocol/run.ts";
import { test, until } from "../../harness.ts";
import { assertQuick, assertSmooth, frameTime } from "./frames.ts";
import { layerHost } from "./layerRecordings.ts";
import { drawn, screenshotPage } from "./page.ts";
import { recording, runningAt } from "./recordings.ts";
import { chart, open, picture, text } from "./trainingPage.ts";

test("training: a loss that diverged is a gap with a note, not a crash", async () => {
  const { run, rows, ...rest } = runningAt(100);
  const diverged = rows.map((row) => (row.step > 60 ? { ...row, values: { loss: Number.NaN } } : row));
  const panel = await open({ ...rest, rows: diverged, run: { ...run, metrics: { loss: Number.NaN } } });
  assert.equal(await text(panel, ".chart-note"), "nan or infinite since step 61");
  assert.match(await text(panel, ".legend"), /nan/);
  assert.deepEqual(await panel.complaints(), []);
});

test("training: a part of the curve can be enlarged with the mouse and left again", async () => {
  const panel = await open(runningAt(400));
  const before = await picture(panel, "loss");
  const box = await chart(panel, "loss").locator(".u-over").boundingBox();
  assert.ok(box);
  await panel.page.mouse.move(box.x + 50, box.y + 60);
  await panel.page.mouse.down();
  await panel.page.mouse.move(box.x + 200, box.y + 60, { steps: 5 });
  await panel.page.mouse.up();
  await panel.page.mouse.move(0, 0);
  const reset = panel.page.locator('vscode-button[aria-label="Reset Zoom"]');
  await reset.waitFor();
  await drawn(panel.page);
  assert.notEqual(await picture(panel, "loss"), before);
  await reset.click();
  await until("everything is shown", async () => (await picture(panel, "loss")) === before);
});

test("training: charts are read with the keyboard", async () => {
  const panel = await open(runningAt(400));
  await chart(panel, "accuracy").getByRole("group").focus();
  await panel.page.keyboard.press("Home");
  await panel.page.keyboard.press("ArrowRight");
  await drawn(panel.page);
  assert.match(
    await text(panel, "figure:nth-of-type(2) figcaption"),
    /step 68 Train 0\.5543 Validation 0\.7528/,
  );
  // The cursor is shared, and the announcer tells the values.
  assert.match(await text(panel, "figure:nth-of-type(1) figcaption"), /step 68/);
  await panel.page
    .getByRole("status")
    .getByText("step 68, Train 0.5543, Validation 0.7528")
    .waitFor({ state: "attached" });
  await panel.page.keyboard.press("+");
  await panel.page.locator('vscode-button[aria-label="Reset Zoom"]').waitFor();
  await panel.page.keyboard.press("Escape");
  await panel.page.locator('vscode-button[aria-label="Reset Zoom"]').waitFor({ state: "detached" });
});

test("training: the log scale is for losses only", async () => {
  const panel = await open(runningAt(400));
  const [loss, accuracy] = [await picture(panel, "loss"), await picture(panel, "accuracy")];
  await panel.page.getByRole("checkbox", { name: "Log scale" }).click();
  await until("the loss is redrawn", async () => (await picture(panel, "loss")) !== loss);
  assert.equal(await picture(panel, "accuracy"), accuracy);
});

test("training: a new theme is drawn at once", async () => {
  const panel = await open(runningAt(400));
  const before = await picture(panel, "loss");
  await panel.setTheme("light");
  await until("the canvas follows", async () => (await picture(panel, "loss")) !== before);
  await screenshotPage("training-theme-changed");
});

test("training: a burst of messages is drawn a frame at a time", async () => {
  const panel = await open(runningAt(0));
  const { rows } = recording();
  const label = "loss, Smoothed 0.0638, Epoch mean 0.0873, Validation 0.0838, 680 points";
  const count = async ({ rows, label, limit }: { rows: MetricRow[]; label: string; limit: number }) => {
    let frames = 0;
    let draws = 0;
    const clearRect = Reflect.get(CanvasRenderingContext2D.prototype, "clearRect") as () => void;
    CanvasRenderingContext2D.prototype.clearRect = new Proxy(clearRect, {
      apply: (clear, context, rect) => {
        draws++;
        Reflect.apply(clear, context, rect);
      },
    });
    for (const row of rows) window.postMessage({ t: "q", m: "rows", a: [[row]] }, "*");
    // Until all are drawn: a busy machine takes longer.
    const shown = (): string | null =>
      document.querySelector('[aria-label^="loss,"]')?.getAttribute("aria-label") ?? null;
    for (const end = performance.now() + limit; performance.now() < end && shown() !== label; frames++)
      await new Promise((resolve) => requestAnimationFrame(resolve));
    return { frames, draws, shown: shown() };
  };
  const counted = await panel.page.evaluate(count, { rows, label, limit: patience(5000) });
  assert.equal(counted.shown, label);
  // Three charts, each drawn once when it is made and once a frame at most.
  assert.ok(counted.draws <= 3 * counted.frames + 6, JSON.stringify(counted));
  assert.ok(counted.draws < rows.length / 2, JSON.stringify(counted));
});

const MOVES = Array.from({ length: 20 }, (_, i) => i);

test("training: a hundred thousand points beside 200 layers are drawn in time, and then 60 times a second", async (note) => {
  const count = 100_000;
  const { run, ...rest } = runningAt(0);
  const long = { ...rest, run: { ...run, stepsPerEpoch: 1000, epochs: 200, step: count } };
  const paths = Array.from({ length: 200 }, (_, i) => `blocks.${i}.${i % 2 === 0 ? "conv" : "relu"}`);
  const panel = await open(long, { host: layerHost({ paths, checks: 200 }) });
  await panel.page.locator(".section-layers .values-figure canvas").first().waitFor();
  const first = await panel.page.evaluate(
    async ({ snapshot, count }) => {
      // Made here: the way of so many rows through the browser's debugging protocol takes longer than the test.
      const rows = Array.from({ length: count }, (_none, index): MetricRow => {
        const noise = Math.sin(index * 12.9898) * 43758.5453;
        const loss = 2.3 * Math.exp(-index / 20_000) + 0.2 * (noise - Math.floor(noise));
        const epoch = 1 + Math.floor(index / 1000);
        return { kind: "step", step: index + 1, epoch, time: index / 500, values: { loss } };
      });
      const send = (method: string, argument: unknown): void =>
        window.postMessage({ t: "q", m: method, a: [argument] }, "*");
      const frame = (): Promise<number> => new Promise((resolve) => requestAnimationFrame(resolve));
      const drawn = async (): Promise<void> => {
        await new Promise((resolve) => setTimeout(resolve));
        await frame();
        await frame();
      };
      const start = performance.now();
      send("snapshot", { ...snapshot, rows });
      await drawn();
      return performance.now() - start;
    },
    { snapshot: long, count },
  );
  const point = await frameTime(panel.page, MOVES, (index) => {
    const step = 100_001 + index;
    const row = { kind: "step", step, epoch: 101, time: step / 500, values: { loss: 0.1 } };
    window.postMessage({ t: "q", m: "rows", a: [[row]] }, "*");
  });
  const scrub = await frameTime(panel.page, MOVES, (index) => {
    const input = document.querySelector<HTMLInputElement>(".section-layers input[type=range]")!;
    input.value = String(199 - 9 * index);
    input.dispatchEvent(new Event("input"));
  });
  note(
    `drawn after ${first.toFixed(0)} ms; a new point takes ${point.toFixed(1)} ms, a step through the layers ${scrub.toFixed(1)} ms`,
  );
  await screenshotPage("training-100000-points");
  assert.match(
    (await chart(panel, "loss").getByRole("group").getAttribute("aria-label")) ?? "",
    /100,020 points/,
  );
  assertQuick(first, BOUNDS.largeDrawing, "the first drawing");
  assertSmooth(point, "a new point");
  assertSmooth(scrub, "a step through the layers");
}, 60_000);

test("training: rows that the snapshot already had are not drawn twice", async () => {
  const panel = await open(runningAt(250));
  const before = await picture(panel, "loss");
  await panel.view.rows(recording().rows.slice(200, 250));
  await drawn(panel.page);
  assert.equal(await picture(panel, "loss"), before);
});
