/** The panel of a sweep: charts, selection, table, what its buttons do. */
import assert from "node:assert/strict";
import type { SweepRecord } from "../../../extension/protocol/sweeps/sweep.ts";
import type {
  ShownTrial,
  SweepHostMethods,
  SweepSnapshot,
  SweepViewMethods,
} from "../../../extension/protocol/sweeps/views.ts";
import { test, until } from "../../harness.ts";
import { looks } from "./looks.ts";
import { called, openPanel, type Panel, type PanelOptions } from "./page.ts";

type SweepPanel = Panel<SweepViewMethods>;

const SWEEP: SweepRecord = {
  version: 1,
  id: "20260131-142501-digits",
  state: "running",
  file: "/home/ada/models/digits.nn.ts",
  exportName: "default",
  createdAt: "2026-01-31T14:25:01.000Z",
  space: {
    lr: { kind: "float", low: 1e-4, high: 1e-1, log: true, default: 1e-3 },
    width: { kind: "choice", values: [32, 64, 128], default: 32 },
    dropout: { kind: "float", low: 0, high: 0.5, log: false, default: 0.25 },
    activation: { kind: "choice", values: ["relu", "gelu", "tanh"], default: "relu" },
    layers: { kind: "int", low: 1, high: 4, step: 1, log: false, default: 2 },
  },
  mode: "min",
  search: "random",
  pruner: "asha",
  reductionFactor: 4,
  gracePeriod: 1,
  seed: 7,
  trials: 40,
  parallel: 2,
  device: "auto",
  epochs: 27,
  epochsGiven: false,
  trialSeed: 0,
};

/** Numbers that look random and are the same each time. */
const noise = (n: number, of: number): number =>
  (((Math.sin(n * 12.9898 + of * 78.233) * 43758.5453) % 1) + 1) % 1;

function trialOf(number: number): ShownTrial {
  const lr = 10 ** (-4 + 3 * noise(number, 1));
  const settings = {
    lr,
    width: [32, 64, 128][Math.floor(3 * noise(number, 2))]!,
    dropout: noise(number, 3) / 2,
    activation: ["relu", "gelu", "tanh"][Math.floor(3 * noise(number, 4))]!,
    layers: 1 + Math.floor(4 * noise(number, 5)),
  };
  const value = 0.1 + 0.3 * Math.abs(Math.log10(lr / 0.004)) + 0.1 * noise(number, 6);
  const start = Date.parse(SWEEP.createdAt) + number * 3000;
  const base = {
    number,
    settings,
    run: `20260131-1425${String(number).padStart(2, "0")}-digits-trial-${number}`,
    startedAt: new Date(start).toISOString(),
    metric: "val_loss",
  };
  if (number === 30)
    return {
      ...base,
      state: "failed",
      error: "The loss is NaN in step 12.",
      endedAt: new Date(start + 900).toISOString(),
    };
  if (number >= 32) return { ...base, state: "running", live: { epoch: 4, epochs: 27, value } };
  const pruned = value > 0.55;
  return {
    ...base,
    state: pruned ? "pruned" : "complete",
    value,
    epoch: pruned ? 1 : 20 + (number % 7),
    endedAt: new Date(start + (pruned ? 800 : 6200)).toISOString(),
  };
}

const trials = Array.from({ length: 34 }, (_, number) => trialOf(number));
const complete = trials.filter(({ state }) => state === "complete");
const best = complete.reduce((a, b) => (b.value! < a.value! ? b : a)).number;

function snapshot(change: Partial<SweepSnapshot> = {}, sweep: Partial<SweepRecord> = {}): SweepSnapshot {
  return {
    sweep: { ...SWEEP, ...sweep },
    trials,
    best,
    importances: [
      { name: "lr", value: 0.83 },
      { name: "activation", value: 0.31 },
      { name: "width", value: 0.12 },
      { name: "dropout", value: 0.08 },
      { name: "layers", value: 0.02 },
    ],
    live: true,
    stoppable: true,
    ...change,
  };
}

const states: Record<string, () => SweepSnapshot> = {
  running: () => snapshot(),
  finished: () =>
    snapshot(
      { trials: trials.slice(0, 32), live: false, stoppable: false },
      { state: "finished", trials: 32 },
    ),
  interrupted: () => snapshot({ live: false, stoppable: false }),
  failed: () => ({
    ...snapshot({ trials: [trials[30]!], importances: [], live: false, stoppable: false }),
    sweep: {
      ...SWEEP,
      state: "failed",
      error: {
        code: "sweep",
        message: 'The curves have no metric "val_f1".',
        hint: "They have loss, val_loss.",
      },
    },
  }),
  empty: () => {
    const { best: _, ...rest } = snapshot({ trials: [], importances: [] });
    return rest;
  },
};

export function openSweep(
  options: Partial<PanelOptions<SweepHostMethods>> = {},
  now = snapshot(),
): Promise<SweepPanel> {
  return openPanel<SweepHostMethods, SweepViewMethods>({
    view: "sweep",
    ...options,
    host: { ready: () => Promise.resolve(now), ...options.host },
  });
}

/** The arguments of the last call of a method, which is forgotten. */
async function calledLast(panel: SweepPanel, method: string): Promise<unknown[]> {
  const args = await called(panel, method);
  panel.calls.length = 0;
  return args;
}

const rows = (panel: SweepPanel): Promise<string[]> =>
  panel.page
    .locator(".trials-table tbody tr th")
    .allTextContents()
    .then((all) => all.map((one) => one.trim()));

test("a sweep shows its facts, a line and a row for each trial, and the best one", async () => {
  const panel = await openSweep();
  const { page } = panel;
  assert.match(await page.locator("h1").innerText(), /Sweep of digits\.nn\.ts/);
  const facts = await page.locator(".facts li").allTextContents();
  assert.deepEqual(facts.slice(0, 5), [
    "Random search",
    "ASHA",
    "val_loss, smaller is better",
    "Seed 7",
    "32 of 40 trials",
  ]);
  assert.equal(await page.locator(".parallel .trial").count(), 33);
  assert.equal(await page.locator(".scatter").count(), 5);
  assert.equal((await rows(panel)).length, 34);
  assert.equal((await page.locator(".trials-table tr[aria-current] th").innerText()).trim(), String(best));
  assert.deepEqual(await panel.complaints(), []);
});

test("trials sort by the metric and by settings, and follow new snapshots", async () => {
  const panel = await openSweep();
  const { page, view } = panel;
  await page.locator(".trials-table th button", { hasText: "val_loss" }).click();
  await until("the best trial first", async () => (await rows(panel))[0] === String(best));
  await page.locator(".trials-table th button", { hasText: "lr" }).click();
  const lowest = trials.reduce((a, b) =>
    Number(b.settings["lr"]) < Number(a.settings["lr"]) ? b : a,
  ).number;
  await until("the lowest rate first", async () => (await rows(panel))[0] === String(lowest));
  await view.snapshot(snapshot({ trials: trials.slice(0, 3) }));
  await until("three rows", async () => (await rows(panel)).length === 3);
});

test("dragging along an axis selects trials in all charts and the table, also after hiding", async () => {
  const panel = await openSweep({ width: 1100 });
  const { page } = panel;
  const grip = page.locator('.grip[data-axis="lr"]');
  await grip.scrollIntoViewIfNeeded();
  const box = (await grip.boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height * 0.05);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height * 0.5, { steps: 5 });
  await page.mouse.up();
  const expected = trials.filter(
    ({ settings }) =>
      Math.log10(Number(settings["lr"])) >= -2.5 && Math.log10(Number(settings["lr"])) <= -1.15,
  );
  await until("a selection", async () => Math.abs((await rows(panel)).length - expected.length) <= 1);
  const count = (await rows(panel)).length;
  assert.ok(count < 34);
  assert.ok((await page.locator(".parallel .trial:not(.faded)").count()) >= count - 1);
  await panel.reopen();
  assert.equal((await rows(panel)).length, count);
  await page.locator(".section-parallel .button").click();
  await until("all trials", async () => (await rows(panel)).length === 34);
});

test("an axis is moved with the keyboard alone", async () => {
  const panel = await openSweep();
  const { page } = panel;
  await page.locator('.grip[data-axis="width"]').focus();
  for (let i = 0; i < 6; i++) await page.keyboard.press("ArrowDown");
  const narrow = trials.filter(({ settings }) => settings["width"] !== 128).length;
  await until("no trial of the largest width", async () => (await rows(panel)).length === narrow);
  await page.keyboard.press("Escape");
  await until("all trials again", async () => (await rows(panel)).length === 34);
});

test("buttons apply settings, open curves, stop and resume", async () => {
  const panel = await openSweep();
  const { page } = panel;
  await page.locator(".header .button", { hasText: "Apply Best Settings" }).click();
  assert.deepEqual(await calledLast(panel, "apply"), [best]);
  await page.locator(".trials-table tbody tr").nth(2).locator(".row-actions .button").click();
  assert.deepEqual(await calledLast(panel, "apply"), [2]);
  await page.locator(".trials-table tbody tr").nth(4).locator(".link").click();
  assert.deepEqual(await calledLast(panel, "openTrial"), [4]);
  await page.locator(".header .button", { hasText: "Stop" }).click();
  assert.deepEqual(await calledLast(panel, "stop"), []);
  await panel.view.snapshot(snapshot({ live: false, stoppable: false }, { state: "stopped" }));
  await page.locator(".header .button", { hasText: "Resume" }).click();
  assert.deepEqual(await calledLast(panel, "resume"), []);
});

test("a failed call of a sweep's panel is a notice", async () => {
  const panel = await openSweep({
    host: { apply: () => Promise.reject(new Error("The sweep in this file has no parameter lr.")) },
  });
  await panel.page.locator(".header .button", { hasText: "Apply Best Settings" }).click();
  await until("a notice", async () =>
    /no parameter lr/.test(await panel.page.locator(".notice").innerText()),
  );
});

for (const [name, state] of Object.entries(states))
  looks(
    `a sweep looks right: ${name}`,
    `sweep-${name}`,
    (look) => openSweep(look, state()),
    name === "running" ? undefined : ["dark"],
  );

looks("a sweep's selection looks right", "sweep-selection", (look) =>
  openSweep({
    ...look,
    state: { sweepId: SWEEP.id, file: SWEEP.file, ui: { brushes: { lr: [0.4, 0.8], width: [0.4, 1] } } },
  }),
);
