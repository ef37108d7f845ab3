import { describe, expect, test } from "vitest";
import type { RunLabels, RunRecord } from "../../../extension/protocol/run.ts";
import type { ListedRun } from "../../../extension/protocol/views.ts";
import { columnMetrics, listed, toggleCompared, withRecord } from "../../../webview/training/runList.ts";
import { OTHER_COLOURS } from "../../../webview/training/chartStyle.ts";

const options = { filter: "", showArchived: false, sort: "created", descending: true };

function run(id: string, record: Partial<RunRecord> = {}, labels: Partial<RunLabels> = {}): ListedRun {
  return {
    run: {
      version: 1,
      id,
      kind: "train",
      state: "finished",
      file: "/net.nn.ts",
      exportName: "default",
      model: "Net",
      createdAt: `2026-01-${id.slice(-2)}T00:00:00Z`,
      epochs: 10,
      epoch: 10,
      step: 100,
      settings: {},
      metrics: {},
      checkpoints: [],
      outlive: false,
      ...record,
    },
    labels: { name: "", tags: [], archived: false, ...labels },
    live: false,
  };
}

const ids = (runs: readonly ListedRun[]): string[] => runs.map(({ run: { id } }) => id);

test("a newer record replaces that of its run alone", () => {
  const runs = [run("run-01", {}, { name: "wide" }), run("run-02")];
  const newer = run("run-01", { epoch: 3, state: "running" }).run;
  expect(withRecord(runs, newer, true)).toEqual([{ ...runs[0], run: newer, live: true }, runs[1]]);
  expect(withRecord(runs, run("run-03").run, true)).toEqual(runs);
});

describe("the table of runs", () => {
  const runs = [
    run("run-01", { metrics: { loss: 0.3 } }, { tags: ["Dropout"] }),
    run("run-02", { metrics: { loss: Number.NaN }, state: "failed" }),
    run("run-03", { metrics: { loss: 0.1 } }, { archived: true }),
    run("run-04", {}, { name: "wide" }),
    run("run-05", { metrics: { loss: 0.2 } }),
  ];

  test("shows the newest first, without what is archived", () => {
    expect(ids(listed(runs, options))).toEqual(["run-05", "run-04", "run-02", "run-01"]);
    expect(ids(listed(runs, { ...options, showArchived: true }))).toContain("run-03");
  });

  test("sorts by a metric both ways; runs without it, or with none that is a number, come last", () => {
    const by = (descending: boolean): string[] => ids(listed(runs, { ...options, sort: "loss", descending }));
    expect(by(false)).toEqual(["run-05", "run-01", "run-02", "run-04"]);
    expect(by(true)).toEqual(["run-01", "run-05", "run-02", "run-04"]);
  });

  test("sorts names as numbers count", () => {
    const named = ["net 10", "net 9", "other"].map((name, i) => run(`run-1${i}`, {}, { name }));
    expect(
      listed(named, { ...options, sort: "name", descending: false }).map(({ labels }) => labels.name),
    ).toEqual(["net 9", "net 10", "other"]);
  });

  test("finds every word in names, tags and states", () => {
    expect(ids(listed(runs, { ...options, filter: "drop" }))).toEqual(["run-01"]);
    expect(ids(listed(runs, { ...options, filter: "FAILED run-02" }))).toEqual(["run-02"]);
    expect(ids(listed(runs, { ...options, filter: "wide failed" }))).toEqual([]);
  });

  test("has the validation's losses as its first columns", () => {
    const metrics = { lr: 1, loss: 1, accuracy: 1, val_loss: 1, val_accuracy: 1 };
    expect(columnMetrics([run("run-01", { metrics })])).toEqual([
      "val_loss",
      "val_accuracy",
      "loss",
      "accuracy",
    ]);
  });
});

describe("compared runs", () => {
  test("keep their places while others come and go", () => {
    let slots = toggleCompared(toggleCompared(toggleCompared([], "a"), "b"), "c");
    slots = toggleCompared(slots, "b");
    expect(slots).toEqual(["a", "", "c"]);
    expect(toggleCompared(slots, "d")).toEqual(["a", "d", "c"]);
  });

  test("are no more than there are colours", () => {
    const full = OTHER_COLOURS.map((colour) => colour as string);
    expect(toggleCompared(full, "one more")).toEqual(full);
  });
});
