// Sweeps that are stopped or killed, and continued.
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { describe, expect, test, vi } from "vitest";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { readRows, readRun, useWorkspace } from "../workspace.ts";
import { findSweep, outcomesOf, recordedSweep, sweptFile } from "./sweepFiles.ts";
import { gone } from "../../gone.ts";
import { patience, PATIENT } from "../../patience.ts";

const workspace = useWorkspace();
const KILLS = Number(process.env["LAYERWISE_SWEEP_KILLS"] ?? 3);

const runOf = (name: string): string => workspace.file(`.layerwise/runs/${name}`);

function weights(directory: string): Record<string, string> {
  const { entries } = loadSafetensors(path.join(directory, "checkpoints", "final.safetensors"));
  return Object.fromEntries(entries.map(({ name, data }) => [name, Buffer.from(data).toString("hex")]));
}

const curve = (directory: string): object[] =>
  readRows(directory).map((row) => ({ ...row, time: 0, spent: undefined }));

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

/** Trials of a second or so. While there is a file "held", each waits at the end of its epoch, and leaves a file that says so. */
const slow = (epochs = 20): string =>
  `import fs from "node:fs";
const HELD = ${JSON.stringify(workspace.file("held"))};
let epoch = 0;
async function pause() {
  epoch++;
  do await new Promise((resolve) => setTimeout(resolve, 40));
  // After its last epoch, a trial is over.
  while (epoch < ${epochs} && fs.existsSync(HELD) && (fs.writeFileSync(\`\${HELD}.\${process.pid}\`, ""), true));
}
${sweptFile({
  epochs: String(epochs),
  checkpoints: "{ everyNTrainSteps: 3 }",
  callbacks: "{ onEpochEnd: pause }",
})}`;

/** Resolves when two trials are in the middle of their trainings, and don't continue before the file "held" is removed. */
async function hold(): Promise<void> {
  workspace.write("held", "");
  const held = (): string[] => fs.readdirSync(workspace.folder).filter((name) => name.startsWith("held."));
  await vi.waitUntil(() => held().length === 2, PATIENT);
}

const args = ["sweep", "net.nn.ts", "--trials", "6", "--parallel", "2", "--seed", "4", "--no-progress"];

describe("a sweep that was interrupted", () => {
  test("stops politely at Ctrl-C and continues its trials where they were", async () => {
    workspace.write("net.nn.ts", slow());
    const command = workspace.start(args);
    await command.printed("trial 1");
    await hold();
    command.child.kill("SIGINT");
    await command.printed("Stopping after");
    fs.rmSync(workspace.file("held"));
    const { code, stderr } = await command.ended;
    expect(code).toBe(130);
    const { record, trials } = findSweep(workspace);
    expect(record.state).toBe("stopped");
    expect(stderr).toContain(`layerwise sweep resume ${record.id}`);
    const interrupted = trials.filter(({ state }) => state === "interrupted");
    expect(interrupted).toHaveLength(2);
    for (const { run } of interrupted) expect(readRun(runOf(run)).state).toBe("stopped");
    const before = fs.readdirSync(workspace.file(".layerwise/runs")).length;
    const resumed = await workspace.run(["sweep", "resume", record.id]);
    expect(resumed.code).toBe(0);
    // The interrupted runs were continued, not begun again.
    expect(workspace.runs()).toHaveLength(before + 6 - trials.length);
    for (const { run } of interrupted)
      expect(findSweep(workspace).trials.map((one) => one.run)).toContain(run);
    const stopped = {
      outcomes: outcomesOf(workspace),
      runs: findSweep(workspace).trials.map(({ run }) => runOf(run)),
    };
    await workspace.run(args);
    expect(stopped.outcomes).toEqual(outcomesOf(workspace));
    for (const [i, { run }] of findSweep(workspace).trials.entries()) {
      expect(weights(runOf(run))).toEqual(weights(stopped.runs[i]!));
      expect(curve(runOf(run))).toEqual(curve(stopped.runs[i]!));
    }
    const again = await workspace.run(["sweep", "--resume", record.id]);
    expect(again.code).toBe(0);
  });

  test(
    `survives kill -9 at ${KILLS} random moments without losing a finished trial`,
    async () => {
      workspace.write("net.nn.ts", slow(8));
      await workspace.run(args);
      const expected = outcomesOf(workspace);
      fs.rmSync(workspace.file(".layerwise"), { recursive: true });
      let id: string | undefined;
      let finished: string[] = [];
      for (let kill = 0; kill <= KILLS; kill++) {
        const command = workspace.start(id === undefined ? args : ["sweep", "--resume", id, "--no-progress"]);
        if (kill === KILLS) {
          const { code, stderr } = await command.ended;
          expect(stderr).not.toContain("internal");
          expect(code).toBe(0);
          break;
        }
        await Promise.race([sleep(900 + Math.random() * 1200), command.ended]);
        command.child.kill("SIGKILL");
        await command.ended;
        const swept = recordedSweep(workspace);
        if (swept === undefined) continue;
        const { record, trials } = swept;
        id = record.id;
        const now = trials.filter(({ state }) => state === "complete").map(({ run }) => run);
        expect(now).toEqual(expect.arrayContaining(finished));
        finished = now;
      }
      expect(outcomesOf(workspace)).toEqual(expected);
      const runs = findSweep(workspace).trials.map(({ run }) => run);
      expect(runs).toEqual(expect.arrayContaining(finished));
      for (const run of runs) expect(readRun(runOf(run)).state).toBe("finished");
      // No engine is left. A kill may come between a directory and its record.
      const recorded = workspace.runs().filter((one) => fs.existsSync(path.join(one, "run.json")));
      for (const { pid } of recorded.map(readRun)) if (pid !== undefined) await gone(pid);
    },
    patience(20_000 + KILLS * 15_000),
  );

  test("a trial whose engine is killed has failed, and the others continue", async () => {
    workspace.write("net.nn.ts", slow(8));
    const command = workspace.start(args);
    const directory = await firstRun();
    process.kill(readRun(directory).pid!, "SIGKILL");
    const { code } = await command.ended;
    expect(code).toBe(0);
    const { trials } = findSweep(workspace);
    const killed = trials.filter(({ run }) => runOf(run) === directory);
    expect(killed).toMatchObject([{ state: "failed", error: expect.stringContaining("SIGKILL") }]);
    expect(trials.filter(({ state }) => state === "complete")).toHaveLength(5);
  });

  test("has one owner, and keeps its search space", async () => {
    workspace.write("net.nn.ts", slow());
    const command = workspace.start(args);
    await firstRun();
    const { record } = findSweep(workspace);
    const second = await workspace.run(["sweep", "resume", record.id]);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/The sweep .* is running here: process \d+/);
    command.child.kill("SIGINT");
    await command.ended;
    workspace.write("net.nn.ts", slow().replace("choice(4, 8, 16)", "choice(4, 8)"));
    const changed = await workspace.run(["sweep", "resume", record.id]);
    expect(changed.code).toBe(1);
    expect(changed.stderr).toContain("The search space of net.nn.ts has changed since");
    const unknown = await workspace.run(["sweep", "resume", "nothing"]);
    expect(unknown.code).toBe(2);
    for (const [flag, value] of [
      ["--search", "grid"],
      ["--pruner", "asha"],
      ["--reduction-factor", "3"],
      ["--grace-period", "2"],
      ["--seed", "1"],
    ] as const) {
      const fixed = await workspace.run(["sweep", "resume", record.id, flag, value]);
      expect(fixed.code).toBe(2);
      expect(fixed.stderr).toContain(`leave out ${flag}.`);
    }
  });
});

/** The first run whose training has begun. */
async function firstRun(): Promise<string> {
  for (;;) {
    const found = workspace.runs().find((directory) => {
      try {
        return readRun(directory).state === "running" && readRows(directory).length > 0;
      } catch {
        return false;
      }
    });
    if (found !== undefined) return found;
    await sleep(20);
  }
}
