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
  const many = (name: string, value: string): string =>
    Array.from({ length: 60_000 }, (_, i) => `"${name}${i}":${value}`).join(",");
  const layers = many("layer", "{}");
  fs.writeFileSync(
    path.join(directory, "layers.jsonl"),
    Array.from({ length: 50 }, (_, step) => `{"step":${step},"epoch":1,"layers":{${layers}}}\n`).join("") +
      `{"step":50,"epoch":1,"layers":{"fc":{"gradNorm":1}}}\n`,
  );
  const fields = many("x", "1");
  fs.writeFileSync(
    path.join(directory, "findings.jsonl"),
    `{"kind":"deadUnits","text":"large",${fields}}\n`.repeat(8) + `{"kind":"deadUnits","text":"half dead"}\n`,
  );
  const taken = processorClock();
  const read = await new LayerHistory(directory).columns({ generation: -1, kept: 0 });
  expect(read).toMatchObject({ steps: [50], omitted: 0, advice: [{ text: "half dead" }] });
  expect(read?.layers.map(({ path }) => path)).toEqual(["fc"]);
  expect(taken()).toBeLessThan(2000);
});
