import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadTensors } from "../../../extension/engine/files/tensorFiles.ts";
import { openTensors } from "../../../extension/formats/tensorSource.ts";
import { PthTensor, readPth } from "../../../extension/formats/pth/pth.ts";
import "../../../extension/engine/host/library.ts";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import type { StateDict } from "../../../extension/nn/module/stateDict.ts";
import { useEngine } from "../../engines.ts";
import { useFolder } from "../../folders.ts";

const golden = fileURLToPath(new URL("../../fixtures/golden/files/data/", import.meta.url));

const folder = useFolder("all");
useEngine("cpu");
const at = (name: string): string => join(folder, name);

const values = (tensors: StateDict): [name: string, facts: unknown[]][] =>
  [...(tensors as ReadonlyMap<string, Tensor>)].map(([name, t]) => [name, [t.dtype, t.shape, t.tolist()]]);

test.each(["model.pth", "model.pt", "model.bin", "model.safetensors"])("a state dict in %s", (name) => {
  const state = new nn.Linear(3, 2).stateDict();
  torch.save(state, at(name));
  // A safetensors file has an order of its own.
  expect(Object.fromEntries(values(torch.load(at(name))))).toEqual(Object.fromEntries(values(state)));
});

test("the content says the format, not the name", () => {
  torch.save(new nn.Linear(3, 2).stateDict(), at("a.safetensors"));
  copyFileSync(at("a.safetensors"), at("a.pth"));
  expect(values(torch.load(at("a.pth")))).toEqual(values(torch.load(at("a.safetensors"))));
});

test("a training's state is what it was", () => {
  const model = new nn.Linear(2, 1);
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
  model.forward(torch.ones(4, 2)).sum().backward();
  optimizer.step();
  const saved = {
    epoch: 3,
    model: model.stateDict(),
    optimizer: optimizer.stateDict(),
    betas: Object.freeze([0.9, 0.999]),
    history: [0.5, null, { best: true }],
    left: undefined,
  };
  torch.save(saved, at("training.pth"));
  const loaded = torch.load<typeof saved>(at("training.pth"));
  expect(Object.keys(loaded)).toEqual(["epoch", "model", "optimizer", "betas", "history"]);
  expect([loaded.epoch, loaded.history, loaded.betas]).toEqual([3, saved.history, saved.betas]);
  expect(Object.isFrozen(loaded.betas)).toBe(true);
  expect(values(loaded.model)).toEqual(values(saved.model));
  const [group] = loaded.optimizer.param_groups;
  expect(group).toEqual(saved.optimizer.param_groups[0]);

  const again = new nn.Linear(2, 1);
  again.loadStateDict(loaded.model);
  const other = new optim.Adam(again.parameters(), { lr: 1 });
  other.loadStateDict(loaded.optimizer);
  for (const [net, steps] of [
    [model, optimizer],
    [again, other],
  ] as const) {
    steps.zeroGrad();
    net.forward(torch.ones(4, 2)).square().sum().backward();
    steps.step();
  }
  expect(values(again.stateDict())).toEqual(values(model.stateDict()));
});

test("PyTorch sees what it would have written: an OrderedDict, numbers as keys, tied weights once", () => {
  const [a, b] = [new nn.Linear(2, 2, { bias: false }), new nn.Linear(2, 2, { bias: false })];
  b.weight = a.weight;
  torch.save({ model: new nn.Sequential(a, b).stateDict(), 7: "seven", "07": 1 }, at("tied.pth"));
  const read = readPth(at("tied.pth")) as ReadonlyMap<unknown, unknown>;
  expect([...read.keys()]).toEqual([7, "model", "07"]);
  const model = read.get("model") as ReadonlyMap<string, PthTensor>;
  expect(model.constructor.name).toBe("OrderedDict");
  expect(model.get("0.weight")!.storage).toBe(model.get("1.weight")!.storage);
  expect([model.get("0.weight")!.parameter, model.get("0.weight")!.requiresGrad]).toEqual([false, false]);
});

test("parameters stay parameters, and loaded tensors want gradients as they did", () => {
  torch.save(
    [new nn.Parameter(torch.ones(1)), torch.ones(2).requiresGrad_(), torch.ones(3)],
    at("flags.pth"),
  );
  const loaded = torch.load<Tensor[]>(at("flags.pth"));
  expect(loaded.map((t) => [t instanceof nn.Parameter, t.requiresGrad, t.shape])).toEqual([
    [true, true, [1]],
    [false, true, [2]],
    [false, false, [3]],
  ]);
});

test("element types: floats become float32, integers int64, also those beyond 32 bits", () => {
  const loaded = torch.load(join(golden, "dtypes_views.pth"));
  expect([...loaded].map(([name, t]) => [name, t.dtype])).toEqual(
    [...loaded.keys()].map((name) => [
      name,
      /^(i\d|u8|count)/.test(name) ? "int64" : name === "b" ? "bool" : "float32",
    ]),
  );
  torch.save({ big: torch.randint(2 ** 33, 2 ** 40, [4]) }, at("big.pth"));
  const big = torch.load(at("big.pth")).get("big")!;
  expect(big.dtype).toBe("int64");
  expect(Math.max(...big.toTypedArray())).toBeGreaterThan(2 ** 32);
});

test("a model in several files is loaded by its index, which names files beside it only", () => {
  const state = new nn.Linear(3, 2).stateDict();
  const part = (name: string): Map<string, Tensor> => new Map([[name, state.get(name)!]]);
  torch.save(part("weight"), at("m-00001-of-00002.safetensors"));
  torch.save(part("bias"), at("m-00002-of-00002.bin"));
  const index = (map: unknown): string => {
    writeFileSync(at("m.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map: map }));
    return at("m.safetensors.index.json");
  };
  const map = { weight: "m-00001-of-00002.safetensors", bias: "m-00002-of-00002.bin" };
  expect(values(torch.load(index(map)))).toEqual(values(state));
  expect(openTensors(index(map)).tensors.map(({ name }) => name)).toEqual(["weight", "bias"]);
  expect(() => torch.load(index({ ...map, more: map.bias }))).toThrow('tensor "more" is not in');
  expect(() => torch.load(index({ weight: "../x" }))).toThrow(
    'expected the name of a file beside it for "weight"',
  );
  expect(() => torch.load(index([]))).toThrow('expected files by tensor in "weight_map"');
});

test("the weights of a checkpoint made elsewhere are found", () => {
  const { tensors } = loadTensors(join(golden, "checkpoint.pth"));
  expect([...tensors.keys()]).toEqual(["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]);
  expect(() => loadTensors(join(golden, "list.pth"))).toThrow(
    'expected a dict of tensors, or one under "model_state_dict", "state_dict", "model"',
  );
});

test("hostile files are refused by torch.load, and run nothing", () => {
  expect(() => torch.load(join(golden, "evil_os_system.pth"))).toThrow(
    /evil_os_system\.pth \(543 bytes\): the file asks for "posix\.system", which is not allowed/,
  );
  expect(existsSync("MARKER_unsafe_load.txt")).toBe(false);
  writeFileSync(at("none.pth"), "no such thing");
  expect(() => torch.load(at("none.pth"))).toThrow("none.pth");
});

test("what can't be saved is told, and the file before stays", () => {
  torch.save([1], at("kept.pth"));
  const before = readFileSync(at("kept.pth"));
  const model = new nn.Linear(2, 1);
  const endless: unknown[] = [];
  endless.push(endless);
  const save =
    (value: unknown, file = at("kept.pth")) =>
    (): void =>
      torch.save(value, file);
  expect(save({ a: [() => model] })).toThrow(
    /\["a"\]\[0\] is .*, which can't be saved; tensors and plain data can/,
  );
  for (const [value, file] of [
    [model, "kept.pth"],
    [{ epoch: 1, model }, "kept.pth"],
    [model, "m.safetensors"],
  ] as const)
    expect(save(value, at(file))).toThrow(
      expect.objectContaining({
        message: "torch.save(): Linear is a module, of which a file can hold the state alone",
        hint: expect.stringContaining('model.loadStateDict(torch.load("model.pth"))'),
      }),
    );
  expect(save(endless)).toThrow("nested deeper than");
  expect(save([1], at("list.safetensors"))).toThrow("a safetensors file holds tensors by name, nothing else");
  expect(save([1], at("list.npz"))).toThrow("expected the name of a .safetensors, .pth or .pt file");
  expect(readFileSync(at("kept.pth")).equals(before)).toBe(true);
});

test("what was saved is read as properties and by a Map's methods", () => {
  const model = new nn.Linear(2, 1);
  torch.save({ epoch: 3, model: model.stateDict(), best: { get: 1, loss: 0.5 } }, at("checkpoint.pth"));
  const c = torch.load(at("checkpoint.pth"));
  expect([c.epoch, c.get("epoch"), c.has("epoch"), c.has("get"), c.get("left"), c.size]).toEqual([
    3,
    3,
    true,
    false,
    undefined,
    3,
  ]);
  const names = ["epoch", "model", "best"];
  expect([[...c.keys()], [...c].map(([key]) => key), Object.keys(c)]).toEqual([names, names, names]);
  expect(new Map(c).get("epoch")).toBe(3);
  // A name that the file gives is the file's.
  expect([c.best.get, c.best.loss, c.best.has("loss")]).toEqual([1, 0.5, true]);
  expect(c.best).toEqual({ get: 1, loss: 0.5 });
  expect(c["model"].get("weight").tolist()).toEqual(model.weight.tolist());
  expect(c["model"].weight.tolist()).toEqual(model.weight.tolist());
  expect(String(new nn.Linear(2, 1).loadStateDict(c["model"]))).toBe("<All keys matched successfully>");
  torch.save(c, at("again.pth"));
  expect(readFileSync(at("again.pth")).equals(readFileSync(at("checkpoint.pth")))).toBe(true);

  torch.save({ "fc.weight": torch.ones(2), size: torch.zeros(1) }, at("tensors.pth"));
  torch.save({ "fc.weight": torch.ones(2), size: torch.zeros(1) }, at("tensors.safetensors"));
  for (const file of ["tensors.pth", "tensors.safetensors"]) {
    const tensors = torch.load(at(file));
    expect(tensors).toBeInstanceOf(Map);
    expect([tensors.size, tensors["fc.weight"].tolist(), tensors.get("size").tolist()]).toEqual([
      2,
      [1, 1],
      [0],
    ]);
    tensors.delete("fc.weight");
    expect(tensors["fc.weight"]).toBeUndefined();
  }
});

test("a location is accepted, and must be the CPU", () => {
  torch.save(new nn.Linear(2, 1).stateDict(), at("located.pth"));
  const locations = ["cpu", torch.device("cpu"), null, (storage: unknown) => storage, { "cuda:0": "cpu" }];
  for (const mapLocation of locations)
    expect(torch.load(at("located.pth"), { mapLocation, weightsOnly: true }).size).toBe(2);
  expect(() => torch.load(at("located.pth"), { mapLocation: "cuda" })).toThrow(
    "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False.",
  );
});

test("a checkpoint is written whatever its name", () => {
  for (const name of ["a.pth.tar", "a.ckpt", "a.pkl", "a.pt.tmp", "a.model", "a"]) {
    torch.save({ epoch: 3 }, at(name));
    expect(torch.load(at(name)).epoch).toBe(3);
  }
});

test("generators' states are tensors of bytes in a file, and tensors are states", () => {
  const generator = new torch.Generator().manualSeed(3);
  torch.save({ rng: torch.getRngState(), own: generator.getState() }, at("rng.pth"));
  const drawn = [torch.rand(4).tolist(), torch.rand(4, { generator }).tolist()];
  const stored = (readPth(at("rng.pth")) as ReadonlyMap<string, PthTensor>).get("rng")!;
  expect([stored.dtype, stored.shape]).toEqual(["U8", [5056]]);
  const loaded = torch.load(at("rng.pth"));
  torch.setRngState(loaded.rng);
  generator.setState(loaded.own);
  expect([torch.rand(4).tolist(), torch.rand(4, { generator }).tolist()]).toEqual(drawn);
  expect(() => torch.setRngState(torch.rand(5056))).toThrow("RNG state must be a torch.ByteTensor");
  expect(() => torch.setRngState(torch.zeros(3, { dtype: torch.int64 }))).toThrow("RNG state is wrong size");
});

test("tensors of a loaded state are replaced, added and deleted as properties", () => {
  torch.save(new nn.Linear(2, 1).stateDict(), at("edited.pth"));
  const state = torch.load(at("edited.pth"));
  state["weight"] = torch.ones(1, 2);
  state["head.bias"] = state["bias"];
  delete state["bias"];
  expect([...state.keys()]).toEqual(["weight", "head.bias"]);
  expect(["bias" in state, state.has("bias"), state.size]).toEqual([false, false, 2]);
  expect(state.get("weight").tolist()).toEqual([[1, 1]]);
  expect(state.set("x", 1)["x"]).toBe(1);
});

describe("tensors that share memory", () => {
  const file = "shared.pth";
  const reload = (value: unknown): Record<string, Tensor> => {
    torch.save(value, at(file));
    return torch.load(at(file));
  };

  test("share it again: slices, transposes and tied weights of one tensor", () => {
    const all = torch.arange(12).float().view(3, 4);
    const parts = {
      all,
      row: all.narrow(0, 1, 1),
      t: all.t(),
      last: all.select(1, -1),
      flat: all.view(-1),
      diagonal: all.diagonal(1),
    };
    const saved = reload(parts);
    expect(values(saved as never)).toEqual(values(Object.entries(parts) as never));
    saved["row"]!.fill_(-1);
    saved["last"]!.fill_(7);
    all.narrow(0, 1, 1).fill_(-1);
    all.select(1, -1).fill_(7);
    expect(values(saved as never)).toEqual(values(Object.entries(parts) as never));
    // PyTorch stores what they share, once.
    expect(
      new Set([...(readPth(at(file)) as Map<string, PthTensor>).values()].map((t) => t.storage)).size,
    ).toBe(1);
  });

  test("tied weights of a state dict are one memory, and load into a model", () => {
    class Tied extends nn.Module {
      a = new nn.Linear(2, 2, { bias: false });
      b = new nn.Linear(2, 2, { bias: false });
    }
    const model = new Tied();
    model.b.weight = model.a.weight;
    const saved = reload(model.stateDict());
    saved["a.weight"]!.fill_(3);
    expect(saved["b.weight"]!.tolist()).toEqual([
      [3, 3],
      [3, 3],
    ]);
    const other = new Tied();
    other.loadStateDict(saved);
    expect([other.a.weight.tolist(), other.b.weight.tolist()]).toEqual([
      saved["a.weight"]!.tolist(),
      saved["a.weight"]!.tolist(),
    ]);
    expect(other.a.weight.isLeaf && saved["b.weight"]!.isLeaf).toBe(true);
  });

  test("others have memory of their own: parameters, a slice without what it is of, equal tensors", () => {
    const p = new nn.Parameter(torch.ones(2));
    const { whole, part } = reload({ whole: p, part: p.detach().narrow(0, 0, 1) });
    part!.fill_(5);
    expect([whole!.tolist(), part!.tolist()]).toEqual([[1, 1], [5]]);
    const slice = reload({ slice: torch.zeros(1000).narrow(0, 5, 2) });
    expect([slice["slice"]!.tolist(), readFileSync(at(file)).length < 2000]).toEqual([[0, 0], true]);
    const { a, b } = reload({ a: torch.zeros(2), b: torch.zeros(2) });
    a!.fill_(1);
    expect(b!.tolist()).toEqual([0, 0]);
  });
});

test("a strided view of a detached tensor passes no gradient on, and may be written to", () => {
  const p = new nn.Parameter(torch.ones(4));
  const view = p.detach().asStrided([2], [2], 0);
  expect(view.requiresGrad).toBe(false);
  view.zero_();
  expect(p.tolist()).toEqual([0, 1, 0, 1]);
});
