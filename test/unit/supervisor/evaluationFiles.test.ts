// Which evaluation's samples a training's report shows.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { REPORT_SAMPLES } from "../../../extension/protocol/history/report.ts";
import { REPORT_LIMIT, REPORT_VALUES, type RunRecord } from "../../../extension/protocol/run.ts";
import { readSamples } from "../../../extension/supervisor/runs/evaluationFiles.ts";

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
  for (const padding of [" ".repeat(REPORT_LIMIT), Array.from({ length: REPORT_VALUES }, () => 1)]) {
    more(padding);
    expect(await readSamples(folder, directoryOf(TRAINING))).toBeUndefined();
  }
});
