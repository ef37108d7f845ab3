// Which evaluation's samples a training's report shows.
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { REPORT_SAMPLES } from "../../../extension/protocol/history/report.ts";
import { MetricPairs, MetricValues, Numbers } from "../../../extension/protocol/data/numbers.ts";
import { MetricValue, REPORT_LIMIT, REPORT_PARTS, type RunRecord } from "../../../extension/protocol/run.ts";
import { readEvaluation, readSamples } from "../../../extension/supervisor/runs/evaluationFiles.ts";

const TRAINING = "20260101-000000-net";
let folder: string;
const directoryOf = (id: string): string => path.join(folder, ".layerwise/runs", id);

beforeEach(() => void (folder = mkdtempSync(path.join(tmpdir(), "layerwise-samples-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(id: string, change: Partial<RunRecord>, report?: object): void {
  const record: RunRecord = {
    version: 1,
    id,
    kind: "evaluate",
    state: "finished",
    file: path.join(folder, "net.nn.ts"),
    exportName: "default",
    model: "Net",
    createdAt: `${id.slice(0, 4)}-${id.slice(4, 6)}-${id.slice(6, 8)}T00:00:00Z`,
    epochs: 0,
    epoch: 0,
    step: 0,
    settings: {},
    metrics: {},
    checkpoints: [],
    outlive: false,
    ...change,
  };
  mkdirSync(directoryOf(id), { recursive: true });
  writeFileSync(path.join(directoryOf(id), "run.json"), JSON.stringify(record));
  if (report !== undefined) writeFileSync(path.join(directoryOf(id), "report.json"), JSON.stringify(report));
}

const ofRun = (id: string): RunRecord["settings"] => ({
  checkpoint: path.join(directoryOf(id), "checkpoints/best.safetensors"),
});

const reportOf = (samples: number): object => {
  const all = Array.from({ length: samples }, (_, index) => ({ index, inputs: [] }));
  return {
    version: 1,
    task: "other",
    split: "test",
    listed: samples,
    input: { kind: "none", reason: "" },
    hardest: all,
    examples: all,
    regression: [],
  };
};

test("the newest finished evaluation of the training, a bounded number of samples of it", async () => {
  write(TRAINING, { kind: "train" });
  write("20260102-000000-net", { settings: ofRun(TRAINING) }, reportOf(1));
  write("20260103-000000-net", { settings: ofRun(TRAINING) }, reportOf(40));
  write("20260104-000000-net", { settings: ofRun(TRAINING), state: "failed" }, reportOf(2));
  write("20260105-000000-net", { settings: ofRun("20250101-000000-net") }, reportOf(3));
  const samples = await readSamples(folder, directoryOf(TRAINING));
  expect(samples?.evaluation).toBe("20260103-000000-net");
  expect(samples?.split).toBe("test");
  expect(samples?.hardest).toHaveLength(REPORT_SAMPLES);
  expect(samples?.examples).toHaveLength(REPORT_SAMPLES);
});

test("none of a training that was not evaluated, or whose evaluation left no report", async () => {
  write(TRAINING, { kind: "train" });
  expect(await readSamples(folder, directoryOf(TRAINING))).toBeUndefined();
  write("20260102-000000-net", { settings: ofRun(TRAINING) });
  expect(await readSamples(folder, directoryOf(TRAINING))).toBeUndefined();
});

test("a report that would block the extension host is not parsed", async () => {
  const { id, settings } = { id: "20260101-000001-net", settings: ofRun(TRAINING) };
  write(TRAINING, { kind: "train" });
  write(id, { settings }, reportOf(1));
  expect(await readSamples(folder, directoryOf(TRAINING))).toBeDefined();
  const more = (padding: unknown): void =>
    writeFileSync(path.join(directoryOf(id), "report.json"), JSON.stringify({ ...reportOf(1), padding }));
  more(" ".repeat(REPORT_LIMIT / 2));
  expect(await readSamples(folder, directoryOf(TRAINING))).toBeDefined();
  for (const padding of [" ".repeat(REPORT_LIMIT), Array.from({ length: REPORT_PARTS.values }, () => 1)]) {
    more(padding);
    expect(await readSamples(folder, directoryOf(TRAINING))).toBeUndefined();
  }
});

test("damaged reports before a good one, as far as 64 MB", async () => {
  write(TRAINING, { kind: "train" });
  const settings = ofRun(TRAINING);
  write("20260101-000001-net", { settings }, reportOf(1));
  const damage = (n: number): void => {
    write(`20260102-00000${n}-net`, { settings, createdAt: `2026-01-02T00:00:0${n}Z` }, {});
    truncateSync(path.join(directoryOf(`20260102-00000${n}-net`), "report.json"), REPORT_LIMIT);
  };
  for (let n = 1; n <= 3; n++) damage(n);
  expect((await readSamples(folder, directoryOf(TRAINING)))?.evaluation).toBe("20260101-000001-net");
  damage(4);
  expect(await readSamples(folder, directoryOf(TRAINING))).toBeUndefined();
});

test("what a result or a report may have costs little to check", async () => {
  // As an older version wrote a thousand classes: indented.
  const counts = Array.from({ length: 1000 }, () => Array.from({ length: 1000 }, () => 7));
  const result = { samples: 1, metrics: { loss: null }, confusion: counts };
  write(TRAINING, { kind: "evaluate" }, reportOf(1));
  const file = path.join(directoryOf(TRAINING), "evaluation.json");
  writeFileSync(file, JSON.stringify(result, null, 2));
  const read = await readEvaluation(directoryOf(TRAINING));
  expect(read.result).toEqual({ ...result, metrics: { loss: Number.NaN } });
  for (const padding of [
    Object.fromEntries(Array.from({ length: 11_000 }, (_, i) => [`m${i}`, 0])),
    Array.from({ length: 21_000 }, () => "text"),
    Array.from({ length: 21_000 }, () => 0.5),
    Array.from({ length: 11_000 }, () => []),
  ]) {
    writeFileSync(file, JSON.stringify({ samples: 1, metrics: {}, padding }));
    expect((await readEvaluation(directoryOf(TRAINING))).result).toBeUndefined();
  }
});

test("lists of numbers are checked as Valibot checks them", () => {
  const lists = [
    [],
    [1, 2],
    [1, null],
    [Number.NaN],
    [1, "2"],
    [[1, 2]],
    [[1, null]],
    [[1]],
    [[1, 2, 3]],
    5,
    null,
  ];
  const slow = { pairs: v.array(v.tuple([MetricValue, MetricValue])), values: v.array(MetricValue) };
  for (const list of lists) {
    const same = (one: v.GenericSchema, other: v.GenericSchema): void => {
      const [a, b] = [one, other].map((schema) => v.safeParse(schema, structuredClone(list)));
      expect([a!.success, a!.success && a!.output]).toEqual([b!.success, b!.success && b!.output]);
    };
    same(Numbers, v.array(v.number()));
    same(MetricValues, slow.values);
    same(MetricPairs, slow.pairs);
  }
});
