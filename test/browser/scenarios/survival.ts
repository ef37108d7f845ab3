import assert from "node:assert/strict";
import path from "node:path";
import { test, until } from "../../harness.ts";
import { RUNS_FOLDER } from "../../../extension/protocol/run.ts";
import { ENDLESS_EPOCHS, simpleNN, slowNN, writeModel } from "../../models.ts";
import {
  assertNoGap,
  assertUnbroken,
  checkpointFiles,
  newestRun,
  processExists,
} from "../../runDirectories.ts";
import { temporaryFolder } from "../library/browser.ts";
import { familyOf } from "../../processes.ts";
import { closeWorkbench, sharedWorkbench } from "../library/tier.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import type { Workbench } from "../library/workbench.ts";

/** Milliseconds after which nothing of a run may be left. */
const GONE = 5000;

/** What lets a run outlive its window. */
const OUTLIVE = { "layerwise.runs.outlive": true };

/** A window on a model that trains for as long as one lets it, as slow as `text` makes it. */
async function openEndless(
  text: (epochs: number) => string,
  settings: Record<string, unknown> = {},
): Promise<Workbench> {
  const workbench = await sharedWorkbench(JSON.stringify(settings), () => {
    const folder = temporaryFolder("workspace");
    writeModel(folder, "endless.nn.ts", text(ENDLESS_EPOCHS));
    return { folder, settings };
  });
  writeModel(workbench.folder, "endless.nn.ts", text(ENDLESS_EPOCHS));
  await workbench.activated();
  await workbench.openFile("endless.nn.ts");
  return workbench;
}

/** Trains until a checkpoint is on disk; answers the panel and the run's process. */
async function train(workbench: Workbench): Promise<{ panel: TrainingPanel; pid: number }> {
  await workbench.clickLens("Train", () => workbench.webviewFrame.waitFor({ timeout: 10_000 }));
  const panel = await TrainingPanel.of(workbench);
  await panel.reaches("running");
  await panel.hasPoints(5);
  const pid = await until(
    "a checkpoint of the run",
    () => {
      const run = newestRun(workbench.folder);
      return run && checkpointFiles(workbench.folder, run).length > 0 && run.pid;
    },
    20_000,
  );
  assert.ok(processExists(pid));
  return { panel, pid };
}

/** The panel shows every epoch from the first to one after `later`, each once, and so does the disk. */
async function showsNoGap({ folder }: Workbench, panel: TrainingPanel, later = 0): Promise<number> {
  const epochs = await until(`all epochs, to one after ${later}`, async () => {
    const shown = await panel.epochs();
    const [first = 0, last = 0] = [shown[0], shown.at(-1)];
    // The table has the last two hundred.
    const from = Math.max(1, last - 199);
    if (first !== from) throw new Error(`it shows ${shown.join()}, ${await panel.points()} points`);
    return last > later && shown;
  });
  assertNoGap(path.join(folder, RUNS_FOLDER, newestRun(folder)!.id));
  assertUnbroken(epochs, "epoch");
  return epochs.at(-1)!;
}

/** Kills the extension host of a window. */
function killHost(workbench: Workbench): void {
  const host = familyOf(workbench.processGroup).find(({ command }) =>
    command.includes("--type=extensionHost"),
  );
  assert.ok(host, "no extension host among the server's processes");
  process.kill(host.pid, "SIGKILL");
}

const processGone = (pid: number): Promise<true> =>
  until(`end of the run's process ${pid}`, () => !processExists(pid), GONE);

test("kill -9 of the run's process: the panel says so, and the last checkpoint opens", async () => {
  const workbench = await openEndless(simpleNN);
  const { panel, pid } = await train(workbench);
  process.kill(pid, "SIGKILL");
  await panel.reaches("killed");
  assert.match(await panel.text(), /process ended unexpectedly/i);
  await workbench.notification(/killed|SIGKILL/).waitFor();
  await workbench.screenshot("killed");
  assert.equal(newestRun(workbench.folder)?.state, "killed");
  await panel.press("Evaluate");
  await until(
    "an evaluation of the last checkpoint",
    () => {
      const run = newestRun(workbench.folder);
      return run?.kind === "evaluate" && run.state === "finished";
    },
    30_000,
  );
  await (await workbench.webview("evaluation")).locator('[data-state="finished"]').waitFor();
  await workbench.screenshot("evaluated");
}, 180_000);

test("a reloaded window: the run has ended with its weights, and the panel is back", async () => {
  const workbench = await openEndless(simpleNN);
  const { pid } = await train(workbench);
  await workbench.reload();
  await processGone(pid);
  await workbench.activated();
  const panel = await TrainingPanel.of(workbench, 60_000);
  await panel.reaches("stopped");
  assert.ok((await panel.points()) > 0, "the curve is gone");
  await workbench.screenshot("reloaded");
}, 180_000);

test("kill -9 of the extension host: no process is left, the next one says what happened, and the run is resumed", async () => {
  const workbench = await openEndless(slowNN);
  const { pid } = await train(workbench);
  const children = familyOf(workbench.processGroup).filter(({ command }) =>
    /(run|preview)Engine\.js/.test(command),
  );
  assert.ok(children.some((child) => child.pid === pid));
  killHost(workbench);
  await processGone(pid);
  for (const child of children) await processGone(child.pid);
  const run = newestRun(workbench.folder);
  assert.ok(run && checkpointFiles(workbench.folder, run).length > 0, "no checkpoint is left");
  // VS Code starts another extension host in this window, and leaves the panel of the first one as it was.
  await workbench.notification(/stopped at epoch .* because the process/).waitFor({ timeout: 60_000 });
  await until(
    "word of the end in the old panel",
    async () => /extension host has ended/i.test(await (await TrainingPanel.of(workbench)).text()),
    30_000,
  );
  await workbench.screenshot("host-killed");
  await workbench.page.getByRole("button", { name: "Show Curves" }).first().click();
  const panel = await until(
    "the panel of the stopped run",
    async () => {
      const found = await TrainingPanel.of(workbench);
      return (await found.state()) === "stopped" && found;
    },
    30_000,
  );
  const stopped = await showsNoGap(workbench, panel);
  await panel.press("Resume");
  await panel.reaches("running");
  await showsNoGap(workbench, panel, stopped + 3);
  await workbench.screenshot("resumed");
  await panel.press("Stop");
  await panel.reaches("stopped");
}, 180_000);

test("VS Code closed and opened again: the run that outlived it is listed, shown without a gap, and stopped", async () => {
  const workbench = await openEndless(slowNN, OUTLIVE);
  const { folder } = workbench;
  const { pid, panel: first } = await train(workbench);
  const before = await showsNoGap(workbench, first);
  await closeWorkbench(workbench);
  assert.ok(processExists(pid), "the run ended with VS Code");
  const again = await sharedWorkbench(JSON.stringify(OUTLIVE), () => ({ folder, settings: OUTLIVE }));
  await again.activated();
  await again.showSideBar();
  const item = again.treeItem(/Run of SimpleNN, running/);
  await item.waitFor();
  await item.click();
  const panel = await TrainingPanel.of(again);
  await panel.reaches("running");
  await showsNoGap(again, panel, before);
  await again.screenshot("reopened");
  await item.hover();
  await item.getByRole("button", { name: "Stop" }).click();
  await panel.reaches("stopped");
  await processGone(pid);
  assert.equal(newestRun(folder)?.state, "stopped");
}, 180_000);

test("a run that outlives its window: reloaded, and its host killed, the panel shows it without a gap, and stops it", async () => {
  const workbench = await openEndless(slowNN, OUTLIVE);
  const { pid, panel: first } = await train(workbench);
  const before = await showsNoGap(workbench, first);
  const { id } = newestRun(workbench.folder)!;
  await workbench.reload();
  await workbench.activated();
  const panel = await TrainingPanel.of(workbench, 60_000);
  await panel.reaches("running");
  assert.ok(processExists(pid), "the run ended with its window");
  assert.equal(await panel.run(), id);
  const told = workbench.notification(/went on while the window was closed/);
  const showCurves = workbench.page.getByRole("button", { name: "Show Curves" }).first();
  await told.waitFor({ timeout: 60_000 });
  await showCurves.click();
  await told.waitFor({ state: "detached" });
  const reloaded = await showsNoGap(workbench, panel, before);

  killHost(workbench);
  await told.waitFor({ timeout: 60_000 });
  assert.ok(processExists(pid), "the run ended with the extension host");
  await until("word of the end in the old panel", async () => /has ended/i.test(await panel.text()), 30_000);
  await workbench.page.getByRole("tab", { name: "Training: SimpleNN" }).click({ button: "middle" });
  await until("that panel to be closed", () => panel.frame.isDetached());
  await showCurves.click();
  const last = await TrainingPanel.of(workbench);
  await last.reaches("running");
  assert.equal(await last.run(), id);
  await showsNoGap(workbench, last, reloaded);
  await last.press("Stop");
  await last.reaches("stopped");
  await processGone(pid);
}, 180_000);
