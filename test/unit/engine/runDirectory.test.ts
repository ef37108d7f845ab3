import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";
import { expect, test, vi } from "vitest";
import { AppendFile } from "../../../extension/files/append.ts";
import { RunDirectory } from "../../../extension/engine/reporting/runDirectory.ts";
import type { MetricRow, RunRecord } from "../../../extension/protocol/run.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

const record: RunRecord = {
  version: 1,
  id: "run",
  kind: "train",
  state: "starting",
  file: "/net.nn.ts",
  exportName: "default",
  model: "",
  createdAt: "2026-01-01T00:00:00.000Z",
  epochs: 1,
  epoch: 0,
  step: 0,
  settings: {},
  metrics: {},
  checkpoints: [],
  outlive: false,
};
const row: MetricRow = { kind: "step", step: 1, epoch: 1, time: 0, values: { loss: 1 } };

const onDisk = (directory: RunDirectory): RunRecord =>
  JSON.parse(fs.readFileSync(directory.file("run.json"), "utf8")) as RunRecord;

test("a change of state is written at once, other changes at most once a second and at the end", () => {
  const directory = new RunDirectory(path.join(folder, "run"), record, () => undefined);
  expect(onDisk(directory).state).toBe("starting");
  directory.update({ state: "running" });
  expect(onDisk(directory).state).toBe("running");
  directory.update({ step: 5 });
  directory.flush();
  expect(onDisk(directory).step).toBe(0);
  directory.close();
  expect(onDisk(directory).step).toBe(5);
  expect(fs.readdirSync(directory.path).sort()).toEqual(["checkpoints", "run.json"]);
});

test("a record that no reader would take is not written, and the one before it stays", () => {
  const problems: string[] = [];
  const directory = new RunDirectory(path.join(folder, "run"), record, (text) => problems.push(text));
  directory.update({ state: "running", settings: { text: "x".repeat(17e6) } });
  directory.close();
  expect(onDisk(directory).state).toBe("starting");
  expect(problems).toEqual([expect.stringMatching(/run\.json can't be written: .* the limit is 16,777,216/)]);
});

test("rows and log are appended, line by line", () => {
  const directory = new RunDirectory(path.join(folder, "run"), record, () => undefined);
  directory.appendMetrics([row, { ...row, values: { loss: Number.NaN } }]);
  directory.appendLog("hello\n");
  directory.flush();
  directory.appendMetrics([row]);
  directory.close();
  const lines = fs.readFileSync(directory.file("metrics.jsonl"), "utf8").trimEnd().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as MetricRow).values)).toEqual([
    { loss: 1 },
    { loss: null },
    { loss: 1 },
  ]);
  expect(fs.readFileSync(directory.file("log.txt"), "utf8")).toBe("hello\n");
});

test("reports a full disk once, and writes the missing rows when there is room", () => {
  const problems: string[] = [];
  const directory = new RunDirectory(path.join(folder, "run"), record, (text) => problems.push(text));
  const full = vi.spyOn(fs, "writeSync").mockImplementation(() => {
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  });
  directory.appendMetrics([row]);
  directory.flush();
  directory.appendMetrics([row]);
  directory.flush();
  full.mockRestore();
  directory.close();
  expect(problems).toEqual([
    `${directory.file("metrics.jsonl")} can't be written: the disk is full (ENOSPC). The run continues; what is missing is written when that is possible again.`,
  ]);
  expect(fs.readFileSync(directory.file("metrics.jsonl"), "utf8").trimEnd().split("\n")).toHaveLength(2);
});

test("writes the last state of a run on a full disk", () => {
  const directory = new RunDirectory(path.join(folder, "run"), record, () => undefined);
  const write = fs.writeSync;
  const file = directory.file("run.json");
  const { ino } = fs.statSync(file);
  // Only what the record's file has already is left.
  const full = vi.spyOn(fs, "writeSync").mockImplementation(((to: number, ...rest: [Uint8Array]) => {
    if (fs.fstatSync(to).ino === ino) return write(to, ...rest);
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  }) as typeof fs.writeSync);
  syncBuiltinESMExports();
  const message = "the disk is full";
  directory.update({ state: "failed", error: { code: "checkpoint", message } });
  expect(JSON.parse(fs.readFileSync(file, "utf8"))).toMatchObject({ state: "failed", error: { message } });
  // A record that has no room there leaves the earlier one untouched.
  directory.update({ state: "failed", error: { code: "checkpoint", message: "x".repeat(100_000) } });
  directory.close();
  full.mockRestore();
  syncBuiltinESMExports();
  expect(JSON.parse(fs.readFileSync(file, "utf8"))).toMatchObject({ state: "failed", error: { message } });
});

test("what can't be written is kept, and not twice", () => {
  const file = new AppendFile(path.join(folder, "missing", "log.txt"));
  file.push("one\n");
  expect(() => file.flush()).toThrow("ENOENT");
  file.push("two\n");
  fs.mkdirSync(path.join(folder, "missing"));
  file.flush();
  file.flush();
  file.close();
  expect(fs.readFileSync(file.path, "utf8")).toBe("one\ntwo\n");
});

test("a file that can't be written for long drops its oldest text", () => {
  const file = new AppendFile(path.join(folder, "log.txt"), 8);
  for (const text of ["aaaa", "bbbb", "cccc"]) file.push(text);
  file.flush();
  file.close();
  expect(fs.readFileSync(file.path, "utf8")).toBe("bbbbcccc");
});

test("what a killed process left half-written goes, and nothing else", () => {
  const checkpoints = path.join(folder, "run", "checkpoints");
  fs.mkdirSync(checkpoints, { recursive: true });
  for (const name of [".last.safetensors.0123456789ab.tmp", "last.safetensors", "mine.tmp"])
    fs.writeFileSync(path.join(checkpoints, name), "");
  new RunDirectory(path.join(folder, "run"), record, () => undefined).close();
  expect(fs.readdirSync(checkpoints).sort()).toEqual(["last.safetensors", "mine.tmp"]);
});

test("a directory that can't be made says why", () => {
  fs.writeFileSync(path.join(folder, "file"), "");
  expect(() => new RunDirectory(path.join(folder, "file", "run"), record, () => undefined)).toThrow(
    /^The run directory .*run can't be written: a part of the path is a file, not a folder \(ENOTDIR\)\.$/,
  );
});
