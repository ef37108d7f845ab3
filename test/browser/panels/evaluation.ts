/** The evaluation panel: recorded evaluations in every theme, and requests to the host by clicks, strokes and text. */
import assert from "node:assert/strict";
import { BOUNDS } from "../../bounds.ts";
import type { Answer, SamplePage, SampleQuery, Subject } from "../../../extension/protocol/evaluation.ts";
import type {
  EvaluationHostMethods,
  EvaluationSnapshot,
  EvaluationViewMethods,
} from "../../../extension/protocol/views.ts";
import { test, until } from "../../harness.ts";
import { shapeError } from "./errors.ts";
import { assertQuick } from "./frames.ts";
import { inspect, inThemes, type Look, looks } from "./looks.ts";
import {
  called,
  drawn,
  openPanel,
  readFixture,
  screenshotPage,
  type Panel,
  type PanelOptions,
} from "./page.ts";

type EvaluationPanel = Panel<EvaluationViewMethods>;

interface Recorded extends Required<Pick<EvaluationSnapshot, "run" | "result" | "report">> {
  answers: Answer[];
  page: SamplePage;
  pictures: { file: string; png: string }[];
}

export const recorded = (name: string): Recorded => readFixture("evaluations", `${name}.json`) as Recorded;

function snapshotOf({ run, result, report, pictures }: Recorded): EvaluationSnapshot {
  const drawn = pictures.map(({ file }) => {
    const [, epoch = "", name = ""] = /^epoch-(\d+)-(.+)\.png$/.exec(file) ?? [];
    return { file, name, at: Number(epoch), unit: "epoch" as const };
  });
  return { run, live: false, result, report, pictures: drawn, model: "closed" };
}

export function openEvaluation(
  given: Recorded,
  options: Partial<PanelOptions<EvaluationHostMethods>> = {},
): Promise<EvaluationPanel> {
  const { answers, page, pictures } = given;
  return openPanel<EvaluationHostMethods, EvaluationViewMethods>({
    view: "evaluation",
    height: 1200,
    ...options,
    host: {
      ready: () => Promise.resolve(snapshotOf(given)),
      samples: ({ offset, count }) =>
        Promise.resolve({
          total: 40,
          samples: page.samples.slice(0, count).map((one) => ({ ...one, index: one.index + offset })),
        }),
      ask: (subject) => {
        const [sample, other = sample] = answers;
        if (subject.kind === "sample") return Promise.resolve(sample);
        // The answer for a person's own input has no `made`.
        const { made: _, ...answer } = other!;
        return Promise.resolve(answer);
      },
      picture: (file) => Promise.resolve(pictures.find((one) => one.file === file)?.png ?? ""),
      ...options.host,
    },
  });
}

/** Many classes, many samples: the panel has to stay quick. */
function large(classes: number): Recorded {
  const given = recorded("digits");
  const confusion = Array.from({ length: classes }, (_row, actual) =>
    Array.from({ length: classes }, (_cell, predicted) =>
      actual === predicted ? 500 + ((actual * 37) % 90) : (actual * 7 + predicted * 3) % 19 === 0 ? 4 : 0,
    ),
  );
  const samples = confusion.flat().reduce((sum, cell) => sum + cell, 0);
  const names = confusion.map((_row, index) => `class ${index}`);
  const report = { ...given.report, listed: samples };
  return { ...given, report, result: { ...given.result, samples, confusion, classes: names } };
}

/** As after a person opened the first sample. */
export async function lookAtOne(panel: EvaluationPanel): Promise<void> {
  await panel.page.locator(".card").first().click();
  await panel.page.locator(".answer figure, .answer .bars").first().waitFor();
}

const recordings: Record<string, () => Recorded> = {
  digits: () => recorded("digits"),
  spirals: () => recorded("spirals"),
  temperature: () => recorded("temperature"),
  autoencoder: () => recorded("autoencoder"),
  gan: () => recorded("gan"),
  transformer: () => recorded("transformer"),
  classes: () => large(50),
};
for (const [name, given] of Object.entries(recordings)) {
  const shown = async (look: Look): Promise<EvaluationPanel> => {
    const panel = await openEvaluation(given(), { ...look, scale: 1 });
    if (name !== "gan") await lookAtOne(panel);
    return panel;
  };
  const [what, file] = [`evaluation looks right: ${name}`, `evaluation-${name}`];
  if (name === "digits") looks(what, file, shown);
  else inThemes(what, file, shown, ["spirals", "temperature"].includes(name) ? ["light", "hc"] : ["dark"]);
}

test("evaluation: while it runs there is progress to be seen and cancelled; a failure has its place", async () => {
  const given = recorded("digits");
  const { run } = given;
  const live = {
    run: { ...run, state: "running" as const },
    live: true,
    pictures: [],
    model: "closed" as const,
  };
  const panel = await openEvaluation(given, { host: { ready: () => Promise.resolve(live) } });
  await panel.view.progress({
    epoch: 1,
    epochs: 1,
    stepInEpoch: 3,
    stepsPerEpoch: 12,
    samplesPerSecond: 100,
    eta: 9,
    metrics: {},
  });
  await until(
    "the progress",
    async () => (await panel.page.getByRole("progressbar").getAttribute("aria-valuenow")) === "25",
  );
  await inspect(panel, "evaluation-running-dark");
  await panel.page.locator('vscode-button[aria-label="Cancel"]').click();
  await called(panel, "cancel");
  await panel.view.snapshot({ ...live, live: false, run: { ...run, state: "failed", error: shapeError() } });
  await panel.page.getByRole("alert").getByText("Evaluation failed").waitFor();
  await inspect(panel, "evaluation-failed-dark");
});

test("evaluation: on another machine it says which; one that nothing follows can be attached to", async () => {
  const given = recorded("digits");
  const on = { name: "gpu", run: "digits-0123456789ab" };
  const left = {
    run: { ...given.run, on, state: "running" as const },
    live: false,
    pictures: [],
    model: "closed" as const,
  };
  const panel = await openEvaluation(given, { host: { ready: () => Promise.resolve(left) } });
  const { page } = panel;
  await page.getByText("Running on gpu").waitFor();
  await page.locator(".badge", { hasText: "Not followed" }).waitFor();
  assert.equal(await page.getByText("ended unexpectedly").count(), 0);
  assert.equal(await page.locator(".header .button", { hasText: "Evaluate Again" }).count(), 0);
  await page.locator(".header .button", { hasText: "Attach" }).click();
  await called(panel, "attachRun");
  await panel.view.snapshot({ ...snapshotOf(given), run: { ...given.run, on } });
  await page.getByText("Ran on gpu").waitFor();
  assert.deepEqual(await panel.complaints(), []);
});

test("evaluation: of two hundred classes, the largest confusions lead to their samples, and the text says so", async () => {
  const given = recorded("digits");
  const confusion = Array.from({ length: 200 }, (_row, i) =>
    Array.from({ length: 200 }, (_cell, j) => (i === j ? 5 : i === 7 && j === 9 ? 3 : 0)),
  );
  const { classes: _names, ...result } = given.result;
  const panel = await openEvaluation({ ...given, result: { ...result, confusion } });
  const { page } = panel;
  const summary = await page.locator(".matrix-summary").innerText();
  assert.equal(summary, "1,000 of 1,003 predicted correctly. Choose a confusion to see its samples.");
  await page.locator(".confusions button").first().click();
  await page.getByText("Actual 7, predicted 9").waitFor();
});

test("evaluation: a cell of the matrix leads to its samples, by mouse and by keyboard, and survives hiding", async () => {
  const panel = await openEvaluation(recorded("digits"));
  const { page } = panel;
  const queries = (): SampleQuery[] =>
    panel.calls.filter(({ method }) => method === "samples").map(({ args }) => args[0] as SampleQuery);
  await page.locator('.cell[data-actual="8"][data-predicted="1"]').hover();
  await drawn(page);
  assert.match(
    await page.locator(".matrix-readout").innerText(),
    /^\d+ of \d+ samples of 8 predicted as 1 \(/,
  );
  await page.locator('.cell[data-actual="8"][data-predicted="1"]').click();
  await page.getByText("Actual 8, predicted 1").waitFor();
  await until("the first page", async () => (await page.locator(".card").count()) === 12);
  assert.deepEqual(queries(), [{ order: "hardest", actual: 8, predicted: 1, offset: 0, count: 24 }]);
  await page.locator("vscode-button", { hasText: "Show more" }).click();
  await until("the second page", async () => (await page.locator(".card").count()) === 24);
  assert.equal(queries()[1]?.offset, 12);
  await panel.reopen();
  await page.getByText("Actual 8, predicted 1").waitFor();
  await page.locator('.cell[data-actual="8"][data-predicted="1"]').focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await page.getByText("Actual 7, predicted 2").waitFor();
  await page.locator("vscode-button", { hasText: "Show all" }).click();
  // Without a cell, the report has them.
  const before = queries().length;
  await until("the hardest of all", async () => (await page.locator(".card").count()) === 24);
  assert.equal(queries().length, before);
  await page.getByRole("radio", { name: "Wrong only" }).check({ force: true });
  await until("the wrong ones", () => queries().at(-1)?.wrong === true);
});

test("evaluation: shares of rows, and classes by their recall", async () => {
  const { page } = await openEvaluation(recorded("digits"));
  await page.getByRole("radio", { name: "Row %" }).check({ force: true });
  const diagonal = page.locator('.cell[data-actual="0"][data-predicted="0"]');
  await until("a share", async () => (await diagonal.innerText()).trim() === "100");
  const recall = page.locator(".per-class th", { hasText: "Recall" });
  await recall.getByRole("button").click();
  await until("the order", async () => (await recall.getAttribute("aria-sort")) === "ascending");
  const values = (await page.locator(".per-class tbody tr td:nth-child(3)").allInnerTexts()).map(Number);
  assert.deepEqual(
    values,
    values.toSorted((a, b) => a - b),
  );
});

test("evaluation: what is drawn is asked as an image like the data's, the newest stroke last", async () => {
  const given = recorded("digits");
  const panel = await openEvaluation(given);
  const { page } = panel;
  const pad = page.locator("canvas.pad");
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + 100, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + 100, box.y + 170, { steps: 8 });
  await page.mouse.up();
  await page.locator(".prediction").waitFor();
  const asked = (): [Subject, boolean][] =>
    panel.calls.filter(({ method }) => method === "ask").map(({ args }) => args as [Subject, boolean]);
  const pixels = await until("the whole stroke", () => {
    const last = asked().at(-1)?.[0];
    const ink = last?.kind === "image" ? last.pixels.reduce((sum, one) => sum + one, 0) : 0;
    return last?.kind === "image" && ink > 6 && last.pixels;
  });
  assert.equal(pixels.length, 64);
  // A line from top to bottom, in the middle, as high as the data's digits are.
  const rows = Array.from({ length: 8 }, (_, y) => Math.max(...pixels.slice(8 * y, 8 * y + 8)));
  assert.ok(rows.filter((ink) => ink > 0.2).length >= 6, String(rows));
  const columns = Array.from({ length: 8 }, (_, x) =>
    pixels.reduce((sum, ink, i) => sum + (i % 8 === x ? ink : 0), 0),
  );
  assert.ok(columns[3]! + columns[4]! > 0.6 * columns.reduce((a, b) => a + b), String(columns));
  assert.deepEqual(asked().at(-1)?.[1], true);
  const before = asked().length;
  await pad.focus();
  for (const key of ["Delete", " ", "ArrowDown", "ArrowDown", " "]) await page.keyboard.press(key);
  await until("the keyboard's stroke", () => asked().length > before);
  await screenshotPage("evaluation-drawn");
});

test("evaluation: a row is edited and a text typed, and the model is asked", async () => {
  const rows = await openEvaluation(recorded("spirals"));
  const input = rows.page.getByRole("spinbutton").first();
  await input.fill("0.5");
  await input.press("Tab");
  const [subject] = (await called(rows, "ask")) as [Subject];
  assert.deepEqual([subject.kind, subject.kind === "row" && subject.values[0]], ["row", 0.5]);
  await rows.page.locator(".prediction").waitFor();
  const texts = await openEvaluation(recorded("transformer"));
  await texts.page.locator("textarea").fill("the internet");
  assert.deepEqual(await called(texts, "ask"), [{ kind: "text", text: "the internet" }, true]);
  await texts.page.locator(".prediction").waitFor();
  await screenshotPage("evaluation-typed");
});

test("evaluation: a sample that is chosen stands in the form, to be changed from there", async () => {
  const drawn = recorded("digits");
  const pixels = Array.from({ length: 64 }, (_, i) => (i % 8 === 3 ? 1 : 0));
  const image = await openEvaluation(drawn, {
    host: { ask: () => Promise.resolve({ ...drawn.answers[0]!, made: { kind: "image", pixels } }) },
  });
  await image.page.locator(".card").first().click();
  const ink = (): Promise<number> =>
    image.page.locator("canvas.pad").evaluate((pad) => {
      const { data } = (pad as HTMLCanvasElement).getContext("2d")!.getImageData(0, 0, 200, 200);
      return data.reduce((sum, one, i) => sum + (i % 4 === 3 ? one / 255 : 0), 0) / 40_000;
    });
  await until("an eighth of the pad's pixels", async () => Math.abs((await ink()) - 1 / 8) < 0.02);

  const given = recorded("spirals");
  const values = [0.25, -0.5];
  const rows = await openEvaluation(given, {
    host: { ask: () => Promise.resolve({ ...given.answers[0]!, made: { kind: "row", values } }) },
  });
  await rows.page.locator(".card").first().click();
  const input = rows.page.getByRole("spinbutton").nth(1);
  await until("its second number", async () => (await input.inputValue()) === "-0.5");
  rows.calls.length = 0;
  await input.fill("-0.75");
  await input.press("Tab");
  assert.deepEqual(await called(rows, "ask"), [{ kind: "row", values: [0.25, -0.75] }, true]);
});

test("evaluation: an answer that fails shows its error in place, and the next one works", async () => {
  const given = recorded("digits");
  let fails = true;
  const { page } = await openEvaluation(given, {
    host: {
      ask: () =>
        fails ? Promise.reject(new Error("the model's process ended")) : Promise.resolve(given.answers[0]),
    },
  });
  await page.locator(".card").first().click();
  await page.locator(".section-ask").getByRole("alert").getByText("the model's process ended").waitFor();
  fails = false;
  await page.locator(".card").nth(1).click();
  await page.locator(".prediction").waitFor();
  assert.equal(await page.getByRole("alert").count(), 0);
});

test("evaluation: 60,000 samples of 100 classes are drawn in a moment and stay fluid", async (note) => {
  const { page } = await openEvaluation(large(100));
  assert.equal(await page.locator(".cell").count(), 10_000);
  const milliseconds = await page.evaluate(async () => {
    const frame = (): Promise<number> => new Promise((resolve) => requestAnimationFrame(resolve));
    const cell = document.querySelector<HTMLElement>('.cell[data-actual="50"][data-predicted="50"]');
    let longest = 0;
    for (let i = 0; i < 20; i++) {
      const before = performance.now();
      cell?.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
      document.querySelector<HTMLElement>(".per-class .sort")?.click();
      await frame();
      await frame();
      longest = Math.max(longest, performance.now() - before);
    }
    return longest;
  });
  note(`${milliseconds.toFixed(0)} ms`);
  assertQuick(milliseconds, BOUNDS.largeDrawing, "two frames");
});

test("evaluation: the epochs of a generator's pictures", async () => {
  const given = recorded("gan");
  const { page } = await openEvaluation(given);
  await page.getByText("gan-samples after epoch 100").waitFor();
  await page.locator(".drawn img").waitFor();
  await page.getByRole("slider").fill("0");
  await page.getByText("gan-samples after epoch 10").waitFor();
});
