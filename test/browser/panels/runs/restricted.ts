/** Panels in Restricted Mode: what the host would refuse is disabled, with the reason as its tooltip. */
import assert from "node:assert/strict";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
  TrainingHostMethods,
  TrainingSnapshot,
  TrainingViewMethods,
} from "../../../../extension/protocol/views.ts";
import { test } from "../../../harness.ts";
import { openData } from "../data.ts";
import { openEvaluation, recorded } from "../evaluation.ts";
import { inThemes } from "../looks.ts";
import { openPanel, type Panel } from "../page.ts";
import { ended, FILE, models, runningAt } from "../recordings.ts";
import { openSweep } from "../sweep.ts";
import { openFile } from "../tensors.ts";

const REASON = "Not in Restricted Mode: trust the workspace first.";

/** Names of a page's buttons that can be pressed, and of those that can't since the workspace is not trusted. */
async function buttons({ page }: Panel<object>): Promise<{ usable: string[]; refused: string[] }> {
  const all = await page.locator("vscode-button").evaluateAll((found) =>
    found
      .filter((one) => one.checkVisibility())
      .map((one) => ({
        name: one.getAttribute("aria-label") ?? "",
        disabled: one.hasAttribute("disabled"),
        title: one.getAttribute("title") ?? "",
      })),
  );
  const refused = all.filter(({ title }) => title.includes(REASON));
  assert.ok(refused.every(({ disabled }) => disabled));
  return {
    usable: all.filter(({ disabled }) => !disabled).map(({ name }) => name),
    refused: refused.map(({ name }) => name),
  };
}

const openTraining = (snapshot: TrainingSnapshot, restricted = true) =>
  openPanel<TrainingHostMethods, TrainingViewMethods>({
    view: "training",
    restricted,
    host: { ready: () => Promise.resolve(snapshot) },
  });

test("restricted: a training is not controlled, and its log is shown", async () => {
  const { usable, refused } = await buttons(await openTraining(runningAt(300)));
  for (const name of ["Pause", "Stop", "Save Checkpoint"]) assert.ok(refused.includes(name), name);
  assert.ok(usable.includes("Show Log"));
  const trusted = await buttons(await openTraining(runningAt(300), false));
  assert.deepEqual(trusted.refused, []);
  assert.ok(trusted.usable.includes("Pause"));
});

test("restricted: a run is neither repeated nor evaluated", async () => {
  const panel = await openTraining(ended("finished"));
  const { usable, refused } = await buttons(panel);
  for (const name of ["Train Again", "Evaluate"]) assert.ok(refused.includes(name), name);
  assert.ok(usable.some((name) => name.startsWith("Reveal")));
  await panel.page.getByRole("button", { name: "Train Again" }).click({ force: true });
  assert.deepEqual(panel.calls, []);
});

test("restricted: a model isn't trained or measured", async () => {
  const [model] = models();
  const snapshot: ArchitectureSnapshot = {
    file: FILE,
    report: { file: FILE, models: models(), experiments: [], errors: [] },
    model: model!.name,
    busy: false,
  };
  const panel = await openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    restricted: true,
    host: { ready: () => Promise.resolve(snapshot) },
  });
  const { refused } = await buttons(panel);
  assert.ok(refused.includes("Train"), refused.join());
});

test("restricted: an evaluation isn't repeated, and its model answers nothing", async () => {
  const { usable, refused } = await buttons(await openEvaluation(recorded("digits"), { restricted: true }));
  assert.ok(refused.includes("Evaluate Again"), refused.join());
  assert.ok(usable.includes("Show Log"));
});

test("restricted: no data is read", async () => {
  const { refused } = await buttons(await openData({ restricted: true }));
  assert.deepEqual(refused, ["Read Again", "Train"]);
});

test("restricted: a sweep isn't resumed or applied", async () => {
  const { usable, refused } = await buttons(await openSweep({ restricted: true }));
  assert.ok(refused.length > 1, refused.join());
  assert.ok(usable.includes("Open File"), usable.join());
});

test("restricted: weights are shown, not trained on", async () => {
  const { usable, refused } = await buttons(await openFile({ restricted: true }));
  assert.equal(refused.length, 2, refused.join());
  assert.ok(usable.length > 0);
});

inThemes(
  "restricted: a run looks right",
  "training-restricted",
  (look) =>
    openPanel<TrainingHostMethods, TrainingViewMethods>({
      view: "training",
      restricted: true,
      host: { ready: () => Promise.resolve(ended("finished")) },
      ...look,
    }),
  ["light", "dark", "hc"],
);
