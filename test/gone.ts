import { expect, vi } from "vitest";
import { isAlive } from "../extension/processes/identity.ts";
import { patience, PATIENT } from "./patience.ts";

/** Waits for the end of a process, which usually takes less than `limit` milliseconds. */
export async function gone(pid: number | undefined, limit = 10_000): Promise<void> {
  expect(pid).toBeDefined();
  await vi.waitFor(async () => expect(await isAlive(pid)).toBe(false), {
    ...PATIENT,
    timeout: patience(limit),
  });
}
