/**
 * Pictures of every state in every theme, each checked for accessibility, policy violations, sideways scrolling and
 * things that move; where the focus is hardest to show, in high contrast, for its use with the keyboard alone.
 */
import assert from "node:assert/strict";
import { test } from "../../harness.ts";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
  TrainingHostMethods,
  TrainingSnapshot,
  TrainingViewMethods,
} from "../../../extension/protocol/views.ts";
import { keyboardProblems, motions } from "./access.ts";
import { profiledSnapshot, profileOf } from "./profile.ts";
import { accessibilityProblems, openPanel, type Panel, screenshotPage, type ThemeName } from "./page.ts";
import { ended, FILE, flowModel, models, runningAt } from "./recordings.ts";
import { nanError, shapeError, syntaxError } from "./errors.ts";

export const THEMES: readonly ThemeName[] = ["light", "dark", "hc", "hc-light"];
export const NARROW = 380;

const trainingStates: Record<string, () => TrainingSnapshot> = {
  running: () => runningAt(420),
  paused: () => runningAt(300, { state: "paused" }),
  // The engine hasn't said yet which model it is, nor on what it runs.
  starting: () => {
    const { progress: _none, run, ...rest } = runningAt(0, { state: "starting", model: "", settings: {} });
    const { executor: _executor, parameters: _parameters, stepsPerEpoch: _steps, ...record } = run;
    return { ...rest, run: record };
  },
  finished: () => ended("finished"),
  failed: () => ended("failed", { error: shapeError() }, 250),
  killed: () => ended("killed", {}, 330),
  diverged: () => ended("failed", { error: nanError() }, 250),
};

const architectureStates: Record<string, () => ArchitectureSnapshot> = {
  model: () => ({ file: FILE, report: report(), model: "DigitsCNN", busy: false }),
  nested: () => ({ file: FILE, report: report(), model: "ResidualNet", busy: false }),
  stale: () => ({
    file: FILE,
    report: { ...report(), models: [], errors: [syntaxError()] },
    ...lastGood(),
    busy: false,
  }),
  shape: () => ({
    file: FILE,
    report: { ...report(), models: models().map((model) => ({ ...model, error: shapeError() })) },
    busy: true,
  }),
  empty: () => ({ file: FILE, report: { ...report(), models: [] }, busy: false }),
};

function report(): NonNullable<ArchitectureSnapshot["report"]> {
  return { file: FILE, models: models(), experiments: [], errors: [] };
}

function lastGood(): Pick<ArchitectureSnapshot, "lastGood"> {
  const [model] = models();
  return model ? { lastGood: model } : {};
}

export async function inspect(panel: Panel<object>, name: string): Promise<void> {
  await screenshotPage(name);
  const problems = [
    ...(await panel.complaints()),
    ...(await accessibilityProblems(panel.page)),
    ...(await motions(panel.page)).map((name) => `${name} moves, though less motion is asked for`),
    ...(name.endsWith("-hc") ? await keyboardProblems(panel.page) : []),
  ];
  assert.ok(
    problems.length === 0,
    `${problems.length} problems, such as\n${problems.slice(0, 3).join("\n")}`,
  );
  const { content, shown } = await panel.page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    shown: document.documentElement.clientWidth,
  }));
  assert.ok(content <= shown, `the page is ${content} px wide in a window of ${shown} px`);
}

const openTraining = (snapshot: TrainingSnapshot, theme: ThemeName, width?: number) =>
  openPanel<TrainingHostMethods, TrainingViewMethods>({
    view: "training",
    host: { ready: () => Promise.resolve(snapshot) },
    theme,
    scale: 1.5,
    ...(width === undefined ? {} : { width }),
  });

async function openArchitecture(
  snapshot: ArchitectureSnapshot,
  theme: ThemeName,
  width?: number,
  view = "Summary",
): Promise<Panel<ArchitectureViewMethods>> {
  const panel = await openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    host: { ready: () => Promise.resolve(snapshot) },
    theme,
    scale: 1.5,
    ...(width === undefined ? {} : { width }),
  });
  const chosen = panel.page.getByRole("radio", { name: view });
  if ((await chosen.count()) > 0) await chosen.check({ force: true });
  return panel;
}

for (const [state, snapshot] of Object.entries(trainingStates)) {
  for (const theme of ["running", "finished", "diverged"].includes(state) ? THEMES : (["dark"] as const))
    test(`training looks right: ${state}, ${theme}`, async () => {
      await inspect(await openTraining(snapshot(), theme), `training-${state}-${theme}`);
    });
  test(`training looks right: ${state}, narrow`, async () => {
    await inspect(await openTraining(snapshot(), "light", NARROW), `training-${state}-narrow`);
  });
}

test("looks: what moves is still where VS Code or the system asks for less motion", async () => {
  const panel = await openPanel<TrainingHostMethods, TrainingViewMethods>({
    view: "training",
    host: { ready: () => Promise.resolve(trainingStates["starting"]!()) },
    reducedMotion: false,
  });
  assert.ok((await motions(panel.page)).includes("spin"), "nothing moves that could be still");
  await panel.page.evaluate(() => document.body.classList.add("vscode-reduce-motion"));
  assert.deepEqual(await motions(panel.page), []);
});

for (const [state, snapshot] of Object.entries(architectureStates)) {
  for (const theme of state === "model" || state === "nested" ? THEMES : (["dark"] as const))
    test(`architecture looks right: ${state}, ${theme}`, async () => {
      await inspect(await openArchitecture(snapshot(), theme), `architecture-${state}-${theme}`);
    });
  test(`architecture looks right: ${state}, narrow`, async () => {
    await inspect(await openArchitecture(snapshot(), "light", NARROW), `architecture-${state}-narrow`);
  });
}

for (const theme of THEMES)
  for (const view of ["Diagram", "Printed"] as const)
    test(`architecture looks right: ${view}, ${theme}`, async () => {
      const panel = await openArchitecture(architectureStates["nested"]!(), theme, undefined, view);
      await inspect(panel, `architecture-${view.toLowerCase()}-${theme}`);
    });

const diagrams: Record<string, { model: string; ui: object }> = {
  residual: { model: "residual", ui: { selected: "blocks/0/conv1" } },
  heat: { model: "residual", ui: { heat: "multiplyAdds", opened: ["blocks", "blocks/3"] } },
  bert: {
    model: "bert",
    ui: { opened: ["bert", "bert/encoder", "bert/encoder/layer", "bert/encoder/layer/0"] },
  },
};
for (const [name, { model, ui }] of Object.entries(diagrams))
  for (const [look, theme, width] of [
    ...THEMES.map((one) => [one, one, undefined] as const),
    ["narrow", "light", NARROW] as const,
  ])
    test(`diagram looks right: ${name}, ${look}`, async () => {
      const shown = flowModel(model);
      const panel = await openArchitecture(
        { file: FILE, report: { ...report(), models: [shown] }, model: shown.name, busy: false },
        theme,
        width,
      );
      await panel.page.evaluate(
        (state) => sessionStorage.setItem("state", state),
        JSON.stringify({ file: FILE, ui: { view: "diagram", ...ui } }),
      );
      await panel.reopen();
      await panel.page.locator(".picture").waitFor();
      await inspect(panel, `diagram-${name}-${look}`);
    });

for (const [look, theme, width] of [
  ...THEMES.map((one) => [one, one, undefined] as const),
  ["narrow", "light", NARROW] as const,
])
  test(`profile looks right: ${look}`, async () => {
    const snapshot = profiledSnapshot({ profile: profileOf(flowModel("residual")) });
    const panel = await openArchitecture(snapshot, theme, width);
    await panel.page.evaluate(
      (state) => sessionStorage.setItem("state", state),
      JSON.stringify({
        file: FILE,
        ui: { view: "diagram", heat: "time", selected: "stem/0", opened: ["stem"] },
      }),
    );
    await panel.reopen();
    await panel.page.locator(".heat").first().waitFor();
    await panel.page.locator(".choices summary").click();
    await inspect(panel, `profile-${look}`);
  });
