// A run on another machine under its supervisor's controls, as the panel calls them.
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunRecord } from "../../../extension/protocol/run.ts";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { findTarget } from "../../../extension/remote/targets.ts";
import { RunQueue } from "../../../extension/supervisor/runs/queue.ts";
import { spawnRun } from "../../../extension/supervisor/runs/run.ts";
import { readRun as readStored } from "../../../extension/supervisor/runs/runDirectory.ts";
import { dist, experimentFile, readRun, useWorkspace } from "../../engine/workspace.ts";
import { describeUnless } from "../../unless.ts";
import { noSshd } from "./sshd.ts";
import { useSshd } from "./useSshd.ts";
import { until } from "../until.ts";
import { slow } from "../../slow.ts";

const workspace = useWorkspace();
const sshd = useSshd();
const before = { ...process.env };
beforeAll(() => void Object.assign(process.env, sshd.env));
afterAll(() => void (process.env = before));

const WAITS = "{ onBatchEnd: () => new Promise((done) => { setTimeout(done, 20); }) }";

function request(): Parameters<typeof spawnRun>[0] {
  return {
    kind: "train",
    file: workspace.write("net.nn.ts", experimentFile({ callbacks: WAITS })),
    exportName: "default",
    directory: path.join(workspace.folder, ".layerwise/runs/one"),
    device: "cpu",
    outlive: false,
    on: { target: findTarget("box", { box: { host: "box", folder: sshd.there } }) },
  };
}

describeUnless(noSshd, "a run by ssh", () => {
  test("is paused, saved, extended and stopped like a local one", async () => {
    let record: RunRecord | undefined;
    let steps = 0;
    const run = spawnRun(
      request(),
      { record: (now) => (record = now), metrics: (rows) => (steps = rows.at(-1)?.step ?? steps) },
      { dist },
    );
    await until(() => steps > 10, "steps");
    await run.control.pause();
    await until(() => record?.state === "paused", "the pause");
    const file = await run.control.checkpoint();
    expect(path.dirname(file)).toBe(path.join(run.request.directory, "checkpoints"));
    expect(loadSafetensors(file).entries.map(({ name }) => name)).toEqual(["fc.bias", "fc.weight"]);
    expect(readRun(run.request.directory).checkpoints).toMatchObject([{ kind: "manual" }]);
    const at = steps;
    await delay(500);
    expect(steps).toBeLessThanOrEqual(at + 1);
    await run.control.step();
    await run.control.resume();
    await until(() => steps > at + 5, "steps after the pause");
    expect(await run.control.addEpochs(5)).toBe(100_005);
    await until(() => record?.epochs === 100_005, "the epochs");
    const { record: last, error } = await run.stop();
    expect(error).toBeUndefined();
    expect(last?.state).toBe("stopped");
    for (const { file: saved } of last?.checkpoints ?? [])
      expect(fs.existsSync(path.join(run.request.directory, saved))).toBe(true);
    expect(last?.checkpoints.map(({ kind }) => kind).toSorted()).toContain("last");
  });

  test("continues when its window closes, and takes no turn of the queue", slow, async () => {
    const queue = new RunQueue((one, events) => spawnRun(one, events, { dist }), 1);
    let state = "";
    const far = queue.enqueue(request(), { record: (now) => (state = now.state) });
    expect(far.state).toBe("running");
    await until(() => state === "running", "the run");
    await queue.dispose();
    const { record, error } = await far.ended;
    expect(error).toBeUndefined();
    expect(record?.state).toBe("running");
    const stored = await readStored(far.request.directory);
    expect(stored.life).toEqual({ kind: "remote", name: "box" });
    expect(sshd.runProcesses().length).toBeGreaterThanOrEqual(2);
  });

  test("continues when its follower is terminated, as at a shutdown", slow, async () => {
    let steps = 0;
    const run = spawnRun(request(), { metrics: (rows) => (steps = rows.at(-1)?.step ?? steps) }, { dist });
    await until(() => steps > 5, "steps");
    process.kill(run.pid!, "SIGTERM");
    const { record, error } = await run.ended;
    expect(error).toBeUndefined();
    expect(record?.state).toBe("running");
    const stored = await readStored(run.request.directory);
    expect(stored.life).toEqual({ kind: "remote", name: "box" });
    expect(sshd.runProcesses().length).toBeGreaterThanOrEqual(2);
  });

  test("whose follower is killed is not reported as killed", slow, async () => {
    let steps = 0;
    const run = spawnRun(request(), { metrics: (rows) => (steps = rows.at(-1)?.step ?? steps) }, { dist });
    await until(() => steps > 5, "steps");
    process.kill(run.pid!, "SIGKILL");
    const { record, error } = await run.ended;
    expect(record?.state).toBe("running");
    expect(error).toMatchObject({ code: "detached", hint: "layerwise attach one" });
  });
});
