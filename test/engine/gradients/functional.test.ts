// torch.autograd.functional against PyTorch: results, what requires gradients, and what its strict mode refuses.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";
import { camelCase } from "../../parity/names.ts";

interface Shown {
  data: number[];
  shape: number[];
  requiresGrad: boolean;
}

type Nested = Shown | Nested[];
type Names = string | string[] | null;

interface Case {
  name: "jacobian" | "hessian" | "vjp" | "jvp" | "hvp" | "vhp";
  function: string;
  inputs: Names;
  vector: Names;
  options: Record<string, boolean | string>;
  result?: Nested;
  error?: string;
}

const { cases } = JSON.parse(
  readFileSync(new URL("../../fixtures/autograd/functional.json", import.meta.url), "utf8"),
) as { cases: Case[] };

useEngine("cpu");

const FUNCTIONS: Readonly<Record<string, (x: Tensor, y: Tensor) => Tensor | Tensor[]>> = {
  cube: (x) => x.pow(3),
  sumOfCubes: (x) => x.pow(3).sum(),
  both: (x, y) => x.mul(y).mul(x).sum(),
  two: (x, y) => [x.mul(y), x.add(y).sum()],
  constant: () => torch.ones(2),
  constantSum: () => torch.ones([]),
  first: (x) => x.mul(x).mul(x),
  firstSum: (x) => x.pow(3).sum(),
  linear: (x) => x.mul(3).sum(),
};

function shown(y: unknown): Nested {
  if (!(y instanceof torch.Tensor)) return (y as unknown[]).map(shown);
  const data = y.detach().reshape([-1]).tolist() as number[];
  return { data: data.map((x) => Math.fround(x)), shape: [...y.shape], requiresGrad: y.requiresGrad };
}

test.each(
  cases.map((c) => [`${c.name} of ${c.function} ${JSON.stringify([c.inputs, c.vector, c.options])}`, c]),
)("%s", (_, { name, inputs, vector, options, result, error, ...c }) => {
  const tensors: Readonly<Record<string, Tensor>> = {
    x: torch.tensor([0.5, 1.5]),
    w: torch.tensor([2, -1], { dtype: "float32" }),
    v: torch.tensor([1, 2], { dtype: "float32" }),
    g: torch.tensor([2, -1], { dtype: "float32" }).requiresGrad_(),
    one: torch.tensor(1, { dtype: "float32" }),
  };
  const given = (names: Names): unknown =>
    Array.isArray(names) ? names.map((one) => tensors[one]) : names === null ? null : tensors[names];
  const call = torch.autograd.functional[name] as unknown as (...args: unknown[]) => unknown;
  const named = Object.fromEntries(Object.entries(options).map(([key, value]) => [camelCase(key), value]));
  const args = [FUNCTIONS[c.function], given(inputs)];
  if (name !== "jacobian" && name !== "hessian") args.push(given(vector));
  if (error !== undefined) expect(() => call(...args, named)).toThrow(error);
  else expect(shown(call(...args, named))).toEqual(result);
});
