import { describe, expect, test } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../../extension/nn/index.ts";
import type { Optimizer } from "../../../../extension/nn/optim/optimizer.ts";
import { setWarningSink } from "../../../../extension/nn/warnings.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const OPTIMIZERS: Record<string, (params: Tensor[]) => Optimizer> = {
  SGD: (params) => new optim.SGD(params, { lr: 0.1 }),
  momentum: (params) => new optim.SGD(params, { lr: 0.1, momentum: 0.9, nesterov: true }),
  Adam: (params) => new optim.Adam(params, { lr: 0.1 }),
  amsgrad: (params) => new optim.Adam(params, { lr: 0.1, amsgrad: true }),
  AdamW: (params) => new optim.AdamW(params, { lr: 0.1 }),
};

function parameter(): InstanceType<typeof nn.Parameter> {
  return new nn.Parameter(torch.tensor([1, -2, 3]).float());
}

function descend(p: Tensor, optimizer: Optimizer, steps: number): number[] {
  for (let i = 0; i < steps; i++) {
    optimizer.zeroGrad();
    p.mul(p).sum().backward();
    optimizer.step();
  }
  return [...p.toTypedArray()];
}

describe.each(Object.entries(OPTIMIZERS))("%s", (_, make) => {
  test("continues from its state dict as if it had not stopped", () => {
    const p = parameter();
    const whole = descend(p, make([p]), 5);
    const first = parameter();
    const before = make([first]);
    descend(first, before, 2);
    const second = new nn.Parameter(first.detach().clone());
    const after = make([second]);
    after.loadStateDict(before.stateDict());
    expect(descend(second, after, 3)).toEqual(whole);
  });

  test("a loaded state is a copy", () => {
    const p = parameter();
    const a = make([p]);
    descend(p, a, 1);
    const q = parameter();
    const b = make([q]);
    b.loadStateDict(a.stateDict());
    const before = JSON.stringify(plain(b));
    descend(p, a, 1);
    expect(JSON.stringify(plain(b))).toBe(before);
  });

  test("a parameter without gradient is left alone", () => {
    const [p, q] = [parameter(), parameter()];
    const optimizer = make([p, q]);
    descend(p, optimizer, 1);
    expect([...q.toTypedArray()]).toEqual([1, -2, 3]);
    expect(Object.keys(optimizer.stateDict().state)).not.toContain("1");
  });

  test("a frozen learning rate of 0 changes nothing", () => {
    const p = parameter();
    const optimizer = make([p]);
    optimizer.paramGroups[0]!.lr = 0;
    expect(descend(p, optimizer, 2)).toEqual([1, -2, 3]);
  });
});

/** A state dict with numbers for tensors. */
function plain(optimizer: Optimizer): unknown {
  return Object.values(optimizer.stateDict().state).map((s) =>
    Object.entries(s).map(([name, v]) => [
      name,
      v instanceof Object && "data" in v ? [...v.toTypedArray()] : v,
    ]),
  );
}

test("names of a state dict are PyTorch's", () => {
  const p = parameter();
  const adam = new optim.Adam([p], { lr: 0.1, weightDecay: 0.01 });
  descend(p, adam, 2);
  const { state, param_groups: groups } = adam.stateDict();
  expect(Object.keys(state["0"]!)).toEqual(["step", "exp_avg", "exp_avg_sq"]);
  expect((state["0"]!["step"] as Tensor).item()).toBe(2);
  expect(groups[0]).toMatchObject({
    lr: 0.1,
    weight_decay: 0.01,
    decoupled_weight_decay: false,
    params: [0],
  });
});

test("groups have their own options", () => {
  const [p, q] = [parameter(), parameter()];
  const sgd = new optim.SGD([{ params: [p] }, { params: q, lr: 0 }], { lr: 0.5 });
  p.mul(1).sum().add(q.sum()).backward();
  sgd.step();
  expect([...p.toTypedArray(), ...q.toTypedArray()]).toEqual([0.5, -2.5, 2.5, 1, -2, 3]);
});

test("step with a closure answers its loss, and computes gradients in it", () => {
  const p = parameter();
  const sgd = new optim.SGD([p], { lr: 0.5 });
  const loss = torch.noGrad(() =>
    sgd.step(() => {
      const l = p.sum();
      l.backward();
      return l;
    }),
  );
  expect([loss.item(), ...p.toTypedArray()]).toEqual([2, 0.5, -2.5, 2.5]);
});

test("any leaf can be optimized, not only parameters of modules", () => {
  const x = torch.tensor([4]).float().requiresGrad_();
  const sgd = new optim.SGD([x], { lr: 0.25 });
  expect(descend(x, sgd, 1)).toEqual([2]);
});

test("gradients are clipped once for parameters that can be walked once", () => {
  const p = parameter();
  p.grad = torch.tensor([0, 3, 4]).float();
  expect(nn.utils.clipGradNorm_([p].values(), 1).item()).toBe(5);
  expect(nn.utils.getTotalNorm([p.grad]).item()).toBeCloseTo(1, 5);
});

test("a parameter that occurs twice in a group is warned of and updated twice, as in PyTorch", () => {
  const warnings: string[] = [];
  setWarningSink((message) => warnings.push(message));
  const p = parameter();
  const sgd = new optim.SGD([p, p], { lr: 0.25 });
  expect(warnings).toEqual([expect.stringContaining("a parameter group with duplicate parameters")]);
  p.sum().backward();
  sgd.step();
  expect([...p.toTypedArray()]).toEqual([0.5, -2.5, 2.5]);
  expect(sgd.stateDict().param_groups[0]!["params"]).toEqual([0, 0]);
});

test("a program's own options of a group are loaded under the names that it gave them", () => {
  const make = (scale: number): Optimizer =>
    new optim.SGD([{ params: [parameter()], lr_scale: scale }] as never, { lr: 0.1, weightDecay: 0.5 });
  const loaded = make(1);
  loaded.loadStateDict(make(0.25).stateDict());
  expect(loaded.paramGroups[0]).toMatchObject({ lr_scale: 0.25, weightDecay: 0.5, lr: 0.1 });
  expect(Object.keys(loaded.paramGroups[0]!)).not.toContain("lrScale");
});

test("parameters may come with their names, in all groups or in none", () => {
  const layer = new nn.Linear(2, 1);
  const sgd = new optim.SGD(layer.namedParameters(), { lr: 0.1 });
  expect(sgd.paramGroups[0]!.paramNames).toEqual(["weight", "bias"]);
  expect(sgd.stateDict().param_groups[0]).toMatchObject({ param_names: ["weight", "bias"], params: [0, 1] });
  expect(sgd.toString()).toContain("param_names: ['weight', 'bias']");
  const other = parameter();
  expect(() => sgd.addParamGroup({ params: other })).toThrow(
    "all optimizer param groups should be with/without names. cannot add param group without names to the optimizer",
  );
  sgd.addParamGroup({ params: [["other", other]] });
  expect(sgd.paramGroups[1]!.paramNames).toEqual(["other"]);
  expect(() => new optim.SGD([["a", other], parameter()] as never)).toThrow(
    "all optimizer params should be with/without names. Some param names are missing",
  );
});

describe("PyTorch's refusals", () => {
  const p = parameter();
  const cases: [string, () => unknown][] = [
    ["optimizer got an empty parameter list", () => new optim.SGD([])],
    ["can't optimize a non-leaf Tensor", () => new optim.SGD([p.mul(2)])],
    [
      "some parameters appear in more than one parameter group",
      () => new optim.SGD([{ params: [p] }, { params: [p] }]),
    ],
    ["Invalid learning rate: -1", () => new optim.SGD([p], { lr: -1 })],
    ["Learning rate should be >= 0 but is: -1", () => new optim.Adafactor([p], { lr: -1 })],
    ["beta2_decay should be <= 0 but is: 0.5", () => new optim.Adafactor([p], { beta2Decay: 0.5 })],
    ["epsilon1 should be >= 0 but is: -0.5", () => new optim.Adafactor([p], { eps: [-0.5, 1] })],
    ["epsilon2 should be >= 0 but is: -0.5", () => new optim.Adafactor([p], { eps: [null, -0.5] })],
    ["Clipping threshold d should be >= 1 but is: 0.5", () => new optim.Adafactor([p], { d: 0.5 })],
    ["weight decay should be >= 0 but is: -0.5", () => new optim.Muon([p], { weightDecay: -0.5 })],
    [
      "Adjust learning rate function other is not supported",
      () => new optim.Muon([p], { adjustLrFn: "other" as "original" }),
    ],
    [
      "Muon only supports 2D parameters whereas we found a parameter with size: torch.Size([2, 1, 3])",
      () => new optim.Muon([torch.zeros(2, 1, 3).requiresGrad_()]),
    ],
    ["Invalid momentum value: -0.5", () => new optim.SGD([p], { momentum: -0.5 })],
    [
      "Nesterov momentum requires a momentum and zero dampening",
      () => new optim.SGD([p], { nesterov: true }),
    ],
    ["Invalid beta parameter at index 1: 1", () => new optim.Adam([p], { betas: [0.9, 1] })],
    ["Invalid epsilon value: -1", () => new optim.Adam([p], { eps: -1 })],
    ["SGD() got an unexpected keyword argument 'rate'", () => new optim.SGD([p], { rate: 1 } as object)],
    ["SGD(): argument 'lr' must be number, not string", () => new optim.SGD([p], { lr: "0.1" } as object)],
    [
      "AdamW(): argument 'weightDecay' must be number, not null",
      () => new optim.AdamW([p], { weightDecay: null } as object),
    ],
    [
      "Adam(): argument 'betas' must be list of 2 numbers, not number",
      () => new optim.Adam([p], { betas: 0.9 } as object),
    ],
    [
      "Adam(): argument 'betas' must be list of 2 numbers, not [string, number]",
      () => new optim.Adam([p], { betas: ["0.9", 0.99] } as object),
    ],
    [
      "Adam(): argument 'betas' must be list of 2 numbers, not [null, number]",
      () => new optim.Adam([p], { betas: [null, 0.99] } as object),
    ],
    [
      "RMSprop(): argument 'lr' must be number, not string",
      () => new optim.RMSprop([{ params: [p], lr: "0.1" } as object as { params: Tensor[] }]),
    ],
    [
      "loaded state dict has a different number of parameter groups",
      () => new optim.SGD([p]).loadStateDict({ state: {}, param_groups: [] }),
    ],
    [
      "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
      () => new optim.SGD([p]).loadStateDict({ state: {}, param_groups: [{ params: [0, 1] }] }),
    ],
  ];
  test.each(cases)("%s", (message, call) => {
    expect(call).toThrow(message);
  });
});

test("parameters go by name, too", () => {
  const p = parameter();
  const optimizer = new optim.SGD({ params: [p], lr: 0.5, momentum: 0.9 });
  expect(optimizer.paramGroups[0]?.params[0]).toBe(p);
  expect(String(optimizer)).toBe(String(new optim.SGD([parameter()], { lr: 0.5, momentum: 0.9 })));
  expect(String(new optim.AdamW({ params: [p] }))).toBe(String(new optim.AdamW([p])));
  const classes = { ...optim } as unknown as Record<string, new (options: object) => Optimizer>;
  for (const name of "Adadelta Adagrad Adam Adamax ASGD LBFGS NAdam RAdam RMSprop Rprop".split(" "))
    expect(new classes[name]!({ params: [parameter()], lr: 0.25 }).paramGroups[0]?.lr, name).toBe(0.25);
  expect(() => new classes["Adam"]!({ lr: 1 })).toThrow("missing 1 required positional argument: 'params'");
  expect(() => new classes["Adam"]!({ params: 3 })).toThrow("params argument given to the optimizer");
});

test("what is remembered has PyTorch's names, too", () => {
  const p = parameter();
  const optimizer = new optim.Adam([p], { lr: 0.1 });
  descend(p, optimizer, 1);
  const state = optimizer.state.get(p);
  expect(state["exp_avg"]).toBe(state["expAvg"]);
  state["exp_avg_sq"] = torch.zeros(3);
  expect(state["expAvgSq"].tolist()).toEqual([0, 0, 0]);
  expect(Object.keys(state)).toEqual(["step", "expAvg", "expAvgSq"]);
  const after = new optim.Adam([p]);
  after.loadStateDict(optimizer.stateDict());
  expect(after.state.get(p)["exp_avg"].tolist()).toEqual(state["exp_avg"].tolist());
});

test("arguments by position are in PyTorch's order, and a state's groups too", () => {
  const classes = { ...optim } as unknown as Record<string, new (...args: unknown[]) => Optimizer>;
  const tails: Record<string, string> = {
    RMSprop: "lr alpha eps weightDecay momentum centered capturable foreach maximize differentiable",
    Adamax: "lr betas eps weightDecay foreach",
    Adadelta: "lr rho eps weightDecay foreach",
    Adagrad: "lr lrDecay weightDecay initialAccumulatorValue eps foreach",
    ASGD: "lr lambd alpha t0 weightDecay foreach maximize differentiable capturable",
  };
  for (const [name, order] of Object.entries(tails)) {
    const names = order.split(" ");
    const defaults: Record<string, unknown> = { ...new classes[name]!([parameter()]).defaults };
    for (const [at, last] of names.entries()) {
      const value = typeof defaults[last] === "number" ? 0.25 : (defaults[last] ?? "given");
      const rest = [...names.slice(0, at).map((one) => defaults[one]), value];
      const group = new classes[name]!([parameter()], ...rest).paramGroups[0]!;
      expect(group[last], `${name}(…, ${last})`).toBe(value);
    }
  }
  const keys = (name: string): string[] =>
    Object.keys(new classes[name]!([parameter()]).stateDict().param_groups[0]!);
  expect(keys("RMSprop").join(" ")).toBe(
    "lr momentum alpha eps centered weight_decay capturable foreach maximize differentiable params",
  );
  expect(keys("Adam").join(" ")).toBe(
    "lr betas eps weight_decay amsgrad maximize foreach capturable differentiable fused decoupled_weight_decay params",
  );
});

test("a group's options have PyTorch's names, too", () => {
  const p = parameter();
  const optimizer = new optim.SGD([{ params: [p], weight_decay: 0.5 }], { lr: 0.1 });
  const group: Record<string, unknown> = optimizer.paramGroups[0]!;
  expect(group["weightDecay"]).toBe(0.5);
  group["weight_decay"] = 0.25;
  group["initial_lr"] = 2;
  expect(group["weightDecay"]).toBe(0.25);
  expect(new optim.lrScheduler.StepLR(optimizer, 3).baseLrs).toEqual([2]);
  expect(Object.keys(group)).not.toContain("weight_decay");
});

describe("options that are tensors", () => {
  const descended = (lr: number | Tensor, betas: [number | Tensor, number | Tensor]): number[] => {
    const p = parameter();
    return descend(p, new optim.Adam([p], { lr, betas } as { lr: number }), 3);
  };

  test("stand for the numbers that they hold", () => {
    const half = torch.tensor(0.5);
    expect(descended(half, [half, torch.tensor([0.25])])).toEqual(descended(0.5, [0.5, 0.25]));
    const [p, q] = [parameter(), parameter()];
    const groups = (optimizer: Optimizer): number[] => descend(p, optimizer, 1);
    expect(groups(new optim.SGD([{ params: [p], lr: half }], { lr: 1 }))).toEqual(
      descend(q, new optim.SGD([q], 0.5), 1),
    );
  });

  test("may be set later, and come from PyTorch's state", () => {
    const [p, q] = [parameter(), parameter()];
    const a = new optim.SGD([p], { lr: 1 });
    Object.assign(a.paramGroups[0]!, { lr: torch.tensor(0.25) });
    const b = new optim.SGD([q], { lr: 1 });
    b.loadStateDict({ state: {}, param_groups: [{ lr: torch.tensor(0.25), params: [0] }] });
    expect(descend(p, a, 2)).toEqual(descend(q, b, 2));
    expect([...p.toTypedArray()]).toEqual([0.25, -0.5, 0.75]);
  });

  test("have one element", () => {
    const message = "Tensor lr must be 1-element";
    expect(() => new optim.SGD([parameter()], { lr: torch.ones(2) })).toThrow(message);
  });
});

test("names the type of what is no list of parameters", () => {
  expect(() => new optim.SGD(torch.ones(2))).toThrow("but got torch.FloatTensor");
});

test("groups and states keep PyTorch's order", () => {
  const p = parameter();
  const optimizer = new optim.RMSprop([{ params: [p], weightDecay: 0.1 }], { centered: true, momentum: 0.9 });
  descend(p, optimizer, 1);
  const { state, param_groups } = optimizer.stateDict();
  expect(Object.keys(state["0"]!)).toEqual(["step", "square_avg", "momentum_buffer", "grad_avg"]);
  expect(Object.keys(param_groups[0]!).slice(0, 3)).toEqual(["weight_decay", "lr", "momentum"]);
  const q = parameter();
  const averaged = new optim.ASGD([q]);
  descend(q, averaged, 1);
  expect(Object.keys(averaged.stateDict().state["0"]!)).toEqual(["step", "eta", "mu", "ax"]);
});
