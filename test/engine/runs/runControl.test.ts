import fs from "node:fs";
import path from "node:path";
import { describe, expect, test, vi } from "vitest";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import type { RunRecord } from "../../../extension/protocol/run.ts";
import { type RunEvents, type RunHandle } from "../../../extension/supervisor/runs/run.ts";
import { experimentFile, readRows, readRun, useWorkspace } from "../workspace.ts";
import { useRuns } from "./steeredRuns.ts";
import { patience, PATIENT } from "../../patience.ts";

const workspace = useWorkspace();
const { spawn } = useRuns(workspace);
/** Callbacks that let time pass after each epoch. */
function pausing(milliseconds: number): string {
  return `{ onEpochEnd: () => new Promise((resolve) => setTimeout(resolve, ${milliseconds})) }`;
}

describe("a run under way", () => {
  test("pauses, resumes, saves on demand and stops", async () => {
    workspace.write("net.nn.ts", experimentFile());
    const states: string[] = [];
    const progress = vi.fn<NonNullable<RunEvents["progress"]>>();
    let last = 0;
    const begun = performance.now();
    const handle = spawn(
      {},
      {
        record: ({ state }) => states.at(-1) !== state && states.push(state),
        progress: (one) => {
          last = performance.now();
          progress(one);
        },
      },
    );
    await vi.waitFor(() => expect(progress.mock.calls.length).toBeGreaterThan(5), PATIENT);
    await handle.control.pause();
    await vi.waitFor(() => expect(states.at(-1)).toBe("paused"), PATIENT);
    const { step } = readRun(workspace.file("run"));
    await new Promise((resolve) => {
      setTimeout(resolve, 400);
    });
    expect(readRun(workspace.file("run")).step).toBe(step);

    const saved = await handle.control.checkpoint();
    expect(path.basename(saved)).toMatch(/^step-\d{6,}\.safetensors$/);
    loadSafetensors(saved);
    await handle.control.resume();
    await vi.waitFor(() => expect(states.at(-1)).toBe("running"), PATIENT);
    expect((await handle.control.counters())["repeated"]).toBeGreaterThan(0);

    const asked = performance.now();
    const { record } = await handle.stop();
    expect(performance.now() - asked).toBeLessThan(patience(3000));
    expect(states).toEqual(["starting", "running", "paused", "running", "stopped"]);
    expect(record?.checkpoints.map(({ kind }) => kind).sort()).toEqual(["last", "manual"]);
    // Ten messages a second at most, whatever the number of steps: from the start on, since the first may be heard late.
    const { length } = progress.mock.calls;
    expect(length).toBeLessThanOrEqual(((last - begun) / 1000) * 10 + 2);
    expect(record!.step).toBeGreaterThan(length * 4);
    expect(progress.mock.lastCall![0]).toMatchObject({ epochs: 100_000, stepsPerEpoch: 4 });
    expect(readRows(workspace.file("run")).filter(({ kind }) => kind === "step").length).toBeGreaterThan(0);
  });

  test("long runs write means of several steps, not every step", async () => {
    workspace.write("net.nn.ts", experimentFile());
    const handle = spawn();
    await vi.waitFor(() => expect(readRun(workspace.file("run")).step).toBeGreaterThan(200), PATIENT);
    await handle.stop();
    const steps = readRows(workspace.file("run")).filter(({ kind }) => kind === "step");
    // 400,000 steps in 12,500 rows.
    expect(steps.map(({ step }) => step)).toEqual(steps.map((_, i) => 32 * (i + 1)));
  });
});

describe("a run that is steered", () => {
  /** A paused training of 4 steps an epoch. */
  async function paused(options: Readonly<Record<string, string>> = {}): Promise<RunHandle> {
    workspace.write("net.nn.ts", experimentFile(options));
    const states: string[] = [];
    const handle = spawn({}, { record: ({ state }) => states.push(state) });
    await vi.waitFor(() => expect(readRun(workspace.file("run")).epoch).toBeGreaterThan(1), PATIENT);
    await handle.control.pause();
    await vi.waitFor(() => expect(states.at(-1)).toBe("paused"), PATIENT);
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
      await vi.waitFor(() => expect(now().step).toBe(step + more), PATIENT);
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 200);
    });
    expect(now()).toMatchObject({ state: "paused", step: step + 3 });
    await handle.control.resume();
    await vi.waitFor(() => expect(now().step).toBeGreaterThan(step + 10), PATIENT);
    await handle.stop();
  });

  test("does as many steps as asked, then pauses", async () => {
    const handle = await paused();
    const { step } = now();
    await handle.control.step(70);
    await vi.waitFor(() => expect(now()).toMatchObject({ state: "paused", step: step + 70 }), PATIENT);
    await handle.control.resume();
    await vi.waitFor(() => expect(now().state).toBe("running"), PATIENT);
    // While it runs, too.
    await handle.control.step(5);
    await vi.waitFor(() => expect(now().state).toBe("paused"), PATIENT);
    await expect(handle.control.step(0)).rejects.toThrow();
    await expect(handle.control.step(1.5)).rejects.toThrow();
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
    const saved = now().checkpoints.filter(({ kind }) => kind === "manual");
    expect(saved, "weights of the old rate").toMatchObject([{ step, kind: "manual" }]);
    await handle.control.resume();
    await vi.waitFor(() => expect(now().epoch).toBeGreaterThan(epoch + 2), PATIENT);
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
      "no optimizer named `generator`",
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
