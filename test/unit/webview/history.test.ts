// Two runs on one page, and a run as one file.
import { describe, expect, test } from "vitest";
import type { Picture, RunHistory } from "../../../extension/protocol/views.ts";
import { chartModel } from "../../../webview/training/chartModel.ts";
import { curvesOf } from "../../../webview/training/state.ts";
import { reportHtml } from "../../../webview/training/history/report.ts";
import { chosenPictures, PICTURES_LIMIT } from "../../../webview/training/history/reportSamples.ts";
import { codeChanges, metricPairs, settingChanges } from "../../../webview/training/history/changes.ts";
import { processorClock } from "../../bounds.ts";

function history(change: Partial<RunHistory> = {}, run: Partial<RunHistory["run"]> = {}): RunHistory {
  return {
    run: {
      version: 1,
      id: "20260101-000000-net",
      kind: "train",
      state: "finished",
      file: "/home/ada/net.nn.ts",
      exportName: "default",
      model: "Net",
      createdAt: "2026-01-01T00:00:00Z",
      seed: 0,
      epochs: 2,
      epoch: 2,
      step: 20,
      settings: { optimizer: "Adam, lr 0.001", batchSize: 32 },
      metrics: { loss: 0.5, val_accuracy: 0.8, other: 1 },
      checkpoints: [],
      outlive: false,
      ...run,
    },
    file: "net.nn.ts",
    source: "one\ntwo\nthree\n",
    imports: { "../shared/size.ts": "size\n" },
    ...change,
  };
}

describe("two runs", () => {
  test("differ in the files that were changed, added and removed", () => {
    const now = history({ source: "one\n2\nthree\n", imports: { "new.ts": "new\n" } });
    const changes = codeChanges(history(), now);
    expect(changes.map(({ file, change }) => [file, change])).toEqual([
      ["net.nn.ts", "changed"],
      ["new.ts", "added"],
      ["../shared/size.ts", "removed"],
    ]);
    expect(changes[0]!.hunks?.[0]?.lines).toEqual([" one", "-two", "+2", " three"]);
    expect(codeChanges(history(), history())).toEqual([]);
  });

  test("differ in settings that one of them may lack", () => {
    const now = history(
      {},
      { seed: 1, settings: { optimizer: "Adam, lr 0.01", batchSize: 32, watch: true } },
    );
    expect(settingChanges(history(), now)).toEqual([
      ["seed", "0", "1"],
      ["optimizer", "Adam, lr 0.001", "Adam, lr 0.01"],
      ["watch", "–", "true"],
    ]);
  });

  test("are better or worse by a metric whose name implies a direction", () => {
    const now = history({}, { metrics: { loss: 0.6, val_accuracy: 0.9, other: 2, fresh: 1 } });
    expect(metricPairs(history().run, now.run).map(({ name, better }) => [name, better])).toEqual([
      ["loss", false],
      ["val_accuracy", true],
      ["other", undefined],
      ["fresh", undefined],
    ]);
    const diverged = history({}, { metrics: { loss: NaN } });
    expect(metricPairs(history().run, diverged.run)[0]).toMatchObject({ name: "loss", better: undefined });
  });

  test("without a common line are compared in bounded time", () => {
    const text = (word: string): string =>
      Array.from({ length: 20_000 }, (_, i) => `${word} ${i}\n`).join("");
    const spent = processorClock();
    codeChanges(history({ source: text("a"), imports: {} }), history({ source: text("b"), imports: {} }));
    expect(spent()).toBeLessThan(5000);
  });
});

describe("a report", () => {
  const attack = `</pre><script>alert(1)</script><img src=x onerror="alert(1)">`;

  test("has curves, tables, code and environment in one file that loads nothing", () => {
    const rows = [1, 2, 3].map((step) => ({
      kind: "step" as const,
      step,
      epoch: 1,
      time: step,
      values: { loss: 1 / step },
    }));
    const run = history().run;
    const curves = curvesOf(run, [
      ...rows,
      { kind: "epoch", step: 3, epoch: 1, time: 3, values: { loss: 0.6 } },
    ]);
    const ui = { axis: "step", logScale: false, smoothing: 0 } as const;
    const html = reportHtml({
      name: "first",
      history: history(),
      charts: curves.metrics().map((metric) => chartModel(metric, ui, undefined, { others: [], events: [] })),
      axis: "Step",
      metrics: curves.metrics(),
      events: [{ step: 2, text: "Learning rate changed" }],
      advice: [],
      pictures: [],
      drawn: 0,
    });
    for (const part of [
      "<svg",
      "polyline",
      "Adam, lr 0.001",
      "two",
      "Step 2: Learning rate changed",
      "0.6000",
    ])
      expect(html).toContain(part);
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/<script|<link|<iframe|\bsrc=|href=|url\(|@import/);
  });

  const parts = {
    name: "first",
    history: history(),
    charts: [],
    axis: "Step",
    metrics: [],
    events: [],
    advice: [],
    pictures: [],
    drawn: 0,
  };

  test("shows what the training drew and evaluated samples, with what is said of them", () => {
    const image = { kind: "image", png: "aGFyZA==", width: 8, height: 4 } as const;
    const html = reportHtml({
      ...parts,
      pictures: [{ picture: { file: "", name: "fakes", at: 3, unit: "epoch" }, png: "ZHJhd24=" }],
      drawn: 2,
      samples: {
        evaluation: "20260102-000000-net",
        split: "test",
        classes: ["cat", "dog"],
        hardest: [{ index: 7, inputs: [image], actual: 0, predicted: 1, confidence: 0.9, loss: 2.5 }],
        examples: [
          {
            index: 0,
            inputs: [{ kind: "numbers", shape: [2], values: [1, 2], names: ["age", "size"] }],
            output: { kind: "numbers", shape: [1], values: [0.25] },
          },
        ],
      },
    });
    for (const part of [
      'src="data:image/png;base64,ZHJhd24=" alt="fakes after epoch 3"',
      "1 of 2 are in this report.",
      "Evaluation 20260102-000000-net on test data",
      'src="data:image/png;base64,aGFyZA==" alt="Sample 7" width="112" height="56"',
      "Sample 7, predicted dog, actual cat, 90",
      "loss 2.5",
      "age 1, size 2",
      "Output",
      "0.25",
    ])
      expect(html).toContain(part);
  });

  test("leaves pictures out that would make it too large, and says so", () => {
    const image = { kind: "image", png: "A".repeat(PICTURES_LIMIT / 2), width: 8, height: 8 } as const;
    const samples = [0, 1, 2].map((index) => ({ index, inputs: [image] }));
    const html = reportHtml({
      ...parts,
      samples: { evaluation: "e", split: "test", hardest: samples, examples: samples },
      diagram: `<svg>${"x".repeat(4 * 2 ** 20)}</svg>`,
    });
    expect(html.length).toBeLessThan(1.1 * PICTURES_LIMIT);
    expect(html).toContain("2 of 3 are in this report.");
    expect(html).toContain("0 of 3 are in this report.");
  });

  test("has of each series of pictures as many, from the first to the last", () => {
    const series = (name: string, count: number): Picture[] =>
      Array.from({ length: count }, (_, at) => ({ file: `${name}-${at}`, name, at, unit: "epoch" }));
    const chosen = chosenPictures([...series("a", 100), ...series("b", 2)]);
    expect(chosen.map(({ name, at }) => `${name}${at}`)).toEqual([
      "a0",
      "a20",
      "a40",
      "a59",
      "a79",
      "a99",
      "b0",
      "b1",
    ]);
    expect(chosenPictures(Array.from({ length: 40 }, (_, i) => series(String(i), 3)).flat())).toHaveLength(
      12,
    );
    expect(chosenPictures([])).toEqual([]);
  });

  test("escapes all text of a run's files", () => {
    const html = reportHtml({
      name: attack,
      history: history(
        {
          file: attack,
          source: attack,
          imports: { [attack]: attack },
          provenance: {
            version: 1,
            command: attack,
            git: { commit: "a".repeat(40), patch: `+++ ${attack}` },
            versions: { [attack]: attack },
            machine: { system: attack, processor: attack, cores: 1, memory: 1 },
            model: attack,
          },
        },
        {
          model: attack,
          exportName: attack,
          file: attack,
          settings: { [attack]: attack },
          metrics: { [attack]: 1 },
          best: { metric: attack, value: 1, epoch: 1 },
        },
      ),
      charts: [],
      axis: attack,
      metrics: [],
      events: [{ step: 1, text: attack }],
      advice: [{ layer: attack, step: 1, text: attack }],
      pictures: [{ picture: { file: attack, name: attack, at: 1, unit: "epoch" }, png: attack }],
      drawn: 1,
      samples: {
        evaluation: attack,
        split: "test",
        classes: [attack, attack],
        hardest: [
          { index: 0, inputs: [{ kind: "text", tokens: [attack] }], actual: 0, predicted: 1 },
          { index: 1, inputs: [{ kind: "image", png: `iVBO"><script>`, width: 8, height: 8 }] },
        ],
        examples: [{ index: 2, inputs: [{ kind: "numbers", shape: [1], values: [1], names: [attack] }] }],
      },
    });
    expect(html).not.toMatch(/<script|<img/);
    expect(html.match(/&lt;script&gt;/g)?.length).toBeGreaterThan(10);
  });
});
