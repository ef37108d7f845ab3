// Methods that change a tensor's shape in place: what else shares its memory keeps its own shape and sees writes.
import { expect, test } from "vitest";
import { nn, torch, type Tensor } from "../../extension/nn/index.ts";
import { useEngine } from "../engines.ts";

useEngine("cpu");

test.each([
  ["squeeze_", [], [2, 3, 1], [2, 3]],
  ["squeeze_", [-1], [1, 3, 1], [1, 3]],
  ["squeeze_", [[0, 2]], [1, 3, 1], [3]],
  ["squeeze_", [0, 2], [1, 3, 1], [3]],
  ["unsqueeze_", [1], [2, 3], [2, 1, 3]],
  ["t_", [], [2, 3], [3, 2]],
  ["transpose_", [0, -1], [2, 3, 4], [4, 3, 2]],
  ["swapaxes_", [0, 1], [2, 3], [3, 2]],
  ["swapdims_", [0, 1], [2, 3], [3, 2]],
  ["resize_", [3, 2], [2, 3], [3, 2]],
  ["resize_", [[2, 2]], [2, 3], [2, 2]],
] as const)("%s(%j) of %j", (name, args, shape, expected) => {
  const call = (x: Tensor): Tensor =>
    (x as unknown as Record<string, (...args: readonly unknown[]) => Tensor>)[name]!(...args);
  const x = torch
    .arange(24)
    .float()
    .index(`:${shape.reduce<number>((n, d) => n * d, 1)}`)
    .reshape(shape);
  const before = x.view(-1);
  expect(call(x)).toBe(x);
  expect(x.shape).toEqual(expected);
  x.mul_(2);
  expect(before.index("0:4").tolist()).toEqual([0, 2, 4, 6].slice(0, before.numel()));
  before.zero_();
  expect(x.sum().item()).toBe(0);
});

test("a view turns, and its base keeps its shape", () => {
  const z = torch.arange(6).float();
  const v = z.view(2, 3).t_();
  v.index(0, 1).fill_(9);
  expect(v.shape).toEqual([3, 2]);
  expect(z.tolist()).toEqual([0, 1, 2, 9, 4, 5]);
  expect(v.isContiguous()).toBe(false);
  expect(v.stride()).toEqual([1, 3]);
});

test("gradients pass through a turned tensor and writes to it", () => {
  const w = torch.tensor([[1, 2, 3]], { dtype: torch.float32, requiresGrad: true });
  const y = w.mul(2);
  y.squeeze_().unsqueeze_(1);
  y.mul_(torch.tensor([[1], [2], [3]]));
  y.pow(2).sum().backward();
  expect(w.grad!.tolist()).toEqual([[8, 64, 216]]);
  expect(() => w.t_()).toThrow("a leaf Variable that requires grad is being used in an in-place operation.");
  expect(() => w.resize_(3)).toThrow("cannot resize variables that require grad");
  torch.noGrad(() => w.t_());
  expect(w.shape).toEqual([3, 1]);
});

test("views of a tensor whose data was assigned see each other's writes", () => {
  const x = torch.zeros(2, 2);
  const [row, flat] = [x.index(0), x.view(4)];
  x.data = torch.ones(3);
  row.fill_(7);
  expect(flat.tolist()).toEqual([7, 7, 0, 0]);
});

test("a buffer and a parameter turn", () => {
  class Net extends nn.Module {
    readonly scale = new nn.Parameter(torch.ones(2, 3));
    declare steps: Tensor;
    constructor() {
      super();
      this.registerBuffer("steps", torch.tensor([1, 2]));
    }
  }
  const net = new Net();
  net.steps.unsqueeze_(0);
  torch.noGrad(() => net.scale.t_());
  net.steps.add_(1);
  expect(net.steps.tolist()).toEqual([[2, 3]]);
  expect(net.scale.shape).toEqual([3, 2]);
  net.scale.sum().backward();
  expect(net.scale.grad!.shape).toEqual([3, 2]);
});

test("a larger size adds zeros", () => {
  const x = torch.tensor([1, 2, 3]);
  expect(x.resize_(2, 2).tolist()).toEqual([
    [1, 2],
    [3, 0],
  ]);
  expect(x.resizeAs_(torch.ones(2)).tolist()).toEqual([1, 2]);
  expect(() => torch.zeros(2, 2, 2).t_()).toThrow(
    "t_() expects a tensor with <= 2 dimensions, but self is 3D",
  );
});

test("random_ draws what randint draws", () => {
  torch.manualSeed(3);
  const expected = torch.randint(2, 9, [5]).tolist();
  torch.manualSeed(3);
  expect(torch.empty(5, { dtype: torch.int64 }).random_(2, 9).tolist()).toEqual(expected);
  torch.manualSeed(3);
  expect(torch.zeros(5).random_({ from: 2, to: 9 }).tolist()).toEqual(expected);
  expect(torch.zeros(100).random_(3).max().item()).toBeLessThanOrEqual(2);
  expect(() => torch.tensor([1]).random_()).toThrow("int64 values must fit into 32 bits");
});

test("constructors of types that are missing say what to use", () => {
  expect(() => torch.IntTensor([1, 2])).toThrow("int32 is not available");
  expect(() => new torch.DoubleTensor(2, 3)).toThrow("float64 is not available");
});

test("a full SVD's vectors are orthonormal, and gradients pass through the values", () => {
  for (const shape of [
    [2, 3, 5],
    [5, 3],
    [4, 4],
  ]) {
    const a = torch.randn(shape, { requiresGrad: true });
    const { U, S, Vh } = torch.linalg.svd(a);
    const [m, n] = shape.slice(-2) as [number, number];
    const k = Math.min(m, n);
    const close = (x: Tensor, y: Tensor): void => expect(x.allclose(y, { atol: 1e-5 })).toBe(true);
    close(U.matmul(U.mT), torch.eye(m).expand(U.shape));
    close(Vh.mT.matmul(Vh), torch.eye(n).expand(Vh.shape));
    close(
      U.narrow(-1, 0, k)
        .mul(S.unsqueeze(-2))
        .matmul(Vh.narrow(-2, 0, k)),
      a,
    );
    S.sum().backward();
    expect(a.grad!.shape).toEqual(shape);
    expect(torch.svd(a.detach(), { some: false }).V.shape.at(-1)).toBe(n);
  }
  const { Q, R } = torch.linalg.qr(torch.randn(5, 3), { mode: "complete" });
  expect([Q.shape, R.shape]).toEqual([
    [5, 5],
    [5, 3],
  ]);
});
