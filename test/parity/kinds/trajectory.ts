import { data, torch } from "../../../extension/nn/index.ts";
import type { Module } from "../../../extension/nn/module/module.ts";
import type { Optimizer } from "../../../extension/nn/optim/optimizer.ts";
import { valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { noGrad } from "../../../extension/tensor/recording/scope.ts";
import { fromHost, type Tensor } from "../../../extension/tensor/core/tensor.ts";
import {
  compare,
  compareAll,
  compareValues,
  decode,
  EXACT,
  firstOf,
  prefixed,
  Unsupported,
  type Json,
  type JsonDigest,
  type JsonTensor,
} from "../format.ts";
import { build, type ModelSpec } from "../models.ts";
import { callArguments, keywords, lookUp } from "../names.ts";
import { makeOptimizer, makeScheduler, type OptimizerSpec, type SchedulerSpec } from "../optimizers.ts";

type DataOp =
  | { name: string; op: "randn" | "rand"; size: number[] }
  | { name: string; op: "randint"; size: number[]; low: number; high: number }
  | { name: string; op: "expr"; python: string };

type State = Record<string, JsonTensor | JsonDigest>;

export interface TrajectorySpec {
  id: string;
  task: "supervised" | "gan";
  seed: number;
  models: [name: string, model: ModelSpec][];
  data: { seed: number; ops: DataOp[]; tensors: Record<string, JsonTensor> };
  loss: ModelSpec;
  optimizers: [model: string, optimizer: OptimizerSpec][];
  scheduler?: SchedulerSpec;
  epochs: number;
  log_every: number;
  loader?: { batch_size: number; shuffle: boolean; drop_last?: boolean };
  accumulate?: number;
  clip?: { fn: string; kwargs: Record<string, Json> };
  extra_inputs?: string[];
  initial_state?: Record<string, JsonTensor>;
  metric?: "accuracy" | "loss" | "gan";
  snapshots?: number[];
  /** Width of a GAN's noise. */
  z?: number;
  ignore?: { key: string; start: number; end: number }[];
}

export interface TrajectoryExpectation {
  id: string;
  log: string[];
  losses: number[] | number[][];
  initial: State;
  final: State;
  state_at?: Record<string, State>;
  lr?: number[];
  eval_outputs?: JsonTensor;
  accuracy?: number;
  eval_loss?: number;
}

export interface TrajectoryTolerance {
  loss_abs: number;
  weights_abs: number;
  eval_abs: number;
}

const DRAWN = { abs: 1e-6, rel: 1e-6 };

type Models = ReadonlyMap<string, Module>;
type Call = (...input: readonly Tensor[]) => Tensor;

/** Results of a training run. */
interface Run {
  readonly log: string[];
  readonly losses: (number | number[])[];
  readonly lr: number[];
  readonly stateAt: Map<number, ReadonlyMap<string, Tensor>>;
}

/** A whole training run of an ordinary program: its printed lines, losses, weights and evaluation. */
export function runTrajectoryItem(
  spec: TrajectorySpec,
  expected: TrajectoryExpectation,
  tolerance: TrajectoryTolerance,
): string | null {
  const { tensors, difference } = makeData(spec.data);
  torch.manualSeed(spec.seed);
  const models: Models = new Map(spec.models.map(([name, model]) => [name, build(model)]));
  if (spec.initial_state !== undefined) {
    const state = Object.entries(spec.initial_state).map(([name, t]): [string, Tensor] => [name, decode(t)]);
    models.get("model")!.loadStateDict(new Map(state));
    torch.manualSeed(spec.seed);
  }
  const initial = compareAll(stateOf(models), expected.initial, DRAWN, "initial ");
  for (const model of models.values()) model.train();
  const optimizers = new Map(
    spec.optimizers.map(([name, o]) => [name, makeOptimizer(models.get(name)!.parameters(), o)]),
  );
  const criterion = build(spec.loss) as unknown as Call;
  const run: Run = { log: [], losses: [], lr: [], stateAt: new Map() };
  if (spec.task === "gan") trainGan(spec, models, optimizers, criterion, tensors, run);
  else trainModel(spec, models.get("model")!, optimizers.get("model")!, criterion, tensors, run);
  const weights = { abs: tolerance.weights_abs, rel: 0 };
  return firstOf([
    difference,
    initial,
    run.log.join("\n") === expected.log.join("\n") ? null : `log: ${differing(run.log, expected.log)}`,
    prefixed(
      "losses",
      compareValues(run.losses.flat(), expected.losses.flat(), { abs: tolerance.loss_abs, rel: 0 }),
    ),
    expected.lr === undefined
      ? null
      : prefixed("lr", compareValues(run.lr, expected.lr, { abs: 1e-12, rel: 1e-9 })),
    ...Object.entries(expected.state_at ?? {}).map(([epoch, state]) =>
      compareAll(run.stateAt.get(Number(epoch))!, state, weights, `epoch ${epoch} `),
    ),
    compareAll(
      withIgnored(stateOf(models), expected.final, spec.ignore ?? []),
      expected.final,
      weights,
      "final ",
    ),
    ...evaluate(spec, models, criterion, tensors, expected, tolerance),
  ]);
}

/** The tensors of the program's data part; drawn ones are compared with the recorded ones. */
function makeData(spec: TrajectorySpec["data"]): { tensors: Map<string, Tensor>; difference: string | null } {
  torch.manualSeed(spec.seed);
  const tensors = new Map<string, Tensor>();
  const differences: (string | null)[] = [];
  for (const op of spec.ops) {
    // The recorded tensor is the name's last value.
    const final = spec.ops.findLast(({ name }) => name === op.name) === op;
    const given = final ? spec.tensors[op.name] : undefined;
    if (op.op !== "expr") {
      const drawn = draw(op);
      if (given !== undefined)
        differences.push(
          prefixed(`data ${op.name}`, compare(drawn, given, op.op === "randn" ? DRAWN : EXACT)),
        );
      tensors.set(op.name, given === undefined ? drawn : decode(given));
      continue;
    }
    const value = given === undefined ? tensors.get(op.python) : decode(given);
    if (value === undefined) throw new Unsupported(`the expression ${op.python}`);
    tensors.set(op.name, value);
  }
  return { tensors, difference: firstOf(differences) };
}

function draw(op: Exclude<DataOp, { op: "expr" }>): Tensor {
  if (op.op === "randint") return torch.randint(op.low, op.high, op.size);
  return op.op === "randn" ? torch.randn(op.size) : torch.rand(op.size);
}

/** All weights by name, as they are now. */
function stateOf(models: Models): Map<string, Tensor> {
  const single = models.size === 1;
  return new Map(
    [...models].flatMap(([name, model]) =>
      [...model.stateDict(single ? "" : `${name}.`)].map(([key, t]): [string, Tensor] => [
        key,
        fromHost(valuesOf(t.value).slice(), t.shape, t.dtype),
      ]),
    ),
  );
}

/** The state, with ignored slices replaced by the expected ones. */
function withIgnored(
  state: Map<string, Tensor>,
  expected: State,
  ignore: NonNullable<TrajectorySpec["ignore"]>,
): Map<string, Tensor> {
  for (const { key, start, end } of ignore) {
    const t = state.get(key)!;
    const wanted = valuesOf(decode(expected[key] as JsonTensor).value);
    const own = valuesOf(t.value).slice();
    own.set(wanted.subarray(start, end), start);
    state.set(key, fromHost(own, t.shape, t.dtype));
  }
  return state;
}

function trainModel(
  spec: TrajectorySpec,
  model: Module,
  optimizer: Optimizer,
  criterion: Call,
  tensors: ReadonlyMap<string, Tensor>,
  run: Run,
): void {
  const forward = model as unknown as Call;
  const [x, y] = [tensors.get("X")!, tensors.get("y")!];
  const extra = (spec.extra_inputs ?? []).map((name) => tensors.get(name)!);
  const scheduler = spec.scheduler === undefined ? undefined : makeScheduler(optimizer, spec.scheduler);
  const { loader: batches, accumulate = 1 } = spec;
  const loader =
    batches &&
    new data.DataLoader(new data.TensorDataset(x, y), {
      batchSize: batches.batch_size,
      shuffle: batches.shuffle,
      dropLast: batches.drop_last ?? false,
    });
  const step = (): void => {
    clip(spec.clip, model);
    optimizer.step();
  };
  for (let epoch = 1; epoch <= spec.epochs; epoch++) {
    let last = 0;
    if (loader !== undefined) {
      optimizer.zeroGrad();
      let i = 0;
      for (const [xb, yb] of loader) {
        const loss = criterion(forward(xb, ...extra), yb);
        (accumulate > 1 ? loss.div(accumulate) : loss).backward();
        if (++i % accumulate === 0) {
          step();
          optimizer.zeroGrad();
        }
        run.losses.push((last = loss.item()));
      }
    } else {
      const loss = criterion(forward(x, ...extra), y);
      optimizer.zeroGrad();
      loss.backward();
      step();
      run.losses.push((last = loss.item()));
    }
    if (scheduler !== undefined) {
      if (spec.scheduler!.type === "ReduceLROnPlateau") scheduler.step(last);
      else scheduler.step();
      run.lr.push(optimizer.paramGroups[0]!.lr);
    }
    if (epoch % spec.log_every === 0)
      run.log.push(`Epoch [${epoch}/${spec.epochs}], Loss: ${last.toFixed(4)}`);
    if (spec.snapshots?.includes(epoch)) run.stateAt.set(epoch, stateOf(new Map([["model", model]])));
  }
}

function clip(spec: TrajectorySpec["clip"], model: Module): void {
  if (spec === undefined) return;
  lookUp("nn.utils", spec.fn)(...callArguments([model.parameters()], keywords(spec.kwargs)));
}

function trainGan(
  spec: TrajectorySpec,
  models: Models,
  optimizers: ReadonlyMap<string, Optimizer>,
  criterion: Call,
  tensors: ReadonlyMap<string, Tensor>,
  run: Run,
): void {
  const [generator, discriminator] = ["generator", "discriminator"].map(
    (n) => models.get(n) as unknown as Call,
  ) as [Call, Call];
  const [forG, forD] = [optimizers.get("generator")!, optimizers.get("discriminator")!];
  const real = tensors.get("X")!;
  const batch = real.size(0);
  const [ones, zeros] = [torch.ones(batch, 1), torch.zeros(batch, 1)];
  for (let epoch = 1; epoch <= spec.epochs; epoch++) {
    const fake = generator(torch.randn(batch, spec.z!));
    forD.zeroGrad();
    const dLoss = criterion(discriminator(real), ones).add(criterion(discriminator(fake.detach()), zeros));
    dLoss.backward();
    forD.step();
    forG.zeroGrad();
    const gLoss = criterion(discriminator(fake), ones);
    gLoss.backward();
    forG.step();
    const [d, g] = [dLoss.item(), gLoss.item()];
    run.losses.push([d, g]);
    if (epoch % spec.log_every === 0) {
      run.log.push(`Epoch [${epoch}/${spec.epochs}], d_loss: ${d.toFixed(4)}, g_loss: ${g.toFixed(4)}`);
    }
    if (spec.snapshots?.includes(epoch)) run.stateAt.set(epoch, stateOf(models));
  }
}

function evaluate(
  spec: TrajectorySpec,
  models: Models,
  criterion: Call,
  tensors: ReadonlyMap<string, Tensor>,
  expected: TrajectoryExpectation,
  tolerance: TrajectoryTolerance,
): (string | null)[] {
  for (const model of models.values()) model.eval();
  const extra = (spec.extra_inputs ?? []).map((name) => tensors.get(name)!);
  const name = spec.metric === "gan" ? "discriminator" : "model";
  const forward = models.get(name) as unknown as Call;
  const output = noGrad(() => forward(tensors.get("X")!, ...(spec.metric === "gan" ? [] : extra)));
  const outputs = expected.eval_outputs;
  return [
    outputs === undefined
      ? null
      : prefixed("eval_outputs", compare(output, outputs, { abs: tolerance.eval_abs, rel: 0 })),
    expected.accuracy === undefined
      ? null
      : prefixed(
          "accuracy",
          compareValues([Math.fround(data.accuracy(output, tensors.get("y")!))], [expected.accuracy], {
            abs: 1e-12,
            rel: 0,
          }),
        ),
    expected.eval_loss === undefined
      ? null
      : prefixed(
          "eval_loss",
          compareValues([noGrad(() => criterion(output, tensors.get("y")!)).item()], [expected.eval_loss], {
            abs: tolerance.loss_abs,
            rel: 0,
          }),
        ),
  ];
}

function differing(got: readonly string[], expected: readonly string[]): string {
  const at = expected.findIndex((line, i) => line !== got[i]);
  return `line ${at + 1} is ${JSON.stringify(got[at])} instead of ${JSON.stringify(expected[at])}`;
}
