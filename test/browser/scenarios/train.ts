import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import type { Locator } from "playwright-core";
import { test, until } from "../../harness.ts";
import { simpleNN, writeModel } from "../../models.ts";
import { checkpointFiles, newestRun, runRecords } from "../../runDirectories.ts";
import { temporaryFolder } from "../library/browser.ts";
import { closeWorkbench, openWorkbench } from "../library/tier.ts";
import { accessibilityProblems, TrainingPanel } from "../library/trainingPanel.ts";
import { type Theme, THEMES, type Workbench } from "../library/workbench.ts";

const EXAMPLE = "digits.nn.ts";

test("the Train lens, the curve, Stop and the checkpoint, in light, dark and high contrast", async () => {
  const workbench = await openWorkbench();
  await workbench.activated();
  manyEpochs(workbench);
  for (const theme of Object.keys(THEMES) as Theme[]) {
    await workbench.useTheme(theme);
    await lensesShow(workbench);
    await previewShows(workbench);
    const panel = await train(workbench);
    await curveGrows(panel);
    await workbench.screenshot("training");
    await panel.press("Stop");
    await panel.reaches("stopped");
    await checkpointIsInTheTree(workbench);
    assert.deepEqual(await accessibilityProblems(panel.frame), [], theme);
    await closePanel(workbench, "Training");
  }
  assert.deepEqual(workbench.complaints, []);
  await closeWorkbench(workbench);
}, 180_000);

/** The example as it is, except that no machine is done with it before Stop is pressed. */
function manyEpochs(workbench: Workbench): void {
  const file = path.join(workbench.folder, EXAMPLE);
  const text = fs.readFileSync(file, "utf8");
  assert.match(text, /epochs: \d+/);
  fs.writeFileSync(file, text.replace(/epochs: \d+/, "epochs: 500"));
}

async function lensesShow(workbench: Workbench): Promise<void> {
  await workbench.openFile(EXAMPLE);
  await workbench.lens(/^[\d,.]+k? parameters/).waitFor({ timeout: 30_000 });
  for (const lens of ["Train", "Evaluate", "Preview"]) await workbench.lens(lens).waitFor();
  await workbench.screenshot("lens");
}

async function previewShows(workbench: Workbench): Promise<void> {
  await workbench.clickLens("Preview", () => workbench.webviewFrame.waitFor({ timeout: 10_000 }));
  const frame = await workbench.webview("architecture");
  await frame.getByText("DigitsCNN").first().waitFor();
  await frame.getByText("13,706").first().waitFor();
  await workbench.screenshot("preview");
  assert.deepEqual(await accessibilityProblems(frame), []);
  await closePanel(workbench, "Architecture");
}

async function closePanel(workbench: Workbench, title: string): Promise<void> {
  await workbench.page.locator(".tab", { hasText: title }).getByRole("button").first().click();
  await workbench.webviewFrame.waitFor({ state: "detached" });
}

async function train(workbench: Workbench): Promise<TrainingPanel> {
  await workbench.clickLens("Train", () => workbench.webviewFrame.waitFor({ timeout: 10_000 }));
  return TrainingPanel.of(workbench);
}

async function curveGrows(panel: TrainingPanel): Promise<void> {
  await panel.reaches("running");
  const first = await panel.hasPoints(2);
  const ink = await until("drawn pixels in the chart", () => panel.ink());
  assert.ok(ink < 0.5, `${ink} of the chart's pixels are drawn on`);
  await panel.hasPoints(first + 100);
}

async function checkpointIsInTheTree(workbench: Workbench): Promise<void> {
  const runs = path.join(workbench.folder, ".layerwise/runs");
  const id = newestRun(workbench.folder)?.id ?? "";
  const files = fs.readdirSync(path.join(runs, id, "checkpoints"));
  assert.ok(files.length > 0, "no checkpoint on disk");
  await workbench.showSideBar();
  await workbench.treeItem(/^Run of DigitsCNN, stopped/).waitFor();
  await workbench.treeItem(/^Checkpoint last, epoch/).waitFor();
  await workbench.screenshot("checkpoints");
}

/** Picks from an item's context menu. VS Code ignores a click that comes too soon after its menu has opened. */
async function chooseFor({ page }: Workbench, item: Locator, name: string): Promise<void> {
  await item.click({ button: "right" });
  const choice = page.getByRole("menuitem", { name });
  await until(`the end of the menu with ${name}`, async () => {
    await choice.click({ timeout: 1000 }).catch(() => undefined);
    return choice.waitFor({ state: "detached", timeout: 1000 }).then(
      () => true,
      () => false,
    );
  });
}

test("a checkpoint of the tree is evaluated and deleted", async () => {
  const folder = temporaryFolder("workspace");
  writeModel(folder, "short.nn.ts", simpleNN(300));
  const workbench = await openWorkbench({ folder });
  const { page } = workbench;
  await workbench.activated();
  await workbench.openFile("short.nn.ts");
  const panel = await train(workbench);
  await panel.reaches("finished");
  await workbench.showSideBar();
  const item = workbench.treeItem(/^Checkpoint final, epoch 300/);
  await chooseFor(workbench, item, "Evaluate Checkpoint");
  const evaluation = await until(
    "the evaluation",
    () => {
      const run = newestRun(folder);
      return run?.kind === "evaluate" && run.state === "finished" && run;
    },
    30_000,
  );
  assert.ok((evaluation.metrics["accuracy"] ?? 0) > 0.5, JSON.stringify(evaluation.metrics));
  const before = runRecords(folder).find(({ kind }) => kind === "train");
  assert.ok(before);
  const [file = ""] = checkpointFiles(folder, before);
  assert.ok(fs.existsSync(file));
  await chooseFor(workbench, item, "Delete Checkpoint");
  const confirm = page.locator(".monaco-dialog-box").getByRole("button", { name: /Delete/ });
  await confirm.waitFor({ timeout: 3000 }).then(
    () => confirm.click(),
    () => undefined,
  );
  await item.waitFor({ state: "detached" });
  await until("the end of the file", () => !fs.existsSync(file));
  await workbench.command("Layerwise: Show Log");
  await page.locator(".panel .view-line", { hasText: "short" }).first().waitFor();
  await workbench.screenshot("log");
  await closeWorkbench(workbench);
}, 120_000);

const FIRST_POINT = 3000;
const ATTEMPTS = 3;

test(`from a click on Train to the first point of the curve in less than ${FIRST_POINT} ms`, async (note) => {
  const workbench = await openWorkbench();
  await workbench.activated();
  await workbench.openFile(EXAMPLE);
  await workbench.lens("parameters").waitFor();
  const times: number[] = [];
  // The first run of a file is slower; of the others, the best counts, since others use this machine.
  for (
    let attempt = 0;
    attempt <= ATTEMPTS && !times.slice(1).some((time) => time < FIRST_POINT);
    attempt++
  ) {
    const before = newestRun(workbench.folder)?.id;
    const clicked = performance.now();
    await workbench.lens("Train").click();
    const panel = await until(
      "a point of the new run's curve",
      async () => {
        const found = await TrainingPanel.of(workbench);
        return (await found.run()) !== before && (await found.points()) > 0 && found;
      },
      30_000,
    );
    times.push(Math.round(performance.now() - clicked));
    await panel.press("Stop");
    await until("the end of the run", async () => newestRun(workbench.folder)?.endedAt);
  }
  note(`${times.join(" ms, ")} ms`);
  assert.ok(Math.min(...times.slice(1)) < FIRST_POINT, times.join(", "));
  await closeWorkbench(workbench);
}, 180_000);
