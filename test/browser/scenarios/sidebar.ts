import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import type { Locator } from "playwright-core";
import { row, until } from "../../harness.ts";
import { simpleNN, writeModel } from "../../models.ts";
import { checkpointFiles, runRecords } from "../../runDirectories.ts";
import { temporaryFolder } from "../library/browser.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { chooseFromMenu, clickItem } from "../library/menu.ts";
import { accessibilityProblems } from "../library/accessibility.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import type { Workbench } from "../library/workbench.ts";

/** The window that these tests share. */
const ROW = "side bar";
const test = row(ROW);

async function openFolder(): Promise<Workbench> {
  const workbench = await sharedWorkbench(ROW, () => {
    const folder = temporaryFolder("workspace");
    writeModel(folder, "net.nn.ts", simpleNN(150));
    return { folder };
  });
  await workbench.activated();
  return workbench;
}

test("the side bar: empty views say what to do; a run trained from it is compared, its checkpoint dragged onto the editors", async () => {
  const workbench = await openFolder();
  const { page, folder } = workbench;
  await workbench.showSideBar();
  const model = workbench.treeItem(/Model SimpleNN/);
  await model.waitFor();
  await page.getByText("Checkpoints of trainings appear here").waitFor();
  await workbench.screenshot("sidebar-empty");

  // The click goes to the source; the inline action trains.
  await model.click();
  await page.locator('.tab.active[data-resource-name="net.nn.ts"]').waitFor();
  const trained = async (count: number): Promise<void> => {
    // Its process has to start before: a second click would be a second training.
    const begun = () => until("its beginning", () => runRecords(folder).length >= count, 20_000);
    await clickItem(model, begun, "Train");
    await until(
      `${count} trained`,
      () => runRecords(folder).filter(({ state }) => state === "finished").length === count,
      60_000,
    );
  };
  await trained(1);
  await trained(2);
  const runs = page.getByRole("treeitem", { name: /Run of SimpleNN, finished/ });
  // On a loaded machine the window has first to catch up with all else that it was told during the runs.
  await until(
    "both runs, in the views of runs and of checkpoints",
    async () => (await runs.count()) === 4,
    60_000,
  );

  // Two selected runs become one picture.
  await runs.nth(0).click();
  await runs.nth(1).click({ modifiers: ["ControlOrMeta"] });
  const other = runRecords(folder)[0]!.id;
  const compared = (): Promise<TrainingPanel> =>
    until("the other run's curve", async () => {
      const shown = await TrainingPanel.of(workbench);
      const legend = shown.frame.locator("figure.chart .legend").first();
      return (await legend.innerText({ timeout: 2000 })).includes(other) && shown;
    });
  await clickItem(runs.nth(0), compared, "Compare Runs");
  const panel = await compared();

  // The columns of the table of runs are chosen.
  const heads = panel.frame.locator(".section-runs thead th");
  await panel.frame.locator(".section-runs .columns summary").click();
  const hasAccuracy = async (): Promise<boolean> =>
    (await heads.allInnerTexts()).some((text) => text.includes("accuracy"));
  assert.ok(await hasAccuracy());
  await panel.frame.locator(".column-choice vscode-checkbox", { hasText: "accuracy" }).click();
  await until("a table without accuracies", async () => !(await hasAccuracy()));

  const checkpoint = workbench.treeItem(/Checkpoint final/);
  await drag(checkpoint, page.locator(".editor-group-container").first(), () =>
    workbench.tab(".safetensors").waitFor({ timeout: 10_000 }),
  );
  const tensors = await workbench.webview("tensors");
  await tensors.getByText("fc1.weight").waitFor();
  await tensors.getByRole("button", { name: "Show the values of fc1.weight" }).click();
  await tensors.getByRole("img", { name: /Distribution of fc1\.weight/ }).waitFor();
  await workbench.screenshot("sidebar");
  assert.deepEqual(await accessibilityProblems(tensors), []);
  const [file] = checkpointFiles(folder, runRecords(folder)[1]!);
  assert.equal(await tensors.locator("h1").innerText(), path.basename(file!));
  assert.deepEqual(workbench.complaints, []);
}, 180_000);

/**
 * Drags until `effect` shows, as a person does: slowly enough that VS Code shows where it would drop. An item that is redrawn
 * under the pointer is dropped nowhere.
 */
async function drag(item: Locator, target: Locator, effect: () => Promise<unknown>): Promise<void> {
  const page = item.page();
  await until(
    "effect of the drop",
    async () => {
      await item.hover({ timeout: 10_000 });
      await page.mouse.down();
      try {
        const box = await target.boundingBox();
        assert.ok(box);
        const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
        await page.mouse.move(x, y, { steps: 8 });
        await page
          .locator(".editor-group-overlay-indicator, .monaco-grid-view .drop-target")
          .first()
          .waitFor({ state: "attached", timeout: 5000 });
        await page.mouse.move(x + 2, y + 2, { steps: 2 });
      } finally {
        await page.mouse.up();
      }
      return effect().then(() => true);
    },
    60_000,
  );
}

test("a checkpoint of the tree is evaluated and deleted", async () => {
  const workbench = await openFolder();
  const { page, folder } = workbench;
  writeModel(folder, "short.nn.ts", simpleNN(300));
  await workbench.openFile("short.nn.ts");
  await workbench.openByLens("Train", "Training");
  await (await TrainingPanel.of(workbench)).reaches("finished");
  await workbench.showSideBar();
  const item = workbench.treeItem(/^Checkpoint final, epoch 300/);
  const soon = { timeout: 15_000 };
  const panel = page.locator(".tab", { hasText: "Evaluation" }).first();
  await chooseFromMenu(item, "Evaluate Checkpoint", () => panel.waitFor(soon));
  const evaluation = await workbench.evaluated();
  assert.ok((evaluation.metrics["accuracy"] ?? 0) > 0.5, JSON.stringify(evaluation.metrics));
  const formats = page.locator(".quick-input-widget .monaco-list-row", { hasText: "ONNX" });
  await chooseFromMenu(item, "Export…", () => formats.waitFor(soon));
  await workbench.screenshot("export");
  await page.keyboard.press("Escape");
  const before = runRecords(folder).findLast(({ kind }) => kind === "train");
  assert.ok(before);
  const [file = ""] = checkpointFiles(folder, before);
  assert.ok(fs.existsSync(file));
  await chooseFromMenu(item, "Delete Checkpoint", () => item.waitFor({ ...soon, state: "detached" }));
  await until("the end of the file", () => !fs.existsSync(file));
  await workbench.command("Layerwise: Show Log");
  await page.locator(".panel .view-line", { hasText: "short" }).first().waitFor();
  await workbench.screenshot("log");
}, 120_000);
