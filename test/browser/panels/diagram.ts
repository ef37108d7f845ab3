/** The diagram: opening, folding, searching, following the source and the text, saving images. */
import assert from "node:assert/strict";
import type { DiagramLook } from "../../../extension/protocol/flow.ts";
import type { ModelReport } from "../../../extension/protocol/preview.ts";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
} from "../../../extension/protocol/views.ts";
import { test, until } from "../../harness.ts";
import { shapeError } from "./errors.ts";
import { assertSmooth, frameTime } from "./frames.ts";
import { called, drawn, openPanel, type Panel } from "./page.ts";
import { FILE, flowModel, placesOf } from "./recordings.ts";

type DiagramPanel = Panel<ArchitectureViewMethods>;

function snapshotOf(model: ModelReport): ArchitectureSnapshot {
  const report = { file: FILE, models: [model], experiments: [], errors: [] };
  return { file: FILE, model: model.name, report, lastGood: model, busy: false };
}

async function open(model: ModelReport): Promise<DiagramPanel> {
  const panel = await openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    host: { ready: () => Promise.resolve(snapshotOf(model)) },
  });
  await panel.page.locator(".picture").waitFor();
  return panel;
}

const ids = (panel: DiagramPanel): Promise<string[]> =>
  panel.page.locator(".box").evaluateAll((all) => all.map((one) => one.getAttribute("data-id") ?? ""));
const selected = (panel: DiagramPanel): Promise<string[]> =>
  panel.page
    .locator(".box.selected")
    .evaluateAll((all) => all.map((one) => one.getAttribute("data-id") ?? ""));
const box = (panel: DiagramPanel, id: string) => panel.page.locator(`.box[data-id="${id}"]`);
const shows = (panel: DiagramPanel, id: string, wanted = true): Promise<unknown> =>
  until(`${id} is ${wanted ? "" : "not "}shown`, async () => (await ids(panel)).includes(id) === wanted);
const selects = (panel: DiagramPanel, id: string): Promise<unknown> =>
  until(`${id} is selected`, async () => (await selected(panel))[0] === id);

test("diagram: both ways around a block join in its sum, with their shapes", async () => {
  const panel = await open(flowModel("residual"));
  await panel.page.getByRole("button", { name: "Expand all" }).click();
  await shows(panel, "blocks/0/~add");
  const edges = await panel.page
    .locator('.edge[data-to="blocks/0/~add"]')
    .evaluateAll((all) => all.map((one) => one.getAttribute("data-from")));
  assert.deepEqual(new Set(edges), new Set(["blocks/0/bn2", "blocks/0/shortcut"]));
  const shapes = await panel.page.locator(".edge-shape").allTextContents();
  assert.ok(shapes.includes("[64, 16, 8, 8]") && shapes.includes("[64, 32, 8, 8]"));
  await panel.page.getByRole("button", { name: "Collapse all" }).click();
  await shows(panel, "blocks/0", false);
  assert.deepEqual((await ids(panel)).slice(0, 3), ["~input", "stem", "blocks"]);
});

test("diagram: what stands in the middle stays there when the panel becomes narrower", async () => {
  const panel = await open(flowModel("residual"));
  const { page } = panel;
  const size = page.viewportSize()!;
  const offset = async (): Promise<number> => {
    const [shown, window] = await Promise.all([
      box(panel, "stem/0").boundingBox(),
      page.locator(".viewport").boundingBox(),
    ]);
    return shown!.x + shown!.width / 2 - (window!.x + window!.width / 2);
  };
  const before = await offset();
  await page.setViewportSize({ ...size, width: 420 });
  await until("it is there again", async () => Math.abs((await offset()) - before) < 2);
  await page.setViewportSize(size);
});

/** As the preview's process does it. */
async function placed(model: ModelReport, look: DiagramLook): Promise<ArchitectureSnapshot> {
  return { ...snapshotOf(model), layout: { look, places: await placesOf(model, look) } };
}

const places = (panel: DiagramPanel): Promise<(string | null)[]> =>
  panel.page.locator(".box").evaluateAll((all) => all.map((one) => one.getAttribute("transform")));

test("diagram: the first one is drawn as it was laid out for it, without an engine; another font's is not", async () => {
  const model = flowModel("residual");
  let answer = (look: DiagramLook): Promise<ArchitectureSnapshot> => placed(model, look);
  const panel = await openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    host: { ready: (look) => answer(look) },
    waitReady: false,
  });
  const { page } = panel;
  await page.locator(".picture").waitFor();
  const given = await places(panel);

  await page.route("**/elk-worker.min.js", (route) => route.abort());
  await panel.reopen();
  await page.locator(".picture").waitFor();
  assert.deepEqual(await places(panel), given);
  await page.unroute("**/elk-worker.min.js");

  answer = (look) => {
    const wider = (widths: Record<string, number>) =>
      Object.fromEntries(Object.entries(widths).map(([text, width]) => [text, 3 * width]));
    const { title, kind, label } = look.widths;
    const widths = { title: wider(title), kind: wider(kind), label: wider(label) };
    return placed(model, { ...look, font: "another", widths });
  };
  await panel.reopen();
  await page.locator(".picture").waitFor();
  assert.deepEqual(await places(panel), given);
});

test("diagram: the next file's is drawn as it was laid out for it, as if it were the first", async () => {
  const model = flowModel("residual");
  let known: DiagramLook | undefined;
  const panel = await openPanel<ArchitectureHostMethods, ArchitectureViewMethods>({
    view: "architecture",
    host: {
      ready: (look) => {
        known = look;
        return placed(model, look);
      },
    },
  });
  const { page } = panel;
  await page.locator(".picture").waitFor();
  const given = await places(panel);
  await page.getByRole("button", { name: "Expand all" }).click();
  await shows(panel, "blocks/0/~add");
  await page.route("**/elk-worker.min.js", (route) => route.abort());
  const next = { ...(await placed(model, known!)), file: FILE.replace("digits", "others") };
  await panel.view.snapshot(next);
  await until("the next file's", async () => (await places(panel)).join() === given.join());
  assert.deepEqual(await selected(panel), []);
  await page.unroute("**/elk-worker.min.js");
});

test("diagram: the keyboard moves, opens and closes; what is closed stays so", async () => {
  const model = flowModel("residual");
  const panel = await open(model);
  const { keyboard } = panel.page;
  await panel.page.locator(".viewport").focus();
  await keyboard.press("ArrowDown");
  await selects(panel, "~input");
  await keyboard.press("ArrowDown");
  await selects(panel, "stem");
  await keyboard.press("Enter");
  await shows(panel, "stem/0", false);
  // Typed on: another width, the same layers.
  const changed = { ...model, parameters: { total: 1, trainable: 1 } };
  await panel.view.snapshot(snapshotOf(changed));
  assert.ok(!(await ids(panel)).includes("stem/0"));
  await panel.reopen();
  await panel.page.locator(".picture").waitFor();
  assert.ok(!(await ids(panel)).includes("stem/0"));
  assert.deepEqual(await selected(panel), ["stem"]);
  await panel.page.locator(".viewport").focus();
  await keyboard.press("Enter");
  await shows(panel, "stem/0");
});

test("diagram: equal blocks are one with their number, until they are unfolded", async () => {
  const panel = await open(flowModel("bert"));
  const badge = panel.page.locator('[data-unfolds="bert/encoder/layer/0"]');
  await badge.waitFor();
  assert.match((await badge.textContent()) ?? "", /12 ×/);
  assert.ok(!(await ids(panel)).includes("bert/encoder/layer/11"));
  await badge.dispatchEvent("click");
  await shows(panel, "bert/encoder/layer/11");
  await badge.dispatchEvent("click");
  await shows(panel, "bert/encoder/layer/11", false);
});

test("diagram: what is searched stands out, and Enter goes to it", async () => {
  const panel = await open(flowModel("residual"));
  await panel.page.locator(".viewport").focus();
  await panel.page.keyboard.press("/");
  await panel.page.keyboard.type("head");
  await panel.page.getByText("1 found").waitFor();
  assert.equal(await panel.page.locator(".box.match").getAttribute("data-id"), "head");
  await panel.page.keyboard.press("Enter");
  await selects(panel, "head");
  await panel.page.keyboard.press("Escape");
  await until("nothing is searched", async () => (await panel.page.locator(".box.match").count()) === 0);
});

test("diagram: a box shows its source and details, and the cursor, the table and the diagram select alike", async () => {
  const model = flowModel("residual");
  const panel = await open(model);
  const row = (path: string) => model.rows.find((one) => one.path === path)!;
  await box(panel, "stem/0").locator("text").first().click();
  await selects(panel, "stem/0");
  assert.deepEqual((await called(panel, "revealSource"))[1], row("stem.0").position!.line);
  await drawn(panel.page);
  const details = await panel.page.locator(".details").innerText();
  for (const part of ["stem.0", "Conv2d", "in_channels", "kernel_size", "[16, 1, 3, 3]", "655 k"])
    assert.ok(details.includes(part), `${part} is in ${details}`);
  assert.equal(await panel.page.locator(".outline .selected").getAttribute("data-path"), "stem.0");

  await panel.page.locator('.outline tr[data-path="head"] button').click();
  await selects(panel, "head");
  await panel.page.locator(".viewport").focus();
  await panel.page.keyboard.press("Escape");
  await panel.view.cursor(row("head").position!.line);
  await selects(panel, "head");
  await until("its row is in sight", async () => {
    const [place, last] = [
      await panel.page.locator(".outline-place").boundingBox(),
      await panel.page.locator(".outline .selected").boundingBox(),
    ];
    return last!.y >= place!.y && last!.y + last!.height <= place!.y + place!.height + 2;
  });
  await panel.view.cursor(row("stem").position!.line);
  await until("a layer of that line is selected", async () => (await selected(panel))[0]?.startsWith("stem"));
});

test("diagram: heat colours what costs most", async () => {
  const panel = await open(flowModel("residual"));
  assert.equal(await panel.page.locator(".heat").count(), 0);
  await panel.page.locator("vscode-dropdown").click();
  await panel.page.locator("vscode-option", { hasText: "parameters" }).click();
  await panel.page.locator(".heat").first().waitFor();
  const heats = await panel.page
    .locator(".heat")
    .evaluateAll((all) => all.map((one) => Number(one.getAttribute("fill-opacity"))));
  assert.equal(Math.max(...heats), 0.65);
  assert.equal(await box(panel, "stem/2").locator(".heat").count(), 0, "ReLU has no parameters");
});

test("diagram: zooms and moves, and stays where it is when the text changes or breaks", async () => {
  const model = flowModel("residual");
  const panel = await open(model);
  const camera = () => panel.page.locator(".world").getAttribute("transform");
  const start = await camera();
  await panel.page.locator(".viewport").focus();
  await panel.page.keyboard.press("+");
  await until("it is larger", async () => (await camera()) !== start);
  await panel.page.keyboard.press("Shift+ArrowDown");
  const place = await panel.page.locator(".viewport").boundingBox();
  await panel.page.mouse.move(place!.x + 20, place!.y + 300);
  await panel.page.mouse.down();
  await panel.page.mouse.move(place!.x + 60, place!.y + 280, { steps: 3 });
  await panel.page.mouse.up();
  await drawn(panel.page);
  const before = await camera();
  const good = snapshotOf(model);
  const partial = { ...model, flow: { nodes: [], edges: [] }, error: shapeError() };
  await panel.view.snapshot({ ...good, report: { ...good.report!, models: [partial] } });
  await panel.page.getByRole("alert").waitFor();
  await panel.page.locator(".stale .picture").waitFor();
  assert.ok((await ids(panel)).includes("stem/0"), "the last good diagram stays");
  assert.equal(await camera(), before);
  await panel.view.snapshot(good);
  await until("it is bright again", async () => (await panel.page.locator(".stale").count()) === 0);
  assert.equal(await camera(), before);
  await panel.page.locator(".viewport").focus();
  await panel.page.keyboard.press("0");
  await until("all of it is in sight", async () => {
    const [outer, last] = [
      await panel.page.locator(".viewport").boundingBox(),
      await box(panel, "~output").boundingBox(),
    ];
    return last!.y + last!.height < outer!.y + outer!.height;
  });
});

test("diagram: is exported whole as SVG and as PNG", async () => {
  const panel = await open(flowModel("residual"));
  await panel.page.locator('vscode-button[aria-label="Export as SVG"]').click();
  const [name, format, text] = (await called(panel, "saveImage")) as [string, string, string];
  assert.deepEqual([name, format], ["ResNet", "svg"]);
  assert.match(text, /^<svg[^>]* viewBox="-16 -16 /);
  for (const part of ["stem", "Conv2d", "[64, 16, 8, 8]"]) assert.ok(text.includes(part));
  assert.ok(!text.includes("var(--"), "no colour of the theme is left to be looked up");
  panel.calls.length = 0;
  await panel.page.locator('vscode-button[aria-label="Export as PNG"]').click();
  const [, kind, data] = (await called(panel, "saveImage")) as [string, string, string];
  assert.equal(kind, "png");
  const bytes = Buffer.from(data, "base64");
  assert.equal(bytes.subarray(1, 4).toString(), "PNG");
  assert.ok(bytes.readUInt32BE(20) > 1000, "it is as high as the diagram");
  assert.deepEqual(await panel.complaints(), []);
});

/** A chain of layers that all differ, so that none fold. */
function chain(length: number): ModelReport {
  const model = flowModel("residual");
  const [root] = model.rows;
  const names = Array.from({ length }, (_none, i) => `fc${i}`);
  const ends = ["~input", ...names, "~output"];
  return {
    ...model,
    name: "Deep",
    rows: [
      root!,
      ...names.map((path, i) => ({
        path,
        depth: 1,
        className: "Linear",
        detail: `in_features=${i}`,
        parameters: i,
        trainable: i,
        outputShape: "[N, 8]",
      })),
    ],
    flow: {
      nodes: [
        { id: "~input", kind: "input", path: "", name: "input" },
        ...names.map((id) => ({ id, kind: "module" as const, path: id, name: id, className: "Linear" })),
        { id: "~output", kind: "output", path: "", name: "output" },
      ],
      edges: ends.slice(1).map((to, i) => ({ from: ends[i]!, to, shape: "[N, 8]" })),
    },
  };
}

const TYPED = "271,828 parameters";

for (const [name, model] of [
  ["five hundred layers", () => chain(500)],
  ["all of BERT-base", () => flowModel("bert")],
] as const)
  test(`diagram: ${name} move at 60 frames a second, and stay where they are while they are typed`, async (note) => {
    const began = performance.now();
    const panel = await open(model());
    const { page } = panel;
    if (name === "all of BERT-base") {
      await page.getByRole("button", { name: "Expand all" }).click();
      await page.locator('[data-unfolds="bert/encoder/layer/0"]').first().dispatchEvent("click");
      await shows(panel, "bert/encoder/layer/11/output/dense");
    } else await shows(panel, "fc499");
    note(`${(await ids(panel)).length} boxes, drawn after ${(performance.now() - began).toFixed(0)} ms`);
    const moves = Array.from({ length: 20 }, (_none, i) => ({
      deltaY: i < 15 ? 60 : -30,
      ctrlKey: i % 5 === 4,
    }));
    const frame = await frameTime(page, moves, (move) => {
      document
        .querySelector(".viewport")
        ?.dispatchEvent(new WheelEvent("wheel", { ...move, cancelable: true }));
    });
    note(`a frame takes ${frame.toFixed(1)} ms`);
    assertSmooth(frame);
    const world = (): Promise<string | null> => page.locator(".world").getAttribute("transform");
    const before = await world();
    const typed = model();
    await panel.view.snapshot(
      snapshotOf({ ...typed, rows: typed.rows.map((row) => ({ ...row, parameters: 271828 })) }),
    );
    await until("the new text", async () => (await page.locator(".picture").textContent())!.includes(TYPED));
    assert.equal(await world(), before);
  });
