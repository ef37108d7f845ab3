/** A run on another machine, from "Run on…" to its weights: an sshd of the test's own is the machine. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { row, skip, until } from "../../harness.ts";
import { patience } from "../../patience.ts";
import { newestRun } from "../../runDirectories.ts";
import { noSshd, Sshd } from "../../cluster/remote/sshd.ts";
import { temporaryFolder } from "../library/browser.ts";
import { FILE, SOURCE } from "../library/farModel.ts";
import { clickItem } from "../library/menu.ts";
import { closeWorkbench, openWorkbench } from "../library/tier.ts";
import { accessibilityProblems } from "../library/accessibility.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import { THEMES } from "../library/workbench.ts";

const test = row("remote");

test("Run on… another machine: followed in the panel, paused, saved, the window closed, attached and stopped", async () => {
  if (noSshd !== undefined) skip(noSshd);
  const sshd = new Sshd(temporaryFolder("sshd"));
  await sshd.start();
  const settings = {
    "layerwise.device": "cpu",
    "layerwise.targets": { box: { host: "box", folder: sshd.there } },
  };
  let workbench = await openWorkbench({ settings, env: sshd.env });
  const { folder } = workbench;
  try {
    await workbench.activated();
    fs.writeFileSync(path.join(folder, FILE), SOURCE);
    await workbench.openFile(FILE);
    await workbench.quick.answer("a run", async () => {
      await workbench.command("Layerwise: Run on…");
      await workbench.quick.entry("box").waitFor({ timeout: patience(5000) });
      await workbench.screenshot("remote-targets");
      await workbench.quick.choose("box");
    });
    let panel = await TrainingPanel.of(workbench, 60_000);
    await panel.reaches("running", 60_000);
    await panel.frame.getByText("Running on box").waitFor();
    await panel.hasPoints(20);
    await workbench.showSideBar();
    await workbench.treeItem(/running on box/).waitFor();
    await workbench.inThemes(THEMES, async () => {
      await workbench.screenshot("remote-running");
      assert.deepEqual(await accessibilityProblems(panel.frame), [], workbench.theme);
    });
    const press = (name: string): Promise<void> =>
      panel.frame.locator(".header .button", { hasText: name }).click();
    await press("Save Checkpoint");
    await until("the saved weights here", () =>
      newestRun(folder)?.checkpoints.some(({ kind }) => kind === "manual"),
    );
    await press("Pause");
    await panel.reaches("paused");
    await press("Resume");
    await panel.reaches("running");
    assert.ok(sshd.runProcesses().length >= 2);
    assert.deepEqual(workbench.complaints, []);
    await closeWorkbench(workbench);
    assert.ok(sshd.runProcesses().length >= 2, "the run ended with the window");
    workbench = await openWorkbench({ folder, settings, env: sshd.env });
    await workbench.activated();
    await workbench.showSideBar();
    const item = workbench.treeItem(/on box, not followed/);
    await clickItem(item, () => workbench.webviewFrame.waitFor({ timeout: 10_000 }));
    panel = await TrainingPanel.of(workbench);
    await panel.frame.locator(".badge", { hasText: "Not followed" }).waitFor();
    await panel.hasPoints(20);
    await workbench.screenshot("remote-not-followed");
    const before = await panel.points();
    await press("Attach");
    await panel.frame.locator(".badge", { hasText: "Training" }).waitFor();
    await panel.hasPoints(before + 1);
    await panel.frame.locator(".header .button", { hasText: "Stop" }).click();
    await panel.reaches("stopped", 60_000);
    await until("the last weights here", () =>
      newestRun(folder)?.checkpoints.some(({ kind }) => kind === "last"),
    );
    await until("no process there", () => sshd.runProcesses().length === 0);
    await closeWorkbench(workbench);
  } finally {
    await sshd.stop();
  }
}, 300_000);
