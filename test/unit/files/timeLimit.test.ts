import fs from "node:fs/promises";
import { expect, test } from "vitest";
import { withTimeout } from "../../../extension/files/regular.ts";

function busy(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

test("a file system's time doesn't pass while this thread is busy", async () => {
  const read = withTimeout("/file", 300, async () => {
    for (let i = 0; i < 3; i++) {
      await fs.stat(import.meta.filename);
      busy(200);
    }
    return "read";
  });
  busy(600);
  expect(await read).toBe("read");
});

test("a file system that doesn't answer is given up", async () => {
  const began = performance.now();
  await expect(withTimeout("/file", 200, () => new Promise(() => undefined))).rejects.toMatchObject({
    code: "timeout",
    message: "/file: the file system gave no answer within 200 ms",
  });
  expect(performance.now() - began).toBeGreaterThan(150);
});
