// `tensor.data`: memory shared without gradient, and assigned. Expected values are PyTorch 2.15's.
import { describe, expect, it } from "vitest";
import { copy, data, F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setWarningSink } from "../../../extension/tensor/core/warnings.ts";
import { ENGINES, useEngine } from "../../engines.ts";

const floats = (...values: number[]): Tensor => torch.tensor(values, { dtype: torch.float32 });
const rounded = (x: Tensor): number[] => Array.from(x.toTypedArray(), (v) => Number(v.toFixed(5)));

describe.each(ENGINES)("tensor.data on %s", (device) => {
  useEngine(device);

  it("shares memory, and writes to it are not differentiated", () => {
    const w = floats(1, 2, 3).requiresGrad_();
    w.mul(w).sum().backward();
    w.data.sub_(w.grad!.data.mul(0.5));
    w.grad!.data.zero_();
    expect([rounded(w), rounded(w.grad!)]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect([w.requiresGrad, w.isLeaf, w.data.requiresGrad]).toEqual([true, true, false]);
    const x = floats(1, 2).requiresGrad_();
    const z = x.mul(3);
    z.data.mul_(2);
    expect(rounded(z)).toEqual([6, 12]);
    z.sum().backward();
    expect(rounded(x.grad!)).toEqual([3, 3]);
  });

  it("is the memory of parameters, whose parts can be written to", () => {
    const { weight } = new nn.Linear(2, 2);
    weight.data.index(0).copy_(floats(5, 6));
    weight.data.indexFill_(1, torch.tensor([1]), 7);
    weight.data.index(1, 0).fill_(2);
    expect(weight.tolist()).toEqual([
      [5, 7],
      [2, 7],
    ]);
    torch.manualSeed(0);
    weight.data.normal_(0, 0.02);
    torch.manualSeed(0);
    const drawn = torch.empty(2, 2).normal_(0, 0.02);
    expect([weight.tolist(), weight.requiresGrad]).toEqual([drawn.tolist(), true]);
  });

  it("keeps what was computed from the values before a write", () => {
    for (const initial of [torch.randn(3), torch.ones(3), floats(1, 2, 3)]) {
      const p = new nn.Parameter(initial);
      const before = initial.add(0).tolist() as number[];
      const twice = p.mul(2);
      p.data.zero_();
      expect([twice.tolist(), p.tolist()]).toEqual([before.map((v) => 2 * v), [0, 0, 0]]);
    }
  });

  // PyTorch's gradients use the new values, unnoticed: [4, 8] and 54. See docs/from-pytorch.md.
  it("keeps the gradients of what was computed from the values before a write", () => {
    const [x, w] = [floats(1, 2).requiresGrad_(), floats(3).requiresGrad_()];
    const y = x.mul(x);
    x.data.mul_(2);
    y.sum().backward();
    expect(rounded(x.grad!)).toEqual([2, 4]);
    const hidden = floats(3, 4).mul(w);
    const out = hidden.square();
    hidden.data.maskedFill_(hidden.gt(10), 0);
    out.sum().backward();
    expect([rounded(hidden), rounded(w.grad!)]).toEqual([[9, 0], [150]]);
  });

  it("takes over memory of any shape when assigned; views keep the old one", () => {
    const [a, b] = [floats(1, 2), floats(3, 4, 5)];
    const [view, old] = [a.view(2), a.data];
    a.data = b;
    b.add_(1);
    expect([rounded(a), rounded(view), rounded(old)]).toEqual([
      [4, 5, 6],
      [1, 2],
      [1, 2],
    ]);
    a.mul_(2);
    view.add_(10);
    expect([rounded(a), rounded(b), rounded(view), rounded(old)]).toEqual([
      [8, 10, 12],
      [8, 10, 12],
      [11, 12],
      [11, 12],
    ]);
    const p = new nn.Parameter(floats(1, 2));
    p.data = torch.ones(3, 2);
    expect([p.shape, p.requiresGrad]).toEqual([[3, 2], true]);
    p.sum().backward();
    expect(p.grad!.shape).toEqual([3, 2]);
  });

  it("swaps weights and brings them back, as an exponential moving average does", () => {
    const p = new nn.Parameter(floats(1, 2));
    const optimizer = new optim.SGD([p], { lr: 0.1 });
    const shadow = floats(10, 20);
    const backup = p.data;
    p.data = shadow;
    expect([rounded(p), rounded(backup), p.mul(2).sum().item()]).toEqual([[10, 20], [1, 2], 60]);
    p.data = backup;
    expect([rounded(p), rounded(shadow)]).toEqual([
      [1, 2],
      [10, 20],
    ]);
    p.mul(p).sum().backward();
    optimizer.step();
    expect([rounded(p), rounded(backup), rounded(shadow)]).toEqual([
      [0.8, 1.6],
      [0.8, 1.6],
      [10, 20],
    ]);
  });

  it("updates parameters in a loop of one's own", () => {
    const p = new nn.Parameter(floats(1, 2));
    const q = floats(1, 2).requiresGrad_();
    for (let step = 0; step < 3; step++) {
      p.grad = q.grad = null;
      p.mul(p).sum().backward();
      q.mul(q).sum().backward();
      p.data = p.data.sub(p.grad!.data.mul(0.1));
      q.data = q.data.sub(q.grad!.data.mul(0.1));
    }
    for (const x of [p, q]) {
      expect(rounded(x)).toEqual([0.512, 1.024]);
      expect(rounded(x.grad!)).toEqual([1.28, 2.56]);
    }
  });

  it("ties parameters: both update the same memory", () => {
    const [e, d] = [new nn.Parameter(floats(1, 2)), new nn.Parameter(floats(3, 4))];
    d.data = e.data;
    const optimizer = new optim.SGD([e, d], { lr: 0.1 });
    for (let step = 0; step < 2; step++) {
      optimizer.zeroGrad();
      e.mul(2).add(d.mul(3)).sum().backward();
      optimizer.step();
    }
    expect([rounded(e), rounded(d)]).toEqual([
      [0, 1],
      [0, 1],
    ]);
  });

  it("refuses what is no tensor, and integers for what wants a gradient", () => {
    const p = new nn.Parameter(floats(1, 2));
    expect(() => (p.data = torch.tensor([1, 2]))).toThrow(
      "data set to a tensor that requires gradients must be floating point or complex dtype",
    );
    expect(() => (p.data = 3 as never)).toThrow("Variable data has to be a tensor, but got number");
    const plain = floats(1, 2);
    plain.data = torch.tensor([1, 2]);
    expect([plain.dtype, plain.tolist()]).toEqual(["int64", [1, 2]]);
  });

  it("is a tensor wherever tensors go", () => {
    const p = new nn.Parameter(floats(1, 2));
    const x = p.data;
    expect(x).toBeInstanceOf(torch.Tensor);
    expect(x).not.toBeInstanceOf(nn.Parameter);
    expect(String(x)).toBe("tensor([1., 2.])");
    expect(x.add(x).tolist()).toEqual([2, 4]);
    expect(floats(1, 1).add(x).tolist()).toEqual([2, 3]);
    expect(torch.stack([x, x]).shape).toEqual([2, 2]);
    expect(torch.tensor(x).tolist()).toEqual([1, 2]);
    expect([...x].map((one) => one.item())).toEqual([1, 2]);
    expect((data.defaultCollate([[x, 1]]) as [Tensor, Tensor])[0].shape).toEqual([1, 2]);
    expect(copy.deepcopy({ x }).x.tolist()).toEqual([1, 2]);
    expect(F.gaussianNllLoss(x, x, x).item()).toBeCloseTo(0.5 * Math.log(2) * 0.5, 5);
    const own = x.requiresGrad_();
    own.mul(2).sum().backward();
    expect([rounded(own.grad!), p.grad]).toEqual([[2, 2], null]);
  });

  it("still answers a call with the values, and warns once", () => {
    const warnings: string[] = [];
    const before = setWarningSink((message) => warnings.push(message));
    try {
      const values = floats(1, 2).data();
      expect([...floats(1, 2).data(), ...values]).toEqual([1, 2, 1, 2]);
    } finally {
      setWarningSink(before);
    }
    expect(warnings).toEqual([
      "tensor.data() is deprecated: tensor.data is a tensor. Use tensor.toTypedArray() for its values.",
    ]);
  });
});
