import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { controlsBy } from "../../../extension/protocol/controls.ts";
import { startingRecord, type RunRequest } from "../../../extension/protocol/engine.ts";
import type { MetricRow } from "../../../extension/protocol/run.ts";
import { openRun } from "../../../extension/supervisor/runs/attach.ts";
import { RunQueue } from "../../../extension/supervisor/runs/queue.ts";
import { spawnRun, type RunEvents, type RunHandle } from "../../../extension/supervisor/runs/run.ts";
import type { EngineOptions } from "../../../extension/supervisor/engines/process.ts";
import { isAlive } from "../../../extension/processes/identity.ts";
import { readRecord } from "../../../extension/supervisor/runs/runDirectory.ts";
import { useFolder } from "../../folders.ts";
import { gone } from "../../gone.ts";
import { PATIENT } from "../../patience.ts";

const dist = fileURLToPath(new URL("../../fixtures/engines", import.meta.url));
const folder = useFolder();
const handles: RunHandle[] = [];

afterEach(async () => {
  await Promise.all(handles.splice(0).map((handle) => handle.kill()));
});

function request(exportName: string, more: Partial<RunRequest> = {}): RunRequest {
  return {
    kind: "train",
    file: join(folder, "model.nn.ts"),
    exportName,
    directory: join(folder, ".layerwise", "runs", `20260101-000000-${exportName}`),
    device: "auto",
    outlive: false,
    ...more,
  };
}

function run(exportName: string, events: RunEvents = {}, options: Partial<EngineOptions> = {}): RunHandle {
  const handle = spawnRun(request(exportName), events, { dist, ...options });
  handles.push(handle);
  return handle;
}

describe("a run", () => {
  test("sends its rows, progress and end, and leaves no process", async () => {
    const rows: MetricRow[] = [];
    const output: string[] = [];
    const progress = vi.fn<NonNullable<RunEvents["progress"]>>();
    const handle = run("finish", {
      metrics: (more) => rows.push(...more),
      output: (_, text) => output.push(text),
      progress,
    });
    const outcome = await handle.ended;
    expect(outcome.error).toBeUndefined();
    expect(outcome.record?.state).toBe("finished");
    expect(outcome.exit?.code).toBe(0);
    expect(rows).toEqual([{ kind: "step", step: 1, epoch: 1, time: 0.1, values: { loss: Number.NaN } }]);
    expect(progress.mock.calls[0]?.[0].metrics).toEqual({ loss: Number.NaN });
    expect(output.join("")).toContain("hello from the model");
    expect(await isAlive(handle.pid)).toBe(false);
  });

  test("stops politely when asked", async () => {
    const handle = run("train");
    await vi.waitFor(() => readRecord(handle.request.directory), PATIENT);
    expect(await handle.control.checkpoint()).toContain("manual.safetensors");
    expect(await handle.control.counters()).toEqual({ compiled: 1 });
    const outcome = await handle.stop();
    expect(outcome.record?.state).toBe("stopped");
    expect(outcome.error).toBeUndefined();
    await expect(handle.control.pause()).rejects.toThrow("is not running");
  });

  test("that hangs is ended by force, and its record says so", async () => {
    const handle = run("hang", {}, { stopTimeout: 300 });
    await vi.waitFor(() => readRecord(handle.request.directory), PATIENT);
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
    const save = handle.control.checkpoint();
    save.catch(() => undefined);
    const outcome = await handle.stop();
    expect(outcome.error?.code).toBe("killed");
    expect(outcome.error?.message).toBe(
      "The run was stopped in the middle of a step, which did not end within 0.3 s." +
        " The checkpoint that was to be saved after it was not saved.",
    );
    await expect(save).rejects.toThrow(/ended|closed/);
    expect((await readRecord(handle.request.directory)).state).toBe("stopped");
    expect(await isAlive(handle.pid)).toBe(false);
  });

  test("that crashes says how, with the last lines of stderr and the last checkpoint", async () => {
    const outcome = await run("crash").ended;
    expect(outcome.exit?.signal).toBe("SIGABRT");
    expect(outcome.exit?.stderr).toContain("std::bad_alloc");
    expect(outcome.record?.state).toBe("killed");
    expect(outcome.error).toMatchObject({
      code: "killed",
      message: "The run's process ended unexpectedly: signal SIGABRT (a crash in native code).",
    });
    expect(outcome.error?.hint).toContain("std::bad_alloc");
    expect(outcome.error?.hint).toContain("Its last checkpoint is checkpoints/last.safetensors, of epoch 1.");
    expect(await readRecord(request("crash").directory)).toEqual(outcome.record);
  });

  test("killed from outside says so", async () => {
    const handle = run("train");
    await vi.waitFor(() => readRecord(handle.request.directory), PATIENT);
    process.kill(handle.pid ?? 0, "SIGKILL");
    const outcome = await handle.ended;
    expect(outcome.error?.message).toContain("signal SIGKILL (killed from outside");
    expect(outcome.record?.state).toBe("killed");
  });

  test("that exits without a word is killed, not finished", async () => {
    const outcome = await run("exit").ended;
    expect(outcome.record?.state).toBe("killed");
    expect(outcome.error?.message).toContain("exit code 7");
  });

  test("a new run that is refused doesn't take the run that is there for its own", async () => {
    const { directory } = request("refuse");
    await mkdir(directory, { recursive: true });
    const other = { ...startingRecord(request("refuse")), state: "finished" as const };
    await writeFile(join(directory, "run.json"), JSON.stringify(other));
    const outcome = await run("refuse", {}, { exitTimeout: 200 }).ended;
    expect(outcome.record).toBeUndefined();
    expect(outcome.error).toBeDefined();
  });

  test("refused by the engine ends with the engine's error", async () => {
    const outcome = await run("refuse", {}, { exitTimeout: 200 }).ended;
    expect(outcome.record).toBeUndefined();
    expect(outcome.error).toMatchObject({ code: "syntax", message: "Expected ;", position: { line: 3 } });
  });

  test("ignores messages that are none, and logs them", async () => {
    const log: string[] = [];
    const metrics = vi.fn<NonNullable<RunEvents["metrics"]>>();
    const outcome = await run("garbage", { log: (_, text) => log.push(text), metrics }).ended;
    expect(outcome.record?.state).toBe("finished");
    expect(metrics).not.toHaveBeenCalled();
    expect(log.filter((line) => line.includes("not a message of the protocol"))).toHaveLength(4);
    expect(log.filter((line) => line.includes('invalid "metrics"'))).toHaveLength(2);
  });

  test("whose process lingers after its last message is ended", async () => {
    const handle = run("linger", {}, { exitTimeout: 200 });
    const outcome = await handle.ended;
    expect(outcome.record?.state).toBe("finished");
    expect(outcome.error).toBeUndefined();
    expect(await isAlive(handle.pid)).toBe(false);
  });

  test.skipIf(process.platform === "win32")("takes its children with it", async () => {
    const pids: number[] = [];
    const handle = run("family", { log: (_, text) => pids.push(Number(text)) });
    await vi.waitFor(() => expect(pids).toHaveLength(1), PATIENT);
    expect(await isAlive(pids[0])).toBe(true);
    await handle.kill();
    await gone(pids[0]);
  });
});

describe("an engine that doesn't start", () => {
  test("because it exits: what it said is in the error", async () => {
    const outcome = await run("finish", {}, { env: { FAKE_HELLO: "exit" } }).ended;
    expect(outcome.record).toBeUndefined();
    expect(outcome.error).toMatchObject({
      code: "engine",
      message: "The engine's process failed to start: exit code 3.",
      hint: "cannot find module tensorflow",
    });
  });

  test("because it stays silent", async () => {
    const handle = run("finish", {}, { env: { FAKE_HELLO: "never" }, helloTimeout: 300 });
    const outcome = await handle.ended;
    expect(outcome.error?.message).toContain("it did not answer within");
    expect(await isAlive(handle.pid)).toBe(false);
  });

  test("because it is of another version", async () => {
    const outcome = await run("finish", {}, { env: { FAKE_HELLO: "old" } }).ended;
    expect(outcome.error?.message).toContain("of protocol 1, got the run engine of protocol 0");
  });

  test("because there is none", async () => {
    const outcome = await run("finish", {}, { dist: join(folder, "nowhere") }).ended;
    expect(outcome.error?.hint).toContain("runEngine.js");
    const noNode = await run("finish", {}, { execPath: join(folder, "node") }).ended;
    expect(noNode.error?.message).toContain("ENOENT");
  });

  test("because it was stopped before", async () => {
    const handle = run("finish", {}, { env: { FAKE_HELLO: "never" } });
    await vi.waitFor(() => expect(handle.pid).toBeDefined(), PATIENT);
    const outcome = await handle.stop();
    expect(outcome.error?.message).toBe("The run was ended at once, on request.");
  });
});

describe("the queue", () => {
  test("runs one at a time, cancels queued ones, and survives a crash", async () => {
    const starts: string[] = [];
    const queue = new RunQueue((asked, events) => {
      starts.push(asked.exportName);
      const handle = spawnRun(asked, events, { dist });
      handles.push(handle);
      return handle;
    });
    const first = queue.enqueue(request("train"), {});
    const second = queue.enqueue(request("exit"), {});
    const third = queue.enqueue(request("linger"), {});
    const fourth = queue.enqueue(request("finish"), {});
    expect(queue.runs.map((entry) => entry.state)).toEqual(["running", "waiting", "waiting", "waiting"]);
    const before = (): (string | undefined)[][] =>
      queue.runs.map((entry) => queue.before(entry).map((one) => one.request.exportName));
    expect(before()).toEqual([[], ["train"], ["exit"], ["linger"]]);
    expect((await third.stop()).error?.code).toBe("cancelled");
    expect(before()).toEqual([[], ["train"], ["exit"]]);
    await vi.waitFor(() => readRecord(first.request.directory), PATIENT);
    expect((await first.stop()).record?.state).toBe("stopped");
    expect((await second.ended).record?.state).toBe("killed");
    expect((await fourth.ended).record?.state).toBe("finished");
    expect(starts).toEqual(["train", "exit", "finish"]);
    expect(queue.runs).toEqual([]);
  });

  test("lets as many run as its limit says", () => {
    const pending = new Promise<never>(() => undefined);
    const queue = new RunQueue(
      (asked) => ({ ...idle, id: asked.directory, request: asked, ended: pending }),
      2,
    );
    expect(queue.full).toBe(false);
    for (let i = 0; i < 4; i++) queue.enqueue(request("train"), {});
    expect(queue.full).toBe(true);
    const running = (): number => queue.runs.filter((entry) => entry.state === "running").length;
    expect(running()).toBe(2);
    const { runs } = queue;
    expect(queue.before(runs[2]!)).toEqual([runs[0], runs[1]]);
    expect(queue.before(runs[3]!)).toEqual([runs[2]]);
    queue.limit = 3;
    expect(running()).toBe(3);
    queue.limit = 1;
    expect(running()).toBe(3);
  });
});

const idle = {
  pid: undefined,
  control: controlsBy(() => undefined),
  stop: () => new Promise<never>(() => undefined),
  kill: () => new Promise<never>(() => undefined),
  killNow: () => undefined,
  detach: () => undefined,
};

describe("a host that is killed", () => {
  let script: string;
  beforeAll(async () => {
    const bundle = await mkdtemp(join(tmpdir(), "layerwise-host-"));
    script = join(bundle, "host.mjs");
    await build({
      stdin: {
        contents: `import { spawnRun } from "./extension/supervisor/runs/run.ts";
          process.on("message", ({ request, dist }) => {
            const handle = spawnRun(request, { record: () => process.send(handle.pid) }, { dist });
          });`,
        resolveDir: fileURLToPath(new URL("../../..", import.meta.url)),
      },
      bundle: true,
      platform: "node",
      format: "esm",
      outfile: script,
    });
    return () => rm(bundle, { recursive: true, force: true });
  });

  async function host(asked: RunRequest): Promise<{ host: ChildProcess; pid: number }> {
    const child = fork(script, { execArgv: [] });
    child.send({ request: asked, dist });
    const [pid] = (await once(child, "message")) as [number];
    return { host: child, pid };
  }

  test("takes its run along", async () => {
    const { host: child, pid } = await host(request("train"));
    expect(await isAlive(pid)).toBe(true);
    await vi.waitFor(() => stat(join(request("train").directory, "metrics.jsonl")), PATIENT);
    child.kill("SIGKILL");
    await gone(pid);
    // The next window says what happened.
    const { session } = await openRun(request("train").directory);
    expect(session.record.state).toBe("killed");
    expect(session.record.error?.message).toContain("ended unexpectedly");
    expect(session.live).toBe(false);
    expect(session.snapshot().rows.length).toBeGreaterThan(0);
  });

  test("leaves a run that was told to outlive it, which can be followed and stopped", async () => {
    const asked = request("train", { outlive: true });
    const { host: child, pid } = await host(asked);
    child.kill("SIGKILL");
    await once(child, "exit");
    const { session, done } = await openRun(asked.directory, { interval: 50 });
    expect(session.live).toBe(true);
    const before = session.snapshot().rows.length;
    await vi.waitFor(() => expect(session.snapshot().rows.length).toBeGreaterThan(before), PATIENT);
    await expect(session.control?.pause()).rejects.toThrow("started by another window");
    await session.control?.stop();
    await done;
    expect(session.record.state).toBe("stopped");
    expect(session.live).toBe(false);
    expect(session.control).toBeUndefined();
    await gone(pid);
  });
});
