// Which modules are in training mode, before and after everything that puts a model into another mode for a while.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { sweepRates } from "../../../extension/engine/training/lrFinder.ts";
import { prepare } from "../../../extension/engine/training/prepare.ts";
import { profileStep } from "../../../extension/engine/profiler/profile.ts";
import {
  data,
  experiment,
  nn,
  optim,
  summary,
  torch,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import { compareResumed, options, train, type Parameters } from "./training.ts";
import { useEngine } from "../../engines.ts";

const executor = useEngine("cpu");

/** The first normalisation is frozen, the second trains. */
class Frozen extends nn.Module {
  frozen = new nn.BatchNorm1d(3);
  first = new nn.Linear(3, 4);
  norm = new nn.BatchNorm1d(4);
  last = new nn.Linear(4, 2);
  forward(x: Tensor): Tensor {
    return this.last(this.norm(this.first(this.frozen(x))).relu());
  }
}

const frozenModel = (): Frozen => {
  const model = new Frozen();
  model.frozen.eval();
  return model;
};

const make = (changes: Partial<ExperimentOptions> = {}) =>
  experiment({
    ...options,
    data: () => new data.TensorDataset(torch.randn(20, 3), torch.randint(0, 2, [20])),
    model: frozenModel,
    ...changes,
  });

const modes = (model: nn.Module): Record<string, boolean> =>
  Object.fromEntries(model.namedModules().map(([name, { training }]) => [name, training]));

const MODES = { "": true, frozen: false, first: true, norm: true, last: true };

/** Whether a normalisation has ever seen a batch in training mode. */
const batches = (norm: nn.BatchNorm1d): number => norm.numBatchesTracked!.item();

test.each<[string, Partial<ExperimentOptions>]>([
  ["without a validation", {}],
  ["with one after each epoch", { validation: 0.4 }],
  ["with some within an epoch", { validation: 0.4, valCheckInterval: 1 }],
  ["with a look at the layers", { watch: { logFreq: 1 } }],
])("keeps a frozen normalisation frozen in a training %s", async (_, changes) => {
  const { prepared, log } = await train(make(changes));
  const model = prepared.model as Frozen;
  expect(batches(model.frozen)).toBe(0);
  expect(batches(model.norm)).toBeGreaterThan(5);
  expect(modes(model)).toEqual(MODES);
  expect(log.join("\n")).toContain("Kept in evaluation mode while the model trains: frozen.");
});

test("keeps what a callback freezes in the middle of a training", async () => {
  const { prepared } = await train(
    make({
      model: () => new Frozen(),
      validation: 0.4,
      callbacks: [
        {
          onEpochStart: ({ model, epoch }) => {
            if (epoch === 2) (model as Frozen).frozen.eval();
          },
        },
      ],
    }),
  );
  const { frozen, norm } = prepared.model as Frozen;
  expect(3 * batches(frozen)).toBe(batches(norm));
});

test("asks a class that freezes a part in its own train(), also within another module", async () => {
  class Own extends Frozen {
    override train(mode = true): this {
      super.train(mode);
      this.frozen.eval();
      return this;
    }
  }
  const model = new nn.Sequential(new Own()).train();
  expect(modes((model as unknown as { "0": Own })["0"])).toEqual(MODES);
  const { prepared } = await train(make({ model: () => new nn.Sequential(new Own()), validation: 0.4 }));
  expect(batches(prepared.model.getSubmodule("0.frozen") as nn.BatchNorm1d)).toBe(0);
});

test("trains a whole model that comes in evaluation mode", async () => {
  const { prepared, log } = await train(make({ model: () => new Frozen().eval() }));
  expect(Object.values(modes(prepared.model))).toEqual([true, true, true, true, true]);
  expect(log.join("\n")).not.toContain("evaluation mode");
});

test("keeps the modes of several models with a module in common", async () => {
  class Pair extends nn.Module {
    shared = new nn.BatchNorm1d(3);
    student = new nn.Sequential(this.shared, new nn.Linear(3, 2));
    teacher = new nn.Sequential(this.shared, new nn.BatchNorm1d(3), new nn.Linear(3, 2));
    forward(x: Tensor): Tensor {
      return this.student.forward(x);
    }
  }
  const { prepared } = await train(
    make({
      model: () => {
        const pair = new Pair();
        pair.teacher.eval();
        return pair;
      },
      validation: 0.4,
      trainStep: ({ model, batch, optimizer }) => {
        const [x] = batch as [Tensor];
        const { student, teacher } = model as Pair;
        const one = optimizer as optim.Optimizer;
        one.zeroGrad();
        const loss = nn.functional.mseLoss(student.forward(x), teacher.forward(x).detach());
        loss.backward();
        one.step();
        return loss;
      },
    }),
  );
  const model = prepared.model as Pair;
  expect(modes(model.teacher)).toEqual({ "": false, "0": false, "1": false, "2": false });
  expect(modes(model.student)).toEqual({ "": true, "0": false, "1": true });
  expect(batches(model.shared)).toBe(0);
});

test("keeps the modes in a sweep of learning rates and in a profile", async () => {
  const prepared = await prepare(make(), 0);
  const model = prepared.model as Frozen;
  await sweepRates(prepared, { steps: 5 });
  expect(modes(model)).toEqual(MODES);
  await profileStep(prepared, { executor: executor(), seconds: 0.02 });
  expect(modes(model)).toEqual(MODES);
  expect(batches(model.frozen)).toBe(0);
});

test("keeps the modes in a summary and an export", () => {
  const model = frozenModel();
  summary(model, { inputSize: [2, 3], verbose: 0, mode: "eval" });
  expect(modes(model)).toEqual(MODES);
  const folder = mkdtempSync(path.join(os.tmpdir(), "layerwise-modes-"));
  try {
    torch.onnx.export(model, torch.zeros(2, 3), path.join(folder, "net.onnx"));
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(modes(model)).toEqual(MODES);
});

test("a training that was interrupted resumes in the modes in which it was", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "layerwise-modes-"));
  try {
    await compareResumed(
      () =>
        make({
          model: () => new Frozen(),
          validation: 0.4,
          optimizer: (p: Parameters) => new optim.Adam(p, { lr: 0.05 }),
          callbacks: [
            { onEpochStart: ({ model, epoch }) => void (epoch === 2 && (model as Frozen).frozen.eval()) },
          ],
        }),
      [4],
      folder,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
