/** What other versions of a file, and of its weights, are read from. */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RUNS_FOLDER, SOURCE_FILE } from "../../extension/protocol/run.ts";
import { committedText } from "../../extension/supervisor/git.ts";
import { weightStatistics } from "../../extension/supervisor/weights.ts";
import { writeSafetensors } from "../../extension/formats/safetensors.ts";
import { dist, experimentFile, Workspace } from "./workspace.ts";

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => workspace.remove());

const git = (...args: string[]): void =>
  void execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], {
    cwd: workspace.folder,
    stdio: "ignore",
  });

test("git's HEAD has the file as it was committed; without one, it is told why", async () => {
  const file = workspace.write("net.nn.ts", "one\n");
  await expect(committedText(file)).rejects.toThrow(/HEAD: not a git repository/);
  git("init");
  await expect(committedText(file)).rejects.toThrow(/net\.nn\.ts can't be compared with git's HEAD/);
  git("add", ".");
  git("commit", "-m", "one");
  workspace.write("net.nn.ts", "two\n");
  expect(await committedText(file)).toBe("one\n");
  await expect(committedText(file, path.join(workspace.folder, "no-git"))).rejects.toThrow(
    /no git on this machine/,
  );
});

test("the values of a checkpoint's tensors, read in a process of their own", async () => {
  const file = workspace.file("weights.safetensors");
  const data = new Uint8Array(new Float32Array([-1, 0, 0, 3, Number.NaN, Infinity]).buffer);
  writeSafetensors(file, [{ name: "fc.weight", dtype: "F32", shape: [2, 3], data }], new Map());
  const [tensor] = await weightStatistics(file, { dist }, new AbortController().signal);
  expect(tensor).toMatchObject({
    name: "fc.weight",
    shape: [2, 3],
    min: -1,
    max: 3,
    mean: 0.5,
    zeros: 2,
    nans: 1,
    infinities: 1,
  });
  expect(tensor!.histogram!.reduce((sum, count) => sum + count, 0)).toBe(4);

  fs.writeFileSync(file, "no weights");
  await expect(weightStatistics(file, { dist }, new AbortController().signal)).rejects.toThrow(
    /safetensors|header|weights/i,
  );
  const cancelled = new AbortController();
  cancelled.abort();
  await expect(weightStatistics(file, { dist }, cancelled.signal)).rejects.toThrow(/cancelled/);
});

test("a training keeps the file as it was", async () => {
  const text = experimentFile({ epochs: "1" });
  const file = workspace.write("net.nn.ts", text);
  const { code, stderr } = await workspace.start(["train", file]).ended;
  expect(code, stderr).toBe(0);
  const [id = ""] = fs.readdirSync(workspace.file(RUNS_FOLDER));
  expect(fs.readFileSync(path.join(workspace.file(RUNS_FOLDER), id, SOURCE_FILE), "utf8")).toBe(text);
});
