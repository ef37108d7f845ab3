/** Tensors as tables in VS Code: of a file, and of a training that a debugger has stopped. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { writeSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { encodeElements } from "../../../extension/formats/tensorData.ts";
import { row, until } from "../../harness.ts";
import { chooseFromMenu } from "../library/menu.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { looks } from "../library/looks.ts";

const test = row("examples");

test("a tensor of a file opens as a table of a million rows", async () => {
  const workbench = await sharedWorkbench("examples");
  const { page, folder } = workbench;
  await workbench.activated();
  const values = Float32Array.from({ length: 1_000_000 * 16 }, (_, i) => Math.sin(i / 7));
  values[5] = Number.NaN;
  writeSafetensors(path.join(folder, "tall.safetensors"), [
    { name: "embedding.weight", dtype: "F32", shape: [1_000_000, 16], data: encodeElements(values, "F32") },
  ]);
  await workbench.openTab("tall.safetensors");
  const editor = await workbench.webview("tensors", 60_000);
  await editor.locator('vscode-button[aria-label="View embedding.weight as a table"]').click();
  const frame = await workbench.webview("tensor", 60_000);
  const cell = (at: string) => frame.locator(`[id="cell-${at}"]`);
  await cell("0-1")
    .getByText(Math.fround(Math.sin(1 / 7)).toFixed(4))
    .waitFor();
  assert.equal((await cell("0-5").innerText()).trim(), "nan");
  await frame.getByText("16,000,000 values").waitFor();
  await frame.locator(".statistics .pairs").waitFor();
  await looks(workbench, frame, "tensor-file");
  await frame.locator(".grid").focus();
  await page.keyboard.press("Control+End");
  const last = Math.fround(Math.sin((16_000_000 - 1) / 7)).toFixed(4);
  await until("the last value", async () => (await cell("999999-15").innerText()).trim() === last);
  assert.deepEqual(workbench.complaints, []);
}, 150_000);

const SOURCE = `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";

export class Net extends nn.Module {
  fc = new nn.Linear(10, 2);

  forward(x: Tensor): Tensor {
    const y = this.fc(x);
    return y;
  }
}

export default experiment({
  seed: 0,
  model: () => new Net(),
  data: () => new data.TensorDataset(torch.ones(40, 10), torch.zeros(40).to("int64")),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
  batchSize: 20,
  epochs: 1,
});
`;

test("View Tensor in the variables of a paused training shows the values of that moment", async () => {
  const workbench = await sharedWorkbench("examples");
  const { page, folder } = workbench;
  await workbench.activated();
  fs.writeFileSync(path.join(folder, "paused.nn.ts"), SOURCE);
  await workbench.openFile("paused.nn.ts");
  const line = SOURCE.split("\n").findIndex((text) => text.includes("return y;")) + 1;
  const input = page.locator(".quick-input-widget input.input");
  await workbench.quick.answer(`line ${line}`, async () => {
    await page.keyboard.press("Control+G");
    await input.fill(`:${line}`, { timeout: 2000 });
    await input.press("Enter", { timeout: 2000 });
    await page
      .locator(".line-numbers.active-line-number", { hasText: String(line) })
      .waitFor({ timeout: 2000 });
  });
  await page.keyboard.press("F9");
  await page.locator(".codicon-debug-breakpoint").first().waitFor();
  try {
    await workbench.command("Layerwise: Debug");
    await page.locator(".debug-toolbar").waitFor();
    await workbench.showView("Run and Debug");
    const variable = page.locator(".debug-variables .monaco-list-row", { hasText: /^x:? / }).first();
    await variable.waitFor();
    const tab = page.locator(".tab", { hasText: "Tensor: x" });
    await chooseFromMenu(variable, "View Tensor", () => tab.waitFor({ timeout: 5000 }));
    const frame = await workbench.webview("tensor", 60_000);
    await frame.locator("h1", { hasText: "x" }).waitFor();
    await until("20 rows of ones", async () => {
      const cells = await frame.locator(".cell").allInnerTexts();
      return cells.length > 20 && cells.every((one) => one.trim() === "1.0000");
    });
    assert.match(await frame.locator(".facts").innerText(), /float32[^]*\[20, 10\][^]*200 values/);
    await workbench.screenshot("tensor-debugged");
  } finally {
    await workbench.command("Remove All Breakpoints");
    await until("the end of the debugger", async () => {
      await page.keyboard.press("Shift+F5");
      return page
        .locator(".debug-toolbar")
        .waitFor({ state: "hidden", timeout: 5000 })
        .then(() => true);
    });
  }
  assert.deepEqual(workbench.complaints, []);
}, 150_000);
