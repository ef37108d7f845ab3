/** Sweeps and evaluations on other machines, as the editor starts and shows them. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import type { Frame } from "playwright-core";
import { FakeRay } from "../../fakeRay.ts";
import { row, skip, slow, until } from "../../harness.ts";
import { newestRun, runRecords } from "../../runDirectories.ts";
import { noSshd, Sshd } from "../../cluster/remote/sshd.ts";
import { temporaryFolder } from "../library/browser.ts";
import { FILE, farModel } from "../library/farModel.ts";
import { closeWorkbench, openWorkbench } from "../library/tier.ts";
import { accessibilityProblems } from "../library/accessibility.ts";
import { THEMES, type Workbench } from "../library/workbench.ts";

const test = row("remote");

const press = (frame: Frame, name: string): Promise<void> =>
  frame.locator(".header .button", { hasText: name }).click();

async function showFile({ page }: Workbench): Promise<void> {
  await page.locator(`.tab[data-resource-name="${FILE}"]`).click();
  await page.locator(".editor-instance .monaco-editor").first().click();
}

slow(test)(
  "Sweep on… another machine, stopped and resumed; Evaluate on… it, and again",
  async () => {
    if (noSshd !== undefined) skip(noSshd);
    const sshd = new Sshd(temporaryFolder("sshd"));
    await sshd.start();
    const box = { host: "box", folder: sshd.there };
    const settings = { "layerwise.device": "cpu", "layerwise.targets": { gpu: box } };
    const workbench = await openWorkbench({ settings, env: sshd.env });
    const { folder } = workbench;
    try {
      await workbench.activated();
      fs.writeFileSync(path.join(folder, FILE), farModel(50));
      await workbench.openFile(FILE);
      await workbench.quick.answer("a sweep", async () => {
        await workbench.command("Layerwise: Sweep on…");
        await workbench.quick.choose("gpu");
        await workbench.quick.choose("Every combination");
      });
      const sweep = await workbench.webview("sweep", 90_000);
      await sweep.getByText("Running on gpu").waitFor();
      await workbench.showSideBar();
      await workbench.treeItem(/running on gpu/).waitFor();
      await sweep.getByText("1 of 4 trials").or(sweep.getByText("2 of 4 trials")).waitFor();
      await workbench.screenshot("elsewhere-sweeping");
      // In the middle of a trial.
      await until("trials there", () => sshd.runProcesses().length > 0);
      await press(sweep, "Stop");
      await sweep.getByText("Stopped", { exact: true }).waitFor();
      await until("no trial there", () => sshd.runProcesses().length === 0);
      await press(sweep, "Resume");
      await sweep.getByText("4 of 4 trials").waitFor();
      await sweep.getByText("Finished", { exact: true }).waitFor();
      await sweep.getByText("Ran on gpu").waitFor();
      const listed = workbench.page.getByRole("tree", { name: "Runs", exact: true }).getByRole("treeitem");
      await until("the runs of the trials", async () => (await listed.count()) === 4);
      await workbench.treeItem(/running on gpu/).waitFor({ state: "detached" });
      const trials = runRecords(folder);
      assert.equal(trials.length, 4);
      for (const { state, on, executor } of trials)
        assert.deepEqual([state, on?.name, executor?.backend], ["finished", "gpu", "cpu"]);
      await workbench.inThemes(THEMES, async () => {
        await workbench.screenshot("elsewhere-swept");
        assert.deepEqual(await accessibilityProblems(sweep), [], workbench.theme);
      });

      await showFile(workbench);
      await workbench.quick.answer("an evaluation", async () => {
        await workbench.command("Layerwise: Evaluate on…");
        await workbench.quick.choose("gpu");
      });
      const evaluation = await workbench.webview("evaluation", 60_000);
      await evaluation.locator('.badge[data-state="finished"]').waitFor();
      await evaluation.getByText("Ran on gpu").waitFor();
      await evaluation.locator(".figures").waitFor();
      const { id, kind, on, metrics } = newestRun(folder)!;
      assert.deepEqual([kind, on?.name], ["evaluate", "gpu"]);
      await workbench.inThemes(THEMES, async () => {
        await workbench.screenshot("elsewhere-evaluated");
        assert.deepEqual(await accessibilityProblems(evaluation), [], workbench.theme);
      });
      await press(evaluation, "Evaluate Again");
      const again = await until(
        "another evaluation",
        () => {
          const run = newestRun(folder);
          return run?.id !== id && run?.state === "finished" && run;
        },
        60_000,
      );
      assert.deepEqual([again.on?.name, again.metrics], ["gpu", metrics]);
      await until("no process there", () => sshd.runProcesses().length === 0);
      assert.deepEqual(workbench.complaints, []);
      await closeWorkbench(workbench);
    } finally {
      await sshd.stop();
    }
  },
  420_000,
);

slow(test)(
  "Sweep on… a Ray cluster with its token, which no file of the window has; Evaluate on… it",
  async () => {
    const there = temporaryFolder("ray");
    const ray = new FakeRay();
    ray.token = "hunter2hunter2";
    await ray.start();
    ray.execute(path.join(there, "jobs"));
    const cluster = { host: ray.url, node: process.execPath, folder: path.join(there, "layerwise") };
    const settings = { "layerwise.device": "cpu", "layerwise.targets": { cluster } };
    const workbench = await openWorkbench({ settings, env: { LAYERWISE_CACHE: path.join(there, "cache") } });
    const { folder, dataFolder } = workbench;
    try {
      await workbench.activated();
      fs.writeFileSync(path.join(folder, FILE), farModel(2));
      await workbench.openFile(FILE);
      let asked = false;
      await workbench.quick.answer("a sweep", async () => {
        await workbench.command("Layerwise: Sweep on…");
        await workbench.quick.choose("cluster");
        // The token is kept.
        if (!asked) await workbench.quick.enterSecret(ray.token!);
        asked = true;
        await workbench.quick.choose("Every combination");
      });
      const sweep = await workbench.webview("sweep", 90_000);
      await sweep.getByText("4 of 4 trials").waitFor({ timeout: 180_000 });
      await sweep.getByText("Ran on cluster").waitFor();
      assert.equal(ray.jobs.size, 4);
      await showFile(workbench);
      await workbench.quick.answer("an evaluation", async () => {
        await workbench.command("Layerwise: Evaluate on…");
        await workbench.quick.choose("cluster");
      });
      const evaluation = await workbench.webview("evaluation", 60_000);
      await evaluation.locator('.badge[data-state="finished"]').waitFor();
      await evaluation.getByText("Ran on cluster").waitFor();
      await workbench.screenshot("elsewhere-cluster");
      assert.equal(ray.jobs.size, 5);
      assert.deepEqual(workbench.complaints, []);
      await closeWorkbench(workbench);
      assert.deepEqual([...filesWith(dataFolder, ray.token), ...filesWith(folder, ray.token)], []);
    } finally {
      await ray.stop();
    }
  },
  420_000,
);

/** The files below a folder in which a text is. */
const filesWith = (folder: string, text: string): string[] =>
  fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.join(parentPath, name))
    .filter((file) => fs.readFileSync(file).includes(text));
