// Runs as their supervisor sees them: it starts built engines on the bench's workloads. One JSON command
// a line in, one JSON answer a line out.
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import type { RunRequest } from "../../extension/protocol/engine.ts";
import type { EngineOptions } from "../../extension/supervisor/engines/process.ts";
import { spawnRun, type RunHandle } from "../../extension/supervisor/runs/run.ts";
import type { RunProcess } from "../../extension/supervisor/engines/runProcess.ts";
import { SpareEngine } from "../../extension/supervisor/engines/spare.ts";

/** `seconds`: how long it is observed after its first step, in which it does at least `steps`. */
interface Command {
  name: string;
  warm: boolean;
  seconds: number;
  steps: number;
}

const [root = "."] = process.argv.slice(2);
const options: EngineOptions = { dist: path.join(root, "dist") };
const folder = fs.mkdtempSync(path.join(tmpdir(), "layerwise-bench-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
let count = 0;

async function measure({ name, warm, seconds, steps }: Command): Promise<object> {
  const request: RunRequest = {
    kind: "train",
    file: path.join(root, "test", "bench", "workloads", `${name}.nn.ts`),
    exportName: "default",
    directory: path.join(folder, String(count++)),
    device: "native",
    outlive: false,
  };
  let spare: RunProcess | undefined;
  if (warm) {
    const keeper = new SpareEngine(() => options, { affordable: async () => true });
    await keeper.keep("native");
    spare = keeper.take(request);
  }
  const began = performance.now();
  const done = { steps: 0 };
  let firstStepMs = 0;
  const memory: { step: number; bytes: number }[] = [];
  let handle: RunHandle | undefined;
  const first = new Promise<void>((resolve, reject) => {
    handle = spawnRun(
      request,
      {
        metrics: (rows) => {
          if (done.steps === 0) firstStepMs = performance.now() - began;
          done.steps = rows.at(-1)!.step;
          resolve();
        },
        progress: (progress) => {
          if (progress.memory !== undefined) memory.push({ step: done.steps, bytes: progress.memory });
        },
      },
      options,
      spare,
    );
    void handle.ended.then(({ error }) => reject(new Error(error?.message ?? "it ended")));
  });
  await first;
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const answers: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end || done.steps < steps) {
    const asked = performance.now();
    await handle!.control.counters();
    answers.push(performance.now() - asked);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  loop.disable();
  await handle!.kill();
  // The lowest of a fifth of the steps: what waits for the garbage collector is no growth.
  const megabytes = (from: number): number => {
    const seen = memory.filter(({ step }) => step >= from && step <= from + done.steps / 5);
    return Math.min(...seen.map(({ bytes }) => bytes)) / 2 ** 20;
  };
  answers.sort((a, b) => a - b);
  return {
    firstStepMs,
    steps: done.steps,
    answerMs: answers[Math.floor(0.95 * answers.length)],
    slowestAnswerMs: answers.at(-1),
    hostBlockedMs: loop.max / 1e6 - 1,
    // All that is compiled in the course of a training is there by the middle of a long one.
    earlyMb: megabytes(0.4 * done.steps),
    lateMb: megabytes(0.8 * done.steps),
  };
}

for await (const line of createInterface(process.stdin)) {
  let answer: object;
  try {
    answer = await measure(JSON.parse(line) as Command);
  } catch (error) {
    answer = { error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit();
