import assert from "node:assert/strict";
import type { Frame } from "playwright-core";
import { row, until } from "../../harness.ts";
import { writeModel } from "../../models.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { looks } from "../library/looks.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import type { Workbench } from "../library/workbench.ts";

const test = row("examples");

const PLANAR = `import { data, experiment, nn, optim, type Tensor } from "layerwise";

export class Planar extends nn.Module {
  hidden = new nn.Linear(2, 12);
  tanh = new nn.Tanh();
  out = new nn.Linear(12, 2);

  forward(x: Tensor): Tensor {
    return this.out(this.tanh(this.hidden(x)));
  }
}

export default experiment({
  seed: 0,
  model: () => new Planar(),
  data: () => data.twoMoons({ samples: 400, noise: 0.1, seed: 0 }),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.002 }),
  batchSize: 20,
  epochs: 100000,
  watch: { logFreq: 20 },
});
`;

const PICTURES = `import { data, experiment, F, nn, optim, type Tensor } from "layerwise";

export class Seeing extends nn.Module {
  conv = new nn.Conv2d(1, 12, 3, { padding: 1 });
  attention = new nn.MultiheadAttention(12, 3, { batchFirst: true });
  fc = new nn.Linear(12, 10);

  forward(x: Tensor): Tensor {
    const places = F.relu(this.conv(x)).flatten(2).transpose(1, 2);
    const [seen] = this.attention(places, places, places);
    return this.fc(seen.mean(1));
  }
}

export default experiment({
  seed: 0,
  model: () => new Seeing(),
  data: () => data.digits(),
  validation: 0.2,
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.002 }),
  batchSize: 32,
  epochs: 1,
  watch: { logFreq: 15 },
});
`;

/** Opens a file's diagram with its newest training. */
async function openDiagram(workbench: Workbench, file: string): Promise<Frame> {
  await workbench.openFile(file);
  await workbench.openByLens("Preview", "Architecture");
  const frame = await workbench.webview("architecture");
  await frame.locator(".picture .box").first().waitFor();
  const choice = frame.locator('vscode-dropdown[aria-label="Layers of a training"]');
  await choice.click();
  await choice
    .locator(`vscode-option:has-text("${file.replace(".nn.ts", "")}")`)
    .first()
    .click();
  return frame;
}

test("the units of a network of two numbers are drawn on the diagram, live and at the slider's step", async () => {
  const workbench = await sharedWorkbench("examples");
  await workbench.activated();
  const { page, folder } = workbench;
  writeModel(folder, "planar.nn.ts", PLANAR);
  await workbench.openFile("planar.nn.ts");
  await workbench.openByLens("Train", "Training");
  await (await TrainingPanel.of(workbench)).reaches("running");

  const frame = await openDiagram(workbench, "planar.nn.ts");
  const picture = (id: string) => frame.locator(`.box[data-id="${id}"] image`);
  await picture("hidden").waitFor();
  assert.match((await frame.locator('.box[data-id="hidden"]').textContent())!, /\+ 4 more/);
  const shown = (id: string): Promise<string | null> => picture(id).getAttribute("href");
  const first = await shown("~output");
  await until("the training's next pictures", async () => (await shown("~output")) !== first, 20_000);

  await frame.getByRole("slider", { name: "Position in the training" }).focus();
  await page.keyboard.press("Home");
  const output = frame.locator('.box[data-id="~output"]');
  await frame.locator('vscode-button[aria-label="Fit"]').click();
  await output.click();
  const boundary = frame.locator(".layer-pictures .decision");
  const label = (): Promise<string> => boundary.getAttribute("aria-label", { timeout: 2000 }).then(String);
  const first20 = /^Decision boundary at Step 20, epoch 1: class 0 [\d.]+ % of the plane, class 1 [\d.]+ %/;
  await until("the first check's boundary", async () => first20.test(await label()));
  const early = await label();
  await frame.getByRole("slider", { name: "Position in the training" }).focus();
  await page.keyboard.press("End");
  await until("the boundary of now", async () => (await label()) !== early);
  await looks(workbench, frame, "pictures-plane");

  await frame.locator('.box[data-id="hidden"]').click();
  const units = frame.locator(".layer-pictures").getByRole("button", { name: /^Unit \d+ of hidden at Step/ });
  await units.first().waitFor();
  assert.equal(await units.count(), 8);
  await units.first().click();
  const tensor = await workbench.webview("tensor", 60_000);
  await tensor.getByText("[8, 24, 24]").first().waitFor();
  // Other panels stay open behind them.
  for (const title of ["Tensor", "Architecture"]) await workbench.closeTab(title);
  const panel = await TrainingPanel.of(workbench);
  await panel.press("Stop");
  await panel.reaches("stopped");
  await workbench.closePanel("Training");
  assert.deepEqual(workbench.complaints, []);
}, 180_000);

test("feature maps and attention of the first validation sample are drawn on the diagram", async () => {
  const workbench = await sharedWorkbench("examples");
  await workbench.activated();
  writeModel(workbench.folder, "seeing.nn.ts", PICTURES);
  await workbench.openFile("seeing.nn.ts");
  await workbench.openByLens("Train", "Training");
  await (await TrainingPanel.of(workbench)).reaches("finished", 60_000);
  await workbench.closePanel("Training");
  const frame = await openDiagram(workbench, "seeing.nn.ts");
  await frame.locator('.box[data-id="conv"] image').waitFor();
  const weights = frame.locator('.box-op:has-text("softmax")');
  await weights.locator("image").waitFor();
  await frame.locator('vscode-button[aria-label="Fit"]').click();
  await weights.click();
  const heads = frame
    .locator(".layer-pictures")
    .getByRole("button", { name: /^Head \d of attention at Step/ });
  await heads.first().waitFor();
  assert.equal(await heads.count(), 3);
  assert.match(
    await frame.locator(".layer-pictures").innerText(),
    /validation set.*Rows are queries.*Means of 64 × 64/s,
  );
  await frame.locator('.box[data-id="conv"]').click();
  const channels = frame
    .locator(".layer-pictures")
    .getByRole("button", { name: /^Channel \d of conv at Step/ });
  await channels.first().waitFor();
  assert.equal(await channels.count(), 8);
  await looks(workbench, frame, "pictures-maps");
  await workbench.closePanel("Architecture");

  // The same heads for a sample of the evaluation, as pictures and as a table.
  await workbench.openByLens("Evaluate", "Evaluation");
  const evaluation = await workbench.webview("evaluation");
  await evaluation.locator('.badge[data-state="finished"]').waitFor();
  // After one epoch the model may never say some digits.
  await evaluation
    .locator(".cell[data-actual]", { hasText: /^\s*[1-9]/ })
    .first()
    .click();
  await evaluation.locator(".card").first().click();
  await evaluation.locator(".prediction b").waitFor();
  await evaluation.locator(".intervene-fold summary").first().click();
  await evaluation.locator("[data-unit]").first().waitFor();
  await evaluation.locator(".intervene-units vscode-dropdown").evaluate((dropdown) => {
    (dropdown as HTMLSelectElement).value = "heads::attention";
    dropdown.dispatchEvent(new Event("change"));
  });
  const attended = evaluation.locator("[data-unit] img");
  await until("a picture of each head", async () => (await attended.count()) === 3, 30_000);
  await evaluation.getByText("rows are queries, columns keys").waitFor();
  await evaluation.locator(".section-intervene").evaluate((section) => section.scrollIntoView());
  await looks(workbench, evaluation, "intervene-heads");
  await evaluation.locator("vscode-button", { hasText: "View Attention" }).click();
  const tensor = await workbench.webview("tensor", 30_000);
  await tensor.getByText("[1, 3, 64, 64]").first().waitFor();
  assert.ok((await tensor.locator(".slices").innerText()).includes("1: heads (3)"));
  await workbench.screenshot("tensor-attention");
  for (const title of ["Tensor", "Evaluation"]) await workbench.closeTab(title);
  assert.deepEqual(workbench.complaints, []);
}, 240_000);
