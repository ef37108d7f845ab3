/** Runs of other tools in VS Code: opened from the explorer and by a click, drawn beside each other, read-only. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { eventRecord, fileVersion } from "../../../extension/formats/tensorboard.ts";
import { inRoot } from "../../../scripts/project.mjs";
import { row, slow, until } from "../../harness.ts";
import { chooseFromMenu } from "../library/menu.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { accessibilityProblems } from "../library/accessibility.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import { THEMES } from "../library/workbench.ts";

const test = row("examples");

const EVENTS = "events.out.tfevents.1700000000.host.1.0";

test("runs of TensorBoard, MLflow and trackio open as curves", async () => {
  const workbench = await sharedWorkbench("examples");
  const { folder, page } = workbench;
  await workbench.activated();
  const fixture = (name: string, to: string): void =>
    fs.cpSync(inRoot("test/fixtures/foreign", name), path.join(folder, to), { recursive: true });
  fixture("tensorboardx", "logs");
  fixture("trackio/digits.db", "digits.db");
  fixture("mlruns", "mlruns");

  await workbench.showView("Explorer");
  const imported = (name: string, count: number): Promise<unknown> =>
    until(
      `${count} runs of ${name}`,
      () => runsOf(folder).filter(({ imported: from }) => from?.tool === name).length === count,
      10_000,
    );
  await chooseFromMenu(workbench.treeItem(/^logs/), "Open as Layerwise Runs", () =>
    imported("tensorboard", 2),
  );
  let panel = await TrainingPanel.of(workbench);
  await panel.hasPoints(12);
  assert.match(await panel.text(), /Imported from TensorBoard/);
  await panel.frame.getByText("baseline, validation").waitFor();
  await until("both curves", async () => (await panel.frame.locator(".compare input:checked").count()) === 2);
  const buttons = await panel.frame.locator("header vscode-button").count();
  assert.equal(buttons, 0, "a run of another tool can't be trained");
  await panel.frame.locator(".section-layers").waitFor();
  await panel.frame.getByRole("img", { name: "samples_first at step 11" }).waitFor();
  await workbench.inThemes(THEMES, async () => {
    await workbench.screenshot("foreign-runs");
    assert.deepEqual(await accessibilityProblems(panel.frame), [], workbench.theme);
  });
  await panel.frame.locator(".section-pictures").scrollIntoViewIfNeeded();
  await workbench.screenshot("foreign-pictures");

  await chooseFromMenu(workbench.treeItem(/^digits\.db/), "Open as Layerwise Runs", () =>
    imported("trackio", 2),
  );
  await chooseFromMenu(workbench.treeItem(/^mlruns/), "Open as Layerwise Runs", () => imported("mlflow", 2));
  // Until its panel opens, that of trackio's runs is shown.
  panel = await until("MLflow's run", async () => {
    const shown = await TrainingPanel.of(workbench);
    return (await shown.text()).includes("Imported from MLflow") && shown;
  });
  assert.match(await panel.text(), /batch_size\s+32/);

  // A click on an event file, then on one that was cut off within its first value.
  fixture(`tensorboardx/baseline/${EVENTS}`, `${EVENTS}.whole`);
  await workbench.openTab(`${EVENTS}.whole`);
  panel = await until("the event file's run", async () => {
    const shown = await TrainingPanel.of(workbench);
    return (await shown.text()).includes("Imported from TensorBoard") && shown;
  });
  await panel.hasPoints(12);
  fs.writeFileSync(
    path.join(folder, `${EVENTS}.cut`),
    fs.readFileSync(path.join(folder, `${EVENTS}.whole`)).subarray(0, 60),
  );
  await workbench.openTab(`${EVENTS}.cut`);
  await workbench.answer(/the file ends within a record at byte/, "Show Log");
  await page.locator(".tab", { hasText: ".cut" }).waitFor({ state: "detached" });
  await workbench.command("View: Close All Editors");
}, 240_000);

slow(test)(
  "a run of another tool grows in its panel while the tool logs",
  async () => {
    const workbench = await sharedWorkbench("examples");
    const { folder } = workbench;
    await workbench.activated();
    const at = path.join(folder, "live");
    fs.mkdirSync(at);
    const scalar = (step: number): Uint8Array =>
      eventRecord({ wallTime: Date.now() / 1000, step, values: [{ tag: "loss", scalar: 1 / (step + 1) }] });
    fs.writeFileSync(path.join(at, EVENTS), Buffer.concat([fileVersion(1), scalar(0), scalar(1)]));
    await workbench.showView("Explorer");
    await chooseFromMenu(workbench.treeItem(/^live/), "Open as Layerwise Runs", () =>
      until("the imported run", () => runsOf(folder).some(({ imported: from }) => from?.path === at), 10_000),
    );
    const panel = await until("the run's panel", async () => {
      const shown = await TrainingPanel.of(workbench);
      return (await shown.text()).includes("live") && shown;
    });
    await panel.hasPoints(2);
    await panel.frame.locator(".badge", { hasText: "Following" }).waitFor();
    for (let step = 2; step < 40; step++) fs.appendFileSync(path.join(at, EVENTS), scalar(step));
    await panel.hasPoints(40);
    await until("the last step in the header", async () => /Step\s+39/.test(await panel.text()));
    await workbench.inThemes(THEMES, async () => {
      await workbench.screenshot("foreign-following");
      assert.deepEqual(await accessibilityProblems(panel.frame), [], workbench.theme);
    });
    assert.equal(await panel.frame.locator("header vscode-button, .steering").count(), 0);
    await workbench.command("View: Close All Editors");
    // Its process has ended with the panel.
    await until("the end of following", () => !following(at), 10_000);
  },
  120_000,
);

/** Whether a process follows a path. */
const following = (at: string): boolean =>
  fs.readdirSync("/proc").some((pid) => {
    try {
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8");
      return command.includes("--follow") && command.includes(at);
    } catch {
      return false;
    }
  });

interface Found {
  imported?: { tool: string; path: string };
}

function runsOf(folder: string): Found[] {
  const runs = path.join(folder, ".layerwise/runs");
  if (!fs.existsSync(runs)) return [];
  return fs.readdirSync(runs).flatMap((name): Found[] => {
    try {
      return [JSON.parse(fs.readFileSync(path.join(runs, name, "run.json"), "utf8")) as Found];
    } catch {
      return [];
    }
  });
}
