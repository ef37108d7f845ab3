// Lines of tutorials about devices: DataParallel, toEmpty.
import { describe, expect, test } from "vitest";
import { nn, optim, torch } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

describe("nn.DataParallel", () => {
  test("runs the module, which it has under PyTorch's name", () => {
    const linear = new nn.Linear(3, 2);
    const model = new nn.DataParallel(linear, { deviceIds: [0, 1] });
    expect(model.module).toBe(linear);
    expect(model.deviceIds).toEqual([]);
    expect(model.toString()).toBe(
      "DataParallel(\n  (module): Linear(in_features=3, out_features=2, bias=True)\n)",
    );
    const x = torch.randn(4, 3);
    expect(model(x).tolist()).toEqual(linear(x).tolist());
    expect([...model.stateDict().keys()]).toEqual(["module.weight", "module.bias"]);
    expect(nn.parallel.DataParallel).toBe(nn.DataParallel);
  });

  test("a state saved with it loads without, as tutorials do", () => {
    const model = new nn.DataParallel({ module: new nn.Linear(3, 2) });
    const other = new nn.Linear(3, 2);
    other.loadStateDict(model.module.stateDict());
    expect(other.weight.tolist()).toEqual(model.module.weight.tolist());
  });

  test("is no module of another value", () => {
    // @ts-expect-error: no module
    expect(() => new nn.DataParallel()).toThrow("missing 1 required positional argument: 'module'");
  });
});

describe("toEmpty", () => {
  test("keeps the parameters and their shapes, and gives up the values", () => {
    const model = new nn.Sequential(new nn.Linear(3, 2), new nn.BatchNorm1d(2));
    const optimizer = new optim.SGD(model.parameters(), { lr: 1 });
    const [weight] = model.parameters();
    expect(model.toEmpty({ device: "cpu" })).toBe(model);
    expect(model.parameters()[0]).toBe(weight);
    expect(weight!.tolist()).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(weight!.requiresGrad && weight!.isLeaf).toBe(true);
    expect(optimizer.paramGroups[0]!.params[0]).toBe(weight);
  });

  test("may keep those inside", () => {
    const model = new nn.Sequential(new nn.Linear(3, 2));
    const before = model.parameters()[0]!.tolist();
    model.toEmpty({ device: torch.device("cpu"), recurse: false });
    expect(model.parameters()[0]!.tolist()).toEqual(before);
  });

  test("knows no GPU", () => {
    expect(() => new nn.Linear(1, 1).toEmpty({ device: "cuda" })).toThrow("not compiled with CUDA");
  });
});

test("shareMemory changes nothing", () => {
  const model = new nn.Linear(2, 1);
  expect(model.shareMemory()).toBe(model);
});

test("PReLU resets its weights", () => {
  const layer = new nn.PReLU(2, 0.5);
  torch.noGrad(() => layer.weight.zero_());
  layer.resetParameters();
  expect(layer.weight.tolist()).toEqual([0.5, 0.5]);
});
