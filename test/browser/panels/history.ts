/** Where a run comes from, two runs on one page, and a run's report. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { encodePng } from "../../../extension/formats/images/png.ts";
import type { ModelReport } from "../../../extension/protocol/preview.ts";
import type { ListedRun, RunHistory } from "../../../extension/protocol/views.ts";
import { test, until } from "../../harness.ts";
import { recorded } from "./evaluation.ts";
import { looks } from "./looks.ts";
import { accessibilityProblems } from "../library/accessibility.ts";
import { called, screenshotPage } from "./page.ts";
import { ended, flowModel, placesOf } from "./recordings.ts";
import { open, press, text, type TrainingPanel } from "./trainingPage.ts";

const OTHER = "20260131-142400-digits";
const DRAWN = encodePng({ width: 96, height: 64, data: new Uint8Array(96 * 64 * 3).fill(120) }).toString(
  "base64",
);
const SOURCE = `import { nn, type Tensor } from "layerwise";

export class DigitsCNN extends nn.Module {
  conv1 = new nn.Conv2d(1, 16, 3, { padding: 1 });
  fc = new nn.Linear(1024, 10);

  forward(x: Tensor): Tensor {
    return this.fc(this.conv1(x).relu().flatten(1));
  }
}
`;

function historyOf(id: string): RunHistory {
  const own = id !== OTHER;
  const { run } = ended("finished");
  return {
    run: own
      ? run
      : {
          ...run,
          id,
          seed: 1,
          settings: { ...run.settings, optimizer: "Adam (lr=0.02)" },
          metrics: { loss: 0.12, accuracy: 0.96 },
        },
    file: "digits.nn.ts",
    source: own ? SOURCE : SOURCE.replaceAll("16, 3", "8, 3").replace("1024", "512"),
    imports: own ? { "data.ts": "export const size = 8;\n" } : {},
    provenance: {
      version: 1,
      command: "layerwise train digits.nn.ts --seed 0",
      git: { commit: (own ? "0123456789" : "9876543210").repeat(4), patch: own ? "--- a/x\n+++ b/x\n" : "" },
      versions: {
        Layerwise: "0.9.0",
        Node: "v20.19.0",
        Backend: "TensorFlow 2.21.0 with Layerwise's own kernels",
      },
      machine: { system: "Linux 6.1 x64", processor: "A processor", cores: 8, memory: 32e9 },
      model: `DigitsCNN(\n  (conv1): Conv2d(1, ${own ? 16 : 8}, kernel_size=(3, 3))\n)`,
    },
  };
}

function listed(): ListedRun[] {
  const labels = { name: "", tags: [], archived: false };
  return [ended("finished").run, historyOf(OTHER).run].map((run) => ({ run, labels, live: false }));
}

const openRun = (options: Parameters<typeof open>[1] = {}): Promise<TrainingPanel> =>
  open(ended("finished"), {
    ...options,
    host: {
      historyOf: (id) => Promise.resolve(historyOf(id)),
      runs: () => Promise.resolve(listed()),
      ...options.host,
    },
  });

async function showDiff(panel: TrainingPanel): Promise<void> {
  await panel.page.locator(`vscode-button[aria-label="Show Differences to This Run ${OTHER}"]`).click();
  await panel.page.locator(".diff-lines").first().waitFor();
}

test("history: a run says how it came about, and is run again and opened", async () => {
  const panel = await openRun();
  await panel.page.locator(".section-origin .pairs").waitFor();
  const shown = await text(panel, ".section-origin");
  for (const part of [
    "Command layerwise train digits.nn.ts --seed 0",
    "Commit 012345678901, changes in 1 file",
    "Node v20.19.0",
    "A processor, 8 cores",
  ])
    assert.ok(shown.includes(part), `${part} is not in ${shown}`);
  await panel.page.locator('vscode-button[aria-label^="Run Again"]').click();
  await called(panel, "runAgain");
  await press(panel, "Open This Version");
  await called(panel, "openVersion");
  assert.deepEqual(await panel.complaints(), []);
});

test("history: a run of an earlier version has nothing to run again, but a report", async () => {
  const { run } = ended("finished");
  const panel = await openRun({
    host: { historyOf: () => Promise.resolve({ run, file: "digits.nn.ts", imports: {} }) },
  });
  await panel.page.getByText("Runs of earlier versions have not kept").waitFor();
  assert.equal(await panel.page.locator(".section-origin vscode-button").count(), 1);
});

test("history: two runs are compared on one page: metrics, settings, architecture, code", async () => {
  const panel = await openRun();
  await showDiff(panel);
  const shown = await text(panel, ".section-diff");
  for (const part of [
    `From ${OTHER} to 20260131-142501-digits`,
    "loss 0.1200 0.0873 -0.0326 better",
    "seed 1 0",
    "optimizer Adam (lr=0.02) Adam (lr=0.002)",
    "commit 987654321098 012345678901",
    "data.ts added",
  ])
    assert.ok(shown.includes(part), `${part} is not in ${shown}`);
  const lines = await panel.page.locator(".diff-removed code, .diff-added code").allInnerTexts();
  assert.deepEqual(lines.map((line) => line.trim()).slice(0, 4), [
    "(conv1): Conv2d(1, 8, kernel_size=(3, 3))",
    "(conv1): Conv2d(1, 16, kernel_size=(3, 3))",
    "conv1 = new nn.Conv2d(1, 8, 3, { padding: 1 });",
    "fc = new nn.Linear(512, 10);",
  ]);
  await screenshotPage("history-diff");
  await press(panel, "Close Differences");
  await until("it is closed", async () => (await panel.page.locator(".section-diff").count()) === 0);
  assert.deepEqual(await panel.complaints(), []);
});

/** Text that would do something in a page that doesn't escape it. */
const HOSTILE = `</text></svg><script>document.title = "run"</script><img src="x" onerror="alert(1)">-->`;

/** A model whose first layer and its class have such names. */
function hostileModel(): ModelReport {
  const model = flowModel("residual");
  const { rows, flow } = model;
  const { nodes, edges } = flow!;
  return {
    ...model,
    name: HOSTILE,
    rows: rows.map((row, i) => (i === 1 ? { ...row, className: HOSTILE, detail: HOSTILE } : row)),
    flow: {
      nodes: nodes.map((node, i) => (i === 1 ? { ...node, name: HOSTILE, className: HOSTILE } : node)),
      edges: edges.map((edge) => ({ ...edge, shape: `[1] ${HOSTILE}` })),
    },
  };
}

/** Saves the report of a run whose model is given, and opens it as a page of its own: answers what it has asked for. */
async function openReport(model: ModelReport): Promise<{ page: Page; asked: string[] }> {
  const { report, result, pictures } = recorded("digits");
  const panel = await openRun({
    host: {
      pictures: () =>
        Promise.resolve([1, 2].map((at) => ({ file: `${at}`, name: HOSTILE, at, unit: "epoch" }) as const)),
      picture: () => Promise.resolve(pictures[0]?.png ?? DRAWN),
      diagram: async (look) => ({ model, look, places: await placesOf(model, look) }),
      samples: () =>
        Promise.resolve({
          evaluation: OTHER,
          split: report.split,
          hardest: report.hardest.slice(0, 6),
          examples: report.examples.slice(0, 6),
          classes: result.classes ?? [],
        }),
    },
  });
  await press(panel, "Save Report");
  const [name, base64] = (await called(panel, "saveFile")) as [string, string];
  assert.equal(name, "20260131-142501-digits.html");
  assert.deepEqual(await panel.complaints(), []);
  const { page } = panel;
  await page.goto("about:blank");
  const asked: string[] = [];
  page.on("request", (request) => {
    if (!request.url().startsWith("data:")) asked.push(request.url());
  });
  await page.setContent(Buffer.from(base64, "base64").toString("utf8"));
  return { page, asked };
}

test("history: a report is one file that runs nothing and loads nothing", async () => {
  const { page, asked } = await openReport(flowModel("residual"));
  assert.equal((await page.locator("svg polyline").count()) > 2, true);
  assert.match(await page.locator("body").innerText(), /layerwise train digits\.nn\.ts --seed 0/);
  await page.locator("summary").first().click();
  assert.match(await page.locator("details pre").first().innerText(), /class DigitsCNN extends nn\.Module/);
  assert.ok((await page.locator(".picture .box").count()) > 5, "the diagram has no boxes");
  const broken = await page.locator("img").evaluateAll(async (images) => {
    const loaded = await Promise.all(
      (images as HTMLImageElement[]).map((image) =>
        image.decode().then(
          () => image.naturalWidth > 0,
          () => false,
        ),
      ),
    );
    return { all: loaded.length, bad: loaded.filter((one) => !one).length };
  });
  assert.ok(broken.all >= 8 && broken.bad === 0, JSON.stringify(broken));
  assert.equal(await page.locator("script").count(), 0);
  assert.deepEqual(asked, []);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await screenshotPage(`history-report-${colorScheme}`);
    assert.deepEqual(await accessibilityProblems(page, "colours"), [], colorScheme);
  }
  // Paper is white, whatever the screen is.
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  await screenshotPage("history-report-print");
  assert.equal(
    await page.evaluate(() => getComputedStyle(document.body).backgroundColor),
    "rgb(255, 255, 255)",
  );
  await page.emulateMedia({ media: null, colorScheme: null });
});

test("history: a report of a model with hostile names shows them as text", async () => {
  const { page, asked } = await openReport(hostileModel());
  assert.ok((await page.locator(".picture text").allTextContents()).some((text) => text.includes(HOSTILE)));
  assert.equal(await page.locator("script, img[onerror], img[src='x']").count(), 0);
  assert.notEqual(await page.title(), "run");
  assert.deepEqual(asked, []);
});

looks("history looks right", "history", async (look) => {
  const panel = await openRun(look);
  await showDiff(panel);
  await panel.page.locator(".section-origin .pairs").waitFor();
  return panel;
});
