// Calls of functions and modules against PyTorch: values, gradients and what is refused.
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { setWarningSink, type WarningSink } from "../../../extension/nn/warnings.ts";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { runGradItem, type GradExpectation, type GradSpec } from "../../parity/kinds/grad.ts";
import { argument, callArguments, construct, keywords, lookUp } from "../../parity/names.ts";
import type { Json } from "../../parity/format.ts";
import { onEachEngine } from "../../engines.ts";

interface Refusal {
  id: string;
  raises: string;
}

interface Family {
  tolerance: { abs: number; rel: number };
  spec: { items: GradSpec[] };
  expect: { items: (GradExpectation | Refusal)[] };
}

const folder = new URL("../../fixtures/cases/", import.meta.url);
const families = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name) => [name, JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Family] as const);

function call({ fn, args = [], kwargs = {} }: GradSpec): unknown {
  const at = fn!.lastIndexOf(".");
  const [space, name] = [fn!.slice(0, at), fn!.slice(at + 1)];
  const given = args.map(argument);
  if (space === "nn") return construct(space, name, given, keywords(kwargs));
  if (space !== "Tensor") return lookUp(space, name)(...callArguments(given, keywords(kwargs)));
  return undefined;
}

const show = (x: Json | undefined): string =>
  JSON.stringify(x, (_, v: unknown) =>
    typeof v === "object" && v !== null && "shape" in v ? `[${String((v as { shape: number[] }).shape)}]` : v,
  );

describe.each(families)("%s", (_, family) => {
  const items = family.spec.items.map((spec, i) => {
    const title = `${spec.id} ${show(spec.args)} ${show(spec.kwargs)}`;
    return [title, spec, family.expect.items[i]!] as const;
  });

  function suite(): void {
    let before: WarningSink;
    beforeEach(() => void (before = setWarningSink(() => {})));
    afterEach(() => void setWarningSink(before));

    test.each(items)("%s", (_title, spec, expected) => {
      expect(expected.id).toBe(spec.id);
      if ("raises" in expected) {
        let message = "";
        try {
          call(spec);
        } catch (error) {
          expect(error).toBeInstanceOf(TensorError);
          message = (error as Error).message;
        }
        expect(message).toBe(expected.raises);
      } else {
        expect(runGradItem(spec, expected, family.tolerance)).toBe(null);
      }
    });
  }

  onEachEngine(suite);
});
