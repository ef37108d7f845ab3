// Sweeps and evaluations on a machine that ssh reaches.
import fs from "node:fs";
import path from "node:path";
import { expect, test, vi } from "vitest";
import { findSweep, outcomesOf, slowLosers } from "../../engine/sweeps/sweepFiles.ts";
import { readRun, useWorkspace } from "../../engine/workspace.ts";
import { describeUnless } from "../../unless.ts";
import { processes } from "../../processes.ts";
import { rowsOf, useProgram } from "./program.ts";
import { until } from "../until.ts";
import { noSshd } from "./sshd.ts";
import { writeSwept } from "./sweptProgram.ts";
import { useSshd } from "./useSshd.ts";
import { slow } from "../../slow.ts";

const workspace = useWorkspace();
const sshd = useSshd();
const { write } = useProgram(workspace);
const env = (): Record<string, string> => sshd.env;
const LOCAL = ["sweep", "net.nn.ts", "--trials", "4", "--seed", "4", "--no-progress", "--parallel", "2"];
const SWEEP = [...LOCAL, "--on", "box"];
const runOf = (name: string): string => workspace.file(`.layerwise/runs/${name}`);
const none = (): Promise<void> => until(() => sshd.runProcesses().length === 0, "no process is left there");

/** The outcomes of the same sweep on this machine. */
async function here(more: readonly string[] = []): Promise<object[]> {
  const { code, stderr } = await workspace.run([...LOCAL, ...more]);
  expect(code, stderr).toBe(0);
  const expected = outcomesOf(workspace);
  fs.rmSync(workspace.file(".layerwise"), { recursive: true });
  return expected;
}

// Several commands of several trials each.
vi.setConfig({ testTimeout: 240_000 });

describeUnless(noSshd, "a sweep by ssh", () => {
  test("has the values of one here; each trial is a run there, and files are sent once", async () => {
    writeSwept(workspace);
    const expected = await here();
    const { code, stdout, stderr } = await workspace.run(SWEEP, { env: env() });
    expect(code, stderr).toBe(0);
    expect(outcomesOf(workspace)).toEqual(expected);
    expect(stdout).toContain("4 complete");
    expect(stderr).toMatch(/2 at a time on box/);
    // Sent files are reported for the first trial alone.
    expect(stderr.match(/Sent Layerwise|Sent the program and 1 of its files/g)).toHaveLength(2);
    const { record, trials } = findSweep(workspace);
    expect(record).toMatchObject({ state: "finished", on: { name: "box" } });
    for (const { run, number } of trials)
      expect(readRun(runOf(run))).toMatchObject({
        state: "finished",
        on: { name: "box" },
        trial: { sweep: record.id, number },
      });
    await none();
  });

  test("ends pruned trials there, which makes room for the next", async () => {
    writeSwept(workspace, {
      callbacks: slowLosers("onEpochEnd", 300),
      epochs: 200,
      sweep: "{ lr: sweep.choice(0.1, 1e-9, 1e-8) }",
      model: "() => new nn.Linear(4, 3)",
    });
    const { code, stderr } = await workspace.run(
      [
        "sweep",
        "net.nn.ts",
        "--search",
        "grid",
        "--pruner",
        "asha",
        "--grace-period",
        "2",
        "--epochs",
        "30",
        "--on",
        "box",
        "--no-progress",
      ],
      { env: env() },
    );
    expect(code, stderr).toBe(0);
    const { trials } = findSweep(workspace);
    expect(trials.map(({ state }) => state)).toEqual(["complete", "pruned", "pruned"]);
    for (const { run } of trials.slice(1)) {
      expect(readRun(runOf(run)).state).toBe("stopped");
      expect(readRun(runOf(run)).epoch).toBeLessThan(30);
    }
    await none();
  });

  test("stops its trials there at Ctrl-C, and resumes them where they were", slow, async () => {
    writeSwept(workspace, { epochs: 60 });
    const expected = await here();
    writeSwept(workspace, { wait: 100, epochs: 60 });
    const command = workspace.start(SWEEP, env());
    await until(() => workspace.runs().filter((one) => rowsOf(one) > 8).length === 2, "two trials train");
    command.child.kill("SIGINT");
    const { code, stderr } = await command.ended;
    expect(code, stderr).toBe(130);
    await none();
    const { record, trials } = findSweep(workspace);
    const interrupted = trials.filter(({ state }) => state === "interrupted");
    expect(interrupted).toHaveLength(2);
    for (const { run } of interrupted) expect(readRun(runOf(run)).state).toBe("stopped");
    writeSwept(workspace, { epochs: 60 });
    const resumed = await workspace.run(["sweep", "resume", record.id, "--no-progress"], { env: env() });
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(outcomesOf(workspace)).toEqual(expected);
    expect(workspace.runs()).toHaveLength(4);
    for (const run of workspace.runs()) expect(readRun(run).on?.name).toBe("box");
  });

  test("that is killed leaves its trials to their end; resuming follows them again", slow, async () => {
    writeSwept(workspace, { epochs: 60 });
    const expected = await here();
    writeSwept(workspace, { wait: 100, epochs: 60 });
    const command = workspace.start(SWEEP, env());
    await until(() => workspace.runs().filter((one) => rowsOf(one) > 8).length === 2, "two trials train");
    command.child.kill("SIGKILL");
    await command.ended;
    const before = new Set(sshd.runProcesses().map(({ pid }) => pid));
    expect(before.size).toBeGreaterThanOrEqual(4);
    const { record } = findSweep(workspace);
    // The remaining trials run without waits.
    writeSwept(workspace, { epochs: 60 });
    const { code, stderr } = await workspace.run(["sweep", "--resume", record.id, "--no-progress"], {
      env: env(),
    });
    expect(code, stderr).toBe(0);
    expect(outcomesOf(workspace)).toEqual(expected);
    // No trial was begun again, neither here nor there.
    expect(workspace.runs()).toHaveLength(4);
    for (const run of workspace.runs()) {
      const job = path.join(sshd.there, "runs", readRun(run).on!.run, "job.json");
      expect(JSON.parse(fs.readFileSync(job, "utf8"))).toMatchObject({ request: { resume: false } });
    }
    await none();
  });

  test("waits for a machine that can't be reached for a while", slow, async () => {
    writeSwept(workspace, { epochs: 10 });
    const expected = await here();
    writeSwept(workspace, { wait: 50, epochs: 10 });
    const command = workspace.start(SWEEP, env());
    await until(() => workspace.runs().some((one) => rowsOf(one) > 8), "a trial trains");
    await sshd.deafen();
    try {
      await command.printed("reconnecting");
    } finally {
      await sshd.listen();
    }
    const { code, stderr } = await command.ended;
    expect(code, stderr).toBe(0);
    expect(outcomesOf(workspace)).toEqual(expected);
    await none();
  });

  test("has a trial that fails there, and goes to the next", slow, async () => {
    writeSwept(workspace, {
      sweep: "{ lr: sweep.choice(0.1, 0.2), width: sweep.choice(4, 5) }",
      model: `({ width }) => {
          if (width === 5) throw new Error("no such width");
          return new nn.Sequential(new nn.Linear(4, width), new nn.Linear(width, 3));
        }`,
    });
    const grid = ["sweep", "net.nn.ts", "--search", "grid", "--on", "box", "--no-progress"];
    const { code, stderr } = await workspace.run(grid, { env: env() });
    expect(code, stderr).toBe(0);
    const { trials } = findSweep(workspace);
    expect(trials.map(({ state, error }) => [state, error])).toEqual([
      ["complete", undefined],
      ["failed", "no such width"],
      ["complete", undefined],
      ["failed", "no such width"],
    ]);
  });

  test("of a file that no setting can mend ends at once, with the user's line", slow, async () => {
    writeSwept(workspace, { model: '() => { throw new Error("broken"); }' });
    const { code, stderr } = await workspace.run(SWEEP, { env: env() });
    expect(code).toBe(1);
    expect(stderr).toContain("broken");
    expect(stderr).toContain("net.nn.ts:");
    expect(findSweep(workspace).record.state).toBe("failed");
    expect(findSweep(workspace).trials.length).toBeLessThan(4);
  });

  test(
    "on a machine that refuses the login fails no trial, and is resumed on another one",
    slow,
    async () => {
      writeSwept(workspace);
      const { code, stderr } = await workspace.run([...LOCAL, "--on", "refused"], { env: env() });
      expect(code).toBe(1);
      expect(stderr).toContain("refused the login");
      const { directory, record, trials } = findSweep(workspace);
      expect(trials.every(({ state }) => state === "interrupted")).toBe(true);
      expect(workspace.runs()).toEqual([]);
      // A record from a stranger chooses no machine.
      const strange = { ...record, on: { name: "box", run: "strange-0123456789ab" } };
      fs.writeFileSync(path.join(directory, "sweep.json"), JSON.stringify(strange));
      const unnamed = await workspace.run(["sweep", "resume", record.id], { env: env() });
      expect(unnamed.code).toBe(1);
      expect(unnamed.stderr).toMatch(/was not started from here[\s\S]*--on/);
      const resumed = await workspace.run(["sweep", "resume", record.id, "--on", "box"], { env: env() });
      expect(resumed.code, resumed.stderr).toBe(0);
      expect(findSweep(workspace).record).toMatchObject({ state: "finished", on: { name: "box" } });
    },
  );
});

describeUnless(noSshd, "an evaluation by ssh", () => {
  const files = ["evaluation.json", "report.json"];
  const json = (directory: string, file: string): unknown =>
    JSON.parse(fs.readFileSync(path.join(directory, file), "utf8"));

  test("has the result of one here, with its samples", async () => {
    write("net.nn.ts", { epochs: 2 });
    const trained = await workspace.run(["train", "net.nn.ts", "--out", "trained"]);
    expect(trained.code, trained.stderr).toBe(0);
    const weights = ["--checkpoint", "trained/checkpoints/final.safetensors"];
    const evaluate = ["evaluate", "net.nn.ts", ...weights];
    const local = await workspace.run([...evaluate, "--out", "here"]);
    expect(local.code, local.stderr).toBe(0);
    const { code, stdout, stderr } = await workspace.run([...evaluate, "--out", "there", "--on", "box"], {
      env: env(),
    });
    expect(code, stderr).toBe(0);
    expect(stdout.slice(stdout.indexOf("Loss"))).toContain(
      local.stdout.slice(local.stdout.indexOf("Loss")).trim(),
    );
    for (const file of files)
      expect(json(workspace.file("there"), file)).toEqual(json(workspace.file("here"), file));
    expect(fs.readFileSync(workspace.file("there/outcomes.safetensors"))).toEqual(
      fs.readFileSync(workspace.file("here/outcomes.safetensors")),
    );
    const { metrics, settings } = readRun(workspace.file("there"));
    expect({ metrics, settings }).toEqual({
      metrics: readRun(workspace.file("here")).metrics,
      settings: readRun(workspace.file("here")).settings,
    });
    const again = await workspace.run([...evaluate, "--on", "box", "--json"], { env: env() });
    expect(again.code, again.stderr).toBe(0);
    expect(again.stdout).toContain('"event":"evaluated"');
    expect(again.stdout).toMatch(/were there already/);
  });

  test("is attached to after a kill of the command", slow, async () => {
    write("net.nn.ts", { epochs: 1 });
    await workspace.run(["train", "net.nn.ts", "--out", "trained"]);
    const file = workspace.file("net.nn.ts");
    const slow = fs
      .readFileSync(file, "utf8")
      .replace(
        "data.csv(",
        "(Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4000), data).csv(",
      );
    fs.writeFileSync(file, slow);
    const words = [
      "evaluate",
      "net.nn.ts",
      "--checkpoint",
      "trained/checkpoints/final.safetensors",
      "--on",
      "box",
    ];
    const command = workspace.start(words, env());
    await command.printed("Sent the program");
    await until(() => sshd.runProcesses().length > 1, "it runs there");
    command.child.kill("SIGKILL");
    await command.ended;
    const [directory = ""] = workspace.runs();
    const { pid = 0 } = readRun(directory);
    await until(() => processes().every((one) => one.pid !== pid), "its follower has left");
    const { code, stdout, stderr } = await workspace.run(["attach", path.basename(directory)], {
      env: env(),
    });
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("Loss");
    expect(json(directory, "evaluation.json")).toHaveProperty("metrics");
    await none();
  });
});
