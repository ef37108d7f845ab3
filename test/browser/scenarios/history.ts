import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { row, until } from "../../harness.ts";
import { writeModel } from "../../models.ts";
import { newestRun } from "../../runDirectories.ts";
import { acceptFile } from "../library/dialog.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { accessibilityProblems } from "../library/accessibility.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import { THEMES } from "../library/workbench.ts";

const test = row("examples");

const MODEL = "versions.nn.ts";
const source = (hidden: number): string => `import { data, experiment, nn, optim } from "layerwise";

export class Versions extends nn.Sequential {
  constructor() {
    super(new nn.Linear(2, ${hidden}), new nn.ReLU(), new nn.Linear(${hidden}, 2));
  }
}

export default experiment({
  seed: 0,
  model: () => new Versions(),
  data: () => data.twoMoons({ samples: 80, noise: 0.1, seed: 0 }),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
  batchSize: 20,
  epochs: 3,
});
`;

test("a past run is opened, run again as it was, and compared with another", async () => {
  const workbench = await sharedWorkbench("examples");
  await workbench.activated();
  const { folder, page } = workbench;
  const runs = path.join(folder, ".layerwise/runs");
  writeModel(folder, MODEL, source(8));
  await workbench.openFile(MODEL);
  await workbench.openByLens("Train", "Training");
  let panel = await TrainingPanel.of(workbench);
  await panel.reaches("finished");
  const first = await panel.run();
  writeModel(folder, MODEL, source(16));
  await workbench.openFile(MODEL);
  await panel.press("Train Again");
  await until("another run", async () => (await panel.run()) !== first);
  await panel.reaches("finished");
  const second = await panel.run();

  const { frame } = panel;
  await frame.locator(`vscode-button[aria-label="Show Differences to This Run ${first}"]`).click();
  await frame.locator(".diff-lines").first().waitFor();
  const shown = (await frame.locator(".section-diff").innerText()).replaceAll(/\s+/g, " ");
  assert.match(shown, /removed: \(0\): Linear\(in_features=2, out_features=8/);
  assert.match(shown, /added: super\(new nn\.Linear\(2, 16\)/);
  await frame.locator(".section-diff").scrollIntoViewIfNeeded();
  await workbench.inThemes(THEMES, async () => {
    await workbench.screenshot("history");
    assert.deepEqual(await accessibilityProblems(frame), [], workbench.theme);
  });

  await panel.press("Save Report");
  // It offers a place beside the file; the model is built and laid out before.
  await acceptFile(workbench.page, undefined, 60_000);
  const report = await until("the whole report", () => {
    const text = fs.readFileSync(path.join(folder, `${second}.html`), "utf8");
    return text.trimEnd().endsWith("</html>") && text;
  });
  for (const name of ["0", "1", "2"])
    assert.match(report, new RegExp(`<g class="[^"]*box-module[^"]*" data-id="${name}"`));

  await frame.getByRole("button", { name: first, exact: true }).click();
  panel = await TrainingPanel.of(workbench);
  await until("the first run", async () => (await panel.run()) === first);
  await panel.frame.locator('vscode-button[aria-label="Open This Version"]').click();
  await page.getByRole("tab", { name: /^versions\.ts/ }).waitFor();
  await until("the first version", async () =>
    (await page.locator(".editor-instance .view-lines").allInnerTexts()).some((text) =>
      text.replaceAll("\u00a0", " ").includes("new nn.Linear(2, 8)"),
    ),
  );
  // The file has changed since: nothing runs before the user has seen that.
  await panel.frame.locator('vscode-button[aria-label^="Run Again"]').click();
  await page.getByRole("button", { name: "Run That Version" }).click();
  await until("the run again", () => ![first, second].includes(newestRun(folder)!.id), 30_000);
  const again = await until("its end", () => {
    const newest = newestRun(folder);
    return newest?.state === "finished" && newest;
  });
  const of = (id: string): unknown =>
    JSON.parse(fs.readFileSync(path.join(runs, id, "run.json"), "utf8")).metrics;
  assert.deepEqual(again.metrics, of(first));
  assert.notDeepEqual(again.metrics, of(second));
  assert.deepEqual(workbench.complaints, []);
}, 180_000);
