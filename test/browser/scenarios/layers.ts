import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { row, until } from "../../harness.ts";
import { writeModel } from "../../models.ts";
import { acceptFile } from "../library/dialog.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { looks } from "../library/looks.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";

const test = row("examples");

const MODEL = "watched.nn.ts";
const SOURCE = `import { data, experiment, nn, optim, torch, type Tensor } from "layerwise";

export class Watched extends nn.Module {
  fc1 = new nn.Linear(2, 32);
  relu = new nn.ReLU();
  fc2 = new nn.Linear(32, 2);

  forward(x: Tensor): Tensor {
    return this.fc2(this.relu(this.fc1(x)));
  }
}

export default experiment({
  seed: 0,
  model: () => new Watched(),
  data: () => data.twoMoons({ samples: 400, noise: 0.1, seed: 0 }),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
  batchSize: 20,
  epochs: 100000,
  watch: { logFreq: 20 },
});
`;

test("layers are followed in the training panel, and scrubbed there and on the diagram", async () => {
  const workbench = await sharedWorkbench("examples");
  await workbench.activated();
  const { page, folder } = workbench;
  writeModel(folder, MODEL, SOURCE);
  await workbench.openFile(MODEL);
  await workbench.openByLens("Train", "Training");
  const panel = await TrainingPanel.of(workbench);
  await panel.reaches("running");
  const section = panel.frame.locator(".section-layers");
  await section.locator(".values-figure canvas").first().waitFor();
  assert.deepEqual(await section.locator(".layers-table tbody th").allInnerTexts(), ["fc1", "relu", "fc2"]);
  const position = panel.frame.getByRole("slider", { name: "Position in the training" });
  const at = async (): Promise<number> =>
    Number(
      /Step ([\d,]+)/.exec((await position.getAttribute("aria-valuetext")) ?? "")?.[1]?.replaceAll(",", ""),
    );
  const first = await at();
  await until("a later check", async () => (await at()) > first);
  await position.focus();
  await page.keyboard.press("Home");
  await until("the first check", async () => (await at()) === 20);
  await panel.press("Stop");
  await panel.reaches("stopped");
  assert.equal(await at(), 20, "it stays where it was moved");
  const [, norm = ""] = await section.locator("tbody tr").first().locator("td").allInnerTexts();
  assert.match(norm.trim(), /^\d/);
  await section.locator("h2").scrollIntoViewIfNeeded();
  await looks(workbench, panel.frame, "layers");
  await panel.frame.getByRole("button", { name: "Download CSV" }).click();
  await acceptFile(workbench.page);
  const file = path.join(folder, `${await panel.run()}-fc1.csv`);
  const lines = await until("the histograms", () => {
    const text = fs.readFileSync(file, "utf8");
    return text.endsWith("\n") && text.trimEnd().split("\n");
  });
  assert.match(lines[0]!, /^layer,values,step,mean,std,low,high,bin 1,/);
  assert.ok(
    lines.slice(1).every((line) => line.startsWith("fc1,")),
    lines[1],
  );
  await workbench.closePanel("Training");

  await workbench.openFile(MODEL);
  await workbench.openByLens("Preview", "Architecture");
  const frame = await workbench.webview("architecture");
  await frame.locator(".picture .box").first().waitFor();
  await frame.locator('vscode-dropdown[aria-label="Layers of a training"]').click();
  await frame
    .locator('vscode-dropdown[aria-label="Layers of a training"] vscode-option:has-text("watched")')
    .click();
  await frame.locator(".box .heat").first().waitFor();
  await frame.locator('.box[data-id="fc1"]').click();
  await frame.locator(".details .values-figure canvas").first().waitFor();
  const detail = (): Promise<string | null> =>
    frame.locator('.box[data-id="fc1"] .detail:not(.picture-note)').textContent();
  const last = await detail();
  await frame.getByRole("slider", { name: "Position in the training" }).focus();
  await page.keyboard.press("Home");
  await until("the first check on the diagram", async () => (await detail()) !== last);
  assert.match(await frame.locator(".details").innerText(), /In training: Step 20, epoch 1/);
  await looks(workbench, frame, "layers-diagram");
  await workbench.closePanel("Architecture");
  assert.deepEqual(workbench.complaints, []);
}, 180_000);
