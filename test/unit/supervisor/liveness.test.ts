// A run whose lock the disk doesn't give in time may well be at work: it is neither taken for dead nor taken over.
import { expect, test, vi } from "vitest";
import { FileError } from "../../../extension/files/fileError.ts";
import {
  isUncertain,
  isUnseen,
  lifeOf,
  lifeText,
  obstacle,
} from "../../../extension/supervisor/runs/liveness.ts";

vi.mock("../../../extension/processes/lockFile.ts", async (original) => ({
  ...(await original<object>()),
  readLock: (directory: string) =>
    Promise.reject(new FileError(`${directory}/lock.json`, "timeout", "the file system gave no answer")),
}));

test("a disk that doesn't answer says nothing about a run", async () => {
  const life = await lifeOf("/runs/a", { createdAt: "2026-01-01T00:00:00.000Z", pid: 1 });
  expect(life).toEqual({ kind: "unread" });
  expect(isUnseen(life) && isUncertain(life)).toBe(true);
  expect(lifeText(life)).toBe("not answering yet");
  expect(obstacle(life)).toContain("may still be running");
});
