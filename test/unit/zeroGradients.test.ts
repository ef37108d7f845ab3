// Gradients of ops that don't change with their inputs: zeros in PyTorch, null in the op table.
import { describe, expect, test } from "vitest";
import { nn, optim, torch, type Tensor } from "../../extension/nn/index.ts";
import { useEngine } from "../engines.ts";

useEngine("cpu");

const floats = (...values: number[]): Tensor => torch.tensor(values, { dtype: torch.float32 });

describe("gradients that are zero, since an op doesn't change with its input", () => {
  const { grad } = torch.autograd;

  test("are zeros, as in PyTorch, where the input is part of the graph", () => {
    const x = floats(-1, 0.5, 2).requiresGrad_();
    expect(grad(x.sign().sum(), x)[0]!.tolist()).toEqual([0, 0, 0]);
    const [slope] = grad(torch.relu(x).sum(), x, { createGraph: true });
    const [curvature] = grad(slope!.sum(), x, { createGraph: true });
    expect([curvature!.tolist(), curvature!.requiresGrad]).toEqual([[0, 0, 0], true]);
    expect(grad(slope!.sum(), x, { allowUnused: true })[0]!.tolist()).toEqual([0, 0, 0]);
  });

  test("are what backward() leaves, so that optimizers decay the weights", () => {
    const [w, b, unused] = [1.25, 0.5, 1].map((x) => new nn.Parameter(floats(x))) as [Tensor, Tensor, Tensor];
    const optimizer = new optim.SGD([w, b, unused], { lr: 1, weightDecay: 0.5 });
    w.round().add(b).sum().backward();
    expect([w.grad!.tolist(), b.grad!.tolist(), unused.grad]).toEqual([[0], [1], null]);
    optimizer.step();
    expect([w, b, unused].map((p) => p.item())).toEqual([0.625, -0.75, 1]);
    const x = floats(2).requiresGrad_();
    for (let i = 0; i < 2; i++) x.mul(3).add(x.floor()).sum().backward();
    expect(x.grad!.tolist()).toEqual([6]);
  });

  test("reach inputs and inner tensors through the layers before", () => {
    const net = new nn.Sequential(new nn.Linear(1, 4), new nn.LeakyReLU(), new nn.Linear(4, 1));
    const x = torch.randn(3, 1).requiresGrad_();
    const inner = x.mul(2);
    const [slope] = grad(net(inner).sum(), x, { createGraph: true });
    const found = grad(slope!.sum(), [x, inner, net.parameters()[1]!]);
    expect(found.map((g) => g.abs().sum().item())).toEqual([0, 0, 0]);
    expect(found.map((g) => [...g.shape])).toEqual([[3, 1], [3, 1], [4]]);
  });

  test("of what isn't part of the graph are refused, or null", () => {
    const [x, w] = [floats(1).requiresGrad_(), floats(2).requiresGrad_()];
    const masked = (): Tensor => x.gt(0).float().mul(w).sum();
    expect(() => grad(masked(), x)).toThrow("appears to not have been used in the graph");
    class None extends torch.autograd.Function {
      static forward(_: torch.FunctionCtx, t: Tensor): Tensor {
        return t.mul(2);
      }
      static backward(): null {
        return null;
      }
    }
    expect(grad(None.apply(x).sum(), x, { allowUnused: true })).toEqual([null]);
  });
});
