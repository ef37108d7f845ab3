/** A training without an end, and how it ended. */
import assert from "node:assert/strict";
import path from "node:path";
import { RUNS_FOLDER } from "../../../extension/protocol/run.ts";
import { until } from "../../harness.ts";
import { ENDLESS_EPOCHS, slowNN, writeModel } from "../../models.ts";
import { familyOf, type Process } from "../../processes.ts";
import { assertNoGap, checkpointFiles, newestRun, processExists } from "../../runDirectories.ts";
import { temporaryFolder } from "./browser.ts";
import { sharedWorkbench } from "./tier.ts";
import { TrainingPanel } from "./trainingPanel.ts";
import type { Workbench } from "./workbench.ts";

/** Milliseconds after which nothing of a run may be left. */
const GONE = 5000;

/** The windows that these tests share: runs end with one, and outlive the other. */
export const ENDS = "runs that end";
export const OUTLIVE = "runs that outlive";

export const settings = (window: string): Record<string, unknown> => ({
  "layerwise.runs.outlive": window === OUTLIVE,
});

/** A window on a model that trains for as long as one lets it, as slow as `text` makes it. */
export async function openEndless(window: string, text = slowNN): Promise<Workbench> {
  const workbench = await sharedWorkbench(window, () => {
    const folder = temporaryFolder("workspace");
    writeModel(folder, "endless.nn.ts", text(ENDLESS_EPOCHS));
    return { folder, settings: settings(window) };
  });
  writeModel(workbench.folder, "endless.nn.ts", text(ENDLESS_EPOCHS));
  await workbench.activated();
  await workbench.openFile("endless.nn.ts");
  return workbench;
}

/** Trains until a checkpoint is on disk; answers the panel and the run's process. */
export async function train(workbench: Workbench): Promise<{ panel: TrainingPanel; pid: number }> {
  await workbench.openByLens("Train", "Training");
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
export async function showsNoGap({ folder }: Workbench, panel: TrainingPanel, later = 0): Promise<number> {
  const last = await panel.hasAllEpochs(later);
  assertNoGap(path.join(folder, RUNS_FOLDER, newestRun(folder)!.id));
  return last;
}

const hostOf = (workbench: Workbench): Process | undefined =>
  familyOf(workbench.processGroup).find(({ command }) => command.includes("--type=extensionHost"));

/** Kills the extension host of a window. The returned function waits until VS Code has started the next one. */
export function killHost(workbench: Workbench): () => Promise<void> {
  const killed = hostOf(workbench);
  assert.ok(killed, "no extension host among the server's processes");
  const from = workbench.console.length;
  const another = (): boolean => (hostOf(workbench)?.pid ?? killed.pid) !== killed.pid;
  const says = (what: string): boolean => workbench.console.slice(from).some((line) => line.includes(what));
  process.kill(killed.pid, "SIGKILL");
  return async () => {
    await until(
      "VS Code's word that its extension host has ended",
      () => another() || says("terminated unexpectedly"),
      60_000,
    );
    await until("another extension host", another, 60_000);
  };
}

export const processGone = (pid: number): Promise<true> =>
  until(`end of the run's process ${pid}`, () => !processExists(pid), GONE);
