// Schedules and L-BFGS against PyTorch: test/fixtures/optim/make.py makes the numbers.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { setWarningSink } from "../../../../extension/nn/warnings.ts";
import { useEngine } from "../../../engines.ts";

const {
  ChainedScheduler,
  ConstantLR,
  CosineAnnealingLR,
  CosineAnnealingWarmRestarts,
  CyclicLR,
  ExponentialLR,
  LambdaLR,
  LinearLR,
  MultiplicativeLR,
  MultiStepLR,
  OneCycleLR,
  PolynomialLR,
  ReduceLROnPlateau,
  SequentialLR,
  StepLR,
} = optim.lrScheduler;
const { SWALR } = optim.swaUtils;
type Scheduler = optim.lrScheduler.LRScheduler;
type State = optim.lrScheduler.SchedulerStateDict;

interface Recording {
  name: string;
  optimizer: "SGD" | "Adam";
  lr: number[][];
  momentum: number[][];
  states: State[];
  jump: number[] | null;
  text: string;
}

interface LbfgsRecording {
  options: Record<string, number | string>;
  text: string;
  losses: number[];
  params: number[][];
  func_evals: number;
  n_iter: number;
  keys: string[];
}

const fixture = JSON.parse(
  readFileSync(new URL("../../../fixtures/optim/optim.json", import.meta.url), "utf8"),
) as {
  metrics: number[];
  schedules: Recording[];
  failures: Record<string, string>;
  lbfgs: LbfgsRecording[];
};

const SCHEDULES: Record<string, (o: optim.Optimizer) => Scheduler> = {
  StepLR: (o) => new StepLR(o, 3, 0.5),
  MultiStepLR: (o) => new MultiStepLR(o, [2, 5, 5]),
  ExponentialLR: (o) => new ExponentialLR(o, 0.9),
  LambdaLR: (o) => new LambdaLR(o, [(e) => 1 / (1 + e), (e) => 0.5 ** e]),
  MultiplicativeLR: (o) => new MultiplicativeLR(o, () => 0.9),
  ConstantLR: (o) => new ConstantLR(o, 0.5, 3),
  LinearLR: (o) => new LinearLR(o, 0.25, 0.75, 6),
  PolynomialLR: (o) => new PolynomialLR(o, 6, 2),
  CosineAnnealingLR: (o) => new CosineAnnealingLR(o, 4, 0.01),
  CosineAnnealingWarmRestarts: (o) => new CosineAnnealingWarmRestarts(o, 2, 2, 0.01),
  OneCycleLR: (o) => new OneCycleLR(o, [0.1, 0.2], { totalSteps: 12 }),
  "OneCycleLR, linear, three phases": (o) =>
    new OneCycleLR(o, 0.1, { epochs: 3, stepsPerEpoch: 4, annealStrategy: "linear", threePhase: true }),
  CyclicLR: (o) => new CyclicLR(o, 0.01, 0.1, { stepSizeUp: 2, stepSizeDown: 3, mode: "triangular2" }),
  "CyclicLR, exp_range": (o) =>
    new CyclicLR(o, 0.01, [0.1, 0.2], { stepSizeUp: 2, mode: "exp_range", gamma: 0.9, cycleMomentum: false }),
  ReduceLROnPlateau: (o) =>
    new ReduceLROnPlateau(o, "max", { factor: 0.5, patience: 1, cooldown: 1, minLr: [0.03, 0.001] }),
  SequentialLR: (o) => {
    const warmUp = new LinearLR(o, 0.1, 1, 2);
    const chained = new ChainedScheduler([new StepLR(o, 2), new ExponentialLR(o, 0.9)]);
    return new SequentialLR(o, [warmUp, chained], [20]);
  },
  "SequentialLR of three": (o) => {
    const parts = [new LinearLR(o, 0.1, 1, 2), new CosineAnnealingLR(o, 4), new StepLR(o, 2, 0.5)];
    return new SequentialLR(o, parts, [2, 6]);
  },
  ChainedScheduler: (o) => new ChainedScheduler([new ConstantLR(o, 0.5, 3), new ExponentialLR(o, 0.9)]),
  SWALR: (o) => new SWALR(o, 0.05, { annealEpochs: 4 }),
  "SWALR, linear": (o) => new SWALR(o, [0.05, 0.2], { annealEpochs: 3, annealStrategy: "linear" }),
};

const FAILURES: Record<string, (o: optim.Optimizer) => unknown> = {
  "LinearLR 0": (o) => new LinearLR(o, 0),
  "LinearLR end": (o) => new LinearLR(o, 0.5, 2),
  "ConstantLR 2": (o) => new ConstantLR(o, 2),
  "CosineAnnealingWarmRestarts 0": (o) => new CosineAnnealingWarmRestarts(o, 0),
  "OneCycleLR nothing": (o) => new OneCycleLR(o, 0.1),
  "OneCycleLR length": (o) => new OneCycleLR(o, [0.1], { totalSteps: 10 }),
  "OneCycleLR steps": (o) => {
    const schedule = new OneCycleLR(o, 0.1, { totalSteps: 2 });
    for (let i = 0; i < 3; i++) schedule.step();
  },
  "LambdaLR length": (o) => new LambdaLR(o, [() => 1]),
  "SequentialLR milestones": (o) => new SequentialLR(o, [new StepLR(o, 2)], [3]),
  "ChainedScheduler empty": () => new ChainedScheduler([]),
  "ReduceLROnPlateau factor": (o) => new ReduceLROnPlateau(o, { factor: 1 }),
  "StepLR resumed": (o) => new StepLR(o, 2, { lastEpoch: 3 }),
  "SequentialLR of plateaus": (o) => new SequentialLR(o, [new ReduceLROnPlateau(o)], []),
};

function optimizerOf(kind: string): optim.Optimizer {
  const groups = [
    { params: [new nn.Parameter(torch.zeros(1))] },
    { params: [new nn.Parameter(torch.zeros(1))], lr: 0.02 },
  ];
  return kind === "SGD" ? new optim.SGD(groups, 0.1, { momentum: 0.9 }) : new optim.Adam(groups, 0.1);
}

const rates = (o: optim.Optimizer): number[] => o.paramGroups.map((g) => g.lr);

function momenta(o: optim.Optimizer): number[] {
  const groups = o.paramGroups as unknown as { momentum?: number; betas?: number[] }[];
  return groups.map((g) => g.momentum ?? g.betas![0]!);
}

function advance(schedule: Scheduler, epoch: number): void {
  schedule.optimizer.step();
  if (schedule instanceof ReduceLROnPlateau) schedule.step(fixture.metrics[epoch]);
  else schedule.step();
}

/** Numbers equal to 12 digits, the rest exactly. */
function expectSame(got: unknown, expected: unknown, path: string): void {
  if (typeof expected === "number" && typeof got === "number") {
    const near = Math.abs(got - expected) <= 1e-12 * Math.max(Math.abs(expected), 1e-3);
    expect(near, `${path}: ${got} instead of ${expected}`).toBe(true);
  } else if (typeof expected === "object" && expected !== null) {
    const [a, b] = [got as Record<string, unknown>, expected as Record<string, unknown>];
    expect(Object.keys(a).sort(), path).toEqual(Object.keys(b).sort());
    for (const [key, value] of Object.entries(b)) expectSame(a[key], value, `${path}.${key}`);
  } else {
    expect(typeof got === "number" && !Number.isFinite(got) ? String(got) : got, path).toEqual(expected);
  }
}

useEngine("cpu");

it("every exported schedule has its recording", () => {
  // Averages of weights stand beside SWALR.
  const exported = [...Object.keys(optim.lrScheduler), "SWALR"].filter((n) => n !== "LRScheduler");
  const recorded = new Set(fixture.schedules.map(({ name }) => name.split(/[ ,]/)[0]!));
  expect([...recorded].sort()).toEqual(exported.sort());
});

describe.each(fixture.schedules)("$name, $optimizer", (recording) => {
  const make = SCHEDULES[recording.name]!;

  it("has PyTorch's rates, momenta, states and text", () => {
    const schedule = make(optimizerOf(recording.optimizer));
    const { optimizer } = schedule;
    recording.lr.forEach((lr, i) => {
      expectSame(rates(optimizer), lr, `rates ${i}`);
      expectSame(momenta(optimizer), recording.momentum[i], `momenta ${i}`);
      if (i === 0) expectSame(schedule.stateDict(), recording.states[0], "state");
      if (i === 5) expectSame(schedule.stateDict(), recording.states[1], "state");
      advance(schedule, i);
    });
    const numbers = (text: string): string =>
      text.replaceAll(/\d+\.\d+(e-\d+)?/g, (x) => Number(x).toPrecision(12));
    expect(numbers(optimizer.toString())).toBe(numbers(recording.text));
  });

  it("continues from a saved state", () => {
    const first = make(optimizerOf(recording.optimizer));
    for (let i = 0; i < 5; i++) advance(first, i);
    const second = make(optimizerOf(recording.optimizer));
    second.loadStateDict(first.stateDict());
    second.optimizer.loadStateDict(first.optimizer.stateDict());
    expect(second.getLastLr()).toEqual(first.getLastLr());
    for (let i = 5; i < 11; i++) {
      expectSame(rates(second.optimizer), recording.lr[i], `rates ${i}`);
      advance(second, i);
    }
  });

  it.skipIf(recording.jump === null)("goes to an epoch by its closed form, with a warning", () => {
    const warnings: string[] = [];
    const before = setWarningSink((message) => warnings.push(message));
    const schedule = make(optimizerOf(recording.optimizer));
    schedule.optimizer.step();
    schedule.step(3);
    setWarningSink(before);
    expectSame(rates(schedule.optimizer), recording.jump, "rates");
    const fractions = recording.name === "CosineAnnealingWarmRestarts";
    expect(warnings.map((w) => w.slice(0, 19))).toEqual(fractions ? [] : ["The epoch parameter"]);
  });
});

it.each(Object.entries(fixture.failures))("%s: PyTorch's message", (name, message) => {
  const before = setWarningSink(() => {});
  expect(() => FAILURES[name]!(optimizerOf("SGD"))).toThrow(message);
  setWarningSink(before);
});

it("stepping a schedule before its optimizer warns once", () => {
  const warnings: string[] = [];
  const before = setWarningSink((message) => warnings.push(message));
  const schedule = new StepLR(optimizerOf("SGD"), 2);
  schedule.step();
  schedule.step();
  setWarningSink(before);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain("Detected call of `lr_scheduler.step()` before `optimizer.step()`.");
});

it("a plateau needs a metric", () => {
  const schedule = new ReduceLROnPlateau(optimizerOf("SGD"));
  expect(() => schedule.step()).toThrow("missing 1 required positional argument: 'metrics'");
  schedule.step(torch.tensor(0.5));
  expect(schedule.best).toBe(0.5);
});

describe.each(fixture.lbfgs)("L-BFGS with $options", (recording) => {
  const options = Object.fromEntries(
    Object.entries(recording.options).map(([k, v]) => [
      k.replaceAll(/_(.)/g, (_, c: string) => c.toUpperCase()),
      v,
    ]),
  );

  function descent(start: readonly number[]): { p: Tensor; optimizer: optim.LBFGS; step(): number } {
    const p = new nn.Parameter(torch.tensor([...start]).float());
    const optimizer = new optim.LBFGS([p], options);
    const closure = (): Tensor => {
      optimizer.zeroGrad();
      const [x, y] = p.unbind() as [Tensor, Tensor];
      const loss = x
        .neg()
        .add(1)
        .pow(2)
        .add(y.sub(x.pow(2)).pow(2).mul(100));
      loss.backward();
      return loss;
    };
    return { p, optimizer, step: () => optimizer.step(closure).item() };
  }

  it("descends Rosenbrock's valley as PyTorch does, and continues from a saved state", () => {
    let run = descent([-1.2, 1]);
    expect(run.optimizer.toString()).toBe(recording.text);
    recording.losses.forEach((loss, i) => {
      expect(Math.abs(run.step() - loss)).toBeLessThan(1e-3 * loss);
      [...run.p.toTypedArray()].forEach((x, j) => expect(x).toBeCloseTo(recording.params[i]![j]!, 3));
      const again = descent([...run.p.toTypedArray()]);
      again.optimizer.loadStateDict(run.optimizer.stateDict());
      run = again;
    });
    const state = run.optimizer.stateDict().state["0"]!;
    expect([state["func_evals"], state["n_iter"]]).toEqual([recording.func_evals, recording.n_iter]);
    expect(Object.keys(state).sort()).toEqual(recording.keys);
    // As PyTorch has them: numbers that the recursion reads are tensors without dimensions.
    const { al, ro, H_diag: scale } = state as Record<string, Tensor[]> & { H_diag: Tensor };
    expect(al).toHaveLength(run.optimizer.paramGroups[0]!.historySize);
    expect([scale, ...ro!, ...al!.slice(0, ro!.length)].every((x) => x.ndim === 0)).toBe(true);
  });
});

class Flat extends optim.lrScheduler.LRScheduler {
  override getLr(): number[] {
    return this.baseLrs;
  }
}

/** The rates of the first steps with a schedule, from a rate of 1. */
function ratesOf(make: (optimizer: optim.Optimizer) => Scheduler, steps: number): number[] {
  const optimizer = new optim.SGD([new nn.Parameter(torch.zeros(1))], { lr: 1 });
  const scheduler = make(optimizer);
  return Array.from({ length: steps }, () => {
    optimizer.step();
    const { lr } = optimizer.paramGroups[0]!;
    scheduler.step();
    return Number(lr.toFixed(4));
  });
}

describe("a program's own schedule in others", () => {
  it("comes last in a sequence", () => {
    const rates = ratesOf(
      (o) => new SequentialLR(o, [new LinearLR(o, 0.1, { totalIters: 5 }), new Flat(o)], [3]),
      5,
    );
    expect(rates).toEqual([0.1, 0.28, 0.46, 1, 1]);
  });

  it("comes first in a sequence", () => {
    const rates = ratesOf((o) => new SequentialLR(o, [new Flat(o), new StepLR(o, 1, 0.5)], [2]), 4);
    expect(rates).toEqual([1, 1, 1, 0.5]);
  });

  it("is all of a sequence", () => {
    expect(ratesOf((o) => new SequentialLR(o, [new Flat(o), new Flat(o)], [2]), 3)).toEqual([1, 1, 1]);
  });
});
