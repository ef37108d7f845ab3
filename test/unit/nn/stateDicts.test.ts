import { describe, expect, test } from "vitest";
import { copy, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { useEngine } from "../../engines.ts";
import { modulesOf, Net } from "./nets.ts";

useEngine("cpu");

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

  test("every mistake is reported at once, in PyTorch's words, and what fits is copied", () => {
    const net = new nn.Sequential(new nn.Linear(2, 3));
    const bias = [...net[0].bias!.toTypedArray()];
    const state = {
      "0.bias": torch.ones(4),
      weight: torch.ones(1),
      "0.extra": torch.ones(1),
      "1.weight": torch.ones(1),
    };
    // A program that catches the error has the layers that fit, as in PyTorch.
    const [from, to] = [new Net(), new Net()];
    const parts: Record<string, Tensor> = {
      ...Object.fromEntries(from.stateDict()),
      "fc2.bias": torch.ones(9),
    };
    const names = Object.keys(parts).filter((name) => name !== "fc2.bias");
    expect(names.length).toBeGreaterThan(1);
    expect(() => to.loadStateDict(parts)).toThrow("size mismatch for fc2.bias");
    for (const name of names) expect(torch.equal(to.stateDict().get(name)!, parts[name]!)).toBe(true);
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

describe("hooks of state dicts", () => {
  class Pair extends nn.Module {
    a = new nn.Linear(2, 1, { bias: false });
    b = new nn.Linear(1, 2);
    forward(x: Tensor): Tensor {
      return this.b(this.a(x));
    }
  }

  test("before loading, a module may rename its entries; the caller's state dict isn't changed", () => {
    const net = new Pair();
    net.b.registerLoadStateDictPreHook((_, state, prefix, _metadata, strict) => {
      expect([[...state.keys()], prefix, strict]).toEqual([["b.old", "b.bias"], "b.", true]);
      state.set(`${prefix}weight`, state.get(`${prefix}old`)!);
      state.delete(`${prefix}old`);
    });
    const state = { "a.weight": torch.ones(1, 2), "b.old": torch.full([2, 1], 3.5), "b.bias": torch.ones(2) };
    expect(net.loadStateDict(state).toString()).toBe("<All keys matched successfully>");
    expect(net.b.weight.tolist()).toEqual([[3.5], [3.5]]);
    expect(Object.keys(state)).toEqual(["a.weight", "b.old", "b.bias"]);
  });

  test("after loading, a module sees its new values and decides what may be missing", () => {
    const net = new Pair();
    const seen: unknown[] = [];
    net.a.registerLoadStateDictPostHook((_, { missingKeys }) => void seen.push([...missingKeys]));
    const handle = net.registerLoadStateDictPostHook((module, { missingKeys }) => {
      seen.push([...missingKeys], (module as Pair).a.weight.tolist());
      missingKeys.length = 0;
    });
    const state = { "a.weight": torch.full([1, 2], 1.5), "b.bias": torch.ones(2) };
    expect(net.loadStateDict(state).missingKeys).toEqual([]);
    expect(seen).toEqual([[], ["b.weight"], [[1.5, 1.5]]]);
    expect(() => net.loadStateDict({ ...state, c: torch.ones(1) })).toThrow(
      'Unexpected key(s) in state_dict: "c"',
    );
    handle.remove();
    expect(() => net.loadStateDict(state)).toThrow('Missing key(s) in state_dict: "b.weight"');
    const misfit = { ...state, "a.weight": torch.ones(3), "b.bias": torch.zeros(2) };
    expect(() => net.loadStateDict(misfit, { strict: false })).toThrow("size mismatch for a.weight");
    expect(net.b.bias!.tolist()).toEqual([0, 0]);
  });

  test("around collecting, in copies too", () => {
    const net = new Pair();
    const seen: string[] = [];
    net.b.registerStateDictPreHook((_, prefix) => void seen.push(prefix));
    net.registerStateDictPostHook((_, state, prefix) => void state.delete(`${prefix}a.weight`));
    expect([...new nn.Sequential(copy.deepcopy(net)).stateDict().keys()]).toEqual(["0.b.weight", "0.b.bias"]);
    expect(seen).toEqual(["0.b."]);
  });
});

describe("extra state", () => {
  class Counting extends nn.Module {
    steps = 0;
    inner: nn.Linear;
    constructor(steps = 0) {
      super();
      this.steps = steps;
      this.inner = new nn.Linear(1, 1);
    }
    forward(x: Tensor): Tensor {
      this.steps++;
      return this.inner(x);
    }
    override getExtraState(): Tensor {
      return torch.tensor([this.steps]);
    }
    override setExtraState(state: Tensor): void {
      this.steps = state.item();
    }
  }

  test("is an entry of the state dict, after the module's own and before its children's", () => {
    const net = new nn.Sequential(new Counting(3));
    expect([...net.stateDict().keys()]).toEqual(["0._extra_state", "0.inner.weight", "0.inner.bias"]);
    const other = new nn.Sequential(new Counting());
    expect(String(other.loadStateDict(net.stateDict()))).toBe("<All keys matched successfully>");
    expect(other[0].steps).toBe(3);
  });

  test("that is missing or unexpected is an error unless strict is false", () => {
    const state = new Counting(3).stateDict();
    const without = new Map([...state].filter(([name]) => name !== "_extra_state"));
    const text =
      'Error(s) in loading state_dict for Counting:\n\tMissing key(s) in state_dict: "_extra_state". ';
    expect(() => new Counting().loadStateDict(without)).toThrow(text);
    expect(new Counting().loadStateDict(without, { strict: false }).missingKeys).toEqual(["_extra_state"]);
    const plain = new nn.Linear(1, 1);
    const more = new Map([...plain.stateDict(), ["_extra_state", torch.ones(1)]]);
    expect(() => plain.loadStateDict(more)).toThrow('Unexpected key(s) in state_dict: "_extra_state". ');
  });

  test("must be a tensor, and comes from a class that overrides the method", () => {
    class Wrong extends Counting {
      override getExtraState(): Tensor {
        return 3 as unknown as Tensor;
      }
    }
    expect(() => new Wrong().stateDict()).toThrow("Wrong.getExtraState() must give a tensor");
    expect(() => new nn.Linear(1, 1).getExtraState()).toThrow(
      "Reached a code path in Module.get_extra_state() that should never be called",
    );
  });
});

describe("nn.Buffer", () => {
  class Net extends nn.Module {
    mean = new nn.Buffer(torch.zeros(2));
    cache = new nn.Buffer(torch.ones(1), { persistent: false });
    plain = torch.ones(1);
  }

  test("a property that holds one is a buffer, and so is what is assigned later", () => {
    const net = new Net();
    expect(net.namedBuffers().map(([name]) => name)).toEqual(["mean", "cache"]);
    expect([...net.stateDict().keys()]).toEqual(["mean"]);
    expect(net.parameters()).toEqual([]);
    net.loadStateDict(new Map([["mean", torch.tensor([1.5, 2.5])]]));
    expect(net.mean.tolist()).toEqual([1.5, 2.5]);
    (net as { mean: Tensor }).mean = torch.tensor([3.5, 4.5]);
    expect(net.stateDict().get("mean")!.tolist()).toEqual([3.5, 4.5]);
  });

  test("a copy of the module has its own", () => {
    const net = new Net();
    const twin = copy.deepcopy(net);
    twin.mean.add_(1);
    expect([net.mean.tolist(), twin.mean.tolist()]).toEqual([
      [0, 0],
      [1, 1],
    ]);
    expect(twin.namedBuffers().map(([name]) => name)).toEqual(["mean", "cache"]);
  });
});

test("names that begin with a capital are PyTorch's own", () => {
  class Cell extends nn.Module {
    static override stateDictNames: nn.StateDictNames = "snake_case";
    W1 = new nn.Parameter(torch.ones(1));
    Wxh = new nn.Parameter(torch.ones(1));
    outBias = new nn.Parameter(torch.ones(1));
  }
  expect([...new Cell().stateDict().keys()]).toEqual(["W1", "Wxh", "out_bias"]);
});

test("consumePrefixInStateDictIfPresent renames in place what has the prefix", () => {
  const { consumePrefixInStateDictIfPresent } = nn.modules.utils;
  const state = new Map([
    ["module.weight", torch.ones(1)],
    ["bias", torch.ones(1)],
  ]);
  consumePrefixInStateDictIfPresent(state, "module.");
  expect([...state.keys()]).toEqual(["bias", "weight"]);
  const record: Record<string, Tensor> = { "module.weight": torch.ones(1) };
  consumePrefixInStateDictIfPresent(record, "module.");
  expect(Object.keys(record)).toEqual(["weight"]);
});
