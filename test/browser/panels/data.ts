/** The panel of an experiment's data: what is shown of it, pages of samples, draws, equal samples. */
import assert from "node:assert/strict";
import type {
  DataHostMethods,
  DataPage,
  DataQuery,
  DataSample,
  DataSnapshot,
  DataSummary,
  DataView,
  DataViewMethods,
  SamplePlace,
} from "../../../extension/protocol/data/data.ts";
import { EngineError } from "../../../extension/protocol/errors.ts";
import { encodePng } from "../../../extension/formats/images/png.ts";
import { test, until } from "../../harness.ts";
import { looks } from "./looks.ts";
import { called, openPanel, type Panel, type PanelOptions } from "./page.ts";

type DataPanel = Panel<DataViewMethods>;

const FILE = "/home/ada/models/digits.nn.ts";
const bins = Array.from({ length: 20 }, (_, i) => Math.round(400 * Math.exp(-(((i - 8) / 4) ** 2))));
const range = { minimum: 0, maximum: 1, mean: 0.3049, std: 0.3766, missing: 0, histogram: bins };

const DIGITS: DataSummary = {
  splits: [
    {
      name: "train",
      samples: 1437,
      read: 1437,
      repeated: 0,
      missing: 0,
      classes: [143, 146, 142, 147, 145, 146, 145, 143, 139, 141],
    },
    {
      name: "validation",
      samples: 360,
      read: 360,
      repeated: 2,
      inTraining: 12,
      missing: 3,
      classes: [35, 36, 35, 36, 36, 36, 36, 36, 35, 39],
    },
  ],
  tensors: [
    {
      name: "input",
      role: "input",
      dtype: "float32",
      shape: [1, 8, 8],
      range,
      axis: "channel",
      columns: [{ name: "0", range }],
    },
    { name: "target", role: "target", dtype: "int64", shape: [], range: { ...range, maximum: 9, mean: 4.5 } },
  ],
  batch: {
    tensors: [
      { name: "input", role: "input", dtype: "float32", shape: [32, 1, 8, 8] },
      { name: "target", role: "target", dtype: "int64", shape: [32] },
    ],
  },
  classes: Array.from({ length: 10 }, (_, i) => String(i)),
  pairs: Array.from({ length: 12 }, (_, i) => [
    { split: "train", index: 10 * i },
    { split: "validation", index: i },
  ]),
  findings: [
    {
      kind: "duplicates",
      text: "12 of 360 validation samples (3.3 %) have the same inputs as a training sample. Remove duplicates before the split.",
    },
  ],
};

const TABLE: DataSummary = {
  splits: [{ name: "train", samples: 10_000_000, read: 20_000, repeated: 0, missing: 41 }],
  tensors: [
    {
      name: "input",
      role: "input",
      dtype: "float32",
      shape: [70],
      range: { ...range, missing: 41 },
      axis: "column",
      columns: Array.from({ length: 8 }, (_, i) => ({
        name: i === 3 ? "<b>bold</b>" : `column ${i}`,
        range: { ...range, minimum: -i, missing: i === 2 ? 41 : 0 },
        absent: i === 2 ? 5 : 0,
      })),
      allColumns: 70,
    },
  ],
  batch: {
    tensors: [],
    error: {
      code: "value",
      message:
        "experiment(): expected samples of the data set to be lists of tensors, such as [input, target]",
    },
  },
  pairs: [],
  findings: [],
};

function digit(index: number): DataView {
  const data = new Uint8Array(4 * 64).map((_, at) =>
    at % 4 === 3 ? 255 : Math.abs(((at >> 2) % 8) - 3.5) < 1.5 + (index % 3) ? 220 : 20,
  );
  const png = encodePng({ width: 8, height: 8, data }).toString("base64");
  return { kind: "image", png, width: 8, height: 8 };
}

const sampleAt = ({ split, index }: SamplePlace): DataSample =>
  index === 7
    ? { split, index, fields: [], error: { code: "exception", message: "broken file" } }
    : {
        split,
        index,
        fields: [
          { name: "input", role: "input", dtype: "float32", shape: [1, 8, 8], view: digit(index) },
          {
            name: "target",
            role: "target",
            dtype: "int64",
            shape: [],
            view: { kind: "class", index: index % 10, name: String(index % 10) },
          },
        ],
      };

function pageOf({ split, offset, count, actual }: DataQuery): DataPage {
  const total = actual === undefined ? (split === "train" ? 1437 : 360) : 30;
  const samples = Array.from({ length: Math.min(count, total - offset) }, (_, i) =>
    sampleAt({ split, index: offset + i }),
  );
  return { total, samples };
}

/** Rows of a table, texts and series. */
function mixed({ split, offset }: DataQuery): DataPage {
  const views: DataView[] = [
    {
      kind: "numbers",
      shape: [4],
      values: [5.1, 3.5, 1.4, 0.2],
      names: ["sepal length", "sepal width", "petal length", "petal width"],
    },
    { kind: "string", text: '<img src=x onerror="alert(1)"> is a text', length: 4000 },
    {
      kind: "series",
      shape: [60, 2],
      lines: [0, 1].map((line) => Array.from({ length: 60 }, (_, i) => Math.sin(i / 6 + line) + line)),
    },
    { kind: "text", tokens: ["a", " ", "b", "\n"] },
  ];
  return {
    total: 4,
    samples: views.map((view, i) => ({
      split,
      index: offset + i,
      fields: [
        { name: "input", role: "input", dtype: "float32", shape: [4], view },
        {
          name: "target",
          role: "target",
          dtype: "float32",
          shape: [2],
          view: { kind: "numbers", shape: [2], values: [i / 3, -i] },
        },
      ],
    })),
  };
}

const snapshot = (change: Partial<DataSnapshot> = {}): DataSnapshot => ({
  file: FILE,
  exportName: "default",
  summary: DIGITS,
  ...change,
});

let round = 0;

export function openData(
  options: Partial<PanelOptions<DataHostMethods>> = {},
  now = snapshot(),
): Promise<DataPanel> {
  return openPanel<DataHostMethods, DataViewMethods>({
    view: "data",
    ...options,
    host: {
      ready: () => Promise.resolve(now),
      samples: (query) => Promise.resolve(now.summary === TABLE ? mixed(query) : pageOf(query)),
      places: (places) => Promise.resolve(places.map(sampleAt)),
      draw: ({ split, index }) =>
        Promise.resolve({
          original: sampleAt({ split, index }),
          draws: Array.from({ length: 8 }, (_, i) => sampleAt({ split, index: index + i + ++round })),
          fixed: false,
        }),
      ...options.host,
    },
  });
}

const press = (panel: DataPanel, name: string): Promise<void> =>
  panel.page.locator(`vscode-button[aria-label="${name}"]`).first().click();

test("data: splits, classes, the batch, values and findings are shown with their numbers", async () => {
  const panel = await openData();
  const { page } = panel;
  assert.match(await page.locator("h1").innerText(), /Data of digits\.nn\.ts/);
  const cells = async (selector: string): Promise<string[][]> =>
    page
      .locator(`${selector} tbody tr`)
      .evaluateAll((rows) =>
        rows.map((row) =>
          [...row.querySelectorAll("th, td")].map((cell) =>
            (cell.textContent ?? "").replaceAll(/\s+/g, " ").trim(),
          ),
        ),
      );
  assert.deepEqual(await cells(".splits"), [
    ["Training", "1,437", "all", "0", "0", ""],
    ["Validation", "360", "all", "3", "2", "12"],
  ]);
  assert.deepEqual((await cells(".classes"))[0], ["0", "143 10.0 %", "35 9.7 %"]);
  assert.deepEqual(await cells(".batch"), [
    ["input", "input", "float32", "[32, 1, 8, 8]"],
    ["target", "target", "int64", "[32]"],
  ]);
  assert.match(
    await page.locator(".finding").innerText(),
    /Validation samples are also trained on\s+12 of 360/,
  );
  // Samples come after the numbers.
  await page.locator(".cards > li").nth(23).waitFor();
  assert.equal(await page.locator(".cards > li").count(), 24);
  assert.match(await page.locator(".card-failed").innerText(), /broken file/);
  assert.deepEqual(await panel.complaints(), []);
});

test("data: samples come in pages, of a split and of a class, also after hiding", async () => {
  const panel = await openData();
  const { page } = panel;
  const shows = (text: string): Promise<unknown> =>
    until(text, async () => (await page.locator(".list-foot [role=status]").innerText()) === text);
  await shows("1 to 24 of 1,437");
  await press(panel, "Next page");
  await shows("25 to 48 of 1,437");
  await press(panel, "Last page");
  await shows("1,417 to 1,437 of 1,437");
  await page.locator(".section-samples .segmented label", { hasText: "Validation" }).click();
  await shows("1 to 24 of 360");
  await page.locator(".classes .link", { hasText: "3" }).click();
  await shows("1 to 24 of 30");
  assert.deepEqual(panel.calls.at(-1)?.args, [{ split: "validation", offset: 0, count: 24, actual: 3 }]);
  await panel.reopen();
  await shows("1 to 24 of 30");
});

test("data: a sample is drawn again, and closed, with the keyboard", async () => {
  const panel = await openData();
  const { page } = panel;
  await page.locator(".card").nth(2).focus();
  await page.keyboard.press("Enter");
  await page.getByText("Training Sample 2").waitFor();
  await page.locator(".draws li").nth(7).waitFor();
  const pictures = (): Promise<string[]> =>
    page.locator(".draws img").evaluateAll((all) => all.map((one) => (one as HTMLImageElement).src));
  const before = await pictures();
  await press(panel, "Draw Again");
  await until("other draws", async () => (await pictures()).join() !== before.join());
  await press(panel, "Close");
  await until("closed", async () => (await page.locator(".looked").count()) === 0);
});

test("data: pairs of equal samples are shown side by side", async () => {
  const panel = await openData();
  await panel.page.getByText("Show 12 pairs").click();
  await until("pairs", async () => (await panel.page.locator(".pairs-of-samples > li").count()) === 12);
  const first = await panel.page.locator(".pairs-of-samples > li").first().innerText();
  assert.match(first, /Training Sample 0[^]*Validation Sample 0/);
});

test("data: rows, texts with HTML and series have views of their own", async () => {
  const panel = await openData({}, snapshot({ summary: TABLE }));
  const { page } = panel;
  await page.getByText('<img src=x onerror="alert(1)"> is a text').waitFor();
  await page.getByRole("img", { name: "Sample 2, input, 60 points" }).waitFor();
  assert.match(await page.locator(".section-columns").innerText(), /<b>bold<\/b>/);
  assert.match(await page.locator(".section-columns").innerText(), /The first 8 of 70/);
  assert.match(await page.locator(".splits").innerText(), /10,000,000\s+20,000, evenly spaced/);
  assert.match(await page.locator(".section-batch .error-box").innerText(), /lists of tensors/);
});

test("data: reading shows its progress, can be cancelled, and starts again on request", async () => {
  const panel = await openData({}, { file: FILE, exportName: "small", reading: {} });
  const { page, view } = panel;
  await page.getByText(/Starting/).waitFor();
  await view.snapshot({
    file: FILE,
    exportName: "small",
    reading: { progress: { split: "train", read: 3400, of: 20_000 } },
  });
  await page.getByText("Reading training data: 3,400 of 20,000 samples").first().waitFor();
  await press(panel, "Cancel");
  await called(panel, "cancel");
  await view.snapshot({ file: FILE, exportName: "small" });
  await press(panel, "Read the Data");
  await called(panel, "read");
  await view.snapshot(snapshot({ outdated: true }));
  await page.getByText("The file has changed since the data was read.").waitFor();
});

test("data: a failure of the host is shown, and the request is repeated on demand", async () => {
  let broken = true;
  const panel = await openData({
    host: {
      ready: () => (broken ? Promise.reject(new Error("The file is gone.")) : Promise.resolve(snapshot())),
    },
  });
  await panel.page.locator(".error-box", { hasText: "The file is gone." }).waitFor();
  broken = false;
  await press(panel, "Try Again");
  await panel.page.locator(".cards > li").nth(23).waitFor();
});

test("data: samples that can't be read say why, at the user's line, until the message is dismissed", async () => {
  const error = {
    code: "exception",
    message: "broken file",
    position: { file: FILE, line: 12, column: 9 },
  };
  const panel = await openData({
    host: {
      samples: ({ split }) =>
        split === "train"
          ? Promise.resolve(pageOf({ split, offset: 0, count: 24 }))
          : Promise.reject(new Error("The process ended.")),
      draw: () => Promise.reject(new EngineError(error)),
    },
  });
  const { page } = panel;
  await page.locator(".card").nth(2).click();
  const box = page.locator(".looked .error-box", { hasText: "broken file" });
  await box.locator(".link", { hasText: "digits.nn.ts:12:9" }).click();
  assert.deepEqual(await called(panel, "openSource"), [FILE, 12, 9]);
  await box.locator('vscode-button[aria-label="Dismiss"]').click();
  await until("closed", async () => (await page.locator(".looked").count()) === 0);
  await page.locator(".section-samples .segmented label", { hasText: "Validation" }).click();
  const notice = page.locator(".section-samples .notice", { hasText: "The process ended." });
  await notice.locator('vscode-button[aria-label="Dismiss"]').click();
  await until("dismissed", async () => (await notice.count()) === 0);
  assert.doesNotMatch(await page.locator(".section-samples").innerText(), /There is no sample/);
});

const STATES: Record<string, DataSnapshot> = {
  digits: snapshot(),
  table: snapshot({ summary: TABLE, outdated: true }),
  reading: {
    file: FILE,
    exportName: "default",
    reading: { progress: { split: "train", read: 3400, of: 20_000 } },
  },
  unread: { file: FILE, exportName: "default" },
  failed: {
    file: FILE,
    exportName: "default",
    error: {
      code: "file",
      message: "There is no file flowers.csv.",
      position: { file: FILE, line: 12, column: 9 },
    },
  },
};

for (const [name, state] of Object.entries(STATES))
  looks(
    `data looks right: ${name}`,
    `data-${name}`,
    (look) => openData(look, state),
    ["digits", "table"].includes(name) ? undefined : ["dark"],
  );

looks("data looks right: a sample", "data-sample", async (look) => {
  const ui = { split: "train", offset: 0, actual: -1, index: 2, pairs: true };
  const panel = await openData({ ...look, state: { file: FILE, exportName: "default", ui } });
  await panel.page.locator(".draws li").nth(7).waitFor();
  return panel;
});
