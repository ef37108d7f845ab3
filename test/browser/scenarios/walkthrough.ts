import assert from "node:assert/strict";
import fs from "node:fs";
import { test, until } from "../../harness.ts";
import { checkpointFiles, newestRun, runRecords } from "../../runDirectories.ts";
import { temporaryFolder } from "../library/browser.ts";
import { closeWorkbench, openWorkbench } from "../library/tier.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import type { Workbench } from "../library/workbench.ts";

/** Shows the walkthrough, unfolds a step and clicks its button. */
async function follow(workbench: Workbench, step: string, button: string): Promise<void> {
  const { page } = workbench;
  await workbench.command("Layerwise: Get Started");
  const place = page.locator(".getting-started-step", { hasText: step });
  // VS Code redraws the page some time after it appears, with a step open that it chooses.
  await until(
    `the step ${step}`,
    async () => {
      if (!((await place.getAttribute("class", { timeout: 1000 })) ?? "").includes("expanded"))
        await place.locator(".step-title").click({ timeout: 1000 });
      await place.locator(".button-container .monaco-button", { hasText: button }).click({ timeout: 1000 });
      return true;
    },
    30_000,
  );
}

test("from an empty folder to a trained, evaluated, saved digits network, by nothing but the walkthrough", async (note) => {
  const workbench = await openWorkbench({ folder: temporaryFolder("workspace") });
  const { page, folder } = workbench;
  assert.deepEqual(fs.readdirSync(folder), []);
  // The palette lists the commands of the extensions it knows when it opens.
  await page.locator(".activitybar").getByRole("tab", { name: "Layerwise" }).first().waitFor();
  const template = page.locator(".quick-input-widget .monaco-list-row", { hasText: "Convolutional network" });
  await until(
    "a chosen template and its name",
    async () => {
      // VS Code may draw its page once more, which takes the focus and hides the list.
      if (!(await template.isVisible())) await follow(workbench, "Create a model", "New Model…");
      await template.waitFor({ timeout: 5000 });
      await workbench.picture("newModel", page.locator(".quick-input-widget"));
      await template.click({ timeout: 2000 });
      await workbench.quick.accept("digits.nn.ts");
      return true;
    },
    60_000,
  );
  await page.locator('.tab.active[data-resource-name="digits.nn.ts"]').waitFor();

  await follow(workbench, "See its architecture", "Preview Architecture");
  const diagram = await workbench.webview("architecture");
  await diagram.getByText("13,706").first().waitFor();
  await diagram.locator(".picture").waitFor();
  await diagram
    .locator(".section-layers, .viewport")
    .first()
    .evaluate((one) => one.scrollIntoView());
  await workbench.picture("preview", workbench.panel);

  await follow(workbench, "Train it", "Train");
  await until("the trained network", () => newestRun(folder)?.state === "finished", 60_000);
  await (await TrainingPanel.of(workbench)).reaches("finished");
  await workbench.picture("train", workbench.panel);

  await follow(workbench, "Evaluate it", "Evaluate");
  const evaluation = await workbench.evaluated();
  const accuracy = evaluation.metrics["accuracy"] ?? 0;
  note(`accuracy ${accuracy.toFixed(3)}`);
  assert.ok(accuracy > 0.97, JSON.stringify(evaluation.metrics));
  const matrix = (await workbench.webview("evaluation")).locator(".matrix").first();
  await matrix.evaluate((one) => one.scrollIntoView({ block: "center" }));
  await workbench.picture("evaluate", workbench.panel);

  await follow(workbench, "Find its weights", "Show Checkpoints");
  await workbench.treeItem(/^Checkpoint (best|final), epoch/).waitFor();
  const trained = runRecords(folder).find(({ kind }) => kind === "train");
  assert.ok(trained && checkpointFiles(folder, trained).length > 0, "no weights on disk");
  await workbench.picture("save", page.locator(".part.sidebar .pane", { hasText: "Checkpoints" }).last());
  await workbench.screenshot("walkthrough-done");
  await closeWorkbench(workbench);
}, 180_000);
