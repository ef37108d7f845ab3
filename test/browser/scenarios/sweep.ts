/** A sweep in VS Code: from its lens to the best settings in the file, and back. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { row, until } from "../../harness.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { looks } from "../library/looks.ts";

const FILE = "swept.nn.ts";

const SOURCE = `import { torch, nn, optim, data, experiment, sweep } from "layerwise";

export default experiment({
  seed: 0,
  sweep: {
    lr: sweep.logUniform(1e-3, 1e-1),
    width: sweep.choice(8, 16, 32),
  },
  model: ({ width }) => new nn.Sequential(new nn.Linear(10, width), new nn.ReLU(), new nn.Linear(width, 2)),
  data: () => new data.TensorDataset(torch.randn(100, 10), torch.randint(0, 2, [100])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters, { lr }) => new optim.Adam(parameters, { lr }),
  batchSize: 20,
  validation: 0.2,
  epochs: 4,
});
`;

const test = row("examples");

test("the Sweep lens, its panel, and the best settings in the file", async () => {
  const workbench = await sharedWorkbench("examples");
  const { page, folder } = workbench;
  await workbench.activated();
  fs.writeFileSync(path.join(folder, FILE), SOURCE);
  await workbench.openFile(FILE);
  const choice = "20 trials at random";
  await workbench.quick.answer("a sweep", async () => {
    await workbench.clickLens("Sweep", () => workbench.quick.entry(choice).waitFor({ timeout: 5000 }));
    await workbench.quick.choose(choice);
  });
  const frame = await workbench.webview("sweep", 90_000);
  await frame.getByText("Sweep of swept.nn.ts").waitFor();
  await frame.getByText("20 of 20 trials").waitFor();
  await frame.getByText("Finished", { exact: true }).waitFor();
  assert.equal(await frame.locator(".trials-table tbody tr").count(), 20);
  await looks(workbench, frame, "sweep");
  await frame.locator(".header .button", { hasText: "Apply Best Settings" }).click();
  const best = await until("the best settings in the file", () => {
    const [name] = fs.readdirSync(path.join(folder, ".layerwise/sweeps"));
    const rows = fs.readFileSync(path.join(folder, ".layerwise/sweeps", name!, "trials.jsonl"), "utf8");
    const trials = rows
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { state: string; value?: number; settings: { width: number } });
    return trials.filter(({ state }) => state === "complete").reduce((a, b) => (b.value! < a.value! ? b : a))
      .settings;
  });
  const text = (): Promise<string> => page.locator(".editor-instance .view-lines").first().innerText();
  const shown = `sweep.choice(8, 16, 32).default(${best.width})`;
  await until("the editor's text", async () => (await text()).replaceAll("\u00a0", " ").includes(shown));
  await page.locator(".editor-instance .monaco-editor").first().click();
  await page.keyboard.press("Control+Z");
  await until("the text as before", async () => !(await text()).includes(".default("));
  await frame.locator(".trials-table tbody tr .link").first().click();
  await workbench.webview("training");
  assert.deepEqual(workbench.complaints, []);
  await workbench.command("File: Revert File");
}, 300_000);
