import { expect, test } from "vitest";
import { countsOf, runTests, skip, test as register } from "../../harness.ts";

test("a test that something is missing for counts as skipped, with the reason, not as passed", async () => {
  register("passes", () => {});
  register("fails", () => {
    throw new Error("broken");
  });
  register("skips", () => skip("no sshd"));
  const lines: string[] = [];
  const outcomes = await runTests({ print: (line) => void lines.push(line) });
  expect(countsOf(outcomes)).toEqual({ passed: 1, failed: 1, skipped: 1 });
  expect(lines[0]).toMatch(/^ok passes/);
  expect(lines[1]).toMatch(/^FAILED fails[^]*Error: broken/);
  expect(lines[2]).toBe("skipped skips: no sshd");
});
