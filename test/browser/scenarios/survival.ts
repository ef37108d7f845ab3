/** A training whose process, window or extension host has gone. */
import assert from "node:assert/strict";
import { row, until } from "../../harness.ts";
import { simpleNN } from "../../models.ts";
import { checkpointFiles, newestRun } from "../../runDirectories.ts";
import { familyOf } from "../../processes.ts";
import { ENDS, killHost, openEndless, processGone, showsNoGap, train } from "../library/endlessRun.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";

const test = row(ENDS);

test("kill -9 of the run's process: the panel says so, and the last checkpoint opens", async () => {
  const workbench = await openEndless(ENDS, simpleNN);
  const { panel, pid } = await train(workbench);
  process.kill(pid, "SIGKILL");
  await panel.reaches("killed");
  assert.match(await panel.text(), /process ended unexpectedly/i);
  await workbench.notified(/training of SimpleNN ended unexpectedly/);
  await workbench.screenshot("killed");
  assert.equal(newestRun(workbench.folder)?.state, "killed");
  await panel.press("Evaluate");
  await workbench.evaluated();
  await (await workbench.webview("evaluation")).locator('[data-state="finished"]').waitFor();
  await workbench.screenshot("evaluated");
}, 180_000);

test("a reloaded window: the run has ended with its weights, and the panel is back", async () => {
  const workbench = await openEndless(ENDS);
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
  const workbench = await openEndless(ENDS);
  const { pid } = await train(workbench);
  const children = familyOf(workbench.processGroup).filter(({ command }) =>
    /(run|preview)Engine\.js/.test(command),
  );
  assert.ok(children.some((child) => child.pid === pid));
  const nextHost = killHost(workbench);
  await processGone(pid);
  for (const child of children) await processGone(child.pid);
  const run = newestRun(workbench.folder);
  assert.ok(run && checkpointFiles(workbench.folder, run).length > 0, "no checkpoint is left");
  // The next extension host of this window leaves the panel of the first one as it was.
  await nextHost();
  const stoppedThere = /stopped at (?:epoch|step) .* because the process/;
  await workbench.notified(stoppedThere);
  await until(
    "word of the end in the old panel",
    async () => /extension host doesn't answer/i.test(await (await TrainingPanel.of(workbench)).text()),
    30_000,
  );
  await workbench.screenshot("host-killed");
  await workbench.answer(stoppedThere, "Show Curves");
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
