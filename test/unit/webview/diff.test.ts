import fs from "node:fs";
import { describe, expect, test } from "vitest";
import type { ModelReport, SummaryRow } from "../../../extension/protocol/preview.ts";
import { diffOf, shownEdgeChanges } from "../../../webview/architecture/diff.ts";
import { allShown, shownFlow } from "../../../extension/diagram/flow.ts";

const recorded = (name: string): ModelReport => {
  const file = new URL(`../../fixtures/panels/flows/${name}.json`, import.meta.url);
  return (JSON.parse(fs.readFileSync(file, "utf8")) as [ModelReport])[0];
};

const row = (path: string, detail = "", more: Partial<SummaryRow> = {}): SummaryRow => ({
  path,
  depth: path.split(".").length,
  className: "Linear",
  detail,
  parameters: 10,
  trainable: 10,
  position: { file: "/a.nn.ts", line: 1, column: 1 },
  ...more,
});

const model = (...rows: SummaryRow[]): ModelReport => ({
  name: "Net",
  experiments: [],
  text: "",
  rows: [row("", "", { className: "Net" }), ...rows],
  parameters: { total: 10 * rows.length, trainable: 10 * rows.length },
  parameterBytes: 0,
});

test("one frozen parameter of a layer is a change, and is named", () => {
  const weights = [
    { name: "weight", shape: "[2, 2]" },
    { name: "bias", shape: "[2]" },
  ];
  const was = model(row("a", "", { parameters: 6, trainable: 6, weights }));
  const is = model(
    row("a", "", { parameters: 6, trainable: 4, weights: [weights[0]!, { ...weights[1]!, frozen: true }] }),
  );
  expect(diffOf(was, is, true).rows.get("a")).toEqual({
    change: "changed",
    notes: ["bias: trainable → frozen"],
    parameters: 0,
  });
});

describe("rows", () => {
  const before = model(row("a", "in=1, out=(2, 3)"), row("b"), row("c"), row("c.x"));
  const now = model(row("a", "in=1, out=(2, 4)"), row("c"), row("c.x"), row("c.y"), row("d"));

  test("what is gone stays where it was, without a way to its line", () => {
    const diff = diffOf(before, now, true);
    expect(diff.model.rows.map(({ path }) => path)).toEqual(["", "a", "b", "c", "c.x", "c.y", "d"]);
    expect(diff.model.rows.find(({ path }) => path === "b")).not.toHaveProperty("position");
    expect(diffOf(before, now, false).model.rows.find(({ path }) => path === "b")).toHaveProperty("position");
    expect(diff.counts).toEqual({ added: 2, removed: 1, changed: 1 });
    expect(diff.parameters).toBe(10);
  });

  test("a changed setting alone is told; containers tell that something is different inside", () => {
    const { rows } = diffOf(before, now, true);
    expect(rows.get("a")).toEqual({ change: "changed", notes: ["out=(2, 3) → out=(2, 4)"], parameters: 0 });
    expect(rows.get("c")?.change).toBe("inside");
    expect(rows.get("")?.change).toBe("inside");
    expect(rows.has("c.x")).toBe(false);
  });

  test("another class, other weights, and what was frozen", () => {
    const was = model(row("a"), row("b", "", { weights: [{ name: "w", shape: "[2]" }] }), row("c"));
    const is = model(
      row("a", "", { className: "Conv2d" }),
      row("b", "", { weights: [{ name: "w", shape: "[3]" }] }),
      row("c", "", { trainable: 0 }),
    );
    const { rows } = diffOf(was, is, true);
    expect(["a", "b", "c"].map((path) => rows.get(path)?.notes)).toEqual([
      ["Linear → Conv2d"],
      ["w [2] → w [3]"],
      ["trainable → frozen"],
    ]);
  });

  test("two of the same have no difference", () => {
    const same = diffOf(now, now, true);
    expect(same.rows.size + same.boxes.size + same.edges.size).toBe(0);
  });
});

describe("diagram", () => {
  const diff = diffOf(recorded("residualBefore"), recorded("residual"), true);

  test("boxes and edges of both versions are there, each with what became of it", () => {
    expect(diff.boxes.get("dropout")).toBe("removed");
    expect(diff.boxes.get("~add")).toBe("added");
    expect(diff.boxes.get("blocks/4/conv1")).toBe("added");
    expect(diff.boxes.get("blocks")).toBe("inside");
    expect(diff.boxes.has("blocks/0")).toBe(false);
    expect(diff.edges.get("dropout>head")).toBe("removed");
    expect(diff.edges.get("~add>head")).toBe("added");
    const ids = new Set(diff.model.flow!.nodes.map(({ id }) => id));
    expect(diff.model.flow!.edges.every(({ from, to }) => ids.has(from) && ids.has(to))).toBe(true);
  });

  test("a shown edge is new or gone when all is that it stands for; blocks with a change of their own don't fold", () => {
    const closed = new Set(["blocks"]);
    const details = new Map(diff.model.rows.map(({ path, detail }) => [path, detail]));
    const shown = shownFlow(
      diff.model.flow!,
      { opened: new Set(), closed, unfolded: new Set() },
      (path) => details.get(path) ?? "",
      (id) => diff.boxes.get(id) ?? "",
    );
    const changes = shownEdgeChanges(diff, shown.visibleIdOf);
    expect(changes.has("stem>blocks")).toBe(false);
    expect(changes.get("dropout>head")).toBe("removed");
    expect(changes.get("~add>head")).toBe("added");

    const marked = (id: string): string => (id === "blocks/1/conv1" ? "changed" : "");
    const open = { opened: new Set(["blocks"]), closed: new Set<string>(), unfolded: new Set<string>() };
    const all = allShown(shownFlow(diff.model.flow!, open, (path) => details.get(path) ?? "", marked).boxes);
    expect(all.map(({ id }) => id)).toEqual(expect.arrayContaining(["blocks/0", "blocks/1", "blocks/2"]));
  });
});

describe("names", () => {
  const block = (path: string, size: number): SummaryRow[] => [
    row(path, "", { className: "Block" }),
    row(`${path}.fc`, `out=${size}`),
    row(`${path}.relu`, "", { className: "ReLU", parameters: 0 }),
  ];

  test("a layer of another name between the same layers was renamed, with all that is in it", () => {
    const before = model(row("stem", "out=4"), ...block("body", 8), row("head", "out=2"));
    const now = model(row("stem", "out=4"), ...block("trunk", 8), row("head", "out=2"));
    const diff = diffOf(before, now, true);
    expect(diff.counts).toEqual({ added: 0, removed: 0, changed: 0 });
    expect(diff.rows.get("trunk")).toEqual({ change: "changed", notes: ["body → trunk"], parameters: 0 });
    expect(diff.model.rows.map(({ path }) => path)).toEqual(now.rows.map(({ path }) => path));
    expect(diff.rows.has("trunk.fc")).toBe(false);
  });

  test("one that is different in more than its name, or stands elsewhere, is another", () => {
    const before = model(row("stem", "out=4"), ...block("body", 8), row("head", "out=2"));
    const other = model(row("stem", "out=4"), ...block("trunk", 9), row("head", "out=2"));
    expect(diffOf(before, other, true).counts).toEqual({ added: 2, removed: 2, changed: 0 });
    const elsewhere = model(row("stem", "out=4"), row("head", "out=2"), ...block("trunk", 8));
    expect(diffOf(before, elsewhere, true).counts).toEqual({ added: 2, removed: 2, changed: 0 });
  });

  test("boxes and edges of the diagram keep their places under the new name", () => {
    const was = recorded("residual");
    const text = JSON.stringify(was).replaceAll('"stem', '"entry');
    const diff = diffOf(was, JSON.parse(text) as ModelReport, true);
    expect(diff.counts).toMatchObject({ added: 0, removed: 0 });
    expect([...diff.edges]).toEqual([]);
    expect(diff.boxes.get("entry")).toBe("changed");
    expect([...diff.boxes.values()].filter((change) => change === "added" || change === "removed")).toEqual(
      [],
    );
  });
});
