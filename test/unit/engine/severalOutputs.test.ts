// Models with several inputs, outputs and targets: trained, validated, and evaluated by a step of the user's own.
import { expect, test } from "vitest";
import { evaluate } from "../../../extension/engine/evaluation/evaluator.ts";
import { prepare } from "../../../extension/engine/training/prepare.ts";
import {
  data,
  experiment,
  nn,
  optim,
  torch,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import { train } from "./training.ts";
import { useEngine } from "../../engines.ts";

const F = nn.functional;

useEngine("cpu");

class Both extends nn.Module {
  body = new nn.Linear(3, 4);
  drop = new nn.Dropout(0.5);
  classes = new nn.Linear(4, 2);
  size = new nn.Linear(4, 1);
  forward(x: Tensor): [Tensor, Tensor] {
    const h = this.drop(this.body(x).relu());
    return [this.classes(h), this.size(h)];
  }
}

const losses = (model: Both, [x, y, z]: [Tensor, Tensor, Tensor]): [Tensor, Tensor] => {
  const [classes, size] = model(x);
  return [F.crossEntropy(classes, y), F.mseLoss(size, z)];
};

const options: ExperimentOptions<Both, optim.SGD> = {
  seed: 0,
  model: () => new Both(),
  data: () => new data.TensorDataset(torch.randn(30, 3), torch.randint(0, 2, [30]), torch.randn(30, 1)),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  validation: 0.4,
  batchSize: 5,
  epochs: 2,
  trainStep: ({ model, batch, optimizer }) => {
    optimizer.zeroGrad();
    const [a, b] = losses(model, batch as [Tensor, Tensor, Tensor]);
    const loss = a.add(b);
    loss.backward();
    optimizer.step();
    return loss;
  },
};

test("a validationStep's values are means over the samples, without dropout and gradients", async () => {
  const seen: [boolean, boolean][] = [];
  const { prepared, rows, record } = await train(
    experiment({
      ...options,
      validationStep: ({ model, batch }) => {
        const [a, b] = losses(model, batch as [Tensor, Tensor, Tensor]);
        seen.push([model.training, a.requiresGrad]);
        return { loss: a.add(b), size: b };
      },
    }),
  );
  expect(new Set(seen.map(String))).toEqual(new Set(["false,false"]));
  const last = rows.findLast(({ kind }) => kind === "epoch")!.values;
  expect(Object.keys(last)).toEqual(expect.arrayContaining(["loss", "val_loss", "val_size"]));
  expect(record.best?.metric).toBe("val_loss");
  const model = prepared.model as Both;
  model.eval();
  // Batches of 5, 5 and 2 samples count by their samples.
  let sum = 0;
  for (const batch of prepared.validation!.inOrder())
    sum += losses(model, batch as unknown as [Tensor, Tensor, Tensor])[1].item() * batch[0]!.shape[0]!;
  expect(last["val_size"]).toBeCloseTo(sum / 12, 5);
});

test("a step that gives nothing is told to", async () => {
  const nothing = (() => undefined) as unknown as () => Tensor;
  await expect(train(experiment({ ...options, validationStep: nothing }))).rejects.toMatchObject({
    message:
      "validation data, batch 1, samples 0 to 4: validationStep's result: expected a number or a scalar tensor, got undefined",
    hint: "return its loss, or values by name: return { loss }",
  });
});

test("without one, the error says what is missing", async () => {
  await expect(train(experiment(options))).rejects.toMatchObject({
    message:
      "validation data, batch 1, samples 0 to 4: Both.forward(): expected a tensor, got several values",
    hint: "a model that gives something else needs a trainStep and, for its validation and evaluation, a validationStep",
  });
});

class ByName extends nn.Module {
  body = new nn.Linear(3, 2);
  forward({ x }: { x: Tensor }): Tensor {
    return this.body(x);
  }
}

test("without one, an error of a model that is called otherwise says how it was called", async () => {
  const steps = experiment({
    seed: 0,
    model: () => new ByName(),
    data: () => new data.TensorDataset(torch.randn(30, 3), torch.randint(0, 2, [30])),
    optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
    validation: 0.4,
    batchSize: 5,
    epochs: 2,
    trainStep: ({ model, batch, optimizer }) => {
      const [x, y] = batch as [Tensor, Tensor];
      optimizer.zeroGrad();
      const loss = F.crossEntropy(model({ x }), y);
      loss.backward();
      optimizer.step();
      return loss;
    },
  });
  await expect(train(steps)).rejects.toMatchObject({
    message: "validation data, batch 1, samples 0 to 4: Linear(): argument 1 must be Tensor, not undefined",
    hint: expect.stringContaining("write a validationStep that does the same") as string,
  });
});

test("it names its data, and its experiment's missing loss", async () => {
  const prepared = await prepare(
    experiment({ ...options, validationStep: ({ loss, batch }) => loss(batch[0]!, batch[1]!) }),
    0,
  );
  const evaluation = evaluate(prepared, {
    batches: prepared.validation!.inOrder(),
    data: { set: "validation", train: prepared.train },
    tick: () => Promise.resolve(true),
  });
  await expect(evaluation).rejects.toThrow(
    "validation data, batch 1, samples 0 to 4: experiment(): a trainStep or validationStep calls loss, but the experiment has none",
  );
});
