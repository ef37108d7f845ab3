/** Trainings that outlive their window. */
import assert from "node:assert/strict";
import { row, slow, until } from "../../harness.ts";
import { newestRun, processExists } from "../../runDirectories.ts";
import {
  killHost,
  openEndless,
  OUTLIVE,
  processGone,
  settings,
  showsNoGap,
  train,
} from "../library/endlessRun.ts";
import { clickItem } from "../library/menu.ts";
import { closeWorkbench, sharedWorkbench } from "../library/tier.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";

const test = row(OUTLIVE);

test("VS Code closed and opened again: the run that outlived it is listed, shown without a gap, and stopped", async () => {
  const workbench = await openEndless(OUTLIVE);
  const { folder } = workbench;
  const { pid, panel: first } = await train(workbench);
  const before = await showsNoGap(workbench, first);
  await closeWorkbench(workbench);
  assert.ok(processExists(pid), "the run ended with VS Code");
  const again = await sharedWorkbench(OUTLIVE, () => ({ folder, settings: settings(OUTLIVE) }));
  await again.activated();
  await again.showSideBar();
  const item = again.treeItem(/Run of SimpleNN, running/);
  await clickItem(item, () => again.webviewFrame.waitFor({ timeout: 10_000 }));
  const panel = await TrainingPanel.of(again);
  await panel.reaches("running");
  await showsNoGap(again, panel, before);
  await again.screenshot("reopened");
  await clickItem(item, () => panel.reaches("stopped", 10_000), "Stop");
  await processGone(pid);
  assert.equal(newestRun(folder)?.state, "stopped");
}, 180_000);

slow(test)(
  "a run that outlives its window: reloaded, and its host killed, the panel shows it without a gap, and stops it",
  async () => {
    const workbench = await openEndless(OUTLIVE);
    const { pid, panel: first } = await train(workbench);
    const before = await showsNoGap(workbench, first);
    const { id } = newestRun(workbench.folder)!;
    await workbench.reload();
    await workbench.activated();
    const panel = await TrainingPanel.of(workbench, 60_000);
    await panel.reaches("running");
    assert.ok(processExists(pid), "the run ended with its window");
    assert.equal(await panel.run(), id);
    const wentOn = /went on while the window was closed/;
    await workbench.answer(wentOn, "Show Curves");
    await workbench.notification(wentOn).waitFor({ state: "detached" });
    const reloaded = await showsNoGap(workbench, panel, before);

    await killHost(workbench)();
    await workbench.notified(wentOn);
    assert.ok(processExists(pid), "the run ended with the extension host");
    await until(
      "word of the end in the old panel",
      async () => /has ended/i.test(await panel.text()),
      30_000,
    );
    await workbench.page.getByRole("tab", { name: "Training: SimpleNN" }).click({ button: "middle" });
    await until("that panel to be closed", () => panel.frame.isDetached());
    await workbench.answer(wentOn, "Show Curves");
    const last = await TrainingPanel.of(workbench);
    await last.reaches("running");
    assert.equal(await last.run(), id);
    await showsNoGap(workbench, last, reloaded);
    await last.press("Stop");
    await last.reaches("stopped");
    await processGone(pid);
  },
  180_000,
);
