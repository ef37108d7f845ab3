// What users get wrong in an experiment ends in an error in their terms, at a line of theirs: never in an error of this program.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readRecord } from "../../../extension/supervisor/runs/runDirectory.ts";
import { experimentFile, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

const train = async (options: Readonly<Record<string, string>>, before = ""): Promise<string> => {
  workspace.write("net.nn.ts", experimentFile({ epochs: "2", ...options }, before));
  const { code, stderr } = await workspace.run(["train", "net.nn.ts", "--no-progress", "--device", "cpu"], {
    env: { LAYERWISE_NO_CHECK: "1" },
  });
  expect(code).toBe(1);
  expect(stderr).not.toMatch(/internal:|dist[/\\]/);
  return stderr;
};

describe("a mistake", () => {
  it.each([
    ["a loss that gives a number", { loss: "() => 3 as never" }, "loss(): expected a tensor, got number"],
    ["a loss that gives nothing", { loss: "() => undefined as never" }, "expected a tensor, got undefined"],
    ["a text that data() throws", { data: "() => { throw 'no data'; }" }, 'Uncaught "no data"'],
    [
      "a text that a callback throws later",
      { callbacks: "{ onEpochEnd: async () => { await 1; throw 'late'; } }" },
      'Uncaught "late"',
    ],
    [
      "an error whose message is no text",
      { data: "() => { throw Object.assign(new Error(), { message: Symbol('odd') }); }" },
      "Symbol(odd)",
    ],
    ["a value to stop by that isn't there", { earlyStopping: "{ monitor: 'val_los' }" }, "watches `val_los`"],
    [
      "an end of the process in a callback",
      { callbacks: "{ onEpochEnd: () => process.exit(0) }" },
      "The program ended the process of its run: process.exit(0)",
    ],
    [
      "an end of the process in model()",
      { model: "() => { process.exit(3); }" },
      "The program ended the process of its run: process.exit(3)",
    ],
  ])("%s is named with a line", async (_, options, message) => {
    const stderr = await train(options);
    expect(stderr).toMatch(/^net\.nn\.ts:\d+:\d+ error: /m);
    expect(stderr).toContain(message);
  });
});

it("an error of forty megabytes leaves a run that can be read, and is cut", async () => {
  const stderr = await train({ data: "() => { throw new Error('z'.repeat(40e6)); }" });
  expect(stderr.length).toBeLessThan(20_000);
  const [directory] = workspace.runs();
  expect(fs.statSync(path.join(directory!, "log.txt")).size).toBeLessThan(20_000);
  await expect(readRecord(directory!)).resolves.toMatchObject({ state: "failed" });
});

it("an error of a worker of the user's is not one of this program", async () => {
  const worker = `new (await import("node:worker_threads")).Worker("throw new Error('from a worker')", { eval: true });`;
  expect(await train({ epochs: "100000" }, worker)).toContain("error: from a worker");
});
