import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { startingRecord } from "../../../extension/protocol/engine.ts";
import { METRICS_FILE, type MetricRow, type RunRecord } from "../../../extension/protocol/run.ts";
import { isResumable, resumedEvents, resumeRequest } from "../../../extension/supervisor/runs/resume.ts";
import { writeRecord } from "../../../extension/supervisor/runs/runDirectory.ts";
import { RunSession, type SessionChange } from "../../../extension/supervisor/runs/session.ts";
import { useFolder } from "../../folders.ts";
import { PATIENT } from "../../patience.ts";

const directory = useFolder();
beforeEach(async () => {});

const record = (more: Partial<RunRecord> = {}): RunRecord => ({
  ...startingRecord({
    kind: "train",
    file: "/w/net.nn.ts",
    exportName: "small",
    directory,
    device: "auto",
    outlive: false,
    seed: 7,
  }),
  state: "stopped",
  ...more,
});

const step = (n: number, kind: MetricRow["kind"] = "step"): MetricRow => ({
  kind,
  step: n,
  epoch: Math.ceil(n / 2),
  time: n,
  values: { loss: 1 / n },
});

describe("a training that was interrupted", () => {
  test("is resumed with the run's seed, initial weights and engine", async () => {
    const executor = { backend: "wasm" as const, version: "tfjs" };
    await writeRecord(directory, record({ executor, settings: { checkpoint: "/w/first.safetensors" } }));
    expect(await resumeRequest(directory)).toEqual({
      kind: "train",
      file: "/w/net.nn.ts",
      exportName: "small",
      directory,
      device: "wasm",
      outlive: false,
      resume: true,
      seed: 7,
      checkpoint: "/w/first.safetensors",
    });
    expect(await resumeRequest(directory, { device: "cpu", epochs: 9, outlive: true })).toMatchObject({
      device: "cpu",
      epochs: 9,
      outlive: true,
    });
  });

  test("waits a moment for a process that is about to end, where a caller can say so", async () => {
    // Without a lock, a run is taken for a live one in the minute after its start.
    const createdAt = new Date(Date.now() - 59_500).toISOString();
    await writeRecord(directory, record({ state: "starting", createdAt }));
    await expect(resumeRequest(directory)).rejects.toThrow("is still running");
    const onWait = vi.fn();
    expect(await resumeRequest(directory, { onWait })).toMatchObject({ resume: true });
    expect(onWait).toHaveBeenCalledOnce();
  });

  test("can't be resumed while it runs, when it is finished, or if it is an evaluation", async () => {
    await writeRecord(directory, record({ state: "starting" }));
    await expect(resumeRequest(directory)).rejects.toThrow(/still running/);
    await writeRecord(directory, record({ kind: "evaluate" }));
    await expect(resumeRequest(directory)).rejects.toThrow(/is no training/);
    expect((["stopped", "failed", "killed"] as const).map((state) => isResumable(record({ state })))).toEqual(
      [true, true, true],
    );
    expect(isResumable(record({ state: "finished" }))).toBe(false);
    expect(isResumable(record({ kind: "evaluate", state: "killed" }))).toBe(false);
  });
});

test("curves of a resumed run are the rows up to the resumed step, then the new ones, each once", async () => {
  const file = join(directory, METRICS_FILE);
  const write = (rows: readonly MetricRow[]): string =>
    rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  await writeFile(file, write([step(1), step(2), step(2, "epoch"), step(3), step(4), step(4, "epoch")]));
  const session = new RunSession(directory, record(), true);
  const changes: SessionChange["kind"][] = [];
  session.subscribe(({ kind }) => changes.push(kind));
  const events = resumedEvents(session);
  events.record(record({ state: "starting", step: 4, epoch: 2 }));
  expect(session.snapshot().rows).toEqual([]);
  // The engine has taken back what it will do again, and has begun to: some of it is on disk, and on its way too.
  await writeFile(file, write([step(1), step(2), step(2, "epoch"), step(3)]));
  events.record(record({ state: "running", step: 3, epoch: 1 }));
  await appendFile(file, write([step(4)]));
  events.metrics([step(4)]);
  await vi.waitFor(() => expect(changes).toContain("restarted"), PATIENT);
  events.metrics([step(4, "epoch"), step(5)]);
  const rows = session.snapshot().rows.map(({ kind, step }) => `${kind} ${step}`);
  expect(rows).toEqual(["step 1", "step 2", "epoch 2", "step 3", "step 4", "epoch 4", "step 5"]);
  expect(changes.indexOf("restarted")).toBeLessThan(changes.lastIndexOf("rows"));
});
