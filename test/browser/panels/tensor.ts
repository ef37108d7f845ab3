/** The viewer of one tensor: cells, colours, slices, keys, selection, scrolling of a million rows. */
import assert from "node:assert/strict";
import type {
  TensorHostMethods,
  TensorSnapshot,
  TensorViewMethods,
} from "../../../extension/protocol/tensorFile.ts";
import type {
  TensorStatistics,
  TensorValues,
  TensorWindow,
} from "../../../extension/protocol/tensorValues.ts";
import { test, until } from "../../harness.ts";
import { looks } from "./looks.ts";
import { called, openPanel, type Panel, type PanelOptions } from "./page.ts";

type Viewer = Panel<TensorViewMethods>;

const CONV: TensorSnapshot = {
  name: "conv2.weight",
  from: "best.safetensors",
  dtype: "F32",
  shape: [32, 16, 12, 20],
  file: "/home/ada/models/best.safetensors",
};
const TALL: TensorSnapshot = { ...CONV, name: "embedding.weight", shape: [1_000_000, 64] };

const STATISTICS: TensorStatistics = {
  count: 122_877,
  min: -1,
  max: 1,
  mean: 0.0021,
  std: 0.58,
  zeros: 12,
  nans: 3,
  infinities: 0,
  histogram: Array.from({ length: 20 }, (_, bin) => Math.round(800 * Math.exp(-(((bin - 9.5) / 4) ** 2)))),
};

/** A wave, with a NaN, an infinite number and a row of zeros. */
function valueAt(place: readonly number[]): number | string {
  const [row, column] = place.slice(-2) as [number, number];
  if (row === 2 && column === 3) return "nan";
  if (row === 4 && column === 1) return "-inf";
  if (row === 6) return 0;
  return Math.sin((row + 2 * column) / 4 + place.slice(0, -2).reduce((sum, index) => sum + index, 0));
}

const windowOf =
  ({ shape }: TensorSnapshot) =>
  ({ rowAxis, columnAxis, at, row, rows, column, columns }: TensorWindow): Promise<TensorValues> => {
    const [height, width] = [
      Math.min(rows, (shape[rowAxis] ?? 1) - row),
      Math.min(columns, (shape[columnAxis] ?? 1) - column),
    ];
    const values = Array.from({ length: height * width }, (_, n) =>
      valueAt(
        at.map((index, i) =>
          i === rowAxis ? row + Math.floor(n / width) : i === columnAxis ? column + (n % width) : index,
        ),
      ),
    );
    return Promise.resolve({ rows: height, columns: width, values });
  };

function open(options: Partial<PanelOptions<TensorHostMethods>> = {}, tensor = CONV): Promise<Viewer> {
  return openPanel<TensorHostMethods, TensorViewMethods>({
    view: "tensor",
    ...options,
    host: {
      ready: () => Promise.resolve(tensor),
      statistics: () => Promise.resolve(STATISTICS),
      window: windowOf(tensor),
      copy: ({ rows, columns }) => Promise.resolve(rows * columns),
      ...options.host,
    },
  });
}

const cell = (viewer: Viewer, row: number, column: number) =>
  viewer.page.locator(`[id="cell-${row}-${column}"]`);

const reads = (viewer: Viewer, text: string): Promise<unknown> =>
  until(text, async () => (await viewer.page.locator(".readout").innerText()).includes(text));

test("tensor: cells have their values, colours by sign and size, and NaN and infinite ones a mark", async () => {
  const viewer = await open();
  await cell(viewer, 0, 0).getByText("0.0000").waitFor();
  assert.equal(await cell(viewer, 1, 1).innerText(), "0.6816");
  assert.match((await cell(viewer, 1, 1).getAttribute("class")) ?? "", /positive/);
  assert.match((await cell(viewer, 4, 6).getAttribute("class")) ?? "", /negative/);
  assert.match((await cell(viewer, 2, 3).getAttribute("class")) ?? "", /bad/);
  assert.equal(await cell(viewer, 4, 1).innerText(), "-inf");
  const share = (row: number, column: number): Promise<number> =>
    cell(viewer, row, column).evaluate((one) =>
      Number.parseFloat((one as HTMLElement).style.getPropertyValue("--share")),
    );
  assert.ok((await share(2, 2)) > (await share(1, 0)));
  await viewer.page.getByText("Colours").click();
  await until("no colours", async () => (await share(2, 2)) === 0);
  assert.deepEqual(await viewer.complaints(), []);
});

test("tensor: sliders choose the slice, dropdowns the dimensions, also after hiding", async () => {
  const viewer = await open();
  await cell(viewer, 1, 1).getByText("0.6816").waitFor();
  await viewer.page.getByRole("slider", { name: /Dimension 1/ }).fill("3");
  const expected = Math.sin(0.75 + 3).toFixed(4);
  await cell(viewer, 1, 1).getByText(expected).waitFor();
  assert.match(await viewer.page.locator(".slices").innerText(), /3 of 16/);
  await viewer.reopen();
  await cell(viewer, 1, 1).getByText(expected).waitFor();
});

test("tensor: keys move the focus, select and copy", async () => {
  const viewer = await open();
  const { page } = viewer;
  await page.locator(".grid").focus();
  await reads(viewer, "[0, 0, 0, 0] = 0");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await reads(viewer, "[0, 0, 1, 1] = 0.68163876");
  await page.keyboard.press("Shift+ArrowDown");
  await page.keyboard.press("Shift+ArrowRight");
  await reads(viewer, "2 × 2 selected");
  assert.equal(await page.locator('.cell[aria-selected="true"]').count(), 4);
  await page.keyboard.press("Control+c");
  const [copied] = (await called(viewer, "copy")) as [TensorWindow];
  assert.deepEqual(copied, {
    rowAxis: 2,
    columnAxis: 3,
    at: [0, 0, 0, 0],
    row: 1,
    column: 1,
    rows: 2,
    columns: 2,
  });
  await page.getByText("Copied 4 values.").waitFor();
  await page.keyboard.press("Control+End");
  await reads(viewer, "[0, 0, 11, 19]");
  await cell(viewer, 11, 19).waitFor();
  viewer.calls.length = 0;
  await page.locator('vscode-button[aria-label^="Copy as CSV"]').click();
  const [whole] = (await called(viewer, "copy")) as [TensorWindow];
  assert.deepEqual([whole.row, whole.column, whole.rows, whole.columns], [0, 0, 12, 20]);
});

test("tensor: a cell that is loaded later is announced then, and one that failed after the message is dismissed", async () => {
  let answer = (): void => undefined;
  const loaded = new Promise<void>((resolve) => (answer = resolve));
  let broken = false;
  const viewer = await open({
    host: {
      window: async (window) => {
        if (broken) throw new Error("The process ended.");
        await loaded;
        return windowOf(CONV)(window);
      },
    },
  });
  const { page } = viewer;
  const spoken = (): Promise<string> => page.locator(".visually-hidden[role=status]").last().innerText();
  await page.locator(".grid").focus();
  await page.keyboard.press("ArrowDown");
  await reads(viewer, "[0, 0, 1, 0] = …");
  assert.equal(await spoken(), "");
  answer();
  await until("the value", async () => (await spoken()) === "Row 1, column 0: 0.2474");
  broken = true;
  await page.getByRole("slider", { name: /Dimension 1/ }).fill("3");
  const notice = page.locator(".notice", { hasText: "The process ended." });
  await notice.waitFor();
  broken = false;
  await notice.locator('vscode-button[aria-label="Dismiss"]').click();
  await cell(viewer, 1, 1)
    .getByText(Math.sin(0.75 + 3).toFixed(4))
    .waitFor();
});

test("tensor: a million rows scroll to their end, and only visible ones are elements", async () => {
  const viewer = await open({}, TALL);
  const { page } = viewer;
  await cell(viewer, 0, 0).waitFor();
  await page.locator(".grid").focus();
  await page.keyboard.press("Control+End");
  await reads(viewer, "[999999, 63]");
  await until("the last row", async () => (await cell(viewer, 999_999, 63).innerText()) !== "");
  assert.ok(await cell(viewer, 999_999, 63).isVisible());
  assert.ok((await page.locator(".cell").count()) < 1500);
  await page.locator(".grid").evaluate((grid) => (grid.scrollTop = grid.scrollHeight / 2));
  await until("the middle", async () => {
    const [row] = await page.locator(".row-head").allInnerTexts();
    return Number(row) > 490_000 && Number(row) < 510_000;
  });
  assert.ok(viewer.calls.filter(({ method }) => method === "window").length < 40);
});

test("tensor: statistics that come late, and a smaller panel, leave the focused cell in view", async () => {
  let answer = (_statistics: TensorStatistics): void => undefined;
  const viewer = await open(
    { host: { statistics: () => new Promise<TensorStatistics>((resolve) => (answer = resolve)) } },
    TALL,
  );
  const { page } = viewer;
  await cell(viewer, 0, 0).waitFor();
  await page.locator(".grid").focus();
  await page.keyboard.press("Control+End");
  const last = cell(viewer, 999_999, 63);
  await last.waitFor();
  const height = async (): Promise<number> => (await page.locator(".grid").boundingBox())!.height;
  const isInView = async (): Promise<boolean> => {
    const [inner, outer] = await Promise.all([last.boundingBox(), page.locator(".grid").boundingBox()]);
    return inner !== null && inner.y + inner.height <= outer!.y + outer!.height + 1;
  };
  const before = await height();
  await called(viewer, "statistics");
  answer(STATISTICS);
  await until("a smaller table", async () => (await height()) < before - 50);
  await until("the last row above the statistics", isInView);
  const size = page.viewportSize()!;
  await page.setViewportSize({ ...size, height: size.height - 150 });
  await until("the last row in the smaller panel", isInView);
  await page.setViewportSize(size);
});

test("tensor: the pointer selects by dragging", async () => {
  const viewer = await open();
  await cell(viewer, 1, 1).hover();
  await viewer.page.mouse.down();
  await cell(viewer, 3, 4).hover();
  await viewer.page.mouse.up();
  await reads(viewer, "3 × 4 selected");
});

test("tensor: scalars, vectors, types without numbers, and failures", async () => {
  const scalar = await open({}, { ...CONV, shape: [] });
  await cell(scalar, 0, 0).waitFor();
  const vector = await open({}, { ...CONV, shape: [16] });
  await cell(vector, 15, 0).waitFor();
  const complex = await open(
    { host: { statistics: () => Promise.resolve(null) } },
    { ...CONV, dtype: "C64" },
  );
  await complex.page.getByText("The values are not real numbers.").waitFor();
  const failed = await open({ host: { ready: () => Promise.reject(new Error("The file is gone.")) } });
  await failed.page.getByText("The file is gone.").waitFor();
});

looks("tensor looks right", "tensor", async (look) => {
  const viewer = await open({ ...look });
  await cell(viewer, 1, 1).getByText("0.6816").waitFor();
  return viewer;
});

looks(
  "tensor looks right: a selection",
  "tensor-selection",
  async (look) => {
    const ui = {
      slice: { rowAxis: 0, columnAxis: 1, at: [0, 0] },
      cell: { row: 5, column: 4 },
      anchor: { row: 5, column: 4 },
      colours: true,
      details: false,
    };
    const viewer = await open({ ...look, state: { ui } }, TALL);
    await viewer.page.locator(".grid").focus();
    await viewer.page.keyboard.press("Shift+ArrowDown");
    await reads(viewer, "selected");
    return viewer;
  },
  ["dark", "hc"],
);
