// Rows of a stranger's runs, which VS Code's own process reads: it does nothing else meanwhile.
import fs from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { LayerHistory } from "../../../extension/supervisor/runs/layerHistory.ts";
import { readRows } from "../../../extension/supervisor/runs/metrics.ts";
import { processorClock } from "../../bounds.ts";
import { useFolder } from "../../folders.ts";
import { writeRun } from "../hostileRun.ts";

const folder = useFolder();

it("has a run that goes back in each of its rows, to a step behind all others", async () => {
  const directory = writeRun(folder, "run", {});
  const row = (kind: string, step: number, more = {}): string =>
    `${JSON.stringify({ kind, step, epoch: 1, time: 1, values: {}, ...more })}\n`;
  const kept = ["step", "epoch", "event"].map((kind) =>
    Array.from({ length: 990 }, (_, step) => row(kind, step)).join(""),
  );
  const back = row("step", 0, { rollback: 1e9 }).repeat(60_000);
  fs.writeFileSync(path.join(directory, "metrics.jsonl"), kept.join("") + back);
  const taken = processorClock();
  expect((await readRows(directory, 1000)).length).toBeGreaterThan(1000);
  expect(taken()).toBeLessThan(3000);
});

it("has a run with tens of thousands of layers in each row, and of fields in each finding", async () => {
  const directory = writeRun(folder, "run", {});
  const many = (count: number, value: string): string =>
    Array.from({ length: count }, (_, i) => `"${i.toString(36)}":${value}`).join(",");
  const rows = (count: number, from: number, to: number): string => {
    const layers = many(count, "{}");
    return Array.from(
      { length: to - from },
      (_, i) => `{"step":${from + i},"epoch":1,"layers":{${layers}}}\n`,
    ).join("");
  };
  fs.writeFileSync(path.join(directory, "layers.jsonl"), rows(90_000, 0, 40) + rows(60_000, 40, 50));
  const large = `{"kind":"deadUnits","text":"large",${many(60_000, "1")}}\n`;
  fs.writeFileSync(
    path.join(directory, "findings.jsonl"),
    `${large.repeat(6)}{"kind":"deadUnits","text":"half dead"}\n`,
  );
  const taken = processorClock();
  const read = await new LayerHistory(directory).columns({ generation: -1, kept: 0 });
  expect(read).toMatchObject({ omitted: 59_000, advice: [{ text: "half dead" }] });
  expect(read?.steps.every((step) => step >= 40)).toBe(true);
  expect(read?.layers).toHaveLength(1000);
  expect(taken()).toBeLessThan(5000);
});
