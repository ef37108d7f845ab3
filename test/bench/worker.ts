// Layerwise's side of the bench: experiments through the trainer, as a run trains them. One JSON command a line in, one
// JSON answer a line out.
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { CheckpointPolicy } from "../../extension/engine/resume/checkpointPolicy.ts";
import { Checkpoints } from "../../extension/engine/resume/checkpoints.ts";
import { LoopControl } from "../../extension/engine/training/control.ts";
import { limitsOf } from "../../extension/engine/training/limits.ts";
import { prepare } from "../../extension/engine/training/prepare.ts";
import { Reporter } from "../../extension/engine/reporting/reporter.ts";
import { RunDirectory } from "../../extension/engine/reporting/runDirectory.ts";
import { Trainer } from "../../extension/engine/training/trainer.ts";
import { Generators } from "../../extension/engine/resume/trainingState.ts";
import { loadExecutor } from "../../extension/executors/index.ts";
import { Experiment, type TrainContext } from "../../extension/nn/experiment/experiment.ts";
import { listGenerators } from "../../extension/tensor/random/stream.ts";
import { startingRecord } from "../../extension/protocol/engine.ts";
import type { MetricRow } from "../../extension/protocol/run.ts";
import { WORKLOADS } from "./workloads/all.ts";

type Command =
  | { do: "version" | "peak" }
  | { do: "steps"; name: string; count: number }
  /** `everyStep`: each step is read as soon as it is recorded. */
  | { do: "start"; name: string; everyStep: boolean }
  | { do: "window"; seconds: number };

const folder = fs.mkdtempSync(path.join(tmpdir(), "layerwise-bench-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
const executor = await loadExecutor(process.env["LAYERWISE_BENCH_DEVICE"] === "wasm" ? "wasm" : "native");
let training: (Awaited<ReturnType<typeof open>> & { ended: Promise<never> }) | undefined;

/** The loss that was read last. */
let seen = NaN;
function look({ metrics }: TrainContext): void {
  seen = metrics["loss"]!;
}

/** A training of a workload, made as the run engine makes it. */
async function open(
  name: string,
  { steps = -1, everyStep = false }: { steps?: number; everyStep?: boolean },
) {
  const { options } = WORKLOADS[name]!;
  const experiment = new Experiment({
    ...options,
    maxSteps: steps,
    ...(everyStep ? { callbacks: { onStepEnd: look } } : {}),
  });
  const generators = listGenerators();
  const prepared = await prepare(experiment, 0);
  generators.end();
  const limits = limitsOf(experiment.options, 1, prepared);
  const losses: number[] = [];
  const reporter = new Reporter((event, ...rest) => {
    if (event === "metrics")
      for (const row of rest[0] as readonly MetricRow[])
        if (row.kind === "step") losses.push(row.values["loss"]!);
  });
  const directory = new RunDirectory(
    path.join(folder, `${name}-${performance.now()}`),
    startingRecord({
      kind: "train",
      file: `${name}.nn.ts`,
      exportName: "default",
      directory: folder,
      device: "native",
      outlive: false,
    }),
    () => {},
  );
  reporter.attach(directory);
  const control = new LoopControl();
  const policy = new CheckpointPolicy(experiment.options, false);
  const checkpoints = new Checkpoints(directory, prepared.model, policy, { onProblem: () => {} });
  const trainer = new Trainer(prepared, limits, {
    reporter,
    control,
    checkpoints,
    resumption: {
      generators: new Generators(generators.made),
      facts: { seed: 0, epochs: 1, model: "", experiment: "", source: "", executor: "", node: "" },
    },
    note: () => {},
  });
  return { trainer, control, reporter, losses, everyStep, done: () => trainer.run() };
}

/** Lets the training under way go on for so long. */
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
      return { losses, compiledRuns: after["compiledRuns"]! - before["compiledRuns"]! };
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
