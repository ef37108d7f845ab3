import { afterEach, expect, test } from "vitest";
import { nn, torch, type Tensor } from "../../extension/nn/index.ts";
import { useEngine } from "../engines.ts";

useEngine("cpu");
afterEach(() => torch.setGradEnabled(true));

const seeded = (draw: () => Tensor): unknown => {
  torch.manualSeed(5);
  const t = draw();
  return [t.dtype, t.tolist()];
};

test("random tensors like another draw what ones of its shape draw", () => {
  const x = torch.zeros(2, 3);
  expect(seeded(() => torch.randLike(x))).toEqual(seeded(() => torch.rand(2, 3)));
  expect(seeded(() => torch.randnLike(x))).toEqual(seeded(() => torch.randn(2, 3)));
  expect(seeded(() => torch.randintLike(x, 2, 9))).toEqual(
    seeded(() => torch.randint(2, 9, [2, 3], { dtype: "float32" })),
  );
});

test("tensors without values have a shape and a type", () => {
  expect([torch.empty(2, 3).shape, torch.empty(2).dtype]).toEqual([[2, 3], "float32"]);
  const like = torch.emptyLike(torch.tensor([1, 2, 3]));
  expect([like.shape, like.dtype]).toEqual([[3], "int64"]);
});

test("linspace rounds its bounds and its step as PyTorch does", () => {
  expect(torch.linspace(0, 0.3, 10).tolist()).toEqual([
    0.0, 0.03333333507180214, 0.06666667014360428, 0.10000000894069672, 0.13333334028720856,
    0.1666666716337204, 0.20000000298023224, 0.23333334922790527, 0.2666666805744171, 0.30000001192092896,
  ]);
});

test("asTensor returns a tensor itself, and converts anything else as tensor does", () => {
  const x = torch.tensor([1.5, 2]);
  expect(torch.asTensor(x).tolist()).toEqual([1.5, 2]);
  expect(torch.asTensor([1, 2]).dtype).toBe("int64");
  expect(torch.asTensor(x, { dtype: "int64" }).tolist()).toEqual([1, 2]);
  expect([torch.isTensor(x), torch.isTensor([1, 2])]).toEqual([true, false]);
});

test("types of results: tensors over numbers, floats over integers over booleans", () => {
  const [f, i, b] = [torch.zeros(1), torch.tensor([1]), torch.tensor([true])];
  expect([torch.resultType(i, f), torch.resultType(b, i), torch.resultType(i, 2.5)]).toEqual([
    "float32",
    "int64",
    "float32",
  ]);
  expect([torch.resultType(b, 1), torch.resultType(f, 1), torch.resultType(b, true)]).toEqual([
    "int64",
    "float32",
    "bool",
  ]);
});

test("shapes after another tensor's, and powers of integers as floats", () => {
  const x = torch.arange(6);
  expect(torch.viewAs(x, torch.zeros(2, 3)).tolist()).toEqual([
    [0, 1, 2],
    [3, 4, 5],
  ]);
  expect(torch.reshapeAs(x, torch.zeros(3, 2)).shape).toEqual([3, 2]);
  const squares = torch.floatPower(x, 2);
  expect([squares.dtype, squares.tolist()]).toEqual(["float32", [0, 1, 4, 9, 16, 25]]);
});

test("gradients are switched off for a body, or until they are switched on", () => {
  const x = torch.ones(2, { requiresGrad: true });
  const wants = (): boolean => x.mul(2).requiresGrad;
  expect([
    torch.noGrad(wants),
    torch.inferenceMode(wants),
    torch.noGrad(() => torch.enableGrad(wants)),
    wants(),
  ]).toEqual([false, false, true, true]);
  expect([torch.setGradEnabled(false, wants), torch.isGradEnabled()]).toEqual([false, true]);
  torch.setGradEnabled(false);
  expect([torch.isGradEnabled(), wants()]).toEqual([false, false]);
  expect([torch.setGradEnabled(true, wants), torch.isGradEnabled()]).toEqual([true, false]);
  torch.setGradEnabled(true);
  expect([torch.isGradEnabled(), wants()]).toEqual([true, true]);
});

test("torch.Tensor, FloatTensor, LongTensor and BoolTensor take sizes or data, with new or without", () => {
  expect([new torch.Tensor(2, 3).shape, torch.Tensor(3).shape, torch.Tensor().shape]).toEqual([
    [2, 3],
    [3],
    [0],
  ]);
  expect(String(torch.Tensor([1, 2]))).toBe("tensor([1., 2.])");
  expect(String(new torch.FloatTensor([[1, 2]]))).toBe("tensor([[1., 2.]])");
  expect(String(torch.LongTensor([1.7, 2]))).toBe("tensor([1, 2])");
  expect(String(torch.BoolTensor([1, 0]))).toBe("tensor([ True, False])");
  const x = torch.ones(2, 2);
  expect(torch.Tensor(x.size()).shape).toEqual([2, 2]);
  torch.Tensor(x).fill_(7);
  expect(x.tolist()).toEqual([
    [7, 7],
    [7, 7],
  ]);
  expect(x).toBeInstanceOf(torch.Tensor);
  expect(() => torch.Tensor(1.5)).toThrow("new(): data must be a sequence (got float)");
  expect(() => torch.LongTensor(x)).toThrow("expected TensorOptions(dtype=long");
});

test("results of several values have PyTorch's text", () => {
  const x = torch
    .tensor([
      [1, 3],
      [4, 2],
    ])
    .float();
  const text = (name: string, values: string, indices: string): string =>
    `torch.return_types.${name}(\nvalues=tensor(${values}),\nindices=tensor(${indices}))`;
  expect(String(x.max(1))).toBe(text("max", "[3., 4.]", "[1, 0]"));
  expect(String(x.min(0))).toBe(text("min", "[1., 2.]", "[0, 1]"));
  expect(String(x.median(0))).toBe(text("median", "[1., 2.]", "[0, 1]"));
  expect(String(x.mode())).toBe(text("mode", "[1., 2.]", "[0, 1]"));
  expect(String(x.kthvalue(1))).toBe(text("kthvalue", "[1., 2.]", "[0, 1]"));
  expect(String(x.index(0).sort())).toBe(text("sort", "[1., 3.]", "[0, 1]"));
  expect(String(x.index(0).topk(1))).toBe(text("topk", "[3.]", "[1]"));
  expect(String(x.index(0).cummax(0))).toBe(text("cummax", "[1., 3.]", "[0, 1]"));
  expect(String(x.aminmax())).toBe("torch.return_types.aminmax(\nmin=tensor(1.),\nmax=tensor(4.))");
  expect(String(torch.linalg.slogdet(torch.eye(2)))).toBe(
    "torch.return_types.linalg_slogdet(\nsign=tensor(1.),\nlogabsdet=tensor(0.))",
  );
  expect(Object.keys(x.max(1))).toEqual(["0", "1", "values", "indices"]);
});

test("x.new makes a tensor of x's type, of sizes or data", () => {
  const x = torch.ones(2);
  expect([x.new(2, 3).shape, x.new([1, 2]).dtype, x.long().new(1).dtype]).toEqual([
    [2, 3],
    "float32",
    "int64",
  ]);
});

test("types, and settings that are remembered", () => {
  expect(torch.promoteTypes("bool", "int64")).toBe("int64");
  expect(torch.promoteTypes("int64", "float32")).toBe("float32");
  expect(torch.canCast("int64", "float32")).toBe(true);
  expect(torch.canCast("float32", "int64")).toBe(false);
  expect(torch.isNonzero(torch.tensor([0]))).toBe(false);
  expect(torch.isNonzero(torch.tensor(-0.5))).toBe(true);
  expect(() => torch.isNonzero(torch.ones(2))).toThrow(
    "Boolean value of Tensor with more than one value is ambiguous",
  );
  expect(torch.getFloat32MatmulPrecision()).toBe("highest");
  torch.setFloat32MatmulPrecision("high");
  expect(torch.getFloat32MatmulPrecision()).toBe("high");
  torch.setFloat32MatmulPrecision("highest");
  const before = torch.getNumThreads();
  torch.setNumThreads(3);
  expect(torch.getNumThreads()).toBe(3);
  torch.setNumThreads(before);
});

test("a template text has the number of a tensor without dimensions, as an f-string", () => {
  // JavaScript asks for the same text in both.
  const text = (x: Tensor): string => String(x);
  const loss = torch.tensor(0.123456789, { requiresGrad: true }).mul(2);
  expect([loss, torch.tensor(3), torch.tensor(3).float(), torch.tensor(true)].map(text)).toEqual([
    "0.2469135820865631",
    "3",
    "3.0",
    "True",
  ]);
  expect([1e-7, 1e20, NaN].map((x) => text(torch.tensor(x)))).toEqual([
    "1.0000000116860974e-07",
    "1.0000000200408773e+20",
    "nan",
  ]);
  expect(text(torch.tensor([1, 2]))).toBe("tensor([1, 2])");
  expect(text(new nn.Parameter(torch.tensor(2.5)))).toBe(
    "Parameter containing:\ntensor(2.5000, requires_grad=True)",
  );
  expect(loss.toString()).toBe("tensor(0.2469, grad_fn=<MulBackward0>)");
});
