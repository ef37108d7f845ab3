/** The evaluation panel's "Intervene": units that are switched off or set, and which of them matter. */
import assert from "node:assert/strict";
import type {
  AblationQuery,
  InterventionAnswer,
  InterventionQuery,
  Ranking,
} from "../../../extension/protocol/interventions.ts";
import type { EvaluationHostMethods, EvaluationViewMethods } from "../../../extension/protocol/views.ts";
import { test, until } from "../../harness.ts";
import { lookAtOne, openEvaluation, recorded } from "./evaluation.ts";
import { inspect, inThemes, looks, type Look } from "./looks.ts";
import { called, readFixture, type Panel, type PanelOptions } from "./page.ts";

type EvaluationPanel = Panel<EvaluationViewMethods>;

/** A model's answers without changes, and without the unit that matters most. */
interface Changed {
  ranking: Ranking;
  none: InterventionAnswer;
  most: InterventionAnswer;
}

const changed = (name: string): Changed =>
  readFixture("evaluations", `${name}-interventions.json`) as Changed;

type Name = "digits" | "transformer" | "temperature";

async function open(
  name: Name,
  options: Partial<PanelOptions<EvaluationHostMethods>> = {},
): Promise<EvaluationPanel> {
  const { ranking, none, most } = changed(name);
  const panel = await openEvaluation(recorded(name), {
    ...options,
    host: {
      intervene: ({ interventions }) => Promise.resolve(interventions.length === 0 ? none : most),
      rankUnits: () => Promise.resolve(ranking),
      ...options.host,
    },
  });
  await lookAtOne(panel);
  await panel.page.locator(".intervene-fold summary").first().click();
  // The recording is of a layer that isn't the first.
  const { layer, part } = ranking;
  await panel.page.locator(".intervene-units vscode-dropdown").evaluate((dropdown, value) => {
    (dropdown as HTMLSelectElement).value = value;
    dropdown.dispatchEvent(new Event("change"));
  }, `${part}::${layer}`);
  await panel.page.locator("[data-unit]").first().waitFor();
  return panel;
}

async function rankAndChange({ page }: EvaluationPanel): Promise<void> {
  await page.locator("vscode-button", { hasText: "Rank Units" }).click();
  await page.locator(".ranked-unit").first().click();
  await page.locator('.ranked-unit[aria-pressed="true"]').waitFor();
  await page.mouse.move(0, 0);
}

const shown =
  (name: Name) =>
  async (look: Look): Promise<EvaluationPanel> => {
    const panel = await open(name, { ...look, scale: 1 });
    await rankAndChange(panel);
    await panel.page.locator(".section-intervene").evaluate((section) => section.scrollIntoView());
    return panel;
  };
looks("intervene looks right: channels", "intervene-digits", shown("digits"));
inThemes("intervene looks right: heads", "intervene-transformer", shown("transformer"), ["dark", "hc"]);
inThemes("intervene looks right: a regression", "intervene-temperature", shown("temperature"), ["light"]);

const queries = ({ calls }: EvaluationPanel): InterventionQuery[] =>
  calls.filter(({ method }) => method === "intervene").map(({ args }) => args[0] as InterventionQuery);

test("intervene: a click switches a unit off, a second one on, and the outcomes stand side by side", async () => {
  const panel = await open("digits");
  const { page } = panel;
  const { ranking, none, most } = changed("digits");
  const { layer, part } = ranking;
  const { index } = recorded("digits").report.hardest[0]!;
  assert.deepEqual(queries(panel)[0], { subject: { kind: "sample", index }, interventions: [] });
  await until("the question for its units", () => {
    const { of } = queries(panel).at(-1)!;
    return of?.layer === layer && of.part === part;
  });
  assert.equal(await page.locator("[data-unit]").count(), none.units!.values.length);
  assert.equal(await page.locator("[data-unit] img").count(), none.units!.maps!.length);
  const { unit } = ranking.ranked[0]!;
  await page.locator(`[data-unit="${unit}"]`).click();
  await until("the changed unit", () => queries(panel).at(-1)?.interventions.length === 1);
  assert.deepEqual(queries(panel).at(-1)?.interventions, [{ layer, part, unit, by: { mode: "zero" } }]);
  await page.locator(`[data-unit="${unit}"][aria-selected="true"]`).waitFor();
  await page.getByText(`conv2, channel ${unit}: off`).waitFor();
  const loss = page.locator(".intervene-outcome .pairs div", { hasText: "Loss" });
  await loss.getByText(`${none.before.loss!.toFixed(4)} → ${most.after.loss!.toFixed(4)}`).waitFor();
  assert.equal(await page.locator(".versus tbody tr").count(), 10);
  await page.locator(`[data-unit="${unit}"]`).click();
  await page.getByText("No unit is changed.").waitFor();
  await until("the unchanged model", () => queries(panel).at(-1)?.interventions.length === 0);
});

test("intervene: units take another sample's value, by keyboard, and Reset restores all", async () => {
  const panel = await open("digits");
  const { page } = panel;
  await page.getByRole("radio", { name: "Another sample's value" }).check({ force: true });
  const donor = page.locator(".donor input");
  await donor.fill("12");
  await donor.press("Tab");
  await page.locator('[data-unit="0"]').focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press(" ");
  await until("two changes", () => queries(panel).at(-1)?.interventions.length === 2);
  const [first, second] = queries(panel).at(-1)!.interventions;
  assert.deepEqual([first?.unit, first?.by], [2, { mode: "sample", sample: 12 }]);
  assert.ok(second!.unit > 2 + 1, "the arrow comes to the row below");
  await page.getByText("conv2, channel 2: sample 12").waitFor();
  // Another replacement takes the place of the first.
  await page.getByRole("radio", { name: "Its mean" }).check({ force: true });
  await page.locator('[data-unit="2"]').click();
  await page.getByText("conv2, channel 2: mean").waitFor();
  await until("the other value", () =>
    queries(panel)
      .at(-1)
      ?.interventions.some(({ unit, by }) => unit === 2 && by.mode === "mean"),
  );
  assert.equal(queries(panel).at(-1)?.interventions.length, 2);
  await page.locator('vscode-button[aria-label="Restore conv2, channel 2"]').click();
  await until("one change", () => queries(panel).at(-1)?.interventions.length === 1);
  await page.locator(".section-intervene vscode-button", { hasText: "Reset" }).click();
  await page.getByText("No unit is changed.").waitFor();
  await page.locator(".section-intervene summary").first().click();
  const before = queries(panel).length;
  await page.locator(".card").nth(1).click();
  await page.locator(".answer .prediction").waitFor();
  assert.equal(queries(panel).length, before, "a closed section asks nothing");
});

test("intervene: a ranking has progress, can be stopped, and its bars change units", async () => {
  const { ranking } = changed("digits");
  const answers: ((ranking: Ranking | undefined) => void)[] = [];
  const panel = await open("digits", {
    host: {
      rankUnits: () => new Promise((resolve) => answers.push(resolve)),
      stopRanking: async () => answers.shift()?.(undefined),
    },
  });
  const { page } = panel;
  const rank = page.locator("vscode-button", { hasText: "Rank Units" });
  await page.getByRole("radio", { name: "All data" }).check({ force: true });
  await rank.click();
  const [query] = (await called(panel, "rankUnits")) as [AblationQuery];
  assert.deepEqual(query, { layer: "conv2", part: "output", scope: { kind: "set" }, mode: "zero" });
  await panel.view.ranking({ done: 512, of: 2048 });
  const bar = page.getByRole("progressbar", { name: "Progress of the ranking" });
  await until("the progress", async () => (await bar.getAttribute("aria-valuenow")) === "25");
  await inspect(panel, "intervene-ranking-dark");
  await page.locator('vscode-button[aria-label="Stop"]').click();
  await called(panel, "stopRanking");
  await rank.waitFor();
  assert.equal(await page.locator(".ranked").count(), 0);
  await page.getByRole("radio", { name: /^Class / }).check({ force: true });
  await rank.click();
  await until("the second ranking", () => answers.length === 1);
  answers.shift()!(ranking);
  const rows = page.locator(".ranked tbody tr");
  await until("the first rows", async () => (await rows.count()) === 16);
  await page.locator(".ranking vscode-button", { hasText: "Show all 32" }).click();
  await until("all rows", async () => (await rows.count()) === 32);
  const [most] = ranking.ranked;
  assert.match(await rows.first().innerText(), new RegExp(`channel ${most!.unit}\\s+\\+0\\.0380`));
  await rows.first().getByRole("button").click();
  await page.locator(`[data-unit="${most!.unit}"][aria-selected="true"]`).waitFor();
  // Another sample's class may be another one.
  await page.locator(".card").nth(1).click();
  await until("no ranking of another class", async () => (await rows.count()) === 0);
  const { index } = recorded("digits").report.hardest[1]!;
  const { interventions } = await until("the question for that sample", () => {
    const last = queries(panel).at(-1)!;
    return last.subject.kind === "sample" && last.subject.index === index && last;
  });
  assert.equal(interventions.length, 1, "changes stay for the next sample");
});

test("intervene: an error has its place, and layers that can't be changed are listed", async () => {
  let fails = false;
  const { none } = changed("transformer");
  const { page } = await open("transformer", {
    host: {
      intervene: () =>
        fails
          ? Promise.reject(new Error("embedding gives another shape for sample 12"))
          : Promise.resolve(none),
    },
  });
  await page.getByText("1 layer can't be changed").click();
  await page.getByText("position (Embedding) gives [40, 64]").waitFor();
  fails = true;
  await page.locator('[data-unit="0"]').click();
  await page.locator(".section-intervene").getByRole("alert").getByText("another shape").waitFor();
  fails = false;
  await page.locator('[data-unit="0"]').click();
  await until("no error", async () => (await page.getByRole("alert").count()) === 0);
});
