import assert from "node:assert/strict";
import { test, until } from "../../harness.ts";
import { ENDLESS_EPOCHS, simpleNN, writeModel } from "../../models.ts";
import { checkpointFiles, newestRun, processExists } from "../../runDirectories.ts";
import { temporaryFolder } from "../library/browser.ts";
import { familyOf } from "../library/processes.ts";
import { closeWorkbench, openWorkbench } from "../library/tier.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import type { Workbench } from "../library/workbench.ts";

/** Milliseconds after which nothing of a run may be left. */
const GONE = 5000;

async function openEndless(settings: Record<string, unknown> = {}): Promise<Workbench> {
  const folder = temporaryFolder("workspace");
  writeModel(folder, "endless.nn.ts", simpleNN(ENDLESS_EPOCHS));
  const workbench = await openWorkbench({ folder, settings });
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

const processGone = (pid: number): Promise<true> =>
  until(`end of the run's process ${pid}`, () => !processExists(pid), GONE);

test("kill -9 of the run's process: the panel says so, and the last checkpoint opens", async () => {
  const workbench = await openEndless();
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
  await panel.frame.locator(".section-evaluation").waitFor();
  await workbench.screenshot("evaluated");
  await closeWorkbench(workbench);
}, 180_000);

test("a reloaded window: the run has ended with its weights, and the panel is back", async () => {
  const workbench = await openEndless();
  const { pid } = await train(workbench);
  await workbench.reload();
  await processGone(pid);
  await workbench.activated();
  const panel = await TrainingPanel.of(workbench, 60_000);
  await panel.reaches("stopped");
  assert.ok((await panel.points()) > 0, "the curve is gone");
  await workbench.screenshot("reloaded");
  await closeWorkbench(workbench);
}, 180_000);

test("a reloaded window of a run that outlives it: the panel goes on, and Stop works", async () => {
  const workbench = await openEndless({ "layerwise.runs.outlive": true });
  const { pid } = await train(workbench);
  await workbench.reload();
  await workbench.activated();
  const panel = await TrainingPanel.of(workbench, 60_000);
  await panel.reaches("running");
  assert.ok(processExists(pid), "the run ended with its window");
  const points = await panel.points();
  await panel.hasPoints(points + 1);
  await panel.press("Stop");
  await panel.reaches("stopped");
  await processGone(pid);
  await closeWorkbench(workbench);
}, 180_000);

test("kill -9 of the extension host: no process is left, and the next one says what happened", async () => {
  const workbench = await openEndless();
  const { pid } = await train(workbench);
  const host = familyOf(workbench.processGroup).find(({ command }) =>
    command.includes("--type=extensionHost"),
  );
  assert.ok(host, "no extension host among the server's processes");
  const children = familyOf(host.pid).filter(({ command }) => /(run|preview)Engine\.js/.test(command));
  assert.ok(children.some((child) => child.pid === pid));
  process.kill(host.pid, "SIGKILL");
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
  assert.ok((await panel.points()) > 0, "the curve is gone");
  await closeWorkbench(workbench);
}, 180_000);
