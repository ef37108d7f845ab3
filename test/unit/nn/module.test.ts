import { describe, expect, expectTypeOf, test } from "vitest";
import { copy, data, F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { Node } from "../../../extension/tensor/recording/graph.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

class Net extends nn.Module {
  fc1 = new nn.Linear(4, 3);
  act = new nn.ReLU();
  scale = new nn.Parameter(torch.ones(3));
  fc2 = new nn.Linear(3, 2);

  forward(x: Tensor): Tensor {
    return this.fc2(this.act(this.fc1(x)).mul(this.scale));
  }
}

class Block extends nn.Module {
  static override stateDictNames: nn.StateDictNames = "snake_case";
  lnOne = new nn.LayerNorm(2);
  cAttn = new nn.Linear(2, 2, { bias: false });

  constructor() {
    super();
    this.registerBuffer("causalMask", torch.ones(2));
  }

  forward(x: Tensor): Tensor {
    return this.cAttn(this.lnOne(x));
  }
}

class Gpt extends nn.Module {
  static override stateDictNames = { tokEmb: "wte", lmHead: "lm_head" };
  tokEmb = new nn.Embedding(3, 2);
  blocks = new nn.ModuleList([new Block()]);
  lmHead = new nn.Linear(2, 3, { bias: false });
  scale = new nn.Parameter(torch.ones(1));

  forward(x: Tensor): Tensor {
    return this.lmHead(this.blocks.get(0)(this.tokEmb(x))).mul(this.scale);
  }
}

describe("fields under other names in state dicts", () => {
  const NAMES = [
    "scale",
    "wte.weight",
    "blocks.0.causal_mask",
    "blocks.0.ln_one.weight",
    "blocks.0.ln_one.bias",
    "blocks.0.c_attn.weight",
    "lm_head.weight",
  ];

  test("state dict, parameters, printed text and paths agree", () => {
    const net = new Gpt();
    expect([...net.stateDict().keys()]).toEqual(NAMES);
    const parameters = net.namedParameters().map(([name]) => name);
    expect(parameters).toEqual(NAMES.filter((name) => !name.includes("mask")));
    expect(net.toString()).toContain("(wte): Embedding(3, 2)");
    expect(net.toString()).toContain("(c_attn): Linear(");
    expect(net.getSubmodule("blocks.0.c_attn")).toBe(net.blocks.get(0).cAttn);
    expect(net.getParameter("lm_head.weight")).toBe(net.lmHead.weight);
    expect(modulesOf(net(torch.tensor([1])))).toContain("blocks.0.c_attn");
  });

  test("weights of PyTorch's names are loaded and assigned, and a subclass inherits the names", () => {
    class Twin extends Gpt {}
    const [net, twin] = [new Gpt(), new Twin()];
    expect(String(twin.loadStateDict(net.stateDict()))).toBe("<All keys matched successfully>");
    expect(twin.lmHead.weight.tolist()).toEqual(net.lmHead.weight.tolist());
    const weight = torch.ones(3, 2);
    twin.loadStateDict(new Map([["wte.weight", weight]]), { strict: false, assign: true });
    expect(twin.tokEmb.weight.tolist()).toEqual(weight.tolist());
    twin.setSubmodule("lm_head", new nn.Linear(2, 3, { bias: false }));
    expect(twin.lmHead.weight.tolist()).not.toEqual(net.lmHead.weight.tolist());
  });

  test("an error over another spelling says what to declare; two fields of one name are refused", () => {
    class Camel extends nn.Module {
      lnOne = new nn.LayerNorm(2);
      forward(x: Tensor): Tensor {
        return this.lnOne(x);
      }
    }
    const state = { "ln_one.weight": torch.ones(2), "ln_one.bias": torch.ones(2) };
    let error: unknown;
    try {
      new Camel().loadStateDict(state);
    } catch (caught) {
      error = caught;
    }
    expect((error as TensorError).hint).toContain('static stateDictNames = "snake_case"');
    class Twice extends nn.Module {
      static override stateDictNames = { one: "same", two: "same" };
      one = new nn.Parameter(torch.ones(1));
      two = new nn.Parameter(torch.ones(1));
      forward(): void {}
    }
    expect(() => new Twice().stateDict()).toThrow('two fields have the name "same" in the state dict');
  });
});

/** Names of the modules that recorded the nodes of a graph. */
function modulesOf(t: Tensor): string[] {
  const seen = new Set<Node>();
  const visit = (producer: unknown): void => {
    if (!(producer instanceof Node) || seen.has(producer)) return;
    seen.add(producer);
    for (const input of producer.inputs) visit(input.producer);
  };
  visit(t.value.producer);
  return [...new Set([...seen].map((node) => node.module))].sort();
}

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

describe("state dicts", () => {
  test("a state dict follows the model, its copies don't", () => {
    const net = new nn.Linear(1, 1);
    const state = net.stateDict();
    const kept = state.get("weight")!.clone();
    nn.init.constant_(net.weight, 3);
    expect(state.get("weight")!.item()).toBe(3);
    expect(kept.item()).not.toBe(3);
    expect(state.get("weight")!.requiresGrad).toBe(false);
  });

  test("loading copies: the source may change afterwards", () => {
    const [a, b] = [new Net(), new Net()];
    expect(String(b.loadStateDict(a.stateDict()))).toBe("<All keys matched successfully>");
    const before = [...a.fc1.weight.toTypedArray()];
    nn.init.zeros_(a.fc1.weight);
    expect([...b.fc1.weight.toTypedArray()]).toEqual(before);
  });

  test("every mistake is reported at once, in PyTorch's words, and nothing is changed", () => {
    const net = new nn.Sequential(new nn.Linear(2, 3));
    const bias = [...net[0].bias!.toTypedArray()];
    const state = {
      "0.bias": torch.ones(4),
      weight: torch.ones(1),
      "0.extra": torch.ones(1),
      "1.weight": torch.ones(1),
    };
    expect(() => net.loadStateDict(state)).toThrow(
      new TensorError(
        "value",
        'Error(s) in loading state_dict for Sequential:\n\tMissing key(s) in state_dict: "0.weight". \n\tUnexpected key(s) in state_dict: "weight", "1.weight", "0.extra". \n\tsize mismatch for 0.bias: copying a param with shape torch.Size([4]) from checkpoint, the shape in current model is torch.Size([3]).',
      ),
    );
    expect([...net[0].bias!.toTypedArray()]).toEqual(bias);
  });

  test("without strict, keys may differ but shapes may not", () => {
    const net = new nn.Linear(2, 3);
    const report = net.loadStateDict({ bias: torch.ones(3), other: torch.ones(1) }, { strict: false });
    expect(String(report)).toBe("_IncompatibleKeys(missing_keys=['weight'], unexpected_keys=['other'])");
    expect([...net.bias!.toTypedArray()]).toEqual([1, 1, 1]);
    expect(() => net.loadStateDict({ bias: torch.ones(2) }, { strict: false })).toThrow(
      "size mismatch for bias",
    );
  });

  test("a computed initial value waits with the parameter, also when a step fails before it is there", () => {
    const net = new nn.Linear(2, 3);
    net.weight = new nn.Parameter(torch.ones(3, 2).mul(2));
    const optimizer = new optim.SGD(net.parameters(), { lr: 1 });
    const loss = new nn.CrossEntropyLoss();
    const step = (target: Tensor): void => {
      optimizer.zeroGrad();
      loss(net(torch.zeros(1, 2)), target).backward();
      optimizer.step();
    };
    // Targets that are computed can't be checked before they are used.
    expect(() => step(torch.tensor([1]).mul(9))).toThrow("Target 9 is out of bounds.");
    step(torch.tensor([1]));
    expect([...net.weight.toTypedArray()]).toEqual([2, 2, 2, 2, 2, 2]);
  });

  test("integers are converted to the parameter's type", () => {
    const net = new nn.Linear(2, 1, { bias: false });
    net.loadStateDict({ weight: torch.tensor([[1, 2]]) });
    expect([net.weight.dtype, ...net.weight.toTypedArray()]).toEqual(["float32", 1, 2]);
  });

  test("loading before the first use skips drawing, and leaves the generator where PyTorch has it", () => {
    const start = (): nn.Linear => {
      torch.manualSeed(3);
      return new nn.Linear(5, 5);
    };
    start();
    const expected = torch.rand(1).item();
    const net = start();
    net.loadStateDict({ weight: torch.zeros(5, 5), bias: torch.zeros(5) });
    expect(torch.rand(1).item()).toBe(expected);
  });
});

describe("containers", () => {
  test("a part of a Sequential or a ModuleList shares its layers", () => {
    const net = new nn.Sequential(new nn.Linear(4, 3), new nn.ReLU(), new nn.Linear(3, 2));
    const part = net.slice(1);
    expect([...part]).toEqual([net[1], net[2]]);
    expect(part.toString()).toContain("(1): ReLU()");
    expect(net.slice(0, -1).children()).toEqual([net[0], net[1]]);
    expect(new nn.ModuleList([net[0], net[2]]).slice(-1).children()).toEqual([net[2]]);
  });

  test("a layer of a Sequential has the class that was given at its position", () => {
    const net = new nn.Sequential(new nn.Linear(4, 3), new nn.ReLU(), new nn.Conv2d(1, 2, 3));
    expectTypeOf(net[0]).toEqualTypeOf<nn.Linear>();
    expectTypeOf(net[2]).toEqualTypeOf<nn.Conv2d>();
  });

  test("Sequential is typed by its first and last layer, and goes where any Sequential goes", () => {
    const net = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU());
    expectTypeOf(net).returns.toEqualTypeOf<Tensor>();
    const any: nn.Sequential = net;
    expect(any(torch.zeros(1, 2)).shape).toEqual([1, 3]);
    expect(net.get(-1)).toBe(net[1]);
    expect(() => net.get(2)).toThrow("index 2 is out of range");
    expect(net.append(new nn.Linear(3, 1)).length).toBe(3);
  });

  test("names of a Sequential", () => {
    const net = new nn.Sequential({ hidden: new nn.Linear(1, 1), act: new nn.ReLU() });
    expect([...net.stateDict().keys()]).toEqual(["hidden.weight", "hidden.bias"]);
    expect([...net]).toHaveLength(2);
  });

  test("ModuleList is iterable, and refuses to be called", () => {
    const list = new nn.ModuleList([new nn.Linear(1, 1), new nn.Linear(1, 1)]);
    expectTypeOf(list.get(0)).toEqualTypeOf<nn.Linear>();
    expect([...list]).toEqual([list[0], list.get(-1)]);
    expect(() => list()).toThrow('Module [ModuleList] is missing the required "forward" function');
  });

  test("ModuleDict keeps the order in which names came", () => {
    const dict = new nn.ModuleDict(
      new Map([
        ["10", new nn.Linear(1, 1)],
        ["2", new nn.Linear(1, 1)],
      ]),
    );
    expect(dict.keys()).toEqual(["10", "2"]);
    expect([...dict.stateDict().keys()]).toEqual(["10.weight", "10.bias", "2.weight", "2.bias"]);
    expect(() => dict.get("3")).toThrow("no module is named '3'");
    expect(dict.delete("10") && dict.size).toBe(1);
  });

  test("a ModuleDict's modules are properties, to read and to replace", () => {
    const dict = new nn.ModuleDict({ fc: new nn.Linear(2, 3), act: new nn.ReLU(), keys: new nn.Tanh() });
    expectTypeOf(dict.fc).toEqualTypeOf<nn.Linear>();
    expect(dict.fc).toBe(dict.get("fc"));
    const other = new nn.Linear(2, 3);
    dict.fc = other;
    expect([dict.get("fc"), dict.items()[0]![1]]).toEqual([other, other]);
    const twin = copy.deepcopy(dict);
    expect(twin.fc).toBe(twin.get("fc"));
    expect(twin.fc).not.toBe(other);
    // A name that the class itself has stays the class's.
    expect([...(dict as unknown as nn.ModuleDict).keys()]).toEqual(["fc", "act", "keys"]);
    dict.delete("fc");
    expect(dict.fc).toBeUndefined();
    expect([...dict.stateDict().keys()]).toEqual([]);
  });

  test("torch holds its submodules", () => {
    expect([torch.nn, torch.optim, torch.utils.data]).toEqual([nn, optim, data]);
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
