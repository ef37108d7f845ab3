import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { RunRequest } from "../../../extension/protocol/engine.ts";
import type { EngineOptions } from "../../../extension/supervisor/engines/process.ts";
import { spawnRun } from "../../../extension/supervisor/runs/run.ts";
import { isAlive } from "../../../extension/processes/identity.ts";
import { SpareEngine, type SpareOptions } from "../../../extension/supervisor/engines/spare.ts";
import { useFolder } from "../../folders.ts";
import { gone } from "../../gone.ts";
import { PATIENT } from "../../patience.ts";

const dist = fileURLToPath(new URL("../../fixtures/engines", import.meta.url));
const folder = useFolder();
let options: EngineOptions;
const spares: SpareEngine[] = [];

beforeEach(async () => {
  options = { dist };
});
afterEach(async () => {
  await Promise.all(spares.splice(0).map((spare) => spare.dispose()));
});

function spareEngine(more: SpareOptions = {}): SpareEngine {
  const spare = new SpareEngine(() => options, { affordable: async () => true, ...more });
  spares.push(spare);
  return spare;
}

function request(more: Partial<RunRequest> = {}): RunRequest {
  return {
    kind: "train",
    file: join(folder, "model.nn.ts"),
    exportName: "finish",
    directory: join(folder, "run"),
    device: "auto",
    outlive: false,
    ...more,
  };
}

test("a run begins in the process that waits, which is its own from then on", async () => {
  const spare = spareEngine();
  await spare.keep("auto");
  const { pid } = spare;
  const output: string[] = [];
  const handle = spawnRun(
    request(),
    { output: (_, text) => output.push(text) },
    options,
    spare.take(request()),
  );
  await vi.waitFor(() => expect(handle.pid).toBe(pid), PATIENT);
  expect(spare.take(request())).toBeUndefined();
  await spare.drop();
  const outcome = await handle.ended;
  expect(outcome.record?.state).toBe("finished");
  expect(output.join("")).toContain("hello from the model");
  await gone(pid);
});

test("only a run that would be started in the same way gets it", async () => {
  const spare = spareEngine();
  await spare.keep("auto");
  expect(spare.take(request({ device: "wasm" }))).toBeUndefined();
  expect(spare.take(request({ outlive: true }))).toBeUndefined();
  expect(spare.take(request({ inspect: true }))).toBeUndefined();
  options = { dist, env: { TF_NUM_INTRAOP_THREADS: "1" } };
  expect(spare.take(request())).toBeUndefined();
  const { pid } = spare;
  await spare.keep("auto");
  await gone(pid);
  expect(spare.pid).not.toBe(pid);
  expect(await isAlive(spare.pid)).toBe(true);
});

test("it ends after a while without use, and starts again on demand", async () => {
  const spare = spareEngine({ idle: 50 });
  await spare.keep("auto");
  const { pid } = spare;
  await gone(pid);
  expect(spare.take(request())).toBeUndefined();
  await spare.keep("auto");
  expect(spare.pid).not.toBe(pid);
});

test("one that died, or that the machine can't afford, is not offered", async () => {
  const spare = spareEngine();
  await spare.keep("auto");
  const { pid } = spare;
  process.kill(pid!, "SIGKILL");
  await vi.waitFor(() => expect(spare.take(request())).toBeUndefined(), PATIENT);
  await vi.waitFor(() => expect(spare.pid).toBeUndefined(), PATIENT);
  const poor = spareEngine({ affordable: async () => false });
  await poor.keep("auto");
  expect(poor.pid).toBeUndefined();
});

test("one that can't be started leaves nothing", async () => {
  options = { dist, env: { FAKE_HELLO: "exit" } };
  const spare = spareEngine();
  await spare.keep("auto");
  await vi.waitFor(() => expect(spare.pid).toBeUndefined(), PATIENT);
});
