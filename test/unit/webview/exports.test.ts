import { describe, expect, test } from "vitest";
import type { MetricRow } from "../../../extension/protocol/run.ts";
import { chartModel, type ChartModel } from "../../../webview/training/chartModel.ts";
import { Curves } from "../../../webview/training/curves.ts";
import { curvesOf } from "../../../webview/training/state.ts";
import { csvText, pgfplotsText, svgText, ticks } from "../../../webview/training/exports.ts";

const row = (
  kind: MetricRow["kind"],
  step: number,
  values: Record<string, number>,
  text?: string,
): MetricRow => ({
  kind,
  step,
  epoch: Math.ceil(step / 2),
  time: step / 4,
  values,
  ...(text === undefined ? {} : { text }),
});
const rows = [
  row("step", 1, { loss: 2 }),
  row("step", 2, { loss: Number.NaN }),
  row("epoch", 2, { loss: 1.5, val_loss: 1.75 }),
  row("step", 3, { loss: 0.5 }),
  row("event", 3, { lr: 0.01 }, "lr changed by hand from 0.1 to 0.01."),
  row("step", 4, { loss: 0.25 }),
];
const curves = new Curves(rows, 2, 32);
const plain = { axis: "step", logScale: false, smoothing: 0 } as const;

function model(options: Partial<Parameters<typeof chartModel>[1]> = {}): ChartModel {
  return chartModel(curves.metrics()[0]!, { ...plain, ...options }, undefined, { events: curves.events });
}

describe("events and throughput", () => {
  test("an event is a mark, and no value of a curve", () => {
    expect(curves.metrics().map(({ name }) => name)).toEqual(["loss"]);
    expect(curves.events).toMatchObject([{ step: 3, epoch: 1.5, label: "lr 0.01" }]);
    expect(model({ axis: "time" }).events).toEqual([{ x: 0.75, label: "lr 0.01" }]);
  });

  test("one that is sent again is there once", () => {
    const again = new Curves(rows, 2);
    again.append(rows.slice(4));
    expect(again.events).toHaveLength(1);
  });

  test("samples a second are those between two rows", () => {
    // 32 samples in each quarter of a second.
    expect(curves.throughput()).toMatchObject({
      name: "samples/s",
      steps: { step: [2, 3, 4], value: [128, 128, 128] },
    });
    expect(new Curves(rows, 2).throughput()).toMatchObject({ name: "steps/s", steps: { value: [4, 4, 4] } });
  });
});

test("samples of a step are those of all batches that it accumulates", () => {
  const settings = { batchSize: 16, accumulateGradBatches: 2 };
  expect(curvesOf({ settings, stepsPerEpoch: 2 }, rows).throughput()).toEqual(curves.throughput());
});

describe("other runs", () => {
  test("lie below this one, with their colours and validation", () => {
    const metric = curves.metrics()[0]!;
    const { lines } = chartModel(metric, plain, undefined, { others: [{ name: "wide", slot: 3, metric }] });
    expect(lines.map(({ label, slot, style }) => [label, slot, style])).toEqual([
      ["wide", 3, "train"],
      ["wide, validation", 3, "validation"],
      ["Train", undefined, "train"],
      ["Epoch mean", undefined, "mean"],
      ["Validation", undefined, "validation"],
    ]);
  });
});

describe("exports", () => {
  test("CSV has every value as it was recorded", () => {
    expect(csvText([{ name: 'a "b", c', metrics: curves.metrics() }])).toBe(
      [
        "run,metric,kind,step,epoch,time,value",
        '"a ""b"", c",loss,step,1,0.5,0.25,2',
        '"a ""b"", c",loss,step,2,1,0.5,nan',
        '"a ""b"", c",loss,step,3,1.5,0.75,0.5',
        '"a ""b"", c",loss,step,4,2,1,0.25',
        '"a ""b"", c",loss,epoch,2,1,0.5,1.5',
        '"a ""b"", c",loss,validation,2,1,0.5,1.75',
        "",
      ].join("\n"),
    );
  });

  test("pgfplots is a document with a plot for each line", () => {
    const tex = pgfplotsText([{ ...model({ logScale: true }), name: "val_loss 50%" }], "Step");
    expect(tex).toContain("ylabel={val\\_loss 50\\%}");
    expect(tex).toContain("ymode=log");
    expect(tex).toContain("\\addplot+[mark=none, thick] coordinates {(1,2) (3,0.5) (4,0.25)};");
    expect(tex).toContain(
      "\\addplot+[only marks, mark=o, thick] coordinates {(2,1.5)};\n\\addlegendentry{Epoch mean}",
    );
    expect(tex.match(/\\begin\{\w+\}/g)).toHaveLength(tex.match(/\\end\{\w+\}/g)!.length);
  });

  test.each([0.001, 0.1, 0.05, 1e-4, Math.fround(1e-3), 0, 1e30, -3])(
    "SVG draws a constant, which smoothing changes in its last digits: %f",
    (lr) => {
      const rows = Array.from({ length: 1000 }, (_, i): MetricRow => ({
        kind: "step",
        step: i + 1,
        epoch: 1,
        time: i,
        values: { lr },
      }));
      const of = chartModel(new Curves(rows).metrics()[0]!, { ...plain, smoothing: 0.6 });
      const style = { background: "#fff", text: "#000", grid: "#888", colourOf: () => "#00f" };
      const svg = svgText([of], "Step", style);
      expect(svg).not.toContain("NaN");
      expect(svg.length).toBeLessThan(100_000);
    },
  );

  test("SVG is drawn within its size, with names escaped", () => {
    const style = { background: "#fff", text: "#000", grid: "#888", colourOf: () => "#00f" };
    const svg = svgText([{ ...model(), name: "a < b" }], "Step", style);
    expect(svg).toContain("a &lt; b");
    expect(svg).toContain("lr 0.01</text>");
    const [, points = ""] = /points="([^"]+)"/.exec(svg) ?? [];
    const places = points.split(" ").map((place) => place.split(",").map(Number));
    expect(places).toHaveLength(3);
    // The highest value is at the top left, the last one at the bottom right.
    expect(places).toEqual([
      [64, 34],
      [expect.closeTo(437.3, 1), expect.closeTo(244.9, 1)],
      [624, 280],
    ]);
  });

  test("ticks are round numbers in the range", () => {
    expect(ticks({ minimum: 0, maximum: 10 })).toEqual([0, 2, 4, 6, 8, 10]);
    expect(ticks({ minimum: 0.13, maximum: 0.29 })).toEqual([0.15, 0.2, 0.25]);
  });
});
