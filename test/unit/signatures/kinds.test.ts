// No argument is refused that PyTorch takes: the kind of a parameter's name (kinds.ts) agrees with PyTorch's schemas.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { overloadsOf } from "../../../extension/tensor/signatures/bind.ts";
import type { Kind } from "../../../extension/tensor/signatures/kinds.ts";
import { FFT, LINALG, SPECIAL } from "../../../extension/tensor/signatures/namespaces.ts";
import { SIGNATURES } from "../../../extension/tensor/signatures/table.ts";
import { camelCase } from "../../parity/names.ts";

type Types = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

const { types } = JSON.parse(
  readFileSync(new URL("../../fixtures/signatures/schemas.json", import.meta.url), "utf8"),
) as { types: Readonly<Record<string, Types>> };

/** Types in PyTorch's schemas that a parameter of a kind may have; each may be optional, too. */
const TAKEN: Readonly<Record<Kind, readonly string[]>> = {
  int: ["int", "List[int]"],
  // A number stands for a tensor, which PyTorch sees as a Scalar or an index.
  tensor: ["Tensor", "number", "int", "float"],
  tensors: ["List[Tensor]"],
};

/** Types other than numbers that an `int` parameter may take: `bins` may be edges, `padding` a word. */
const NO_NUMBERS = ["Tensor", "List[Tensor]", "str"];

test.each([
  ["torch", SIGNATURES],
  ["torch.linalg", LINALG],
  ["torch.special", SPECIAL],
  ["torch.fft", FFT],
  ["torch.nn.functional", SIGNATURES],
] as const)("%s: each kind is that of PyTorch's schemas", (namespace, table) => {
  const wrong: string[] = [];
  let count = 0;
  for (const [python, known] of Object.entries(types[namespace]!)) {
    const name = camelCase(python);
    const signature = (table as Readonly<Record<string, string>>)[name];
    if (signature === undefined) continue;
    const byName = new Map(Object.entries(known).map(([key, given]) => [camelCase(key), given]));
    for (const { parameters } of overloadsOf(signature))
      for (const { name: parameter, kind } of parameters) {
        const given = byName.get(parameter);
        if (kind === undefined || given === undefined) continue;
        count++;
        const taken = kind === "int" ? [...TAKEN.int, ...NO_NUMBERS] : TAKEN[kind];
        const bare = given.map((type) => type.replace(/^Optional\[(.*)\]$/, "$1"));
        if (!bare.every((type) => taken.includes(type)))
          wrong.push(`${name}(${parameter}): ${kind}, but ${given.join(" or ")}`);
      }
  }
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(5);
});
