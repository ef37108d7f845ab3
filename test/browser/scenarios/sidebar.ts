import assert from "node:assert/strict";
import path from "node:path";
import type { Locator } from "playwright-core";
import { test, until } from "../../harness.ts";
import { simpleNN, writeModel } from "../../models.ts";
import { checkpointFiles, runRecords } from "../../runDirectories.ts";
import { temporaryFolder } from "../library/browser.ts";
import { closeWorkbench, openWorkbench } from "../library/tier.ts";
import { accessibilityProblems, TrainingPanel } from "../library/trainingPanel.ts";

test("the side bar: empty views say what to do; a run trained from it is compared, its checkpoint dragged onto the editors", async () => {
  const folder = temporaryFolder("workspace");
  writeModel(folder, "net.nn.ts", simpleNN(150));
  const workbench = await openWorkbench({ folder });
  const { page } = workbench;
  await workbench.activated();
  await workbench.showSideBar();
  const model = workbench.treeItem(/Model SimpleNN/);
  await model.waitFor();
  await page.getByText("Weights that a training saves show here").waitFor();
  await workbench.screenshot("sidebar-empty");

  // The click goes to the source; the inline action trains.
  await model.click();
  await page.locator('.tab.active[data-resource-name="net.nn.ts"]').waitFor();
  const trained = async (count: number): Promise<void> => {
    await model.hover();
    await model.getByRole("button", { name: "Train" }).click();
    await until(
      `${count} trained`,
      () => runRecords(folder).filter(({ state }) => state === "finished").length === count,
      60_000,
    );
  };
  await trained(1);
  await trained(2);
  const runs = page.getByRole("treeitem", { name: /Run of SimpleNN, finished/ });
  await until("both runs, in the views of runs and of checkpoints", async () => (await runs.count()) === 4);

  // Two selected runs become one picture.
  await runs.nth(0).click();
  await runs.nth(1).click({ modifiers: ["ControlOrMeta"] });
  await runs.nth(0).hover();
  await runs.nth(0).getByRole("button", { name: "Compare Runs" }).click();
  const panel = await TrainingPanel.of(workbench);
  const legend = panel.frame.locator("figure.chart .legend").first();
  const other = runRecords(folder)[0]!.id;
  await until("the other run's curve", async () => (await legend.innerText()).includes(other));

  const checkpoint = workbench.treeItem(/Checkpoint final/);
  await drag(checkpoint, page.locator(".editor-group-container").first());
  const tensors = await workbench.webview("tensors");
  await tensors.getByText("fc1.weight").waitFor();
  await tensors.getByRole("button", { name: "Look at the values of fc1.weight" }).click();
  await tensors.getByRole("img", { name: /Distribution of fc1\.weight/ }).waitFor();
  await workbench.screenshot("sidebar");
  assert.deepEqual(await accessibilityProblems(tensors), []);
  const [file] = checkpointFiles(folder, runRecords(folder)[1]!);
  assert.equal(await tensors.locator("h1").innerText(), path.basename(file!));
  assert.deepEqual(workbench.complaints, []);
  await closeWorkbench(workbench);
}, 180_000);

/** As a person drags: slowly enough that VS Code shows where it would drop. */
async function drag(item: Locator, target: Locator): Promise<void> {
  const page = item.page();
  await item.hover();
  await page.mouse.down();
  const box = await target.boundingBox();
  assert.ok(box);
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y, { steps: 8 });
  await page
    .locator(".editor-group-overlay-indicator, .monaco-grid-view .drop-target")
    .first()
    .waitFor({ state: "attached" });
  await page.mouse.move(x + 2, y + 2, { steps: 2 });
  await page.mouse.up();
}
