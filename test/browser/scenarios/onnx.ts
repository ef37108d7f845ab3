/** ONNX models in VS Code: one opens by a click as a diagram, its weights as tables, and is compared with another. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { inRoot } from "../../../scripts/project.mjs";
import { row, until } from "../../harness.ts";
import { acceptFile } from "../library/dialog.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { looks } from "../library/looks.ts";

const test = row("examples");

test("an ONNX model opens as a diagram, its weights as tables, and is compared with another", async () => {
  const workbench = await sharedWorkbench("examples");
  const { folder } = workbench;
  await workbench.activated();
  for (const name of ["cnn.onnx", "external.onnx", "external.onnx.data"])
    fs.copyFileSync(inRoot("test/fixtures/onnx", name), path.join(folder, name));
  fs.writeFileSync(path.join(folder, "broken.onnx"), "no model at all");
  await workbench.openTab("external.onnx");
  const frame = await workbench.webview("onnx", 60_000);
  await frame.locator('.box[data-id="stem"]').click();
  const details = frame.locator(".details");
  await until("attributes", async () => /kernel_shape\s+\[3, 3\]/.test(await details.innerText()));
  await looks(workbench, frame, "onnx-editor");
  // From the file beside the model.
  await frame.getByRole("button", { name: "stem.weight" }).click();
  const tensor = await workbench.webview("tensor", 60_000);
  await tensor.getByText("108 values").waitFor();
  await tensor.locator(".statistics .pairs").waitFor();
  // The same model, but for one weight.
  const data = path.join(folder, "external.onnx.data");
  const weights = fs.readFileSync(data);
  weights.writeFloatLE(weights.readFloatLE(0) + 1, 0);
  fs.writeFileSync(data, weights);
  await workbench.openTab("cnn.onnx");
  const shown = await workbench.webview("onnx", 60_000);
  await shown.locator('vscode-button[aria-label="Compare With…"]').click();
  await acceptFile(workbench.page, path.join(folder, "external.onnx"));
  const change = shown.locator(".changes tbody tr");
  await change.first().waitFor();
  assert.equal(await change.count(), 1);
  assert.match(await change.innerText(), /1 of \d+/);
  await looks(workbench, shown, "onnx-compared");
  await workbench.openTab("broken.onnx");
  await until(
    "why the file can't be read",
    async () => (await (await workbench.webview("onnx")).getByText(/no ONNX model/).count()) > 0,
    60_000,
  );
  assert.deepEqual(workbench.complaints, []);
}, 180_000);
