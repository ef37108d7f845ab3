import { describe, expect, expectTypeOf, test } from "vitest";
import { nn, torch, type Tensor, F } from "../../../extension/nn/index.ts";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { Node } from "../../../extension/tensor/recording/graph.ts";
import { useEngine } from "../../engines.ts";
import { modulesOf, Net } from "./nets.ts";

useEngine("cpu");

describe("calls", () => {
  test("a module is a function typed by its forward", () => {
    const net = new Net();
    expect(typeof net).toBe("function");
    expect(net).toBeInstanceOf(Net);
    expect(net(torch.zeros(5, 4)).shape).toEqual([5, 2]);
    expectTypeOf(net).parameters.toEqualTypeOf<[x: Tensor]>();
    expectTypeOf(net).returns.toEqualTypeOf<Tensor>();
  });

  test("a function's own name and length are free for fields", () => {
    class Named extends nn.Module {
      title = "x";
      forward(): number {
        return 1;
      }
    }
    expect(Object.keys(new Named())).toEqual(["title"]);
    expect(Object.getOwnPropertyNames(new Named())).toEqual(["title"]);
  });

  test("nodes know the path of their module; results of the outermost call and what hooks see are kept", () => {
    const net = new Net();
    const y = net(torch.zeros(5, 4));
    expect(modulesOf(y)).toEqual(["", "act", "fc1", "fc2"]);
    expect(y.value.visible).toBe(true);
    expect((y.value.producer as Node).inputs.map(({ visible }) => visible)).toContain(false);
    let inner: Tensor | undefined;
    net.fc1.registerForwardHook((_, __, output) => void (inner = output as Tensor));
    net(torch.zeros(5, 4));
    expect(inner!.value.visible).toBe(true);
  });

  test("paths follow the model that is called", () => {
    const net = new Net();
    expect(modulesOf(net.fc1(torch.zeros(1, 4)))).toEqual([""]);
    expect(modulesOf(new nn.Sequential(net)(torch.zeros(1, 4)))).toEqual(["0", "0.act", "0.fc1", "0.fc2"]);
    expect(modulesOf(net(torch.zeros(1, 4)))).toEqual(["", "act", "fc1", "fc2"]);
  });

  test("a module in a plain array is named by its class", () => {
    class Hidden extends nn.Module {
      layers = [new nn.Linear(4, 4)];
      forward(x: Tensor): Tensor {
        return this.layers[0]!(x);
      }
    }
    expect(modulesOf(new Hidden()(torch.zeros(1, 4)))).toEqual(["Linear"]);
    expect(new Hidden().parameters()).toEqual([]);
  });

  test("an error names the module and leaves the scope clean", () => {
    const net = new Net();
    const wrong = torch.zeros(5, 7);
    expect(() => net(wrong)).toThrow("addmm: mat1 and mat2 shapes cannot be multiplied (5x7 and 4x3)");
    expect(modulesOf(net(torch.zeros(5, 4)))).toContain("fc1");
  });

  test("hooks see and replace input and output, until removed", () => {
    const net = new nn.Linear(2, 2);
    const before = net.registerForwardPreHook(() => [torch.zeros(3, 2)]);
    const after = net.registerForwardHook((_, input, output) => [input.length, output]);
    const [count, output] = net(torch.zeros(1, 2)) as unknown as [number, Tensor];
    expect([count, output.shape]).toEqual([1, [3, 2]]);
    before.remove();
    after.remove();
    expect(net(torch.zeros(1, 2)).shape).toEqual([1, 2]);
  });
});

describe("members", () => {
  test("parameters, children and modules in the order of declaration", () => {
    const net = new Net();
    expect(net.namedParameters().map(([name]) => name)).toEqual([
      "scale",
      "fc1.weight",
      "fc1.bias",
      "fc2.weight",
      "fc2.bias",
    ]);
    expect(net.namedModules().map(([name]) => name)).toEqual(["", "fc1", "act", "fc2"]);
    expect(net.parameters(false).map((p) => p === net.scale)).toEqual([true]);
  });

  test("a shared module counts once, under its first name", () => {
    const shared = new nn.Linear(2, 2);
    const net = new nn.Sequential(shared, shared);
    expect(net.parameters()).toHaveLength(2);
    expect(net.children()).toEqual([shared]);
    expect([...net.stateDict().keys()]).toEqual(["0.weight", "0.bias", "1.weight", "1.bias"]);
  });

  test("train, eval, requiresGrad_, zeroGrad and apply reach everything", () => {
    const net = new Net();
    net.eval();
    expect(net.modules().map((m) => m.training)).toEqual([false, false, false, false]);
    net.requiresGrad_(false);
    expect(net.parameters().some((p) => p.requiresGrad)).toBe(false);
    net.train().requiresGrad_();
    net(torch.ones(1, 4)).sum().backward();
    expect(net.fc2.weight.grad).not.toBeNull();
    net.zeroGrad();
    expect(net.fc2.weight.grad).toBeNull();
    const names: string[] = [];
    net.apply((m) => void names.push(m.constructor.name));
    expect(names).toEqual(["Linear", "ReLU", "Linear", "Net"]);
  });

  test("buffers are saved unless they are not persistent, and names are checked", () => {
    const net = new nn.Identity();
    net.registerBuffer("runningMean", torch.zeros(2));
    net.registerBuffer("scratch", torch.zeros(1), { persistent: false });
    expect([...net.stateDict().keys()]).toEqual(["running_mean"]);
    expect(net.namedBuffers().map(([name]) => name)).toEqual(["running_mean", "scratch"]);
    expect(() => net.registerBuffer("a.b", null)).toThrow(`buffer name can't contain "."`);
    expect(() => net.registerModule("scratch", null)).toThrow("attribute 'scratch' already exists");
  });

  test("a name registered without a module prints None", () => {
    const net = new nn.Sequential(new nn.ReLU());
    net.registerModule("skip", null);
    expect(String(net)).toBe("Sequential(\n  (0): ReLU()\n  (skip): None\n)");
  });

  test("there is one device and one type", () => {
    const net = new Net();
    expect(net.to("cpu")).toBe(net);
    expect(() => net.to("cuda")).toThrow(TensorError);
  });
});

describe("PyTorch's calling convention", () => {
  test("any parameter after the first ones by position may be given by name, in the types too", () => {
    const shapes = [
      new nn.Conv2d(1, 2, { kernelSize: 3, padding: 1 }),
      new nn.Conv2d(1, 2, 3, 1, 1, { bias: false }),
      new nn.Conv1d(1, { outChannels: 2, kernelSize: 3 }),
      new nn.ConvTranspose2d(1, 2, 4, 1, 0, { bias: false }),
      new nn.Linear(1, { outFeatures: 2 }),
      new nn.GroupNorm(1, { numChannels: 2 }),
      new nn.LSTM(1, { hiddenSize: 2 }),
      new nn.GRUCell(1, { hiddenSize: 2 }),
      new nn.Embedding(1, { embeddingDim: 2 }),
      new nn.MultiheadAttention(2, { numHeads: 1 }),
      new nn.TransformerEncoder(new nn.TransformerEncoderLayer(4, 2, { batchFirst: true }), { numLayers: 1 }),
    ].map((module) => module.parameters()[0]!.shape);
    expect(shapes.map((shape) => shape.join())).toEqual([
      "2,1,3,3",
      "2,1,3,3",
      "2,1,3",
      "1,2,4,4",
      "2,1",
      "2",
      "8,1",
      "6,1",
      "1,2",
      "6,2",
      "12,4",
    ]);
    expect(new nn.MaxPool2d({ kernelSize: 2 })(torch.zeros(1, 4, 4)).shape).toEqual([1, 2, 2]);
    expect(new nn.AvgPool2d({ kernelSize: 2 })(torch.zeros(1, 4, 4)).shape).toEqual([1, 2, 2]);
    // @ts-expect-error -- no parameter has this name
    expect(() => new nn.Conv2d(1, 2, { kernel: 3 })).toThrow("unexpected keyword argument 'kernel'");
    // @ts-expect-error -- a kernel's size has no default
    expect(() => new nn.Conv2d(1, 2, { padding: 1 })).toThrow(/missing.*'kernelSize'/);
  });

  test("by position, by name, or both", () => {
    const texts = [
      new nn.Conv2d(1, 4, 3, { stride: 2, padding: 1 }),
      new nn.Conv2d(1, 4, 3, 2, 1),
      new nn.Conv2d(1, 4, 3, 2, { padding: 1 }),
      new nn.Conv2d({ inChannels: 1, outChannels: 4, kernelSize: 3, stride: 2, padding: 1 }),
    ].map(String);
    expect(new Set(texts)).toEqual(
      new Set(["Conv2d(1, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))"]),
    );
    expect([...F.leakyRelu(torch.tensor([-1.5]), 0.5).toTypedArray()]).toEqual([-0.75]);
    expect([...F.leakyRelu(torch.tensor([-1.5]), { negativeSlope: 0.5 }).toTypedArray()]).toEqual([-0.75]);
  });

  test("mistakes are named", () => {
    const Linear = nn.Linear as unknown as new (...args: unknown[]) => unknown;
    expect(() => new Linear(1)).toThrow("Linear() missing 1 required positional argument: 'outFeatures'");
    expect(() => new Linear(1, 2, { biass: false })).toThrow(
      "Linear() got an unexpected keyword argument 'biass'",
    );
    expect(() => new Linear(1, 2, true, 4)).toThrow(
      "Linear() takes from 2 to 3 positional arguments but 4 were given",
    );
    expect(() => new Linear(1, 2, { inFeatures: 3 })).toThrow(
      "Linear() got multiple values for argument 'inFeatures'",
    );
  });
});

test("a module without a class of its own holds others, but can't be called", () => {
  const bare = new nn.Module();
  bare.registerBuffer("noise", torch.ones(2));
  const middle = Object.assign(new nn.Module(), { fc: new nn.Linear(2, 3), bare });
  expect([...middle.stateDict().keys()]).toEqual(["fc.weight", "fc.bias", "bare.noise"]);
  expect(String(middle)).toBe(
    "Module(\n  (fc): Linear(in_features=2, out_features=3, bias=True)\n  (bare): Module()\n)",
  );
  expect(() => middle(torch.ones(2))).toThrow('Module [Module] is missing the required "forward" function');
});

test("flags go by name, too: a parameter's requiresGrad, a module's mode", () => {
  const x = torch.ones(2);
  expect(new nn.Parameter(x, { requiresGrad: false }).requiresGrad).toBe(false);
  expect(new nn.Parameter(x, {}).requiresGrad).toBe(true);
  expect(new nn.Parameter({ data: x, requiresGrad: false }).tolist()).toEqual([1, 1]);
  expect(new nn.Parameter({ data: x }).requiresGrad).toBe(true);
  expect(torch.ones(2).requiresGrad_({ requiresGrad: false }).requiresGrad).toBe(false);
  const net = new nn.Sequential(new nn.Linear(1, 1), new nn.Dropout());
  net.train({ mode: false });
  expect([net.training, net[1].training]).toEqual([false, false]);
  net.requiresGrad_({ requiresGrad: false });
  expect([...net.parameters()].map((p) => p.requiresGrad)).toEqual([false, false]);
});

test("a vocabulary that a module keeps is not listed at each call", () => {
  let reads = 0;
  const vocabulary = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`token ${i}`, i]));
  Object.defineProperty(vocabulary, "counted", { enumerable: true, get: () => ++reads });
  class Tokenizer {
    vocabulary = vocabulary;
  }
  class Model extends nn.Module {
    fc = new nn.Linear(2, 2);
    tokens = vocabulary;
    tokenizer = new Tokenizer();

    forward(x: Tensor): Tensor {
      return this.fc(x);
    }
  }
  const model = new Model();
  for (let i = 0; i < 5; i++) model(torch.ones(1, 2));
  expect(reads).toBeLessThan(2);
});
