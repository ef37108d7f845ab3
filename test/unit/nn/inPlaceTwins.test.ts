// Methods in place that are made of the method that computes the same.
import { expect, test } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

test("a mask grows in place", () => {
  const done = torch.tensor([true, false, false]);
  const view = done.index("1:");
  expect(done.logicalOr_(torch.tensor([false, true, false]))).toBe(done);
  expect(view.tolist()).toEqual([true, false]);
  done.bitwiseAnd_(torch.tensor([false, true, true]));
  expect(done.tolist()).toEqual([false, true, false]);
});

test("comparisons keep the tensor's type", () => {
  const x = torch.tensor([1.5, -2, 0]);
  expect(x.gt_(0).dtype).toBe("float32");
  expect(x.tolist()).toEqual([1, 0, 0]);
  expect(torch.tensor([1, 2]).logicalNot_().tolist()).toEqual([0, 0]);
});

test("every twin writes what its method computes, through views", () => {
  const pairs: [name: string, args: unknown[]][] = [
    ["erf", []],
    ["cumsum", [0]],
    ["log1p", []],
    ["clip", [0.5, 0.6]],
    ["nanToNum", [{ nan: 1 }]],
    ["atan2", [torch.tensor([0.5, 2, 1])]],
    ["addmv", [torch.eye(3), torch.ones(3)]],
  ];
  for (const [name, args] of pairs) {
    const call = (x: Tensor, method: string): Tensor =>
      (x as unknown as Record<string, (...args: unknown[]) => Tensor>)[method]!(...args);
    const x = torch.tensor([0.25, 0.5, 0.75]);
    const expected = call(x, name).tolist();
    const view = x.view(3);
    call(x, `${name}_`);
    expect(view.tolist(), name).toEqual(expected);
  }
});

test("gradients pass, and a leaf refuses", () => {
  const w = torch.tensor([0.5, 1.5], { requiresGrad: true });
  w.clone().expm1_().sum().backward();
  expect(w.grad!.allclose(w.detach().exp())).toBe(true);
  expect(() => w.tan_()).toThrow(
    "a leaf Variable that requires grad is being used in an in-place operation.",
  );
  expect(() => torch.tensor([1, 2]).log2_()).toThrow("can't be cast to the desired output type Long");
});

test("a list of modules counts as Python's enumerate does", () => {
  const list = new nn.ModuleList([new nn.Linear(1, 2), new nn.Linear(2, 3)]);
  expect([...list.entries()].map(([i, layer]) => [i, layer === list[i]])).toEqual([
    [0, true],
    [1, true],
  ]);
});
