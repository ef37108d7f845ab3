// Layerwise's side of the bench: experiments through the trainer, as a run trains them. One JSON command a line in, one
// JSON answer a line out.
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { loadExecutor } from "../../extension/executors/index.ts";
import { Device } from "../../extension/protocol/device.ts";
import type { TrainContext } from "../../extension/nn/experiment/experiment.ts";
import { openTraining } from "./training.ts";
import { WORKLOADS } from "./workloads/all.ts";

type Command =
  | { do: "version" | "peak" }
  | { do: "steps"; name: string; count: number }
  /** `everyStep`: each step is read as soon as it is recorded. */
  | { do: "start"; name: string; everyStep: boolean }
  | { do: "window"; seconds: number };

const folder = fs.mkdtempSync(path.join(tmpdir(), "layerwise-bench-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
const executor = await loadExecutor(
  Device.options.find((name) => name === process.env["LAYERWISE_BENCH_DEVICE"]) ?? "native",
);
let training: (Awaited<ReturnType<typeof open>> & { ended: Promise<never> }) | undefined;

/** The loss that was read last. */
let seen = NaN;
function look({ metrics }: TrainContext): void {
  seen = metrics["loss"]!;
}

/** A training of a workload. */
async function open(
  name: string,
  { steps = -1, everyStep = false }: { steps?: number; everyStep?: boolean },
) {
  const opened = await openTraining(
    {
      ...WORKLOADS[name]!.options,
      maxSteps: steps,
      ...(everyStep ? { callbacks: { onStepEnd: look } } : {}),
    },
    { name, folder },
  );
  return { ...opened, everyStep };
}

/** Lets the training run for so long. */
async function goOn(seconds: number): Promise<{ steps: number; seconds: number }> {
  const { trainer, control, ended } = training!;
  const from = trainer.state.step;
  const start = performance.now();
  const pause = new Promise<void>((resolve) => {
    control.onPause = (on) => {
      if (on) resolve();
    };
  });
  setTimeout(() => control.pause(), seconds * 1000);
  control.resume();
  await Promise.race([pause, ended]);
  return { steps: trainer.state.step - from, seconds: (performance.now() - start) / 1000 };
}

async function answer(command: Command): Promise<object> {
  switch (command.do) {
    case "version":
      return { version: executor.info.version };
    case "peak":
      return { peakMb: process.resourceUsage().maxRSS / 1024 };
    case "steps": {
      const before = executor.counters();
      const { losses, reporter, done } = await open(command.name, { steps: command.count });
      await done();
      reporter.flush();
      const after = executor.counters();
      const ran = (name: string): number => after[name]! - before[name]!;
      return { losses, whole: ran("small") + ran("compiledRuns") };
    }
    case "start": {
      training?.control.stop("request");
      const start = performance.now();
      const opened = await open(command.name, command);
      const { control, trainer, done } = opened;
      const pause = new Promise<void>((resolve) => {
        control.onPause = (on) => {
          if (on) resolve();
        };
      });
      control.pause();
      // No step waits for the pause of a finished training.
      const ended = done().then((): never => {
        throw new Error("the training has ended");
      });
      ended.catch(() => undefined);
      training = { ...opened, ended };
      await Promise.race([pause, ended]);
      return { startMs: performance.now() - start, steps: trainer.state.step };
    }
    case "window": {
      const { steps, seconds } = await goOn(command.seconds);
      if (training!.everyStep && !Number.isFinite(seen)) throw new Error("no loss was read");
      return { stepsPerSecond: steps / seconds };
    }
  }
}

for await (const line of createInterface(process.stdin)) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line) as Command))}\n`);
}
process.exit();
