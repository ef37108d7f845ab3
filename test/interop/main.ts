// Files and trainings from Layerwise to PyTorch and back: see scripts/interop.mjs.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { EventFile } from "../../extension/engine/eventFile.ts";
import "../../extension/engine/library.ts";
import { loadExecutor } from "../../extension/executors/index.ts";
import { PthTensor, readPth, writePth, type PthValue } from "../../extension/formats/pth.ts";
import { TORCH_DTYPES } from "../../extension/formats/pthObjects.ts";
import { loadSafetensors } from "../../extension/formats/safetensors.ts";
import type { TensorEntry } from "../../extension/formats/tensorData.ts";
import { F, nn, optim, torch, type Tensor } from "../../extension/nn/index.ts";
import type { Optimizer, OptimizerStateDict } from "../../extension/nn/optim/optimizer.ts";
import type { StateDict } from "../../extension/nn/stateDict.ts";
import { writeFilesItem, type FilesExpectation, type FilesSpec } from "../parity/kinds/files.ts";

const [python = "python3", here = ".", fixtures = "."] = process.argv.slice(2);
const folder = mkdtempSync(path.join(tmpdir(), "layerwise-interop-"));
let passed = 0;
let failed = 0;

function check(name: string, problem: string | undefined): void {
  if (problem === undefined) passed++;
  else failed++;
  process.stdout.write(
    `${problem === undefined ? "ok  " : "FAIL"} ${name}${problem === undefined ? "" : `: ${problem}`}\n`,
  );
}

function inFolder(name: string): string {
  const made = path.join(folder, name);
  mkdirSync(made, { recursive: true });
  return made;
}

function pytorch(command: string, where: string): void {
  execFileSync(python, [path.join(here, "torch_side.py"), command, where], { stdio: "inherit" });
}

const json = (...names: string[]): unknown => JSON.parse(readFileSync(path.join(...names), "utf8"));

/** What each tensor is, and its SHA-256. */
type Digests = Record<string, [dtype: string, shape: number[], sha256: string]>;

const TORCH_NAMES = new Map(Object.entries(TORCH_DTYPES).map(([name, dtype]) => [dtype, name]));

function digestOf({ dtype, shape, data }: TensorEntry): Digests[string] {
  return [TORCH_NAMES.get(dtype) ?? dtype, [...shape], createHash("sha256").update(data).digest("hex")];
}

function digests(value: PthValue, at = ""): Digests {
  if (value instanceof PthTensor) return { [at]: digestOf(value.entry(at)) };
  const items: [unknown, PthValue][] =
    value instanceof Map ? [...value] : Array.isArray(value) ? [...(value as PthValue[]).entries()] : [];
  return Object.assign({}, ...items.map(([key, one]) => digests(one, `${at}/${String(key)}`))) as Digests;
}

function digestsOfFile(file: string): Digests {
  if (!file.endsWith(".safetensors")) return digests(readPth(file));
  return Object.fromEntries(
    loadSafetensors(file).entries.map((entry) => [`/${entry.name}`, digestOf(entry)]),
  );
}

function difference(got: Digests, wanted: Digests | string): string | undefined {
  if (typeof wanted === "string") return wanted;
  const names = new Set([...Object.keys(got), ...Object.keys(wanted)]);
  for (const name of names)
    if (JSON.stringify(got[name]) !== JSON.stringify(wanted[name]))
      return `${name}: Layerwise has ${JSON.stringify(got[name])}, PyTorch ${JSON.stringify(wanted[name])}`;
  return names.size === 0 ? "there are no tensors" : undefined;
}

/** Every valid golden file, and one with everything in it, written by us. */
function ourFiles(): void {
  const out = inFolder("ours");
  const files = path.join(fixtures, "golden", "files");
  for (const name of readdirSync(files).filter((file) => file.endsWith(".json"))) {
    const { spec, expect } = json(files, name) as {
      spec: { items: FilesSpec[] };
      expect: { items: FilesExpectation[] };
    };
    spec.items.forEach((item, i) => writeFilesItem(item, expect.items[i]!, out));
  }
  for (const name of ["everything", "legacy"])
    writePth(path.join(out, `${name}.pth`), readPth(path.join(fixtures, "formats", `${name}.pth`)));
  pytorch("digest", out);
  for (const [name, wanted] of Object.entries(json(out, "digests.json") as Record<string, Digests | string>))
    check(`PyTorch reads our ${name}`, difference(digestsOfFile(path.join(out, name)), wanted));
}

function theirFiles(): void {
  const out = inFolder("theirs");
  pytorch("write", out);
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

function trainings(): void {
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
  pytorch("train", out);
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
function eventFiles(): void {
  const out = inFolder("events");
  const losses = [1.5, 0.75, 0.25];
  const file = new EventFile(out, { began: 1000 });
  const row = { kind: "epoch", epoch: 1, time: 0 } as const;
  file.append(losses.map((loss, step) => ({ ...row, step, values: { loss } })));
  file.flush();
  file.close();
  pytorch("events", out);
  const { scalars } = json(out, "read.json") as { scalars: Record<string, [step: number, value: number][]> };
  const wanted = { "epoch/loss": losses.map((loss, step) => [step, loss]) };
  const same = JSON.stringify(scalars) === JSON.stringify(wanted);
  check("TensorBoard reads our event file", same ? undefined : JSON.stringify(scalars));
}

try {
  await loadExecutor("auto");
  ourFiles();
  theirFiles();
  trainings();
  eventFiles();
} finally {
  rmSync(folder, { recursive: true });
}
process.stdout.write(`${passed} passed, ${failed} failed, 0 skipped\n`);
process.exitCode = failed > 0 ? 1 : 0;
