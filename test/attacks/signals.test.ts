/** Records and locks of runs that would have another's process signalled. Victims do nothing, and end with the test. */
import { once } from "node:events";
import fs from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as v from "valibot";
import { factsOf } from "../../extension/processes/identity.ts";
import { isSignallable } from "../../extension/processes/signals.ts";
import { newToken, tokenArgument } from "../../extension/processes/token.ts";
import { startingRecord } from "../../extension/protocol/engine.ts";
import { LOCK_FILE, ProcessId, type RunLock } from "../../extension/protocol/run.ts";
import { openRun } from "../../extension/supervisor/runs/attach.ts";
import { listRuns, runsRoot } from "../../extension/supervisor/runs/runDirectory.ts";
import { useWorkspace } from "../engine/workspace.ts";
import { useSleepers, writeLock, type Sleeper } from "../locks.ts";
import { useFolder } from "../folders.ts";

const folder = useFolder();
const workspace = useWorkspace();

const victim = useSleepers();

/** A run whose record says that it is running. */
function run(id: string, pid?: unknown): string {
  const directory = join(runsRoot(folder), id);
  fs.mkdirSync(directory, { recursive: true });
  const file = join(folder, "net.nn.ts");
  const request = { kind: "train" as const, file, exportName: "default", directory, device: "cpu" as const };
  const record = { ...startingRecord({ ...request, outlive: true }), state: "running", pid };
  fs.writeFileSync(join(directory, "run.json"), JSON.stringify(record));
  return directory;
}

/** Opens the run and does all that a user can do to stop it. */
async function stop(directory: string): Promise<void> {
  const run = await openRun(directory, { interval: 20, stopTimeout: 100 });
  await run.session.control?.stop().catch(() => undefined);
  run.detach();
  await run.done;
}

/** Whether a process still runs some time after whatever was sent to it. */
async function survives(one: Sleeper): Promise<boolean> {
  await new Promise((resolve) => {
    setTimeout(resolve, 200);
  });
  return one.alive();
}

describe("an id that is none", () => {
  const forged = [-1, -4711, 0, 1, 1.5, 2 ** 31, 2 ** 53, Number.NaN, "4711", null, true, [4711], {}];

  it.each(forged)("says in run.json that the run's process is %j", async (pid) => {
    const directory = run("a", pid);
    // Only undefined is none, and JSON has no such value.
    expect(await listRuns(folder)).toEqual([]);
    await expect(openRun(directory)).rejects.toThrow("not a run's record");
  });

  it.each([...forged, undefined])("says in lock.json that the owner is %j", async (pid) => {
    const one = await victim();
    const directory = run("a");
    await writeLock(directory, one, { pid: pid as number });
    await stop(directory);
    expect(await survives(one)).toBe(true);
    expect((await listRuns(folder))[0]?.record.error?.message).toContain("Its lock.json is no lock");
  });

  it("passes a group, everything or the system's first process to the function that signals", () => {
    for (const pid of [...forged, undefined, -process.pid])
      expect(isSignallable(pid), JSON.stringify(pid)).toBe(false);
    expect(isSignallable(2)).toBe(true);
    for (const pid of forged) expect(v.is(ProcessId, pid)).toBe(false);
  });

  it("names the whole group of a victim as the owner", async () => {
    const one = await victim();
    const directory = run("a");
    const lock = await writeLock(directory, one);
    fs.writeFileSync(join(directory, LOCK_FILE), JSON.stringify({ ...lock, pid: -one.pid }));
    await stop(directory);
    expect(await survives(one)).toBe(true);
  });
});

describe("a process that is another's", () => {
  it("names a user's process in a record without a lock", async () => {
    const one = await victim();
    await stop(run("a", one.pid));
    expect(await survives(one)).toBe(true);
  });

  it("names one that has runEngine.js among its arguments", async () => {
    const one = await victim(["/usr/lib/layerwise/runEngine.js", "runEngine"]);
    const directory = run("a", one.pid);
    await stop(directory);
    await writeLock(directory, one);
    await stop(directory);
    expect(await survives(one)).toBe(true);
  });

  it("names one that an engine's id was given to again, with the same command and another token", async () => {
    const one = await victim([tokenArgument(newToken())]);
    const directory = run("a", one.pid);
    await writeLock(directory, one);
    await stop(directory);
    expect(await survives(one)).toBe(true);
    expect((await listRuns(folder))[0]?.record.state).toBe("killed");
  });

  it("forges the proof of a lock", async () => {
    const one = await victim();
    const directory = run("a", one.pid);
    await writeLock(directory, one, { proof: "0".repeat(64) });
    await stop(directory);
    expect(await survives(one)).toBe(true);
  });

  it.each<[string, (lock: RunLock) => Partial<RunLock>]>([
    ["began at another time", ({ start }) => ({ start: start + 5000 })],
    ["ran before the machine's last start", () => ({ boot: "another" })],
    ["runs on another host", () => ({ host: "another" })],
    ["runs in another namespace of ids", () => ({ namespace: "pid:[1]" })],
  ])("names one that %s", async (_, change) => {
    const one = await victim();
    const directory = run("a", one.pid);
    const lock = await writeLock(directory, one);
    await writeLock(directory, one, change(lock));
    await stop(directory);
    expect(await survives(one)).toBe(true);
  });

  it("copies the lock of another folder's training", async () => {
    const one = await victim();
    const [owned, other] = [run("owned"), run("other")];
    await writeLock(owned, one);
    fs.copyFileSync(join(owned, LOCK_FILE), join(other, LOCK_FILE));
    await stop(other);
    expect(await survives(one)).toBe(true);
    // Rules out that nothing is ever signalled.
    await stop(owned);
    expect(await survives(one)).toBe(false);
  });

  it("copies the whole run of another folder's training", async () => {
    const one = await victim();
    const owned = run("owned");
    await writeLock(owned, one);
    fs.cpSync(owned, join(runsRoot(folder), "copy"), { recursive: true, preserveTimestamps: true });
    await stop(join(runsRoot(folder), "copy"));
    expect(await survives(one)).toBe(true);
  });

  it.skipIf(process.platform === "win32")("links to the lock of another folder's training", async () => {
    const one = await victim();
    const [owned, other] = [run("owned"), run("other")];
    await writeLock(owned, one);
    fs.symlinkSync(join(owned, LOCK_FILE), join(other, LOCK_FILE));
    await stop(other);
    expect(await survives(one)).toBe(true);
  });

  it("lets the owner end, and waits for its id to be given again before the stop", async () => {
    const [owner, one] = [await victim(), await victim([tokenArgument(newToken())])];
    const directory = run("a", owner.pid);
    await writeLock(directory, owner);
    const attached = await openRun(directory, { interval: 10_000 });
    expect(attached.session.live).toBe(true);
    owner.kill();
    await once(owner.child, "exit");
    // The lock as it was, but for an id that lives.
    const facts = await factsOf(one.pid);
    await writeLock(directory, { pid: one.pid, token: owner.token }, typeof facts === "object" ? facts : {});
    await expect(attached.session.control!.stop()).rejects.toThrow("has no process any more");
    attached.detach();
    await attached.done;
    expect(await survives(one)).toBe(true);
  });
});

it("asks the command line to stop a run that names a user's process", async () => {
  const one = await victim(["runEngine.js"]);
  const directory = run("a", one.pid);
  fs.cpSync(join(folder, ".layerwise"), workspace.file(".layerwise"), { recursive: true });
  await writeLock(workspace.file(".layerwise/runs/a"), one);
  const stopped = await workspace.run(["runs", "--stop", "a"]);
  expect(stopped.stdout).toBe("a is not running: killed.\n");
  expect(await survives(one)).toBe(true);
  expect(fs.existsSync(directory)).toBe(true);
});
