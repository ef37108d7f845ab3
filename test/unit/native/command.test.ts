import { expect, test } from "vitest";
import { runCommand } from "../../../extension/native/install/command.ts";

const node = (script: string, options = {}) =>
  runCommand(process.execPath, ["--eval", script], { env: process.env, ...options });

test("collects output and exit code", async () => {
  const seen: string[] = [];
  const result = await node('console.log("out"); console.error("err"); process.exitCode = 3', {
    onOutput: (text: string) => seen.push(text),
  });
  expect(result).toMatchObject({ code: 3, stdout: "out\n" });
  expect(result.output.split("\n").toSorted()).toEqual(["", "err", "out"]);
  expect(seen.join("")).toBe(result.output);
});

test("a program that doesn't exist is no exception", async () => {
  const { code, output } = await runCommand("/nonexistent/program", [], { env: {} });
  expect(code).toBe(-1);
  expect(output).toContain("ENOENT");
});

test("a limit ends a program that hangs", async () => {
  const { code } = await node("setInterval(() => {}, 1000)", { limit: 300 });
  expect(code).toBe(-1);
});

test("an abort rejects with the signal's reason, before the start too", async () => {
  const reason = new Error("stop");
  await expect(node("", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const controller = new AbortController();
  const running = node("setInterval(() => {}, 1000)", { signal: controller.signal });
  setTimeout(() => controller.abort(reason), 100);
  await expect(running).rejects.toBe(reason);
});
