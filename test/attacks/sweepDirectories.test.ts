// Sweeps of a stranger: what lists, reads and continues them.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startingRecord } from "../../extension/protocol/engine.ts";
import type { SweepRecord, TrialRow } from "../../extension/protocol/sweeps/sweep.ts";
import { sourceOfRun } from "../../extension/supervisor/runs/sourceFile.ts";
import { continuation } from "../../extension/supervisor/sweeps/interrupted.ts";
import { OptunaStudy } from "../../extension/supervisor/sweeps/optuna.ts";
import {
  listSweeps,
  makeSweepDirectory,
  readSweep,
  sweepsRoot,
  SweepWriter,
} from "../../extension/supervisor/sweeps/sweepDirectory.ts";
import { SweepFollower } from "../../extension/supervisor/sweeps/follow.ts";
import { importances } from "../../extension/supervisor/sweeps/importance.ts";
import { processorClock } from "../bounds.ts";
import { takeSweep } from "../../extension/supervisor/sweeps/sweepLock.ts";
import { thisPlace } from "../../extension/processes/place.ts";
import { setOptions } from "../../extension/cli/settings.ts";
import { summaryLines } from "../../extension/cli/sweep/display.ts";
import { HOSTILE, STEERS } from "./hostileRun.ts";
import { startOfThisProcess } from "../../extension/processes/identity.ts";

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

function recordOf(id: string, more: Partial<SweepRecord> = {}): SweepRecord {
  return {
    version: 1,
    id,
    state: "stopped",
    file: join(workspace, "net.nn.ts"),
    exportName: "default",
    createdAt: "2026-01-01T00:00:00.000Z",
    space: { lr: { kind: "float", low: 0.1, high: 1, log: false, default: 0.5 } },
    mode: "min",
    search: "random",
    pruner: "none",
    reductionFactor: 4,
    gracePeriod: 1,
    seed: 0,
    trials: 3,
    parallel: 1,
    device: "cpu",
    epochs: 1,
    epochsGiven: false,
    ...more,
  };
}

const trial = (number: number, more: Partial<TrialRow> = {}): TrialRow => ({
  number,
  state: "interrupted",
  settings: { lr: 0.5 },
  run: "a",
  startedAt: "2026-01-01T00:00:00.000Z",
  ...more,
});

/** A sweep as a stranger's repository may have it. */
function store(id: string, record: unknown = recordOf(id), trials: readonly unknown[] = []): string {
  const directory = join(sweepsRoot(workspace), id);
  fs.mkdirSync(directory, { recursive: true });
  fs.writeFileSync(join(directory, "sweep.json"), JSON.stringify(record));
  fs.writeFileSync(join(directory, "trials.jsonl"), trials.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return directory;
}

const ids = async (): Promise<string[]> => (await listSweeps(workspace)).map(({ record }) => record.id);

describe("reading sweeps", () => {
  posix("links sweep.json or trials.jsonl, or makes them pipes and devices", async () => {
    store("good");
    fs.rmSync(join(store("linked"), "sweep.json"));
    fs.symlinkSync(victim, join(sweepsRoot(workspace), "linked", "sweep.json"));
    fs.rmSync(join(store("device"), "trials.jsonl"));
    fs.symlinkSync("/dev/zero", join(sweepsRoot(workspace), "device", "trials.jsonl"));
    const pipe = store("pipe");
    fs.rmSync(join(pipe, "trials.jsonl"));
    execFileSync("mkfifo", [join(pipe, "trials.jsonl")]);
    expect(await ids()).toEqual(["good"]);
    await expect(readSweep(pipe)).rejects.toThrow("found a named pipe");
  });

  it("has a record of 1 TB, one nested a million deep, and a thousand parameters", async () => {
    store("good");
    fs.truncateSync(join(store("large"), "sweep.json"), 2 ** 40);
    fs.truncateSync(join(store("trials"), "trials.jsonl"), 2 ** 40);
    fs.writeFileSync(join(store("deep"), "sweep.json"), "[".repeat(1e6));
    const { space } = recordOf("wide");
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`p${i}`, space["lr"]]));
    store("wide", { ...recordOf("wide"), space: wide });
    expect(await ids()).toEqual(["good"]);
  });

  it.each([
    ["another folder's id", { id: "other" }],
    ["more trials than a file can hold", { trials: 1e9 }],
    ["a search that there isn't", { search: "eval" }],
    [
      "a parameter whose name is no identifier",
      { space: { "a b": { kind: "float", low: 0, high: 1, log: false, default: 0 } } },
    ],
    ["infinite bounds", { space: { lr: { kind: "float", low: 0, high: "1e999", log: false, default: 0 } } }],
  ])("names %s", async (_, more) => {
    store("bad", { ...recordOf("bad"), ...more });
    expect(await ids()).toEqual([]);
    await expect(readSweep(join(sweepsRoot(workspace), "bad"))).rejects.toThrow("sweep.json");
  });

  it.each([
    ["empty lines", "\n".repeat(16 * 2 ** 20 - 200)],
    ["damaged lines", "{\n".repeat(8 * 2 ** 20 - 100)],
  ])("has millions of %s: others wait for a moment, and the newest rows are read", async (_, text) => {
    const directory = store("many", recordOf("many"), []);
    fs.writeFileSync(join(directory, "trials.jsonl"), `${text}${JSON.stringify(trial(1))}\n`);
    const taken = processorClock();
    expect((await readSweep(directory)).trials).toHaveLength(1);
    expect(taken()).toBeLessThan(2000);
  });

  it.each(["settings", "rungs"])("has tens of thousands of %s in each of few trials", async (of) => {
    const directory = store("large", recordOf("large", { trials: 100 }));
    const fields = Array.from({ length: 90_000 }, (_, i) => `"${of === "rungs" ? "" : "p"}${i}":1`).join(",");
    const rows = Array.from({ length: 12 }, (_, number) =>
      JSON.stringify(trial(number, { [of]: {} })).replace(`"${of}":{}`, `"${of}":{${fields}}`),
    );
    rows.push(JSON.stringify(trial(50)));
    fs.writeFileSync(join(directory, "trials.jsonl"), `${rows.join("\n")}\n`);
    const taken = processorClock();
    expect((await readSweep(directory)).trials.map(({ number }) => number)).toEqual([50]);
    expect(taken()).toBeLessThan(600);
  });

  it("has ten thousand trials of a hundred parameters: importances take bounded time, once", async () => {
    const names = Array.from({ length: 100 }, (_, i) => `p${i}`);
    const space = Object.fromEntries(names.map((name) => [name, recordOf("wide").space["lr"]!]));
    const trials = Array.from({ length: 10_000 }, (_, number) =>
      trial(number, {
        state: "complete",
        value: number % 7,
        settings: Object.fromEntries(names.map((name, i) => [name, (number * (i + 3)) % 9973])),
      }),
    );
    const time = (count: number): number => {
      const taken = processorClock();
      expect(importances(space, trials.slice(0, count))).toHaveLength(100);
      return taken();
    };
    time(1000);
    expect(time(10_000)).toBeLessThan(100 + 2 * time(1000));
    const directory = store("wide", { ...recordOf("wide"), space, trials: 10_000 }, trials);
    const follower = new SweepFollower(directory);
    const { importances: first } = await follower.look();
    expect((await follower.look()).importances).toBe(first);
  });

  it("has fifteen megabytes of trials in each of many sweeps: the newest are read", async () => {
    const first = store("20260101-000010-net");
    fs.writeFileSync(
      join(first, "trials.jsonl"),
      `${"\n".repeat(15 * 2 ** 20)}${JSON.stringify(trial(1))}\n`,
    );
    for (let i = 11; i < 20; i++) {
      const directory = store(`20260101-0000${i}-net`);
      fs.rmSync(join(directory, "trials.jsonl"));
      fs.linkSync(join(first, "trials.jsonl"), join(directory, "trials.jsonl"));
    }
    expect((await ids()).sort()).toEqual([16, 17, 18, 19].map((i) => `20260101-0000${i}-net`));
  });

  it("has ten thousand running trials of one large record: it is read once", async () => {
    const running = Array.from({ length: 10_000 }, (_, i) => trial(i, { state: "running" }));
    const directory = store("running", { ...recordOf("running"), trials: 10_000 }, running);
    const run = join(workspace, ".layerwise/runs/a");
    fs.mkdirSync(run, { recursive: true });
    const request = { kind: "train", file: join(workspace, "net.nn.ts"), exportName: "default" } as const;
    const record = startingRecord({ ...request, directory: run, device: "cpu", outlive: false });
    fs.writeFileSync(join(run, "run.json"), JSON.stringify({ ...record, model: "x".repeat(8e6) }));
    await takeSweep(directory);
    const taken = processorClock();
    const { trials, live } = await new SweepFollower(directory).look();
    expect(live).toBe(true);
    expect(trials).toHaveLength(10_000);
    expect(trials.every((one) => one.live !== undefined)).toBe(true);
    expect(taken()).toBeLessThan(5000);
  });

  it("mixes damaged, foreign and endless lines among the trials", async () => {
    const directory = store("mixed", recordOf("mixed"), [
      trial(0, { state: "complete", value: 1 }),
      { ...trial(1), run: "../../outside" },
      { ...trial(1), run: "a/b" },
      { ...trial(1), state: "deleted" },
      { ...trial(1), number: -1 },
      trial(99),
      { ...trial(2), settings: { "__proto__ x": 1 } },
      "x".repeat(1e6),
      trial(2, { value: 3 }),
    ]);
    fs.appendFileSync(join(directory, "trials.jsonl"), '{"number": 1, "sta');
    const { trials } = await readSweep(directory);
    expect(trials.map(({ number }) => number)).toEqual([0, 2]);
  });

  posix("links a sweep, the sweeps' folder or .layerwise to a folder outside", async () => {
    store("good");
    fs.symlinkSync(outside, join(sweepsRoot(workspace), "linked"));
    expect(await ids()).toEqual(["good"]);
    fs.renameSync(sweepsRoot(workspace), join(folder, "sweeps"));
    fs.symlinkSync(join(folder, "sweeps"), sweepsRoot(workspace));
    expect(await ids()).toEqual([]);
    await expect(makeSweepDirectory(workspace, "net")).rejects.toThrow("symbolic link");
  });
});

describe("printing sweeps", () => {
  it("has texts that steer a terminal, forge lines or leave a shell's quotes", () => {
    // No program's argument can have a zero byte.
    const kind = `' ; rm -rf ~ ; ' ${HOSTILE.replaceAll("\0", "")}`;
    const rows = Array.from({ length: 6 }, (_, n) =>
      trial(n, { state: "complete", value: n, metric: `loss ${HOSTILE}`, settings: { kind, lr: n } }),
    );
    const space = {
      ...recordOf("x").space,
      kind: { kind: "choice", values: [kind], default: kind },
    } as const;
    const lines = summaryLines(
      { mode: "min", space: { ...space, kind: { ...space.kind, values: [kind] } } },
      rows,
    );
    expect(lines.filter((line) => STEERS.test(line) || line.includes("\n"))).toEqual([]);
    const words = execFileSync("sh", ["-c", `printf '%s|' ${setOptions({ kind })}`]).toString();
    expect(words).toBe(`--set|kind=${kind}|`);
  });
});

describe("continuing sweeps", () => {
  it("names a file outside of the folder", async () => {
    const directory = store("chosen", recordOf("chosen", { file: victim }));
    const { record } = await readSweep(directory);
    await expect(sourceOfRun(directory, record)).rejects.toThrow("outside of the run's folder");
  });

  posix("links what is written: the record, the trials, the lock and Optuna's journal", async () => {
    const directory = store("linked");
    for (const name of ["trials.jsonl", "lock.json", "optuna.log"]) {
      fs.rmSync(join(directory, name), { force: true });
      fs.symlinkSync(victim, join(directory, name));
    }
    await expect(SweepWriter.open(directory)).rejects.toThrow("symbolic link");
    await expect(takeSweep(directory)).rejects.toThrow("symbolic link");
    await expect(OptunaStudy.open("python3", directory, recordOf("linked"), [])).rejects.toThrow(
      "symbolic link",
    );
    fs.rmSync(join(directory, "trials.jsonl"));
    fs.linkSync(victim, join(directory, "trials.jsonl"));
    const writer = await SweepWriter.open(directory);
    writer.trial(trial(0));
    writer.close();
    fs.rmSync(join(directory, "sweep.json"));
    fs.symlinkSync(victim, join(directory, "sweep.json"));
    await expect(writer.record(recordOf("linked"))).rejects.toThrow("symbolic link");
  });

  it("names as a trial's run one that is not, which stays as it was", async () => {
    const run = join(workspace, ".layerwise", "runs", "mine");
    fs.mkdirSync(run, { recursive: true });
    const file = join(workspace, "net.nn.ts");
    const request = {
      kind: "train",
      file,
      exportName: "default",
      directory: run,
      device: "cpu",
      outlive: false,
    } as const;
    for (const of of [undefined, { sweep: "other", number: 0 }, { sweep: "taken", number: 1 }]) {
      const record = { ...startingRecord({ ...request, ...(of && { trial: of }) }), state: "stopped" };
      fs.writeFileSync(join(run, "run.json"), JSON.stringify(record));
      expect(await continuation(run, recordOf("taken"), trial(0, { run: basename(run) }))).toBeUndefined();
    }
  });

  it("leaves a lock of a living process, of another host, of an earlier start, or none", async () => {
    const directory = store("locked");
    const file = join(directory, "lock.json");
    const own = {
      version: 1,
      ...thisPlace(),
      pid: process.pid,
      start: startOfThisProcess(),
      since: new Date().toISOString(),
    };
    const put = (lock: unknown): void =>
      fs.writeFileSync(file, typeof lock === "string" ? lock : JSON.stringify(lock));
    put(own);
    await expect(takeSweep(directory, true)).rejects.toThrow("is running here");
    put({ ...own, host: "elsewhere" });
    await expect(takeSweep(directory)).rejects.toThrow("may be running elsewhere");
    const release = await takeSweep(directory, true);
    await expect(takeSweep(directory, true)).rejects.toThrow("is running here");
    release();
    expect(fs.existsSync(file)).toBe(false);
    // A process of that id, but another one.
    for (const lock of [{ ...own, start: own.start + 10_000_000 }, "not a lock", "x".repeat(1e5)]) {
      put(lock);
      (await takeSweep(directory))();
    }
    expect(fs.readdirSync(directory).sort()).toEqual(["sweep.json", "trials.jsonl"]);
  });
});
