// Files and trainings from Layerwise to PyTorch and back: see scripts/interop.mjs.
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { EventFile } from "../../extension/engine/reporting/eventFile.ts";
import "../../extension/engine/host/library.ts";
import { loadExecutor } from "../../extension/executors/index.ts";
import { readPth, writePth } from "../../extension/formats/pth/pth.ts";
import { F, nn, optim, torch, type Tensor } from "../../extension/nn/index.ts";
import type { Optimizer, OptimizerStateDict } from "../../extension/nn/optim/optimizer.ts";
import type { StateDict } from "../../extension/nn/module/stateDict.ts";
import { writeFilesItem, type FilesExpectation, type FilesSpec } from "../parity/kinds/files.ts";
import {
  check,
  counts,
  difference,
  digestsOfFile,
  fixtures,
  folder,
  inFolder,
  json,
  python,
  writeJson,
  type Digests,
} from "./checks.ts";
import { folders, hubCaches, onnx } from "./models.ts";

/** Every valid golden file, and one with everything in it, written by us. */
async function ourFiles(): Promise<void> {
  const out = inFolder("ours");
  const files = path.join(fixtures, "golden", "files");
  const golden: { file: string; case: string; id: string }[] = [];
  for (const name of readdirSync(files).filter((file) => file.endsWith(".json"))) {
    const { spec, expect } = json(files, name) as {
      spec: { items: FilesSpec[] };
      expect: { items: FilesExpectation[] };
    };
    spec.items.forEach((item, i) => {
      const written = writeFilesItem(item, expect.items[i]!, out);
      if (written !== null) golden.push({ file: path.basename(written), case: name, id: item.id });
    });
  }
  writeJson(golden, out, "golden.json");
  for (const name of ["everything", "legacy"])
    writePth(path.join(out, `${name}.pth`), readPth(path.join(fixtures, "formats", `${name}.pth`)));
  await python("digest", out);
  for (const [name, wanted] of Object.entries(json(out, "digests.json") as Record<string, Digests | string>))
    check(`PyTorch reads our ${name}`, difference(digestsOfFile(path.join(out, name)), wanted));
  await python("golden", out);
  const problems = json(out, "problems.json") as Record<string, string[]>;
  for (const { file } of golden)
    check(
      `check_self.py --written ${file}`,
      problems[file]!.length === 0 ? undefined : problems[file]!.join("; "),
    );
}

async function theirFiles(): Promise<void> {
  const out = inFolder("theirs");
  await python("write", out);
  for (const [name, wanted] of Object.entries(json(out, "digests.json") as Record<string, Digests>))
    check(`we read PyTorch's ${name}`, difference(digestsOfFile(path.join(out, name)), wanted));
}

interface Case {
  name: string;
  optimizer: string;
  options: Record<string, unknown>;
  scheduler: string;
  schedulerOptions: Record<string, unknown>;
}

const STEPS = 5;
const TOLERANCE = 1e-5;
const PLAIN: [optimizer: string, options: Record<string, unknown>][] = [
  ["SGD", { lr: 0.1 }],
  ["SGD", { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01 }],
  ["Adam", { lr: 0.01 }],
  ["Adam", { lr: 0.01, amsgrad: true, betas: [0.8, 0.99] }],
  ["AdamW", { lr: 0.01, weight_decay: 0.1 }],
  ["NAdam", { lr: 0.01 }],
  ["RAdam", { lr: 0.01 }],
  ["Adamax", { lr: 0.01 }],
  ["Adagrad", { lr: 0.1, lr_decay: 0.01 }],
  ["Adadelta", { lr: 1 }],
  ["RMSprop", { lr: 0.01, momentum: 0.5, centered: true }],
  ["Rprop", { lr: 0.01 }],
  ["ASGD", { lr: 0.1 }],
];
const SCHEDULERS: [scheduler: string, options: Record<string, unknown>][] = [
  ["StepLR", { step_size: 2, gamma: 0.5 }],
  ["CosineAnnealingLR", { T_max: 20 }],
  ["OneCycleLR", { max_lr: 0.1, total_steps: 20, cycle_momentum: false }],
  ["ExponentialLR", { gamma: 0.9 }],
];
const CASES: Case[] = PLAIN.map(([optimizer, options], i) => {
  const [scheduler, schedulerOptions] = SCHEDULERS[i % SCHEDULERS.length]!;
  return { name: `${i}-${optimizer}`, optimizer, options, scheduler, schedulerOptions };
});

interface Scheduler {
  step(): void;
  stateDict(): Record<string, unknown>;
  loadStateDict(state: Record<string, unknown>): void;
}

interface Parts {
  model: InstanceType<typeof nn.Sequential>;
  optimizer: Optimizer;
  scheduler: Scheduler;
}

type Make<T> = Record<string, new (first: unknown, ...rest: unknown[]) => T>;

const camel = (options: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(options).map(([name, value]) => [
      name.replaceAll(/_(\w)/g, (_, c: string) => c.toUpperCase()),
      value,
    ]),
  );

function build({ optimizer, options, scheduler, schedulerOptions }: Case): Parts {
  const model = new nn.Sequential(new nn.Linear(6, 8), new nn.Tanh(), new nn.Linear(8, 3));
  const made = new (optim as unknown as Make<Optimizer>)[optimizer]!(model.parameters(), camel(options));
  const schedulers = optim.lrScheduler as unknown as Make<Scheduler>;
  // The first option is positional, except OneCycleLR's second.
  const { T_max, step_size, max_lr, gamma, ...rest } = schedulerOptions;
  const first = T_max ?? step_size ?? max_lr ?? gamma;
  const others = step_size === undefined ? rest : { ...rest, gamma };
  return { model, optimizer: made, scheduler: new schedulers[scheduler]!(made, first, camel(others)) };
}

function steps({ model, optimizer, scheduler }: Parts, x: Tensor, y: Tensor, count: number): number[] {
  return Array.from({ length: count }, () => {
    optimizer.zeroGrad();
    const loss = F.crossEntropy(model.forward(x), y);
    loss.backward();
    optimizer.step();
    scheduler.step();
    return loss.item();
  });
}

async function trainings(): Promise<void> {
  const out = inFolder("trainings");
  torch.manualSeed(3);
  const [x, y] = [torch.randn(16, 6), torch.randint(0, 3, [16])];
  torch.save({ x, y }, path.join(out, "data.pth"));
  const ours = CASES.map((one) => {
    const parts = build(one);
    steps(parts, x, y, STEPS);
    const states = Object.entries(parts).map(([name, part]: [string, Scheduler]) => [name, part.stateDict()]);
    torch.save(Object.fromEntries(states), path.join(out, `${one.name}.pth`));
    return steps(parts, x, y, STEPS);
  });
  writeFileSync(path.join(out, "plan.json"), JSON.stringify({ cases: CASES, steps: STEPS }));
  await python("train", out);
  const theirs = json(out, "losses.json") as Record<string, { continued: number[]; own: number[] }>;
  CASES.forEach((one, i) => {
    const { continued, own } = theirs[one.name]!;
    check(`PyTorch continues our ${one.name}`, farthest(continued, ours[i]!));
    const parts = build(one);
    const saved = torch.load<{
      model: StateDict;
      optimizer: OptimizerStateDict;
      scheduler: Record<string, unknown>;
    }>(path.join(out, `${one.name}.torch.pth`));
    parts.model.loadStateDict(saved.model);
    parts.optimizer.loadStateDict(saved.optimizer);
    parts.scheduler.loadStateDict(saved.scheduler);
    check(`we continue PyTorch's ${one.name}`, farthest(steps(parts, x, y, STEPS), own));
  });
}

function farthest(got: readonly number[], wanted: readonly number[]): string | undefined {
  const worst = Math.max(...wanted.map((loss, i) => Math.abs(loss - got[i]!)));
  return worst <= TOLERANCE ? undefined : `losses ${got.join(", ")} instead of ${wanted.join(", ")}`;
}

/** A run's curves, as TensorBoard's own reader sees them. */
async function eventFiles(): Promise<void> {
  const out = inFolder("events");
  const losses = [1.5, 0.75, 0.25];
  const file = new EventFile(out, { began: 1000 });
  const row = { kind: "epoch", epoch: 1, time: 0 } as const;
  file.append(losses.map((loss, step) => ({ ...row, step, values: { loss } })));
  file.flush();
  file.close();
  await python("events", out);
  const { scalars } = json(out, "read.json") as { scalars: Record<string, [step: number, value: number][]> };
  const wanted = { "epoch/loss": losses.map((loss, step) => [step, loss]) };
  const same = JSON.stringify(scalars) === JSON.stringify(wanted);
  check("TensorBoard reads our event file", same ? undefined : JSON.stringify(scalars));
}

try {
  await loadExecutor("auto");
  for (const step of [ourFiles, theirFiles, trainings, eventFiles, folders, hubCaches, onnx]) await step();
} finally {
  rmSync(folder, { recursive: true });
}
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, 0 skipped\n`);
process.exitCode = counts.failed > 0 ? 1 : 0;
