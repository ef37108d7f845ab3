import fs from "node:fs";
import path from "node:path";
import { describe, expect, test, vi } from "vitest";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import type { RunRecord } from "../../../extension/protocol/run.ts";
import { SpareEngine } from "../../../extension/supervisor/engines/spare.ts";
import { lastCheckpoint } from "../../../extension/supervisor/runs/runDirectory.ts";
import { dist, experimentFile, readRows, readRun, useWorkspace, type Command } from "../workspace.ts";
import { useRuns } from "./steeredRuns.ts";
import { gone } from "../../gone.ts";
import { PATIENT } from "../../patience.ts";

const workspace = useWorkspace();
const { plainRequest, spawn, training } = useRuns(workspace);
/** A training whose fourth epoch ends in a callback that doesn't come back. */
async function hanging(): Promise<{ command: Command; directory: string }> {
  const callbacks = `{ onEpochEnd: ({ epoch }) => { if (epoch === 4) { fs.writeFileSync("hung", ""); for (;;); } } }`;
  workspace.write("net.nn.ts", experimentFile({ callbacks }, 'import fs from "node:fs";'));
  const command = workspace.start(["train", "net.nn.ts", "--out", "run"]);
  await vi.waitFor(() => expect(fs.existsSync(workspace.file("hung"))).toBe(true), PATIENT);
  return { command, directory: workspace.file("run") };
}

function loadLast(directory: string): void {
  const last = lastCheckpoint(readRun(directory));
  expect(last).toBeDefined();
  const { entries } = loadSafetensors(path.join(directory, last!.file));
  expect(entries.map(({ name }) => name).sort()).toEqual(["fc.bias", "fc.weight"]);
}

describe("Ctrl-C", () => {
  test("once stops the training and keeps the model", async () => {
    const { command, directory } = await training();
    const { pid } = readRun(directory);
    command.child.kill("SIGINT");
    const result = await command.ended;
    expect(result.code).toBe(130);
    expect(result.stderr).toMatch(/Stopped after \d+ of 100000 epochs in /);
    expect(result.stderr).toContain(`Saved ${path.join("run", "checkpoints", "last.safetensors")}`);
    const record = readRun(directory);
    expect(record.state).toBe("stopped");
    expect(lastCheckpoint(record)).toMatchObject({ kind: "last", step: record.step });
    loadLast(directory);
    await gone(pid, 1000);
  });

  test("twice ends a step that doesn't come back", async () => {
    const { command, directory } = await hanging();
    const { pid } = readRun(directory);
    command.child.kill("SIGINT");
    await command.printed("Ctrl-C again ends it at once");
    command.child.kill("SIGINT");
    expect((await command.ended).code).toBe(130);
    await gone(pid, 5000);
    loadLast(directory);
  });
});

describe("a process that ends", () => {
  test("the run killed: the command says so, and the last checkpoint opens", async () => {
    const { command, directory } = await training();
    process.kill(readRun(directory).pid!, "SIGKILL");
    const result = await command.ended;
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("error: The run's process ended unexpectedly: signal SIGKILL");
    expect(result.stderr).toContain("hint: Its last checkpoint is checkpoints/last.safetensors");
    expect(result.stderr).toContain("which may be older: layerwise train --resume run");
    expect(result.stderr).not.toContain("Saved");
    expect(readRun(directory).state).toBe("killed");
    loadLast(directory);
  });

  test("the run killed while it saves leaves whole checkpoints only", async () => {
    const { command, directory } = await training({
      // Slow enough that the first epochs are told before the thirtieth is over.
      callbacks: `{ onEpochEnd: async ({ epoch }) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        if (epoch === 30) process.kill(process.pid, "SIGKILL");
      } }`,
      validation: "0.25",
    });
    expect((await command.ended).code).toBe(1);
    for (const name of fs.readdirSync(path.join(directory, "checkpoints")))
      if (name.endsWith(".safetensors")) loadSafetensors(path.join(directory, "checkpoints", name));
    loadLast(directory);
  });

  test("the parent killed: the run saves, says that it was stopped, and is gone in 5 s", async () => {
    const { command, directory } = await training();
    const { pid } = readRun(directory);
    command.child.kill("SIGKILL");
    await gone(pid, 5000);
    expect(readRun(directory).state).toBe("stopped");
    loadLast(directory);
  });

  test("the parent killed while user code hangs: the run is gone in 5 s", async () => {
    const { command, directory } = await hanging();
    const { pid } = readRun(directory);
    command.child.kill("SIGKILL");
    await gone(pid, 5000);
    loadLast(directory);
  });

  test("SIGTERM stops the training and keeps the model", async () => {
    const { command, directory } = await training();
    process.kill(readRun(directory).pid!, "SIGTERM");
    await command.ended;
    expect(readRun(directory).state).toBe("stopped");
    loadLast(directory);
  });

  test("a run that outlives its window continues, is listed, and can be stopped from anywhere", async () => {
    workspace.write("net.nn.ts", experimentFile({ callbacks: pausing(10) }));
    const directory = workspace.file(".layerwise/runs/long");
    const handle = spawn({ outlive: true, directory });
    const epochAbove = (least: number): Promise<void> =>
      vi.waitFor(() => expect(readRun(directory).epoch).toBeGreaterThan(least), PATIENT);
    await epochAbove(0);
    const { pid } = handle;
    handle.detach();
    await epochAbove(readRun(directory).epoch);
    expect((await workspace.run(["runs"])).stdout).toMatch(/^long +train +running /m);

    const stopped = await workspace.run(["runs", "--stop", "long"]);
    expect(stopped).toMatchObject({ code: 0, stderr: "" });
    expect(stopped.stdout).toMatch(/^long: stopped after step \d+ \(\d+ of 100000 epochs\)\.\n$/);
    await gone(pid, 5000);
    loadLast(directory);
    expect((await workspace.run(["runs", "--stop", "long"])).stdout).toBe("long is not running: stopped.\n");
    expect((await workspace.run(["runs", "--stop", "none"])).code).toBe(2);
    // A process of another program that has its id by now is none of ours.
    const record = { ...readRun(directory), state: "running", pid: process.pid };
    fs.writeFileSync(path.join(directory, "run.json"), JSON.stringify(record));
    const reused = await workspace.run(["runs", "--stop", "long"]);
    if (process.platform === "linux") expect(reused.stdout).toBe("long is not running: killed.\n");
  });
});

/** Callbacks that let time pass after each epoch. */
function pausing(milliseconds: number): string {
  return `{ onEpochEnd: () => new Promise((resolve) => setTimeout(resolve, ${milliseconds})) }`;
}

describe("a disk that fails", () => {
  test("a directory that can't be written is told before anything is trained", async () => {
    workspace.write("net.nn.ts", experimentFile());
    workspace.write("occupied", "a file where a folder should be");
    const result = await workspace.run(["train", "net.nn.ts", "--out", "occupied/run"]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/error: The run directory .*occupied.run can't be written: .*ENOTDIR/);
    expect(result.stdout).toBe("");
  });

  test("checkpoints that can't be written don't end the training; a result that can't be kept fails it", async () => {
    workspace.write(
      "net.nn.ts",
      experimentFile(
        {
          epochs: "6",
          callbacks: `{
    onTrainStart: () => { fs.rmSync("run/checkpoints", { recursive: true }); fs.writeFileSync("run/checkpoints", ""); },
  }`,
        },
        'import fs from "node:fs";',
      ),
    );
    const result = await workspace.run(["train", "net.nn.ts", "--out", "run"]);
    expect(result.stdout).toContain("Epoch [6/6]");
    expect(
      result.stderr.match(
        /The weights can't be saved to .*: a part of the path is a file.* The training continues\./g,
      ),
    ).toHaveLength(1);
    expect(result.code).toBe(1);
    expect(readRun(workspace.file("run"))).toMatchObject({
      state: "failed",
      epoch: 6,
      error: { code: "checkpoint" },
    } satisfies Partial<Record<keyof RunRecord, unknown>>);
  });

  // A limit on the size of files is a full disk that needs no rights: what is written first fits, and then no more.
  test.skipIf(process.platform === "win32")(
    "that is full: reported once for each file, training continues, and the files that exist are complete",
    async () => {
      workspace.write(
        "net.nn.ts",
        experimentFile({
          epochs: "60",
          optimizer: "(parameters) => new optim.Adam(parameters, { lr: 0.1 })",
          checkpoints: "{ everyNTrainSteps: 4 }",
          watch: "{ logFreq: 1 }",
          callbacks: '{ onEpochEnd: () => console.log("x".repeat(200)) }',
        }),
      );
      const train = ["train", "net.nn.ts", "--out", "run", "--no-progress"];
      const result = await workspace.run(train, { env: { LAYERWISE_TEST_FILE_LIMIT: "8" } });
      expect(result.stdout).toContain("Epoch [60/60]");
      const told = (file: string): number =>
        result.stderr.split(`${file} can't be written: the file is larger`).length - 1;
      expect(["metrics.jsonl", "layers.jsonl", "log.txt"].map(told)).toEqual([1, 1, 1]);
      expect(result.stderr.match(/The training's state can't be saved in .*EFBIG/g)).toHaveLength(1);
      // The weights are small enough, and are the training's result.
      expect(result.code).toBe(0);
      expect(readRun(workspace.file("run"))).toMatchObject({ state: "finished", epoch: 60 });
      const left = fs.readdirSync(workspace.file("run/checkpoints"));
      expect(left.every((name) => name.endsWith(".safetensors"))).toBe(true);
      for (const name of left) loadSafetensors(workspace.file(`run/checkpoints/${name}`));

      // Without a state it begins again; the torn last line of the curves is gone.
      const again = await workspace.run(["train", "--resume", "run", "--no-progress"]);
      expect(again.stderr).toContain("The run ended before its state was saved: it begins again.");
      expect(again.code).toBe(0);
      expect(readRows(workspace.file("run")).filter(({ kind }) => kind === "epoch")).toHaveLength(60);
    },
  );
});

describe("a process that waited", () => {
  test("trains bit for bit like a new one, and ends when its channel closes", async () => {
    const spare = new SpareEngine(() => ({ dist }), { affordable: async () => true });
    await spare.keep("cpu");
    workspace.write(
      "net.nn.ts",
      experimentFile({ epochs: "2" }, "const noise = torch.randn(3); console.log(noise.tolist().join());"),
    );
    const directories = ["cold", "warm"].map((name) => workspace.file(name));
    await spawn({ directory: directories[0]! }).ended;
    const process = spare.take(plainRequest());
    expect(process).toBeDefined();
    const warm = spawn({ directory: directories[1]! }, {}, process);
    expect((await warm.ended).record?.state).toBe("finished");
    const logs = directories.map((directory) => fs.readFileSync(path.join(directory, "log.txt"), "utf8"));
    expect(logs[1]).toBe(logs[0]);
    const weights = directories.map((directory) =>
      fs.readFileSync(path.join(directory, lastCheckpoint(readRun(directory))!.file)),
    );
    expect(weights[1]!.equals(weights[0]!)).toBe(true);
    await spare.keep("cpu");
    const { pid } = spare;
    spare.take(plainRequest())!.engine.child.disconnect();
    await gone(pid, 5000);
    await spare.dispose();
  });
});
