import fs from "node:fs";
import ELK from "elkjs/lib/elk.bundled.js";
import { describe, expect, test } from "vitest";
import type { FlowGraph } from "../../../extension/protocol/flow.ts";
import type { ModelReport } from "../../../extension/protocol/preview.ts";
import * as cameras from "../../../webview/diagram/camera.ts";
import { allShown, containersOf, type FoldState, shownFlow } from "../../../extension/diagram/flow.ts";
import { formulaOf, settingsOf } from "../../../webview/architecture/formulas.ts";
import type { Profile } from "../../../extension/protocol/profile.ts";
import { heatOf, measure } from "../../../webview/architecture/heat.ts";
import { MeasuredLayers } from "../../../webview/architecture/measuredLayers.ts";
import { elkGraph, layoutOf, positionsOf } from "../../../extension/diagram/layout.ts";

const model = (name: string): ModelReport => {
  const file = new URL(`../../fixtures/panels/flows/${name}.json`, import.meta.url);
  return (JSON.parse(fs.readFileSync(file, "utf8")) as [ModelReport])[0];
};

const choices = (some: Partial<Record<keyof FoldState, string[]>> = {}): FoldState => ({
  opened: new Set(some.opened),
  closed: new Set(some.closed),
  unfolded: new Set(some.unfolded),
});

function shown({ flow, rows }: ModelReport, some: Parameters<typeof choices>[0] = {}) {
  const details = new Map(rows.map((row) => [row.path, row.detail]));
  return shownFlow(flow!, choices(some), (path) => details.get(path) ?? "");
}

const ids = (flow: ReturnType<typeof shownFlow>): string[] => allShown(flow.boxes).map(({ id }) => id);

describe("folding", () => {
  test("twelve equal blocks are one, and the rest keeps its edges", () => {
    const bert = shown(model("bert"), {
      opened: ["bert", "bert/encoder", "bert/encoder/layer"],
      closed: ["bert/encoder/layer/0"],
    });
    const block = allShown(bert.boxes).find(({ id }) => id === "bert/encoder/layer/0");
    expect(block).toMatchObject({ folded: true, repeat: 12, lastName: "11" });
    expect(ids(bert)).not.toContain("bert/encoder/layer/1");
    expect(bert.visibleIdOf("bert/encoder/layer/7")).toBe("bert/encoder/layer/0");
    const leaving = bert.edges.filter(({ from }) => from.startsWith("bert/encoder/"));
    expect(leaving.every(({ to }) => to.startsWith("bert/pooler"))).toBe(true);
    expect(leaving.length).toBe(1);
  });

  test("blocks that differ don't fold; those that do unfold where they are told to", () => {
    const residual = model("residual");
    const blocks = (some: Parameters<typeof choices>[0]) =>
      ids(
        shown(residual, { opened: ["blocks"], closed: ["blocks/0", "blocks/3", "blocks/4"], ...some }),
      ).filter((id) => /^blocks\/\d+$/.test(id));
    // The fourth changes the channels, the fifth is wider than the first three.
    expect(blocks({})).toEqual(["blocks/0", "blocks/3", "blocks/4"]);
    expect(blocks({ unfolded: ["blocks/0"] })).toEqual([
      "blocks/0",
      "blocks/1",
      "blocks/2",
      "blocks/3",
      "blocks/4",
    ]);
  });

  test("inside an open folded block stand its own edges, none between its twins", () => {
    const { edges } = shown(model("residual"), { opened: ["blocks", "blocks/0"] });
    expect(edges).toContainEqual({ from: "blocks/0/shortcut", to: "blocks/0/~add", shape: "[64, 16, 8, 8]" });
    expect(edges.some(({ from, to }) => from === "blocks/0/relu#2" && to.startsWith("blocks/0/"))).toBe(
      false,
    );
    // The last one's output is used further.
    expect(edges.some(({ from, to }) => from === "blocks/0/relu#2" && to.startsWith("blocks/3"))).toBe(true);
  });

  test("parallel equal layers stay apart", () => {
    const flow: FlowGraph = {
      nodes: [
        { id: "~input", kind: "input", path: "", name: "input" },
        ...["a", "b", "c"].map((name) => ({
          id: name,
          kind: "module" as const,
          path: name,
          name,
          className: "Linear",
        })),
      ],
      edges: ["a", "b", "c"].map((to) => ({ from: "~input", to, shape: "[1]" })),
    };
    expect(ids(shownFlow(flow, choices(), () => ""))).toEqual(["~input", "a", "b", "c"]);
    const chain = {
      ...flow,
      edges: [
        ["a", "b"],
        ["b", "c"],
      ].map(([from, to]) => ({ from: from!, to: to!, shape: "[1]" })),
    };
    expect(ids(shownFlow(chain, choices(), () => ""))).toEqual(["~input", "a"]);
    expect(ids(shownFlow(chain, choices(), (path) => path))).toEqual(["~input", "a", "b", "c"]);
  });
});

describe("opening and closing", () => {
  test("a closed container takes over the edges of what is in it", () => {
    const { edges, boxes } = shown(model("residual"), { closed: ["stem", "blocks"] });
    expect(boxes.map(({ id }) => id)).toContain("stem");
    expect(edges.slice(0, 2)).toEqual([
      { from: "~input", to: "stem", shape: "[64, 1, 8, 8]" },
      { from: "stem", to: "blocks", shape: "[64, 16, 8, 8]" },
    ]);
    expect(edges.filter(({ from }) => from === "blocks").length).toBe(2);
  });

  test("at first only so much is open that it can be seen at once", () => {
    const bert = model("bert");
    expect(ids(shown(bert)).length).toBeLessThanOrEqual(30);
    const all = [...new Set(bert.flow!.nodes.flatMap(({ parent }) => parent ?? []))];
    expect(ids(shown(bert, { opened: all })).length).toBeGreaterThan(35);
  });

  test("every edge joins two boxes that are shown", () => {
    for (const name of ["residual", "bert"])
      for (const opened of [[], ["bert", "blocks", "blocks/0", "bert/encoder", "bert/encoder/layer"]]) {
        const flow = shown(model(name), { opened });
        const known = new Set(ids(flow));
        for (const { from, to } of flow.edges) expect([from, to].filter((id) => !known.has(id))).toEqual([]);
      }
  });

  test("what is around a box", () => {
    expect(containersOf("a/b/c")).toEqual(["a", "a/b"]);
    expect(containersOf("a")).toEqual([]);
  });
});

test("BERT-base is laid out in a moment, each box inside its container", async () => {
  const flow = shown(model("bert"), {
    opened: ["bert", "bert/encoder", "bert/encoder/layer", "bert/encoder/layer/0"],
  });
  const elk = new ELK();
  const graph = () =>
    elkGraph(
      flow,
      () => ({ title: "", kind: "", width: 120, height: 44 }),
      () => 90,
    );
  await elk.layout(graph());
  // Processor time: the machine may be busy with other tests. A tenth of a second when it is idle.
  const before = process.cpuUsage();
  const layout = layoutOf(positionsOf(await elk.layout(graph())));
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(400);
  expect([...layout.boxes.keys()].sort()).toEqual(ids(flow).sort());
  expect(layout.edges.length).toBe(flow.edges.length);
  for (const [id, box] of layout.boxes) {
    const outer = layout.boxes.get(containersOf(id).at(-1) ?? "");
    if (outer === undefined) continue;
    expect(box.x).toBeGreaterThanOrEqual(outer.x);
    expect(box.y + box.height).toBeLessThanOrEqual(outer.y + outer.height);
  }
  for (const { points, label } of layout.edges) {
    expect(points.length).toBeGreaterThanOrEqual(2);
    expect(label).toBeDefined();
  }
});

describe("camera", () => {
  const window = { width: 800, height: 600 };
  test("zooming keeps what is under the pointer", () => {
    const camera = cameras.zoomed({ x: 10, y: 20, scale: 1 }, 2, { x: 110, y: 220 });
    expect(camera).toEqual({ x: -90, y: -180, scale: 2 });
  });

  test("fitting shows all, and blows nothing up", () => {
    expect(cameras.fitted({ width: 100, height: 100 }, window)).toEqual({ x: 350, y: 250, scale: 1 });
    const { scale, y } = cameras.fitted({ width: 100, height: 5600 }, window);
    expect(scale).toBeCloseTo(0.1);
    expect(y).toBeCloseTo(20);
  });

  test("revealing moves no more than it must", () => {
    const camera = { x: 0, y: 0, scale: 1 };
    expect(cameras.revealing(camera, { x: 100, y: 100, width: 50, height: 50 }, window)).toEqual(camera);
    expect(cameras.revealing(camera, { x: 100, y: 700, width: 50, height: 50 }, window)).toEqual({
      x: 0,
      y: -170,
      scale: 1,
    });
  });

  test("a box that moved in the diagram stays on the screen", () => {
    const camera = cameras.following({ x: 5, y: 5, scale: 2 }, { x: 10, y: 10 }, { x: 10, y: 60 });
    expect(camera).toEqual({ x: 5, y: -95, scale: 2 });
  });
});

test("heat grows with the measure", () => {
  const row = model("residual").rows.find(({ path }) => path === "blocks.0.conv1");
  expect(measure(row, "parameters")).toBe(2320);
  expect(measure(row, "memory")).toBe(4 * (2320 + 64 * 16 * 64));
  expect(measure(row, "none")).toBeUndefined();
  expect([heatOf(0, 10), heatOf(2.5, 10), heatOf(10, 10), heatOf(undefined, 10), heatOf(1, 0)]).toEqual([
    0, 0.5, 1, 0, 0,
  ]);
});

test("measured times are those of a module and all in it", () => {
  const pass = { ms: 0.25, ops: 1, multiplyAdds: 10 };
  const layer = { className: "", forward: pass, backward: { ...pass, ms: 1 }, gradientBytes: 8 };
  const layers = ["blocks.0.conv1", "blocks.0.conv2", ""].map((path) => ({
    path,
    activationBytes: 4,
    ...layer,
  }));
  const measured = new MeasuredLayers({ layers } as unknown as Profile);
  const row = (path: string) => model("residual").rows.find((one) => one.path === path);
  expect(measure(row("blocks.0"), "time", { measured })).toBe(2.5);
  expect(measure(row("blocks.0"), "forwardTime", { measured })).toBe(0.5);
  expect(measure(row("blocks.0.conv1"), "backwardTime", { measured })).toBe(1);
  expect(measure(row("blocks.1"), "time", { measured })).toBeUndefined();
  expect(measure(row("blocks.0"), "time")).toBeUndefined();
});

test("settings have their names", () => {
  expect(settingsOf("Conv2d", "1, 16, kernel_size=(3, 3), bias=False")).toEqual([
    ["in_channels", "1"],
    ["out_channels", "16"],
    ["kernel_size", "(3, 3)"],
    ["bias", "False"],
  ]);
  expect(settingsOf("LayerNorm", "(4, 5), eps=1e-05")).toEqual([
    ["normalized_shape", "(4, 5)"],
    ["eps", "1e-05"],
  ]);
  expect(settingsOf("Mine", "")).toEqual([]);
  expect(formulaOf("Linear")).toContain("W");
  expect(formulaOf("Mine")).toBeUndefined();
});
