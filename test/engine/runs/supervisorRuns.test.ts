import { appendFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { once } from "node:events";
import { describe, expect, test, vi } from "vitest";
import type { MetricRow, RunRecord } from "../../../extension/protocol/run.ts";
import { openRun } from "../../../extension/supervisor/runs/attach.ts";
import { SampledRows } from "../../../extension/supervisor/runs/sampledRows.ts";
import { MetricsReader } from "../../../extension/supervisor/runs/metrics.ts";
import {
  checkpointPath,
  listRuns,
  newRunName,
  readRecord,
  readRun,
  runsRoot,
  writeRecord,
} from "../../../extension/supervisor/runs/runDirectory.ts";
import { makeRunDirectory } from "../../../extension/supervisor/runs/newRun.ts";
import { age, killed, useSleepers, writeLock } from "../../locks.ts";
import { deleteCheckpoint, deleteRun } from "../../../extension/supervisor/runs/trash.ts";
import { useFolder } from "../../folders.ts";
import { startingRecord } from "../../../extension/protocol/engine.ts";

const folder = useFolder();

const checkpoint = {
  file: "checkpoints/best.safetensors",
  kind: "best" as const,
  epoch: 3,
  step: 30,
  savedAt: "2026-01-01T00:00:03.000Z",
  bytes: 7,
  metrics: { loss: 0.5 },
};

async function store(id: string, more: Partial<RunRecord> = {}): Promise<string> {
  const directory = join(runsRoot(folder), id);
  await mkdir(join(directory, "checkpoints"), { recursive: true });
  const request = {
    kind: "train" as const,
    file: join(folder, "model.nn.ts"),
    exportName: "default",
    directory,
    device: "auto" as const,
    outlive: false,
  };
  await writeRecord(directory, { ...startingRecord(request), state: "finished", ...more });
  return directory;
}

/** A process that carries a token as a run's does, and does nothing. */
const engineProcess = useSleepers();

function step(n: number, kind: "step" | "epoch" = "step"): MetricRow {
  return { kind, step: n, epoch: 1, time: n, values: { loss: 1 / n } };
}

describe("run directories", () => {
  test("are named by local time and a word, and never twice", async () => {
    const now = new Date(2026, 0, 31, 14, 25, 1);
    expect(newRunName("Digits CNN!", now)).toBe("20260131-142501-digits-cnn");
    expect(newRunName("…", now)).toMatch(/-run$/);
    const made = await Promise.all(Array.from({ length: 20 }, () => makeRunDirectory(folder, "a", now)));
    expect(new Set(made).size).toBe(20);
    const first = join(runsRoot(folder), "20260131-142501-a");
    expect(made.toSorted().slice(0, 2)).toEqual([first, `${first}-10`]);
    expect(await readdir(runsRoot(folder))).toHaveLength(20);
  });

  test("are listed newest first; a broken record is reported and hides no other", async () => {
    await store("a", { createdAt: "2026-01-01T00:00:00.000Z" });
    await store("b", { createdAt: "2026-01-02T00:00:00.000Z" });
    const broken = await store("c");
    await writeFile(join(broken, "run.json"), '{"version": 1, "id": ');
    const strange = await store("d");
    await writeFile(join(strange, "run.json"), '{"version": 2}');
    await mkdir(join(runsRoot(folder), "not-yet"));
    await writeFile(join(runsRoot(folder), "stray.txt"), "");
    const problems: string[] = [];
    const runs = await listRuns(folder, (error) => problems.push(String(error)));
    expect(runs.map((run) => run.record.id)).toEqual(["b", "a"]);
    expect(problems).toHaveLength(2);
    expect(problems.join("\n")).toContain(join(broken, "run.json"));
    expect(problems.join("\n")).toContain("not a run's record");
  });

  test("of a folder that has none are an empty list", async () => {
    const problem = vi.fn<(error: unknown) => void>();
    expect(await listRuns(join(folder, "nothing"), problem)).toEqual([]);
    expect(problem).not.toHaveBeenCalled();
  });

  test("records are replaced at once, and metrics that diverged survive", async () => {
    const directory = await store("a", { metrics: { loss: Number.NaN } });
    expect((await readRecord(directory)).metrics).toEqual({ loss: Number.NaN });
    expect(await readdir(directory)).toEqual(["checkpoints", "run.json"]);
  });

  test("without their process are killed for who reads them, and nothing is written", async () => {
    const ended = await killed(engineProcess());
    const dead = await store("dead", { state: "running" });
    await writeLock(dead, ended);
    age(dead, 5000);
    const alive = await store("alive", { state: "running" });
    await writeLock(alive, await engineProcess());
    await store("ended", { state: "finished", pid: ended.pid });
    await store("never-started", { state: "starting", createdAt: "2026-01-01T00:00:00.000Z" });
    await store("about-to-start", { state: "starting" });
    const before = await readFile(join(dead, "run.json"), "utf8");
    const states = Object.fromEntries(
      (await listRuns(folder)).map(({ record, life }) => [record.id, [record.state, life?.kind]]),
    );
    expect(states).toEqual({
      dead: ["killed", "killed"],
      alive: ["running", "here"],
      ended: ["finished", undefined],
      "never-started": ["killed", "killed"],
      "about-to-start": ["starting", "here"],
    });
    const { record } = await readRun(dead);
    expect(record.error?.code).toBe("killed");
    // Its last sign of life.
    expect(Date.now() - Date.parse(record.endedAt!)).toBeLessThan(20_000);
    expect(await readFile(join(dead, "run.json"), "utf8")).toBe(before);
    expect(await readdir(dead)).toEqual(["checkpoints", "lock.json", "run.json"]);
  });

  test("that were killed have come as far as their last whole row", async () => {
    const directory = await store("a", { state: "running", step: 1, epoch: 0 });
    await writeLock(directory, await killed(engineProcess()));
    const row = (kind: string, step: number, epoch: number): string =>
      `${JSON.stringify({ kind, step, epoch, time: step, values: { loss: 1 } })}\n`;
    const rows = Array.from({ length: 2000 }, (_, step) => row("step", step + 1, Math.floor(step / 100) + 1));
    await appendFile(
      join(directory, "metrics.jsonl"),
      `${rows.join("")}${row("epoch", 2000, 20)}${row("step", 2001, 21).slice(0, 30)}`,
    );
    expect((await readRun(directory)).record).toMatchObject({ state: "killed", step: 2000, epoch: 20 });
  });

  test("a checkpoint outside of its run is refused", () => {
    const bad = { ...checkpoint, file: "../../../etc/passwd" };
    expect(() => checkpointPath("/w/run", bad)).toThrow("is outside of its run");
    expect(checkpointPath("/w/run", checkpoint)).toBe(join("/w/run", "checkpoints", "best.safetensors"));
  });
});

test("a run that gives no sign of life is followed again as soon as it does", async () => {
  const directory = await store("a", { state: "running" });
  await writeLock(directory, await engineProcess(), { host: "elsewhere" });
  age(directory, 120_000);
  const { session, done } = await openRun(directory, { interval: 20, patience: 60_000 });
  expect([session.live, session.record.state, session.life?.kind]).toEqual([false, "running", "silent"]);
  expect(session.control).toBeUndefined();
  age(directory, 0);
  await vi.waitFor(() => expect(session.live).toBe(true), { timeout: 10_000 });
  expect(session.control).toBeDefined();
  await rm(directory, { recursive: true });
  await done;
  expect([session.live, session.record.error?.code]).toEqual([false, "deleted"]);
});

test("a run that gives no sign of life for long is left", async () => {
  const directory = await store("a", { state: "running" });
  await writeLock(directory, await engineProcess(), { host: "elsewhere" });
  age(directory, 120_000);
  const { session, done } = await openRun(directory, { interval: 20, patience: 100 });
  await done;
  expect([session.live, session.record.state]).toEqual([false, "running"]);
});

describe("deleting", () => {
  test("a checkpoint can be undone, with its bytes and its record", async () => {
    const directory = await store("a", { checkpoints: [checkpoint] });
    const file = checkpointPath(directory, checkpoint);
    await writeFile(file, "weights");
    const deleted = await deleteCheckpoint(directory, checkpoint);
    expect((await readRecord(directory)).checkpoints).toEqual([]);
    await expect(readFile(file)).rejects.toThrow("ENOENT");
    await deleted.undo();
    expect((await readRecord(directory)).checkpoints).toEqual([checkpoint]);
    expect(await readFile(file, "utf8")).toBe("weights");
  });

  test("a checkpoint whose file is gone already takes it off the record", async () => {
    const directory = await store("a", { checkpoints: [checkpoint] });
    await (await deleteCheckpoint(directory, checkpoint)).purge();
    expect((await readRecord(directory)).checkpoints).toEqual([]);
  });

  test("a run can be undone until it is purged", async () => {
    const directory = await store("a");
    const deleted = await deleteRun(directory);
    expect(await listRuns(folder)).toEqual([]);
    await deleted.undo();
    expect(await listRuns(folder)).toHaveLength(1);
    await (await deleteRun(directory)).purge();
    expect(await readdir(join(folder, ".layerwise", "trash"))).toEqual([]);
  });

  test("a running run is refused", async () => {
    const directory = await store("a", { state: "running", checkpoints: [checkpoint] });
    await expect(deleteRun(directory)).rejects.toThrow("Run a is running. Stop it first.");
    await expect(deleteCheckpoint(directory, checkpoint)).rejects.toThrow("Stop it first");
  });

  test("a run is refused that is over for its record, and has just been taken up", async () => {
    const directory = await store("a", { state: "stopped" });
    const owner = await engineProcess();
    await writeLock(directory, owner);
    await expect(deleteRun(directory)).rejects.toThrow("Stop it first");
    owner.kill();
    await once(owner.child, "exit");
    await (await deleteRun(directory)).purge();
  });
});

describe("metrics", () => {
  test("are read as they are appended, torn lines included", async () => {
    const directory = await store("a");
    const file = join(directory, "metrics.jsonl");
    const reader = new MetricsReader(directory);
    expect(await reader.read()).toEqual([]);
    const line = JSON.stringify(step(2));
    await writeFile(file, `${JSON.stringify(step(1))}\n${line.slice(0, 10)}`);
    expect(await reader.read()).toEqual([step(1)]);
    expect(await reader.read()).toEqual([]);
    await appendFile(file, `${line.slice(10)}\nnot json\n{"kind":"step"}\n`);
    expect(await reader.read()).toEqual([step(2)]);
    expect(reader.invalid).toBe(2);
    await writeFile(file, `${JSON.stringify(step(9))}\n`);
    expect(await reader.read()).toEqual([step(9)]);
  });

  test("of a long run are read whole and shown in part, first and last point included", async () => {
    const directory = await store("a");
    const rows = Array.from({ length: 40_000 }, (_, i) => step(i + 1));
    rows.push(step(40_000, "epoch"));
    await writeFile(join(directory, "metrics.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const { session } = await openRun(directory);
    const shown = session.snapshot().rows;
    expect(shown.length).toBeGreaterThan(500);
    expect(shown.length).toBeLessThan(1100);
    expect(shown[0]).toEqual(step(1));
    expect(shown.at(-2)).toEqual(step(40_000));
    expect(shown.at(-1)).toEqual(step(40_000, "epoch"));
  });

  test("curves keep their bound whatever comes", () => {
    const curves = new SampledRows(10);
    for (let i = 1; i <= 1000; i++) {
      curves.push([step(i), step(i, "epoch")]);
      expect(curves.rows.length).toBeLessThanOrEqual(41);
      expect(curves.rows.at(-1)).toEqual(step(i, "epoch"));
    }
    const steps = curves.rows.filter((row) => row.kind === "step").map((row) => row.step);
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
  });
});

describe("a run that is followed", () => {
  test("whose process dies ends as killed", async () => {
    const owner = await engineProcess();
    const directory = await store("a", { state: "running" });
    await writeLock(directory, owner);
    const { session, done } = await openRun(directory, { interval: 20 });
    expect(session.live).toBe(true);
    owner.kill();
    await done;
    expect(session.record.state).toBe("killed");
  });

  test("can be left alone", async () => {
    const directory = await store("a", { state: "running" });
    await writeLock(directory, await engineProcess());
    const attachment = await openRun(directory, { interval: 20 });
    attachment.detach();
    await attachment.done;
    expect(attachment.session.live).toBe(true);
  });

  test("and deleted is over", async () => {
    const directory = await store("a", { state: "running" });
    await writeLock(directory, await engineProcess());
    const { session, done } = await openRun(directory, { interval: 20 });
    await rm(directory, { recursive: true });
    await done;
    expect(session.live).toBe(false);
  });
});
