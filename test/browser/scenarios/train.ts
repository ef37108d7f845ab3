import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { row, until } from "../../harness.ts";
import { writeModel } from "../../models.ts";
import { newestRun } from "../../runDirectories.ts";
import { longDigits } from "../library/digits.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { looks } from "../library/looks.ts";
import { accessibilityProblems } from "../library/accessibility.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import { EACH_THEME, type Workbench } from "../library/workbench.ts";

const EXAMPLE = "cnn.nn.ts";

const test = row("examples");

test("the Train lens, the curve, Stop and the checkpoint, in light, dark and high contrast", async () => {
  const workbench = await sharedWorkbench("examples");
  await workbench.activated();
  writeModel(workbench.folder, EXAMPLE, longDigits());
  await lensesShow(workbench);
  await previewShows(workbench);
  await workbench.openByLens("Train", "Training");
  const panel = await TrainingPanel.of(workbench);
  await curveGrows(workbench, panel);
  const stopped = await hidesAndShows(workbench, panel);
  await checkpointIsInTheTree(workbench);
  await workbench.inThemes(EACH_THEME, async () => {
    const ink = await until("drawn pixels in the chart", () => stopped.ink());
    assert.ok(ink < 0.5, `${ink} of the chart's pixels are drawn on`);
    await workbench.screenshot("checkpoints");
    assert.deepEqual(await accessibilityProblems(stopped.frame), [], workbench.theme);
  });
  assert.deepEqual(workbench.complaints, []);
}, 180_000);

async function lensesShow(workbench: Workbench): Promise<void> {
  await workbench.openFile(EXAMPLE);
  await workbench.lens(/^[\d,.]+k? parameters/).waitFor();
  for (const lens of ["Train", "Evaluate", "Preview"]) await workbench.lens(lens).waitFor();
}

async function previewShows(workbench: Workbench): Promise<void> {
  await workbench.openByLens("Preview", "Architecture");
  const frame = await workbench.webview("architecture");
  await frame.getByText("DigitsCNN").first().waitFor();
  await frame.getByText("13,706").first().waitFor();
  await looks(workbench, frame, "preview");
  await workbench.closePanel("Architecture");
}

async function curveGrows(workbench: Workbench, panel: TrainingPanel): Promise<void> {
  await panel.reaches("running");
  const first = await panel.hasPoints(2);
  await panel.hasPoints(first + 100);
  await workbench.screenshot("training");
}

/**
 * A hidden panel has no page: nothing of it is in memory, and nothing is sent to it. Shown again it has all epochs,
 * those that came meanwhile too; then it is stopped.
 */
async function hidesAndShows(workbench: Workbench, panel: TrainingPanel): Promise<TrainingPanel> {
  const { page } = workbench;
  const tab = page.getByRole("tab", { name: "Training: DigitsCNN" });
  await tab.click();
  // In the place of the panel.
  await workbench.openFile("iris.nn.ts");
  await until("the end of the hidden page", () => panel.frame.isDetached());
  assert.equal(await page.locator("iframe.webview").count(), 0);
  const { epoch } = newestRun(workbench.folder)!;
  await until("an epoch meanwhile", () => newestRun(workbench.folder)!.epoch > epoch);
  await tab.click();
  const again = await TrainingPanel.of(workbench);
  await again.reaches("running");
  await again.hasAllEpochs(epoch);
  await again.press("Stop");
  await again.reaches("stopped");
  return again;
}

async function checkpointIsInTheTree(workbench: Workbench): Promise<void> {
  const runs = path.join(workbench.folder, ".layerwise/runs");
  const id = newestRun(workbench.folder)?.id ?? "";
  const files = fs.readdirSync(path.join(runs, id, "checkpoints"));
  assert.ok(files.length > 0, "no checkpoint on disk");
  await workbench.showSideBar();
  await workbench.treeItem(/^Run of DigitsCNN, stopped/).waitFor();
  await workbench.treeItem(/^Checkpoint last, epoch/).waitFor();
}
