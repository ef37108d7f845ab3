import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunDirectory } from "../../extension/engine/reporting/runDirectory.ts";
import { cutMetrics, recordToResume, readStates } from "../../extension/engine/resume/trainingFile.ts";
import type { RunRecord } from "../../extension/protocol/run.ts";
import {
  listPictures,
  readEvaluation,
  readPicture,
} from "../../extension/supervisor/runs/evaluationFiles.ts";
import { MetricsReader, readLastRow, readRows } from "../../extension/supervisor/runs/metrics.ts";
import { openRun } from "../../extension/supervisor/runs/attach.ts";
import { forkEngine } from "../../extension/supervisor/engines/process.ts";
import {
  checkpointPath,
  listRuns,
  readRecord,
  runsRoot,
  writeRecord,
} from "../../extension/supervisor/runs/runDirectory.ts";
import { readLabels, writeLabels } from "../../extension/supervisor/runs/runLabels.ts";
import { deleteCheckpoint, deleteRun } from "../../extension/supervisor/runs/trash.ts";
import { checkpoint } from "./hostileRun.ts";
import { startingRecord } from "../../extension/protocol/engine.ts";
import { processorClock } from "../bounds.ts";

/** Holds the workspace, and beside it what belongs to the user. */
let folder: string;
let workspace: string;
let outside: string;
let victim: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), "layerwise-attack-"));
  workspace = join(folder, "workspace");
  outside = join(folder, "outside");
  victim = join(outside, "thesis.txt");
  fs.mkdirSync(workspace);
  fs.mkdirSync(outside);
  fs.writeFileSync(victim, "years of work");
});
afterEach(() => {
  // Whatever an attack does, the user's file is the same, and alone.
  const content = fs.readFileSync(victim, "utf8");
  const beside = fs.readdirSync(outside);
  fs.rmSync(folder, { recursive: true, force: true });
  expect(content).toBe("years of work");
  expect(beside).toEqual(["thesis.txt"]);
});

const posix = it.skipIf(process.platform === "win32");

function recordOf(directory: string, more: Partial<RunRecord> = {}): RunRecord {
  const file = join(workspace, "model.nn.ts");
  const request = { kind: "train", file, exportName: "default", directory, device: "auto" } as const;
  return { ...startingRecord({ ...request, outlive: false }), state: "finished", ...more };
}

/** A run as a stranger's repository may have it. */
function store(id: string, more: Partial<RunRecord> = {}): string {
  const directory = join(runsRoot(workspace), id);
  fs.mkdirSync(join(directory, "checkpoints"), { recursive: true });
  fs.writeFileSync(join(directory, "run.json"), JSON.stringify(recordOf(directory, more)));
  return directory;
}

/** Lists the runs; unreadable ones are reported and don't affect the others. */
async function list(): Promise<{ ids: string[]; problems: string[] }> {
  const problems: string[] = [];
  const runs = await listRuns(workspace, (problem) => problems.push(String(problem)));
  return { ids: runs.map(({ record }) => record.id), problems };
}

describe("listing runs", () => {
  posix.each(["/dev/ptmx", "/dev/zero", "/dev/random"])("links run.json to %s", async (device) => {
    store("good");
    const bad = store("bad");
    fs.rmSync(join(bad, "run.json"));
    fs.symlinkSync(device, join(bad, "run.json"));
    const { ids, problems } = await list();
    expect(ids).toEqual(["good"]);
    expect(problems.join()).toMatch(/symbolic link/);
  });

  posix("makes run.json a named pipe in more runs than there are threads for files", async () => {
    store("good");
    for (let i = 0; i < 8; i++) {
      const bad = store(`bad-${i}`);
      fs.rmSync(join(bad, "run.json"));
      execFileSync("mkfifo", [join(bad, "run.json")]);
    }
    const { ids, problems } = await list();
    expect(ids).toEqual(["good"]);
    expect(problems).toHaveLength(8);
  });

  it("has a run.json of 1 TB, one nested a million deep, and one that is no object", async () => {
    store("good");
    fs.truncateSync(join(store("large"), "run.json"), 2 ** 40);
    fs.writeFileSync(join(store("deep"), "run.json"), "[".repeat(1e6));
    fs.writeFileSync(join(store("null"), "run.json"), "null");
    const { ids, problems } = await list();
    expect(ids).toEqual(["good"]);
    expect(problems.join("\n")).toMatch(/the limit is/);
    expect(problems).toHaveLength(3);
  });

  posix("links a run, the runs' folder or .layerwise to a folder outside", async () => {
    store("good");
    fs.symlinkSync(outside, join(runsRoot(workspace), "linked"));
    expect((await list()).ids).toEqual(["good"]);
    fs.renameSync(runsRoot(workspace), join(folder, "runs"));
    fs.symlinkSync(join(folder, "runs"), runsRoot(workspace));
    const linked = await list();
    expect(linked.ids).toEqual([]);
    expect(linked.problems.join()).toMatch(/symbolic link/);
    fs.rmSync(join(workspace, ".layerwise"), { recursive: true });
    fs.symlinkSync(outside, join(workspace, ".layerwise"));
    expect((await list()).problems.join()).toMatch(/symbolic link/);
  });

  it.each([
    "../../../../outside/thesis.txt",
    "/etc/passwd",
    "checkpoints/../../../../outside/thesis.txt",
    "checkpoints/..",
    "checkpoints/",
    "checkpoints/a\u0000b",
    "checkpoints/a/b",
    "checkpoints\\..\\..\\x",
    "run.json",
    "",
  ])("calls %j a checkpoint", async (file) => {
    const bad = store("bad", { checkpoints: [{ ...checkpoint, file }] });
    const { ids, problems } = await list();
    expect(ids).toEqual([]);
    expect(problems.join()).toMatch(/checkpoints folder/);
    await expect(readRecord(bad)).rejects.toThrow(/checkpoints folder/);
    expect(() => recordToResume({ directory: bad } as never)).toThrow(/checkpoints folder/);
  });

  it("has a run.json of 16 MB whose every item is wrong, or is an object", async () => {
    const files = { wrong: "0", objects: "{}", lists: "[]" };
    for (const [id, item] of Object.entries(files)) {
      const directory = store(id);
      const record = JSON.stringify({ ...recordOf(directory), checkpoints: "HERE" });
      const items = `${item},`.repeat(15e6 / (item.length + 1)) + item;
      fs.writeFileSync(join(directory, "run.json"), record.replace('"HERE"', `[${items}]`));
    }
    const problems: string[] = [];
    const taken = processorClock();
    const memory = process.memoryUsage().rss;
    expect(await listRuns(workspace, (problem) => problems.push(String(problem)))).toEqual([]);
    expect(problems).toHaveLength(3);
    expect(problems.every((problem) => problem.length < 1000)).toBe(true);
    expect(taken()).toBeLessThan(4000);
    expect(process.memoryUsage().rss - memory).toBeLessThan(600 * 2 ** 20);
  });

  it("has the id of another run: views open, label and delete a run by its id", async () => {
    store("mine", { model: "Mine" });
    const other = store("other", { id: "mine", model: "Other" });
    expect((await list()).ids.sort()).toEqual(["mine", "other"]);
    expect(await readRecord(other)).toMatchObject({ id: "other", model: "Other" });
    expect(recordToResume({ directory: other } as never)).toMatchObject({ id: "other", model: "Other" });
  });

  posix.each(["a\nrm -rf ~", "\u001b[2J", ".hidden", "a:b"])("has a folder named %j", async (name) => {
    const bad = store(name, { id: "good" });
    expect((await list()).ids).toEqual([]);
    await expect(readRecord(bad)).rejects.toThrow("the name of its folder is not a run's");
    expect(() => recordToResume({ directory: bad } as never)).toThrow(
      "the name of its folder is not a run's",
    );
  });

  it.each(["../x", "a/b", "..", "a\nb", "\u001b[2J", "x".repeat(300)])("has the id %j", async (id) => {
    const bad = store("bad", { id });
    expect((await list()).ids).toEqual([]);
    await expect(readRecord(bad)).rejects.toThrow(/name of a folder/);
  });
});

describe("reading a run", () => {
  it("has 60 MB of metrics without the end of a line", async () => {
    const directory = store("run");
    const row = `${JSON.stringify({ kind: "step", step: 1, epoch: 1, time: 1, values: { loss: 1 } })}\n`;
    fs.writeFileSync(join(directory, "metrics.jsonl"), `${"x".repeat(60 * 2 ** 20)}\n${row}`);
    const taken = processorClock();
    const rows = await readRows(directory, 100);
    expect(rows.map(({ step }) => step)).toEqual([1]);
    expect(taken()).toBeLessThan(10_000);
  });

  it("has thousands of values in each row, under names of their own: a bounded number is kept", async () => {
    const directory = store("run");
    const file = fs.openSync(join(directory, "metrics.jsonl"), "w");
    for (let step = 0; step < 150; step++) {
      const values = Object.fromEntries(
        Array.from({ length: 5000 }, (_, i) => [(5000 * step + i).toString(36), 1]),
      );
      for (const kind of ["step", "epoch"])
        fs.writeSync(file, `${JSON.stringify({ kind, step, epoch: step, time: step, values })}\n`);
      fs.writeSync(
        file,
        `${JSON.stringify({ kind: "event", step, epoch: 1, time: 1, text: "x".repeat(6e4), values: {} })}\n`,
      );
    }
    fs.closeSync(file);
    const rows = await readRows(directory, 2000);
    const count = rows.reduce((sum, { values }) => sum + Object.keys(values).length, 0);
    expect(count).toBeGreaterThan(2 ** 17);
    expect(count).toBeLessThan(2 * 2 ** 18);
    expect(rows.map(({ step }) => step)).toContain(149);
  });

  it("has metrics that never end a line, in a file of a terabyte", async () => {
    const directory = store("run");
    fs.writeFileSync(join(directory, "metrics.jsonl"), "");
    fs.truncateSync(join(directory, "metrics.jsonl"), 2 ** 40);
    expect(await new MetricsReader(directory).read()).toEqual([]);
    expect(await readLastRow(directory)).toBeUndefined();
  });

  posix("makes every file of a run a named pipe, then a link to a device", async () => {
    const directory = store("run");
    const names = ["metrics.jsonl", "labels.json", "evaluation.json", "report.json", "log.txt", "source.ts"];
    for (const make of [
      (path: string) => void execFileSync("mkfifo", [path]),
      (path: string) => fs.symlinkSync("/dev/zero", path),
    ]) {
      for (const name of names) make(join(directory, name));
      expect(await readRows(directory, 10)).toEqual([]);
      expect(await readLastRow(directory)).toBeUndefined();
      expect(await readLabels(directory)).toMatchObject({ name: "" });
      expect(await readEvaluation(directory)).toEqual({ result: undefined, report: undefined });
      const { session } = await openRun(directory);
      expect(session.live).toBe(false);
      for (const name of names) fs.rmSync(join(directory, name));
    }
  });

  posix("links the pictures' folder, and a picture, to outside", async () => {
    const directory = store("run");
    fs.writeFileSync(join(outside, "epoch-00001-secret.png"), "secret");
    try {
      fs.symlinkSync(outside, join(directory, "pictures"));
      expect(await listPictures(directory)).toEqual([]);
      await expect(readPicture(directory, "epoch-00001-secret.png")).rejects.toThrow(/symbolic link/);
      fs.rmSync(join(directory, "pictures"));
      fs.mkdirSync(join(directory, "pictures"));
      fs.symlinkSync(victim, join(directory, "pictures", "epoch-00001-a.png"));
      await expect(readPicture(directory, "epoch-00001-a.png")).rejects.toThrow(/symbolic link/);
    } finally {
      fs.rmSync(join(outside, "epoch-00001-secret.png"));
    }
  });
});

describe("writing into a run", () => {
  posix("puts links at every name that was ever a temporary file's", async () => {
    const directory = store("run");
    for (const name of ["run.json", "labels.json"])
      for (let pid = process.pid - 50; pid < process.pid + 50; pid++)
        fs.symlinkSync(victim, join(directory, `${name}.${pid}.tmp`));
    await writeRecord(directory, recordOf(directory));
    await writeLabels(directory, { name: "mine", tags: [], archived: false });
    expect(await readLabels(directory)).toMatchObject({ name: "mine" });
  });

  posix("links each of a run's files to the user's", async () => {
    const directory = store("run");
    for (const name of ["labels.json", "source.ts", "evaluation.json", "report.json"])
      fs.symlinkSync(victim, join(directory, name));
    await expect(writeLabels(directory, { name: "mine", tags: [], archived: false })).rejects.toThrow(
      /symbolic link/,
    );
    fs.symlinkSync(victim, join(directory, "metrics.jsonl"));
    fs.symlinkSync(victim, join(directory, "layers.jsonl"));
    fs.symlinkSync(victim, join(directory, "log.txt"));
    const problems: string[] = [];
    const engine = new RunDirectory(directory, recordOf(directory), (text) => problems.push(text));
    engine.appendMetrics([{ kind: "step", step: 1, epoch: 1, time: 1, values: {} }]);
    engine.appendLayers({ step: 1, epoch: 1, layers: {} });
    engine.appendLog("hostile");
    const file = join(workspace, "model.nn.ts");
    engine.keepSource(file, new Map([[file, "text"]]));
    engine.writeEvaluation({ metrics: {} } as never);
    engine.writeReport({} as never);
    engine.close();
    expect(problems.join("\n")).toMatch(/metrics\.jsonl can't be written/);
    expect(problems.join("\n")).toMatch(/log\.txt can't be written/);
    expect(problems.join("\n")).toMatch(/source\.ts can't be written/);
    await expect(
      forkEngine({ dist: join(workspace, "none"), entry: "x.js", outliveTo: join(directory, "log.txt") }),
    ).rejects.toThrow(/symbolic link/);
    fs.rmSync(join(directory, "metrics.jsonl"));
  });

  posix("links run.json to the user's file when a training starts", () => {
    const directory = store("run");
    fs.rmSync(join(directory, "run.json"));
    fs.symlinkSync(victim, join(directory, "run.json"));
    expect(() => new RunDirectory(directory, recordOf(directory), () => undefined)).toThrow(/symbolic link/);
  });

  posix("links the checkpoints' folder to outside when a training is resumed", () => {
    const directory = store("run");
    fs.rmdirSync(join(directory, "checkpoints"));
    fs.symlinkSync(outside, join(directory, "checkpoints"));
    expect(() => new RunDirectory(directory, recordOf(directory), () => undefined)).toThrow(/symbolic link/);
    expect([...readStates(directory)].every((state) => state instanceof Error)).toBe(true);
  });

  it("has files in the checkpoints' folder that only look like temporary ones", () => {
    const directory = store("run");
    const names = [".a.tmp", ".b.0123456789zz.tmp", "c.0123456789ab.tmp"];
    for (const name of names) fs.writeFileSync(join(directory, "checkpoints", name), "");
    fs.writeFileSync(join(directory, "checkpoints", ".x.0123456789ab.tmp"), "");
    new RunDirectory(directory, recordOf(directory), () => undefined).close();
    expect(fs.readdirSync(join(directory, "checkpoints")).sort()).toEqual(names.toSorted());
  });

  it("has a rollback in every row of the metrics when curves are cut", () => {
    const directory = store("run");
    const row = { kind: "event", step: 1, epoch: 1, time: 1, rollback: 9, values: {} };
    const last = { ...row, step: 5, rollback: 0 };
    const line = (one: object): string => `${JSON.stringify(one)}\n`;
    fs.writeFileSync(join(directory, "metrics.jsonl"), line(row).repeat(60_000) + line(last));
    const taken = processorClock();
    cutMetrics(directory, { step: 9, completed: 1 });
    expect(taken()).toBeLessThan(4000);
    expect(fs.readFileSync(join(directory, "metrics.jsonl"), "utf8")).toBe(line(last));
  });

  posix("links metrics to the user's file when curves are cut", () => {
    const directory = store("run");
    fs.symlinkSync(victim, join(directory, "metrics.jsonl"));
    expect(() => cutMetrics(directory, { step: 0, completed: 0 })).toThrow(/symbolic link/);
  });
});

describe("deleting", () => {
  posix("links the trash to outside", async () => {
    const directory = store("run");
    fs.symlinkSync(outside, join(workspace, ".layerwise", "trash"));
    await expect(deleteRun(directory)).rejects.toThrow(/symbolic link/);
    expect(fs.existsSync(directory)).toBe(true);
  });

  posix("links the checkpoints' folder to outside", async () => {
    const file = "checkpoints/thesis.txt";
    const directory = store("run", { checkpoints: [{ ...checkpoint, file }] });
    fs.rmdirSync(join(directory, "checkpoints"));
    fs.symlinkSync(outside, join(directory, "checkpoints"));
    await expect(deleteCheckpoint(directory, { ...checkpoint, file })).rejects.toThrow(/symbolic link/);
  });

  it("names a checkpoint outside of the run", async () => {
    const directory = store("run");
    const file = "../../../../outside/thesis.txt";
    await expect(deleteCheckpoint(directory, { ...checkpoint, file })).rejects.toThrow(/outside/);
    expect(() => checkpointPath(directory, { ...checkpoint, file })).toThrow(/outside/);
  });

  it("keeps old files in the trash that are not ours", async () => {
    const directory = store("run");
    const trash = join(workspace, ".layerwise", "trash");
    fs.mkdirSync(trash);
    const old = new Date(Date.now() - 10 * 24 * 60 * 60 * 1000);
    for (const name of ["notes.txt", "123-x", `${old.getTime()}`]) {
      fs.writeFileSync(join(trash, name), "");
      fs.utimesSync(join(trash, name), old, old);
    }
    const deleted = await deleteRun(directory);
    expect(fs.readdirSync(trash)).toHaveLength(4);
    await deleted.purge();
    expect(fs.readdirSync(trash)).toHaveLength(3);
  });

  posix("puts a link to outside into a run that is purged", async () => {
    const directory = store("run");
    fs.symlinkSync(outside, join(directory, "link"));
    fs.symlinkSync(dirname(victim), join(directory, "checkpoints", "link"));
    await (await deleteRun(directory)).purge();
    expect(fs.existsSync(directory)).toBe(false);
  });
});
