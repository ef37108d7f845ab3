import { describe, expect, test } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const { AveragedModel, getEmaAvgFn, getEmaMultiAvgFn, getSwaMultiAvgFn, updateBn } = optim.swaUtils;

const floats = (...values: number[]): Tensor => torch.tensor(values, { dtype: torch.float32 });

class One extends nn.Module {
  w = new nn.Parameter(floats(1, 2));

  constructor() {
    super();
    this.registerBuffer("seen", floats(0));
  }

  forward(x: Tensor): Tensor {
    return x.mul(this.w);
  }

  put(...values: number[]): this {
    torch.noGrad(() => {
      this.w.copy_(floats(...values));
      this.getBuffer("seen").copy_(floats(values[0]!));
    });
    return this;
  }
}

describe("averaged models", () => {
  test("the equal average is the default; buffers are copied", () => {
    const model = new One();
    const average = new AveragedModel(model);
    for (const values of [
      [1, 2],
      [3, 4],
      [8, 0],
    ])
      average.updateParameters(model.put(...values));
    expect(average(floats(1, 1)).tolist()).toEqual([4, 2]);
    expect(average.module.getBuffer("seen").tolist()).toEqual([8]);
    expect(model.w.tolist()).toEqual([8, 0]);
    expect([...average.stateDict().keys()]).toEqual(["n_averaged", "module.w", "module.seen"]);
    expect(average.nAveraged.item()).toBe(3);
    expect(average.toString()).toBe("AveragedModel(\n  (module): One()\n)");
  });

  test.each([
    ["avgFn", { avgFn: getEmaAvgFn(0.75) }],
    ["multiAvgFn", { multiAvgFn: getEmaMultiAvgFn(0.75) }],
  ])("exponential averages by %s, buffers with useBuffers", (_, options) => {
    const model = new One();
    const average = new AveragedModel(model, { ...options, useBuffers: true });
    average.updateParameters(model.put(0, 4));
    average.updateParameters(model.put(4, 0));
    expect(average.module.w.tolist()).toEqual([1, 3]);
    expect(average.module.getBuffer("seen").tolist()).toEqual([1]);
  });

  test("the equal average for all parameters at once", () => {
    const model = new One();
    const average = new AveragedModel(model, { multiAvgFn: getSwaMultiAvgFn() });
    for (const value of [0, 4, 2]) average.updateParameters(model.put(value, value));
    expect(average.module.w.tolist()).toEqual([2, 2]);
  });

  test("what is refused", () => {
    expect(
      () => new AveragedModel(new One(), { avgFn: getEmaAvgFn(), multiAvgFn: getEmaMultiAvgFn() }),
    ).toThrow("Only one of avg_fn and multi_avg_fn should be provided");
    expect(() => getEmaAvgFn(1.5)).toThrow(
      "Invalid decay value 1.5 provided. Please provide a value in [0,1] range.",
    );
  });

  test("updateBn recomputes running statistics as means over the batches", () => {
    const model = new nn.Sequential(new nn.BatchNorm1d(1)).eval();
    const norm = model.get(0);
    model.train()(torch.ones(2, 1).mul(100));
    model.eval();
    updateBn([[torch.tensor([[0], [2]]).float()], torch.tensor([[4], [8]]).float()], model);
    expect(norm.runningMean!.tolist()).toEqual([3.5]);
    expect(norm.runningVar!.tolist()).toEqual([5]);
    expect(norm.momentum).toBe(0.1);
    expect(model.training).toBe(false);
  });
});

describe("parameters as one vector", () => {
  test("there and back", () => {
    const model = new nn.Linear(2, 2);
    const vector = nn.utils.parametersToVector(model.parameters());
    expect(vector.shape).toEqual([6]);
    nn.utils.vectorToParameters(torch.arange(6).float(), model.parameters());
    expect(model.weight.tolist()).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(model.bias!.tolist()).toEqual([4, 5]);
    vector.sum().backward();
    expect(model.bias!.grad!.tolist()).toEqual([1, 1]);
  });

  test("the norm of all", () => {
    expect(nn.utils.getTotalNorm([floats(3), floats(0, 4)]).item()).toBe(5);
    expect(nn.utils.getTotalNorm([floats(3), floats(0, -4)], { normType: Infinity }).item()).toBe(4);
    expect(nn.utils.getTotalNorm([]).item()).toBe(0);
    expect(() => nn.utils.getTotalNorm([floats(Infinity)], 2, true)).toThrow(
      "The total norm of order 2.0 for gradients from `parameters` is non-finite",
    );
  });
});
