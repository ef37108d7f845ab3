import fs from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import type { RunRequest } from "../../../extension/protocol/engine.ts";
import type { RunRecord } from "../../../extension/protocol/run.ts";
import { spawnRun, type RunEvents, type RunHandle } from "../../../extension/supervisor/runs/run.ts";
import type { RunProcess } from "../../../extension/supervisor/engines/runProcess.ts";
import { SpareEngine } from "../../../extension/supervisor/engines/spare.ts";
import { isAlive } from "../../../extension/processes/identity.ts";
import { lastCheckpoint } from "../../../extension/supervisor/runs/runDirectory.ts";
import { dist, experimentFile, readRows, readRun, useWorkspace, type Command } from "../workspace.ts";

const workspace = useWorkspace();
const handles: RunHandle[] = [];
afterEach(async () => {
  await Promise.all(handles.splice(0).map((handle) => handle.kill()));
});

/** An endless training, and its first epochs. */
async function training(
  options: Readonly<Record<string, string>> = {},
): Promise<{ command: Command; directory: string }> {
  workspace.write("net.nn.ts", experimentFile(options));
  const command = workspace.start(["train", "net.nn.ts", "--out", "run"]);
  await command.printed("Epoch [3/");
  return { command, directory: workspace.file("run") };
}

/** A training whose fourth epoch ends in a callback that doesn't come back. */
async function hanging(): Promise<{ command: Command; directory: string }> {
  const callbacks = `{ onEpochEnd: ({ epoch }) => { if (epoch === 4) { fs.writeFileSync("hung", ""); for (;;); } } }`;
  workspace.write("net.nn.ts", experimentFile({ callbacks }, 'import fs from "node:fs";'));
  const command = workspace.start(["train", "net.nn.ts", "--out", "run"]);
  await vi.waitFor(() => expect(fs.existsSync(workspace.file("hung"))).toBe(true), { timeout: 20_000 });
  return { command, directory: workspace.file("run") };
}

function loadLast(directory: string): void {
  const last = lastCheckpoint(readRun(directory));
  expect(last).toBeDefined();
  const { entries } = loadSafetensors(path.join(directory, last!.file));
  expect(entries.map(({ name }) => name).sort()).toEqual(["fc.bias", "fc.weight"]);
}

async function gone(pid: number | undefined, milliseconds = 5000): Promise<void> {
  expect(pid).toBeDefined();
  await vi.waitFor(async () => expect(await isAlive(pid)).toBe(false), {
    timeout: milliseconds,
    interval: 50,
  });
}

const plainRequest = (): RunRequest => ({
  kind: "train",
  file: workspace.file("net.nn.ts"),
  exportName: "default",
  directory: workspace.file("run"),
  device: "cpu",
  outlive: false,
});

function spawn(request: Partial<RunRequest> = {}, events: RunEvents = {}, spare?: RunProcess): RunHandle {
  const handle = spawnRun({ ...plainRequest(), ...request }, events, { dist }, spare);
  handles.push(handle);
  return handle;
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
    await gone(pid);
    loadLast(directory);
  });
});

describe("a process that ends", () => {
  test("the run killed: the command says so, and the last checkpoint opens", async () => {
    const { command, directory } = await training();
    process.kill(readRun(directory).pid!, "SIGKILL");
    const result = await command.ended;
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("error: The run's process ended without a last word: signal SIGKILL");
    expect(result.stderr).toContain("hint: Its last checkpoint is checkpoints/last.safetensors");
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
    await gone(pid);
    expect(readRun(directory).state).toBe("stopped");
    loadLast(directory);
  });

  test("the parent killed while user code hangs: the run is gone in 5 s", async () => {
    const { command, directory } = await hanging();
    const { pid } = readRun(directory);
    command.child.kill("SIGKILL");
    await gone(pid);
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
      vi.waitFor(() => expect(readRun(directory).epoch).toBeGreaterThan(least), { timeout: 20_000 });
    await epochAbove(0);
    const { pid } = handle;
    handle.detach();
    await epochAbove(readRun(directory).epoch);
    expect((await workspace.run(["runs"])).stdout).toMatch(/^long +train +running /m);

    const stopped = await workspace.run(["runs", "--stop", "long"]);
    expect(stopped).toMatchObject({ code: 0, stderr: "" });
    expect(stopped.stdout).toMatch(/^long: stopped after step \d+ \(\d+ of 100000 epochs\)\.\n$/);
    await gone(pid);
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

describe("a run under way", () => {
  test("pauses, resumes, saves on demand and stops", async () => {
    workspace.write("net.nn.ts", experimentFile());
    const states: string[] = [];
    const progress = vi.fn<NonNullable<RunEvents["progress"]>>();
    const times: number[] = [];
    const handle = spawn(
      {},
      {
        record: ({ state }) => states.at(-1) !== state && states.push(state),
        progress: (one) => {
          times.push(performance.now());
          progress(one);
        },
      },
    );
    await vi.waitFor(() => expect(progress.mock.calls.length).toBeGreaterThan(5), { timeout: 20_000 });
    await handle.control.pause();
    await vi.waitFor(() => expect(states.at(-1)).toBe("paused"));
    const { step } = readRun(workspace.file("run"));
    await new Promise((resolve) => {
      setTimeout(resolve, 400);
    });
    expect(readRun(workspace.file("run")).step).toBe(step);

    const saved = await handle.control.checkpoint();
    expect(path.basename(saved)).toMatch(/^step-\d{6,}\.safetensors$/);
    loadSafetensors(saved);
    await handle.control.resume();
    await vi.waitFor(() => expect(states.at(-1)).toBe("running"));
    expect((await handle.control.counters())["repeated"]).toBeGreaterThan(0);

    const asked = performance.now();
    const { record } = await handle.stop();
    expect(performance.now() - asked).toBeLessThan(3000);
    expect(states).toEqual(["starting", "running", "paused", "running", "stopped"]);
    expect(record?.checkpoints.map(({ kind }) => kind).sort()).toEqual(["last", "manual"]);
    // Ten messages a second at most, whatever the number of steps.
    const seconds = (times.at(-1)! - times[0]!) / 1000;
    expect(times.length).toBeLessThanOrEqual(seconds * 10 + 2);
    expect(record!.step).toBeGreaterThan(times.length * 4);
    expect(progress.mock.lastCall![0]).toMatchObject({ epochs: 100_000, stepsPerEpoch: 4 });
    expect(readRows(workspace.file("run")).filter(({ kind }) => kind === "step").length).toBeGreaterThan(0);
  });

  test("long runs write means of several steps, not every step", async () => {
    workspace.write("net.nn.ts", experimentFile());
    const handle = spawn();
    await vi.waitFor(() => expect(readRun(workspace.file("run")).step).toBeGreaterThan(200), {
      timeout: 20_000,
    });
    await handle.stop();
    const steps = readRows(workspace.file("run")).filter(({ kind }) => kind === "step");
    // 400,000 steps in 20,000 rows.
    expect(steps.map(({ step }) => step)).toEqual(steps.map((_, i) => 20 * (i + 1)));
  });
});

describe("a run that is steered", () => {
  /** A paused training of 4 steps an epoch. */
  async function paused(options: Readonly<Record<string, string>> = {}): Promise<RunHandle> {
    workspace.write("net.nn.ts", experimentFile(options));
    const states: string[] = [];
    const handle = spawn({}, { record: ({ state }) => states.push(state) });
    await vi.waitFor(() => expect(readRun(workspace.file("run")).epoch).toBeGreaterThan(1), {
      timeout: 20_000,
    });
    await handle.control.pause();
    await vi.waitFor(() => expect(states.at(-1)).toBe("paused"));
    return handle;
  }
  const directory = (): string => workspace.file("run");
  const now = (): RunRecord => readRun(directory());
  const events = () => readRows(directory()).filter(({ kind }) => kind === "event");

  test("does single steps while paused, then resumes", async () => {
    const handle = await paused();
    const { step } = now();
    for (const more of [1, 2, 3]) {
      await handle.control.step();
      await vi.waitFor(() => expect(now().step).toBe(step + more), { timeout: 5000 });
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 200);
    });
    expect(now()).toMatchObject({ state: "paused", step: step + 3 });
    await handle.control.resume();
    await vi.waitFor(() => expect(now().step).toBeGreaterThan(step + 10), { timeout: 5000 });
    await handle.stop();
  });

  test("trains at another rate from the next step on, and tells of it", async () => {
    const handle = await paused({
      optimizer: "(parameters) => new optim.SGD(parameters, { lr: 0.5 })",
      lrScheduler: "(optimizer) => new optim.lrScheduler.ExponentialLR(optimizer, { gamma: 1 })",
    });
    const { step, epoch } = now();
    await handle.control.setLearningRate(0.25);
    expect(events()).toMatchObject([
      { step, values: { lr: 0.25 }, text: "lr changed by hand from 0.5 to 0.25." },
    ]);
    expect(fs.readFileSync(path.join(directory(), "log.txt"), "utf8")).toContain(
      `lr changed by hand from 0.5 to 0.25. After step ${step}, in epoch `,
    );
    await handle.control.resume();
    await vi.waitFor(() => expect(now().epoch).toBeGreaterThan(epoch + 2), { timeout: 5000 });
    await handle.stop();
    const rates = readRows(directory())
      .filter(({ kind }) => kind === "epoch")
      .map(({ epoch, values }) => [epoch, values["lr"]]);
    expect(new Set(rates.filter(([at]) => at! <= epoch).map(([, lr]) => lr))).toEqual(new Set([0.5]));
    expect(rates.find(([at]) => at === epoch + 2)).toEqual([epoch + 2, 0.25]);
  });

  test("refuses a rate that is none, an optimizer there is none of, and a number of epochs that is none", async () => {
    const handle = await paused();
    await expect(handle.control.setLearningRate(-1)).rejects.toThrow(/expected.*>=0/i);
    await expect(handle.control.setLearningRate(Number.NaN)).rejects.toThrow();
    await expect(handle.control.setLearningRate(0.1, "generator")).rejects.toThrow(
      "no optimizer `generator`",
    );
    await expect(handle.control.addEpochs(0)).rejects.toThrow();
    await expect(handle.control.addEpochs(1.5)).rejects.toThrow();
    expect(events()).toEqual([]);
    await handle.stop();
  });

  test("trains for more epochs than requested", async () => {
    const handle = await paused({ epochs: "30", callbacks: pausing(100) });
    expect(await handle.control.addEpochs(3)).toBe(33);
    await handle.control.resume();
    const { record } = await handle.ended;
    expect(record).toMatchObject({ state: "finished", epochs: 33, epoch: 33, step: 33 * 4 });
    expect(events()).toMatchObject([{ text: "3 more epochs: 33 in all." }]);
  });

  test("is not made longer than a schedule that was made for its length", async () => {
    const handle = await paused({
      lrScheduler:
        "(optimizer) => new optim.lrScheduler.OneCycleLR(optimizer, { maxLr: 0.1, totalSteps: 1e6, cycleMomentum: false })",
    });
    await expect(handle.control.addEpochs(1)).rejects.toThrow("OneCycleLR was made for the run's length");
    await handle.stop();
  });
});

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
    await gone(pid);
    await spare.dispose();
  });
});
