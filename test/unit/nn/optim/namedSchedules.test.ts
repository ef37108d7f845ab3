// Schedules called with all arguments by name, as `StepLR(optimizer=optimizer, step_size=2)` is in Python.
import { describe, expect, it } from "vitest";
import { nn, optim, torch } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const { lrScheduler, swaUtils } = optim;

const OPTIONS = {
  StepLR: { stepSize: 2, gamma: 0.5 },
  MultiStepLR: { milestones: [1, 3] },
  ConstantLR: {},
  LinearLR: { totalIters: 3 },
  ExponentialLR: { gamma: 0.5 },
  PolynomialLR: { totalIters: 3 },
  CosineAnnealingLR: { tMax: 4 },
  CosineAnnealingWarmRestarts: { t0: 2 },
  LambdaLR: { lrLambda: (epoch: number) => 0.5 ** epoch },
  MultiplicativeLR: { lrLambda: () => 0.5 },
  OneCycleLR: { maxLr: 1, totalSteps: 6 },
  CyclicLR: { baseLr: 0.1, maxLr: 1, stepSizeUp: 2 },
  SWALR: { swaLr: 0.05 },
} as const;

type Schedule = new (...args: unknown[]) => InstanceType<typeof lrScheduler.LRScheduler>;

const classOf = (name: string): Schedule =>
  ({ ...lrScheduler, SWALR: swaUtils.SWALR } as unknown as Record<string, Schedule>)[name]!;

const sgd = (): optim.SGD => new optim.SGD([new nn.Parameter(torch.zeros(1))], { lr: 0.5, momentum: 0.9 });

function rates(make: (optimizer: optim.SGD) => { step(): void }): number[] {
  const optimizer = sgd();
  const schedule = make(optimizer);
  return Array.from({ length: 5 }, () => {
    optimizer.step();
    schedule.step();
    return optimizer.paramGroups[0]!.lr;
  });
}

describe("a schedule with its optimizer by name", () => {
  it.each(Object.entries(OPTIONS))("%s: the rates of the call by position", (name, options) => {
    const Class = classOf(name);
    const byName = rates((optimizer) => new Class({ optimizer, ...options }));
    expect(byName).toEqual(rates((optimizer) => new Class(optimizer, options)));
    expect(new Set(byName).size).toBeGreaterThan(name === "ConstantLR" ? 0 : 1);
  });

  it("is typed, and composed of others", () => {
    const named = rates((optimizer) => {
      const first = new lrScheduler.ConstantLR({ optimizer, factor: 0.5, totalIters: 2 });
      const second = new lrScheduler.ExponentialLR({ optimizer, gamma: 0.9 });
      return new lrScheduler.SequentialLR({ optimizer, schedulers: [first, second], milestones: [2] });
    });
    const byPosition = rates((optimizer) => {
      const first = new lrScheduler.ConstantLR(optimizer, 0.5, 2);
      return new lrScheduler.SequentialLR(
        optimizer,
        [first, new lrScheduler.ExponentialLR(optimizer, 0.9)],
        [2],
      );
    });
    expect(named).toEqual(byPosition);
    const optimizer = sgd();
    const schedulers = [new lrScheduler.ExponentialLR({ optimizer, gamma: 0.5 })];
    for (const chained of [
      new lrScheduler.ChainedScheduler({ schedulers, optimizer }),
      new lrScheduler.ChainedScheduler(schedulers, optimizer),
    ])
      expect(chained.optimizer).toBe(optimizer);
    const plateau = new lrScheduler.ReduceLROnPlateau({ optimizer, mode: "max", patience: 0 });
    plateau.step(1);
    plateau.step(0);
    expect(optimizer.paramGroups[0]!.lr).toBeCloseTo(0.05);
  });

  it("names what is no optimizer", () => {
    const { StepLR } = lrScheduler;
    // @ts-expect-error: no optimizer
    expect(() => new StepLR({ stepSize: 2 })).toThrow("Object is not an Optimizer");
  });
});

describe("the state of a schedule", () => {
  it("has a schedule's own fields before those that all have, as PyTorch's", () => {
    const keys = Object.keys(new lrScheduler.StepLR(sgd(), 2).stateDict());
    const shared = "base_lrs last_epoch _step_count _is_initial _get_lr_called_within_step _last_lr";
    expect(keys).toEqual(`step_size gamma ${shared}`.split(" "));
  });
});

it("refuses to divide a rate by zero, as Python does", () => {
  const optimizer = sgd();
  const schedule = new lrScheduler.ConstantLR(optimizer, 0, 1);
  optimizer.step();
  expect(() => schedule.step()).toThrow("float division by zero");
});
