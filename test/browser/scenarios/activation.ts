/** First waits in a window on a folder with a model. */
import assert from "node:assert/strict";
import fs from "node:fs";
import type { Frame } from "playwright-core";
import { inRoot } from "../../../scripts/project.mjs";
import { BOUNDS, measured, quantile, rest } from "../../bounds.ts";
import { row, until } from "../../harness.ts";
import { residual, writeModel } from "../../models.ts";
import { temporaryFolder } from "../library/browser.ts";
import { longDigits } from "../library/digits.ts";
import { familyOf } from "../../processes.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import type { Workbench } from "../library/workbench.ts";

/** The window that these tests share. */
const ROW = "latency";
const test = row(ROW);
const MODEL = "residual.nn.ts";
const DIGITS = "digits.nn.ts";
/** One of each of the tutorial's networks, as far as they need no files from elsewhere. */
const EXAMPLES = ["simplenn", "digits", "autoencoder", "gan", "names", "transformer", "temperature"].map(
  (name) => `${name}.nn.ts`,
);
/** Of all of them, at the most. */
const ROUNDS = 3;
/** Milliseconds from a click on Train to a point that is drawn, with VS Code's page for the panel. */
const DRAWN_POINT = 2 * BOUNDS.firstPoint;
/** Most windows for a measurement that each gives once. Other work uses this machine, so the best counts. */
const WINDOWS = 3;
const WARM = 6;

/** Nothing but the panel asks for a preview, so that it is what starts the process. */
const QUIET = ["diagnostics.enabled", "lenses.enabled", "hovers.enabled", "hints.shapes", "hints.parameters"];

const openQuiet = (): Promise<Workbench> =>
  sharedWorkbench(ROW, () => {
    const folder = temporaryFolder("workspace");
    writeModel(folder, MODEL, residual("ReLU", "new Block(16), new Block(16), new Block(16)"));
    writeModel(folder, DIGITS, longDigits());
    for (const name of EXAMPLES)
      if (name !== DIGITS) writeModel(folder, name, fs.readFileSync(inRoot("media/examples", name), "utf8"));
    const settings = Object.fromEntries(QUIET.map((name) => [`layerwise.${name}`, false]));
    return { folder, settings };
  });

/**
 * VS Code's own figure: loading the code and the call of activate(). It includes everything that runs while a window is
 * loaded, so it is only reported; activation itself is held to its bound inside the extension host (test/vscode).
 */
async function activationTime(workbench: Workbench): Promise<number> {
  await workbench.command("Developer: Show Running Extensions");
  const row = workbench.page.locator(".runtime-extensions-editor .monaco-list-row", { hasText: "Layerwise" });
  return until("the activation time", async () => {
    const text = await row.first().innerText({ timeout: 1000 });
    return Number(/Activation: (\d+)ms/.exec(text)?.[1]);
  });
}

/** Times between the keys of the command and the diagram in the panel that it opened, in milliseconds. */
interface Preview {
  /** Until VS Code had a page for the panel. */
  page: number;
  /** From then on until VS Code had given it its files. */
  files: number;
  /** From then on until it was drawn. */
  ours: number;
}

/** Opens the preview of the file in the editor with its keys. */
async function preview({ page }: Workbench): Promise<Preview> {
  const before = new Set(page.frames());
  await page.keyboard.press("Control+K");
  const began = await page.evaluate(() => performance.timeOrigin + performance.now());
  await page.keyboard.press("v");
  const [made, given, drawn] = await until(
    "a diagram",
    async () => {
      for (const frame of page.frames().filter((one) => !before.has(one))) {
        const times = await frame
          .evaluate(() => {
            const [mark] = performance.getEntriesByName("diagram drawn");
            if (mark === undefined) return undefined;
            const files = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
            const last = Math.max(
              0,
              ...files.map(({ responseEnd }) => responseEnd).filter((at) => at < mark.startTime),
            );
            return [0, last, mark.startTime].map((at) => performance.timeOrigin + at);
          })
          .catch(() => undefined);
        if (times !== undefined) return times as [number, number, number];
      }
      return undefined;
    },
    20_000,
  );
  return { page: made - began, files: given - made, ours: drawn - given };
}

/** Milliseconds from the keys of the command to the diagram of the file in the editor, in the panel of another file. */
async function taken({ page }: Workbench, frame: Frame): Promise<number> {
  const lastDrawn = (): Promise<number> =>
    frame.evaluate(
      () => performance.timeOrigin + (performance.getEntriesByName("diagram drawn").at(-1)?.startTime ?? 0),
    );
  const before = await lastDrawn();
  await page.keyboard.press("Control+K");
  const began = await page.evaluate(() => performance.timeOrigin + performance.now());
  await page.keyboard.press("v");
  const drawn = await until("another diagram", async () => (await lastDrawn()) - before || undefined, 20_000);
  return before + drawn - began;
}

const list = (times: readonly number[]): string => times.map((time) => time.toFixed(0)).join(", ");

const listPreviews = (previews: readonly Preview[]): string =>
  previews
    .map((one) => [one.ours, one.files, one.page].map((time) => time.toFixed(0)).join(" + "))
    .join(", ");

test("latency: a preview is drawn in a moment, with and without a process to start", async (note) => {
  let workbench!: Workbench;
  const opened = async (name: string): Promise<Preview> => {
    await workbench.openFile(name);
    const took = await preview(workbench);
    await workbench.command("View: Close All Editors");
    await workbench.webviewFrame.waitFor({ state: "detached" });
    return took;
  };
  type First = { activated: number; cold: Preview };
  let loaded = 0;
  const windows = await measured<First>(
    WINDOWS,
    async () => {
      if (loaded++ === 0) workbench = await openQuiet();
      else await workbench.reload();
      await workbench.activated();
      await until("no process", () =>
        familyOf(workbench.processGroup).every(({ command }) => !command.includes("previewEngine")),
      );
      await rest();
      const cold = await opened(MODEL);
      return { cold, activated: await activationTime(workbench) };
    },
    (all, load) => all.some(({ cold }) => cold.ours < load * BOUNDS.coldPreview),
  );
  note(`activation ${windows.all.map(({ activated }) => activated).join(", ")} ms${windows.remark}`);
  note(
    `preview cold ${listPreviews(windows.all.map(({ cold }) => cold))} ms (+ VS Code's for its files + for its page)`,
  );
  let turn = 0;
  const warm = await measured(
    WARM,
    () => opened(turn++ % 2 === 0 ? DIGITS : MODEL),
    (all, load) => all.length >= 3 && quantile(all.map(({ ours }) => ours)) < load * BOUNDS.drawing,
  );
  note(`warm ${listPreviews(warm.all)} ms${warm.remark}`);
  await workbench.openFile(EXAMPLES.at(-1)!);
  await preview(workbench);
  const frame = await workbench.webview("architecture");
  const others = await measured(
    ROUNDS,
    async () => {
      const times: number[] = [];
      for (const name of EXAMPLES) {
        await workbench.openFile(name);
        times.push(await taken(workbench, frame));
      }
      note(`in the panel of another file ${list(times)} ms`);
      return quantile(times);
    },
    (all, load) => Math.min(...all) < load * BOUNDS.warmPreview,
  );
  // A locked panel stays with its file: the next drawing is in a new frame.
  await frame.getByRole("button", { name: /^Keep .* in this panel$/ }).click();
  await frame.getByRole("button", { name: "Follow the active file in this panel" }).waitFor();
  await workbench.openFile(MODEL);
  await preview(workbench);
  assert.ok(windows.good, "a first preview");
  assert.ok(warm.good, "warm");
  assert.ok(others.good, `in the panel of another file ${list(others.all)}${others.remark}`);
}, 300_000);

/** Rounds, the first of which is slower. */
const CLICKS = 5;

test("latency: from a click on Train to a point that is drawn", async (note) => {
  const workbench = await openQuiet();
  await workbench.activated();
  workbench.useSettings({ "layerwise.lenses.enabled": true });
  await workbench.openFile(DIGITS);
  await workbench.lens("parameters").waitFor();
  const times = await measured(
    CLICKS,
    async () => {
      const clicked = performance.now();
      await workbench.openByLens("Train", "Training");
      const panel = await TrainingPanel.of(workbench);
      await panel.hasPoints(1);
      const took = performance.now() - clicked;
      await panel.press("Stop");
      await panel.reaches("stopped");
      await workbench.closePanel("Training");
      return took;
    },
    (all, load) => all.length > 1 && Math.min(...all.slice(1)) < load * DRAWN_POINT,
  );
  note(`${times.all.map((time) => time.toFixed(0)).join(", ")} ms${times.remark}`);
  assert.ok(times.good);
}, 120_000);
