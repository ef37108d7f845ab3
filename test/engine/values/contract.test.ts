// The contract of every exported class and function, enumerated from the exports: cases made with PyTorch, an example
// that runs, a state that can be saved and loaded, and memory that is flat, compiled and op by op.
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadExecutor, type LoadedExecutor } from "../../../extension/executors/index.ts";
import { F, nn, optim, torch } from "../../../extension/nn/index.ts";
import { setWarningSink } from "../../../extension/nn/warnings.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { noGrad } from "../../../extension/tensor/recording/scope.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { EXAMPLES, runExample } from "../../contract/examples.ts";
import { CALLED, INITIALISERS, OPTIMIZERS, SCHEDULES } from "../../contract/fixtures.ts";
import { isKnown, run, subject, trainingStep, withCaseState } from "../../contract/modules.ts";
import { makeScheduler, type Scheduler, type SchedulerSpec } from "../../parity/optimizers.ts";
import { useFolder } from "../../folders.ts";
import { useTensorFiles } from "../../tensorFiles.ts";

const native = nativeStatus().state === "installed";
const folder = useFolder("all");

/** Functions of torch that no call with fixed results can test, and the place of their tests. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  ...from(
    "test/parity/kinds/rng.ts",
    "manualSeed initialSeed getRngState setRngState rand randn normal bernoulli",
  ),
  ...from("test/unit/random/generator.test.ts", "seed"),
  ...from(
    "test/unit/torch.test.ts",
    "randLike randnLike randintLike empty emptyLike asTensor isTensor resultType floatPower viewAs reshapeAs",
  ),
  ...from("test/unit/torch.test.ts", "noGrad enableGrad inferenceMode isGradEnabled setGradEnabled"),
  ...from("test/unit/nn/optim/amp.test.ts", "autocast"),
  ...from("test/unit/tutorialLines.test.ts", "compile"),
  ...from(
    "test/unit/platform.test.ts",
    "device getDefaultDevice setDefaultDevice isFloatingPoint numel getDefaultDtype setDefaultDtype finfo iinfo",
  ),
  ...from(
    "test/unit/determinism.test.ts",
    "useDeterministicAlgorithms areDeterministicAlgorithmsEnabled isDeterministicAlgorithmsWarnOnlyEnabled getDeterministicDebugMode setDeterministicDebugMode",
  ),
  ...from("test/unit/inPlaceViews.test.ts", "svd"),
  ...from("test/engine/linalg/lowRank.test.ts", "svdLowrank"),
  ...from("test/engine/values/complex.test.ts", "conjPhysical resolveConj"),
  ...from("test/unit/stridedViews.test.ts", "broadcastShapes"),
  ...from(
    "test/unit/torch.test.ts",
    "promoteTypes canCast isNonzero setFloat32MatmulPrecision getFloat32MatmulPrecision setNumThreads getNumThreads",
  ),
  ...from("test/engine/gradients/transforms.test.ts", "vmap"),
  ...from("test/engine/values/sparse.test.ts", "sparseCooTensor spmm"),
  ...from("test/unit/print.test.ts", "getPrintOptions setPrintOptions"),
  ...from("test/unit/formats", "save load"),
};

function from(file: string, names: string): Record<string, string> {
  return Object.fromEntries(names.split(" ").map((name) => [name, file]));
}

type Class = new (...args: never[]) => unknown;

/** Names of the exported subclasses of `base`, without `base` itself. */
function classes(exports: object, base: abstract new (...args: never[]) => unknown): string[] {
  return Object.entries(exports)
    .filter(([, value]) => typeof value === "function" && (value as Class).prototype instanceof base)
    .map(([name]) => name);
}

const functions = (exports: object): string[] =>
  Object.entries(exports)
    .filter(([name, value]) => typeof value === "function" && /^[a-z]/.test(name))
    .map(([name]) => name);

const MODULES = classes(nn, nn.Module);
const OPTIMIZER_NAMES = classes(optim, optim.Optimizer);
const SCHEDULE_NAMES = classes(optim.lrScheduler, optim.lrScheduler.LRScheduler);

useTensorFiles();
let warnings: ReturnType<typeof setWarningSink>;
beforeAll(async () => {
  warnings = setWarningSink(() => {});
  await loadExecutor("cpu");
});
afterAll(() => {
  setWarningSink(warnings);
  setExecutor(undefined);
});

describe("cases made with PyTorch", () => {
  const missing = (names: readonly string[], known: (name: string) => boolean): string[] =>
    names.filter((name) => !known(name));

  it("every module and loss has one with values and gradients", () => {
    expect(missing(MODULES, isKnown), "add a case to a script of test/fixtures/modules").toEqual([]);
  });

  it("every optimizer and schedule has one", () => {
    expect(missing(OPTIMIZER_NAMES, (name) => OPTIMIZERS.has(name))).toEqual([]);
    expect(missing(SCHEDULE_NAMES, (name) => SCHEDULES.has(name))).toEqual([]);
  });

  it("every function of F is called by one, itself or by a module", () => {
    const modules = new Set(MODULES.map((name) => name.toLowerCase()));
    expect(missing(functions(F), (name) => CALLED.has(name) || modules.has(name.toLowerCase()))).toEqual([]);
  });

  it("every function of torch is called by one, or has a test of another kind", () => {
    const all = torch as unknown as Readonly<Record<string, unknown>>;
    // A function has several names, of which a case uses one.
    const called = new Set([...CALLED].map((name) => all[name]));
    const modules = new Set(MODULES.map((name) => name.toLowerCase()));
    const known = (name: string): boolean => called.has(all[name]) || name in ELSEWHERE;
    // In-place forms are compared by test/engine/gradients/saved.test.ts; some functions are those of F, which modules call.
    const isForm = (name: string): boolean =>
      (name.endsWith("_") && known(name.slice(0, -1))) || (name in F && modules.has(name.toLowerCase()));
    expect(
      missing(functions(torch), (name) => known(name) || isForm(name)),
      "add a case to a script of test/fixtures/cases, or name another test in ELSEWHERE above",
    ).toEqual([]);
    expect(Object.keys(ELSEWHERE).filter((name) => !(name in torch))).toEqual([]);
  });

  it("every initialiser has one", () => {
    const helpers = new Set(["calculateGain", "fans"]);
    // Old names without an underscore are those of the same functions: test/unit/nn/modules/oldNames.test.ts.
    expect(
      missing(
        functions(nn.init),
        (name) => helpers.has(name) || INITIALISERS.has(name) || INITIALISERS.has(`${name}_`),
      ),
    ).toEqual([]);
  });
});

describe("examples", () => {
  const names = [...MODULES, ...OPTIMIZER_NAMES, ...SCHEDULE_NAMES];

  it("every class has one in its docstring", () => {
    expect(names.filter((name) => !EXAMPLES.has(name))).toEqual([]);
  });

  it.each(names.filter((name) => EXAMPLES.has(name)))("%s", (name) => {
    runExample(EXAMPLES.get(name)!, (line, got) => expect.fail(`${line}\nis ${got}`));
  });
});

describe("a state dict", () => {
  it.each(MODULES.filter(isKnown))("%s: saved and loaded, it gives the same outputs", (name) => {
    const first = subject(name, 1);
    withCaseState(name, first.model).eval();
    const file = path.join(folder, `${name}.pth`);
    torch.save(first.model.stateDict(), file);
    const second = subject(name, 2);
    second.model.eval().loadStateDict(torch.load(file));
    const values = (model: nn.Module): unknown =>
      noGrad(() => {
        torch.manualSeed(3);
        return run({ model, args: first.args }).map((t) => [t.shape, t.dtype, [...t.toTypedArray()]]);
      });
    expect(values(second.model)).toEqual(values(first.model));
    expect([...second.model.stateDict().keys()]).toEqual([...first.model.stateDict().keys()]);
  });
});

const WARM = 8;
const STEPS = 60;
/** Op by op each step is as long as the first: what leaks shows in a few. */
const STEPS_OP_BY_OP = 40;

/** Modules that read values while they run, so that part of a step is interpreted: what they draw depends on them. */
const READS_VALUES = new Set(["RReLU"]);

function flat(executor: LoadedExecutor, name: string, steps = STEPS): Record<string, number> {
  const one = subject(name, 1);
  withCaseState(name, one.model).train();
  const step = trainingStep(one);
  for (let i = 0; i < WARM; i++) step();
  const before = executor.counters();
  for (let i = 0; i < steps; i++) step();
  const after = executor.counters();
  return Object.fromEntries(Object.keys(after).map((key) => [key, after[key]! - (before[key] ?? 0)]));
}

describe.skipIf(!native)(`${STEPS} training steps, compiled`, () => {
  let executor!: LoadedExecutor;
  beforeAll(async () => {
    executor = await loadExecutor("native");
    changePolicy({ smallPlans: false });
  });
  afterAll(() => changePolicy({ smallPlans: true }));

  it.each(MODULES.filter(isKnown))("%s", (name) => {
    const delta = flat(executor, name);
    expect(delta["tensors"]).toBe(0);
    if (READS_VALUES.has(name)) return;
    expect(delta).toMatchObject({ compiled: 0, recompiled: 0, interpreted: 0, compiledRuns: STEPS });
  });
});

describe.skipIf(!native)(`${STEPS} training steps, by kernels of the binding where they can`, () => {
  let executor!: LoadedExecutor;
  beforeAll(async () => {
    executor = await loadExecutor("native");
  });

  it.each(MODULES.filter(isKnown))("%s", (name) => {
    const delta = flat(executor, name);
    expect(delta["tensors"]).toBe(0);
    if (READS_VALUES.has(name)) return;
    expect(delta).toMatchObject({ compiled: 0, recompiled: 0, interpreted: 0 });
    expect(delta["small"]! + delta["compiledRuns"]!).toBe(STEPS);
  });
});

describe.skipIf(!native)(`${STEPS} training steps, without TensorFlow`, () => {
  let executor!: LoadedExecutor;
  beforeAll(async () => {
    executor = await loadExecutor("kernels");
  });

  it.each(MODULES.filter(isKnown))("%s", (name) => {
    const delta = flat(executor, name);
    expect(delta).toMatchObject({ tensors: 0, interpreted: 0 });
    if (!READS_VALUES.has(name)) expect(delta["small"]).toBe(STEPS);
  });
});

describe.each([
  ["on wasm", "wasm", true],
  ["by kernels of the binding", "kernels", false],
] as const)(`${STEPS_OP_BY_OP} training steps, op by op, %s`, (_, device, smallPlans) => {
  let executor!: LoadedExecutor;
  beforeAll(async () => {
    if (device !== "wasm" && !native) return;
    executor = await loadExecutor(device);
    changePolicy({ smallPlans });
  });
  afterAll(() => changePolicy({ smallPlans: true }));

  it.skipIf(device !== "wasm" && !native).each(MODULES.filter(isKnown))("%s", (name) => {
    expect(flat(executor, name, STEPS_OP_BY_OP)).toMatchObject({ tensors: 0 });
  });
});

/** A schedule long enough for all steps. */
function long(spec: SchedulerSpec): SchedulerSpec {
  const { table, schedulers, kwargs } = spec;
  return {
    ...spec,
    ...(table && { table: Array.from({ length: 400 }, (_, i) => table[i % table.length]!) }),
    ...(schedulers && { schedulers: schedulers.map(long) }),
    ...(kwargs && "total_steps" in kwargs && { kwargs: { ...kwargs, total_steps: 400 } }),
  };
}

describe("schedules", () => {
  const made = (name: string): { optimizer: optim.Optimizer; scheduler: Scheduler } => {
    const optimizer = new optim.SGD([new nn.Parameter(torch.zeros(1))], 0.1, { momentum: 0.9 });
    return { optimizer, scheduler: makeScheduler(optimizer, long(SCHEDULES.get(name)!)) };
  };
  const rates = ({ optimizer, scheduler }: ReturnType<typeof made>, steps: number): number[] =>
    Array.from({ length: steps }, (_, i) => {
      optimizer.step();
      scheduler.step(1 + (i % 7));
      return optimizer.paramGroups[0]!.lr;
    });

  it.each(SCHEDULE_NAMES.filter((name) => SCHEDULES.has(name)))("%s continues from a saved state", (name) => {
    const first = made(name);
    rates(first, 9);
    const second = made(name);
    const saved = (one: typeof first): optim.lrScheduler.LRScheduler =>
      one.scheduler as unknown as optim.lrScheduler.LRScheduler;
    second.optimizer.loadStateDict(first.optimizer.stateDict());
    saved(second).loadStateDict(saved(first).stateDict());
    expect(rates(second, STEPS)).toEqual(rates(first, STEPS));
  });
});
