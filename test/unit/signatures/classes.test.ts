// Classes and functions of a training loop, apart from tensors and layers, take their arguments in all the ways in which PyTorch does.
import { expect, test } from "vitest";
import { data, nn, optim, torch, type Tensor } from "layerwise";
import { isNamed } from "../../../extension/tensor/signatures/bind.ts";
import { useEngine } from "../../engines.ts";
import { forms, overloads } from "./forms.ts";

useEngine("cpu");

type Case = readonly [name: string, args: readonly unknown[], call: (...args: never[]) => unknown];

const seeded = (): torch.Generator => new torch.Generator().manualSeed(3);
const set = new data.TensorDataset(torch.arange(6));
const drawn = (numbers: Iterable<unknown>): unknown => {
  torch.manualSeed(5);
  return [[...numbers], [...numbers]];
};

const LOADING: readonly Case[] = [
  ["RandomSampler", [set, true, 4], (...args) => drawn(new data.RandomSampler(...(args as [never])))],
  [
    "SubsetRandomSampler",
    [[3, 1, 4]],
    (...args) => drawn(new data.SubsetRandomSampler(...(args as [never]))),
  ],
  [
    "WeightedRandomSampler",
    [[1, 0, 2], 2, false],
    (...args) => drawn(new data.WeightedRandomSampler(...(args as [never]))),
  ],
  ["BatchSampler", [[3, 1, 4], 2, true], (...args) => drawn(new data.BatchSampler(...(args as [never])))],
  [
    "DistributedSampler",
    [set, 2, 1, true, 7, true],
    (...args) => drawn(new data.DistributedSampler(...(args as [never]))),
  ],
  ["Subset", [set, [3, 1]], (...args) => new data.Subset(...(args as never as [[], []])).indices],
  [
    "randomSplit",
    [set, [4, 2]],
    (...args) => {
      torch.manualSeed(5);
      return data.randomSplit(...(args as never as [[], []])).map((part) => part.indices);
    },
  ],
];

const average = (averaged: Tensor): Tensor => averaged.mul(2);
const AVERAGES: readonly Case[] = [
  [
    "AveragedModel",
    [new nn.Linear(1, 1), null, average],
    (...args) => {
      const model = new optim.swaUtils.AveragedModel(...(args as never as [nn.Linear]));
      return [model.avgFn === average, model.multiAvgFn, model.useBuffers];
    },
  ],
  [
    "getEmaAvgFn",
    [0.5],
    (...args) =>
      optim.swaUtils
        .getEmaAvgFn(...(args as []))(torch.ones(1), torch.zeros(1), torch.ones(1))
        .tolist(),
  ],
];

const net = (): nn.Sequential => new nn.Sequential(new nn.Linear(1, 1), new nn.BatchNorm1d(1));
const other = new Map([["0.weight", torch.zeros(1, 1)]]);
const METHODS: readonly Case[] = [
  ["parameters", [false], (...args) => net().parameters(...args).length],
  ["buffers", [false], (...args) => net().buffers(...args).length],
  [
    "namedParameters",
    ["net", true],
    (...args) =>
      net()
        .namedParameters(...args)
        .map(([name]) => name),
  ],
  ["train", [false], (...args) => net().train(...args).training],
  [
    "requiresGrad_",
    [false],
    (...args) =>
      net()
        .requiresGrad_(...args)
        .parameters()[0]!.requiresGrad,
  ],
  [
    "registerBuffer",
    ["mean", torch.ones(1), false],
    (...args) => {
      const model = net();
      model.registerBuffer(...(args as never as [string, Tensor]));
      return model.stateDict().size;
    },
  ],
  ["loadStateDict", [other, false], (...args) => net().loadStateDict(...(args as [never])).missingKeys],
];

/** How many arguments come first by position: what a plain object could stand for, such as a data set, or a dictionary. */
const FIRST: Readonly<Record<string, number>> = {
  RandomSampler: 1,
  DistributedSampler: 1,
  Subset: 1,
  randomSplit: 1,
  AveragedModel: 1,
  registerBuffer: 2,
  loadStateDict: 1,
};

test.each([
  ["torch.utils.data", LOADING],
  ["torch.optim.swa_utils", AVERAGES],
  ["torch.nn.Module", METHODS],
] as const)("%s", (namespace, cases) => {
  const known = overloads(namespace);
  for (const [name, args, call] of cases) {
    const run = call as (...args: readonly unknown[]) => unknown;
    const expected = run(...args);
    const written = known.get(name)!.flatMap((overload) => forms(overload, { args, kwargs: {} }));
    const taken = written.filter((form) => {
      const positional = isNamed(form.at(-1)) ? form.length - 1 : form.length;
      return positional >= (FIRST[name] ?? 0);
    });
    expect(taken.length, name).toBeGreaterThan(1);
    for (const form of taken) expect(run(...form), `${name} ${JSON.stringify(form)}`).toEqual(expected);
  }
});

test("numbers of samples may be tensors", () => {
  const order = torch.tensor([4, 0, 2]);
  expect(new data.Subset(set, order).get(0)[0].item()).toBe(4);
  expect(drawn(new data.SubsetRandomSampler(order, { generator: seeded() }))).toEqual(
    drawn(new data.SubsetRandomSampler([4, 0, 2], { generator: seeded() })),
  );
  const weights = torch.tensor([1, 0.5]);
  expect(drawn(new data.WeightedRandomSampler(weights, 9, { generator: seeded() }))).toEqual(
    drawn(new data.WeightedRandomSampler([1, 0.5], 9, { generator: seeded() })),
  );
});

test("an input by name is refused in words", () => {
  const loss = new nn.CrossEntropyLoss() as unknown as (...args: unknown[]) => Tensor;
  const [x, target] = [torch.randn(2, 3), torch.tensor([0, 1])];
  expect(() => loss(x, { target })).toThrow("CrossEntropyLoss(): argument 2 must be Tensor, not Object");
  expect(() => loss({ input: x, target })).toThrow("argument 1 must be Tensor, not Object");
});
