// Lines that PyTorch's tutorials and repositories have around their models.
import { beforeEach, describe, expect, test } from "vitest";
import { data, nn, optim, torch } from "../../extension/nn/index.ts";
import { setWarningSink } from "../../extension/nn/warnings.ts";
import { useEngine } from "../engines.ts";

useEngine("cpu");
beforeEach(() => {
  setWarningSink(() => undefined);
});

describe("enumerate", () => {
  test("of a loader makes each batch when it is its turn", () => {
    const asked: number[] = [];
    const set = Object.assign(Object.create(data.Dataset.prototype) as data.Dataset<number>, {
      length: 4,
      get: (index: number) => (asked.push(index), index),
    });
    const loader = new data.DataLoader(set, 2, false);
    for (const [i, batch] of loader.entries()) {
      expect(asked).toHaveLength(2 * (i + 1));
      expect(batch.tolist()).toEqual([2 * i, 2 * i + 1]);
    }
  });

  test("of layers, and the names of a dict of layers", () => {
    const layers = new nn.Sequential(new nn.ReLU(), new nn.Tanh());
    expect([...layers.entries()].map(([i, layer]) => `${i} ${layer.constructor.name}`)).toEqual([
      "0 ReLU",
      "1 Tanh",
    ]);
    const heads = new nn.ModuleDict({ label: new nn.Linear(1, 1), value: new nn.Linear(1, 1) });
    expect([...heads]).toEqual(["label", "value"]);
  });
});

test("x.type() as in the quickstart", () => {
  const right = torch.tensor([1, 2]).eq(torch.tensor([1, 3]));
  expect(right.type(torch.float).sum().item()).toBe(1);
  expect(right.type(torch.LongTensor).dtype).toBe("int64");
  expect(right.type("torch.FloatTensor").dtype).toBe("float32");
  expect([right.type(), right.float().type(), right.long().type()]).toEqual([
    "torch.BoolTensor",
    "torch.FloatTensor",
    "torch.LongTensor",
  ]);
  expect(() => right.type("float64" as never)).toThrow("float64");
});

test("tensors of lists that have tensors and typed arrays in them", () => {
  const losses = [torch.tensor(2).float(), torch.tensor([0.5])];
  expect(torch.tensor(losses).tolist()).toEqual([2, 0.5]);
  expect(torch.tensor([torch.tensor(2).float()]).dtype).toBe("float32");
  expect(torch.asTensor([torch.tensor(2), 3]).dtype).toBe("int64");
  expect(torch.tensor([torch.tensor(true), torch.tensor(false)]).dtype).toBe("bool");
  const rows = torch.tensor([new Float32Array([1, 2]), new Float32Array([3, 4])]);
  expect([rows.dtype, rows.tolist()]).toEqual([
    "float32",
    [
      [1, 2],
      [3, 4],
    ],
  ]);
  expect(() => torch.tensor([torch.zeros(2)])).toThrow(
    "only one element tensors can be converted to Python scalars",
  );
  expect(() => torch.tensor([new Float32Array(2), new Float32Array(3)])).toThrow(
    "expected sequence of length 2 at dim 1 (got 3)",
  );
});

test("a generator for a device, and a forked one", () => {
  const generator = new torch.Generator({ device: "cpu" }).manualSeed(0);
  expect(new torch.Generator("cpu").manualSeed(0).initialSeed()).toBe(generator.initialSeed());
  expect(() => new torch.Generator("cuda")).toThrow("Torch not compiled with CUDA enabled");
  torch.random.manualSeed(3);
  const first = torch.rand(2).tolist();
  torch.random.manualSeed(3);
  const inside = torch.random.forkRng(() => torch.rand(2).tolist());
  expect(inside).toEqual(first);
  expect(torch.rand(2).tolist()).toEqual(first);
});

test("lines for GPUs behind torch.cuda.isAvailable()", () => {
  expect([torch.cuda.memoryAllocated(0), torch.cuda.maxMemoryAllocated("cuda:0")]).toEqual([0, 0]);
  torch.cuda.resetPeakMemoryStats();
  expect(() => torch.cuda.getDeviceName(0)).toThrow("Torch not compiled with CUDA enabled");
});

test("masks of a transformer, of the class and of an instance", () => {
  const transformer = new nn.Transformer({ dModel: 4, nhead: 1, dimFeedforward: 4 });
  const mask = nn.Transformer.generateSquareSubsequentMask(2, { device: "cpu" });
  expect(transformer.generateSquareSubsequentMask(2).tolist()).toEqual(mask.tolist());
});

describe("torch.testing.assertClose", () => {
  const { assertClose } = torch.testing;

  test("lets close values pass", () => {
    assertClose(torch.tensor([1, 2]).div(3), torch.tensor([1 / 3, 2 / 3]));
    assertClose([1, 2], [1, 2]);
    assertClose(torch.tensor([NaN, Infinity]), torch.tensor([NaN, Infinity]), { equalNan: true });
    assertClose(torch.zeros(0), torch.zeros(0));
    assertClose([1, 2], [1.25, 2], { checkDtype: false, atol: 0.5 });
  });

  test.each([
    [
      [1, 2, 3.5],
      [1, 2.5, 3],
      "Tensor-likes are not close!\n\nMismatched elements: 2 / 3 (66.7%)\nGreatest absolute difference: 0.5 at index (1,)",
    ],
    [
      [[1.5], [2.5]],
      [[1.5], [2.25]],
      "Greatest absolute difference: 0.25 at index (1, 0) (up to 0.00001 allowed)",
    ],
    [1.5, 2.5, "Scalars are not close!\n\nExpected 2.5 but got 1.5."],
    [[NaN, 1.5], [NaN, 1.5], "Mismatched elements: 1 / 2 (50.0%)"],
    [[1, 2], [1.5, 2], "The values for attribute 'dtype' do not match: torch.int64 != torch.float32."],
    [[1, 2], [1, 2, 3], "The values for attribute 'shape' do not match: torch.Size([2]) != torch.Size([3])."],
  ])("refuses %j for %j", (actual, expected, message) => {
    expect(() => assertClose(actual, expected)).toThrow(message);
  });
});

test("sizes count dimensions from the end", () => {
  const { shape } = torch.zeros(2, 3, 4);
  expect([shape[-1], shape[-2], shape[-3], shape[-4]]).toEqual([4, 3, 2, undefined]);
  expect([Object.keys(shape), JSON.stringify(shape), torch.zeros(5).shape[-1]]).toEqual([
    ["0", "1", "2"],
    "[2,3,4]",
    5,
  ]);
});

test("arguments by position and options of an implementation type-check", () => {
  const layers = new nn.Sequential(new nn.ReLU(), new nn.Linear(1, 1));
  expect(layers.at(-1).weight.shape).toEqual([1, 1]);
  const optimizer = new optim.AdamW(layers.parameters(), { lr: 0.1, fused: true });
  expect(new optim.SGD(layers.parameters(), { lr: 0.1, foreach: false }).paramGroups).toHaveLength(1);
  expect(new optim.lrScheduler.OneCycleLR(optimizer, 0.1, 20).totalSteps).toBe(20);
  expect(new optim.lrScheduler.ReduceLROnPlateau(optimizer, "min", 0.5, 5).patience).toBe(5);
  expect(new data.DataLoader([1, 2, 3], 2, true).length).toBe(2);
});

describe("torch.compile", () => {
  const options = { mode: "max-autotune", fullgraph: true, dynamic: false, backend: "inductor" } as const;

  test("returns the module or function itself, also as a decorator", () => {
    const model = new nn.Sequential(new nn.Linear(2, 1));
    const double = (x: number): number => 2 * x;
    expect(torch.compile(model)).toBe(model);
    expect(torch.compile(model, options)).toBe(model);
    expect(torch.compile(double, { options: { "triton.cudagraphs": true }, disable: true })).toBe(double);
    expect(torch.compile(options)(double)(4)).toBe(8);
    expect(torch.compile()(model)).toBe(model);
    expect([...torch.compile(model).stateDict().keys()]).toEqual(["0.weight", "0.bias"]);
    expect(model.compile(options)).toBeUndefined();
  });

  test("refuses what PyTorch refuses", () => {
    const model = new nn.ReLU();
    expect(() => torch.compile(5 as never)).toThrow(
      "A callable function is expected, but number is provided.",
    );
    expect(() => torch.compile(torch.ones(1) as never)).toThrow(
      "A callable function is expected, but Tensor",
    );
    expect(() => torch.compile({})(5 as never)).toThrow("A callable function is expected");
    expect(() => torch.compile({})(null as never)).toThrow("Model can't be None");
    expect(() => torch.compile(model, { mode: "default", options: {} })).toThrow("Either mode or options");
    expect(() => torch.compile(model, { fast: true } as never)).toThrow(
      "compile() got an unexpected keyword argument 'fast'",
    );
    expect(() => model.compile({ fast: true } as never)).toThrow("unexpected keyword argument 'fast'");
  });
});
