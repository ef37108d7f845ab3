import { describe, expect, expectTypeOf, test } from "vitest";
import { copy, data, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

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

  test("layers are inserted and taken out, and named by their positions", () => {
    const [linear, relu, tanh, gelu] = [new nn.Linear(1, 1), new nn.ReLU(), new nn.Tanh(), new nn.GELU()];
    const names = (net: nn.Module): [string, nn.Module][] => net.namedChildren();
    const net: nn.Sequential = new nn.Sequential({ first: linear, last: tanh });
    net.insert(-1, relu);
    const three = [linear, relu, tanh].map((layer, i) => [String(i), layer]);
    expect(names(net)).toEqual(three);
    expect(net.pop(0)).toBe(linear);
    expect(names(net.extend([gelu]))).toEqual([relu, tanh, gelu].map((layer, i) => [String(i), layer]));
    expect(() => net.insert(4, relu)).toThrow("Index out of range: 4");
    expect(() => net.insert(0, {} as nn.Module)).toThrow("not a Module subclass");
    const list = new nn.ModuleList<nn.Layer>([linear, tanh]);
    list.insert(1, relu);
    expect(names(list)).toEqual(three);
    expect([list.pop(), [...list], list.pop(-2), list.length]).toEqual([tanh, [linear, relu], linear, 1]);
    expect(() => list.pop(1)).toThrow("index 1 is out of range");
    expect(() => new nn.ModuleList().pop()).toThrow("out of range");
  });

  test("entries of dictionaries are replaced and taken out", () => {
    const [relu, tanh, gelu] = [new nn.ReLU(), new nn.Tanh(), new nn.GELU()];
    const dict = new nn.ModuleDict<nn.Layer>({ a: relu }).update({ b: tanh, a: gelu });
    expect(dict.items()).toEqual([
      ["a", gelu],
      ["b", tanh],
    ]);
    expect([dict.pop("a"), dict.keys(), "a" in dict]).toEqual([gelu, ["b"], false]);
    dict.clear();
    expect([dict.size, dict.children()]).toEqual([0, []]);
    expect(() => dict.pop("a")).toThrow("no module is named 'a'");
    const values = new nn.ParameterDict({ x: torch.ones(1), y: torch.zeros(1) });
    expect(values.setdefault("x", torch.zeros(1)).item()).toBe(1);
    const twin = values.copy();
    expect(values.popitem()[0]).toBe("y");
    expect([values.keys(), twin.keys(), twin.get("x") === values.get("x")]).toEqual([
      ["x"],
      ["x", "y"],
      true,
    ]);
    expect(() => new nn.ParameterDict().popitem()).toThrow("dictionary is empty");
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

  test("a ModuleDict is made of another, of pairs, and of what namedChildren gives", () => {
    const [relu, linear] = [new nn.ReLU(), new nn.Linear(1, 2)];
    const dict = new nn.ModuleDict([
      ["b", relu],
      ["a", linear],
    ]);
    expectTypeOf(dict.get("a")).toEqualTypeOf<nn.ReLU | nn.Linear>();
    const items = dict.items();
    expect(items.map(([name]) => name)).toEqual(["b", "a"]);
    expect(new nn.ModuleDict(dict).items()).toEqual(items);
    expect(new nn.ModuleDict(new nn.ModuleDict({ b: relu, a: linear })).items()).toEqual(items);
    expect(new nn.ModuleDict(dict.namedChildren()).items()).toEqual(items);
    expect(new nn.ModuleDict(Object.entries({ b: relu, a: linear })).items()).toEqual(items);
    expect(new nn.ModuleDict<nn.Layer>({ c: relu }).update(dict).keys()).toEqual(["c", "b", "a"]);
    const wrong = (entries: unknown): unknown => new nn.ModuleDict(entries as nn.ModuleDict);
    expect(() => wrong([relu, linear])).toThrow(
      "ModuleDict update sequence element #0 is function; a pair of a name and a module is required",
    );
    expect(() => wrong([["a", relu, 1]])).toThrow("element #0 has length 3; a pair of a name");
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

  test("a ModuleDict of a class is one of its base class, whatever that class has beside", () => {
    const blocks = new nn.ModuleList([new nn.Linear(1, 2), new nn.Linear(2, 1)]);
    const stage: nn.ModuleDict<nn.Module> = new nn.ModuleDict({ blocks });
    const stages: nn.ModuleList<nn.ModuleDict<nn.Module>> = new nn.ModuleList();
    for (const down of [new nn.ReLU(), null])
      stages.append(down === null ? new nn.ModuleDict({ blocks }) : new nn.ModuleDict({ blocks, down }));
    expect([...stages.stateDict().keys()].slice(-1)).toEqual(["1.blocks.1.bias"]);
    const layers: nn.ModuleDict = new nn.ModuleDict({ act: new nn.Tanh() });
    const modules: nn.ModuleDict<nn.Module>[] = [stage, layers, new nn.ModuleDict({ blocks, layers })];
    expect(modules.map((dict) => dict.keys())).toEqual([["blocks"], ["act"], ["blocks", "layers"]]);
    const nested: nn.ModuleDict<nn.ModuleDict<nn.Linear>> = new nn.ModuleDict({
      outer: new nn.ModuleDict({ inner: new nn.Linear(1, 2) }),
    });
    expectTypeOf(nested.get("outer").get("inner")).toEqualTypeOf<nn.Linear>();
    // A name of several has its own type, a name that isn't known until it runs that of any of them.
    const mixed = new nn.ModuleDict({ fc: new nn.Linear(2, 3), act: new nn.ReLU() });
    expectTypeOf(mixed.get("fc")).toEqualTypeOf<nn.Linear>();
    expectTypeOf(mixed.get("fc" as string)).toEqualTypeOf<nn.Linear | nn.ReLU>();
    // Not that of a module's own field.
    expectTypeOf<nn.ModuleDict<nn.BertModel>["get"]>().returns.toEqualTypeOf<nn.BertModel>();
  });

  test("a part of a container of a class of one's own is of that class", () => {
    class Flow extends nn.Sequential {
      count(): number {
        return this.length;
      }
    }
    class Blocks extends nn.ModuleList<nn.Linear> {
      widths(): number[] {
        return [...this].map((layer) => layer.outFeatures);
      }
    }
    const part = new Flow(new nn.Linear(1, 2), new nn.ReLU(), new nn.Tanh()).slice(1);
    expect([part instanceof Flow && part.count(), String(part).split("(")[0]]).toEqual([2, "Flow"]);
    const blocks = new Blocks([new nn.Linear(1, 2), new nn.Linear(2, 3), new nn.Linear(3, 4)]);
    expect(blocks.slice(-2).widths()).toEqual([3, 4]);
    // @ts-expect-error -- as in Python, where a part has this form
    expect(() => blocks.get(":2")).toThrow(
      expect.objectContaining({ hint: "write layers.slice(start, end) for a part" }),
    );
  });

  test("torch holds its submodules", () => {
    expect([torch.nn, torch.optim, torch.utils.data]).toEqual([nn, optim, data]);
  });
});
