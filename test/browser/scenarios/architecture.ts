import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import type { Frame } from "playwright-core";
import { row, until } from "../../harness.ts";
import { residual, writeModel } from "../../models.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { accessibilityProblems } from "../library/accessibility.ts";

const MODEL = "residual.nn.ts";

const BLOCKS = "new Block(16), new Block(16), new Block(16)";
const GOOD = residual("ReLU", BLOCKS);

function committed(folder: string): void {
  writeModel(folder, MODEL, residual("Tanh", "new Block(16), new Block(16)"));
  for (const args of [
    ["init"],
    ["add", "."],
    ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-m", "model"],
  ])
    execFileSync("git", args, { cwd: folder, stdio: "ignore" });
}

const shown = (frame: Frame): Promise<string> => frame.locator("main").innerText();

const test = row("examples");

test("the architecture: drawn, compared with git's HEAD, measured, and kept through code that hangs or dies", async () => {
  const workbench = await sharedWorkbench("examples");
  const folder = fs.mkdtempSync(path.join(workbench.folder, "committed-"));
  committed(folder);
  writeModel(folder, MODEL, GOOD);
  await workbench.activated();
  await workbench.openFile(MODEL);
  await workbench.openByLens("Preview", "Architecture");
  const frame = await workbench.webview("architecture");
  await frame.locator('.box[data-id="blocks/0"]').waitFor();
  await workbench.screenshot("architecture");

  await workbench.command("Layerwise: Compare Architecture with Git HEAD");
  await frame.getByText("1 changed").waitFor();
  const compared = (await frame.locator(".comparison").innerText()).replaceAll(/\s+/g, " ");
  assert.match(compared, /stem\.1 ReLU Tanh → ReLU/);
  assert.match(compared, /blocks\.2 Block \+4,704/);
  // The diagram is laid out again for its marks.
  await frame.locator('.box.change-changed[data-id="stem/1"]').waitFor();
  await workbench.screenshot("architecture-compared");
  assert.deepEqual(await accessibilityProblems(frame), []);
  await frame.getByRole("button", { name: "End comparison" }).click();
  await frame.locator(".comparison").waitFor({ state: "detached" });

  await frame.getByRole("button", { name: "Profile a training step" }).click();
  await frame.locator(".heat").first().waitFor();
  const measured = (await frame.locator(".profile-bar").innerText()).replaceAll(/\s+/g, " ");
  assert.match(measured, /A step of 64 samples on .* Op by op/);
  await workbench.screenshot("architecture-profile");
  await frame.getByRole("button", { name: "Close profile" }).click();
  await frame.locator(".profile-bar").waitFor({ state: "detached" });

  for (const [part, fault, message] of [
    ["    super();\n", "    super();\n    for (;;);\n", /endless loop[^]*residual\.nn\.ts:11:/],
    [
      "    x = this.blocks",
      '    process.kill(process.pid, "SIGKILL");\n    x = this.blocks',
      /ended while it ran/,
    ],
  ] as const) {
    writeModel(folder, MODEL, GOOD.replace(part, fault));
    await until(`the message of ${fault}`, async () => message.test(await shown(frame)), 20_000);
    assert.equal(await frame.locator(".error-box").count(), 1);
    assert.equal(await frame.locator(".stale .picture").count(), 1, "the last good diagram stays, dimmed");
    writeModel(folder, MODEL, GOOD);
    await until("the model again", async () => (await frame.locator(".stale").count()) === 0, 20_000);
  }
  assert.deepEqual(workbench.complaints, []);
}, 120_000);
