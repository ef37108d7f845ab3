import { expect, test } from "vitest";
import { numbers } from "../../../../extension/engine/training/stepResult.ts";
import { data, experiment, nn, optim, torch } from "../../../../extension/nn/index.ts";

const withMetrics = (metrics: Record<string, "mae">): unknown =>
  experiment({
    model: () => new nn.Linear(1, 1),
    data: () => new data.TensorDataset(torch.randn(4, 1), torch.randn(4, 1)),
    loss: new nn.MSELoss(),
    optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
    metrics,
    epochs: 1,
  });

test.each(["loss", "lr", "lr_generator", "val_mae", "grad_norm", "update_ratio", "constructor", "toString"])(
  "a metric named %s is refused where the experiment is made",
  (name) => expect(() => withMetrics({ [name]: "mae" })).toThrow(name),
);

test("other names of metrics are free", () => {
  expect(() =>
    withMetrics({ mae: "mae", lrate: "mae", value: "mae", samples_per_second: "mae" }),
  ).not.toThrow();
});

test("a step gives its loss, and no value with the name of another curve", () => {
  expect(numbers({ loss: 1, generator: 2 }, "trainStep")).toEqual({ loss: 1, generator: 2 });
  expect(() => numbers({ loss: 1, val_loss: 2 }, "trainStep")).toThrow(
    'a value of trainStep can\'t be named "val_loss": a training has a curve of that name',
  );
  expect(() => numbers({ loss: 1, valueOf: 2 }, "validationStep")).toThrow(/every object/);
});
