// Whole numbers that PyTorch declares as floats are printed as floats.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { nn, optim, torch, transforms } from "layerwise";
import { construct, keywords } from "../../parity/names.ts";
import { overloads } from "./forms.ts";

type Json = Parameters<typeof keywords>[0];

const { modules, optimizers } = JSON.parse(
  readFileSync(new URL("../../fixtures/signatures/reprs.json", import.meta.url), "utf8"),
) as {
  modules: [name: string, args: unknown[], kwargs: Json, text: string][];
  optimizers: [name: string, kwargs: Json, text: string][];
};

test.each(modules.map((m) => [m[3].split("\n")[0]!, m] as const))("%s", (_, [name, args, kwargs, text]) => {
  expect(String(construct("nn", name, args, keywords(kwargs)))).toBe(text);
});

test.each(optimizers)("%s(%j)", (name, kwargs, text) => {
  const params = [new nn.Parameter(torch.zeros(2))];
  expect(String(construct("torch.optim", name, [params], keywords(kwargs)))).toBe(text);
});

test("every module that prints a float parameter is tried with a whole one", () => {
  const tried = new Set(modules.map(([name]) => name));
  const printing = [...overloads("torch.nn")].filter(([name, [parameters]]) => {
    const type = (nn as unknown as Record<string, { prototype: { extraRepr?: unknown } }>)[name];
    const floats = parameters!.some(
      (p) =>
        typeof p.default === "number" &&
        /^(p|eps|momentum|alpha|beta|dropout|negativeSlope|lambd|minVal|normType|lower)$/.test(p.name) &&
        !Number.isInteger(p.default),
    );
    return type !== undefined && floats && type.prototype.extraRepr !== nn.Module.prototype.extraRepr;
  });
  expect(printing.map(([name]) => name).filter((name) => !tried.has(name))).toEqual([]);
});

test("a group's own options and a changed rate are floats", () => {
  const groups = [{ params: [new nn.Parameter(torch.zeros(2))], weightDecay: 0 }];
  const optimizer = new optim.SGD(groups, { lr: 0.5 });
  expect(String(optimizer)).toContain("weight_decay: 0.0");
  optimizer.paramGroups[0]!.lr = 1;
  expect(String(optimizer)).toContain("lr: 1.0");
});

test("transforms print their probabilities as floats", () => {
  expect(String(new transforms.RandomHorizontalFlip(1))).toBe("RandomHorizontalFlip(p=1.0)");
});
