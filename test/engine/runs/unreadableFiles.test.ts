// A file that can't be bundled begins no run: its error is told, at its line, and the list of runs is as before.
import { spawnRun } from "../../../extension/supervisor/runs/run.ts";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { RunRequest } from "../../../extension/protocol/engine.ts";
import { dist, experimentFile, jsonLines, readRun, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

const broken = experimentFile({ epochs: "2" }).replace("this.fc(x);", "this.fc(x;");
const LINE = broken.split("\n").findIndex((line) => line.includes("this.fc(x;")) + 1;

describe.each(["train", "evaluate"])("%s", (command) => {
  test("names the line of a syntax error, and leaves no run", async () => {
    const checkpoint = workspace.write("start.safetensors", "");
    const args = command === "evaluate" ? ["--checkpoint", checkpoint] : [];
    workspace.write("net.nn.ts", broken);
    const { code, stderr } = await workspace.run([command, "net.nn.ts", ...args]);
    expect(stderr).toContain(`net.nn.ts:${LINE}:`);
    expect(code).toBe(1);
    expect(workspace.runs()).toEqual([]);
    const told = await workspace.run([command, "net.nn.ts", "--json", ...args]);
    expect(jsonLines(told.stdout).at(-1)).toMatchObject({
      error: { code: "syntax", position: { line: LINE } },
    });
    expect(workspace.runs()).toEqual([]);
  });
});

test("an import that is missing leaves no run either", async () => {
  workspace.write("net.nn.ts", `import "./missing.ts";\n${experimentFile()}`);
  const { code, stderr } = await workspace.run(["train", "net.nn.ts"]);
  expect(stderr).toContain("net.nn.ts:1:8");
  expect(code).toBe(1);
  expect(workspace.runs()).toEqual([]);
});

test("a run that is resumed keeps its record", async () => {
  workspace.write("net.nn.ts", experimentFile({ epochs: "2" }));
  expect((await workspace.run(["train", "net.nn.ts"])).code).toBe(0);
  const [directory] = workspace.runs();
  const before = readRun(directory!);
  workspace.write("net.nn.ts", broken);
  const { code, stderr } = await workspace.run(["train", "--resume", directory!, "--epochs", "4"]);
  expect(stderr).toContain(`net.nn.ts:${LINE}:`);
  expect(code).toBe(1);
  expect(readRun(directory!)).toEqual(before);
});

test.each(["stop", "signal"])("a run that is ended while its file is read is stopped: %s", async (how) => {
  const file = workspace.write("net.nn.ts", experimentFile());
  // It takes a while to read.
  workspace.write("long.ts", `export const all = [${"{ a: 1 },\n".repeat(200_000)}];`);
  fs.appendFileSync(file, 'import { all } from "./long.ts";\nexport const count = all.length;\n');
  const directory = path.join(workspace.folder, "run");
  const request: RunRequest = {
    kind: "train",
    file,
    exportName: "default",
    directory,
    device: "cpu",
    outlive: false,
  };
  const handle = spawnRun(request, {}, { dist, stopTimeout: 60_000 });
  while (!fs.existsSync(path.join(directory, "lock.json"))) await new Promise((wait) => setTimeout(wait, 5));
  expect(fs.existsSync(path.join(directory, "run.json"))).toBe(false);
  if (how === "stop") void handle.stop();
  else process.kill(handle.pid!, "SIGTERM");
  const { record } = await handle.ended;
  expect(record).toMatchObject({ state: "stopped", step: 0 });
});
