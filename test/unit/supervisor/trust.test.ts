import fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startingRecord } from "../../../extension/protocol/engine.ts";
import type { RunRecord } from "../../../extension/protocol/run.ts";
import { openRun } from "../../../extension/supervisor/runs/attach.ts";
import { EngineError } from "../../../extension/protocol/errors.ts";
import { exportModel } from "../../../extension/supervisor/engines/export.ts";
import { makeNamedDirectory, makeRunDirectory } from "../../../extension/supervisor/runs/newRun.ts";
import { forkEngine } from "../../../extension/supervisor/engines/process.ts";
import { listRuns, runsRoot, writeRecord } from "../../../extension/supervisor/runs/runDirectory.ts";
import { readLabels, writeLabels } from "../../../extension/supervisor/runs/runLabels.ts";
import { deleteCheckpoint, deleteRun } from "../../../extension/supervisor/runs/trash.ts";
import { trustWhen } from "../../../extension/supervisor/trust.ts";
import { age, useSleepers, writeLock, type Sleeper } from "../../locks.ts";
import { useFolder } from "../../folders.ts";
import { PATIENT } from "../../patience.ts";

const folder = useFolder();
let directory: string;
let record: RunRecord;
const sleeper = useSleepers();
let trusted = false;

beforeEach(async () => {
  directory = join(runsRoot(folder), "a");
  fs.mkdirSync(join(directory, "checkpoints"), { recursive: true });
  const checkpoint = { file: "checkpoints/last.safetensors", kind: "last" as const, epoch: 1, step: 1 };
  const file = join(folder, "net.nn.ts");
  const request = { kind: "train" as const, file, exportName: "default", directory, device: "cpu" as const };
  record = {
    ...startingRecord({ ...request, outlive: false }),
    state: "stopped",
    checkpoints: [{ ...checkpoint, savedAt: "2026-01-01T00:00:00.000Z", bytes: 1, metrics: {} }],
  };
  fs.writeFileSync(join(directory, "checkpoints", "last.safetensors"), "weights");
  await writeRecord(directory, record);
  trustWhen(() => trusted);
  trusted = false;
});
afterEach(() => {
  trusted = true;
});

/** Everything in the folder: names, times and contents. */
function everything(): string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).flatMap((name) => {
    const file = join(folder, name);
    const { mtimeMs, size } = fs.lstatSync(file);
    return [`${name} ${mtimeMs} ${size}`];
  });
}

async function liveRun(): Promise<Sleeper> {
  const owner = await sleeper();
  fs.writeFileSync(
    join(directory, "run.json"),
    JSON.stringify({ ...record, state: "running", pid: owner.pid }),
  );
  await writeLock(directory, owner);
  return owner;
}

test("reading runs writes nothing", async () => {
  const owner = await liveRun();
  owner.kill();
  await new Promise((resolve) => {
    owner.child.once("exit", resolve);
  });
  age(directory, 60_000);
  const before = everything();
  expect((await listRuns(folder))[0]?.record.state).toBe("killed");
  expect((await openRun(directory)).session.record.state).toBe("killed");
  await readLabels(directory);
  expect(everything()).toEqual(before);
});

test("nothing is written, moved or deleted before trust", async () => {
  const before = everything();
  const checkpoint = record.checkpoints[0]!;
  const exporting = { signal: new AbortController().signal, dist: folder, onLog: () => undefined };
  const out = join(folder, "x.onnx");
  const { file } = record;
  const model = {
    file,
    exportName: "default",
    device: "cpu" as const,
    checkpoint: "",
    format: "onnx" as const,
    out,
  };
  for (const attempt of [
    () => writeRecord(directory, record),
    () => writeLabels(directory, { name: "x", tags: [], archived: false }),
    () => deleteRun(directory),
    () => deleteCheckpoint(directory, checkpoint),
    () => makeRunDirectory(folder, "x"),
    () => makeNamedDirectory(join(folder, "x")),
    () => forkEngine({ dist: folder, entry: "runEngine.js", outliveTo: join(directory, "output.txt") }),
    () => exportModel(exporting, model),
  ]) {
    const error = await attempt().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error, String(attempt)).toBeInstanceOf(EngineError);
    expect((error as EngineError).cause.code, String(attempt)).toBe("untrusted");
  }
  expect(everything()).toEqual(before);
});

test("no process is signalled before trust", async () => {
  const owner = await liveRun();
  const { session, done } = await openRun(directory, { stopTimeout: 200, interval: 20 });
  expect(session.live).toBe(true);
  await expect(session.control!.stop()).rejects.toThrow("not trusted");
  expect(owner.alive()).toBe(true);
  trusted = true;
  await session.control!.stop();
  await done;
  await vi.waitFor(() => expect(owner.alive()).toBe(false), PATIENT);
});
