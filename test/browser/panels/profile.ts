/** A measured training step in the architecture panel: starting, cancelling, heat and figures. */
import assert from "node:assert/strict";
import type { ModelReport } from "../../../extension/protocol/preview.ts";
import type { LayerProfile, Profile } from "../../../extension/protocol/profile.ts";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
  ShownProfile,
} from "../../../extension/protocol/views.ts";
import { test, until } from "../../harness.ts";
import { called, openPanel } from "./page.ts";
import { FILE, flowModel } from "./recordings.ts";

const EXPERIMENT = "default";

/** A measurement of a model, in which convolutions take the more time the later they come. */
export function profileOf(model: ModelReport): Profile {
  const layers = model.rows
    .filter(({ weights }) => weights !== undefined)
    .map(({ path, className, multiplyAdds = 0 }, i): LayerProfile => {
      const pass = (factor: number) => ({
        ms: 0.02 * (i + 1) * factor,
        ops: 2,
        multiplyAdds: factor * multiplyAdds,
      });
      return {
        path,
        className,
        forward: pass(1),
        backward: pass(2),
        activationBytes: 4096 * (i + 1),
        gradientBytes: 512,
      };
    });
  const own = { ms: 0.4, ops: 4, multiplyAdds: 0 };
  layers.push({
    path: "",
    className: model.name,
    forward: own,
    backward: own,
    activationBytes: 0,
    gradientBytes: 0,
  });
  const update = { ms: 1.2, ops: 8, multiplyAdds: 0 };
  return {
    file: FILE,
    exportName: EXPERIMENT,
    model: model.name,
    engine: "TensorFlow 2.21.0 with Layerwise's own kernels",
    cpu: "a processor",
    batch: 64,
    steps: 20,
    layers,
    update,
    ops: [],
    opByOpMs: layers.reduce((sum, { forward, backward }) => sum + forward.ms + backward.ms, update.ms),
    compiledMs: 1.31,
    peakBytes: 5_300_000,
    limitGflops: 148,
    choices: [
      { graph: "", about: "threads", chosen: "1 inside an op, 2 between", why: "half of 2 cores" },
      {
        graph: "training step of 212 ops",
        about: "batch",
        chosen: "2 shards",
        why: "97 % run side by side",
      },
    ],
    fallbacks: [],
  };
}

export function profiledSnapshot(shown?: Partial<ShownProfile>): ArchitectureSnapshot {
  const model = { ...flowModel("residual"), experiments: [EXPERIMENT] };
  const report = { file: FILE, models: [model], experiments: [], errors: [] };
  const profile = shown && { exportName: EXPERIMENT, ...shown };
  return { file: FILE, model: model.name, report, lastGood: model, busy: false, ...(profile && { profile }) };
}

test("profile: is started and cancelled, and colours the diagram by the time that was measured", async () => {
  const panel = await openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    host: { ready: () => Promise.resolve(profiledSnapshot()) },
  });
  const { page } = panel;
  const button = (name: string) => page.getByRole("button", { name });
  await page.getByRole("radio", { name: "Diagram" }).check({ force: true });
  await page.locator(".picture").waitFor();
  await button("Profile a training step").click();
  assert.deepEqual(await called(panel, "profile"), ["ResNet"]);
  await panel.view.snapshot(profiledSnapshot({ doing: "Measuring it op by op …" }));
  await page.getByText("Measuring it op by op …").waitFor();
  assert.equal(await button("Profile a training step").count(), 0, "one measurement at a time");
  await button("Cancel").click();
  assert.deepEqual(await called(panel, "endProfile"), []);

  const profile = profileOf(flowModel("residual"));
  await panel.view.snapshot(profiledSnapshot({ profile }));
  await page.locator(".picture").waitFor();
  await page.locator(".heat").first().waitFor();
  await page.getByText("A step of 64 samples on TensorFlow 2.21.0 with Layerwise's own kernels").waitFor();
  await page.getByText("Nothing fell back").waitFor();
  const heats = await page
    .locator(".heat")
    .evaluateAll((all) => all.map((one) => Number(one.getAttribute("fill-opacity"))));
  assert.equal(Math.max(...heats), 0.65, "the dearest layer is the hottest");
  await until("the choice says so", async () => {
    const shown = await page.locator("vscode-dropdown .selected-value").first().textContent();
    return shown?.trim() === "Heat: measured time";
  });

  await page.locator('.outline tr[data-path="stem.0"] .layer-link').click();
  const details = page.locator(".details");
  await details.getByText("Share of the step").waitFor();
  const [stem] = profile.layers;
  assert.equal(stem?.path, "stem.0");
  const text = (await details.textContent()) ?? "";
  assert.match(text, /Forward\s*20 µs/);
  assert.match(text, /Backward\s*40 µs/);

  await panel.view.snapshot(profiledSnapshot({ profile, outdated: true }));
  await page.getByText("The file has changed since.").waitFor();
  await panel.view.snapshot(
    profiledSnapshot({
      error: { code: "value", message: "The experiment's data has no batch to train on." },
    }),
  );
  await page.getByText("The training step can't be measured").waitFor();
  await until("no heat is left", async () => (await page.locator(".heat").count()) === 0);
});
