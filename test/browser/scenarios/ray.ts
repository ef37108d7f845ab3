/** A run on a Ray cluster: "Run on…" asks for its token once. The cluster is one of the test's own that starts jobs as Ray does. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { FakeRay } from "../../fakeRay.ts";
import { row, slow, until } from "../../harness.ts";
import { patience } from "../../patience.ts";
import { newestRun } from "../../runDirectories.ts";
import { temporaryFolder } from "../library/browser.ts";
import { FILE, SOURCE } from "../library/farModel.ts";
import { closeWorkbench, openWorkbench } from "../library/tier.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";

const test = row("remote");

slow(test)(
  "Run on… a Ray cluster: it asks for the token once, the run is followed in the panel and stopped",
  async () => {
    const there = temporaryFolder("ray");
    const ray = new FakeRay();
    ray.token = "hunter2";
    await ray.start();
    ray.execute(path.join(there, "jobs"));
    const cluster = { host: ray.url, node: process.execPath, folder: path.join(there, "layerwise") };
    const settings = { "layerwise.device": "cpu", "layerwise.targets": { cluster } };
    const workbench = await openWorkbench({ settings, env: {} });
    const { folder, page } = workbench;
    try {
      await workbench.activated();
      fs.writeFileSync(path.join(folder, FILE), SOURCE);
      await workbench.openFile(FILE);
      await workbench.quick.answer("a run", async () => {
        await workbench.command("Layerwise: Run on…");
        await workbench.quick.choose("cluster");
        await workbench.quick.secret.waitFor({ timeout: patience(5000) });
        await workbench.screenshot("ray-token");
        await workbench.quick.enterSecret("hunter2");
      });
      const panel = await TrainingPanel.of(workbench, 60_000);
      await panel.reaches("running", 60_000);
      await panel.frame.getByText("Running on cluster").waitFor();
      await panel.hasPoints(20);
      assert.equal(await panel.frame.locator(".header .button", { hasText: "Pause" }).count(), 0);
      await panel.frame.locator(".header .button", { hasText: "Stop" }).click();
      await panel.reaches("stopped", 60_000);
      await until("the last weights here", () =>
        newestRun(folder)?.checkpoints.some(({ kind }) => kind === "last"),
      );
      // The token is kept: a second run begins at the choice.
      await page.locator(`.tab[data-resource-name="${FILE}"]`).click();
      await workbench.quick.answer("another run", async () => {
        await workbench.command("Layerwise: Run on…");
        await workbench.quick.choose("cluster");
      });
      await until("another job", () => ray.jobs.size === 2, 60_000);
      assert.deepEqual(workbench.complaints, []);
      await closeWorkbench(workbench);
    } finally {
      await ray.stop();
    }
  },
  300_000,
);
