import { expect, test, vi } from "vitest";
import type { RunRequest } from "../../../../extension/protocol/engine.ts";
import type { RunRecord } from "../../../../extension/protocol/run.ts";
import type { RunOutcome } from "../../../../extension/supervisor/runs/run.ts";
import { TrialMachine } from "../../../../extension/supervisor/sweeps/remoteTrials.ts";

const wait = vi.hoisted(() => vi.fn());
vi.mock("node:timers/promises", () => ({ setTimeout: wait }));

const request = { resume: false } as RunRequest;
const failed = (code: string): RunOutcome => ({
  record: { state: "failed" } as RunRecord,
  error: { code, message: code },
  exit: undefined,
});

test("tells what a machine has failed at from what a trial has", () => {
  const machine = new TrialMachine();
  expect(machine.remedy(request, failed("ssh-unreachable"))).toBe("end");
  machine.reached();
  for (const code of ["line", "ssh-unreachable", "ray-unreachable"])
    expect(machine.remedy(request, failed(code)), code).toBe("again");
  for (const code of ["ssh-refused", "ray", "ray-refused", "remote-disk", "remote-protocol", "no-ssh"])
    expect(machine.remedy(request, failed(code)), code).toBe("end");
  for (const code of ["user", "killed", "non-finite", "job-stopped", "shape"])
    expect(machine.remedy(request, failed(code)), code).toBeUndefined();
  expect(machine.remedy({ ...request, resume: true }, failed("remote-gone"))).toBe("restart");
  expect(machine.remedy(request, failed("remote-gone"))).toBe("end");
});

test("follows a run again that was left while it was alive, such as one that a request to stop didn't reach", () => {
  const record = { state: "running" } as RunRecord;
  expect(new TrialMachine().remedy(request, { record, error: undefined, exit: undefined })).toBe("again");
});

test("lets one trial connect until the files are there", async () => {
  const machine = new TrialMachine();
  const order: string[] = [];
  const trial = async (name: string): Promise<() => void> => {
    const end = await machine.turn();
    order.push(name);
    return end;
  };
  const endFirst = await trial("first");
  const second = trial("second");
  const third = trial("third");
  await Promise.resolve();
  expect(order).toEqual(["first"]);
  // The first one failed to connect.
  endFirst();
  await second;
  expect(order).toEqual(["first", "second"]);
  machine.supply();
  await third;
  expect(order).toEqual(["first", "second", "third"]);
  await trial("fourth");
});

test("waits longer before each attempt, until the machine is reached, and not for a sweep that ends", async () => {
  const waits: number[] = [];
  wait.mockImplementation((milliseconds: number) => {
    waits.push(milliseconds);
    return Promise.resolve();
  });
  const machine = new TrialMachine();
  const { signal } = new AbortController();
  for (let i = 0; i < 8; i++) await machine.pause(signal);
  expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  machine.reached();
  await machine.pause(signal);
  expect(waits.at(-1)).toBe(500);
  wait.mockImplementation(() => Promise.reject(new Error("aborted")));
  await machine.pause(AbortSignal.abort());
});
