/**
 * Pictures of every state in every theme, each checked for accessibility, policy violations, sideways scrolling and
 * things that move; where the focus is hardest to show, in high contrast, for its use with the keyboard alone.
 */
import assert from "node:assert/strict";
import { QUICK, test } from "../../harness.ts";
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
import { accessibilityProblems, NARROW_RULES } from "../library/accessibility.ts";
import { openPanel, type Panel, screenshotPage, type ThemeName } from "./page.ts";
import { ended, FILE, flowModel, models, runningAt } from "./recordings.ts";
import { nanError, shapeError, syntaxError } from "./errors.ts";

/** High contrast last: it is used with the keyboard, which leaves the focus somewhere. */
const THEMES: readonly ThemeName[] = QUICK ? ["light", "hc"] : ["light", "dark", "hc-light", "hc"];
const NARROW = 380;

const trainingStates: Record<string, () => TrainingSnapshot> = {
  running: () => runningAt(420),
  paused: () => runningAt(300, { state: "paused" }),
  // The engine hasn't said yet which model it is, nor on what it runs.
  starting: () => {
    const { progress: _none, run, ...rest } = runningAt(0, { state: "starting", model: "", settings: {} });
    const { executor: _executor, parameters: _parameters, stepsPerEpoch: _steps, ...record } = run;
    return { ...rest, run: record };
  },
  waiting: () => ({ ...trainingStates["starting"]!(), waitsFor: ["20260131-142400-digits"] }),
  finished: () => ended("finished"),
  failed: () => ended("failed", { error: shapeError() }, 250),
  killed: () => ended("killed", {}, 330),
  // Nothing proves that its process has ended.
  silent: () => ({ ...runningAt(330), live: false }),
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
  untrusted: () => ({ file: FILE, busy: false, unbuilt: "trust" }),
  "on-request": () => ({ file: FILE, busy: false, unbuilt: "request" }),
  outdated: () => ({ ...architectureStates["model"]!(), outdated: true }),
  empty: () => ({ file: FILE, report: { ...report(), models: [] }, busy: false }),
};

function report(): NonNullable<ArchitectureSnapshot["report"]> {
  return { file: FILE, models: models(), experiments: [], errors: [] };
}

function lastGood(): Pick<ArchitectureSnapshot, "lastGood"> {
  const [model] = models();
  return model ? { lastGood: model } : {};
}

export interface Look {
  theme: ThemeName;
  width?: number;
  scale: number;
}

/** `rules`: those of axe-core that count, if not all. */
export async function inspect(
  panel: Panel<object>,
  name: string,
  rules?: "colours" | "names",
): Promise<void> {
  const problems = [
    ...(await panel.complaints()),
    ...(await accessibilityProblems(panel.page, rules)),
    ...(await motions(panel.page)).map((name) => `${name} moves, though reduced motion is set`),
  ];
  // For a picture of the whole page, the window grows, and what is scrolled comes back elsewhere.
  await screenshotPage(name);
  // These leave the focus somewhere.
  if (name.endsWith("-hc")) problems.push(...(await keyboardProblems(panel.page)));
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

type Open = (look: Look) => Promise<Panel<object>>;

/**
 * Registers how a state looks in one theme after another; what they don't change is checked in the first. `file` begins
 * the names of the pictures.
 */
export function inThemes(what: string, file: string, open: Open, themes: readonly ThemeName[]): void {
  test(what, async () => {
    const panel = await open({ theme: themes[0]!, scale: 1.5 });
    for (const theme of themes) {
      await panel.setTheme(theme);
      await inspect(panel, `${file}-${theme}`, theme === themes[0] ? undefined : "colours");
    }
  });
}

/** {@link inThemes}, and as narrow as a panel gets. */
export function looks(what: string, file: string, open: Open, themes = THEMES): void {
  inThemes(what, file, open, themes);
  test(`${what}, narrow`, async () =>
    inspect(await open({ theme: "light", width: NARROW, scale: 1.5 }), `${file}-narrow`, NARROW_RULES));
}

const openTraining = (snapshot: TrainingSnapshot, look: Look) =>
  openPanel<TrainingHostMethods, TrainingViewMethods>({
    view: "training",
    host: { ready: () => Promise.resolve(snapshot) },
    ...look,
  });

async function openArchitecture(
  snapshot: ArchitectureSnapshot,
  look: Look,
  view = "Summary",
): Promise<Panel<ArchitectureViewMethods>> {
  const panel = await openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    host: { ready: () => Promise.resolve(snapshot) },
    ...look,
  });
  const chosen = panel.page.getByRole("radio", { name: view });
  if ((await chosen.count()) > 0) await chosen.check({ force: true });
  return panel;
}

for (const [state, snapshot] of Object.entries(trainingStates))
  looks(
    `training looks right: ${state}`,
    `training-${state}`,
    (look) => openTraining(snapshot(), look),
    ["running", "finished", "diverged", "silent"].includes(state) ? THEMES : ["dark"],
  );

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

for (const [state, snapshot] of Object.entries(architectureStates))
  looks(
    `architecture looks right: ${state}`,
    `architecture-${state}`,
    (look) => openArchitecture(snapshot(), look),
    ["model", "nested"].includes(state) ? THEMES : ["dark"],
  );

for (const view of ["Diagram", "Printed"])
  looks(`architecture looks right: ${view}`, `architecture-${view.toLowerCase()}`, (look) =>
    openArchitecture(architectureStates["nested"]!(), look, view),
  );

const diagrams: Record<string, { model: string; ui: object }> = {
  residual: { model: "residual", ui: { selected: "blocks/0/conv1" } },
  heat: { model: "residual", ui: { heat: "multiplyAdds", opened: ["blocks", "blocks/3"] } },
  bert: {
    model: "bert",
    ui: { opened: ["bert", "bert/encoder", "bert/encoder/layer", "bert/encoder/layer/0"] },
  },
};
for (const [name, { model, ui }] of Object.entries(diagrams))
  looks(`diagram looks right: ${name}`, `diagram-${name}`, async (look) => {
    const shown = flowModel(model);
    const panel = await openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
      view: "architecture",
      host: {
        ready: async () => ({
          file: FILE,
          report: { ...report(), models: [shown] },
          model: shown.name,
          busy: false,
        }),
      },
      state: { file: FILE, ui: { view: "diagram", ...ui } },
      ...look,
    });
    await panel.page.locator(".picture").waitFor();
    return panel;
  });

looks("profile looks right", "profile", async (look) => {
  const snapshot = profiledSnapshot({ profile: profileOf(flowModel("residual")) });
  const panel = await openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    host: { ready: () => Promise.resolve(snapshot) },
    state: { file: FILE, ui: { view: "diagram", heat: "time", selected: "stem/0", opened: ["stem"] } },
    ...look,
  });
  await panel.page.locator(".heat").first().waitFor();
  await panel.page.locator(".choices summary").click();
  return panel;
});
