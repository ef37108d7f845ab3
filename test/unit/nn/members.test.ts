import { describe, expect, expectTypeOf, test } from "vitest";
import { copy, nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

class Net extends nn.Module {
  body = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU());
  again = this.body;
  dict = new nn.ModuleDict({ "0": new nn.Linear(3, 1) });
  parts = new nn.ParameterList([torch.ones(2, 3), torch.zeros(4)]);
  named = new nn.ParameterDict({ b: torch.ones(2), a: torch.ones(3) });
  title = "x";

  constructor() {
    super();
    this.registerBuffer("count", torch.zeros(2));
    this.registerBuffer("scratch", torch.zeros(1), { persistent: false });
  }

  forward(x: Tensor): Tensor {
    return this.body(x);
  }
}

describe("paths", () => {
  test("lead to modules, parameters and buffers", () => {
    const net = new Net();
    expect(net.getSubmodule("")).toBe(net);
    expect(net.getSubmodule("body.0")).toBe(net.body.get(0));
    expect(net.getSubmodule("dict.0")).toBe(net.dict.get("0"));
    expect(net.getParameter("body.0.weight").shape).toEqual([3, 2]);
    expect(net.getParameter("parts.1").shape).toEqual([4]);
    expect(net.getBuffer("count").shape).toEqual([2]);
    expect(() => net.getSubmodule("body.7")).toThrow("Sequential has no attribute `7`");
    expect(() => net.getSubmodule("title")).toThrow("`title` is not an nn.Module");
    expect(() => net.getParameter("body.0.scale")).toThrow("Linear has no attribute `scale`");
    expect(() => net.getParameter("count")).toThrow("`count` is not an nn.Parameter");
    expect(() => net.getBuffer("body.0.weight")).toThrow("`weight` is not a buffer");
  });

  test("a module is put in the place of another", () => {
    const net = new Net();
    net.setSubmodule("body.1", new nn.Tanh());
    expect(net.body.toString()).toContain("(1): Tanh()");
    net.setSubmodule("dict.0", new nn.Tanh());
    expect(net.getSubmodule("dict.0")).toBeInstanceOf(nn.Tanh);
    expect(() => net.setSubmodule("", new nn.Tanh())).toThrow(
      "Cannot set the submodule without a target name!",
    );
    expect(() => net.setSubmodule("body.5", new nn.Tanh(), { strict: true })).toThrow(
      "Sequential has no attribute `5`",
    );
  });

  test("what has two names appears once, unless asked otherwise", () => {
    const net = new Net();
    const names = (entries: [string, unknown][]): string[] => entries.map(([name]) => name);
    expect(names(net.namedModules())).toEqual([
      "",
      "body",
      "body.0",
      "body.1",
      "dict",
      "dict.0",
      "parts",
      "named",
    ]);
    expect(names(net.namedModules({ prefix: "net", removeDuplicate: false }))).toContain("net.again.0");
    expect(names(net.namedParameters({ removeDuplicate: false }))).toContain("again.0.weight");
    expect(names(net.namedParameters({ recurse: false }))).toEqual([]);
    expect(names(net.namedBuffers({ prefix: "p" }))).toEqual(["p.count", "p.scratch"]);
    expect([...net.stateDict().keys()]).toEqual([
      "count",
      "body.0.weight",
      "body.0.bias",
      "again.0.weight",
      "again.0.bias",
      "dict.0.weight",
      "dict.0.bias",
      "parts.0",
      "parts.1",
      "named.a",
      "named.b",
    ]);
  });
});

test("lists and dictionaries of parameters print as PyTorch prints them", () => {
  const { parts, named } = new Net();
  expect(parts.toString()).toBe(
    "ParameterList(\n    (0): Parameter containing: [torch.float32 of size 2x3]\n    (1): Parameter containing: [torch.float32 of size 4]\n)",
  );
  expect(named.toString()).toBe(
    "ParameterDict(\n    (a): Parameter containing: [torch.FloatTensor of size 3]\n    (b): Parameter containing: [torch.FloatTensor of size 2]\n)",
  );
  expect(new nn.ParameterList([torch.ones(2)]).toString()).toBe(
    "ParameterList(  (0): Parameter containing: [torch.float32 of size 2])",
  );
  expect(
    new nn.ParameterDict(
      new Map([
        ["b", torch.ones(1)],
        ["a", torch.ones(1)],
      ]),
    ).keys(),
  ).toEqual(["b", "a"]);
  expect(parts.get(-1).shape).toEqual([4]);
  expect(() => parts.get(2)).toThrow("index 2 is out of range");
  parts.set(0, torch.zeros(1));
  expect([...parts].map((p) => p.shape)).toEqual([[1], [4]]);
});

describe("entries of dictionaries", () => {
  const made = () =>
    new nn.ModuleDict({
      conv: new nn.Conv2d(1, 2, 3),
      pool: new nn.MaxPool2d(2),
      lstm: new nn.LSTM(2, 3),
      keys: new nn.Linear(2, 2),
      forward: new nn.Linear(3, 3),
    });

  test("are typed properties, which walks find once", () => {
    const dict = made();
    expectTypeOf(dict.conv).toEqualTypeOf<nn.Conv2d>();
    expectTypeOf(dict["lstm"]).toEqualTypeOf<nn.LSTM>();
    expectTypeOf(dict.get("pool")).toEqualTypeOf<nn.MaxPool2d>();
    expect(dict.conv).toBe(dict.get("conv"));
    expect(dict.conv(torch.ones(1, 1, 3, 3)).shape).toEqual([1, 2, 1, 1]);
    expect(Object.keys(dict)).toEqual([]);
    expect(
      dict
        .namedParameters()
        .slice(0, 2)
        .map(([name]) => name),
    ).toEqual(["conv.weight", "conv.bias"]);
    expect(dict.toString()).toContain("ModuleDict(\n  (conv): Conv2d(1, 2, ");
  });

  test("never hide a method that has their name", () => {
    const dict = made();
    expect(dict.keys()).toEqual(["conv", "pool", "lstm", "keys", "forward"]);
    expectTypeOf(dict.keys()).toEqualTypeOf<string[]>();
    expect(dict.get("keys")).toBeInstanceOf(nn.Linear);
    expect(dict.get("forward").toString()).toContain("in_features=3");
    expect(() => dict()).toThrow('is missing the required "forward" function');
  });

  test("follow set, delete and deepcopy; assigned ones replace", () => {
    const dict = new nn.ModuleDict({ a: new nn.Linear(1, 1), b: new nn.Linear(1, 1) });
    const next = new nn.Linear(1, 2);
    dict.a = next;
    expect([dict.get("a"), dict.a]).toEqual([next, next]);
    const twin = copy.deepcopy(dict);
    expect(twin.a).not.toBe(dict.a);
    expect(twin.a).toBe(twin.get("a"));
    dict.delete("a");
    expect([dict.a, dict.keys()]).toEqual([undefined, ["b"]]);
    const named = new nn.ModuleDict<nn.Linear>();
    named.set("c", next);
    expectTypeOf(named.get("c")).toEqualTypeOf<nn.Linear>();
    class Heads extends nn.ModuleDict {
      extra = new nn.Linear(1, 1);
    }
    const heads = new Heads({ one: new nn.Linear(1, 1) });
    expect([...heads.stateDict().keys()]).toEqual(["one.weight", "one.bias", "extra.weight", "extra.bias"]);
  });

  test("of parameters are parameters", () => {
    const parts = new nn.ParameterDict({ left: torch.ones(2), get: torch.ones(3) });
    expectTypeOf(parts.left).toEqualTypeOf<nn.Parameter>();
    expect(parts.left).toBe(parts.get("left"));
    expect(parts.get("get").shape).toEqual([3]);
    parts.left = torch.zeros(1);
    expect(parts.get("left")).toBeInstanceOf(nn.Parameter);
    expect(parts.get("left").shape).toEqual([1]);
    expect(parts.namedParameters().map(([name]) => name)).toEqual(["get", "left"]);
    parts.clear();
    expect([parts.left, parts.size]).toEqual([undefined, 0]);
  });
});

describe("types and gradients", () => {
  test("modules compute in float32", () => {
    const net = new Net();
    expect(net.float().cpu().to({ device: "cpu", dtype: "float32" }).to(torch.ones(1))).toBe(net);
    expect(() => net.double()).toThrow("float64 is not available");
    expect(() => net.to("int64")).toThrow(
      "nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=torch.int64",
    );
    expect(() => net.cuda()).toThrow("Torch not compiled with CUDA enabled");
  });

  test("zeroGrad forgets, or sets to zero", () => {
    const net = new nn.Linear(2, 1);
    net(torch.ones(1, 2)).sum().backward();
    net.zeroGrad(false);
    expect(net.weight.grad!.tolist()).toEqual([[0, 0]]);
    net.zeroGrad();
    expect(net.weight.grad).toBe(null);
  });
});

describe("loadStateDict", () => {
  test("assign puts the tensors themselves in place", () => {
    const net = new nn.Linear(2, 1);
    net.weight.requiresGrad_(false);
    const weight = new nn.Parameter(torch.ones(1, 2));
    const report = net.loadStateDict({ weight, bias: torch.ones(1) }, { assign: true });
    expect(String(report)).toBe("<All keys matched successfully>");
    expect(net.weight).toBe(weight);
    expect(weight.requiresGrad).toBe(false);
    expect(net.bias).toBeInstanceOf(nn.Parameter);
    expect(net.bias!.requiresGrad).toBe(true);
    expect(net(torch.ones(1, 2)).tolist()).toEqual([[3]]);
  });

  test("strict false reports what is missing or unexpected; sizes must fit all the same", () => {
    const net = new nn.Linear(2, 1);
    const report = net.loadStateDict({ weight: torch.ones(1, 2), more: torch.ones(1) }, { strict: false });
    expect(report.missingKeys).toEqual(["bias"]);
    expect(report.unexpectedKeys).toEqual(["more"]);
    expect(String(report)).toBe("_IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['more'])");
    expect(() => net.loadStateDict({ weight: torch.ones(2, 2) }, { strict: false })).toThrow(
      "Error(s) in loading state_dict for Linear:\n\tsize mismatch for weight: copying a param with shape torch.Size([2, 2]) from checkpoint, the shape in current model is torch.Size([1, 2]).",
    );
  });
});

test("names are checked as PyTorch checks them", () => {
  const net = new Net();
  expect(() => net.registerModule("a.b", new nn.Tanh())).toThrow('module name can\'t contain ".", got: a.b');
  expect(() => net.registerParameter("a.b", null)).toThrow('parameter name can\'t contain "."');
  expect(() => net.registerBuffer("", null)).toThrow('buffer name can\'t be empty string ""');
  expect(() => net.registerBuffer("body", null)).toThrow("attribute 'body' already exists");
});

test("a member may be replaced by one of its kind, and only by a value of its kind", () => {
  const net = new nn.Linear(2, 1);
  net.registerBuffer("cached", torch.zeros(1), { persistent: false });
  net.registerBuffer("cached", torch.ones(2));
  expect(net.namedBuffers().map(([name, x]) => [name, x.shape])).toEqual([["cached", [2]]]);
  expect([...net.stateDict().keys()]).toContain("cached");
  net.registerParameter("weight", new nn.Parameter(torch.ones(1, 3)));
  expect(net.weight.shape).toEqual([1, 3]);
  const body = new nn.Sequential(new nn.Linear(2, 2));
  body.addModule("0", new nn.ReLU());
  expect(body.get(0)).toBeInstanceOf(nn.ReLU);
  expect(() => net.registerParameter("cached", null)).toThrow("attribute 'cached' already exists");
  expect(() => net.registerBuffer("weight", null)).toThrow("attribute 'weight' already exists");
  const plain = torch.ones(3, { requiresGrad: true });
  expect(() => net.registerParameter("scale", plain)).toThrow(
    "cannot assign 'torch.FloatTensor' object to parameter 'scale' (torch.nn.Parameter or None required)",
  );
  expect(() => net.registerModule("head", plain as never)).toThrow(
    "torch.FloatTensor is not a Module subclass",
  );
});

describe("containers", () => {
  test("whole numbers as names keep their place among others", () => {
    const net = new nn.Sequential();
    net.addModule("hidden", new nn.Linear(2, 3));
    net.append(new nn.ReLU()).append(new nn.Linear(3, 1));
    expect(net.namedChildren().map(([name]) => name)).toEqual(["hidden", "1", "2"]);
    expect([...net.stateDict().keys()]).toEqual(["hidden.weight", "hidden.bias", "2.weight", "2.bias"]);
    expect(net(torch.ones(4, 2)).shape).toEqual([4, 1]);
    expect(copy.deepcopy(net)(torch.ones(4, 2)).shape).toEqual([4, 1]);
    class Steps extends nn.Module {
      constructor() {
        super();
        this.registerBuffer("9", torch.zeros(1));
        this.registerBuffer("2", torch.zeros(1));
        this.registerParameter("w", new nn.Parameter(torch.zeros(1)));
        this.registerParameter("1", new nn.Parameter(torch.zeros(1)));
      }
    }
    expect([...new Steps().stateDict().keys()]).toEqual(["w", "1", "9", "2"]);
  });

  test("addModule of a ModuleDict adds an entry, and a subclass may have a forward", () => {
    class Block extends nn.ModuleDict<nn.Linear> {
      constructor() {
        super();
        this.addModule("10", new nn.Linear(2, 2));
        this.registerModule("2", new nn.Linear(2, 2));
      }
      override forward(x: Tensor): Tensor {
        for (const [, layer] of this.items()) x = layer(x);
        return x;
      }
    }
    const block = new Block();
    expect(block.keys()).toEqual(["10", "2"]);
    expect(block(torch.ones(1, 2)).shape).toEqual([1, 2]);
    expect(block.namedParameters().map(([name]) => name)).toHaveLength(4);
  });

  test("positions find what has another name, also from the end", () => {
    const net = new nn.Sequential({ a: new nn.Linear(2, 3), b: new nn.ReLU() });
    expect(net[0]).toBe(net.get(0));
    expect(net[-1]).toBe(net.get(1));
    expect(net[2]).toBeUndefined();
    const last = new nn.Tanh();
    net[-1] = last;
    expect(net.namedChildren().map(([name]) => name)).toEqual(["a", "b"]);
    expect(net.get(1)).toBe(last);
    const list = new nn.ModuleList([new nn.ReLU(), new nn.Tanh()]);
    expect(list[-2]).toBe(list[0]);
    expect(Object.keys(list)).toEqual(["0", "1"]);
    const parts = new nn.ParameterList([torch.ones(2), torch.zeros(3)]);
    expect(parts[-1]).toBe(parts.get(1));
    expect(() => void (list[-3] = last)).toThrow("index -3 is out of range");
  });
});

test("stateDictNames of another text is an error", () => {
  class Odd extends nn.Module {
    static override stateDictNames = "kebab-case";
    fc = new nn.Linear(1, 1);
  }
  expect(() => new Odd().stateDict()).toThrow("stateDictNames is 'kebab-case'");
});
