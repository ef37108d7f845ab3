/** The training panel: controls, live data, long runs, keyboard, screen readers. */
import assert from "node:assert/strict";
import type { MetricRow } from "../../../extension/protocol/run.ts";
import type { TrainingSnapshot } from "../../../extension/protocol/views.ts";
import { test, until } from "../../harness.ts";
import { noteFromNowOn, soundsOf, toldBy } from "../library/telling.ts";
import { shapeError } from "./errors.ts";
import { looks } from "./looks.ts";
import { defaultUi } from "../../../webview/training/state.ts";
import { called, drawn, screenshotPage } from "./page.ts";
import { ended, FILE, recording, runningAt } from "./recordings.ts";
import { chart, open, picture, press, text } from "./trainingPage.ts";

function waiting(): TrainingSnapshot {
  const { progress: _none, ...snapshot } = runningAt(0, { state: "starting" });
  return { ...snapshot, waitsFor: ["20260131-142400-digits"] };
}

const buttonNames: Record<string, [snapshot: () => TrainingSnapshot, buttons: Record<string, string>]> = {
  running: [
    () => runningAt(200),
    { Pause: "pause", Stop: "stop", "Save Checkpoint": "checkpoint", "Show Log": "showLog" },
  ],
  paused: [
    () => runningAt(200, { state: "paused" }),
    {
      Resume: "resume",
      "Single Step": "step",
      Stop: "stop",
      "Save Checkpoint": "checkpoint",
      "Show Log": "showLog",
    },
  ],
  clustered: [
    () => runningAt(200, { on: { name: "cluster", kind: "ray", run: "digits-0123456789ab" } }),
    { Stop: "stop", "Show Log": "showLog" },
  ],
  waiting: [waiting, { Cancel: "stop", "Show Log": "showLog" }],
  finished: [
    () => ended("finished"),
    { "Train Again": "trainAgain", Evaluate: "evaluate", "Show Log": "showLog" },
  ],
  killed: [
    () => ended("killed"),
    { Resume: "resumeRun", "Train Again": "trainAgain", Evaluate: "evaluate", "Show Log": "showLog" },
  ],
  diverged: [
    () => ended("failed", { error: { code: "non-finite", message: "The loss is NaN at step 3 (epoch 1)." } }),
    {
      "Roll Back": "rollBack",
      Resume: "resumeRun",
      "Train Again": "trainAgain",
      Evaluate: "evaluate",
      "Show Log": "showLog",
    },
  ],
};
for (const [state, [snapshot, buttons]] of Object.entries(buttonNames))
  test(`training: buttons of a ${state} run call the host`, async () => {
    const panel = await open(snapshot());
    const shown = panel.page.locator(".header vscode-button");
    assert.deepEqual(
      await shown.evaluateAll((all) => all.map((button) => button.getAttribute("aria-label"))),
      Object.keys(buttons),
    );
    for (const [name, method] of Object.entries(buttons)) {
      panel.calls.length = 0;
      await press(panel, name);
      assert.deepEqual(await called(panel, method), []);
    }
  });

test("training: a button waits for the host, and says why the host could not", async () => {
  let refuse: (reason: Error) => void = () => undefined;
  const panel = await open(runningAt(200), {
    host: { stop: () => new Promise<void>((_resolve, reject) => (refuse = reject)) },
  });
  await press(panel, "Stop");
  const stop = panel.page.locator(".header vscode-button[disabled]");
  assert.match(await stop.innerText(), /Stopping/);
  await called(panel, "stop");
  await stop.click({ force: true });
  assert.equal(panel.calls.length, 1, "a second click is not a second call");
  refuse(new Error("the process does not answer"));
  await panel.page.getByRole("alert").getByText("Stop: the process does not answer").waitFor();
  await stop.waitFor({ state: "detached" });
  await press(panel, "Dismiss");
  await until("the notice goes", async () => (await panel.page.getByRole("alert").count()) === 0);
});

test("training: a run that waits for its turn says for which, and starts when that has ended", async () => {
  const snapshot = waiting();
  const panel = await open(snapshot);
  const badge = panel.page.locator(".header .badge");
  assert.match(await badge.innerText(), /Waiting/);
  await panel.page.getByRole("button", { name: "20260131-142400-digits" }).click();
  assert.deepEqual(await called(panel, "openRun"), ["20260131-142400-digits"]);
  await panel.view.record(snapshot.run, true, []);
  await until("its start", async () => /Starting/.test(await badge.innerText()));
  assert.equal(await panel.page.getByText("20260131-142400-digits").count(), 0);
});

test("training: the curves and numbers follow the run", async () => {
  const panel = await open(runningAt(100));
  const { rows } = recording();
  const before = await picture(panel, "loss");
  await panel.view.rows(rows.slice(100, 250));
  const { run, progress } = runningAt(250);
  await panel.view.record(run, true);
  if (progress) await panel.view.progress(progress);
  await until("the curve grows", async () => (await picture(panel, "loss")) !== before);
  const label = await chart(panel, "loss").getByRole("group").getAttribute("aria-label");
  const steps = rows.slice(0, 250).filter((row) => row.kind === "step").length;
  assert.match(label ?? "", new RegExp(`${steps} points`));
  // The page draws a message a frame: the numbers may follow the curve.
  await until("the numbers follow", async () =>
    /Epoch 8 \/ 20 Step 5 \/ 34 Samples\/s 9\.21 k/.test(await text(panel, ".progress-facts")),
  );
  assert.match(await text(panel, ".section-metrics tbody"), /accuracy 0\.9294 0\.9139 0\.9139 epoch 6/);
});

test("training: a panel that was hidden comes back with the user's settings and the newest snapshot", async () => {
  let rows = 200;
  const panel = await open(runningAt(0), { host: { ready: () => Promise.resolve(runningAt(rows)) } });
  await panel.page.getByRole("radio", { name: "Epoch" }).check({ force: true });
  await panel.page.getByLabel("Smoothing").fill("0.9");
  await panel.page.getByRole("checkbox", { name: "Log scale" }).click();
  await drawn(panel.page);
  const saved = await panel.page.evaluate(() => JSON.parse(sessionStorage.getItem("state") ?? "{}"));
  assert.deepEqual(saved, {
    runId: "20260131-142501-digits",
    file: FILE,
    // Undefined fields are not in JSON.
    ui: JSON.parse(JSON.stringify({ ...defaultUi, axis: "epoch", logScale: true, smoothing: 0.9 })),
  });
  rows = 400;
  await panel.reopen();
  assert.equal(await panel.page.getByRole("radio", { name: "Epoch" }).isChecked(), true);
  assert.equal(await panel.page.getByLabel("Smoothing").inputValue(), "0.9");
  assert.equal(
    await panel.page.getByRole("checkbox", { name: "Log scale" }).getAttribute("aria-checked"),
    "true",
  );
  assert.match(await text(panel, ".progress-facts"), /Epoch 12 \/ 20/);
  await screenshotPage("training-log-scale-by-epoch");
});

test("training: everything can be reached and pressed with the keyboard alone", async () => {
  const panel = await open(ended("finished"));
  const reached = new Set<string>();
  for (let presses = 0; presses < 30; presses++) {
    await panel.page.keyboard.press("Tab");
    reached.add(
      await panel.page.evaluate(() => {
        const { activeElement: active } = document;
        return active?.getAttribute("aria-label") ?? active?.textContent?.trim() ?? "";
      }),
    );
  }
  for (const name of ["Train Again", "Evaluate", "Show Log", "digits.nn.ts", "Log scale", "Values by epoch"])
    assert.ok(reached.has(name), `${name} is not among ${[...reached].join(" | ")}`);
  await panel.page.locator('vscode-button[aria-label="Train Again"]').focus();
  await panel.page.keyboard.press("Enter");
  await called(panel, "trainAgain");
});

test("training: screen readers hear of epochs now and then, and of the end at once", async () => {
  const panel = await open({ ...runningAt(100), telling: { progressInterval: 10, sounds: false } });
  await noteFromNowOn(panel.page);
  const { run } = runningAt(180);
  await panel.view.record({ ...run, epoch: 3 }, true);
  await until("the first summary", async () => (await toldBy(panel.page)).length === 1);
  await panel.view.record({ ...run, epoch: 4 }, true);
  await panel.view.record({ ...run, epoch: 5 }, true);
  await panel.page.waitForTimeout(300);
  await panel.view.record({ ...run, state: "finished" }, false);
  await until("the end", async () => (await toldBy(panel.page)).at(-1)?.startsWith("Finished. loss"));
  const told = await toldBy(panel.page);
  assert.match(told[0]!, /^Epoch 3 of 20\. loss/);
  assert.equal(told.length, 2, "the next summary was to wait");
  assert.deepEqual(await soundsOf(panel.page), []);
});

test("training: the same text twice in a row is heard twice", async () => {
  const panel = await open(runningAt(100));
  await noteFromNowOn(panel.page);
  for (const told of [1, 2]) {
    const event = {
      ...recording().rows[0]!,
      kind: "event" as const,
      step: 100 + told,
      values: {},
      text: "Saved.",
    };
    await panel.view.rows([event]);
    await until("the announcement", async () => (await toldBy(panel.page)).length === told);
  }
  assert.deepEqual(
    (await toldBy(panel.page)).map((text) => text.trim()),
    ["Saved.", "Saved."],
  );
});

test("training: with sounds, a spike, a failure and the end differ, once in a while, if the browser lets them", async () => {
  const telling = { progressInterval: 0, sounds: true };
  const step = (at: number, loss: number): MetricRow => ({
    ...recording().rows[0]!,
    step: at,
    values: { loss },
  });
  for (const allowed of [true, false]) {
    const snapshot = runningAt(400);
    const panel = await open({ ...snapshot, telling });
    await noteFromNowOn(panel.page, allowed);
    await panel.view.rows([step(1001, 90), step(1002, Number.NaN)]);
    await panel.view.record({ ...snapshot.run, epoch: 15 }, true);
    await panel.view.record({ ...snapshot.run, state: "failed" }, false);
    await panel.view.record({ ...snapshot.run, state: "finished" }, false);
    const heard = ["context", 880, 880, "context", 330, 220, "context", 523, 784];
    const expected = allowed ? heard : heard.filter((one) => one === "context");
    await until("the sounds", async () => (await soundsOf(panel.page)).length >= expected.length);
    assert.deepEqual(await soundsOf(panel.page), expected);
    const told = await until("two texts of states", async () => {
      const texts = await toldBy(panel.page);
      return texts.length >= 3 && texts;
    });
    assert.match(
      told.join("\n"),
      /^Spike at step 1,001: loss 90\.0000, \d\.\d+ before\. loss is nan at step 1,002\.$/m,
    );
    assert.match(told.join("\n"), /^Failed\. loss/m);
    assert.match(told.join("\n"), /^Finished\. loss/m);
    assert.doesNotMatch(told.join("\n"), /Epoch/);
  }
});

test("training: a failed run leads to the line, the callers and the last checkpoint", async () => {
  const snapshot = ended("failed", { error: shapeError() }, 250);
  const panel = await open(snapshot);
  await panel.page.getByRole("button", { name: "digits.nn.ts:31:18" }).click();
  assert.deepEqual(await called(panel, "openSource"), [FILE, 31, 18]);
  await panel.page.getByText("Called from").click();
  panel.calls.length = 0;
  await panel.page.getByRole("button", { name: "digits.nn.ts:52:20" }).click();
  assert.deepEqual(await called(panel, "openSource"), [FILE, 52, 20]);
  await press(panel, "Reveal last.safetensors");
  assert.deepEqual(await called(panel, "revealCheckpoint"), [snapshot.run.checkpoints.at(-1)]);
});

test("training: checkpoints can be evaluated and revealed", async () => {
  const snapshot = ended("finished");
  const best = snapshot.run.checkpoints.find(({ kind }) => kind === "best");
  const panel = await open(snapshot);
  await press(panel, "Evaluate best.safetensors");
  assert.deepEqual(await called(panel, "evaluate"), [best]);
  await press(panel, "Reveal best.safetensors");
  assert.deepEqual(await called(panel, "revealCheckpoint"), [best]);
});

test("training: the values by epoch are a table, newest first", async () => {
  const panel = await open(ended("finished"));
  await panel.page.getByText("Values by epoch").click();
  const first = panel.page.locator(".by-epoch tbody tr").first();
  await first.waitFor();
  assert.equal((await first.innerText()).replaceAll(/\s+/g, " "), "20 0.0873 0.0838 0.9675 0.9694 2.4 s");
  assert.equal(await panel.page.locator(".by-epoch tbody tr").count(), 20);
  await screenshotPage("training-values-by-epoch");
});

test("training: its timing is opened with the keyboard, follows the run and stays open", async () => {
  const { rows } = recording();
  let shown = 20;
  const panel = await open(runningAt(0), { host: { ready: () => Promise.resolve(runningAt(shown)) } });
  const timing = panel.page.locator(".section-timing");
  assert.equal(await timing.count(), 0, "no epoch is over yet");
  await panel.view.rows(rows.slice(20, 360));
  const summary = timing.locator("summary");
  await summary.focus();
  assert.equal(await text(panel, ".section-timing"), "Timing 109 ms per epoch");
  await panel.page.keyboard.press("Enter");
  await timing.locator(".figures").waitFor();
  assert.equal(await summary.evaluate((element) => element === document.activeElement), true);
  await panel.view.rows(rows.slice(360));
  const figures = "Epoch 102 ms Samples/s 11.8 k Validation 7.8 % Checkpoints 2.0 %";
  const all = async (): Promise<string> =>
    (
      await timing
        .locator(".figures div")
        .evaluateAll((pairs) =>
          pairs.map((pair) => [...pair.children].map(({ textContent }) => textContent).join(" ")),
        )
    ).join(" ");
  await until("the last epochs", async () => (await all()) === figures);
  shown = rows.length;
  await panel.reopen();
  assert.equal(
    await timing.locator("details").evaluate((details) => (details as HTMLDetailsElement).open),
    true,
  );
  await summary.focus();
  await panel.page.keyboard.press("Space");
  await until("it is closed", async () => (await timing.locator(".figures").count()) === 0);
});

looks("training looks right: timing", "training-timing", (look) => {
  const snapshot = ended("finished");
  const { id: runId, file } = snapshot.run;
  return open(snapshot, { ...look, state: { runId, file, ui: { timingOpen: true } } });
});

test("training: until the host answers the panel says that it is loading, and an error is shown", async () => {
  const waiting = await open(runningAt(0), {
    waitReady: false,
    host: { ready: () => new Promise(() => undefined) },
  });
  await waiting.page.getByRole("status").getByText("Loading the run…").waitFor();
  await screenshotPage("training-loading");
  const refused = await open(runningAt(0), {
    waitReady: false,
    host: { ready: () => Promise.reject(new Error("the run directory is gone")) },
  });
  await refused.page.getByText("the run directory is gone").waitFor();
});
