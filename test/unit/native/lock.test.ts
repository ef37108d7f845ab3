import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { withLock } from "../../../extension/native/install/lock.ts";
import { temporaryFolder } from "./fakes.ts";

const lockFile = (): string => path.join(temporaryFolder(), "deep", "x.lock");

function writeLock(file: string, owner: { pid: number; host: string } | string, ageSeconds = 0): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, typeof owner === "string" ? owner : JSON.stringify({ token: "other", ...owner }));
  const time = new Date(Date.now() - ageSeconds * 1000);
  fs.utimesSync(file, time, time);
}

/** Whether the lock is got within a second. */
async function acquires(file: string): Promise<boolean> {
  const signal = AbortSignal.timeout(1000);
  return withLock(file, { signal }, () => Promise.resolve(true)).catch(() => false);
}

const deadPid = (): number => spawnSync(process.execPath, ["--eval", ""]).pid;

test("bodies never overlap, and the file goes with the last", async () => {
  const file = lockFile();
  let inside = 0;
  let most = 0;
  const waits: number[] = [];
  await Promise.all(
    [1, 2, 3].map((id) =>
      withLock(file, { onWait: () => waits.push(id) }, async () => {
        most = Math.max(most, ++inside);
        await delay(20);
        inside--;
      }),
    ),
  );
  expect(most).toBe(1);
  expect(waits).toHaveLength(2);
  expect(fs.readdirSync(path.dirname(file))).toEqual([]);
});

test("is released when the body fails", async () => {
  const file = lockFile();
  await expect(withLock(file, {}, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await acquires(file)).toBe(true);
});

test("is taken over from a dead process of this machine", async () => {
  const file = lockFile();
  writeLock(file, { pid: deadPid(), host: hostname() });
  expect(await acquires(file)).toBe(true);
  expect(fs.readdirSync(path.dirname(file))).toEqual([]);
});

test("is taken over after a long silence, whichever process holds it", async () => {
  const file = lockFile();
  writeLock(file, { pid: process.pid, host: hostname() }, 60);
  expect(await acquires(file)).toBe(true);
  writeLock(file, "garbage", 60);
  expect(await acquires(file)).toBe(true);
});

test.each([
  ["a living process", { pid: process.pid, host: hostname() }],
  ["a process of another machine", { pid: deadPid(), host: "another" }],
  ["a process that is just writing it", ""],
])("is not taken from %s", async (_, owner) => {
  const file = lockFile();
  writeLock(file, owner);
  expect(await acquires(file)).toBe(false);
});

test("a holder that lost its lock leaves the new one alone", async () => {
  const file = lockFile();
  await withLock(file, {}, () => {
    writeLock(file, { pid: process.pid, host: "another" });
    return Promise.resolve();
  });
  expect(fs.existsSync(file)).toBe(true);
});
