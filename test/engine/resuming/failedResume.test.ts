/** What is left of a run, and what helps, when an attempt to resume it fails. */
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { RunRequest } from "../../../extension/protocol/engine.ts";
import { METRICS_FILE, RUNS_FOLDER, type RunRecord } from "../../../extension/protocol/run.ts";
import { resumeRequest } from "../../../extension/supervisor/runs/resume.ts";
import { spawnRun, type RunOutcome } from "../../../extension/supervisor/runs/run.ts";
import { readRecord, writeRecord } from "../../../extension/supervisor/runs/runDirectory.ts";
import { changedSources } from "../../../extension/supervisor/runs/runHistory.ts";
import { dist, jsonLines, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

const NET = `import { data, experiment, nn, optim, torch } from "layerwise";
import { width } from "./lib/width.js";
export default experiment({
  seed: 3,
  model: () => new nn.Sequential(new nn.Linear(2, width), new nn.Linear(width, 1)),
  data: () => new data.TensorDataset(torch.randn(8, 2), torch.randn(8, 1)),
  loss: new nn.MSELoss(),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.01 }),
  epochs: 1000000,
});
`;

async function stopped(): Promise<string> {
  const file = workspace.write("mid.nn.ts", NET);
  workspace.write("lib/width.ts", "export const width = 16;\n");
  const directory = path.join(workspace.file(RUNS_FOLDER), "20260101-000000-mid");
  const request: RunRequest = {
    kind: "train",
    file,
    exportName: "default",
    device: "cpu",
    outlive: false,
    directory,
  };
  return (await stopAfterRows(request)).record!.state === "stopped" ? directory : "";
}

async function stopAfterRows(request: RunRequest): Promise<RunOutcome> {
  const handle = spawnRun(request, { metrics: () => void handle.stop() }, { dist });
  return handle.ended;
}

/** The run as its directory has it. */
async function state(directory: string): Promise<{ record: RunRecord; rows: string }> {
  const rows = fs.readFileSync(path.join(directory, METRICS_FILE), "utf8");
  return { record: await readRecord(directory), rows };
}

test("leaves the run as it was when its state doesn't fit, and resumes with the kept version", async () => {
  const directory = await stopped();
  const before = await state(directory);
  workspace.write("lib/width.ts", "export const width = 20;\n");
  const outcome = await stopAfterRows(await resumeRequest(directory));
  expect(outcome.error?.message).toContain("size mismatch for 0.weight");
  expect(outcome.record).toEqual(before.record);
  expect(await state(directory)).toEqual(before);
  expect(await changedSources(directory, before.record.file)).toEqual([workspace.file("lib/width.ts")]);

  const kept = await stopAfterRows(await resumeRequest(directory, { kept: true }));
  expect(kept.error).toBeUndefined();
  expect(kept.record).toMatchObject({ state: "stopped", parameters: before.record.parameters });
  expect(kept.record!.step).toBeGreaterThan(before.record.step);
});

test("names the kept version on the command line, which takes it", async () => {
  const directory = await stopped();
  const { step } = await readRecord(directory);
  const resume = ["train", "--resume", directory, "--epochs", "2"];
  workspace.write("lib/width.ts", "export const width = 20;\n");
  const failed = await workspace.run(resume);
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain("size mismatch for 0.weight");
  expect(failed.stderr).toContain(
    "Changed since the run began: width.ts. Or resume with the version that the run has kept: " +
      "layerwise train --resume 20260101-000000-mid --kept-version",
  );
  const failure = jsonLines((await workspace.run([...resume, "--json"])).stdout).at(-1);
  expect(failure).toMatchObject({ error: { hint: expect.stringContaining("--kept-version") as string } });
  expect(await workspace.run([...resume, "--kept-version"])).toMatchObject({ code: 0 });
  expect(await readRecord(directory)).toMatchObject({ state: "finished" });
  expect((await readRecord(directory)).step).toBeGreaterThanOrEqual(step);
  expect(await workspace.run(["train", "mid.nn.ts", "--kept-version"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--kept-version needs a run to --resume.") as string,
  });
});

test("names the kept version where the version that the run began with is gone", async () => {
  const directory = await stopped();
  const record = await readRecord(directory);
  await writeRecord(directory, { ...record, keptVersion: true });
  workspace.write("lib/width.ts", "export const width = 20;\n");
  const { code, stderr } = await workspace.run(["train", "--resume", record.id]);
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(`layerwise train --resume ${record.id} --kept-version`) as string,
  ]);
});

test("leaves the run as it was when the file has a mistake, throws, or is gone", async () => {
  const directory = await stopped();
  const before = await state(directory);
  for (const [text, problem] of [
    ["export default (", /Unexpected end of file/],
    ['throw new Error("not today");', /not today/],
    [NET.replace("new nn.Sequential", "missing.Sequential"), /missing is not defined/],
  ] as const) {
    workspace.write("mid.nn.ts", text);
    const { error, record } = await stopAfterRows(await resumeRequest(directory));
    expect(error?.message).toMatch(problem);
    expect(record).toEqual(before.record);
    expect(await state(directory)).toEqual(before);
  }
  fs.rmSync(workspace.file("mid.nn.ts"));
  const gone = await stopAfterRows(await resumeRequest(directory));
  expect(gone.error).toEqual({
    code: "no-file",
    message: `${before.record.file} was moved or deleted.`,
  });
  expect(await state(directory)).toEqual(before);
  fs.rmSync(workspace.file("lib/width.ts"));
  const kept = await stopAfterRows(await resumeRequest(directory, { kept: true }));
  expect(kept.error).toBeUndefined();
  expect(kept.record!.step).toBeGreaterThan(before.record.step);
});

test("leaves the run as it was when its first new step throws", async () => {
  const directory = await stopped();
  const before = await state(directory);
  workspace.write("mid.nn.ts", NET.replace("torch.randn(8, 1)", "torch.randn(8, 3, 3)"));
  const { error } = await stopAfterRows(await resumeRequest(directory));
  expect(error).toBeDefined();
  expect((await state(directory)).record).toEqual(before.record);
});

test("follows a file to its new place", async () => {
  const directory = await stopped();
  const file = workspace.file("renamed.nn.ts");
  fs.renameSync(workspace.file("mid.nn.ts"), file);
  const { error, record } = await stopAfterRows(await resumeRequest(directory, { file }));
  expect(error).toBeUndefined();
  expect(record).toMatchObject({ state: "stopped", file });
});
